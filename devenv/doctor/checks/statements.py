"""Names, values and whole statements of SQL and PartiQL as a command of the shell has them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any


def name(identifier: str) -> str:
    """A name in SQL or PartiQL."""
    return '"' + identifier.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text in SQL or PartiQL."""
    return "'" + value.replace("'", "''") + "'"


def literal(value: Mapping[str, Any]) -> str:
    """A key attribute (`{"S": "x"}`) in PartiQL."""
    return str(value["N"]) if "N" in value else text(str(value.get("S", "")))


def word(statement: str) -> str:
    """A statement as one word of a shell: in double quotes, which keep SQL's own readable, where that is safe."""
    if re.search(r"[!$`]", statement):
        return shlex.quote(statement)
    return '"' + re.sub(r'([\\"])', r"\\\1", statement) + '"'
