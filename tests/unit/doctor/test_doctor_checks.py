"""The pure parts of the checks: schema differences, file rights, addresses, column names, the bundle."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from devenv.config.schema import Settings
from devenv.core.model import DynamoTarget, PostgresTarget, ServiceState, Targets, result_of
from devenv.doctor.bundle import make_bundle
from devenv.doctor.checks.check import failed
from devenv.doctor.checks.environment import is_ours
from devenv.doctor.checks.registry import CHECKS
from devenv.doctor.checks.schema import diff_catalog, diff_links
from devenv.doctor.checks.services import can_write
from devenv.doctor.context import DoctorContext
from devenv.doctor.runner import make_report, select
from devenv.host.addresses import is_loopback
from devenv.links.facts import is_naming
from devenv.stores.postgres.catalog import Catalog, Column, Constraint, Index, Table
from tests.shapes import PLAN

USERS = Table(
    "public",
    "users",
    columns=(Column("uuid", "uuid", True), Column("handle", "text", True), Column("display_name", "text")),
    constraints=(Constraint("users_pkey", "primary", "PRIMARY KEY (uuid)", ("uuid",)),),
    indexes=(Index("users_handle", "CREATE UNIQUE INDEX …", ("handle",)),),
)


def users(*columns: Column, **changes: Any) -> Catalog:
    """A catalog with one table, some of its columns replaced (type "": taken away)."""
    given = {column.name: column for column in columns}
    kept = tuple(given.get(c.name, c) for c in USERS.columns if given.get(c.name, c).type)
    return Catalog((replace(USERS, columns=kept, **changes),))


@pytest.mark.parametrize(
    ("found", "differences"),
    [
        (users(), []),
        (Catalog((*users().tables, Table("public", "extra"))), []),
        (Catalog((replace(USERS, columns=(*USERS.columns, Column("extra", "text"))),)), []),
        (Catalog(), [("public.users", "table public.users is missing")]),
        (users(Column("handle", "")), [("public.users.handle", "column public.users.handle is missing")]),
        (
            users(Column("uuid", "integer", True)),
            [("public.users.uuid", "column public.users.uuid is integer; declared: uuid")],
        ),
        (
            users(Column("handle", "text")),
            [("public.users.handle", "column public.users.handle allows NULL; declared: NOT NULL")],
        ),
        (
            users(constraints=()),
            [("public.users users_pkey", "constraint users_pkey of public.users is missing: PRIMARY KEY (uuid)")],
        ),
        (users(indexes=()), [("public.users users_handle", "index users_handle of public.users is missing")]),
    ],
)
def test_what_is_declared_and_otherwise(found: Catalog, differences: list[tuple[str, str]]) -> None:
    assert list(diff_catalog(users(), found)) == differences


@pytest.mark.parametrize(
    ("found", "subjects"),
    [
        (users(), []),
        (Catalog(), ["public.users"]),
        (users(Column("handle", "")), ["public.users.handle"]),
        (users(Column("uuid", "integer")), ["public.users.uuid", "public.users.uuid"]),
        (users(Column("uuid", "text")), []),
    ],
)
def test_links_to_columns_that_are_not_there(found: Catalog, subjects: list[str]) -> None:
    assert [subject for subject, _ in diff_links(PLAN, found)] == subjects


@pytest.mark.parametrize(
    ("ip", "private"),
    [
        *((ip, True) for ip in ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1")),
        *((ip, False) for ip in ("0.0.0.0", "::", "192.168.1.4", "fe80::1%eth0")),
    ],
)
def test_addresses_that_only_this_machine_reaches(ip: str, private: bool) -> None:
    assert is_loopback(ip) is private


@pytest.mark.parametrize(
    ("name", "type_name", "naming"),
    [
        ("cognito_user_id", "text", True),
        ("authSub", "character varying(40)", True),
        ("email", "text", True),
        ("apiKey", "text", True),
        ("display_name", "text", False),
        ("bio", "text", False),
        ("width", "text", False),
        ("user_id", "uuid", False),
    ],
)
def test_columns_that_name_another_userwhere(name: str, type_name: str, naming: bool) -> None:
    assert is_naming(name, type_name) is naming


def test_who_may_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    owner = tmp_path.stat().st_uid
    assert can_write(tmp_path, owner)
    assert can_write(tmp_path, 0)
    assert not can_write(tmp_path, 54321)
    tmp_path.chmod(0o702)
    assert can_write(tmp_path, 54321)
    tmp_path.chmod(0o700)


def test_which_program_is_this_one(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours", tmp_path / "other"
    ours.write_text("#!/usr/bin/python\nfrom devenv.cli.app import main\n")
    other.write_text("#!/usr/bin/env bash\nexec nix develop\n")
    assert is_ours(ours)
    assert not is_ours(other)
    assert is_ours(Path(sys.executable).parent / "devenv")


def test_the_bundle_has_no_secret_no_address_and_nothing_of_the_stores(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "started with pw-of-this-project\n"
        "ERROR: duplicate key for 'Ada North'\n"
        "DETAIL: Key (email)=(ada@example.com) exists\n"
        "STATEMENT: INSERT INTO users VALUES ('Ada North')\n"
        "user ada@example.com\n"
    )
    context = DoctorContext(
        settings=msgspec.convert({"project": {"name": "p"}, "env": {"API_TOKEN": "token-in-settings"}}, Settings),
        root=tmp_path,
        targets=Targets.of(
            PostgresTarget("127.0.0.1", 1, "u", "pw-of-this-project"),
            DynamoTarget("http://127.0.0.1:1", "r", "k", "secret-of-dynamodb"),
            key="signing-key",
        ),
        services=(ServiceState("postgres", "running", version="18.6"),),
        environment={"AUTH_SECRET": "signing-key"},
        shell={
            "AWS_SECRET_ACCESS_KEY": "real-aws-secret",
            "AWS_PROFILE": "work",
            "LETTER": "dear",
            "PGPASSWORD": "pgpass",
        },
        origins={"project.name": "devenv.toml"},
        logs={"postgres": log, "backend": tmp_path / "none"},
    )
    (check,) = select(CHECKS, ["XST001"], [])
    evidence = "1 in 2 items: 123 (user_handle ada) names no row"
    row = result_of(check, failed(evidence, subjects=["123"]), 1.0)
    text = make_bundle(context, make_report(context, [row], "fail"))
    for hidden in (
        "pw-of-this-project",
        "signing-key",
        "secret-of-dynamodb",
        "real-aws-secret",
        "token-in-settings",
        "pgpass",
        "ada@example.com",
        "Ada North",
        "user_handle ada",
        "dear",
    ):
        assert hidden not in text
    bundle = json.loads(text)
    assert bundle["schema"] == "devenv.bundle/1"
    assert bundle["report"]["checks"][0]["evidence"] == "1 in 2 items"
    assert bundle["shell"]["values"]["AWS_PROFILE"] == "work"
    assert "LETTER" in bundle["shell"]["others"]
    assert {"key": "project.name", "value": "p", "origin": "devenv.toml"} in bundle["settings"]
    assert bundle["versions"]["postgres"] == "18.6"
    assert bundle["logs"]["postgres"][0] == "started with ****"
    assert bundle["logs"]["backend"] == []
