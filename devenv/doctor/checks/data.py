"""Data: items and rows as they should be, each store by itself."""

from __future__ import annotations

from devenv.core.model import Fix, Outcome
from devenv.doctor.checks.check import Check, failed, passed
from devenv.doctor.checks.items import judged, name, no_entities, no_groups, no_items, no_natural_keys, text, word
from devenv.links.facts import Facts, is_naming
from devenv.links.judge import Edge
from devenv.links.values import canonical, is_placeholder

ITEMS = ("SVC002", "SCH002")
ROWS = ("SVC001", "SCH004")


def run_row_blanks(facts: Facts) -> Outcome:
    """Text columns of linked tables that name somebody in another system: a sign-in id, an address, a key."""
    found = facts.postgres()
    blanks: list[tuple[str, str]] = []
    columns: set[str] = set()
    commands: list[str] = []
    for edge in {edge.relation: edge for edge in facts.plan.edges}.values():
        table = found.catalog.table(edge.relation)
        naming = [column.name for column in table.columns if is_naming(column.name, column.type)] if table else []
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
    if not blanks:
        return passed()
    texts = [shown for _, shown in blanks]
    more = [f"and {len(texts) - 3} more"] if len(texts) > 3 else []
    return failed(
        [*texts[:3], *more],
        cause="either the seed's placeholder was never replaced, or it was written over: who signs in is looked up by "
        "this value and not found",
        fix=Fix(
            f"put the real value into {', '.join(sorted(columns))} and, if it is not there, into the seed file"
            + (". The command puts the first one back as setup loaded it" if commands else ""),
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
[entities] in devenv.toml say which attributes an item has; those without `?` must be there. A reader
that relies on a missing one fails (`KeyError`, `undefined`).

How it happens: one of several writers leaves it out, or items are older than the attribute.
Repair: add the attribute to these items, or declare it optional with `?`.""",
    ),
    Check(
        code="DAT002",
        name="ids-well-formed",
        group="data",
        title="ids and keys have the form that is declared for them",
        run=judged("malformed_key", "malformed_id", lacks=no_items),
        faults=("malformed_key", "malformed_id"),
        needs=ITEMS,
        explain="""\
A value is declared as a uuid (or a number) and is none, or is written otherwise than the others: in
capitals, without hyphens, under a misspelt prefix. DynamoDB compares text, so such an item is never found.

How it happens: a key was put together by hand, or from the wrong variable.
Repair: another spelling of the same id is corrected by devenv doctor --fix; anything else needs you.""",
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
DynamoDB keeps `"1"` and `1` apart, and does not mind either. A reader may.

How it happens: two writers, or a seed that writes numbers as text.
Repair: correct the writer and load the items again.""",
    ),
    Check(
        code="DAT004",
        name="no-placeholders",
        group="data",
        title="no placeholder values are stored",
        run=judged("placeholder", lacks=no_items),
        faults=("placeholder",),
        needs=ITEMS,
        explain="""\
A value that must name something is an unfilled blank: MY_USER_UUID, {{handle}}, None. Only ids,
keys and copies of columns are checked; in a message, people may write what they like.

How it happens: a seed or a template was loaded before its variables were replaced.
Repair: where the row that is meant is known, devenv doctor --fix puts its value in; else correct the seed.""",
    ),
    Check(
        code="DAT005",
        name="one-time-format",
        group="data",
        title="times are written in one form, in UTC",
        run=judged("mixed_time_format", lacks=no_entities),
        faults=("mixed_time_format",),
        needs=ITEMS,
        explain="""\
DynamoDB sorts a key as text. Text order is time order only when every time has the same form, the same
width and the same zone. `2023-06-24T20:57:02` and `2023-06-24T22:57:02+02:00` land in the wrong place.

How it happens: isoformat() leaves out the fraction when it is 0, and the zone of a time that has none; local time was
used in one place.
Repair: devenv doctor --fix rewrites times whose zone is known; one without a zone could mean any moment, and needs
you. In the application: one function that formats times.""",
    ),
    Check(
        code="DAT006",
        name="no-future-times",
        group="data",
        title="no entry of a group is dated in the future",
        run=judged("future_time", lacks=no_groups),
        faults=("future_time",),
        needs=ITEMS,
        explain="""\
What is written now sorts before an entry of the future, so it does not appear where the newest is expected.

How it happens: seeds with fixed dates, a wrong clock, or local time written as UTC.
Repair: correct the dates in the seed, then devenv seed.""",
    ),
    Check(
        code="DAT007",
        name="no-duplicates",
        group="data",
        title="nothing is stored twice",
        run=judged("duplicate", lacks=no_entities),
        faults=("duplicate",),
        needs=ITEMS,
        explain="""\
A value that is declared unique occurs under two keys, a group has two rows of one owner, or a whole group
is there twice.

How it happens: a seed that makes new keys each time was loaded twice; a retried write made a new key.
Repair: delete the extra items, with the command that the finding shows.""",
    ),
    Check(
        code="DAT008",
        name="groups-complete",
        group="data",
        title="every group has all its rows",
        run=judged("half_group", lacks=no_groups),
        faults=("half_group",),
        needs=ITEMS,
        explain="""\
[[groups]] declare items that must exist together, as the two rows of a conversation. With one missing, one
side does not see it.

How it happens: the writes were separate and one failed; a list was deleted for one side only.
Repair: devenv doctor --fix makes the missing row from the other. In the application: one transaction.""",
    ),
    Check(
        code="DAT009",
        name="members-only",
        group="data",
        title="rows and entries of a group name its members only",
        run=judged("foreign_member", lacks=no_groups),
        faults=("foreign_member",),
        needs=ITEMS,
        explain="""\
An entry's author is not among the group's owners, or a row refers to a user that has no row.

How it happens: a wrong id was stored, or membership is not checked before writing.
Repair: correct the id, or add the member.""",
    ),
    Check(
        code="DAT010",
        name="previews-fresh",
        group="data",
        title="the rows of every group show its newest entry",
        run=judged("stale_preview", "missing_item", lacks=no_groups),
        faults=("stale_preview", "missing_item"),
        needs=ITEMS,
        explain="""\
A group's rows carry time and text of the newest entry. When they lag, the list is in the wrong order and
shows the old text. An entry that is newer by less than a write takes is no fault.

How it happens: the entry was written and moving the rows failed.
Repair: devenv doctor --fix moves the rows. In the application: one transaction.""",
    ),
    Check(
        code="DAT011",
        name="natural-keys",
        group="data",
        title="natural keys tell rows apart",
        run=judged("ambiguous_row", "near_miss", lacks=no_natural_keys),
        faults=("ambiguous_row", "near_miss"),
        needs=(*ITEMS, *ROWS),
        explain="""\
A link's natural key (a handle) should name one row. Two rows with it, or two that differ only in capitals
or blanks, are easily taken for each other: a lookup finds nothing, or the wrong one.

Repair: correct the rows and make the column UNIQUE.""",
    ),
    Check(
        code="DAT012",
        name="row-placeholders",
        group="data",
        title="no placeholder was left in a row's ids",
        run=run_row_blanks,
        needs=ROWS,
        explain="""\
A column that holds a user's id in another system (a sign-in id, an address, a key) still has the seed's
placeholder, as MOCK. Users are looked up by it when they sign in, are not found, and get 401, 404 or 500.

Repair: write the real value into the seed file and run devenv up.""",
    ),
    Check(
        code="DAT013",
        name="seeded-rows",
        group="data",
        title="every linked row that setup loaded is there",
        run=judged("missing_row", lacks=no_natural_keys),
        faults=("missing_row",),
        needs=(*ITEMS, *ROWS),
        explain="""\
Step setup notes which rows it loaded. One that links could refer to is there neither by its id nor by its natural
key: a user is missing without an error, cannot sign in and receives no messages.

How it happens: the row was deleted; or SQL files were run by another tool that continued after an error, such as a
broken list of values. devenv itself stops at the first error and keeps nothing.
Repair: the command that the finding shows inserts them as setup recorded them, with their ids.""",
    ),
)
