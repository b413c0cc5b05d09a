"""How devenv.toml names a function of the application: `module:name`, `module:factory().attribute.method`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from devenv.config.places import Keys
from devenv.config.trace import TraceLibrary
from devenv.core.late import late

GIVEN: Final = late(r"\w\([^)]")
FORMS: Final = (
    "write `module:function`, `module:Class().method` for a class without arguments, or "
    "`module:factory().attribute.method`, where factory takes no arguments and makes the object"
)


def function_mistakes(keys: Keys, library: TraceLibrary) -> Iterator[tuple[Keys, str]]:
    """(key, sentence) for the functions of a library that are named with arguments."""
    named: list[tuple[Keys, str]] = [((*keys, "function"), library.function)] if library.function else []
    named += [((*keys, "arguments"), text) for text in called_in(library.arguments)]
    for number, guard in enumerate(library.guards):
        at = (*keys, "guards", number)
        named += [((*at, "function"), guard.function), *(((*at, "arguments"), t) for t in called_in(guard.arguments))]
    for at, text in named:
        if GIVEN.search(text):
            yield at, f"`{text}` cannot be called: arguments are not allowed there; {FORMS}"


def called_in(arguments: Mapping[str, Any]) -> Iterator[str]:
    """The functions whose results are arguments: `{ call = "module:function" }`."""
    for value in arguments.values():
        if isinstance(value, Mapping) and set(value) == {"call"} and isinstance(value["call"], str):
            yield value["call"]
