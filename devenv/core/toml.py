"""Values and keys as TOML writes them: for devenv.toml, and for the lines of it that a message tells to write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from devenv.core.late import late

BARE: Final = late(r"[A-Za-z0-9_-]+")


def toml(value: Any) -> str:
    """A value as TOML writes it, in one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        inner = ", ".join(f"{toml_key(str(name))} = {toml(part)}" for name, part in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    return f"[{', '.join(toml(part) for part in value)}]"


def toml_key(name: str) -> str:
    """A key, quoted where it must be."""
    return name if BARE.fullmatch(name) else toml(name)
