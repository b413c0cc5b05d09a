"""The queries of the application's code, by their text alone. Nothing is run."""

from __future__ import annotations

from devenv.core.model import Fix, Outcome
from devenv.core.plural import number_of
from devenv.doctor.checks.check import Check, failed, passed, unneeded
from devenv.doctor.context import DoctorFacts
from devenv.init.review import review_folder

SHOWN = 3


def run_code(facts: DoctorFacts) -> Outcome:
    """Every query that is found in the project's Python and JavaScript."""
    found, count = review_folder(facts.context.root)
    if not count:
        return unneeded("no query of DynamoDB was found in the code")
    if not found:
        return passed(number_of(count, "query"))
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return failed(
        [*map(str, found[:SHOWN]), *more],
        fix=Fix(f"correct {found[0].place}", "devenv patterns check"),
        subjects=(fault.place for fault in found),
        status="warn",
    )


CHECKS = (
    Check(
        code="DAT015",
        name="code-queries",
        group="data",
        title="queries in the code are sound by their text",
        run=run_code,
        explain="""\
The queries in Python, JavaScript and TypeScript are read as text: a limit without a further page, a condition that
follows the clock, an id that is written into the code, a place in an expression without a value. Each is named with its
file and line. Tests are not looked at.

How it happens: a query that was right for the first few items, or for this year.
Repair: correct the line; devenv trace shows what the query really brings.""",
    ),
)
