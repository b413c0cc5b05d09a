"""Writes under way while doctor looks and repairs: what was changed a moment ago is no finding, and is not copied."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from devenv.core.errors import Exit
from devenv.core.model import Report
from devenv.doctor.context import DoctorFacts
from devenv.doctor.runner import mend
from devenv.doctor.settling import split_settled
from devenv.render.doctor_text import doctor_text
from tests.conftest import Stores
from tests.integration.doctor_support import Project, messaging, rows, show
from tests.shapes import TIME

NAME = "UPDATE users SET display_name = {!r} WHERE handle = 'bo'"
OPEN: list[psycopg.Connection[Any]] = []


@pytest.fixture
def letters(stores: Stores) -> Iterator[Project]:
    with messaging((stores.postgres, stores.dynamodb)) as made:
        yield made
        while OPEN:
            OPEN.pop().close()


def test_a_letter_whose_rows_follow_a_second_later_is_no_finding(letters: Project) -> None:
    """As a writer that is slow, or a function that follows the table's stream."""
    head = letters.items(pk="GRP#")[0]
    group, now = head["message_group_uuid"]["S"], datetime.now(UTC).strftime(TIME)
    like = letters.items(pk=f"MSG#{group}")[0]
    heads = [one for one in letters.items(pk="GRP#") if one["message_group_uuid"]["S"] == group]
    letters.put({**like, "sk": {"S": now}, "message_uuid": {"S": str(uuid.uuid4())}, "message": {"S": "slowly"}})

    def follow() -> None:
        for one in heads:
            letters.change(one, sk=now, message="slowly")

    late = threading.Timer(1.0, follow)
    late.start()
    report = letters.doctor()
    late.join()
    assert rows(report) == {}, show(report)


# --- nothing is copied that was changed a moment ago


def hold(letters: Project, statement: str) -> psycopg.Connection[Any]:
    """A session that has changed a row and not committed yet; it is closed when the test ends."""
    target = letters.context.targets.postgres
    OPEN.append(
        psycopg.connect(
            host=target.host, port=target.port, user=target.user, password=target.password, dbname=target.database
        )
    )
    OPEN[-1].execute(statement.encode())
    return OPEN[-1]


def names_of_bo(letters: Project) -> set[str]:
    return {item["user_display_name"]["S"] for item in letters.items() if item["user_handle"]["S"] == "bo"}


def states(report: Report) -> set[str]:
    return {repair["state"] for repair in report.body["repairs"]}


def test_a_row_that_changes_again_while_fix_waits_is_not_spread(letters: Project) -> None:
    """The change is taken back a moment later, as by an application whose second write failed."""
    letters.sql(NAME.format("Half Done"))
    back = threading.Timer(1.5, lambda: letters.sql(NAME.format("Bo South")))
    facts = DoctorFacts(letters.context)
    assert {fault.kind for fault in facts.judgement().faults} == {"stale_copy"}
    back.start()
    settled, recent = split_settled(facts, facts.judgement().faults)
    back.join()
    assert (len(settled.faults), len(recent.faults)) == (0, len(facts.judgement().faults))
    assert mend(letters.context).body["repairs"] == []
    assert names_of_bo(letters) == {"Bo South"}


def test_an_old_row_is_not_spread_over_items_that_a_write_has_already_changed(letters: Project) -> None:
    """An application renames: the row in an open transaction, then the items, then it commits."""
    session = hold(letters, NAME.format("Bo Harbour"))
    for item in letters.items():
        if item["user_handle"]["S"] == "bo":
            letters.change(item, user_display_name="Bo Harbour")
    during = mend(letters.context)
    assert states(during) == {"recent"}
    assert during.exit_code == Exit.FOUND
    assert "the value to copy changed in the last seconds" in "\n".join(doctor_text(during, verbose=False))
    assert names_of_bo(letters) == {"Bo Harbour"}
    session.commit()
    after = mend(letters.context)
    assert (after.exit_code, after.body["repairs"]) == (Exit.DONE, [])


def test_a_row_that_stays_as_it_is_is_spread(letters: Project) -> None:
    """Another row that is being changed does not hold it up."""
    letters.sql(NAME.format("Bo Harbour"))
    hold(letters, "UPDATE users SET display_name = 'Di East' WHERE handle = 'di'")
    fixed = mend(letters.context, only=["cross-store"])
    assert states(fixed) == {"applied"}
    assert names_of_bo(letters) == {"Bo Harbour"}


def test_an_entry_that_is_deleted_while_fix_waits_is_not_shown_in_its_rows(letters: Project) -> None:
    last = max(letters.items(pk="MSG#"), key=lambda item: item["sk"]["S"])
    later = {**last, "sk": {"S": "2024-05-02T10:00:00.000000+00:00"}, "message": {"S": "unsent"}}
    later["message_uuid"] = {"S": str(uuid.uuid4())}
    letters.put(later)
    facts = DoctorFacts(letters.context)
    assert {fault.kind for fault in facts.judgement().faults} == {"stale_preview"}
    back = threading.Timer(1.0, lambda: letters.delete(later))
    back.start()
    settled, recent = split_settled(facts, facts.judgement().faults)
    back.join()
    assert (len(settled.faults), len(recent.faults)) == (0, 2)
    assert rows(letters.doctor()) == {}
