"""The statement that gives each person a sign-in id in the place of a seed's placeholder. Pure."""

from __future__ import annotations

from typing import Final

from devenv.config.schema import FILE, Settings
from devenv.steps.setup.sql import Statement

WHERE_FROM: Final = "[person] sign_in_placeholder"


def fill_sign_in(settings: Settings) -> tuple[Statement, ...]:
    """One UPDATE behind all files, or nothing. The id follows from the person's name: it is the same in every run."""
    person = settings.person
    if person is None or person.sign_in is None or person.sign_in_placeholder is None:
        return ()
    table = ".".join(map(quoted, person.table.split(".", 1)))
    column, name, blank = quoted(person.sign_in), quoted(person.name), literal(person.sign_in_placeholder)
    known = f"md5('devenv ' || coalesce({name}::text, {quoted(person.id)}::text))::uuid::text"
    text = f"UPDATE {table} SET {column} = {known} WHERE {column}::text = {blank}"  # noqa: S608 - quoted above
    return (Statement(FILE, 1, text, WHERE_FROM),)


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL writes it, whatever standard_conforming_strings says."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
