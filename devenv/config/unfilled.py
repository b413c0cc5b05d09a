"""Names in capitals that `devenv init` writes where it found nothing: they are to be replaced. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from devenv.config.trace import Trace

FUNCTION: Final = "MODULE:FUNCTION"
SCRIPT: Final = "SCRIPT_THAT_PRINTS_JSON.js"
ANSWER_FIELD: Final = "FIELD_OF_THE_ANSWER"
ITEM_FIELD: Final = "FIELD_OF_THE_ITEM"
LIST_FIELD: Final = "FIELD_WITH_THE_LIST"
PATH: Final = "/PATH/"
WORDS: Final = (FUNCTION, SCRIPT, ANSWER_FIELD, ITEM_FIELD, LIST_FIELD)
# Whole words: a name of the project's own may contain one.
UNFILLED: Final = re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, WORDS))})(?!\w)|^{PATH}")


def unfilled(place: tuple[str | int, ...], trace: Trace) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """(keys, sentence) of each value of a trace that still is a name in capitals."""
    yield from unfilled_in(place, msgspec.to_builtins(trace))


def unfilled_in(place: tuple[str | int, ...], value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from unfilled_in((*place, str(key)), inner)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from unfilled_in((*place, number), inner)
    elif isinstance(value, str) and (found := UNFILLED.search(value)):
        yield place, f"`{found[0]}` is a placeholder: `devenv init` found no name. Replace it with yours"
