"""The fault suite of `trace`: all faults, controls and pairs; `make test` has the first fault of each layer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.trace.answers import ANSWERS
from tests.faults.trace.bench import GROUP, Bench
from tests.faults.trace.blind import BLIND
from tests.faults.trace.blind_more import BLIND_MISSED, BLIND_MORE, BLIND_TAPPED
from tests.faults.trace.breaks import Fault, code
from tests.faults.trace.catalog import FAULTS
from tests.faults.trace.controls import ABROAD, CLIENT, CONTROLS, Control, ended_connections
from tests.faults.trace.figures import Case, figures, first_empty, first_error, wilson
from tests.faults.trace.lookups import LOOKUPS
from tests.faults.trace.more import PAIRS, UNSEEN
from tests.faults.trace.objects import OBJECTS
from tests.faults.trace.running import RUNNING
from tests.faults.trace.suite import run_control, run_fault, run_pair

ALL = (*FAULTS, *UNSEEN, *ANSWERS)
SHORT = [fault.name for fault in {fault.layer: fault for fault in reversed(ALL)}.values()]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench.open(tmp_path_factory.mktemp("faults") / "project")
    yield made
    made.close()


# DynamoDB Local answers on every path, AWS does not: the trace names it, though the answer here stays the same.
UNCHANGED = frozenset(("a path behind it",))


@pytest.mark.parametrize(
    "fault", [pytest.param(each, marks=() if each.name in SHORT else pytest.mark.long, id=each.name) for each in ALL]
)
def test_the_first_layer_that_breaks_is_named_with_its_class(bench: Bench, fault: Fault) -> None:
    case = run_fault(bench, fault)
    assert case.counted == (fault.name not in UNCHANGED), "a case whose answer does not change proves nothing"
    assert (case.said_layer, case.said_kind) == (fault.layer, fault.kind)


@pytest.mark.long
@pytest.mark.parametrize("fault", [*LOOKUPS, *RUNNING], ids=lambda fault: fault.name)
def test_what_one_call_alone_does_not_show_is_named(bench: Bench, fault: Fault) -> None:
    case = run_fault(bench, fault)
    assert case.counted, "a case whose answer does not change proves nothing"
    assert (case.said_layer, case.said_kind) == (fault.layer, fault.kind)


@pytest.mark.long
@pytest.mark.parametrize("fault", [*OBJECTS, *BLIND, *BLIND_MORE], ids=lambda fault: fault.name)
def test_what_is_wrong_is_named_beside_its_layer(bench: Bench, fault: Fault) -> None:
    case = run_fault(bench, fault)
    assert case.counted, "a case whose answer does not change proves nothing"
    assert (case.said_layer, case.said_kind) == (fault.layer, fault.kind), case.said
    assert case.lacking == [], case.said


@pytest.fixture(scope="module")
def tapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench.open(tmp_path_factory.mktemp("faults-tapped") / "project", "--tap")
    yield made
    made.close()


@pytest.mark.long
@pytest.mark.parametrize("fault", BLIND_TAPPED, ids=lambda fault: fault.name)
def test_what_only_the_running_application_reads_is_named(tapped: Bench, fault: Fault) -> None:
    case = run_fault(tapped, fault)
    assert case.counted, "a case whose answer does not change proves nothing"
    assert (case.said_layer, case.said_kind) == (fault.layer, fault.kind), case.said
    assert case.lacking == [], case.said


@pytest.mark.long
@pytest.mark.parametrize("fault", BLIND_MISSED, ids=lambda fault: fault.name)
def test_a_known_miss_has_its_layer(bench: Bench, fault: Fault) -> None:
    case = run_fault(bench, fault)
    assert case.counted, "a case whose answer does not change proves nothing"
    assert (case.said_layer, case.said_kind) == (fault.layer, fault.kind), case.said


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
@pytest.mark.matrix(len(CONTROLS))
def test_nothing_is_said_of_what_is_healthy(bench: Bench, control: Control) -> None:
    assert run_control(bench, control) is None


@pytest.mark.long
def test_a_region_and_a_key_in_the_code_are_noted(bench: Bench) -> None:
    both = ABROAD.replace('region_name="us-west-2"', 'region_name="us-west-2", aws_access_key_id="AKIAOTHER"')
    try:
        code("stores.py", (CLIENT, both.replace(")", ', aws_secret_access_key="othersecret")')))(bench)
        document = bench.trace("conversation", GROUP, "--user", "ines")
    finally:
        bench.restore()
    [layer] = [layer for layer in document["layers"] if layer["name"] == "library"]
    signed = (
        f"they use region us-west-2 instead of {bench.env['AWS_REGION']}, and an access key other than the project's"
    )
    assert [note for note in layer["notes"] if note.endswith(f"({signed})")] != []
    assert document["verdict"]["status"] == "ok"


@pytest.mark.long
def test_a_connection_that_was_ended_is_noted(bench: Bench) -> None:
    try:
        ended_connections(bench)
        document = bench.trace("conversation", GROUP, "--user", "ines")
    finally:
        bench.restore()
    [layer] = [layer for layer in document["layers"] if layer["name"] == "http"]
    assert "the application still had connections that were ended" in " ".join(layer["notes"])


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0].name} + {pair[1].name}")
@pytest.mark.matrix(24)
def test_both_faults_of_a_pair_are_named(bench: Bench, pair: tuple[Fault, Fault]) -> None:
    assert run_pair(bench, *pair)


def test_wilson_intervals_are_those_of_the_textbook() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert [round(value, 3) for value in wilson(10, 10)] == [0.722, 1.0]
    assert [round(value, 3) for value in wilson(1, 20)] == [0.009, 0.236]


def test_cases_that_changed_nothing_are_not_counted() -> None:
    rules: dict[str, str | None] = {"first error or non-2xx": "http", "first empty layer": None}
    cases = [
        Case("one", "library", "error", "library", "error", True, rules),
        Case("two", "http", "cors", "library", "error", True, rules),
        Case("three", "http", "cors", "http", "cors", False, rules),
    ]
    assert figures(cases) == [
        "cases: 3, of which the answer really changed in 2",
        "layer right:  1 of 2 (50.0 %, 9.5 to 90.5)",
        "class right:  1 of 2 (50.0 %, 9.5 to 90.5)",
        "rule `first error or non-2xx`: 1 of 2 (50.0 %, 9.5 to 90.5)",
        "rule `first empty layer`: 0 of 2 (0.0 %, 0.0 to 65.8)",
        "rule `always library`: 1 of 2 (50.0 %, 9.5 to 90.5)",
        "  two: http/cors, said library/error",
    ]


def test_the_simple_rules_look_at_what_the_layers_gave_and_not_at_the_judgement() -> None:
    quiet = {"failure": None, "observed_count": None, "status": "missing"}
    layers = [
        {**quiet, "name": "dynamodb", "output": {}, "observed_count": 3},
        {**quiet, "name": "library", "output": {"outcome": "returned"}, "observed_count": 0},
        {**quiet, "name": "http", "output": {"answers": [{"who": "member", "status": 500}]}},
    ]
    assert first_error({"layers": layers}) == "http"
    assert first_empty({"layers": layers}) == "library"
    assert first_error({"layers": layers[:2]}) is None
