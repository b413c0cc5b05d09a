"""The queries of the application's code, by their text alone. Nothing is run."""

from __future__ import annotations

from collections.abc import Sequence

from devenv.core.model import Fix, Outcome
from devenv.core.plural import number_of
from devenv.doctor.checks.check import Check, failed, passed, unneeded, unverified
from devenv.doctor.context import DoctorFacts
from devenv.init.review import review_folder

SHOWN = 3


def some(names: Sequence[str]) -> str:
    """The first names, and how many there are beside them."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def run_code(facts: DoctorFacts) -> Outcome:
    """Every query that is found in the project's Python and JavaScript."""
    seen = review_folder(facts.context.root)
    found = seen.faults
    left = f"; not read: {some(seen.unread)}" if seen.unread else ""
    foreign = f"not valid in this version of Python, so not read: {some(seen.unparsed)}" if seen.unparsed else ""
    if foreign and not found:
        return unverified(f"{foreign}{left}")
    if not seen.queries:
        return unneeded(f"no query of DynamoDB was found in the code{left}")
    if not found:
        return passed(number_of(seen.queries, "query") + left)
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return failed(
        [*map(str, found[:SHOWN]), *more, *filter(None, [foreign])],
        fix=Fix(f"correct {found[0].place}", "devenv patterns check"),
        subjects=(fault.place for fault in found),
        status="warn",
    )


CHECKS = (
    Check(
        code="DAT015",
        name="code-queries",
        group="data",
        title="no query in the code is visibly wrong",
        run=run_code,
        explain="""\
Queries in Python, JavaScript and TypeScript files are read as text; nothing is run. Reported, with file and line: a
limit without a next page, a condition that depends on the current time, a hard-coded id, a placeholder in an
expression without a value. Tests are skipped. A file that cannot be read, or is written for another
version of Python, is named.

Common causes: the query works for the first few items, or for the current year. Fix: correct the line; devenv trace
shows what the query returns.""",
    ),
)
