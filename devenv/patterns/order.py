"""Tests whether texts sort in the order of the times or numbers that they contain. Pure.

DynamoDB sorts a text key by its UTF-8 bytes: only times of one form in one zone, and numbers of one width, come in
their own order that way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final, Literal

from devenv.core.late import late
from devenv.core.value import Value
from devenv.links.values import instant, time_form

NUMBER: Final = late(r"(?P<prefix>.*?)(?P<number>\d{1,18})")
# Forms of times that sort wrongly whatever they are: day or month first, names of months, days of one digit.
CLOCKS: Final = ("", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p")
DATES: Final = (
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d-%m-%Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%b %d, %Y",
    "%b %d %Y",
    "%Y-%m-%d",
)
DATED: Final = late(r"(?:[A-Z][a-z]{2},? )?(?=.*\b\d{4}\b)[\w ,./:-]{8,30}")
DAY: Final = late(r"^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? ")
SEPARATOR: Final = late(r"(?<=\d)[T,](?: )?(?=\d{1,2}:)")
MOST: Final = 5000
PROBES: Final = 50


class Inversion(Value, frozen=True):
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
    # Most keys are no times, and then it is not worth looking at all of them.
    probe = texts[:: max(1, len(texts) // PROBES)]
    timely = sum(moment_of(text) is not None for text in probe) * 2 > len(probe)
    times = [(moment_of(text), text) for text in texts] if timely else []
    known = [(moment, text) for moment, text in times if moment is not None]
    if timely:
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
    """The moment that a text names, also in forms that no machine should write; None when it names none."""
    if time_form(text) is not None or (len(text) == 10 and text[4:5] == "-"):
        return instant(text)
    return odd_moment(text) if DATED.fullmatch(text) and not text.isdigit() else None


def odd_moment(text: str) -> datetime | None:
    """The moment of a text like `24.06.2023 10:00`, `Jun 24, 2023` or `2023-6-4`; UTC, as none of these says more."""
    plain = SEPARATOR.sub(" ", DAY.sub("", text)).removesuffix(" GMT").removesuffix(" UTC")
    for date in DATES:
        for clock in CLOCKS if ":" in plain else CLOCKS[:1]:
            try:
                return datetime.strptime(plain, date + clock).replace(tzinfo=UTC)
            except ValueError:
                continue
    return None


def form_of(text: str) -> str:
    """Return how a time is written, in words."""
    form = time_form(text)
    return str(form) if form is not None else re.sub(r"[A-Za-z]{3}", "xxx", re.sub(r"\d+", "9", text))
