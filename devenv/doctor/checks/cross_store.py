"""Cross-store: do the ids and copies in DynamoDB agree with the rows in Postgres?"""

from __future__ import annotations

from devenv.config.suggest import suggested_links
from devenv.core.model import Fix, Outcome
from devenv.doctor.checks.check import Check, passed, unneeded, unverified
from devenv.doctor.checks.items import judged, no_copies, no_natural_keys
from devenv.links.facts import Facts


def what_to_declare(facts: Facts) -> Fix:
    """The links that the entities suggest, or the tables that have no entity."""
    suggested = list(suggested_links(facts.context.settings))
    what = "; ".join(suggested[:3]) or (
        f'[entities.<name>] table = "{facts.table_names[0]}" with its attributes, and [[links]]'
        if facts.table_names
        else "[entities.<name>] and [[links]]"
    )
    return Fix(
        f"declare {what}; or say that nothing refers across: [project] cross_store = false",
        "devenv help configuration",
    )


def not_compared(facts: Facts) -> str:
    """The declared tables that nothing is declared about: `not compared: bookmarks (no link names it)`."""
    tables = [table for table in facts.table_names if table not in facts.plan.tables]
    if not tables:
        return ""
    return f"not compared: {', '.join(tables)} (no link names {'it' if len(tables) == 1 else 'them'})"


def run_declared(facts: Facts) -> Outcome:
    """Return True if there is anything that could be compared."""
    plan = facts.plan
    if plan.kinds or plan.edges:
        links = ", ".join(edge.name for edge in plan.edges) or "none"
        said = f"entities: {', '.join(kind.name for kind in plan.kinds) or 'none'}; links: {links}"
        suggested = [] if plan.edges else list(suggested_links(facts.context.settings))
        return passed(said + (f"; to declare: {'; '.join(suggested[:3])}" if suggested else ""))
    if not facts.context.settings.project.cross_store:
        return unneeded("[project] cross_store is false")
    return unverified("nothing across the stores is declared", fix=what_to_declare(facts))


NEEDS = ("SVC001", "SVC002", "SCH002", "SCH004")

CHECKS = (
    Check(
        code="XST004",
        name="declared",
        group="cross-store",
        title="something across the stores is declared",
        run=run_declared,
        explain="""\
Without [entities] and [[links]] nothing in DynamoDB can be held against Postgres: every other check of the data and
across the stores is skipped, and a project of which nothing was compared is not called healthy.

Repair: declare what an item is, and which attribute names a row (devenv help configuration); devenv init finds
candidates. Where no item refers to a row: [project] cross_store = false.""",
    ),
    Check(
        code="XST001",
        name="orphans",
        group="cross-store",
        title="every id in DynamoDB matches a row in Postgres",
        run=judged("orphan", beside=not_compared),
        faults=("orphan",),
        needs=NEEDS,
        explain="""\
An id that a link declares as a reference names no row, and nothing beside it tells which row is meant.

How it happens: the row was deleted and its items stayed (DynamoDB has no foreign keys); the items were loaded for
another database; an id was typed by hand. When a table has no rows at all, the wrong database is asked: see ENV005.
Repair: bring the row back, or delete the items. Expired items are not counted.""",
    ),
    Check(
        code="XST002",
        name="ids-match",
        group="cross-store",
        title="ids in both stores are the same for the same natural key",
        run=judged("mismatched_id", lacks=no_natural_keys),
        faults=("mismatched_id",),
        needs=NEEDS,
        explain="""\
The item's natural key (a handle, for instance) names a row, its id names another or none. The same
person has one id in Postgres and another in DynamoDB: their list is empty, and no one sees their messages.

How it happens: ids are generated when a row is inserted, so rebuilding the Postgres database gives everyone a new
one, and the items keep the old. Loading the three steps in order avoids it.
Repair: devenv doctor --fix writes the present ids into the items (also into keys, as one transaction per item); or
devenv up, or devenv seed, when the items come from seeds.""",
    ),
    Check(
        code="XST003",
        name="copies-fresh",
        group="cross-store",
        title="copies in DynamoDB are what the rows hold",
        run=judged("stale_copy", lacks=no_copies),
        faults=("stale_copy",),
        needs=NEEDS,
        explain="""\
DynamoDB has no joins, so items carry copies of columns (a handle, a display name). Nothing refreshes them.

How it happens: the row was changed in Postgres, by the application or by hand; or the item was.
Repair: devenv doctor --fix puts the present values in. In the application: update the copies when the row changes.""",
    ),
)
