"""Table names that a template computes, and the variables that code reads them from. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final

from devenv.init.javascript_models import GENERATED
from devenv.init.tables import Found

PLACE: Final = re.compile(r"\$\{[^}]*\}")
# Words of a variable's name that say nothing about which table it is.
FILLERS: Final = frozenset(("TABLE", "NAME", "DDB", "DYNAMODB", "DYNAMO", "DB", "AWS"))


# `os.environ.get("ORDERS_TABLE", "orders-dev")`, `process.env.ORDERS_TABLE ?? "orders-dev"`.
DEFAULT: Final = re.compile(
    r"\b\w*TABLE\w*['\"]?\s*\]?\s*(?:\|\||\?\?|,|\?:|:-)\s*['\"]?([A-Za-z][\w.-]{2,254})['\"})]"
)
# `TableName: process.env.ORDERS`, `TableName=os.environ["ORDERS"]`, `TableName: this.config.get('ORDERS')`.
SENT: Final = re.compile(r"\b[Tt]able_?[Nn]ame['\"]?\s*[:=]\s*[^\n,;{}]{0,60}?\b([A-Z][A-Z0-9_]{2,60})\b")
CODE: Final = (".py", ".js", ".ts", ".mjs", ".cjs", ".go", ".rb", ".php", ".java", ".kt", ".sh")


def default_names(texts: Mapping[str, str]) -> set[str]:
    """The names of tables that code has as defaults of variables."""
    return {found[1] for file, text in texts.items() if file.endswith(CODE) for found in DEFAULT.finditer(text)}


def names_sent(texts: Mapping[str, str], variables: Mapping[str, str]) -> set[str]:
    """The known values of the variables that code sends as a table's name."""
    read = {found[1] for file, text in texts.items() if file.endswith(CODE) for found in SENT.finditer(text)}
    return {variables[name] for name in read if variables.get(name)}


def settle_names(
    tables: Iterable[Found], variables: Mapping[str, str], defaults: Collection[str] = (), sent: Collection[str] = ()
) -> tuple[Found, ...]:
    """The tables; one with a computed name gets the one known value of a variable for tables that fits it.

    `defaults` are the names that code falls back on: they count where no variable has a value. `sent` are the names
    that code sends: the only one without a definition is that of the only table of which no letter is spelt out.
    """
    tables = tuple(tables)
    taken = {table.table for table in tables}
    values = {value for name, value in variables.items() if "TABLE" in name.upper() and value not in taken}
    open_ = [table for table in tables if table.computed and not any(fits(table.computed, value) for value in values)]
    values |= {name for name in defaults if name not in taken and any(fits(str(t.computed), name) for t in open_)}
    generated = [table for table in tables if table.computed == GENERATED]
    lonely = {name for name in sent if name not in taken}
    settled = []
    for table in tables:
        if len(lonely) == 1 and generated == [table]:
            settled.append(replace(table, request={**table.request, "TableName": min(lonely)}, computed=None))
            continue
        fitting = [value for value in values if table.computed and fits(table.computed, value)]
        filled = fill_places(table.computed, variables) if table.computed and not table.defaults else None
        if len(fitting) == 1 and len([t for t in tables if t.computed and fits(t.computed, fitting[0])]) == 1:
            settled.append(replace(table, request={**table.request, "TableName": fitting[0]}, computed=None))
        elif filled is not None and not fitting and filled[0] not in taken:
            name, source = filled
            taken.add(name)
            settled.append(replace(table, request={**table.request, "TableName": name}, computed=None, named_by=source))
        else:
            settled.append(table)
    return tuple(settled)


def fill_places(template: str, variables: Mapping[str, str]) -> tuple[str, str] | None:
    """(name, variables that fill it in) of `${var.prefix}orders`: TABLE_PREFIX has the one value that is known."""
    used: list[str] = []
    name = template
    for place in PLACE.findall(template):
        word = re.split(r"\W+", place.strip("${} "))[-1].upper()
        word = word if "_" in word else re.sub(r"(?<=[a-z])(?=[A-Z])", "_", place.strip("${} ")).upper().split(".")[-1]
        known = {n: v for n, v in variables.items() if v and (n.upper() == word or n.upper().endswith(f"_{word}"))}
        if len(set(known.values())) != 1:
            return None
        variable, value = next(iter(known.items()))
        used.append(variable)
        name = name.replace(place, value)
    return (name, ", ".join(dict.fromkeys(used))) if used and re.fullmatch(r"[\w.-]{3,255}", name) else None


def fits(template: str, name: str) -> bool:
    """Return True if a name can come of `${stage}-orders`.

    What is spelt out must be there, so a bare `${name}` fits none.
    """
    parts = PLACE.split(template)
    if not any(parts):
        return False
    # `orders-${suffix}` without a suffix is often `orders`.
    bare_name = parts[0].rstrip("-_.") if len(parts) == 2 and not parts[1] and parts[0][-1] in "-_." else None
    return name == bare_name or re.fullmatch(".+".join(map(re.escape, parts)), name) is not None


def table_variables(read: Iterable[str], tables: Iterable[Found], variables: Mapping[str, str]) -> dict[str, str]:
    """variable -> table for what code reads and nobody gives a value: `ORDERS_TABLE` is the one table of orders."""
    names = [table.table for table in tables]
    found: dict[str, str] = {}
    for variable in read:
        words = variable.upper().split("_")
        wanted = bare("".join(word for word in words if word not in FILLERS))
        if variables.get(variable) or not {"TABLE", "TABLENAME"} & set(words) or not wanted:
            continue
        exact = [name for name in names if bare(name) == wanted]
        like = exact or [name for name in names if bare(name).endswith(wanted)]
        if len(like) == 1:
            found[variable] = like[0]
    return found


def bare(name: str) -> str:
    """A name for comparing: small letters and digits, in the singular."""
    return re.sub(r"[^a-z0-9]", "", name.lower()).removesuffix("s")
