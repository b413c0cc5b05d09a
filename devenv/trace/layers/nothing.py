"""When an empty list proves nothing: no user's list can have an item, as the stores are now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from devenv.config.schema import SeedSource
from devenv.core.plural import number_of
from devenv.links.faults import Fault
from devenv.links.read import ItemRecord


def why_nothing(
    kinds: Iterable[str], records: Sequence[ItemRecord], faults: Iterable[Fault], seed: SeedSource
) -> Iterator[str]:
    """Why, with the next step. `records` are all items of these kinds, `faults` those of all items."""
    named = " and ".join(f"`{kind}`" for kind in sorted(kinds))
    then = "run `devenv seed`, then trace again" if seed.command or seed.files else "write one, then trace again"
    lost = {id(fault.record) for fault in faults if fault.kind == "orphan" and fault.record is not None}
    if not records:
        yield f"the stores hold no item of kind {named}, so an empty list was compared with nothing: {then}"
    elif all(id(record) in lost for record in records):
        items = number_of(len(records), "item", "items")
        yield f"no id in {items} of kind {named} matches a row, so this list can only be empty: {then}"
