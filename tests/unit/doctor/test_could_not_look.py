"""For every check an input on which it could not look: its row is *not verified* or skipped, and says why.

Layers and steps have the same, each by its registry: tests/unit/test_coverage.py.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from devenv.config.schema import Settings
from devenv.core.errors import StoreError
from devenv.core.lazy import Lazy
from devenv.core.model import DynamoTarget, PostgresTarget, ServiceState, Targets
from devenv.doctor.checks.registry import CHECKS
from devenv.doctor.context import DoctorContext, DoctorFacts
from devenv.doctor.runner import run_checks
from devenv.engines.docker.api import Container
from devenv.engines.docker.inspect import View, Volume
from devenv.links.facts import DynamoFacts, PostgresFacts
from devenv.stores.postgres.catalog import Catalog

TABLE = {
    "TableName": "things",
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
}
BARE: dict[str, Any] = {"project": {"name": "p"}}
LINKS = [{"from": "dynamodb:things.by", "to": "postgres:users.id", "name": "owner"}]
ENTITY = {"thing": {"table": "things", "match": {"id": "{id}"}, "attributes": {"id": "string"}}}
GROUPS = [{"name": "pair", "rows": "thing", "id": "id"}]
UNREADABLE = (ServiceState("backend", "running", pid=7),)
NO_VARIABLES = "your user cannot read the variables of the application (pid 7)"
# Row 1 of a table whose rows were read, and of one whose were not.
READ: Any = {("public", "users"): [{"id": "1"}]}
STOPPED = Container("1", "p-dynamodb-1", "dynamodb", "image", "exited", None, 0, False, None, "", {}, {})
# Of a check that needs both stores, the one that was seen first is named.
EITHER = ") failed"
GONE = ("SVC001 (Postgres answers queries) failed", "SVC002 (DynamoDB answers requests) failed")


def refuse() -> Any:
    raise StoreError("it does not answer")


@dataclass(frozen=True)
class Row:
    """What is declared and seen, and the words of the row. Without `items` (of table things) both stores are gone."""

    says: str
    status: str = "skip"
    settings: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    items: tuple[dict[str, Any], ...] | None = None
    described: Any = None
    rows: Any = field(default_factory=dict)
    table: bool = True


def on_docker(**seen: Any) -> dict[str, Any]:
    return {"look_at_docker": lambda: View("docker", **seen)}


def unread(says: str = NO_VARIABLES, **safety: Any) -> Row:
    """The application runs under another account: its variables cannot be read."""
    return Row(says, "error", {"safety": safety} if safety else {}, {"services": UNREADABLE}, items=())


def demands(says: str, **safety: Any) -> Row:
    return Row(says, "error", {"safety": safety}, items=())


# Of a check that needs others, also an input of its own where there is one: that its needs hold proves nothing of it.
ROWS: dict[str, tuple[Row, ...]] = {
    "ENV001": (Row("no `devenv` is on PATH", changes={"shell": {"PATH": ""}}),),
    "ENV002": (unread(),),
    "ENV003": (unread(),),
    "ENV004": (unread(),),
    "ENV005": (unread(),),
    "ENV006": (unread(), Row("no tables are declared", table=False)),
    "ENV007": (unread(), Row("the project's application is not running")),
    # That a store does not answer is what these two look for: a finding by the contract. Closed, it is not asked.
    "SVC001": (Row("asked only with --allow-remote", "fail", changes={"closed": "asked only with --allow-remote"}),),
    "SVC002": (Row("asked only with --allow-remote", "fail", changes={"closed": "asked only with --allow-remote"}),),
    "SVC003": (Row(EITHER),),
    "SVC009": (Row("the project declares no services of its own"),),
    "SVC004": (Row("DynamoDB Local has no data folder here"),),
    "SVC005": (Row(GONE[0]),),
    "SVC006": (
        Row("no service is running"),
        Row(
            "postgres: it is not known with which source it was started",
            "error",
            changes={
                "own": True,
                "services": (
                    ServiceState("postgres", "running", unsure="it is not known with which source it was started"),
                ),
            },
        ),
        Row(
            "devenv did not start the services that are running",
            changes={"services": (ServiceState("postgres", "running"),)},
        ),
    ),
    "SVC007": (
        Row(GONE[1]),
        Row("DynamoDB is not on this machine", changes={"endpoint": "http://10.0.0.1:8000"}, items=()),
    ),
    "SVC008": (
        Row(GONE[0]),
        Row("asked only with --allow-remote", changes={"closed": "asked only with --allow-remote"}, items=()),
    ),
    "SVC010": (
        Row(GONE[1], changes={"look_at_workers": {"worker": lambda _: refuse()}}),
        Row(
            "worker: it does not answer", "error", changes={"look_at_workers": {"worker": lambda _: refuse()}}, items=()
        ),
    ),
    "SCH001": (Row(GONE[0]), Row("step setup has not run, or is a command of the project", items=())),
    "SCH002": (Row(GONE[1]), Row("no tables are declared", items=(), table=False)),
    "SCH003": (
        Row(GONE[1]),
        Row(
            "no definition of table `things` is known, because a command of the project creates this table",
            settings={"entities": ENTITY},
            items=(),
            table=False,
        ),
    ),
    "SCH004": (Row(GONE[0], settings={"links": LINKS}), Row("no [[links]] are declared", items=())),
    "SCH005": (Row(EITHER),),
    "DAT001": (Row(GONE[1], settings={"entities": ENTITY}), Row("no [entities] are declared", items=())),
    "DAT002": (
        Row("no [entities] and no [[links]] are declared", items=()),
        Row(
            "the rows of link `owner` could not be read, so nothing was compared with them",
            settings={"links": LINKS},
            items=({"id": {"S": "1"}, "by": {"S": "1"}},),
        ),
    ),
    "DAT003": (Row("no [entities] are declared", items=()),),
    "DAT004": (
        Row("no [entities] and no [[links]] are declared", items=()),
        Row(
            "could not be read, so nothing was compared",
            settings={"links": LINKS},
            items=({"id": {"S": "1"}, "by": {"S": "1"}},),
        ),
    ),
    "DAT005": (Row("no [entities] declare an attribute of type time", settings={"entities": ENTITY}, items=()),),
    "DAT006": (
        Row("no [[groups]] declare a time", settings={"entities": ENTITY, "groups": GROUPS}, items=()),
        Row("no [[groups]] are declared", items=()),
    ),
    "DAT007": (
        Row("neither `unique` of [entities] nor [[groups]] are declared", settings={"entities": ENTITY}, items=()),
    ),
    "DAT008": (Row("no [[groups]] are declared", items=()),),
    "DAT009": (Row("no [[groups]] declare an owner", settings={"entities": ENTITY, "groups": GROUPS}, items=()),),
    "DAT010": (
        Row("no [[groups]] declare entries and their time", settings={"entities": ENTITY, "groups": GROUPS}, items=()),
    ),
    "DAT011": (Row("no natural_key is declared", settings={"links": LINKS}, items=()),),
    "DAT012": (
        Row(GONE[0], settings={"links": LINKS}),
        Row("no linked table has a text column", settings={"links": LINKS}, items=(), rows=READ),
    ),
    "DAT013": (Row("no natural_key is declared", settings={"links": LINKS}, items=()),),
    "DAT014": (
        Row(
            "pattern `p` is not checked: table `things` has no index `by-owner`",
            "error",
            {
                "patterns": {
                    "p": {"table": "things", "index": "by-owner", "key": {"by": "{who}"}, "expected": {"at_least": 1}}
                }
            },
            items=(),
        ),
        Row(
            "pattern `p` is not checked: table `others` is not known",
            "error",
            {"patterns": {"p": {"table": "others", "key": {"id": "{who}"}, "expected": {"at_least": 1}}}},
            items=(),
        ),
        Row(
            "no item has a key of pattern `p`",
            settings={"patterns": {"p": {"table": "things", "key": {"id": "USER#{who}"}, "expected": {"at_least": 1}}}},
            items=({"id": {"S": "1"}},),
        ),
    ),
    "DAT015": (Row("not valid in this version of Python, so not read: old.py", "error"),),
    "DAT016": (Row(GONE[1]), Row("no table has a time to live", items=())),
    "XST001": (
        Row(
            "link `owner` finds no id in 1 item",
            "error",
            {"links": LINKS},
            items=({"id": {"S": "1"}, "by": {"B": "AA=="}},),
            rows=READ,
        ),
        Row("the links find no id in any of 1 item", "error", {"links": LINKS}, items=({"id": {"S": "1"}},), rows=READ),
    ),
    "XST002": (Row("no natural_key is declared", settings={"links": LINKS}, items=()),),
    "XST003": (Row("no copies are declared", settings={"links": LINKS}, items=()),),
    "XST004": (
        Row("no links between the stores are declared (no [entities] and no [[links]])", "error"),
        # Entities compare nothing across the stores: without Postgres it is not known that there is one store only.
        Row("no links between the stores are declared (entities: thing; links: none)", "error", {"entities": ENTITY}),
    ),
    "SAF001": (
        Row("no service of the project listens"),
        Row(
            "cannot see on which addresses postgres listens",
            "error",
            changes={"services": (ServiceState("postgres", "running", pid=7, port=5432),)},
        ),
    ),
    "SAF002": (Row("there are no files with secrets yet"),),
    "SAF003": (
        Row(
            "no definition of table `things` is known, and DynamoDB has no such table",
            "error",
            {"entities": ENTITY, "safety": {"deletion_protection": True}},
            items=(),
            described={"things": None},
            table=False,
        ),
        Row("no tables are declared", settings={"safety": {"deletion_protection": True}}, items=(), table=False),
    ),
    "SAF004": (unread(regions=["us-east-1"]),),
    "SAF005": (
        Row(
            "no definition states the encryption key of table `things`",
            "error",
            {"entities": ENTITY, "safety": {"encryption_at_rest": "customer-managed"}},
            items=(),
            described={"things": None},
            table=False,
        ),
        Row("no tables are declared", settings={"safety": {}}, items=(), table=False),
    ),
    "SAF006": (unread(tls=True),),
    "SAF007": (
        Row(GONE[1], settings={"entities": ENTITY, "safety": {"encrypted": ["thing.secret"]}}),
        Row(
            "no item has thing.secret",
            "error",
            {"entities": ENTITY, "safety": {"encrypted": ["thing.secret"]}},
            items=({"id": {"S": "1"}},),
        ),
    ),
    "SAF008": (
        demands("no file of [safety] backups names table `things`", point_in_time_recovery=True),
        Row("no tables are declared", settings={"safety": {"point_in_time_recovery": True}}, items=(), table=False),
    ),
    "SAF009": (demands("the project's files were not searched", no_user_keys=True),),
    "SAF010": (demands("the AWS account was not read, and no template has a trail", cloudtrail=True),),
    "SAF011": (demands("no template has a VPC endpoint", vpc_endpoint=True),),
    "SAF012": (demands("no template has a user or a group", no_users=True),),
    "SAF013": (unread(private_path=True), demands("no template has a Site-to-Site VPN", private_path=True)),
    "DRF001": (Row("the AWS account was not read", "error", changes={"asks_drift": True}),),
    "DRF002": (Row("the AWS account was not read", "error", changes={"asks_drift": True}),),
    "DOC001": (Row("checked on engine `docker` only"),),
    "DOC002": (Row("Docker Compose was not looked for", "error", changes=on_docker()),),
    "DOC003": (Row("the project's compose file names the images", changes=on_docker()),),
    "DOC004": (Row("cannot see how much space is free in /d", changes=on_docker(folder="/d")),),
    "DOC005": (Row("no container of the project is running", changes=on_docker()),),
    "DOC006": (Row("no container of the project is running", changes=on_docker(containers=(STOPPED,))),),
    "DOC007": (
        Row("no container of DynamoDB Local with a volume", changes=on_docker()),
        Row("cannot see who owns data", changes=on_docker(volumes=(Volume("dynamodb", "data", None, None, None),))),
    ),
    "DOC008": (
        Row("the project has used only one engine"),
        Row(
            "Docker could not be searched",
            changes={"look_at_docker": lambda: View("embedded", unasked="no permission")},
        ),
    ),
}


@pytest.fixture
def nowhere() -> Iterator[int]:
    """A port that nothing listens at, and nothing else gets."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


def facts_of(row: Row, port: int, root: Path) -> DoctorFacts:
    changes = dict(row.changes)
    closed, own = changes.pop("closed", None), changes.pop("own", False)
    endpoint = changes.pop("endpoint", f"http://127.0.0.1:{port}")
    targets = Targets.of(
        PostgresTarget("127.0.0.1", port, "p", "p", "d", closed=closed, own=own),
        DynamoTarget(endpoint, "us-east-1", "k", "s", closed=closed),
    )
    settings = msgspec.convert({**BARE, **row.settings}, Settings)
    context = DoctorContext(settings, root, targets, (), {}, {}, tables={"things": TABLE} if row.table else {})
    facts = DoctorFacts(replace(context, **changes))
    if row.items is not None:
        items = row.items
        described = row.described if row.described is not None else dict.fromkeys(facts.table_names, TABLE)
        facts.described = Lazy(lambda: described)
        facts.dynamodb = Lazy(lambda: DynamoFacts(described, {"things": items}))
        facts.postgres = Lazy(lambda: PostgresFacts("1", Catalog(), None, row.rows, {}, Catalog()))
        facts.ttl = Lazy(dict)
    return facts


@pytest.mark.parametrize(
    ("code", "row"),
    [pytest.param(code, row, id=f"{code}-{row.says[:24]}") for code, rows in ROWS.items() for row in rows],
)
def test_a_check_that_could_not_look_says_why(nowhere: int, tmp_path: Path, code: str, row: Row) -> None:
    (tmp_path / "old.py").write_text("print 'KeyCondition'\nclient.query(KeyConditionExpression='pk = :p')\n")
    facts = facts_of(row, nowhere, tmp_path)
    if row.items is None:  # the stores are gone: as the run has it, with what the check needs
        found = {one.code: one for one in run_checks(CHECKS, facts)}[code]
    else:
        (check,) = [check for check in CHECKS if check.code == code]
        found = check.run(facts)  # type: ignore[assignment]
    assert (found.status, row.says in found.evidence) == (row.status, True), found


def test_every_check_has_a_row() -> None:
    assert ROWS.keys() == {check.code for check in CHECKS}
    assert {code for code, rows in ROWS.items() if any(row.status not in ("skip", "error") for row in rows)} == {
        "SVC001",
        "SVC002",
    }
