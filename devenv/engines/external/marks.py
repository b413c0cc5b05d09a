"""Marks in stores that devenv did not start, by which it may write to them; and what it never touches."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import http.client
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from devenv.core.errors import StoreError, UsageError
from devenv.core.model import DynamoTarget, PostgresTarget
from devenv.engines.external.addresses import host_of, shown

if TYPE_CHECKING:
    from devenv.stores.dynamodb.client import Dynamo


MARK_TABLE: Final = "devenv-mark"
LOCAL_ARN: Final = "arn:aws:dynamodb:ddblocal:"


def account_of(access_key: str) -> str | None:
    """The AWS account that an access key id belongs to, which its letters encode; None for what is no such id."""
    if len(access_key) != 20 or not access_key.startswith(("AKIA", "ASIA")):
        return None
    try:
        number = int.from_bytes(base64.b32decode(access_key[4:])[:6], "big")
    except (binascii.Error, ValueError):
        return None
    return f"{(number & 0x7FFFFFFFFF80) >> 7:012d}"


def mark_text(database: str, cluster: str) -> str:
    """The comment that marks a Postgres: for one database, in one cluster."""
    return f"devenv may write database {database} (cluster {cluster})"


def refuse_foreign(postgres: PostgresTarget) -> None:
    """UsageError when the project's database exists with tables that devenv did not make."""
    from devenv.stores.postgres import client as store
    from devenv.stores.postgres.catalog import read_catalog

    with store.connect(postgres, read_only=True) as connection:
        tables = read_catalog(connection).tables
        ours = store.one(connection, "SELECT to_regclass('devenv.setup')")
    if tables and ours is None:
        raise UsageError(
            f"database {postgres.database} at {postgres.host}:{postgres.port} is foreign: it has tables that"
            " devenv did not create",
            detail=f"tables: {shown([table.title for table in tables])}; nothing was written",
            hint="give the project another one: [postgres] database in devenv.toml",
        )


def mark_database(postgres: PostgresTarget, text: str) -> None:
    """Make the project's database, if it is missing, and put the mark on it."""
    from psycopg import sql

    from devenv.stores.postgres import client as store

    label = f"devenv-mark-{hashlib.sha256(postgres.database.encode()).hexdigest()[:12]}"
    with (
        store.connect(postgres, database="postgres", autocommit=True, label=label) as connection,
        store.translated(postgres.address),
    ):
        store.end_others(connection)
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [postgres.database]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(store.name(postgres.database)))
        connection.execute(
            sql.SQL("COMMENT ON DATABASE {} IS {}").format(store.name(postgres.database), sql.Literal(text))
        )


def check_local(client: Dynamo, table: str) -> None:
    """UsageError unless a table's ARN is one that only DynamoDB Local gives."""
    refuse_arn(client, str(client.call("DescribeTable", {"TableName": table})["Table"].get("TableArn", "")))


def refuse_arn(client: Dynamo, arn: str) -> None:
    """UsageError unless the ARN is DynamoDB Local's."""
    if not arn.startswith(LOCAL_ARN):
        raise UsageError(
            f"{client.target.endpoint} is not DynamoDB Local, so nothing is written there",
            detail=f"the ARNs of its tables begin with {arn.rpartition('/')[0] or 'nothing'}, not with {LOCAL_ARN}",
            hint="name DynamoDB Local: [external] dynamodb",
        )


def refuse_cloud(dynamodb: DynamoTarget) -> None:
    """UsageError for whatever leads to AWS, before anything is written to a store without tables (and so without ARN).

    AWS tells that it is healthy to whoever asks without a signature, and knows a key that was made up for no one.
    """
    from devenv.stores.dynamodb.client import Dynamo

    host, port = host_of(dynamodb.endpoint), urlsplit(dynamodb.endpoint).port
    kind = http.client.HTTPSConnection if dynamodb.endpoint.startswith("https") else http.client.HTTPConnection
    with contextlib.closing(kind(host, port, timeout=5.0)) as connection:
        try:
            connection.request("GET", "/")
            answer = connection.getresponse().read(200)
        except (OSError, http.client.HTTPException) as error:
            raise StoreError(f"{dynamodb.endpoint} does not answer", detail=str(error), reached=False) from None
    stranger = replace(dynamodb, access_key=secrets.token_hex(10), secret_key=secrets.token_hex(20), token="")
    try:
        with Dynamo(stranger) as client:
            client.call("ListTables", {"Limit": 1})
        checked = True
    except StoreError as error:
        if not error.reached:
            raise
        checked = False
    if b"healthy" in answer or not checked:
        raise UsageError(
            f"{dynamodb.endpoint} leads to AWS, so nothing is written there",
            detail="it refused a made-up access key, which DynamoDB Local accepts"
            if not checked
            else answer.decode("utf-8", "replace").strip(),
            hint="name DynamoDB Local: [external] dynamodb",
        )


def make_mark_table(client: Dynamo) -> None:
    """Make the table for marks. Were it elsewhere than thought after all, it goes at once. UsageError."""
    made = client.call(
        "CreateTable",
        {
            "TableName": MARK_TABLE,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        },
    )
    try:
        refuse_arn(client, str(made["TableDescription"].get("TableArn", "")))
    except UsageError:
        with contextlib.suppress(StoreError):
            client.call("DeleteTable", {"TableName": MARK_TABLE})
        raise
