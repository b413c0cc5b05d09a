"""Masking of contents in recorded calls. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

from devenv.capture.tap.credentials import is_announcing, is_credential
from devenv.config.masking import hide_encoded, is_secret_name, mask_urls
from devenv.core.late import late

MASK: Final = "?"
# A string ends at the end of the text at the latest: a statement may be cut.
TOKEN: Final = late(
    r"(?P<escaped>[eE]'(?:[^'\\]|\\.|'')*'?)"
    r"|(?P<string>(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*'?)"
    r"|(?P<dollar>\$(?P<tag>[A-Za-z_]\w*)\$.*?(?:\$(?P=tag)\$|\Z))"
    r"|(?P<plain>\$\$.*?(?:\$\$|\Z))"
    r'|(?P<quoted>"(?:[^"]|"")*"?)'
    r"|(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))"
    r"|(?P<parameter>\$\d+|[:%]\w+)"
    r"|(?P<word>[^\W\d]\w*)"
    r"|(?P<number>(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)",
    re.DOTALL,
)
PASSWORD: Final = late(r"(?i)\b(password|secret|pgp_sym_\w+|crypt|hmac)\b")
TRACEPARENT: Final = late(r"\b([0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})\b")
COMMENTED: Final = late(r"/\*.*?\btraceparent\s*=\s*'?([0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})", re.DOTALL)
SMALL_NUMBERS_AFTER: Final = frozenset(["limit", "offset", "first", "next"])
QUERY_VALUE: Final = late(r"(?<==)[^&#]*")
QUERY_PAIR: Final = late(r"(?P<name>[^&=#]+)(?:=(?P<value>[^&#]*))?")
# `/page;jsessionid=…`
MATRIX_VALUE: Final = late(r"(;[\w.-]+=)[^;/#]*")
# A part of a query without `=` is a name only if it looks like one; a token in its place does not.
BARE: Final = late(r"(?<=[?&])(?![A-Za-z_][\w.-]{0,19}(?:[&#=]|$))[^&#=]+(?=[&#]|$)")
# Names of attributes in a DynamoDB request below which there are values of items.
VALUES: Final = frozenset(["ExpressionAttributeValues", "Key", "Keys", "Item", "ExclusiveStartKey", "Parameters"])


@lru_cache(maxsize=2000)
def mask_sql(text: str) -> str:
    """A statement with `?` for every literal; numbers after LIMIT and OFFSET, and comments' trace ids, stay."""
    before = ""

    def put(found: re.Match[str]) -> str:
        nonlocal before
        kind = found.lastgroup if found.lastgroup != "tag" else "dollar"
        word, before = before, found[0].lower() if kind == "word" else ""
        if kind in ("escaped", "string", "dollar", "plain"):
            return MASK
        if kind == "number":
            return found[0] if word in SMALL_NUMBERS_AFTER else MASK
        if kind == "comment":
            before = word
            return ""
        return found[0]

    return TOKEN.sub(put, text).strip()


def mask_secrets(text: str) -> str:
    """A statement whose literals stay, unless it sets or uses a password."""
    return mask_sql(text) if PASSWORD.search(text) else text


def traceparent_of(sql: str) -> str | None:
    """The `traceparent` that a statement carries in a comment (as sqlcommenter writes it)."""
    if "traceparent" not in sql:
        return None
    found = COMMENTED.search(sql)
    return found[1] if found else None


def valid_traceparent(text: str | None) -> str | None:
    """The header's value if it has the form of the standard."""
    found = TRACEPARENT.fullmatch(text.strip().lower()) if text else None
    return found[1] if found else None


@lru_cache(maxsize=2000)
def mask_path(target: str) -> str:
    """A request's path with the names of its parameters, without their values, and without credentials in it."""
    path, sign, query = hide_encoded(target).partition("?")
    query = QUERY_VALUE.sub("…", BARE.sub("…", sign + query))
    return mask_segments(path) + query


@lru_cache(maxsize=2000)
def mask_target(target: str) -> str:
    """A request's path with the values of its parameters, but without credentials in it."""
    path, sign, query = hide_encoded(target).partition("?")
    return mask_segments(path) + sign + QUERY_PAIR.sub(mask_parameter, query)


def mask_parameter(found: re.Match[str]) -> str:
    """A parameter of a query: its value if it may be shown."""
    name, value = found["name"], found["value"] or ""
    secret = is_secret_name(unquote(name)) or is_credential(value or name, announced=is_announcing(name))
    return found[0] if not secret else f"{name}=…" if value else "…"


def mask_segments(path: str) -> str:
    """A path without the segments that look like a credential."""
    path = MATRIX_VALUE.sub(r"\1…", mask_urls(path) if "://" in path else path)
    segments = path.split("/")
    for place, segment in enumerate(segments):
        before = segments[max(place - 2, 0) : place]
        if segment and is_credential(segment, announced=any(map(is_announcing, before))):
            segments[place] = "…"
    return "/".join(segments)


def mask_request(value: Any, *, inside: bool = False) -> Any:
    """A DynamoDB request with `?` for every value of an item; names, expressions and numbers of paging stay."""
    if isinstance(value, Mapping):
        if inside and len(value) == 1 and next(iter(value)) in TYPES:
            return {"S": MASK}
        return {name: mask_named(name, part, inside) for name, part in value.items()}
    if isinstance(value, list):
        return [mask_request(part, inside=inside) for part in value]
    return MASK if inside and isinstance(value, str) else value


def mask_named(name: str, value: Any, inside: bool) -> Any:
    """A named part of a DynamoDB request, masked."""
    if name == "Statement" and isinstance(value, str):
        return mask_sql(value)
    if name in ("NextToken", "ClientRequestToken"):
        return MASK
    if name in OLD_CONDITIONS and not inside and isinstance(value, Mapping):
        return mask_conditions(value)
    return mask_request(value, inside=inside or name in VALUES)


def mask_conditions(conditions: Mapping[str, Any]) -> Any:
    """Conditions of the old form: operators stay, values do not."""
    return {
        name: {
            part: MASK_ONE if part == "Value" else [MASK_ONE] * len(given) if isinstance(given, list) else given
            for part, given in condition.items()
        }
        if isinstance(condition, Mapping)
        else MASK
        for name, condition in conditions.items()
    }


TYPES: Final = frozenset(["S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL"])
OLD_CONDITIONS: Final = frozenset(["KeyConditions", "QueryFilter", "ScanFilter", "Expected", "AttributeUpdates"])
MASK_ONE: Final = {"S": MASK}
