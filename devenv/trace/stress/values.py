"""New values like those of a field: between them where there is room, each one once. Pure."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from devenv.links.values import instant, time_form, uuid_text

DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
NUMBER: Final = re.compile(r"-?\d{1,30}(?:\.\d{1,9})?")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
DAY: Final = 86_400_000_000
# Places tried between two values before they count as full.
TRIES: Final = 64


def form_of(texts: Sequence[str]) -> str:
    """`time`, `number`, `uuid` or `text`: the form that all texts have."""
    if texts and all(time_step(text) is not None for text in texts):
        return "time"
    if texts and all(NUMBER.fullmatch(text) for text in texts):
        return "number"
    if texts and all(uuid_text(text) for text in texts):
        return "uuid"
    return "text"


def time_step(text: str) -> int | None:
    """The microseconds of the last place of a time or a date; None when the text is neither."""
    if DATE.fullmatch(text):
        return DAY if instant(text) else None
    form = time_form(text)
    if form is None or form.digits > 6:
        return None
    return 10 ** (6 - form.digits) if form.seconds else 60_000_000


def write_time(ticks: int, like: str) -> str:
    """A moment (microseconds since 1970, UTC) in the form of another time."""
    moment = EPOCH + ticks * MICROSECOND
    form = time_form(like)
    if form is None or not form.separator:
        return moment.date().isoformat()
    zone = datetime.fromisoformat(like).tzinfo
    local = moment.astimezone(zone) if zone is not None else moment
    clock = f"{local:%H:%M:%S}" if form.seconds else f"{local:%H:%M}"
    fraction = f".{local.microsecond:06d}"[: form.digits + 1] if form.digits else ""
    return f"{local.date()}{form.separator}{clock}{fraction}{form.zone}"


def write_number(number: int, scale: int, width: int) -> str:
    """A number with `scale` decimal places, filled with zeros to `width`."""
    return (f"{Decimal(number).scaleb(-scale):f}" if scale else str(number)).zfill(width)


class FreshValues:
    """Values for one field that none of `texts` is, in the form that they have.

    They lie between the least and the greatest; where there is no room, times come before them and numbers behind.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = sorted(set(texts))
        self.form = form_of(self.texts)
        self.step, self.scale, self.width = 1, 0, 0
        if self.form == "time":
            self.step = max(time_step(text) or 1 for text in self.texts)
        if self.form == "number":
            self.scale = max(len(text.partition(".")[2]) for text in self.texts)
            # Numbers of one width of which some begin with zeros sort as text.
            widths = {len(text) for text in self.texts}
            padded = len(widths) == 1 and any(text.startswith("0") for text in self.texts)
            self.width = max(widths) if padded else 0
        self.used = {self.ticks(text) for text in self.texts} if self.form != "text" else set()
        self.low, self.high = min(self.used, default=0), max(self.used, default=0)
        self.number = self.outside = 0

    def ticks(self, text: str) -> int:
        """A value as a whole number: microseconds, a scaled number, the number of a uuid."""
        if self.form == "time":
            return ((instant(text) or EPOCH) - EPOCH) // MICROSECOND
        if self.form == "uuid":
            return uuid.UUID(uuid_text(text) or text).int
        return int(Decimal(text).scaleb(self.scale))

    def new(self, like: str) -> str:
        """The next value, written as `like` is."""
        if self.form == "uuid":
            return self.new_uuid()
        if self.form == "text":
            # What is behind the last one would come last: a copy of it is named by the one before.
            self.number += 1
            last = like == self.texts[-1] and len(self.texts) > 1
            return f"{self.texts[-2] if last else like}x{self.number}"
        found = self.between()
        if found is None:
            self.outside += 1
            found = self.low // self.step * self.step - self.outside * self.step
            if self.form == "number":
                found = self.high + self.outside
        self.used.add(found)
        return write_time(found, like) if self.form == "time" else write_number(found, self.scale, self.width)

    def between(self) -> int | None:
        """An unused place between the least and the greatest; None when there is none."""
        room = (self.high - self.low) // self.step - 1
        if self.outside or room < 1:
            return None
        for _ in range(TRIES):
            self.number += 1
            found = self.low // self.step * self.step + (1 + int(room * spread(self.number))) * self.step
            if found not in self.used and self.low < found < self.high:
                return found
        return None

    def new_uuid(self) -> str:
        """A random uuid, between the least and the greatest where that is found soon."""
        found = uuid.uuid4()
        for _ in range(TRIES):
            if self.low < found.int < self.high:
                break
            found = uuid.uuid4()
        return str(found)


def spread(number: int) -> float:
    """The `number`-th of evenly spread fractions: 1/2, 1/4, 3/4, 1/8 … (van der Corput)."""
    fraction, part = 0.0, 0.5
    while number:
        fraction += part * (number & 1)
        number >>= 1
        part /= 2
    return fraction
