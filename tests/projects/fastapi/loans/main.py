from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from loans import database, store
from loans.routers import tools

app = FastAPI(title="Tool library")
app.include_router(tools.router, prefix="/api")


class NewLoan(BaseModel):
    handle: str
    note: str = ""


@app.get("/healthz")
async def healthz():
    return {"status": "ok"}


@app.post("/api/tools/{tool_id}/loans", status_code=201)
async def borrow(tool_id: str, loan: NewLoan):
    member = await database.member_by_handle(loan.handle)
    if member is None:
        raise HTTPException(404, "no such member")
    return store.add_loan(tool_id, member, loan.note)
