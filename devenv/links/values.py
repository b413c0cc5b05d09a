"""Recognises single values: uuids, times, placeholders, numbers. Pure; text in, facts out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from devenv.core.late import late

# Postgres keeps up to 131,072 digits before the decimal point, DynamoDB 126.
MOST_DIGITS: Final = 131_072
NIL_UUID: Final = "00000000-0000-0000-0000-000000000000"
CANONICAL_UUID: Final = late(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# Other spellings that PostgreSQL accepts for a uuid: capitals, braces, hyphens after any four digits, or none.
UUID_INSIDE: Final = late(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
LOOSE_UUID: Final = late(r"(?:urn:uuid:)?\{?(?:[0-9a-fA-F]{4}-?){7}[0-9a-fA-F]{4}\}?")
TIME: Final = late(
    r"\d{4}-\d\d-\d\d(?:(?P<sep>[T ])\d\d:\d\d(?P<seconds>:\d\d)?(?:\.(?P<fraction>\d+))?"
    r"(?P<zone>[Zz]|[+-]\d\d:?\d\d)?)?"
)
UTC_ZONES: Final = frozenset({"Z", "z", "+00:00", "+0000", "-00:00", "-0000"})
DYNAMO_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "string": ("S",),
    "uuid": ("S",),
    "time": ("S",),
    "number": ("N",),
    "boolean": ("BOOL",),
    "binary": ("B",),
    "list": ("L",),
    "map": ("M",),
    "set": ("SS", "NS", "BS"),
}
RUNS: Final = late(r"[^\W\d_]+|\d+")
# What programs and people write where a value was meant to be.
NOTHING_WORDS: Final = frozenset(
    [
        *("none", "null", "nil", "undefined", "nan", "n/a", "xxx"),
        *("todo", "tbd", "fixme", "mock", "mocked", "dummy", "placeholder", "changeme", "replaceme"),
    ]
)
BLANK_TO_FILL: Final = late(
    r"""<[^<>]*>              # <uuid>
    | \{\{.*\}\} | \$?\{[^{}]*\}  # {{ uuid }}, ${uuid}, {uuid}
    | \$[A-Za-z_]\w*          # $USER_UUID
    | %\(\w+\)s | %s
    | \[object\ \w+\]
    | [A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+   # MY_USER_UUID
    | (?:my|your|some|insert|replace|enter|change)[-_ ](?:\w+[-_ ])*(?:id|uuid|guid|handle|name|key|here|me|this|value)
    """,
    re.VERBOSE,
)


def uuid_text(text: str) -> str | None:
    """The canonical form (lower case, 8-4-4-4-12) of any spelling that PostgreSQL takes for a uuid; else None."""
    if CANONICAL_UUID.fullmatch(text):
        return text
    stripped = text.strip()
    if not LOOSE_UUID.fullmatch(stripped):
        return None
    return str(UUID(re.sub(r"[^0-9a-f]", "", stripped.lower().removeprefix("urn:uuid:"))))


def inner_id(text: str) -> str | None:
    """The uuid that is a part of a text, spelt as a row's; None where there is none, or the text is a uuid itself."""
    found = None if uuid_text(text) else UUID_INSIDE.search(text)
    return uuid_text(found[0]) if found else None


class TimeForm(NamedTuple):
    """How a time is written: what is between date and time, whether it has seconds, digits of fraction, the zone.

    Of a date alone all are empty.
    """

    separator: str
    seconds: bool
    digits: int
    zone: str

    def __str__(self) -> str:
        if not self.separator:
            return "YYYY-MM-DD"
        seconds = ":ss" if self.seconds else ""
        fraction = "." + "f" * self.digits if self.digits else ""
        return f"YYYY-MM-DD{self.separator}hh:mm{seconds}{fraction}{self.zone}"

    @property
    def is_utc(self) -> bool:
        """True if the zone is marked, and is UTC."""
        return self.zone in UTC_ZONES


def time_form(text: str) -> TimeForm | None:
    """Return how a time is written; None when the text is not a time."""
    found = TIME.fullmatch(text)
    if not found or instant(text) is None:
        return None
    return TimeForm(found["sep"] or "", found["seconds"] is not None, len(found["fraction"] or ""), found["zone"] or "")


def reform(text: str, form: TimeForm) -> str | None:
    """The moment that `text` names, written in `form`; None when that would lose digits, or the moment is not certain.

    A text without a zone could mean any moment, so it is never certain.
    """
    found, moment = TIME.fullmatch(text), instant(text)
    if not found or moment is None or not found["zone"] or not form.is_utc:
        return None
    fraction = (found["fraction"] or "").rstrip("0")
    if len(fraction) > form.digits or not form.seconds:
        return None
    moment = moment.astimezone(UTC)
    tail = f".{fraction:0<{form.digits}}" if form.digits else ""
    # `%Y` would leave out the zeros of a year before 1000.
    return f"{moment.date()}{form.separator}{moment:%H:%M:%S}{tail}{form.zone}"


def instant(text: str) -> datetime | None:
    """The moment a text names, read as UTC when it has no zone; None when it names none that UTC has."""
    try:
        moment = datetime.fromisoformat(text)
        # The first or the last hours of the calendar may not have a time in UTC any more.
        if moment.tzinfo is UTC:
            return moment
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def is_placeholder(text: str) -> bool:
    """Return True if a text is a blank that nobody filled in (`MY_USER_UUID`, `{{handle}}`, `None`, `MOCK`).

    Ask it only about values that must name something (ids, keys, copies of a column): in a message these are words.
    """
    word = text.strip()
    return word.lower() in NOTHING_WORDS or BLANK_TO_FILL.fullmatch(word) is not None


def canonical(value: Any) -> str:
    """One spelling for values that mean the same id, from a row (UUID, int, str…) or from an item's text."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return number_text(str(value))
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    text = value if isinstance(value, str) else str(value)
    return uuid_text(text) or text


def number_text(text: str) -> str:
    """A number without superfluous zeros and exponent: `12.0` and `1.2E+1` are `12`. Other text stays as it is.

    So does a number that neither store can hold: its zeros alone could fill the memory.
    """
    if text.isdigit() and not text.startswith("0"):
        return text
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    if not number:
        return "0"
    if not number.is_finite() or abs(number.adjusted()) > MOST_DIGITS:
        return text
    plain = f"{number:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def scalar_text(value: Mapping[str, Any] | None) -> str | None:
    """The text of a string or number attribute (`{"S": "x"}`, `{"N": "1.0"}` -> `1`); None for all others."""
    if value is None:
        return None
    if (text := value.get("S")) is not None:
        return str(text)
    if "N" in value:
        return number_text(str(value["N"]))
    return None


def same_value(attribute: Mapping[str, Any] | None, column: Any) -> bool:
    """Return True if an attribute holds what the column holds. Absent and NULL attributes equal a NULL column."""
    if attribute is None or "NULL" in attribute:
        return column is None
    if column is None:
        return False
    if "BOOL" in attribute or isinstance(column, bool):
        return "BOOL" in attribute and attribute["BOOL"] is column
    text = scalar_text(attribute)
    if text is None:
        return False
    if isinstance(column, str):
        return text == column
    if isinstance(column, datetime):
        moment = instant(text)
        return moment is not None and canonical(moment) == canonical(column)
    if isinstance(column, float):
        column = Decimal(str(column))
    return canonical(text) == canonical(column)


def differs(one: str, other: str) -> bool:
    """Return True if two texts of one form mean different things.

    Other spellings, parts (the day of a time) and texts of another form (an abbreviation, a digest) do not count: then
    the placeholder means something else than the attribute.
    """
    first, second = uuid_text(one), uuid_text(other)
    if first is not None and second is not None:
        return first != second
    if number_text(one) == number_text(other):
        return False
    began, ended = instant(one), instant(other)
    if began is not None and began == ended:
        return False
    plain, rest = (re.sub(r"[\W_]", "", text).casefold() for text in (one, other))
    if not plain or not rest or plain in rest or rest in plain:
        return False
    return form(one) == form(other) or (len(one) == len(other) and one.isalnum() and other.isalnum())


def form(text: str) -> str:
    """A text with each run of letters as `a`, and of digits as `9`: `u_17` is `a_9`."""
    return RUNS.sub(lambda run: "9" if run[0][0].isdigit() else "a", text)


def are_uuids(one: str, other: str) -> bool:
    """Return True if both texts are uuids."""
    return uuid_text(one) is not None and uuid_text(other) is not None


def attribute_for(column: Any, like: Mapping[str, Any] | None) -> dict[str, Any]:
    """A column's value as an attribute of the same kind as `like` (a string when there is none)."""
    if column is None:
        return {"NULL": True}
    if isinstance(column, bool):
        return {"BOOL": column}
    if isinstance(column, int | float | Decimal) and (like is None or "N" in like):
        return {"N": canonical(column)}
    return {"N" if like is not None and "N" in like else "S": canonical_text(column)}


def canonical_text(column: Any) -> str:
    """A column's value as text; strings stay exactly as they are."""
    return column if isinstance(column, str) else canonical(column)


def as_text(value: Any) -> str | None:
    """A value of an answer as the text that entries are compared by; None for null."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | int | float | Decimal | UUID | datetime):
        return number_text(repr(value)) if isinstance(value, float) else canonical(value)
    return msgspec.json.encode(value, order="sorted", enc_hook=str).decode()
