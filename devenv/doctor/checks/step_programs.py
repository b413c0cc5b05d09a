"""The steps that are programs, where a row or an item is missing that no file has."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from devenv.config.masking import mask_words
from devenv.config.schema import Steps


def may_load(steps: Steps, thing: str) -> str:
    """`. If the row was deleted: devenv setup rebuilds the database and runs …, which may load it again`, or "".

    `thing` is "row" or "item": a program of either step may load rows, that of step seed items. devenv has no record of
    what they load.
    """
    told = []
    if thing == "row" and steps.setup.command:
        told.append(f"`devenv setup` rebuilds the database and runs `{shown(steps.setup.command)}`")
    if steps.seed.command:
        told.append(f"`devenv seed` empties the tables of DynamoDB and runs `{shown(steps.seed.command)}`")
    which = "; either" if len(told) > 1 else ", which"
    return f". If the {thing} was deleted: {' and '.join(told)}{which} may load it again" if told else ""


def shown(command: Iterable[str]) -> str:
    """A command without its secrets, and with the name of the project's interpreter."""
    return shlex.join("python" if each == "{python}" else each for each in mask_words("", command))
