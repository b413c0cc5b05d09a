"""Two faults at once, on real stores: the one whose correction changes the traced answer is named first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.trace.bench import Bench
from tests.faults.trace.catalog import FAULTS

NAMED = {fault.name: fault for fault in FAULTS}
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench.open(tmp_path_factory.mktemp("faults") / "project")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("untidy", "seen"),
    [
        ("rows lag behind", "year"),
        ("rows lag behind", "drops a field"),
        ("rows lag behind", "declared: year"),
        ("sign-in id is MOCK", "year"),
        ("sign-in id is MOCK", "limit"),
    ],
)
def test_what_the_user_sees_comes_first(bench: Bench, untidy: str, seen: str) -> None:
    first, second = NAMED[seen], NAMED[untidy]
    try:
        second.inject(bench)
        first.inject(bench)
        verdict = bench.trace(*first.arguments)["verdict"]
    finally:
        bench.restore()
    found = [(one["layer"], one["class"]) for one in (verdict, *verdict["also"])]
    assert found == [(first.layer, first.kind), (second.layer, second.kind)]
