"""`devenv init` on code whose items become objects of data classes and models, and on guards behind dependencies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import made
from tests.unit.init.test_init_plain_tables import FILES
from tests.unit.init.test_init_tokens import ENCODE

REPOSITORY = """\
import boto3
from boto3.dynamodb.conditions import Key
from orders.models import Order

class Orders:
    def __init__(self):
        self.table = boto3.resource("dynamodb").Table("orders")

    def of(self, customer_id: str):
        found = self.table.query(KeyConditionExpression=Key("customer_id").eq(customer_id))
        return GIVEN

    def save(self, order):
        self.table.put_item(Item={"customer_id": order.customer, "order_no": order.number, "amount": order.total})
"""
ROUTES = """\
from dataclasses import asdict
from fastapi import APIRouter
from orders.models import Order, Shown
from orders.repository import Orders

router = APIRouter()
orders = Orders()

@router.get("/orders")
def list_orders(customer_id: str):
    return SHOWN
"""
MAIN = """\
from fastapi import FastAPI
from orders.api import api
app = FastAPI()
app.include_router(api, prefix="/v1")
"""
API = """\
from fastapi import APIRouter
from orders import routes
api = APIRouter(prefix="/api")
api.include_router(routes.router, prefix="/customers/{customer_id}")
"""
DATA = """\
from dataclasses import dataclass
@dataclass(frozen=True)
class Order:
    customer: str
    number: str
    total: int = 0
    @classmethod
    def from_item(cls, item):
        no = item["order_no"]
        return cls(item["customer_id"], number=no, total=int(item.get("amount", 0)))
    def to_api(self):
        return {"id": self.number, "amount": str(self.total)}
    def to_all(self):
        return {**self.to_api_less(), "sum": self.total}
    def to_api_less(self):
        return self.__dict__
"""
MODEL = """\
from pydantic import BaseModel, Field
class Base(BaseModel):
    customer: str = Field(alias="customer_id")
class Order(Base):
    number: str = Field(alias="order_no")
    total: int = Field(0, alias="amount")
class Shown(BaseModel):
    number: str
    total: int
"""
MADE = {"customer": "customer_id", "number": "order_no", "total": "amount"}
UNPACKED = "[Order(**i) for i in found['Items']]"
LIST = "[Order.from_item(each) for each in found['Items']]"


def project(models: str, given: str, shown: str) -> dict[str, str]:
    """The files of an application whose repository gives objects, and whose route shows them."""
    return {
        **FILES,
        "orders/__init__.py": "",
        "orders/models.py": models,
        "orders/repository.py": REPOSITORY.replace("GIVEN", given),
        "orders/routes.py": ROUTES.replace("SHOWN", shown),
        "orders/api.py": API,
        "orders/main.py": MAIN,
    }


@pytest.mark.parametrize(
    ("models", "given", "shown", "http", "renamed"),
    [
        (DATA, LIST, "[o.to_api() for o in orders.of(customer_id)]", "id", {"total": "amount"}),
        (DATA, LIST, "[asdict(each) for each in orders.of(customer_id)]", "number", {}),
        (DATA, LIST, "[Shown(no=o.number, sum=o.total) for o in orders.of(customer_id)]", "no", {"total": "sum"}),
        (DATA, "list(map(Order.from_item, found['Items']))", "orders.of(customer_id)", "number", {}),
        (MODEL, UNPACKED, "[o.model_dump() for o in orders.of(customer_id)]", "number", {}),
        (
            MODEL,
            "[Order.model_validate(i) for i in found['Items']]",
            "[o.model_dump(by_alias=True) for o in orders.of(customer_id)]",
            "order_no",
            {"customer": "customer_id", "total": "amount"},
        ),
        (
            MODEL,
            UNPACKED,
            "orders.of(customer_id)",
            "order_no",
            {"customer": "customer_id", "total": "amount"},
        ),
        (
            MODEL,
            UNPACKED,
            "[Shown.model_validate(o) for o in orders.of(customer_id)]",
            "number",
            {},
        ),
    ],
)  # fmt: skip
def test_the_fields_of_objects_are_followed_to_the_answer(
    tmp_path: Path, models: str, given: str, shown: str, http: str, renamed: dict[str, str]
) -> None:
    settings, body = made(tmp_path, project(models, given, shown))
    trace = settings.trace["of"]
    assert trace.ids == {"dynamodb": "order_no", "library": "number", "http": http}
    assert trace.fields.items() <= MADE.items()
    assert trace.fields["total"] == "amount"
    assert trace.request is not None
    assert trace.request.path == "/v1/api/customers/{person.id}/orders"
    assert trace.request.fields == renamed
    assert body["edits"] == []


def test_a_repository_that_shows_its_objects_itself_gives_their_shown_fields(tmp_path: Path) -> None:
    given = "[Order.from_item(each).to_api() for each in found['Items']]"
    settings, _ = made(tmp_path, project(DATA, given, '{"orders": orders.of(customer_id)}'))
    trace = settings.trace["of"]
    assert trace.ids == {"dynamodb": "order_no", "library": "id", "http": "id"}
    assert trace.fields == {"amount": "amount"}
    assert trace.request is not None
    assert trace.request.items == "orders"


def test_a_field_that_the_route_hides_is_not_compared(tmp_path: Path) -> None:
    shown = '{"data": [o.to_api() for o in orders.of(customer_id)]}'
    settings, _ = made(tmp_path, project(DATA, LIST, shown))
    trace = settings.trace["of"]
    assert trace.fields == {"total": "amount"}
    assert trace.request is not None
    assert trace.request.items == "data"


GUARDED = """\
import boto3
from typing import Annotated
from boto3.dynamodb.conditions import Key
from fastapi import APIRouter, Depends, FastAPI
from auth import current
from deps import own_customer, page_size, Mine
app = FastAPI()
orders = boto3.resource("dynamodb").Table("orders")
def orders_of(customer_id: str):
    return orders.query(KeyConditionExpression=Key("customer_id").eq(customer_id))["Items"]
@app.get("/customers/{customer_id}/orders")
def mine(PARAMETER):
    return orders_of(customer_id)
"""
DEPS = """\
import os
from typing import Annotated
from fastapi import Depends
from auth import current
def page_size(): return 7
def known(who: str = Depends(current_customer)): return who
def own_customer(customer_id: str, who: str = Depends(known)): return customer_id
Mine = Annotated[str, Depends(own_customer)]
"""


@pytest.mark.parametrize(
    ("parameter", "anonymous"),
    [
        ("customer_id: str, size: int = Depends(page_size)", None),
        ("customer_id: str = Depends(own_customer)", [401]),
        ("customer_id: Annotated[str, Depends(own_customer)]", [401]),
        ("customer_id: Mine", [401]),
    ],
)
def test_a_guard_behind_another_dependency_counts(tmp_path: Path, parameter: str, anonymous: list[int] | None) -> None:
    app = GUARDED.replace("PARAMETER", parameter)
    settings, _ = made(tmp_path, {**FILES, "app.py": app, "deps.py": DEPS, "auth.py": ENCODE})
    request = settings.trace["orders_of"].request
    assert request is not None
    assert request.headers == {"Authorization": "Bearer {token}"}
    assert request.anonymous == (anonymous or [])


def test_the_dependencies_of_a_mount_guard_its_routes(tmp_path: Path) -> None:
    app = GUARDED.replace("@app.get", "router = APIRouter()\n@router.get").replace("PARAMETER", "customer_id: str")
    app += 'app.include_router(router, prefix="/v1", dependencies=[Depends(own_customer)])\n'
    settings, _ = made(tmp_path, {**FILES, "app.py": app, "deps.py": DEPS, "auth.py": ENCODE})
    request = settings.trace["orders_of"].request
    assert request is not None
    assert (request.path, request.anonymous) == ("/v1/customers/{person.id}/orders", [401])
