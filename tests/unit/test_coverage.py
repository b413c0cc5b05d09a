"""A ✓ says what was looked at: for every check, layer and step an input on which it could not look."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from devenv.config.schema import Settings
from devenv.core.errors import Exit, StoreError
from devenv.core.lazy import Lazy
from devenv.core.model import DynamoTarget, Failure, PostgresTarget, ServiceState, Targets
from devenv.doctor.checks.registry import CHECKS
from devenv.doctor.context import DoctorContext, DoctorFacts
from devenv.doctor.runner import diagnose, run_checks
from devenv.links.facts import DynamoFacts, PostgresFacts
from devenv.steps.ledger import Ledger
from devenv.steps.registry import STEPS, Step, StepContext
from devenv.stores.postgres.catalog import Catalog
from devenv.trace.judge.verdict import judge
from devenv.trace.layers.registry import LAYERS
from devenv.trace.observation import (
    Answer,
    HttpObservation,
    LibraryObservation,
    Observation,
    Observations,
    PatternObservation,
)
from devenv.trace.report import unverified
from tests.shapes import SETTINGS
from tests.unit.trace.judged import HEALTHY, MEMBER, RAN, SUBJECT

GONE = Failure("nobody answers")
UNASKED = "the user is not known"


@pytest.fixture
def nowhere() -> Iterator[int]:
    """A port that nothing listens at, and nothing else gets."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


def context(port: int, root: Path, settings: dict[str, Any]) -> DoctorContext:
    targets = Targets.of(
        PostgresTarget("127.0.0.1", port, "p", "p", "d"), DynamoTarget(f"http://127.0.0.1:{port}", "r", "k", "s")
    )
    services = (ServiceState("postgres", "stopped"), ServiceState("dynamodb", "stopped"))
    return DoctorContext(msgspec.convert(settings, Settings), root, targets, services, {}, {})


def test_no_check_holds_of_stores_that_do_not_answer(nowhere: int, tmp_path: Path) -> None:
    """Every check is in one of three groups: it fails, it is skipped with the reason, or it never asks a store."""
    found = {f.code: f for f in run_checks(CHECKS, DoctorFacts(context(nowhere, tmp_path, SETTINGS)))}
    # These look at variables, at files of the machine, and at what is declared.
    local = {"XST004", *(check.code for check in CHECKS if check.group == "environment")}
    assert {code for code, finding in found.items() if finding.status == "ok"} <= local
    for code, finding in found.items():
        assert finding.status == "ok" or finding.evidence, f"{code} is {finding.status} and does not say why"
    report = diagnose(context(nowhere, tmp_path, SETTINGS))
    assert report.body["verdict"] == "unhealthy"


def refused(*_: Any) -> Any:
    raise StoreError("it does not answer")


ROW = {"links": [{"from": "dynamodb:things.by", "to": "postgres:users.id", "name": "owner"}]}
UNREAD = [{"id": {"S": "1"}, "by": {"B": "AAEC"}}]
OLD_PYTHON = "print 'KeyCondition'\nclient.query(KeyConditionExpression='pk = :p')\n"
RUNNING = (ServiceState("cache", "running"), ServiceState("worker", "running"), ServiceState("issuer", "running"))


@pytest.mark.parametrize(
    ("code", "changes", "status", "says"),
    [
        ("SVC010", {"look_at_workers": {"worker": refused}}, "error", "not verified: worker: it does not answer"),
        ("SVC009", {"ask_ready": {"cache": refused}}, "fail", "cache is not ready: it does not answer"),
        ("SVC009", {"ask_ready": {"issuer": refused}}, "fail", "issuer is not ready: it does not answer"),
        ("SVC009", {"ask_ready": {"gone": refused}}, "fail", "gone is stopped"),
        ("SVC006", {"services": ()}, "skip", "no service is running"),
        ("DAT015", {}, "error", "not verified: not valid in this version of Python, so not read: old.py"),
        ("DAT016", {}, "skip", "no table has a time to live"),
        ("XST001", {}, "error", "link `owner` finds no id in 1 item"),
    ],
)
def test_a_check_that_could_not_look_says_why(
    nowhere: int, tmp_path: Path, code: str, changes: dict[str, Any], status: str, says: str
) -> None:
    """The checks whose input is more than the two stores. What they need of the stores is given, and answers."""
    (tmp_path / "old.py").write_text(OLD_PYTHON)
    told = replace(context(nowhere, tmp_path, {**BARE, **ROW}), **{"services": RUNNING, **changes})
    facts = DoctorFacts(told)
    facts.described = Lazy(lambda: {"things": THINGS})
    facts.dynamodb = Lazy(lambda: DynamoFacts({"things": THINGS}, {"things": UNREAD}))
    facts.postgres = Lazy(lambda: PostgresFacts("1", Catalog(), None, {("public", "users"): []}, {}, Catalog()))
    facts.ttl = Lazy(dict)
    (check,) = [check for check in CHECKS if check.code == code]
    found = check.run(facts)
    assert (found.status, says in found.evidence) == (status, True), found


BARE: dict[str, Any] = {"project": {"name": "p"}}
THINGS = {
    "TableName": "things",
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
}


@pytest.mark.parametrize(
    ("settings", "status", "says"),
    [
        (BARE, "error", "no links between the stores are declared"),
        ({**BARE, "patterns": {"p": {"table": "t"}}}, "error", "no links between the stores are declared"),
        ({"project": {"name": "p", "cross_store": False}}, "skip", "[project] cross_store is false"),
        (
            {**BARE, "links": [{"from": "dynamodb:t.a", "to": "postgres:u.b", "name": "owner"}]},
            "ok",
            "entities: none; links: owner",
        ),
        ({**BARE, "entities": {"e": {"table": "t"}}}, "error", "(entities: e; links: none)"),
        (
            {"project": {"name": "p", "cross_store": False}, "entities": {"e": {"table": "t"}}},
            "skip",
            "[project] cross_store is false",
        ),
    ],
)
def test_a_project_of_which_nothing_is_compared(
    nowhere: int, tmp_path: Path, settings: dict[str, Any], status: str, says: str
) -> None:
    report = diagnose(context(nowhere, tmp_path, settings), only=["XST004"])
    (row,) = report.body["checks"]
    assert (row["status"], says in row["evidence"]) == (status, True), row
    assert report.exit_code == (Exit.UNCHECKED if status == "error" else Exit.DONE)
    assert report.body["verdict"] == ("not_verified" if status == "error" else "healthy")


def with_layer(name: str, **changes: Any) -> Observations:
    field = name.replace("-", "_")
    if not hasattr(HEALTHY, field):
        return replace(HEALTHY, more={name: Observation(**changes)})
    return replace(HEALTHY, **{field: replace(HEALTHY.layer(name), **changes)})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [layer.name for layer in LAYERS])
@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"failure": GONE}, "nobody answers"),
        ({"unasked": UNASKED, "declared": True}, UNASKED),
        ({"uncovered": ("the pages after the first 100",)}, "the pages after the first 100"),
    ],
    ids=["failed", "unasked", "partly"],
)
def test_a_layer_that_could_not_look_is_named(name: Any, how: dict[str, Any], says: str) -> None:
    found = judge(SUBJECT, with_layer(name, **how))
    assert found.status == "not_verified"
    assert f"{name}: {says}" in (unverified(found) or "")


@pytest.mark.parametrize("name", [layer.name for layer in LAYERS])
def test_what_is_not_declared_lowers_nothing(name: Any) -> None:
    empty = {"pattern": PatternObservation, "library": LibraryObservation, "http": HttpObservation}.get(name)
    if empty is not None:
        seen = replace(HEALTHY, **{name: empty(unasked="the subject declares none")})
    else:
        seen = with_layer(name, unasked="the subject declares none")
    assert judge(SUBJECT, seen).status == "ok"


@pytest.mark.parametrize(
    "seen",
    [
        # What is asked in vain, an answer without a list, and a single list say nothing of each other.
        replace(HEALTHY, library=LibraryObservation(ran=replace(RAN, entries=None, shape=None, asked=None, read=None))),
        replace(HEALTHY, http=HttpObservation(member=replace(MEMBER, entries=None))),
        replace(
            HEALTHY,
            dynamodb=replace(HEALTHY.dynamodb, entries=None, unasked="no entity"),
            pattern=PatternObservation(unasked="no pattern"),
            library=LibraryObservation(unasked="no library"),
        ),
    ],
    ids=["library", "http", "alone"],
)
def test_lists_that_were_not_compared_do_not_agree(seen: Observations) -> None:
    found = judge(SUBJECT, seen)
    assert found.status == "not_verified"
    assert unverified(found)


def test_a_fault_outranks_what_was_not_looked_at() -> None:
    found = judge(SUBJECT, replace(with_layer("postgres", failure=GONE), http=HttpObservation(member=Answer(500))))
    assert found.status == "diverged"


@pytest.mark.parametrize(("form", "ran"), [("files", False), ("command", False), ("command", True)])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_no_step_is_as_declared_in_stores_that_do_not_answer(
    nowhere: int, tmp_path: Path, step: Step, form: str, ran: bool
) -> None:
    """A step's files are held against the stores. Of a command only its run is known, and no more is said."""
    (tmp_path / "setup.sql").write_text("CREATE TABLE users (id int PRIMARY KEY);")
    (tmp_path / "schema-load.json").write_text(json.dumps(THINGS))
    (tmp_path / "seed.json").write_text(json.dumps({"table": "things", "items": [{"id": "1"}]}))
    source = {"command": ["./run"]} if form == "command" else {"files": [f"{step.name}.*"]}
    targets = context(nowhere, tmp_path, BARE).targets
    steps = {"schema-load": {"files": ["schema-load.json"]}, step.name: source}
    settings = msgspec.convert({**BARE, "steps": steps}, Settings)
    given = StepContext(
        settings, tmp_path, targets.postgres, targets.dynamodb, tmp_path / "ledger", {}, print, tmp_path / "log"
    )
    inputs = step.read(settings, tmp_path)
    if ran:
        with Ledger(given.ledger) as ledger:
            ledger.set_mark(step.name, inputs.hash, "done", "")
    try:
        state = step.look(given, inputs)
    except StoreError:
        return
    assert state.reason
    unknown = step.makes and f"; {step.makes} deleted since then cannot be detected or restored"
    known = f"its command already ran with the current files{unknown}"
    assert state.state != "done" or (form, state.reason) == ("command", known)
