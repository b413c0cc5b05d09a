"""The variables of the application that may hold the origins whose pages it allows to read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from devenv.config.masking import mask
from devenv.core.late import late
from devenv.trace.layers.environment import own_variables
from devenv.trace.question import TraceContext

ORIGIN: Final = late(r"https?://[^\s,;\"'<>\[\]()|]+")
ORIGINS_NAME: Final = late(r"cors|origin", re.IGNORECASE)
MOST_VARIABLES: Final = 3
SHOWN: Final = 300


def own_environment(inquiry: TraceContext) -> dict[str, str]:
    """The project's own variables, without those of the stores, as the application has them."""
    environ = inquiry.application.environ or inquiry.declared_environment
    given = inquiry.facts.context.environment
    return {name: environ[name] for name in own_variables(inquiry) if name in environ and name not in given}


def find_origins(own: Mapping[str, str], origin: str | None) -> Iterator[tuple[str, str]]:
    """The variables that hold origins, but not this one, secrets masked.

    Where one is named after origins, the others are addresses that the application calls.
    """
    found = {name: text for name, text in own.items() if (held := ORIGIN.findall(text)) and origin not in held}
    named = {name: text for name, text in found.items() if ORIGINS_NAME.search(name)}
    for name, text in list((named or found).items())[:MOST_VARIABLES]:
        yield name, str(mask(name, text))[:SHOWN]
