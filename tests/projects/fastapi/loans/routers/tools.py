from fastapi import APIRouter

from loans import store

router = APIRouter(prefix="/tools", tags=["tools"])


@router.get("/{tool_id}/loans")
def tool_loans(tool_id: str):
    return {"loans": store.get_loans(tool_id)}
