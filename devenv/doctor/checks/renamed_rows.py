"""The remedy for items whose row has another value now than when setup loaded it."""

from __future__ import annotations

from collections.abc import Sequence

from devenv.core.model import Fix
from devenv.doctor.checks.statements import name, text, word
from devenv.links.renamed import Renamed, is_writable
from devenv.stores.postgres.catalog import Catalog


def undo_renaming(catalog: Catalog, found: Sequence[Renamed]) -> Fix:
    """Put the old value back into the first row that allows it, or correct the items.

    No command where Postgres would refuse it: a foreign key leads to the column, or Postgres computes it.
    """
    able = [one for one in found if is_writable(catalog, one)]
    if not able:
        one = found[0]
        if not one.key:
            return Fix(f"{one.sentence}: compare them, and correct the rows or the items")
        return Fix(f"write the row's current `{one.column}` into the items and their seed files")
    one = able[0]
    title = ".".join(map(name, one.relation))
    kept = " AND ".join(f"{name(column)} = {text(value)}" for column, value in one.key.items())
    statement = f"UPDATE {title} SET {name(one.column)} = {text(one.old)} WHERE {kept}"  # noqa: S608 (all quoted)
    which = f"the first of {len(found)} rows" if len(found) > 1 else "the row"
    return Fix(
        f"if the change was a mistake, set `{one.column}` back to {one.old!r}: the command changes {which}. Otherwise"
        f" write the row's current `{one.column}` into the items and their seed files",
        f"devenv db --write {word(statement)}",
    )
