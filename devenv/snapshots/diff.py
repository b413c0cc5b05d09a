"""`devenv snapshot diff A [B]`: rows and items that were added, removed or changed between two points, by key.

Both sides are read in the order of their keys and compared as they pass, so that memory does not grow with the data.
A snapshot of the form `files` is a stopped cluster: a copy of it is started for the comparison, on loopback and a port
of its own, and removed afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from devenv.core.errors import Exit
from devenv.core.events import Watch
from devenv.core.model import DYNAMODB, POSTGRES, Report
from devenv.snapshots.diff_folder import diff_folder
from devenv.snapshots.manifest import find
from devenv.snapshots.services import changed_services
from devenv.snapshots.sides import Side, open_now, open_snapshot
from devenv.stack import Stack

# Of each table so many differences are listed; all are counted.
LISTED: Final = 20
How = Literal["added", "removed", "changed"]
Entry = tuple[Any, str]


@dataclass
class TableChanges:
    """The differences in one table. `listed`: key, how, and for a change the fields with both values."""

    store: str
    table: str
    added: int = 0
    removed: int = 0
    changed: int = 0
    listed: list[dict[str, Any]] = field(default_factory=list)

    def note(self, how: How, key: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """Count one difference; the first ones are kept."""
        setattr(self, how, getattr(self, how) + 1)
        if len(self.listed) < LISTED:
            fields = fields_of(old, new) if how == "changed" else {}
            self.listed.append({"how": how, "key": dict(key), "fields": fields})

    @property
    def total(self) -> int:
        """All differences."""
        return self.added + self.removed + self.changed


def diff(stack: Stack, first: str, second: str | None, watch: Watch) -> Report:
    """Compare a snapshot with another one, or with the present data (`second` is None)."""
    home = stack.engine.home
    past, later = find(home, first), find(home, second) if second is not None else None
    with ExitStack() as opened:
        watch.begin("diff", f"reading `{first}`")
        work = opened.enter_context(diff_folder(home))
        old = opened.enter_context(open_snapshot(stack, *past, work))
        new = opened.enter_context(open_snapshot(stack, *later, work) if later else open_now(stack, work))
        tables = [each for each in compare(old, new) if each.total]
        services = changed_services(stack.engine, past[0], later[0] if later else None, work)
        watch.end("diff", "compared", ok=True)
    body = {
        "diff": {"from": first, "to": second},
        "identical": not tables and not services,
        "tables": [
            {**{name: getattr(each, name) for name in ("store", "table", "added", "removed", "changed", "listed")}}
            for each in tables
        ],
        **({"services": services} if services else {}),
    }
    return Report("snapshot", stack.settings.project.name, Exit.DONE, body)


def compare(old: Side, new: Side) -> Iterator[TableChanges]:
    """The differences of every table of either side."""
    for name in sorted(old.tables() | new.tables()):
        yield compare_table(POSTGRES, name, old.rows(name), new.rows(name), old.key(name) or new.key(name))
    for name in sorted(old.items.keys() | new.items.keys()):
        yield compare_items(name, old, new)


def compare_table(
    store: str, name: str, old: Iterable[Entry], new: Iterable[Entry], key: tuple[str, ...]
) -> TableChanges:
    """Two streams of (key, JSON of the row) in the order of the key. Pure."""
    found = TableChanges(store, name)

    def judge(before: str | None, after: str | None) -> None:
        past = msgspec.json.decode(before) if before is not None else {}
        present = msgspec.json.decode(after) if after is not None else {}
        shown = present or past
        names = key or tuple(shown)
        how: How = "added" if before is None else "removed" if after is None else "changed"
        found.note(how, {each: shown.get(each) for each in names}, past, present)

    merge(old, new, judge)
    return found


def merge(old: Iterable[Entry], new: Iterable[Entry], judge: Callable[[str | None, str | None], None]) -> None:
    """Walk two sorted streams together, and give `judge` every pair that differs (None: not on that side). Pure."""
    left, right = iter(old), iter(new)
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0] < other[0]):
            judge(one[1] if one else None, None)
            one = next(left, None)
        elif one is None or other[0] < one[0]:
            judge(None, other[1])
            other = next(right, None)
        else:
            if one[1] != other[1]:
                judge(one[1], other[1])
            one, other = next(left, None), next(right, None)


def compare_items(name: str, old: Side, new: Side) -> TableChanges:
    """One DynamoDB table of both sides."""
    found = TableChanges(DYNAMODB, name)
    keys = new.items.get(name) or old.items.get(name) or ()
    for before, after in old.item_differences(new, name):
        past = msgspec.json.decode(before) if before is not None else {}
        present = msgspec.json.decode(after) if after is not None else {}
        # The same item, written in another order of its attributes or members.
        if before is not None and after is not None and normal(past) == normal(present):
            continue
        shown = present or past
        how: How = "added" if before is None else "removed" if after is None else "changed"
        found.note(how, {each: shown.get(each) for each in keys}, past, present)
    return found


def normal(item: Any) -> Any:
    """An item in one form: sets without order, numbers by value."""
    from devenv.steps.seed.items import normal_item

    return normal_item(item)


def fields_of(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Field -> its values before and after, of those that differ; None where a side lacks it. Pure."""
    names = dict.fromkeys([*old, *new])
    return {
        name: {"from": old.get(name), "to": new.get(name)}
        for name in names
        if old.get(name) != new.get(name) or (name in old) != (name in new)
    }
