"""Two databases in the compose files of one project: `init` says which one is devenv's, and what goes into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devenv.init.command import init

SHOP = """\
services:
  shop-db:
    image: postgres:16
    environment: {POSTGRES_DB: shop, POSTGRES_PASSWORD: a}
    ports: ["5433:5432"]
  items:
    image: amazon/dynamodb-local
    ports: ["8000:8000"]
"""
STAFF = """\
services:
  staff-db:
    image: postgres:16
    environment: {POSTGRES_DB: %s, POSTGRES_PASSWORD: b}
"""
FILES = {
    "shop/docker-compose.yml": SHOP,
    "shop/sql/orders.sql": "CREATE TABLE orders (id int PRIMARY KEY);",
    "staff/docker-compose.yml": STAFF % "staff",
}
ORDERS = "CREATE TABLE shifts (id int PRIMARY KEY);"


def made(root: Path, files: dict[str, str]) -> tuple[list[str], str]:
    """The sentences about services, and devenv.toml without its line breaks."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    body: dict[str, Any] = dict(init(root).body)
    told = [each for each in body["unused"] if "service" in each]
    return told, (root / "devenv.toml").read_text().replace("\n# ", " ")


HEAD = (
    "staff/docker-compose.yml: service staff-db is a second database (staff). devenv starts one, with database shop,"
    " in place of service shop-db of shop/docker-compose.yml"
)


@pytest.mark.parametrize("name", ["staff/migrations/V1__shifts.sql", "staff/sql/shifts.sql"])
def test_the_sql_of_a_second_database_goes_into_the_first(tmp_path: Path, name: str) -> None:
    told, text = made(tmp_path, {**FILES, name: ORDERS})
    folder = name.rpartition("/")[0]
    apart = "(to prevent this, leave that folder out of [steps.setup])"
    assert told == [f"{HEAD}. The SQL of {folder} is loaded into database shop, too {apart}"]
    note = f"devenv starts only database shop and loads all of this into it. The SQL in {folder} is for database staff"
    assert f"{note} (staff/docker-compose.yml)." in text
    assert folder in text.partition(note)[2], "it is loaded"


def test_a_second_database_without_sql(tmp_path: Path) -> None:
    told, text = made(tmp_path, FILES)
    assert told == [f"{HEAD}. No SQL of database staff is loaded"]
    assert "devenv starts only database" not in text


def test_two_databases_in_one_file(tmp_path: Path) -> None:
    both = {"compose.yml": SHOP + (STAFF % "staff").partition("\n")[2], "sql/orders.sql": ORDERS}
    told, text = made(tmp_path, both)
    assert told == [
        "compose.yml: service staff-db is a second database (staff). devenv starts one, with database shop, in place"
        " of service shop-db of compose.yml. All SQL of [steps.setup] is loaded into database shop; leave out what"
        " belongs to database staff"
    ]
    assert "Some SQL below may be for database staff (compose.yml)." in text


def test_the_same_database_again_and_a_second_dynamodb(tmp_path: Path) -> None:
    again = STAFF % "shop" + "  more-items:\n    image: amazon/dynamodb-local\n"
    told, text = made(tmp_path, {**FILES, "staff/docker-compose.yml": again})
    assert told == [
        "staff/docker-compose.yml: service staff-db is a second Postgres, also with database shop. devenv starts only"
        " one, in place of service shop-db of shop/docker-compose.yml",
        "staff/docker-compose.yml: service more-items is a second DynamoDB. devenv starts only one, in place of service"
        " items of shop/docker-compose.yml, and creates all tables in it",
    ]
    assert "devenv starts only database" not in text
