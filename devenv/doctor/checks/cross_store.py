"""Cross-store: do the ids and copies in DynamoDB agree with the rows in Postgres?"""

from __future__ import annotations

from devenv.config.suggest import suggested_links
from devenv.core.errors import StoreError
from devenv.core.model import Fix, Outcome
from devenv.core.plural import number_of
from devenv.doctor.checks.check import Check, passed, unneeded, unverified
from devenv.doctor.checks.items import judged, no_copies, no_natural_keys
from devenv.links.facts import Facts
from devenv.links.judge import LinkJudgement

SHOWN = 4
NO_ID = "the attribute is binary, a map or a boolean, or its text has a different form than the ids of the rows"


def what_to_declare(facts: Facts) -> Fix:
    """The links that the data or the entities' names suggest; else the tables that have no entity."""
    suggested = links_in_data(facts) or list(suggested_links(facts.context.settings))
    table = facts.table_names[0] if facts.table_names and not facts.plan.kinds else None
    entity = f'[entities.<name>] table = "{table}" with its attributes, and ' if table else ""
    pattern = '[[links]] from = "dynamodb:TABLE.ATTRIBUTE", to = "postgres:TABLE.COLUMN"'
    more = f"; and {len(suggested) - SHOWN} more" if len(suggested) > SHOWN else ""
    what = "; ".join(suggested[:SHOWN]) + more or entity + pattern
    return Fix(
        f"declare {what}; or, if no item refers to a row, set [project] cross_store = false",
        "devenv help configuration",
    )


def links_in_data(facts: Facts) -> list[str]:
    """The links of which the data has examples; none where a store cannot be read."""
    from devenv.links.candidates import ids_by_source, matching_links, read_known

    try:
        sources = ids_by_source(facts.dynamodb().items)
        ids = sorted(set().union(*sources.values()))
        catalog = facts.postgres().catalog
        known = read_known(facts.context.targets.postgres, catalog, ids) if ids else {}
    except StoreError:
        return []
    return list(matching_links(sources, known))


def has_rows(facts: Facts) -> bool:
    """Return True unless Postgres answers and has no table of the project: then there is one store only."""
    try:
        return bool(facts.postgres().catalog.tables)
    except StoreError:
        return True


def not_compared(facts: Facts) -> str:
    """The declared tables that nothing is declared about: `not compared: bookmarks (no link names it)`."""
    tables = [table for table in facts.table_names if table not in facts.plan.tables]
    if not tables:
        return ""
    return f"not compared: {', '.join(tables)} (no link names {'it' if len(tables) == 1 else 'them'})"


def not_read(judgement: LinkJudgement) -> str:
    """The links that read no id from some items, or all from none: `link owner reads no id in 2 items (binary, …)`."""
    if judgement.records and not judgement.named and not judgement.unread:
        return f"the links find no id in any of {number_of(len(judgement.records), 'item')}"
    parts = [f"link `{name}` finds no id in {number_of(count, 'item')}" for name, count in judgement.unread.items()]
    return f"{'; '.join(parts)}: {NO_ID}" if parts else ""


def run_declared(facts: Facts) -> Outcome:
    """Pass if a link joins the stores. Entities and groups alone compare nothing across them."""
    plan = facts.plan
    entities = ", ".join(kind.name for kind in plan.kinds) or "none"
    if plan.edges:
        return passed(f"entities: {entities}; links: {', '.join(edge.name for edge in plan.edges)}")
    if not facts.context.settings.project.cross_store:
        return unneeded("[project] cross_store is false")
    if plan.kinds and not has_rows(facts):
        return passed(f"entities: {entities}; links: none, as Postgres has no tables")
    said = f"entities: {entities}; links: none" if plan.kinds else "no [entities] and no [[links]]"
    return unverified(f"no links between the stores are declared ({said})", fix=what_to_declare(facts))


NEEDS = ("SVC001", "SVC002", "SCH002", "SCH004")

CHECKS = (
    Check(
        code="XST004",
        name="declared",
        group="cross-store",
        title="links between the stores are declared",
        run=run_declared,
        explain="""\
Without [[links]] devenv cannot compare DynamoDB with Postgres: the checks of ids are skipped, and the verdict cannot
be *healthy*, even if [entities] are declared.

Fix: declare what an item is, and which attribute refers to a row (devenv help configuration); this check
names links that the data suggests. Where no item refers to a row: [project] cross_store = false.""",
    ),
    Check(
        code="XST001",
        name="orphans",
        group="cross-store",
        title="every id in DynamoDB matches a row in Postgres",
        run=judged("orphan", beside=not_compared, unread=not_read, every=True),
        faults=("orphan",),
        needs=NEEDS,
        explain="""\
An id that a link declares as a reference matches no row, and the item has no natural key that matches one.

Common causes: the row was deleted and its items stayed (DynamoDB has no foreign keys); the items were loaded for
another database; an id was typed by hand. If the table has no rows at all, the setting names the wrong database:
see ENV005. Fix: restore the row, or delete the items. If the item also holds the value of a unique column, and the row
with this value has another id, the row was recreated: declare the attribute and the column as natural_key of the link,
and doctor --fix writes the current id. Expired items are not counted.""",
    ),
    Check(
        code="XST002",
        name="ids-match",
        group="cross-store",
        title="ids in both stores are the same for the same natural key",
        run=judged("mismatched_id", lacks=no_natural_keys, every=True),
        faults=("mismatched_id",),
        needs=NEEDS,
        explain="""\
The item's natural key (such as a handle) matches one row, its id another row or none. The user has one id in
Postgres and another in DynamoDB: the user's list is empty, and others do not see the user's messages.

Common causes: ids are generated when a row is inserted. Rebuilding the Postgres database gives every user a new
one; the items keep the old. Running the three steps in order avoids this. Fix: devenv doctor --fix writes the
current ids into the items (also into keys, one transaction per item). For items that come from seeds: devenv up, or
devenv seed.""",
    ),
    Check(
        code="XST003",
        name="copies-fresh",
        group="cross-store",
        title="copies in DynamoDB match their rows",
        run=judged("stale_copy", lacks=no_copies, every=True),
        faults=("stale_copy",),
        needs=NEEDS,
        explain="""\
DynamoDB has no joins, so items carry copies of columns (a handle, a display name). DynamoDB does not update them.

Common causes: the row or the item was changed, by the application or by hand. Fix: devenv doctor --fix writes the
current values. In the application: update the copies when the row changes.""",
    ),
)
