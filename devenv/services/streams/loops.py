"""Does a function call itself without end? A record that a call wrote is one call deeper than what caused it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

DEEPEST: Final = 16  # Lambda, too, stops after about sixteen calls of this kind
# Where the interpreter does not tell what the function writes: the same item, changed again and again at once.
DEEPEST_GUESSED: Final = 100
SOON_S: Final = 1.0
KEPT: Final = 1000


@dataclass
class Depths:
    """How deep the items are that calls have written into the worker's own table, by key as JSON."""

    table: str
    keys: tuple[str, ...]
    tells: bool = True
    by_key: dict[str, tuple[int, float]] = field(default_factory=dict)

    @property
    def deepest(self) -> int:
        """The depth at which a function is stopped."""
        return DEEPEST if self.tells else DEEPEST_GUESSED

    def of(self, records: Iterable[Mapping[str, Any]], now: float) -> int:
        """The depth of a batch: 0 when the function wrote none of its items."""
        known = (self.by_key.get(key_text(record["dynamodb"]["Keys"]), (0, 0.0)) for record in records)
        return max((depth for depth, at in known if self.tells or now - at <= SOON_S), default=0)

    def called(
        self, requests: Iterable[tuple[str, str]], depth: int, records: Iterable[Mapping[str, Any]], now: float
    ) -> None:
        """Note what a call at `depth` wrote, or may have written; the items that it was called for are at an end."""
        keys = [key_text(record["dynamodb"]["Keys"]) for record in records]
        for key in keys:
            self.by_key.pop(key, None)
        if self.tells:
            keys = [key for operation, body in requests for key in written_keys(operation, body, self.table, self.keys)]
        for key in keys:
            self.by_key[key] = (depth + 1, now)
        while len(self.by_key) > KEPT:
            del self.by_key[next(iter(self.by_key))]


def key_text(key: Mapping[str, Any]) -> str:
    """A key as one text."""
    return json.dumps(key, sort_keys=True)


def written_keys(operation: str, body: str, table: str, names: tuple[str, ...]) -> list[str]:
    """The keys in `table` that a request writes, as texts."""
    try:
        request = json.loads(body)
    except ValueError:
        return []
    found: list[Mapping[str, Any]] = []
    if operation == "BatchWriteItem":
        for entry in request.get("RequestItems", {}).get(table, ()):
            found += [
                entry[kind][part] for kind, part in (("PutRequest", "Item"), ("DeleteRequest", "Key")) if kind in entry
            ]
    else:
        writes = [request]
        if operation == "TransactWriteItems":
            writes = [inner for entry in request.get("TransactItems", ()) for inner in entry.values()]
        found = [write.get("Item") or write.get("Key") or {} for write in writes if write.get("TableName") == table]
    return [key_text({name: item[name] for name in names}) for item in found if all(name in item for name in names)]
