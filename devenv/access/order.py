"""Whether texts sort as the times or numbers that they hold. Pure.

DynamoDB sorts a text key by its UTF-8 bytes: only times of one form in one zone, and numbers of one width, come in
their own order that way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final, Literal

from devenv.links.values import instant, time_form

NUMBER: Final = re.compile(r"(?P<prefix>.*?)(?P<number>\d{1,18})")
# Forms of times that sort wrongly whatever they are: day or month first, names of months.
SHUFFLED: Final = (
    (re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})(?:[ T,]+(\d{1,2}):(\d\d)(?::(\d\d))?)?"), (3, 2, 1)),
)
MOST: Final = 5000


@dataclass(frozen=True)
class Inversion:
    """Two stored texts that sort the other way round than what they mean. `forms` are the ways they are written.

    `mixed`: they still sort rightly, but are written in several ways, so that the next ones may not.
    """

    kind: Literal["time", "number", "mixed"]
    first: str
    second: str
    forms: tuple[str, ...] = ()


def find_inversion(texts: Iterable[str]) -> Inversion | None:
    """The first two neighbours in text order that are not in order of time, or of number; None when all are."""
    by_prefix: dict[str, list[str]] = {}
    for text in dict.fromkeys(texts):
        prefix, _, rest = text.rpartition("#")
        by_prefix.setdefault(prefix, []).append(rest)
    for prefix, rests in by_prefix.items():
        found = inversion_of(sorted(rests[:MOST], key=str.encode))
        if found is not None:
            lead = f"{prefix}#" if prefix else ""
            return Inversion(found.kind, lead + found.first, lead + found.second, found.forms)
    return None


def inversion_of(texts: Sequence[str]) -> Inversion | None:
    """The same for texts that are in text order, without a common prefix."""
    times = [(moment_of(text), text) for text in texts]
    known = [(moment, text) for moment, text in times if moment is not None]
    if len(known) * 2 > len(texts):
        forms = tuple(dict.fromkeys(form_of(text) for _, text in known))
        for (moment, text), (after, later) in pairwise(known):
            if after < moment:
                return Inversion("time", text, later, forms)
        if len(forms) > 1:
            other = next(text for _, text in known if form_of(text) != forms[0])
            return Inversion("mixed", known[0][1], other, forms)
        return None
    numbers = [NUMBER.fullmatch(text) for text in texts]
    if not texts or any(found is None for found in numbers):
        return None
    counted = [
        (found["prefix"], int(found["number"]), text) for found, text in zip(numbers, texts, strict=True) if found
    ]
    for left, right in pairwise(counted):
        if left[0] == right[0] and right[1] < left[1]:
            return Inversion("number", left[2], right[2])
    return None


def moment_of(text: str) -> datetime | None:
    """The moment that a text names, also day first; None when it names none."""
    if time_form(text) is not None or (len(text) == 10 and text[4:5] == "-"):
        return instant(text)
    for pattern, (year, month, day) in SHUFFLED:
        if found := pattern.fullmatch(text):
            hour, minute, second = (int(found[place] or 0) for place in (4, 5, 6))
            for one, other in ((month, day), (day, month)):
                try:
                    return datetime(
                        int(found[year]), int(found[one]), int(found[other]), hour, minute, second, tzinfo=UTC
                    )
                except ValueError:
                    continue
    return None


def form_of(text: str) -> str:
    """How a time is written, in words."""
    form = time_form(text)
    return str(form) if form is not None else re.sub(r"\d", "9", text)
