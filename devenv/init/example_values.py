"""Values of a .env.example that only say that one is wanted: `your-table`, `changeme`, `<bucket>`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from devenv.core.late import late

WANTED: Final = late(
    r"(?:your|replace|insert|enter|put|fill)(?:[-_ ]?(?:me|this|in))?[-_ ].*|<[^<>]*>"
    r"|change[-_ ]?(?:me|this|it)(?:[-_ ].*)?"
    r"|replace[-_ ]?me|x{3,}(?:-x+)*|(?:[\w-]+[-_ ])?goes[-_ ]here|to[-_ ]?do|tbd|fixme|place[-_]?holder|\.{3,}|…",
    flags=re.IGNORECASE,
)


def with_wanted(known: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The variables of one file laid over others'; a value that is only wanted replaces none, and counts as empty."""
    found = dict(known)
    for name, value in given.items():
        if WANTED.fullmatch(value):
            found.setdefault(name, "")
        else:
            found[name] = value
    return found
