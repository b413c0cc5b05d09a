"""Data: items and rows as they should be, each store by itself."""

from __future__ import annotations

from devenv.core.model import Fix, Outcome
from devenv.doctor.checks.check import Check, failed, passed, unneeded
from devenv.doctor.checks.items import (
    ROWS,
    judged,
    no_entities,
    no_entries,
    no_group_times,
    no_groups,
    no_items,
    no_members,
    no_natural_keys,
    no_times,
    nothing_unique,
)
from devenv.doctor.checks.statements import name, text, word
from devenv.links.facts import Facts, is_naming
from devenv.links.judge import Edge
from devenv.links.values import canonical, is_placeholder

ITEMS = ("SVC002", "SCH002")


def run_row_blanks(facts: Facts) -> Outcome:
    """Text columns of linked tables that name somebody in another system: a sign-in id, an address, a key."""
    found = facts.postgres()
    blanks: list[tuple[str, str]] = []
    columns: set[str] = set()
    looked: set[str] = set()
    commands: list[str] = []
    for edge in {edge.relation: edge for edge in facts.plan.edges}.values():
        table = found.catalog.table(edge.relation)
        naming = [column.name for column in table.columns if is_naming(column.name, column.type)] if table else []
        looked |= {".".join((*edge.relation, column)) for column in naming}
        loaded = {canonical(row.get(edge.column) or ""): row for row in found.seeded.get(edge.relation, ())}
        for row in found.rows.get(edge.relation, ()):
            identifier = canonical(row[edge.column])
            for column in naming:
                if column in row and isinstance(row[column], str) and is_placeholder(row[column]):
                    where = ".".join((*edge.relation, column))
                    columns.add(where)
                    blanks.append((identifier, f"{where} of {identifier} is {row[column]!r}"))
                    before = loaded.get(identifier, {}).get(column)
                    if before is not None and not is_placeholder(before):
                        commands.append(put_back(edge, identifier, column, before))
    if not looked:
        return unneeded("no linked table has a text column for an id of another system")
    if not blanks:
        return passed(", ".join(sorted(looked)))
    texts = [shown for _, shown in blanks]
    more = [f"and {len(texts) - 3} more"] if len(texts) > 3 else []
    return failed(
        [*texts[:3], *more],
        cause="either the seed's placeholder was never replaced, or it overwrote the real value; the application looks "
        "users up by this value when they sign in, and finds none",
        fix=Fix(
            f"write the real value into {', '.join(sorted(columns))}, and into the seed file if it is missing there"
            + (". The command restores the first value, as setup loaded it" if commands else ""),
            commands[0] if commands else None,
        ),
        subjects=(subject for subject, _ in blanks),
        # Without [token] no request of the project depends on it, as far as is declared.
        status="fail" if facts.context.settings.token else "warn",
    )


def put_back(edge: Edge, identifier: str, column: str, value: str) -> str:
    """The command that gives one column of one row this value."""
    table, key = ".".join(map(name, edge.relation)), f"{name(edge.column)}={text(identifier)}"
    statement = f"UPDATE {table} SET {name(column)}={text(value)} WHERE {key}"  # noqa: S608 (all quoted, and only shown)
    return f"devenv db --write {word(statement)}"


CHECKS = (
    Check(
        code="DAT001",
        name="attributes-present",
        group="data",
        title="every item has the attributes that its kind requires",
        run=judged("missing_attribute", lacks=no_entities),
        faults=("missing_attribute",),
        needs=ITEMS,
        explain="""\
[entities] in devenv.toml say which attributes an item has; those without `?` must be there. Code that reads a
missing one fails (`KeyError`, `undefined`).

Common causes: one of several writers leaves it out, or items are older than the attribute.
Fix: add the attribute to these items, or declare it optional with `?`.""",
    ),
    Check(
        code="DAT002",
        name="ids-well-formed",
        group="data",
        title="ids and keys have their declared form",
        run=judged("malformed_key", "malformed_id", "contradiction", lacks=no_items, rows=True, every=True),
        faults=("malformed_key", "malformed_id", "contradiction"),
        needs=ITEMS,
        uses=ROWS,
        explain="""\
A value is declared as a uuid (or a number) but is not one, or is written differently from the others: in capitals,
without hyphens, with a misspelt prefix. DynamoDB compares text, so such an item is never found. Or a placeholder of
`match` has the name of an attribute (`gsi1pk = "PATRON#{borrower}"`), and the item has another value in `borrower`
than in its key: a query by the key finds the item under the wrong id.

Common causes: a key was built by hand, or from the wrong variable; an attribute was changed and its key was not. Fix:
devenv doctor --fix corrects another spelling of the same id; correct anything else yourself. If the placeholder and the
attribute of this name mean different things, rename the placeholder.""",
    ),
    Check(
        code="DAT003",
        name="attribute-types",
        group="data",
        title="attributes have their declared types",
        run=judged("wrong_type", lacks=no_entities),
        faults=("wrong_type",),
        needs=ITEMS,
        explain="""\
`"1"` and `1` are different values in DynamoDB. It accepts both; code that reads them may not.

Common causes: two programs write the attribute differently, or a seed has numbers as text. Fix: correct the program
and load the items again.""",
    ),
    Check(
        code="DAT004",
        name="no-placeholders",
        group="data",
        title="no placeholder values are stored",
        run=judged("placeholder", lacks=no_items, rows=True, every=True),
        faults=("placeholder",),
        needs=ITEMS,
        uses=ROWS,
        explain="""\
An id, a key or a copy of a column is still a placeholder: MY_USER_UUID, {{handle}}, None. Other texts are not
checked.

Common causes: a seed or a template was loaded before its variables were replaced. Fix: if the intended row is
known, devenv doctor --fix writes its value; otherwise correct the seed.""",
    ),
    Check(
        code="DAT005",
        name="one-time-format",
        group="data",
        title="all times have one format, in UTC",
        run=judged("mixed_time_format", lacks=no_times),
        faults=("mixed_time_format",),
        needs=ITEMS,
        explain="""\
DynamoDB sorts a key as text. Text order is time order only if all times have the same format, width and time zone.
`2023-06-24T20:57:02` and `2023-06-24T22:57:02+02:00` are the same moment, and sort two hours apart.

Common causes: isoformat() omits a fraction of 0, and writes no zone for a time without one; one program used local
time. Fix: devenv doctor --fix rewrites times whose zone is known; correct those without a zone yourself. In the
application: format all times in one function.""",
    ),
    Check(
        code="DAT006",
        name="no-future-times",
        group="data",
        title="no entry of a group is dated in the future",
        run=judged("future_time", lacks=no_group_times),
        faults=("future_time",),
        needs=ITEMS,
        explain="""\
A new entry sorts before an entry that is dated in the future, so it does not appear as the newest.

Common causes: seeds with fixed dates, a wrong clock, or local time written as UTC.
Fix: correct the dates in the seed, then devenv seed.""",
    ),
    Check(
        code="DAT007",
        name="no-duplicates",
        group="data",
        title="nothing is stored twice",
        run=judged("duplicate", lacks=nothing_unique),
        faults=("duplicate",),
        needs=ITEMS,
        explain="""\
A value that is declared unique occurs under two keys, a group has two member items of one owner, or a whole group
exists twice.

Common causes: a seed that generates new keys was loaded twice; a retried write generated a new key.
Fix: delete the extra items, with the command that the finding shows.""",
    ),
    Check(
        code="DAT008",
        name="groups-complete",
        group="data",
        title="every group has all its member items",
        run=judged("half_group", lacks=no_groups),
        faults=("half_group",),
        needs=ITEMS,
        explain="""\
[[groups]] declare items that must exist together, such as the two member items of a conversation. If one is
missing, one user does not see the conversation.

Common causes: the items were written separately and one write failed; one user's item was deleted. Fix: devenv
doctor --fix creates the missing item from the other. In the application: write both in one transaction.""",
    ),
    Check(
        code="DAT009",
        name="members-only",
        group="data",
        title="the member items and entries of a group refer to its members only",
        run=judged("foreign_member", lacks=no_members),
        faults=("foreign_member",),
        needs=ITEMS,
        explain="""\
An entry's author is not among the group's owners, or a member item refers to a user who has no member item.

Common causes: a wrong id was stored, or membership is not checked before writing.
Fix: correct the id, or add the member.""",
    ),
    Check(
        code="DAT010",
        name="previews-fresh",
        group="data",
        title="the member items of every group show its newest entry",
        run=judged("stale_preview", "missing_item", lacks=no_entries),
        faults=("stale_preview", "missing_item"),
        needs=ITEMS,
        explain="""\
A group's member items carry time and text of the newest entry. If they are out of date, the list is in the wrong
order and shows an old text. A difference of up to 2 s is ignored, because the entry and the items may be written one
after the other.

Common causes: the entry was written, and updating the member items failed. Fix: devenv doctor --fix updates them.
In the application: write all in one transaction.""",
    ),
    Check(
        code="DAT011",
        name="natural-keys",
        group="data",
        title="each natural key identifies one row",
        run=judged("ambiguous_row", "near_miss", lacks=no_natural_keys, every=True),
        faults=("ambiguous_row", "near_miss"),
        needs=(*ITEMS, *ROWS),
        explain="""\
A link's natural key (a handle) must identify one row. If two rows share it, or differ only in capitals or blanks, a
lookup finds nothing or the wrong row.

Fix: correct the rows and make the column UNIQUE.""",
    ),
    Check(
        code="DAT012",
        name="row-placeholders",
        group="data",
        title="no id of a row is a placeholder",
        run=run_row_blanks,
        needs=ROWS,
        explain="""\
A column that holds a user's id in another system (a sign-in id, an address, a key) still has the seed's
placeholder, such as MOCK. At sign-in the application looks for the user by this value, finds none, and answers 401,
404 or 500.

Fix: write the real value into the seed file and run devenv up.""",
    ),
    Check(
        code="DAT013",
        name="seeded-rows",
        group="data",
        title="every linked row that setup loaded is there",
        run=judged("missing_row", lacks=no_natural_keys, every=True),
        faults=("missing_row",),
        needs=(*ITEMS, *ROWS),
        explain="""\
Step setup records which rows it loaded. A recorded row that links can refer to is gone: the table has neither its id
nor its natural key. Its user cannot sign in and receives no messages, and no error is shown.

Common causes: the row was deleted; or SQL files were run by another tool that continued after an error, such as a
broken list of values. devenv itself stops at the first error and rolls back. Fix: the command in the finding
inserts the rows as setup recorded them, with their ids.""",
    ),
)
