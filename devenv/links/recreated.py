"""Orphans whose row is there under another id: a unique value on the item names it. Pure.

Only for links without a natural key: with one, such an id is a `mismatched_id`. Chance is ruled out by the other items
of the link, or by the attribute's name; what stays open is not claimed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from devenv.config.masking import is_secret_name
from devenv.core.late import late
from devenv.core.plural import number_of
from devenv.core.toml import toml
from devenv.core.value import Value
from devenv.links.faults import Fault, Recreated
from devenv.links.judge import LinkJudgement
from devenv.links.packed import Item
from devenv.links.read import Edge, ReadPlan
from devenv.links.resolve import NamedId
from devenv.links.values import canonical, canonical_text, is_placeholder, scalar_text

if TYPE_CHECKING:
    from devenv.stores.postgres.catalog import Catalog

Row = Mapping[str, Any]
Pair = tuple[str, str]  # an attribute and a column
# Orphans of one link that are looked up, of one id, and items with a good id that they are held against.
SAMPLE: Final = 100
SAME: Final = 2
PEERS: Final = 20
# Shorter texts and numbers are equal by chance.
SHORTEST: Final = 3
DIGITS: Final = 6
LONGEST: Final = 256
# The types whose index serves a search for texts.
TEXTS: Final = frozenset(["uuid", "text", "character varying"])
NUMBERS: Final = frozenset(["integer", "bigint"])
WORDS: Final = late(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+(?![a-z])")
BLANK: Final = frozenset(["true", "false", "yes", "no", "none", "null"])


class Probe(Value, frozen=True):
    """One link with its orphans, and the unique columns (with their types) that may name their rows.

    `peers` are items with the id that each names; `rivals` are other links of these items to the same rows.
    """

    edge: Edge
    columns: Mapping[str, str]
    orphans: tuple[Fault, ...]
    peers: tuple[tuple[Item, str], ...]
    rivals: tuple[Edge, ...]

    @property
    def sample(self) -> list[Fault]:
        """The orphans that are looked up: few of each id."""
        seen: Counter[str] = Counter()
        chosen = []
        for fault in self.orphans:
            seen[fault.subjects[0]] += 1
            if seen[fault.subjects[0]] <= SAME:
                chosen.append(fault)
                if len(chosen) == SAMPLE:
                    break
        return chosen

    def values(self) -> dict[str, set[str]]:
        """Column -> the texts to look up in it."""
        wanted: dict[str, set[str]] = {}
        for fault in self.sample:
            for _, column, text in self.candidates(item_of(fault)):
                wanted.setdefault(column, set()).add(text)
        if wanted:
            wanted.setdefault(self.edge.column, set()).update(canonical(text) for _, text in self.peers)
        return wanted

    def candidates(self, item: Item) -> Iterator[tuple[str, str, str]]:
        """(attribute, column, text) of everything on an item that can be a unique value of a row."""
        for attribute, value in item.items():
            text = scalar_text(value)
            if attribute == self.edge.attribute or text is None or not is_telling(text):
                continue
            for column, kind in self.columns.items():
                if kind in TEXTS or is_similar(attribute, column):
                    yield attribute, column, text


def is_unkeyed_orphan(fault: Fault) -> bool:
    """Return True for an orphan of a link that declares no natural key."""
    return fault.kind == "orphan" and fault.edge is not None and not fault.edge.natural and fault.record is not None


def has_unkeyed_orphans(judgement: LinkJudgement) -> bool:
    """Return True if any row could be there under another id."""
    return any(map(is_unkeyed_orphan, judgement.faults))


def peers_of(named: Iterable[NamedId]) -> dict[str, list[tuple[Item, str]]]:
    """Link -> a few items whose id names a row, each of another id."""
    chosen: dict[str, dict[str, tuple[Item, str]]] = {}
    for one in named:
        mine = chosen.setdefault(one.edge.name, {})
        if one.how == "id" and len(mine) < PEERS and one.id not in mine:
            mine[one.id] = one.record.item, one.id
    return {name: list(mine.values()) for name, mine in chosen.items()}


def make_probes(
    plan: ReadPlan, catalog: Catalog, faults: Iterable[Fault], peers: Mapping[str, Sequence[tuple[Item, str]]]
) -> Iterator[Probe]:
    """A probe for each link without a natural key that has orphans, and unique columns beside its own."""
    orphans: dict[str, list[Fault]] = {}
    for fault in faults:
        if is_unkeyed_orphan(fault) and fault.edge is not None:
            orphans.setdefault(fault.edge.name, []).append(fault)
    for edge in plan.edges:
        columns = unique_columns(catalog, edge) if edge.name in orphans else {}
        if columns:
            rivals = tuple(
                e for e in plan.edges if e is not edge and (e.table, e.relation) == (edge.table, edge.relation)
            )
            known = tuple(peers.get(edge.name, ())) if is_unique(catalog, edge) else ()
            yield Probe(edge, columns, tuple(orphans[edge.name]), known, rivals)


def plain_type(text: str) -> str:
    """A column's type without its length."""
    return text.partition("(")[0].strip()


def is_unique(catalog: Catalog, edge: Edge) -> bool:
    """Return True if an index finds rows by the link's own column."""
    table = catalog.table(edge.relation)
    kinds = {column.name: plain_type(column.type) for column in table.columns} if table else {}
    return table is not None and (edge.column,) in table.keys and kinds.get(edge.column) in TEXTS | NUMBERS


def unique_columns(catalog: Catalog, edge: Edge) -> dict[str, str]:
    """The columns, with their types, that name one row of a link's table by themselves.

    A column that refers to another table is left out: it says who a row belongs to, not which row it is.
    """
    table = catalog.table(edge.relation)
    if table is None:
        return {}
    alone = {columns[0] for columns in table.keys if len(columns) == 1} - {edge.column}
    alone -= {column for each in table.constraints if each.kind == "foreign" for column in each.columns}
    kinds = {column.name: plain_type(column.type) for column in table.columns if column.name in alone}
    return {name: kind for name, kind in kinds.items() if kind in TEXTS | NUMBERS and not is_secret_name(name)}


def find_recreated(probe: Probe, rows: Iterable[Row]) -> dict[int, Recreated]:
    """`id` of an orphan -> the row that a unique value on its item names, where that is established."""
    index = RowsByValue(probe, rows)
    hits: dict[Pair, list[tuple[Fault, Row]]] = {}
    for fault in probe.sample:
        for pair, row in index.hits(fault):
            hits.setdefault(pair, []).append((fault, row))
    good = {pair for pair, found in hits.items() if is_established(probe, pair, found, index)}
    proved = {pair for pair in good if index.agrees(pair)}
    found = {}
    for fault in probe.orphans if good else ():
        rival = is_contested(probe, fault)
        mine = [(pair, row) for pair, row in index.hits(fault) if pair in (proved if rival else good)]
        if mine and len({index.id(row) for _, row in mine}) == 1:
            (attribute, column), row = min(mine, key=lambda each: (not is_named(probe.edge, each[0]), each[0]))
            found[id(fault)] = Recreated(attribute, column, canonical_text(row[column]), index.id(row))
    return found


class RowsByValue:
    """The rows that were found, by the values of each column."""

    def __init__(self, probe: Probe, rows: Iterable[Row]) -> None:
        self.probe = probe
        self.known: dict[str, Row] = {}
        self.found: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            if row[probe.edge.column] is None:
                continue
            self.known[self.id(row)] = row
            for column in probe.columns:
                if row[column] is not None:
                    self.found.setdefault((column, canonical_text(row[column])), []).append(row)

    def id(self, row: Row) -> str:
        """A row's id, as links compare it."""
        return canonical(row[self.probe.edge.column])

    def hits(self, fault: Fault) -> Iterator[tuple[Pair, Row]]:
        """The rows that values on an orphan's item name. A row whose id is on the item, too, is another one's."""
        item = item_of(fault)
        for attribute, column, text in self.probe.candidates(item):
            rows = self.found.get((column, text), ())
            if len(rows) == 1 and not is_on(self.probe, item, self.id(rows[0])):
                yield (attribute, column), rows[0]

    def agrees(self, pair: Pair) -> bool | None:
        """Return True if most items with a good id have their row's value in this attribute; None: none has any."""
        attribute, column = pair
        votes = [
            text == canonical_text(row[column])
            for item, id in self.probe.peers
            if (row := self.known.get(canonical(id))) is not None
            and row[column] is not None
            and (text := scalar_text(item.get(attribute))) is not None
        ]
        return sum(votes) * 2 > len(votes) if votes else None


def is_established(probe: Probe, pair: Pair, hits: Sequence[tuple[Fault, Row]], index: RowsByValue) -> bool:
    """Return True if an attribute names rows by a unique column, and not by chance.

    One id must lead to one row. Where no item with a good id tells, also one row to one id, and either the attribute
    is named like the column, or several rows are found.
    """
    ways = {(fault.subjects[0], index.id(row)) for fault, row in hits}
    if len({old for old, _ in ways}) != len(ways):
        return False
    agrees = index.agrees(pair)
    if agrees is not None:
        return agrees
    if len({new for _, new in ways}) != len(ways) or all(is_contested(probe, fault) for fault, _ in hits):
        return False
    return is_named(probe.edge, pair) or len(ways) > 1


def is_contested(probe: Probe, fault: Fault) -> bool:
    """Return True if the item names another row of the same table, too: the value may be that row's."""
    item = item_of(fault)
    return any(canonical(id) != fault.subjects[0] for rival in probe.rivals for id in rival.ids(item))


def is_on(probe: Probe, item: Item, id: str) -> bool:
    """Return True if an item has this id. A short one is looked for in links only: elsewhere it is any number."""
    if any(canonical(each) == id for edge in (probe.edge, *probe.rivals) for each in edge.ids(item)):
        return True
    return len(id) > DIGITS and any(id in (scalar_text(value) or "").lower() for value in item.values())


def is_telling(text: str) -> bool:
    """Return True unless a text is equal to others by chance: short numbers, truth values, blanks."""
    if not SHORTEST <= len(text) <= LONGEST or text.lower() in BLANK or "\0" in text or is_placeholder(text):
        return False
    return len(text) >= DIGITS if text.isdigit() else any(map(str.isalnum, text))


def is_named(edge: Edge, pair: Pair) -> bool:
    """Return True if the attribute is a declared copy of the column, or has a similar name."""
    return pair in edge.copies or is_similar(*pair)


def is_similar(attribute: str, column: str) -> bool:
    """Return True for `trackingCode`, `parcel_tracking_code` and `tracking_code`: one ends with the other's words."""
    one, other = ([word.lower() for word in WORDS.findall(name)] for name in (attribute, column))
    short, long = sorted((one, other), key=len)
    return "".join(one) == "".join(other) or (bool(short) and long[-len(short) :] == short)


def item_of(fault: Fault) -> Item:
    """The item of an orphan."""
    return fault.record.item if fault.record is not None else {}


def with_recreated(judgement: LinkJudgement, found: Mapping[int, Recreated]) -> LinkJudgement:
    """The judgement with these rows in its orphans: in their words, and in their common cause."""
    faults = [
        replace(fault, recreated=row, note=f"{fault.note}; {sentence(row)}") if (row := found.get(id(fault))) else fault
        for fault in judgement.faults
    ]
    orphans = [fault for fault in faults if fault.kind == "orphan"]
    ids = {fault.ids[0] for fault in orphans}
    moved = {fault.ids[0] for fault in orphans if fault.recreated}
    cause = (
        "either these rows were recreated (deleted and inserted, or their id changed) after the items were written, "
        "or the items were written with ids of another database"
    )
    if moved != ids:
        rest = f"; the other ids: {judgement.causes['orphan']}" if "orphan" in judgement.causes else ""
        cause = f"{len(moved)} of {number_of(len(ids), 'id')}: {cause}{rest}"
    return replace(judgement, faults=faults, causes={**judgement.causes, "orphan": cause})


def sentence(row: Recreated) -> str:
    """`the row with `tracking_code` = 'PC-1' has another id: 7`."""
    return f"the row with `{row.column}` = {row.value!r} has another id: {row.id}"


def declarations(faults: Iterable[Fault]) -> list[str]:
    """For each link, its natural key as devenv.toml has it: `natural_key = { code = "code" } in [[links]] parcel`."""
    pairs: dict[str, Counter[Pair]] = {}
    for fault in faults:
        if fault.recreated is not None and fault.edge is not None:
            counts = pairs.setdefault(fault.edge.name, Counter())
            counts[fault.recreated.attribute, fault.recreated.column] += 1
    found = []
    for name, counts in pairs.items():
        ((attribute, column), _), *_ = counts.most_common(1)
        found.append(f"natural_key = {toml({attribute: column})} in [[links]] {name}")
    return found


def declare(faults: Iterable[Fault]) -> str:
    """The sentence that says what to declare so that these orphans are corrected; "" where there is nothing."""
    links = declarations(faults)
    if not links:
        return ""
    return f"declare {' and '.join(links)} in devenv.toml; then `devenv doctor --fix` writes the current ids"
