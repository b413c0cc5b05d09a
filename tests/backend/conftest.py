"""The application as it really runs: its own process, over a real Postgres and a real DynamoDB Local."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import jwt
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from tests.conftest import Stores

ROOT = Path(__file__).parents[2]
SEEDS = ROOT / "seeds"


@dataclass(frozen=True)
class Person:
    """A row of users."""

    uuid: str
    handle: str
    display_name: str
    cognito_user_id: str


@dataclass(frozen=True)
class Seeded:
    """Both stores, loaded with the seeds, as the application's environment names them."""

    environ: Mapping[str, str]

    @property
    def table(self) -> str:
        return self.environ["DDB_MESSAGE_TABLE"]

    def sql(self, query: str, **values: Any) -> list[dict[str, Any]]:
        with psycopg.connect(self.environ["DATABASE_URL"], row_factory=dict_row) as connection:
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def dynamodb(self) -> Any:
        return boto3.client(
            "dynamodb",
            endpoint_url=self.environ["AWS_ENDPOINT_URL_DYNAMODB"],
            region_name=self.environ["AWS_REGION"],
            aws_access_key_id=self.environ["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environ["AWS_SECRET_ACCESS_KEY"],
        )

    def put(self, item: Mapping[str, str]) -> None:
        self.dynamodb().put_item(TableName=self.table, Item={name: {"S": value} for name, value in item.items()})

    def items(self, **keys: str) -> list[dict[str, str]]:
        """All items under one key, of the table (`pk=`) or of the index (`message_group_uuid=`), oldest first."""
        ((name, value),) = keys.items()
        pages = (
            self.dynamodb()
            .get_paginator("query")
            .paginate(
                TableName=self.table,
                KeyConditionExpression=f"{name} = :value",
                ExpressionAttributeValues={":value": {"S": value}},
                **({} if name == "pk" else {"IndexName": "message-group-sk-index"}),
            )
        )
        return [{key: each["S"] for key, each in item.items()} for page in pages for item in page["Items"]]

    def person(self, handle: str) -> Person:
        query = "SELECT uuid::text, handle, display_name, cognito_user_id FROM users WHERE handle = %(handle)s"
        return Person(**self.sql(query, handle=handle)[0])

    def new_person(self) -> Person:
        """Somebody whom no other test knows."""
        handle = f"t{secrets.token_hex(6)}"
        self.sql(
            "INSERT INTO users (display_name, handle, email, cognito_user_id)"
            " VALUES (%(name)s, %(handle)s, %(mail)s, %(id)s)",
            name=f"Person {handle}",
            handle=handle,
            mail=f"{handle}@example.com",
            id=str(uuid.uuid4()),
        )
        return self.person(handle)


@dataclass(frozen=True)
class Backend:
    """A running application: where it listens, what it logs, and whom it answers."""

    seeded: Seeded
    url: str
    log: Path
    errors: Path

    def client(self, person: Person | None = None, **options: Any) -> httpx.Client:
        """Requests as `person`, or as nobody."""
        headers = {"Authorization": f"Bearer {self.token(person)}"} if person else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, **options)

    def token(self, person: Person, *, seconds: int = 600, key: str | None = None) -> str:
        claims = {"sub": person.cognito_user_id, "exp": int(time.time()) + seconds}
        return jwt.encode(claims, key or self.seeded.environ["AUTH_SECRET"], "HS256")


@pytest.fixture(scope="session")
def seeded(stores: Stores) -> Iterator[Seeded]:
    """A database and a table of these tests' own, with the seeds in them."""
    server, dynamodb, name = stores.postgres_url, stores.dynamodb, f"backend_{secrets.token_hex(6)}"
    found = Seeded(
        {
            "DATABASE_URL": make_conninfo(server, dbname=name),
            "AWS_ENDPOINT_URL_DYNAMODB": dynamodb.endpoint,
            "AWS_REGION": dynamodb.region,
            "AWS_DEFAULT_REGION": dynamodb.region,
            "AWS_ACCESS_KEY_ID": dynamodb.access_key,
            "AWS_SECRET_ACCESS_KEY": dynamodb.secret_key,
            "DDB_MESSAGE_TABLE": name,
            "AUTH_SECRET": secrets.token_hex(32),
            "CORS_ORIGINS": "http://localhost:3000,http://127.0.0.1:3000",
        }
    )
    database = sql.Identifier(name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(database))
    table = json.loads((SEEDS / "dynamodb/tables/cruddur-messages.json").read_text("utf-8"))
    found.dynamodb().create_table(**{**table, "TableName": name})
    try:
        load_seeds(found)
        yield found
    finally:
        found.dynamodb().delete_table(TableName=name)
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))


def load_seeds(seeded: Seeded) -> None:
    """All rows and items of seeds/, references into Postgres resolved."""
    for file in ("schema.sql", "users.sql", "activities.sql"):
        seeded.sql((SEEDS / "postgres" / file).read_text("utf-8"))
    people = {row["handle"]: row for row in seeded.sql("SELECT uuid::text, handle, display_name FROM users")}
    client = seeded.dynamodb()
    for file in sorted((SEEDS / "dynamodb/items").glob("*.json")):
        text = re.sub(r"\$\{users\[handle=(\w+)\]\.(\w+)\}", lambda m: str(people[m[1]][m[2]]), file.read_text("utf-8"))
        puts = [
            {"PutRequest": {"Item": {name: {"S": value} for name, value in item.items()}}}
            for item in json.loads(text)["items"]
        ]
        for start in range(0, len(puts), 25):
            answer = client.batch_write_item(RequestItems={seeded.table: puts[start : start + 25]})
            assert not answer["UnprocessedItems"]


@pytest.fixture(scope="session")
def backend(seeded: Seeded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """The application, serving, in front of both seeded."""
    with serve(seeded, tmp_path_factory.mktemp("backend")) as running:
        assert httpx.get(f"{running.url}/api/health-check").status_code == 200
        yield running


@pytest.fixture
def start_backend(seeded: Seeded, tmp_path: Path) -> Iterator[Callable[..., Backend]]:
    """Start another application with some variables changed: `start_backend(DATABASE_URL=...)`."""
    with ExitStack() as stack:
        yield lambda **changed: stack.enter_context(serve(seeded, tmp_path, **changed))


@pytest.fixture
def run_python(seeded: Seeded) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run an interpreter of its own in the application's environment: `run_python("-c", "...")`."""

    def run(*arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        env = environment(seeded, **changed)
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)

    return run


@contextmanager
def serve(seeded: Seeded, folder: Path, **changed: str) -> Iterator[Backend]:
    """A process of the application with some variables changed, listening; ended afterwards."""
    with socket.socket() as listener, (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        # Handed over as it is: a port that is closed in between may be another worker's application by then.
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        fd = listener.fileno()
        running = Backend(seeded, f"http://127.0.0.1:{listener.getsockname()[1]}", folder / "stdout", folder / "stderr")
        command = [sys.executable, "-m", "uvicorn", "devenv.example.app:app", "--fd", str(fd), "--no-access-log"]
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(seeded, **changed), stdout=out, stderr=err, pass_fds=[fd]
        )
        listener.close()
        try:
            wait_until_listening(running)
            yield running
        finally:
            process.terminate()
            process.wait(10)


def environment(seeded: Seeded, **changed: str) -> dict[str, str]:
    """What the application's process gets: this machine's PATH, the stores, and `changed`."""
    return {"PATH": os.environ["PATH"], **seeded.environ, **changed}


def wait_until_listening(backend: Backend) -> None:
    """Return when the application answers; fail with its own words when it never does."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{backend.url}/openapi.json").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(backend.errors.read_text("utf-8", "replace"))
