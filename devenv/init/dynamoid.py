"""Tables of Dynamoid's models in Ruby: key, indexes, and the namespace of the initializer. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from devenv.core.late import late
from devenv.init.ruby_tables import VARIABLE
from devenv.init.tables import Found, accept
from devenv.init.text_code import line_of

MODEL: Final = late(r"(?m)^[ \t]*class\s+(?:\w+::)*(\w+)[^\n]*\n(?:[^\n]*\n){0,10}?[ \t]*include\s+Dynamoid::Document")
TABLE: Final = late(r"(?m)^[ \t]*table[ \t(]+([^\n]*(?:,[ \t]*\n[^\n]*)*)")
RANGE: Final = late(r"(?m)^[ \t]*range[ \t(]+:(\w+)(?:[ \t]*,[ \t]*:(\w+))?")
FIELD: Final = late(r"(?m)^[ \t]*field[ \t(]+:(\w+)[ \t]*,[ \t]*:(\w+)")
INDEX: Final = late(r"(?m)^[ \t]*(global|local)_secondary_index[ \t(]+([^\n]*(?:,[ \t]*\n[^\n]*)*)")
OPTION: Final = late(r"(\w+):[ \t]*(?::(\w+)|['\"]([^'\"]*)['\"])")
NAMESPACE: Final = late(r"(?m)^[ \t]*\w+\.namespace[ \t]*=[ \t]*(.+?)[ \t]*$")
PART: Final = late(r"#\{([^{}]*)\}")
NUMBERS: Final = frozenset(("integer", "number", "datetime", "date", "float"))
DEVELOPMENT: Final = "development"


def dynamoid_tables(texts: Mapping[str, str], variables: Mapping[str, str]) -> Iterator[Found]:
    """The tables of the models; none where the namespace is computed."""
    models = {file: text for file, text in texts.items() if file.endswith(".rb") and "Dynamoid::Document" in text}
    if not models:
        return
    given = [found[1] for file, text in texts.items() if file.endswith(".rb") for found in NAMESPACE.finditer(text)]
    prefix = namespace(given[0], variables) if len(given) == 1 else None
    for file, text in models.items() if prefix is not None else ():
        heads = [*MODEL.finditer(text)]
        for at, head in enumerate(heads):
            body = text[head.end() : heads[at + 1].start() if at + 1 < len(heads) else len(text)]
            request = request_of(head[1], body, f"{prefix}_" if prefix else "")
            if made := accept(file, line_of(text, head.end()), request):
                yield made


def namespace(written: str, variables: Mapping[str, str]) -> str | None:
    """The text of a namespace in development, with the variables that have a value; None for one that is computed."""
    if written in ("nil", "''", '""'):
        return ""
    literal = re.fullmatch(r"\"([^\"]*)\"|'([^'#]*)'", written)
    text = literal[1] or literal[2] if literal else f"#{{{written}}}"

    def part(found: re.Match[str]) -> str:
        inner = found[1].strip()
        if inner in ("Rails.env", "Rails.env.to_s"):
            return DEVELOPMENT
        read = VARIABLE.fullmatch(inner)
        if read is None:
            return "$"
        name = read["fetched"] or read["taken"]
        usual = DEVELOPMENT if name in ("RAILS_ENV", "RACK_ENV", "APP_ENV") else "$"
        return variables.get(name) or read["or"] or read["given"] or read["else"] or usual

    made = PART.sub(part, text)
    return made if "$" not in made and "#" not in made else None


def request_of(model: str, body: str, prefix: str) -> dict[str, Any]:
    """The CreateTable request of a model."""
    table = TABLE.search(body)
    options = options_of(table[1]) if table else {}
    name = prefix + (options.get("name") or plural(model))
    hash_ = options.get("key", "id")
    types = dict(FIELD.findall(body))
    sort = RANGE.search(body)
    if sort:
        types[sort[1]] = sort[2] or "string"
    keys = [hash_, *([sort[1]] if sort else [])]
    used = dict.fromkeys(keys)
    made: dict[str, Any] = {"TableName": name, "BillingMode": "PAY_PER_REQUEST", "KeySchema": schema(keys)}
    for kind, written in INDEX.findall(body):
        given = options_of(written)
        own = [part for part in (given.get("hash_key") if kind == "global" else hash_, given.get("range_key")) if part]
        used |= dict.fromkeys(own)
        everything = given.get("projected_attributes") == "all"
        made.setdefault("GlobalSecondaryIndexes" if kind == "global" else "LocalSecondaryIndexes", []).append(
            {
                "IndexName": given.get("name") or f"{name}_index_{'_'.join(own)}",
                "KeySchema": schema(own),
                "Projection": {"ProjectionType": "ALL" if everything else "KEYS_ONLY"},
            }
        )
    made["AttributeDefinitions"] = [
        {"AttributeName": each, "AttributeType": "N" if types.get(each) in NUMBERS else "S"} for each in used
    ]
    return made


def options_of(written: str) -> dict[str, str]:
    """Option -> symbol or text of the words behind a call."""
    return {name: symbol or text for name, symbol, text in OPTION.findall(written)}


def schema(names: list[str]) -> list[dict[str, str]]:
    """A KeySchema, the hash key first."""
    return [{"AttributeName": n, "KeyType": role} for n, role in zip(names, ("HASH", "RANGE"), strict=False)]


def plural(model: str) -> str:
    """`NightShift` as `night_shifts`, as Rails calls a table."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", model).lower()
    if re.search(r"[^aeiou]y$", name):
        return f"{name[:-1]}ies"
    return f"{name}es" if re.search(r"(?:s|x|ch|sh)$", name) else f"{name}s"
