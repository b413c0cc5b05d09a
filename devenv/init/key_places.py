"""Names for the places of keys of which seeds show only values: by the code, by other names, then by values. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from devenv.init.entities import ID_NAMES, NUMBER, PLACE, UUID, singular, snake, text_of
from devenv.init.link_names import CODES

# The parts of a key between `#`, those of `${table[column=value].column}` whole; a part in capitals is a word.
SEPARATED: Final = re.compile(r"(?:\$\{[^}]*\}|[^#])+")
LITERAL: Final = re.compile(r"[A-Z][A-Z_-]*")
TIME: Final = re.compile(r"\d{4}-\d\d(?:-\d\d)?")
ID_WORD: Final = re.compile(r"_?(?:uuid|guid|id)$")
# Small numbers are everywhere: shorter ones tell something only if there are many of them.
LONG_NUMBER: Final = 6
LONG_TEXT: Final = 3
MANY: Final = 5


@dataclass(frozen=True)
class NamedKey:
    """The template of a key, and sentences about the places that several attributes fit equally."""

    template: str
    doubts: tuple[str, ...] = ()


def skeleton(text: str | None) -> str:
    """`ORDER#{}` of `ORDER#7f3a…`; words in capitals are literal."""
    return "#".join(part if LITERAL.fullmatch(part) else "{}" for part in SEPARATED.findall(text or ""))


def named_key(key: str, items: Sequence[Mapping[str, Any]], coded: Collection[str] = ()) -> NamedKey:
    """The template of a key that items of one skeleton have. `coded` are the templates that the code makes keys of."""
    rows = [SEPARATED.findall(text_of(item.get(key)) or "") for item in items]
    form = skeleton(text_of(items[0].get(key)))
    named = [PLACE.findall(text) for text in sorted(coded) if PLACE.sub("{}", text) == form]
    made: list[str] = []
    doubts: list[str] = []
    word, used, at = "", set[str](), 0
    for part, values in zip(form.split("#") if form else (), zip(*rows, strict=True), strict=True):
        if part != "{}":
            made.append(part)
            word = part.lower().replace("-", "_")
            continue
        place = KeyPart(key, word, values, items)
        name, rivals = place.name([names[at] for names in named])
        while name in used or (name not in ID_NAMES and place.differs(name)):
            name += "_2"
        if rivals:
            doubts.append(
                f"In each item, the part {{{name}}} of `{key}` has the same value as"
                f" {' and as '.join(f'`{each}`' for each in rivals)}, so devenv cannot tell from which of them the key"
                f" is made. If it is one of them, replace {{{name}}} with its name."
            )
        used.add(name)
        made.append(f"{{{name}}}")
        at += 1
    return NamedKey("#".join(made), tuple(doubts))


@dataclass(frozen=True)
class KeyPart:
    """One part of a key that is a value: the word before it, and its text in each of the items."""

    key: str
    word: str
    values: Sequence[str]
    items: Sequence[Mapping[str, Any]]

    def name(self, coded: Sequence[str]) -> tuple[str, Sequence[str]]:
        """(name, the attributes that fit equally); of these there are none where something decides."""
        same = [*self.same()]
        if (code := self.coded(coded)) is not None:
            return next((each for each in same if plain(each) == plain(code)), code), ()
        # `number` beside `ORDER#1001` is the order's own.
        called = [each for each in same if self.word and (plain(each) == plain(self.word) or snake(each) in CODES)]
        if called:
            return next((each for each in called if ID_WORD.search(snake(each))), called[0]), ()
        whole = [each for each in same if all(each in item for item in self.items)]
        own = "at" if all(map(TIME.match, self.values)) else "id"
        neutral = f"{self.word}_{own}" if self.word else "value"
        if not self.is_telling or not whole:
            return neutral, ()
        if len(whole) > 1:
            return neutral, whole
        return (whole[0] if whole[0] not in ID_NAMES else neutral), ()

    def coded(self, names: Sequence[str]) -> str | None:
        """The one name that the code has for it; not that of an attribute which has other values, nor just `id`."""
        telling = {plain(name): name for name in names if snake(name) not in ID_NAMES and not self.differs(name)}
        called = [name for each, name in telling.items() if self.word and each == plain(self.word)]
        if len(called) == 1:
            return called[0]
        return next(iter(telling.values())) if len(telling) == 1 else None

    def same(self) -> Iterator[str]:
        """The attributes that have its value in each item that has them."""
        for name in dict.fromkeys(name for item in self.items for name in item):
            if name != self.key and re.fullmatch(r"\w+", name) and not self.differs(name):
                yield name

    def differs(self, name: str) -> bool:
        """Return True for an attribute that has another value in some item."""
        pairs = zip(self.items, self.values, strict=True)
        return any(name in item and text_of(item[name]) != value for item, value in pairs)

    @property
    def is_telling(self) -> bool:
        """False for small numbers and single letters: these are equal by chance."""
        distinct = set(self.values)
        if all(map(UUID.fullmatch, distinct)):
            return True
        if all(map(NUMBER.fullmatch, distinct)):
            return len(distinct) >= MANY or all(len(value) >= LONG_NUMBER for value in distinct)
        return all(len(value) >= LONG_TEXT for value in distinct)


def plain(name: str) -> str:
    """A name for comparing: `vehicle` of `vehicleId`, `vehicle_id`, `VEHICLES`."""
    return singular(ID_WORD.sub("", snake(name) if not name.isupper() else name.lower()))
