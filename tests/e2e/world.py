"""The world as a user's own programs see it: psycopg and boto3 with what `devenv env` gives, and the process table."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psutil
import psycopg

from devenv.config.load import data_home
from devenv.host.processes import port_is_free
from tests.support import ProjectDir

TABLE = "cruddur-messages"
TELESCOPE = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
LIMIT_S = 60.0


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait until `condition` gives something true, and return it. The limit is reached only by a defect."""
    end = time.monotonic() + LIMIT_S
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain for: {what}"
        time.sleep(0.01)
    return found


def sql(project: ProjectDir, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Rows of one statement, committed."""
    return query(project.env()["DATABASE_URL"], statement, *values)


def query(url: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Rows of one statement at `url`, committed."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement, values or None)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []


def dynamodb(project: ProjectDir) -> Any:
    """A boto3 resource from the project's variables alone."""
    return resource(project.env())


def resource(env: dict[str, str]) -> Any:
    """A boto3 resource from these variables."""
    return boto3.resource(
        "dynamodb",
        endpoint_url=env["AWS_ENDPOINT_URL_DYNAMODB"],
        region_name=env["AWS_REGION"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
    )


def items(project: ProjectDir, table: str = TABLE) -> list[dict[str, Any]]:
    """Every item of a table."""
    return scan(project.env(), table)


def scan(env: dict[str, str], table: str = TABLE) -> list[dict[str, Any]]:
    """Every item of a table."""
    source = resource(env).Table(table)
    found: list[dict[str, Any]] = []
    page = source.scan()
    found += page["Items"]
    while key := page.get("LastEvaluatedKey"):
        page = source.scan(ExclusiveStartKey=key)
        found += page["Items"]
    return found


@dataclass(frozen=True)
class Data:
    """All that both stores hold; a user's generated uuid shows as `<handle>`."""

    users: list[tuple[Any, ...]]
    activities: list[tuple[Any, ...]]
    items: list[list[tuple[str, str]]]


def data(project: ProjectDir) -> Data:
    """What both stores hold now, comparable between projects and runs."""
    env = project.env()
    url = env["DATABASE_URL"]
    users = {str(uuid): f"<{handle}>" for uuid, handle in query(url, "SELECT uuid, handle FROM users")}

    def named(value: Any) -> str:
        return UUID.sub(lambda found: users.get(found[0], found[0]), str(value))

    return Data(
        users=query(url, "SELECT handle, display_name, email, cognito_user_id FROM users ORDER BY handle"),
        activities=query(
            url,
            "SELECT a.uuid, u.handle, a.message, a.likes_count, a.reply_to_activity_uuid, a.created_at"
            " FROM activities a JOIN users u ON u.uuid = a.user_uuid ORDER BY a.uuid",
        ),
        items=sorted(sorted((name, named(value)) for name, value in item.items()) for item in scan(env)),
    )


def orphans(project: ProjectDir) -> set[str]:
    """User uuids in DynamoDB that name no Postgres row."""
    env = project.env()
    known = {str(uuid) for (uuid,) in query(env["DATABASE_URL"], "SELECT uuid FROM users")}
    named = set()
    for item in scan(env):
        named.add(item["user_uuid"])
        if item["pk"].startswith("GRP#"):
            named.add(item["pk"].removeprefix("GRP#"))
    return named - known


def pids(project: ProjectDir) -> dict[str, int]:
    """Service -> pid, as `status` tells."""
    return {service["name"]: service["pid"] for service in project.json("status")["services"]}


def servers(project: ProjectDir) -> dict[str, list[int]]:
    """Store -> pids of the processes that really serve this project's data, whatever devenv believes."""
    home = data_home(project.path.resolve())
    found: dict[str, list[int]] = {"postgres": [], "dynamodb": []}
    for process in psutil.process_iter(["cmdline", "status"]):
        command = process.info["cmdline"] or []
        for name in found:
            if str(home / name) in command and process.info["status"] != psutil.STATUS_ZOMBIE:
                found[name].append(process.pid)
    return found


def processes_of(project: ProjectDir) -> list[str]:
    """Every process that was started for this project, helpers such as initdb included."""
    found = []
    for process in psutil.process_iter():
        try:
            environment, command = process.environ(), process.cmdline()
        except psutil.Error:
            continue
        if environment.get("DEVENV_PROJECT") == str(project.path.resolve()):
            found.append(" ".join(command))
    return found


def listeners(pids: Sequence[int]) -> set[str]:
    """Addresses that these processes and their children listen on."""
    family = set(pids)
    for pid in pids:
        family |= {child.pid for child in psutil.Process(pid).children(recursive=True)}
    return {
        seen.laddr.ip
        for seen in psutil.net_connections("tcp")
        if seen.pid in family and seen.status == psutil.CONN_LISTEN
    }


def free_port() -> int:
    """A port that nobody holds, below those that the system hands out, so that nobody gets it meanwhile."""
    while True:
        port = secrets.randbelow(10_000) + 10_000
        if port_is_free(port):
            return port


def own_ports() -> dict[str, str]:
    """Variables for ports that no other project asks for: a default one may be another worker's after a `down`."""
    return {f"DEVENV_{name}_PORT": str(free_port()) for name in ("POSTGRES", "DYNAMODB", "BACKEND")}


def edit(file: Path, old: str, new: str) -> None:
    """Replace `old` in a file; it must be there."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
