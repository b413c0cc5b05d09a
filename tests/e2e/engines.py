"""The reference project on each engine, for tests that are the same on all of them. A new engine is a line in OPEN."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest

from devenv.engines.external.marks import MARK_TABLE
from tests.e2e.docker_support import on_docker
from tests.support import ProjectDir, empty_project, reference_project


@contextmanager
def on_embedded(folder: Path) -> Iterator[ProjectDir]:
    """Processes from installed packages."""
    project = ProjectDir(reference_project(folder / "project").path, {"DEVENV_ENGINE": "embedded"})
    try:
        yield project
    finally:
        project.remove()


@contextmanager
def on_external(folder: Path) -> Iterator[ProjectDir]:
    """Stores that somebody else started: here, another project's."""
    with other_stores(folder) as stores:
        project = external_project(folder / "project", stores)
        try:
            yield project
        finally:
            project.remove()


OPEN: Mapping[str, Callable[[Path], Any]] = {
    "embedded": on_embedded,
    "docker": on_docker,
    "external": on_external,
}


# What keeps an engine out of `make test`.
MARKS: Mapping[str, pytest.MarkDecorator] = {"docker": pytest.mark.needs_docker, "external": pytest.mark.long}


@contextmanager
def other_stores(folder: Path) -> Iterator[ProjectDir]:
    """A PostgreSQL and a DynamoDB Local that run, without anything in them."""
    stores = empty_project(folder / "stores")
    try:
        stores.ok("up")
        yield stores
    finally:
        stores.remove()


def external_project(path: Path, stores: ProjectDir, **settings: str) -> ProjectDir:
    """A copy of the reference project on stores that run. `settings`: other values of [external]."""
    env = stores.env()
    values = {
        "postgres": f"postgresql://{env['PGUSER']}@127.0.0.1:{env['PGPORT']}",
        "password": env["PGPASSWORD"],
        "dynamodb": env["AWS_ENDPOINT_URL_DYNAMODB"],
        "access_key": env["AWS_ACCESS_KEY_ID"],
        "secret_key": env["AWS_SECRET_ACCESS_KEY"],
        **settings,
    }
    variables = {f"DEVENV_EXTERNAL_{name.upper()}": value for name, value in values.items()}
    return ProjectDir(reference_project(path).path, {"DEVENV_ENGINE": "external", **variables})


def contents(stores: ProjectDir) -> dict[str, Any]:
    """Everything in both stores: databases with their comments and settings, every table's rows, roles; every item."""
    env = stores.env()
    found: dict[str, Any] = {}
    with psycopg.connect(env["DATABASE_URL"], dbname="template1", autocommit=True) as server:
        found["databases"] = server.execute(
            "SELECT datname, datacl::text, shobj_description(oid, 'pg_database') FROM pg_database ORDER BY 1"
        ).fetchall()
        found["settings"] = server.execute("SELECT * FROM pg_db_role_setting ORDER BY 1, 2").fetchall()
        found["roles"] = server.execute("SELECT rolname, rolsuper FROM pg_roles ORDER BY 1").fetchall()
    for name, *_ in found["databases"]:
        if name != "template0":
            with psycopg.connect(env["DATABASE_URL"], dbname=name, autocommit=True) as connection:
                tables = connection.execute(
                    "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace NOT IN"
                    " ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) ORDER BY 1"
                ).fetchall()
                for (table,) in tables:
                    rows = connection.execute(f"SELECT xmin, t::text FROM {table} t ORDER BY 2").fetchall()
                    found[f"{name}.{table}"] = rows
    client = boto3.client(
        "dynamodb",
        endpoint_url=env["AWS_ENDPOINT_URL_DYNAMODB"],
        region_name=env["AWS_REGION"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
    )
    for table in client.list_tables()["TableNames"]:
        described = client.describe_table(TableName=table)["Table"]
        items = sorted(json.dumps(item, sort_keys=True) for item in client.scan(TableName=table)["Items"])
        found[f"dynamodb {table}"] = (str(described["CreationDateTime"]), described["KeySchema"], items)
    return found


def fill(stores: ProjectDir) -> None:
    """Somebody's data: a database with a table, and two tables with items."""
    env = stores.env()
    with psycopg.connect(env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE DATABASE theirs")
    with psycopg.connect(env["DATABASE_URL"], dbname="theirs", autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (id int PRIMARY KEY, what text)")
        connection.execute("INSERT INTO orders SELECT n, 'order ' || n FROM generate_series(1, 20) AS n")
    resource = boto3.resource(
        "dynamodb",
        endpoint_url=env["AWS_ENDPOINT_URL_DYNAMODB"],
        region_name=env["AWS_REGION"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
    )
    for name in ("their-carts", "their-events"):
        table = resource.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        for number in range(5):
            table.put_item(Item={"pk": f"{name} {number}", "number": number})


def without_marks(found: dict[str, Any]) -> dict[str, Any]:
    """Contents less the table with the marks."""
    return {name: what for name, what in found.items() if name != f"dynamodb {MARK_TABLE}"}
