"""Which stored faults go away with a worker's trouble."""

from __future__ import annotations

import pytest

from devenv.services.streams.judge import Replay, WorkerObservation, explained
from devenv.services.streams.position import HandlerError, Position

CORRECTED = frozenset([("missing_attribute", ("row",))])
BEHIND = frozenset([("stale_preview", ("group",))])
PLACE = "rows.py:12"
ERROR = "ClientError: no such table"
LATER = "2026-01-05T10:00:02.000+00:00"
EARLIER = "2026-01-05T10:00:01.000+00:00"


def seen(position: Position | None) -> WorkerObservation:
    return WorkerObservation("rows", "messages", "running", "arn", position=position)


def failed(*, refused: int = 1, place: str | None = PLACE, last: str | None = None) -> Position:
    return Position(failed=refused, last=last, error=HandlerError(ERROR, EARLIER, place))


def replay(error: str | None = None, place: str | None = PLACE) -> Replay:
    return Replay(given=1, error=error, place=place if error else None, corrected=CORRECTED, behind=BEHIND)


@pytest.mark.parametrize("position", [None, Position(), failed()], ids=["unknown", "quiet", "failed"])
def test_a_function_that_corrects_on_the_copy_explains_what_it_corrects(position: Position | None) -> None:
    assert explained(seen(position), replay()) == CORRECTED


@pytest.mark.parametrize(
    ("position", "again"),
    [
        (failed(), replay("another text", PLACE)),
        (failed(place=None), replay(ERROR, None)),
        (failed(last=LATER), replay(ERROR)),
        (failed(refused=0), replay(ERROR)),
    ],
    ids=["the same line", "the same text", "refused, then others handled", "not refused yet"],
)
def test_a_function_that_fails_as_before_explains_rows_behind(position: Position, again: Replay) -> None:
    assert explained(seen(position), again) == BEHIND


@pytest.mark.parametrize(
    ("position", "again"),
    [
        (Position(), replay(ERROR)),
        (failed(), replay(ERROR, "rows.py:40")),
        (failed(refused=0, last=LATER), replay(ERROR)),
    ],
    ids=["for the first time", "at another line", "a retry got over it"],
)
def test_a_function_that_fails_on_the_copy_only_explains_no_row(position: Position, again: Replay) -> None:
    assert explained(seen(position), again) == CORRECTED
