"""Traces while messages are sent: what was written in between is no fault."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.trace.bench import Bench
from tests.faults.trace.writer import ROUND, beside_a_writer
from tests.support import FULL

ROUNDS = 10 if FULL else 1


@pytest.fixture(scope="module")
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench.open(tmp_path_factory.mktemp("writers") / "project", *request.param)
    yield made
    made.close()


LONG = [pytest.param(ROUND, marks=pytest.mark.long, id=f"{ROUND}, {number}") for number in range(ROUNDS)]


@pytest.mark.parametrize(
    "bench", [[], pytest.param(["--tap"], marks=pytest.mark.long)], ids=["direct", "tapped"], indirect=True
)
@pytest.mark.parametrize("times", [4, *LONG])
def test_a_writer_gives_no_alarm(bench: Bench, times: int) -> None:
    beside = beside_a_writer(bench, times)
    assert beside.alarms == []
    assert beside.sent > times, "the other process wrote"
    assert beside.refused == []
