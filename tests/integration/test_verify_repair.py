"""Repair plans on real stores: applied, applied again, undone, killed at any point, refused when they do not fit."""

from __future__ import annotations

import os
import signal
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devenv.core.errors import UsageError
from devenv.core.model import DynamoTarget, Targets
from devenv.verify.tasks import look_at_stores
from tests.conftest import Stores
from tests.integration.doctor_support import messaging
from tests.integration.verify_support import Compared, compared, item_key, proxied
from tests.support import dice

WRITES = ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems")
Items = list[dict[str, Any]]


@pytest.fixture(scope="module")
def damaged_project(stores: Stores) -> Iterator[Any]:
    """Ids of two people moved, one renamed, a row of a conversation gone: one of everything that loses nothing."""
    with messaging((stores.postgres, stores.dynamodb)) as made:
        made.sql("UPDATE users SET uuid = gen_random_uuid() WHERE handle IN ('bo', 'cy')")
        made.sql("UPDATE users SET display_name = 'Ada Harbour' WHERE handle = 'ada'")
        made.delete(min(made.items(pk="GRP#"), key=lambda item: item["sk"]["S"]))
        yield made, made.items()


@pytest.fixture
def damaged(damaged_project: Any, tmp_path: Path) -> Iterator[Compared]:
    project, items = damaged_project
    made = compared(project, tmp_path)
    yield made
    made.restore(items)


def items_of(made: Compared) -> Items:
    return sorted(made.project.items(), key=item_key)


def test_verify_repair_verify_is_one_then_zero(damaged: Compared) -> None:
    path = damaged.context.folder / "plan"
    found = damaged.verify(plan=path)
    assert found.exit_code == 1
    assert found.body["plan"]["loss"] == found.body["plan"]["left_out"] == 0
    assert set(found.body["plan"]["classes"]) == {"mismatched_id", "stale_copy", "half_group"}
    repaired = damaged.apply(path)
    assert (repaired.exit_code, repaired.body["verify"]["verdict"]) == (0, "consistent")
    assert repaired.body["applied"] == found.body["plan"]["writes"]
    assert damaged.verify().exit_code == 0


def test_applied_twice_changes_nothing_the_second_time(damaged: Compared) -> None:
    path = damaged.plan()
    once = damaged.apply(path)
    after = items_of(damaged)
    twice = damaged.apply(path)
    assert (twice.exit_code, twice.body["applied"], twice.body["already"]) == (0, 0, once.body["applied"])
    assert items_of(damaged) == after


def test_undo_puts_everything_back_and_can_be_applied_again(damaged: Compared) -> None:
    before = items_of(damaged)
    path = damaged.plan()
    damaged.apply(path)
    after = items_of(damaged)
    assert damaged.undo(path).exit_code == 0
    assert items_of(damaged) == before
    assert damaged.undo(path).body["applied"] == 0
    damaged.apply(path)
    assert items_of(damaged) == after


def test_an_applied_plan_stays_until_it_is_taken_back(damaged: Compared) -> None:
    path = damaged.plan()
    damaged.apply(path)
    with pytest.raises(UsageError, match="is not replaced"):
        damaged.plan()
    damaged.undo(path)
    assert damaged.plan() == path


def test_undo_of_a_plan_that_was_never_applied_changes_nothing(damaged: Compared) -> None:
    before = items_of(damaged)
    report = damaged.undo(damaged.plan())
    assert (report.exit_code, report.body["applied"], items_of(damaged)) == (0, 0, before)


@pytest.fixture(scope="module")
def ends(damaged_project: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Items, Items]:
    """The plan for the damage, the items before it, and the items after it."""
    project, items = damaged_project
    made = compared(project, tmp_path_factory.mktemp("ends"))
    before, path = items_of(made), made.plan()
    made.apply(path)
    after = items_of(made)
    made.restore(items)
    return path, before, after


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.matrix(4)
def test_killed_at_any_point_it_is_finished_or_taken_back_exactly(
    damaged: Compared, ends: tuple[Path, Items, Items], seed: int
) -> None:
    path, before, after = ends
    rng = dice(f"a repair killed {seed}")
    last, answered = rng.randrange(1, 18), rng.random() < 0.5
    with proxied(damaged.context.targets.dynamodb) as proxy:
        killed = threading.Event()
        count = 0

        def stop() -> None:
            os.kill(child.pid, signal.SIGKILL)
            killed.set()

        def on_request(operation: str, request: dict[str, Any]) -> dict[str, Any] | None:
            nonlocal count
            count += operation in WRITES
            if operation in WRITES and count == last and not answered:
                stop()
                return None
            return request

        def on_answer(operation: str, request: dict[str, Any], answer: bytes) -> bytes | None:
            if operation in WRITES and count == last and answered:
                stop()
                return None
            return answer

        proxy.before, proxy.after = on_request, on_answer
        child = damaged.through(proxy).child("apply", path)
        child.wait(60)
        assert killed.is_set()
    assert items_of(damaged) != after or last == 17
    if seed % 2:
        assert damaged.apply(path).exit_code == 0
        assert items_of(damaged) == after
    assert damaged.undo(path).exit_code == 0
    assert items_of(damaged) == before


def test_orphans_are_deleted_only_when_losing_them_was_allowed(damaged: Compared) -> None:
    orphan = {**damaged.project.items(pk="MSG#")[0]}
    orphan |= {
        "sk": {"S": "2024-08-01T00:00:00.000000+00:00"},
        "message_uuid": {"S": str(uuid.uuid4())},
        "user_uuid": {"S": str(uuid.uuid4())},
        "user_handle": {"S": "nobody"},
    }
    damaged.project.put(orphan)
    before = items_of(damaged)
    path = damaged.plan()
    kept = damaged.apply(path)
    assert (kept.exit_code, kept.body["left_out"], kept.body["verify"]["findings"]) == (1, 1, {"orphan": 1})
    assert orphan in items_of(damaged)
    gone = damaged.apply(path, allow_loss=True)
    assert (gone.exit_code, gone.body["applied"]) == (0, 1)
    assert orphan not in items_of(damaged)
    damaged.undo(path)
    assert items_of(damaged) == before


def test_an_item_that_changed_in_between_is_left_alone_and_reported(damaged: Compared) -> None:
    path = damaged.plan()
    item = damaged.project.items(pk="MSG#")[0]
    damaged.project.change(item, message="edited")
    report = damaged.apply(path)
    assert (report.exit_code, report.body["changed_meanwhile"]) == (1, 1)
    assert report.body["skipped"][0]["key"] == {"pk": item["pk"]["S"], "sk": item["sk"]["S"]}
    (still,) = [i for i in damaged.project.items() if item_key(i) == item_key(item)]
    assert still == {**item, "message": {"S": "edited"}}


def test_a_plan_whose_rows_changed_is_refused(damaged: Compared) -> None:
    path, before = damaged.plan(), items_of(damaged)
    damaged.project.sql("UPDATE users SET display_name = 'Di Harbour' WHERE handle = 'di'")
    with pytest.raises(UsageError, match="is stale"):
        damaged.apply(path)
    damaged.project.sql("UPDATE users SET display_name = 'Di East' WHERE handle = 'di'")
    assert items_of(damaged) == before


def test_a_plan_for_other_stores_is_refused(damaged: Compared, stores: Stores, tmp_path: Path) -> None:
    path = damaged.plan()
    with messaging((stores.postgres, stores.dynamodb)) as other, pytest.raises(UsageError, match="other stores"):
        compared(other, tmp_path).apply(path)


def test_a_plan_that_was_edited_is_refused(damaged: Compared) -> None:
    path = damaged.plan()
    path.write_bytes(path.read_bytes().replace(b"Ada Harbour", b"Eve Harbour"))
    with pytest.raises(UsageError, match="not a usable repair plan"):
        damaged.apply(path)
    path.write_text("{}")
    with pytest.raises(UsageError, match="not a repair plan"):
        damaged.undo(path)


def test_nothing_is_written_to_another_machine(damaged: Compared) -> None:
    path = damaged.plan()
    targets = damaged.context.targets
    far = replace(targets.dynamodb, endpoint="http://dynamodb.example.com:8000")
    context = replace(damaged.context, targets=Targets.of(targets.postgres, far))
    with pytest.raises(UsageError, match=r"dynamodb\.example\.com is not this machine"):
        Compared(damaged.project, context).apply(path)


def test_the_plan_tells_what_it_was_made_from(damaged: Compared) -> None:
    path = damaged.plan()
    head = verify_head(path)
    assert head.target == look_at_stores(damaged.context).target
    assert head.target.tables[damaged.project.table]["arn"].endswith(damaged.project.table)
    assert len(head.report) == 64
    assert isinstance(damaged.context.targets.dynamodb, DynamoTarget)


def verify_head(path: Path) -> Any:
    from devenv.verify.repair_plan import read_plan

    return read_plan(path)
