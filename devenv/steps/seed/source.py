"""The items of the seed files: read a piece at a time, as often as asked for, and looked through once before use."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec

from devenv.config.schema import SeedFile, Settings
from devenv.core.errors import UsageError
from devenv.core.plural import number_of
from devenv.links.read import Edge, Kind, compile_plan
from devenv.steps.ledger import Ledger, encode
from devenv.steps.schema_load import schema_load
from devenv.steps.seed.items import Keys, SeedItem, check_types, fill, normal_value, stream_items
from devenv.steps.seed.references import Reference
from devenv.steps.seed.stream import SeedPath
from devenv.steps.stamps import FileStamp, Reading, stamp_files
from devenv.steps.step import FORMAT, Inputs, StepFiles, list_named, read_files

TELL_EVERY: Final = 50_000


class SeedSurvey(msgspec.Struct, frozen=True):
    """The result of looking through all files: they can be loaded."""

    number: int
    tables: tuple[str, ...]
    references: tuple[Reference, ...]
    left_out: tuple[str, ...]


class Seeds(msgspec.Struct):
    """The seed files and what decides about their items. `tables`: what each declared table demands; None: unknown."""

    files: tuple[SeedPath, ...]
    declared: Mapping[str, Keys] | None
    mapping: Mapping[str, SeedFile]
    edges: tuple[Edge, ...]
    kinds: Sequence[Kind]
    seal: bytes
    _survey: list[SeedSurvey] = msgspec.field(default_factory=list)

    @property
    def is_small(self) -> bool:
        """True if looking through all of it takes no time."""
        return all(file.is_small for file in self.files)

    def items(self) -> Iterator[SeedItem]:
        """Yield every item, read and checked again."""
        return stream_items(self.files, self.declared, self.mapping, [])

    def survey(self, say: Callable[[str], None] = lambda text: None) -> SeedSurvey:
        """Look through all files, once. UsageError names the first item that cannot be loaded."""
        if not self._survey:
            self._survey.append(self._look_through(say))
        return self._survey[0]

    def _look_through(self, say: Callable[[str], None]) -> SeedSurvey:
        number = 0
        tables: dict[str, None] = {}
        references: dict[Reference, None] = {}
        left_out: list[str] = []
        twins = Twins(self.declared)
        for seed in stream_items(self.files, self.declared, self.mapping, left_out):
            check_types(seed, self.kinds)
            number += 1
            tables[seed.table] = None
            references |= dict.fromkeys(seed.references)
            twins.add(seed)
            if number % TELL_EVERY == 0:
                say(f"seed: {number:,} items checked")
        twins.refuse(self.items)
        return SeedSurvey(number, tuple(tables), tuple(references), tuple(left_out))


class Twins:
    """Finds items with the same key among any number: of each only a hash is kept."""

    def __init__(self, tables: Mapping[str, Keys] | None, answers: Mapping[Reference, str] | None = None) -> None:
        self._tables = tables
        self._answers = answers
        self._hashes = array("Q")

    def key(self, seed: SeedItem) -> bytes:
        """The item's table and key as bytes; a reference without an answer stands for itself."""
        names = self._tables[seed.table].names if self._tables else ()
        value = {name: self._plain(seed.value[name]) for name in names}
        return encode([seed.table, value])

    def _plain(self, value: Mapping[str, Any]) -> Any:
        if self._answers is not None:
            return normal_value(fill(value, self._answers))
        text = value.get("S")
        if isinstance(text, tuple):
            return [part if isinstance(part, str) else list(part.key) for part in text]
        return value

    def add(self, seed: SeedItem) -> None:
        """Take one item."""
        if self._tables is not None:
            self._hashes.append(int.from_bytes(hashlib.blake2b(self.key(seed), digest_size=8).digest(), "big"))

    def refuse(self, items: Callable[[], Iterable[SeedItem]]) -> None:
        """UsageError when two items have the same key. Where two hashes are equal the items are read again."""
        ordered = sorted(self._hashes)
        same = {one for one, other in pairwise(ordered) if one == other}
        del ordered
        if not same:
            return
        seen: dict[bytes, str] = {}
        for seed in items():
            key = self.key(seed)
            if int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") in same:
                if key in seen:
                    raise UsageError(f"{seed.place} has the same key as {seen[key]} (table {seed.table})")
                seen[key] = seed.place


def read(settings: Settings, root: Path, names: Iterable[str]) -> Seeds:
    """The seeds in these files. UsageError for table definitions that cannot be read."""
    source = settings.steps.schema_load
    declared: dict[str, Keys] | None = None
    if not source.command:
        definitions = schema_load.parse(settings, root, read_files(root, source.files, "steps.schema-load"))
        declared = {each.table: Keys(each.key, each.types) for each in definitions}
    plan = compile_plan(settings, {})
    mapping = settings.steps.seed.mapping
    seal = msgspec.json.encode(settings.links) + (msgspec.json.encode(mapping) if mapping else b"")
    return Seeds(tuple(SeedPath(name, root / name) for name in names), declared, mapping, plan.edges, plan.kinds, seal)


def stream(settings: Settings, root: Path, how: Reading) -> Inputs:
    """The step's inputs. Files that the ledger knows as loaded are not read; others are looked through. UsageError."""
    seeds = read(settings, root, list_named(root, settings.steps.seed.files, "steps.seed"))
    known: dict[str, FileStamp] = {}
    loaded: str | None = None
    if how.ledger is not None and how.ledger.exists():
        with Ledger(how.ledger, create=False) as ledger:
            known = ledger.stamps()
            mark = ledger.mark("seed")
            loaded = mark.hash if mark is not None and mark.state == "done" else None
    stamps = stamp_files({file.name: file.path for file in seeds.files}, known, whole=how.whole)
    digest = hashlib.sha256(FORMAT + b"streamed")
    for name in (file.name for file in seeds.files):
        digest.update(stamps[name].digest.encode())
    digest.update(seeds.seal)
    noted = stamps.items() <= known.items()
    found = Inputs(digest.hexdigest(), (), (), lambda: StepFiles((), seeds), stamps, noted=noted)
    if found.hash != loaded and (how.whole or seeds.is_small):
        survey = seeds.survey(how.say)
        if survey.number > TELL_EVERY:
            how.say(f"seed: {number_of(survey.number, 'item')} in {number_of(len(seeds.files), 'file')}")
    return found
