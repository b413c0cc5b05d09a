"""Tables that are one table of several stages, `orders-dev` and `orders-prod`: only one of them is made. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from devenv.init.names import CODE
from devenv.init.tables import Found

# Stage -> its names; that of a developer first: it counts where nothing chooses.
STAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "local": ("local",),
    "dev": ("dev", "develop", "development"),
    "sandbox": ("sandbox",),
    "test": ("test", "testing"),
    "qa": ("qa", "uat"),
    "staging": ("staging", "stage", "stg"),
    "preview": ("preview", "preprod"),
    "prod": ("prod", "production", "prd"),
}
ORDER: Final = tuple(STAGES)
WORDS: Final = sorted((word for words in STAGES.values() for word in words), key=len, reverse=True)
STAGE: Final = re.compile(rf"(?i)(?<![a-z])(?:{'|'.join(WORDS)})(?![a-z])")
CHOOSING: Final = re.compile(r"(?:^|_)(?:STAGE|ENV|ENVIRONMENT)$")


def one_stage(
    tables: Sequence[Found], variables: Mapping[str, str], defaults: Collection[str], texts: Mapping[str, str]
) -> tuple[tuple[Found, ...], list[str]]:
    """The tables, of those that differ only in a stage the chosen one; and sentences about the others.

    `defaults` are the names that code falls back on.
    """
    defining = {table.file for table in tables}
    programs = {file: text for file, text in texts.items() if file.endswith(CODE) and file not in defining}
    groups: dict[tuple[str, str], list[Found]] = {}
    for table in tables:
        if len(STAGE.findall(table.table)) == 1:
            groups.setdefault((STAGE.sub("{}", table.table), repr(table.request["KeySchema"])), []).append(table)
    dropped: dict[str, str] = {}
    said: list[str] = []
    for alike in groups.values():
        names = [table.table for table in alike]
        chosen, why = choose(names, variables, defaults, programs) if len(names) > 1 else ("", "")
        if not chosen:
            continue
        for table in alike:
            if table.table != chosen:
                dropped[table.table] = chosen
                said.append(
                    f"{table.file}:{table.line}: table {table.table} belongs to another stage; devenv creates {chosen}"
                    f" ({why})"
                )
    return tuple(table for table in tables if table.table not in dropped), said


def choose(
    names: Sequence[str], variables: Mapping[str, str], defaults: Collection[str], texts: Mapping[str, str]
) -> tuple[str, str]:
    """(name, the reason) of the stage that is used; both are "" where all of them seem to be."""
    given = {value: variable for variable, value in variables.items() if value in names}
    if len(given) == 1:
        ((name, variable),) = given.items()
        return name, f"the value of {variable}"
    if given:
        return "", ""
    written = spelt_out(names, texts)
    for found, why in (([n for n in names if n in defaults], "the code's default"), (written, "the code names it")):
        if len(found) == 1:
            return found[0], why
    stages = {same_stage(value): name for name, value in sorted(variables.items()) if CHOOSING.search(name)}
    by_stage = [name for name in names if stage_of(name) in stages]
    if len(by_stage) == 1:
        return by_stage[0], f"the stage of {stages[stage_of(by_stage[0])]}"
    if written:
        return "", ""
    return min(names, key=lambda name: ORDER.index(stage_of(name))), "no variable chooses one"


def stage_of(name: str) -> str:
    """`dev` of `orders-dev` and of `orders-development`."""
    found = STAGE.search(name)
    return same_stage(found[0]) if found else ""


def same_stage(word: str) -> str:
    """The first of the words for a stage."""
    return next((stage for stage, words in STAGES.items() if word.lower() in words), word.lower())


def spelt_out(names: Iterable[str], texts: Mapping[str, str]) -> list[str]:
    """Those that a program has as a text."""
    return [n for n in names if any(re.search(rf"['\"`]{re.escape(n)}['\"`]", text) for text in texts.values())]
