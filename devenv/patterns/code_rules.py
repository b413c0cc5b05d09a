"""Rules about the queries in the application's source code. Nothing is run. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from devenv.core.model import Outcome
from devenv.patterns.rule import problem
from devenv.patterns.seen import Observed


def find_code_faults(seen: Observed) -> Iterator[Outcome]:
    """PAT032: a query of the code is wrong by its text alone."""
    for fault in seen.code:
        yield problem(
            fault.place,
            str(fault),
            "found in the source code; nothing was run",
            f"correct {fault.place}",
            status="fail" if fault.refused else "warn",
        )
