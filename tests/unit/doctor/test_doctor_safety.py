"""doctor's group `safety`: what `[safety]` demands, held against definitions, variables and files. No stores."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from devenv.config.parse import parse, schema
from devenv.config.schema import Safety, Settings
from devenv.core.errors import Exit, UsageError
from devenv.core.model import DynamoTarget, Listener, PostgresTarget, Report, ServiceState, Targets
from devenv.doctor.checks.protection import find_keys, key_owner, why_plain
from devenv.doctor.checks.registry import CHECKS
from devenv.doctor.checks.safety import run_listeners
from devenv.doctor.checks.safety_files import encrypted_attributes, read_backups, search_keys
from devenv.doctor.context import DoctorContext, DoctorFacts
from devenv.doctor.runner import diagnose
from devenv.host.files import list_files, read_text
from tests.shapes import MESSAGING_TABLE, messaging_settings

TABLE = "letters"
# In two parts, so that this file itself holds no key.
KEY = "AKIA" + "Q3EGRF7ZK2LM5N6P"
SECRET = "tDk93+AbQz/7LmWc5xYv" + "Hn2RfGj8KpSe4UaBq1Zo"
PUBLIC_ENDPOINT = "http://10.9.8.7:8000"
CODES = ("SAF003", "SAF004", "SAF005", "SAF006", "SAF007", "SAF008", "SAF009")


def context(
    safety: Mapping[str, Any] | None,
    *,
    request: Mapping[str, Any] | None = None,
    region: str = "eu-central-1",
    environment: Mapping[str, str] | None = None,
    root: Path = Path(),
    **more: Any,
) -> DoctorContext:
    """What doctor is told of a project with one table, whose stores are on this machine and need not run."""
    tree = {**messaging_settings(TABLE, "letters"), "dynamodb": {"region": region}, "env": dict(environment or {})}
    settings = msgspec.convert({**tree, **({"safety": safety} if safety is not None else {})}, Settings)
    url = {"DATABASE_URL": "postgresql://me:pw@127.0.0.1:5/letters", "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:8"}
    variables = {**url, "AWS_REGION": region, **(environment or {})}
    readers: dict[str, Any] = {}
    if settings.safety is not None:
        readers["read_backups"] = partial(read_backups, settings.safety, root)
        readers["search_keys"] = partial(search_keys, settings.safety, root, root / "home")
    return DoctorContext(
        settings=settings,
        root=root,
        targets=Targets.of(
            PostgresTarget("127.0.0.1", 5, "me", "pw", "letters"),
            DynamoTarget("http://127.0.0.1:8", region, "key", "secret"),
        ),
        services=(ServiceState("postgres", "stopped"), ServiceState("dynamodb", "stopped")),
        environment=variables,
        tables={TABLE: {"TableName": TABLE, **MESSAGING_TABLE, **(request or {})}},
        **{"shell": {"PATH": ""}, **readers, **more},
    )


def row(code: str, *arguments: Any, **more: Any) -> dict[str, Any]:
    """The row of one check."""
    report = diagnose(context(*arguments, **more), only=[code])
    (found,) = [each for each in report.body["checks"] if each["code"] == code]
    return found


def text(found: Mapping[str, Any]) -> str:
    return f"{found['status']}: {found['evidence']}"


def test_without_the_section_nothing_is_required() -> None:
    report = diagnose(context(None), only=[code for code in CODES if code != "SAF007"])
    assert {each["status"] for each in report.body["checks"]} == {"skip"}
    assert all("[safety] is not configured" in each["evidence"] for each in report.body["checks"])
    assert (report.exit_code, report.body["verdict"]) == (Exit.DONE, "healthy")


def test_what_is_not_verified_is_not_healthy() -> None:
    report: Report = diagnose(context({"point_in_time_recovery": True}), only=["SAF008"])
    assert (report.exit_code, report.body["verdict"]) == (Exit.UNCHECKED, "not_verified")


@pytest.mark.parametrize(
    ("safety", "told"),
    [
        ({"region": ["eu-central-1"]}, "did you mean `regions`?"),
        ({"regions": ["Europe"]}, "safety.regions[0]"),
        ({"encryption_at_rest": "strong"}, "safety.encryption_at_rest"),
        ({"encrypted": ["message"]}, "safety.encrypted[0]"),
    ],
)
def test_the_section_is_typed(safety: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as error:
        parse({"project": {"name": "x"}, "safety": safety}, Path("devenv.toml"))
    assert told in f"{error.value.detail} {error.value.hint}"
    assert "Safety" in schema()["$defs"]


def test_every_code_has_its_page() -> None:
    found = {check.code: check for check in CHECKS if check.group == "safety"}
    assert set(CODES) < set(found)
    assert all("Fix:" in found[code].explain for code in CODES)


# --- SAF003, SAF005, SAF008: tables


KMS = {"Enabled": True, "SSEType": "KMS"}
OWN_KMS = {**KMS, "KMSMasterKeyId": "arn:aws:kms:eu-central-1:123456789012:key/0a1b"}


@pytest.mark.parametrize(
    ("code", "safety", "request_", "expected"),
    [
        ("SAF003", {}, {}, "skip: not run: not configured"),
        ("SAF003", {"deletion_protection": True}, {"DeletionProtectionEnabled": True}, "ok: DeletionProtectionEnabled"),
        ("SAF003", {"deletion_protection": True}, {}, "fail: table `letters`: its definition has no Deletion"),
        ("SAF003", {"deletion_protection": True}, {"DeletionProtectionEnabled": False}, "fail: table `letters`"),
        (
            "SAF005",
            {},
            {},
            "ok: table `letters`: aws-owned, according to its definition; DynamoDB Local's own files are not encrypted",
        ),
        (
            "SAF005",
            {"encryption_at_rest": "aws-managed"},
            {"SSESpecification": KMS},
            "ok: table `letters`: aws-managed",
        ),
        (
            "SAF005",
            {"encryption_at_rest": "aws-managed"},
            {"SSESpecification": OWN_KMS},
            "ok: table `letters`: customer-m",
        ),
        (
            "SAF005",
            {"encryption_at_rest": "aws-managed"},
            {},
            "fail: the encryption key of table `letters` is aws-owned, according to its definition",
        ),
        (
            "SAF005",
            {"encryption_at_rest": "aws-managed"},
            {"SSESpecification": {"Enabled": False}},
            "fail: the encryption key of table",
        ),
        (
            "SAF005",
            {"encryption_at_rest": "customer-managed"},
            {"SSESpecification": KMS},
            "fail: the encryption key of table `letters`",
        ),
        ("SAF008", {}, {}, "skip: not run: not configured"),
        ("SAF008", {"point_in_time_recovery": True}, {}, "error: not verified: DynamoDB Local has no backups"),
    ],
)
def test_tables_by_their_definitions(
    code: str, safety: Mapping[str, Any], request_: Mapping[str, Any], expected: str
) -> None:
    assert text(row(code, safety, request=request_)).startswith(expected)


@pytest.mark.parametrize(
    ("on", "expected"),
    [(True, "ok: table `letters`, according to [safety] backups"), (False, "fail: point-in-time recovery of table")],
)
def test_recovery_by_the_declared_requests(tmp_path: Path, on: bool, expected: str) -> None:
    request = {"TableName": "letters", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": on}}
    (tmp_path / "letters.json").write_text(json.dumps(request))
    safety = {"point_in_time_recovery": True, "backups": ["*.json"]}
    assert text(row("SAF008", safety, root=tmp_path)).startswith(expected)


def test_a_file_that_is_no_request_for_backups_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letters.json").write_text('{"TableName": "letters"}')
    with pytest.raises(UsageError, match="not a request for continuous backups"):
        read_backups(Safety(backups=["*.json"]), tmp_path)


def test_a_table_in_aws_does_not_tell_whose_kms_key_it_has() -> None:
    assert key_owner({"SSEDescription": {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": "arn:…"}}) == (
        "aws-managed"
    )


# --- SAF004: regions


@pytest.mark.parametrize(
    ("more", "outside"),
    [
        ({}, []),
        ({"region": "us-east-1"}, ["us-east-1"]),
        ({"environment": {"BACKUP_REGION": "ap-south-1"}}, ["ap-south-1"]),
        ({"environment": {"BUCKET": "https://s3.us-west-2.amazonaws.com/x"}}, ["us-west-2"]),
        ({"environment": {"PGHOST_PROD": "db.abc.eu-central-1.rds.amazonaws.com"}}, []),
        ({"application": {"AWS_REGION": "us-east-1"}}, ["us-east-1"]),
        ({"shell": {"AWS_REGION": "us-east-1"}}, []),
        ({"shell": {"AWS_ENDPOINT_URL_DYNAMODB": "https://dynamodb.us-east-2.amazonaws.com"}}, ["us-east-2"]),
        ({"request": {"SSESpecification": {"KMSMasterKeyId": "arn:aws:kms:us-east-1:1:key/2"}}}, ["us-east-1"]),
        ({"request": {"Replicas": [{"RegionName": "sa-east-1"}]}}, ["sa-east-1"]),
    ],
)
def test_regions_that_are_named(more: dict[str, Any], outside: list[str]) -> None:
    found = row("SAF004", {"regions": ["eu-central-1"]}, **more)
    assert list(found["subjects"]) == outside, text(found)
    assert found["status"] == ("fail" if outside else "ok")


# --- SAF006: TLS


@pytest.mark.parametrize(
    ("variables", "open_"),
    [
        ({"API": "http://127.0.0.1:80", "OTHER": "http://[::1]:9", "LOCAL": "http://localhost:5"}, []),
        ({"SEARCH": "https://10.9.8.7"}, []),
        ({"SEARCH": PUBLIC_ENDPOINT}, ["SEARCH"]),
        ({"READER": "postgresql://me:hunter2@10.9.8.7/x"}, ["READER"]),
        ({"READER": "postgresql://me:hunter2@10.9.8.7/x?sslmode=verify-full"}, []),
        ({"READER": "postgresql://me:hunter2@10.9.8.7/x?sslmode=prefer"}, ["READER"]),
        ({"READER": "postgresql+psycopg://me:hunter2@10.9.8.7/x", "PGSSLMODE": "require"}, []),
        ({"PGHOST": "10.9.8.7"}, ["PGHOST"]),
        ({"PGHOST": "/run/postgresql", "ODD": "http://[bad"}, []),
    ],
)
def test_what_leaves_the_machine_without_tls(variables: dict[str, str], open_: list[str]) -> None:
    found = row("SAF006", {}, environment=variables)
    assert list(found["subjects"]) == open_, text(found)
    assert found["status"] == ("fail" if open_ else "ok")
    assert "hunter2" not in text(found)
    assert row("SAF006", {"tls": False}, environment=variables)["status"] == "skip"


def test_the_shell_is_asked_too() -> None:
    found = row("SAF006", {}, shell={"AWS_ENDPOINT_URL_S3": PUBLIC_ENDPOINT, "UNRELATED": PUBLIC_ENDPOINT})
    assert list(found["subjects"]) == ["AWS_ENDPOINT_URL_S3"]


# --- SAF007: values


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ({"S": "hello"}, True),
        ({"N": "7"}, True),
        ({"B": "aGVsbG8="}, True),  # hello
        ({"B": "w6RiYwo="}, True),  # äbc and a line break
        ({"B": "//4BAgMEBQYHCAkK"}, False),
    ],
)
def test_values_that_can_be_read(value: dict[str, str], plain: bool) -> None:
    assert (why_plain(value) is not None) is plain


def test_an_entity_that_no_one_declared_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no"):
        encrypted_attributes(context({"encrypted": ["lettre.message"]}).settings)


# --- SAF009: keys


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (f"AWS_ACCESS_KEY_ID={KEY}", f"access key id AKIA…{KEY[-4:]}"),
        (f"aws_secret_access_key = {SECRET}", "secret access key ****"),
        (f'"SecretAccessKey": "{SECRET}",', "secret access key ****"),
        (f"boto3.client('dynamodb', aws_secret_access_key='{SECRET}')", "secret access key ****"),
        (f"      AWS_SECRET_ACCESS_KEY: {SECRET}", "secret access key ****"),
        ("AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", None),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None),
        ("AWS_SECRET_ACCESS_KEY=" + "x" * 40, None),
        ("AWS_SECRET_ACCESS_KEY=${AWS_SECRET_ACCESS_KEY}", None),
        ("AWS_ACCESS_KEY_ID=local", None),
        ("ASIA" + KEY[4:], None),
        (f"aws_secret_access_key_hash = {'ab12' * 16}", None),
    ],
)
def test_keys_in_a_line(line: str, what: str | None) -> None:
    found = find_keys("f", f"first\n{line}\n")
    assert [str(leak) for leak in found] == ([f"f:2: {what}"] if what else [])


def in_git(root: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run(["git", "add", "tracked.py", "blob.bin"], cwd=root, check=True)


def outside_git(root: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("where", "files"),
    [
        pytest.param(in_git, [".env", "backend/.env", "tracked.py"], marks=pytest.mark.needs_git),
        (outside_git, [".env", "backend/.env", "notes.txt", "tracked.py"]),
    ],
)
def test_which_files_are_searched(tmp_path: Path, where: Callable[[Path], None], files: list[str]) -> None:
    (tmp_path / "backend").mkdir()
    (tmp_path / ".venv").mkdir()
    for name in ("tracked.py", "notes.txt", ".env", "backend/.env", ".venv/x.py", "blob.bin"):
        (tmp_path / name).write_text(("\0" if name == "blob.bin" else "") + KEY)
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.write_text(KEY)
    (tmp_path / "link.py").symlink_to(outside)
    where(tmp_path)
    found = row("SAF009", {}, root=tmp_path)
    assert found["status"] == "fail"
    assert sorted(found["subjects"]) == files
    assert KEY not in str(found)
    aside = row("SAF009", {"user_keys_except": ["*.env", "*.py", "*.txt"]}, root=tmp_path)
    assert aside["status"] == "ok"


@pytest.mark.needs_git
def test_the_users_own_credentials_are_looked_at_only_when_that_is_asked(tmp_path: Path) -> None:
    (tmp_path / "home" / ".aws").mkdir(parents=True)
    (tmp_path / "home" / ".aws" / "credentials").write_text(f"aws_access_key_id = {KEY}\n")
    (tmp_path / ".gitignore").write_text("home\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    assert row("SAF009", {"user_keys_except": ["home/*"]}, root=tmp_path)["status"] == "ok"
    found = row("SAF009", {"user_keys_except": ["home/*"], "credentials_file": True}, root=tmp_path)
    assert list(found["subjects"]) == ["~/.aws/credentials"]


def test_a_text_that_is_too_large_is_not_verified(tmp_path: Path) -> None:
    (tmp_path / "dump.sql").write_text("x" * 1_100_000)
    assert text(row("SAF009", {}, root=tmp_path)).startswith("error: not verified: dump.sql (too large)")


def test_files_are_read_without_being_led_astray(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("text")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert [str(path) for path in list_files(tmp_path).files] == ["a"]
    assert list_files(tmp_path, most=0).cut
    assert read_text(tmp_path / "pipe") is None
    with pytest.raises(OSError):
        read_text(tmp_path / "loop")


@pytest.mark.parametrize(
    ("service", "command", "says"),
    [
        ("backend", "devenv restart backend", "backend chooses the address that it listens on"),
        ("web", "devenv restart web", "web chooses the address that it listens on"),
        ("dynamodb", "devenv down && devenv up", "devenv, which binds to 127.0.0.1"),
        ("cache", "devenv down && devenv up", "devenv, which binds to 127.0.0.1"),
    ],
)
def test_a_process_of_the_project_that_listens_everywhere_is_not_only_restarted(
    service: str, command: str, says: str
) -> None:
    """devenv gives it no address: started again it would listen as before."""
    services = {"web": {"command": ["node", "web.js"]}, "cache": {"kind": "redis"}}
    settings = msgspec.convert({**messaging_settings(TABLE, "letters"), "services": services}, Settings)
    known = replace(context(None), settings=settings, listeners=lambda: [Listener(service, "::", 3000)])
    found = run_listeners(DoctorFacts(known))
    assert found.fix is not None
    assert found.fix.command == command
    assert says in found.fix.text
