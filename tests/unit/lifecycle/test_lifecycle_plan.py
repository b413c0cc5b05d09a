"""The plan of `up`, as a user reads it: what is done to each service and step, and why."""

from __future__ import annotations

from typing import Any

import pytest

from devenv.core.errors import DevenvError, Exit
from devenv.core.model import Action, Failure, Report, ServiceState, StepState
from devenv.lifecycle.load import unrestored
from devenv.lifecycle.plan import (
    ORDER,
    UpOptions,
    join_failed,
    join_late,
    plan_in_order,
    plan_services,
    plan_steps,
)
from devenv.render.text import up_text
from devenv.steps.step import Inputs

PG = ServiceState("postgres", "running", pid=11)
DB = ServiceState("dynamodb", "running", pid=12)
APP = ServiceState("backend", "running", pid=13)
ALL = ("postgres", "dynamodb", "backend")


def printed(plan: tuple[Action, ...]) -> str:
    return "\n".join(f"{line.action} {line.target}: {line.reason}" for line in plan)


@pytest.mark.parametrize(
    ("seen", "wanted", "changed", "plan"),
    [
        pytest.param(
            (PG, DB, APP),
            ALL,
            False,
            "keep postgres: running as pid 11\nkeep dynamodb: running as pid 12\nkeep backend: running as pid 13",
            id="all run",
        ),
        pytest.param(
            (
                ServiceState("postgres", "stopped"),
                ServiceState("dynamodb", "stopped", detail="never started"),
                ServiceState("backend", "stopped", detail="the machine was restarted"),
            ),
            ALL,
            False,
            "start postgres: it is not running\nstart dynamodb: never started\n"
            "start backend: the machine was restarted",
            id="none runs",
        ),
        pytest.param(
            (PG, ServiceState("dynamodb", "crashed"), APP),
            ALL,
            False,
            "keep postgres: running as pid 11\nstart dynamodb: it exited without `devenv down`\n"
            "keep backend: running as pid 13",
            id="one crashed",
        ),
        pytest.param(
            (PG, DB, APP),
            ALL,
            True,
            "keep postgres: running as pid 11\nkeep dynamodb: running as pid 12\n"
            "restart backend: its settings changed since it was started",
            id="settings changed",
        ),
        pytest.param(
            (PG, DB, ServiceState("backend", "stopped")),
            ALL,
            True,
            "keep postgres: running as pid 11\nkeep dynamodb: running as pid 12\nstart backend: it is not running",
            id="a stopped application is started, not restarted",
        ),
        pytest.param(
            (PG, DB, ServiceState("backend", "stopped")),
            ("postgres", "dynamodb"),
            False,
            "keep postgres: running as pid 11\nkeep dynamodb: running as pid 12",
            id="no backend wanted",
        ),
    ],
)
def test_services(seen: tuple[ServiceState, ...], wanted: tuple[str, ...], changed: bool, plan: str) -> None:
    assert printed(plan_services(seen, wanted, ("backend",) if changed else ())) == plan


def steps(*states: str) -> tuple[StepState, ...]:
    reasons = {"done": "as it was", "pending": "never run", "stale": "a file changed", "failed": "it was interrupted"}
    return tuple(StepState(name, state, reasons[state]) for name, state in zip(ORDER, states, strict=True))  # type: ignore[arg-type]


def plan_all(states: tuple[StepState, ...], **options: Any) -> str:
    """As `--dry-run` does it: nothing is carried out, so that a step after one that runs can only be checked then."""
    by_name = {state.name: state for state in states}
    return printed(plan_steps(by_name.__getitem__, UpOptions(**options), lambda action: False))


@pytest.mark.parametrize(
    ("states", "options", "plan"),
    [
        (
            ("done", "done", "done"),
            {},
            "keep setup: as it was\nkeep schema-load: as it was\nkeep seed: as it was",
        ),
        (
            ("pending", "pending", "pending"),
            {},
            "run setup: never run\nrun schema-load: never run\nrun seed: never run",
        ),
        (
            ("stale", "done", "done"),
            {},
            "run setup: a file changed\ncheck schema-load: an earlier step runs before it\n"
            "check seed: an earlier step runs before it",
        ),
        (
            ("done", "done", "failed"),
            {},
            "keep setup: as it was\nkeep schema-load: as it was\nrun seed: it was interrupted",
        ),
        (
            ("done", "done", "done"),
            {"force": "schema-load"},
            "keep setup: as it was\nrun schema-load: requested by --force schema-load\n"
            "run seed: requested by --force schema-load",
        ),
        (
            ("pending", "done", "done"),
            {"force": "seed"},
            "run setup: never run\ncheck schema-load: an earlier step runs before it\n"
            "run seed: requested by --force seed",
        ),
        (
            ("pending", "pending", "done"),
            {"first": "seed"},
            "keep setup: it comes before --from seed\nkeep schema-load: it comes before --from seed\n"
            "run seed: requested by --from seed",
        ),
        (
            ("done", "done", "done"),
            {"first": "setup"},
            "run setup: requested by --from setup\nrun schema-load: requested by --from setup\n"
            "run seed: requested by --from setup",
        ),
        (
            ("done", "done", "done"),
            {"first": "schema-load", "force": "seed"},
            "keep setup: it comes before --from schema-load\nrun schema-load: requested by --from schema-load\n"
            "run seed: requested by --force seed",
        ),
    ],
)
def test_steps(states: tuple[str, ...], options: dict[str, Any], plan: str) -> None:
    assert plan_all(steps(*states), **options) == plan


def test_a_step_that_was_carried_out_lets_the_next_one_be_looked_at_as_it_is_then() -> None:
    stands = {"setup": "pending", "schema-load": "stale", "seed": "done"}
    told: list[str] = []

    def look(name: str) -> StepState:
        return StepState(name, stands[name], "as seen")  # type: ignore[arg-type]

    def carry_out(action: Action) -> bool:
        told.append(f"{action.action} {action.target}")
        # Setup makes the tables, too.
        stands["schema-load"] = "done"
        return True

    plan = plan_steps(look, UpOptions(), carry_out)
    assert printed(plan) == "run setup: as seen\nkeep schema-load: as seen\nkeep seed: as seen"
    assert told == ["run setup", "keep schema-load", "keep seed"]


LATE = {
    "postgres": DevenvError("postgres is late", exit_code=Exit.TIMEOUT, detail="one", cause="busy", hint="wait"),
    "dynamodb": DevenvError("dynamodb is late", exit_code=Exit.TIMEOUT, cause="no volume", hint="look"),
    "backend": DevenvError("backend is late", exit_code=Exit.TIMEOUT, hint="wait"),
}


def test_services_that_are_late_together_are_one_error() -> None:
    assert join_late(LATE).failure == Failure(
        what="postgres is late, dynamodb is late, backend is late",
        detail="postgres: one",
        cause="postgres: busy; dynamodb: no volume",
        hint="wait; look",
    )
    assert join_late(LATE).exit_code == Exit.TIMEOUT
    assert join_late({"postgres": LATE["postgres"]}) is LATE["postgres"]


def test_services_that_fail_side_by_side_are_one_error_with_those_that_were_held_back() -> None:
    failed = {
        "cache": DevenvError("cache ended while starting", exit_code=Exit.CRASHED, detail="boom", hint="see logs"),
        "mailer": DevenvError("mailer ended while starting", exit_code=Exit.PORT, detail="no route"),
    }
    error = join_failed(failed, {"worker": "cache"})
    assert (error.what, error.exit_code, error.hint) == ("cache ended while starting", 5, "see logs")
    assert (error.detail or "").splitlines() == [
        "boom",
        "mailer ended while starting",
        "mailer: no route",
        "worker was not started: it needs cache",
    ]


def test_what_restore_seeds_cannot_bring_back_is_named_and_reaches_the_text() -> None:
    """devenv has no record of what a command loaded; of files it has one, and tables are no seeds."""
    command, files = Inputs("1", (), ("./seed",)), Inputs("2", (), ())
    told = unrestored({"setup": files, "schema-load": command, "seed": command}, ("setup", "schema-load", "seed"))
    assert told == {"seed": "its items were not restored: the step is a command. `devenv seed` runs it again"}
    steps = [{"name": "seed", "reason": told["seed"]}, {"name": "setup", "reason": "as declared"}]
    body = {"services": [], "steps": steps, "plan": [], "timings": {"total": 0.0}}
    assert up_text(Report("up", "p", 0, body), verbose=False)[1:] == [f"  seed: {told['seed']}"]
    assert unrestored({"seed": command}, ()) == {}


def test_services_that_wait_for_the_data_start_after_the_steps() -> None:
    needs = {"page": (), "cache": (), "worker": ("postgres", "cache"), "queue": ("worker",), "backend": ("dynamodb",)}
    services = [Action(name, "start", "it is not running") for name in ("postgres", "page", "worker", "queue")]
    kept = Action("backend", "keep", "running as pid 13")
    plan = plan_in_order((*services, kept), (Action("seed", "run", "never run"),), needs)
    assert [action.target for action in plan] == ["postgres", "page", "backend", "seed", "worker", "queue"]
