"""How one request stood under one condition; two answers held against each other. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from devenv.core.plural import number_of
from devenv.trace.conditions.condition import Part, StressCondition
from devenv.trace.difference import changes, in_order
from devenv.trace.observation import Entry, Subject

StressStatus = Literal["holds", "slower", "wrong", "error", "accepted", "not_run"]
SLOWER: Final = 1.5
SLOWER_MS: Final = 300.0
TIMES: Final = "\u00d7"
BAD: Final = ("wrong", "error")
# The worst first.
ORDER: Final[tuple[StressStatus, ...]] = ("error", "wrong", "accepted", "slower", "holds", "not_run")


@dataclass(frozen=True)
class PartCall:
    """A call to a store during a part, and its answer. `place` is the application's line, where it is known."""

    store: str
    text: str
    request: Any
    more: bool = False
    error: str | None = None
    place: str | None = None
    next_key: Any = None


@dataclass(frozen=True)
class PartAnswer:
    """The answer of a part. `entries` None: nothing to compare. `error`: it failed, in words; `place`: where.

    `truncated`: only the first pages were asked for.
    """

    entries: tuple[Entry, ...] | None = None
    error: str | None = None
    place: str | None = None
    ms: float = 0.0
    calls: tuple[PartCall, ...] = ()
    truncated: bool = False
    wrong: str | None = None


@dataclass(frozen=True)
class PartResult:
    """One part under one condition."""

    part: Part
    status: StressStatus
    text: str
    ms: float | None = None
    factor: float | None = None
    place: str | None = None
    blame: str | None = None

    @property
    def fault(self) -> str:
        """The text without the call that is to blame."""
        return self.text.removesuffix(f"; {self.blame}") if self.blame else self.text


@dataclass(frozen=True)
class StressResult:
    """One condition with its parts; the worst of them is its status.

    `unrun`: why there are no parts. `untried`: why all, or some, were not tried although they could have been.
    """

    condition: StressCondition
    parts: tuple[PartResult, ...] = ()
    unrun: str | None = None
    untried: str | None = None
    accepted: str | None = None

    @property
    def worst(self) -> PartResult | None:
        """The part that decides."""
        return min(self.parts, key=lambda one: ORDER.index(one.status), default=None)

    @property
    def status(self) -> StressStatus:
        """How the condition stands."""
        if self.unrun is not None or self.worst is None:
            return "not_run"
        return "accepted" if self.worst.status in BAD and self.accepted is not None else self.worst.status

    @property
    def nearest(self) -> PartResult | None:
        """The part to look at first: the function, whose line of code is known, then the worst.

        A request that is refused can be a consequence of what the function loses.
        """
        bad = [one for one in self.parts if one.status in BAD]
        if not bad:
            return self.worst
        return min(bad, key=lambda one: (one.part != "function", ORDER.index(one.status)))

    @property
    def text(self) -> str:
        """One line, without the condition's name."""
        first = self.nearest
        if self.unrun is not None or first is None:
            return f"not run: {self.unrun or self.condition.unmet}"
        accepted = f" (accepted: {self.accepted})" if self.status == "accepted" else ""
        if first.status not in BAD:
            return f"{first.text}{accepted}{f'; partly not run: {self.untried}' if self.untried else ''}"
        ran = [one for one in self.parts if one.status != "not_run"]
        beside = [one for one in ran if one is not first and one.status in BAD and one.fault != first.fault]
        named = beside or any(one.status not in BAD for one in ran)
        others = "".join(f"; {one.part}: {one.fault}" for one in beside)
        return f"{first.part}: {first.text}{others}{accepted}" if named else f"{first.text}{accepted}"


def judge_part(part: Part, healthy_ms: float, answer: PartAnswer, wrong: str | None, blame: str | None) -> PartResult:
    """One part's answer under a condition that struck. `wrong`: in what it differs."""
    if answer.error is not None:
        place = f"; `{answer.place}`" if answer.place and answer.place not in (blame or "") else ""
        text = "; ".join(filter(None, (f"error {answer.error}{place}", blame)))
        return PartResult(part, "error", text, answer.ms, place=answer.place, blame=blame)
    if wrong is not None:
        return PartResult(part, "wrong", "; ".join(filter(None, (f"wrong: {wrong}", blame))), answer.ms, blame=blame)
    factor = answer.ms / healthy_ms if healthy_ms else 1.0
    if factor >= SLOWER and answer.ms - healthy_ms >= SLOWER_MS:
        return PartResult(part, "slower", f"slower ({factor:.1f} {TIMES})", answer.ms, factor)
    return PartResult(part, "holds", "holds", answer.ms, factor)


def compare_entries(
    subject: Subject, part: Part, expected: Sequence[Entry], answer: PartAnswer, *, in_turn: bool = True
) -> str | None:
    """In what an answer differs from the healthy one, in words; None: in nothing. `in_turn`: its order counts too."""
    observed = answer.entries
    if observed is None:
        return "the answer holds no list"
    if answer.truncated:
        expected = newest(subject, expected, len(observed))
    wanted, found = Counter(entry.id for entry in expected), Counter(entry.id for entry in observed)
    lost, more = sum((wanted - found).values()), found - wanted
    twice = sum(times for name, times in more.items() if name in wanted)
    said = []
    if lost:
        said.append(f"{lost} of {number_of(len(expected), 'entry', 'entries')} lost")
    if twice:
        said.append(f"{number_of(twice, 'entry is', 'entries are')} repeated")
    if strange := sum(more.values()) - twice:
        said.append(f"{number_of(strange, 'entry is', 'entries are')} new")
    pairs = {entry.id: entry for entry in expected}
    changed = [c for entry in observed if entry.id in pairs for c in changes(pairs[entry.id], entry, subject.types)]
    if changed:
        names = ", ".join(f"`{name}`" for name in dict.fromkeys(change.field for change in changed))
        said.append(f"a different {names} on {number_of(len({c.id for c in changed}), 'entry', 'entries')}")
    if said or not in_turn:
        return "; ".join(said) or None
    return order_fault(subject, part, expected, observed)


def newest(subject: Subject, expected: Sequence[Entry], count: int) -> Sequence[Entry]:
    """The entries that the first pages must hold: the newest, or the first ones of an ascending list."""
    if subject.sorted_by is None:
        return expected[:count]
    name = subject.sorted_by
    ascending = subject.orders.get("pattern") == "ascending"
    return sorted(expected, key=lambda entry: entry.fields.get(name) or "", reverse=not ascending)[:count]


def order_fault(subject: Subject, part: Part, expected: Sequence[Entry], observed: Sequence[Entry]) -> str | None:
    """Return that the order is wrong: not the declared one, or where none is declared, not the healthy one."""
    direction = subject.orders.get("library" if part == "function" else "http")
    if subject.sorted_by is not None and direction is not None:
        return None if in_order(observed, subject.sorted_by, direction) else "in another order"
    if [entry.id for entry in expected] == [entry.id for entry in observed] or len(expected) != len(observed):
        return None
    return "in another order"


def accepted(result: StressResult, accept: Mapping[str, str]) -> StressResult:
    """The result, with the reason for which the project accepts it."""
    return replace(result, accepted=accept.get(result.condition.name))
