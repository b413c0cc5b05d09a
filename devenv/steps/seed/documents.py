"""JSON files, strictly: exact numbers, no name twice, no NaN, and the place of what is wrong. Pure."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

from devenv.core.errors import UsageError
from devenv.steps.step import SourceFile

# Forms that people name by mistake: what they are, and the way out.
AS_JSON: Final = "write it as JSON, as JSON lines or as CSV (`devenv help configuration`, steps)"
OTHERS: Final = {
    ".tf": (
        "Terraform",
        "move devenv.toml away and run `devenv init`: it writes the request of each table as JSON; name those files",
    ),
    ".yaml": ("YAML", AS_JSON),
    ".yml": ("YAML", AS_JSON),
    ".toml": ("TOML", AS_JSON),
    ".xml": ("XML", AS_JSON),
    ".sql": ("SQL", "SQL files belong in [steps.setup] files"),
}


def read_json(file: SourceFile) -> Any:
    """The file's value; numbers as Decimal. UsageError names line and column, or the name that occurs twice."""
    try:
        return DECODER.decode(file.text)
    except json.JSONDecodeError as error:
        if kind := next((kind for suffix, kind in OTHERS.items() if file.name.endswith(suffix)), None):
            raise UsageError(f"{file.name} is {kind[0]}, which this step does not read", hint=kind[1]) from None
        raise UsageError(
            f"{file.name}:{error.lineno}:{error.colno} is not valid JSON", detail=error.msg, hint=f"correct {file.name}"
        ) from None
    except ValueError as error:
        raise UsageError(f"{file.name}: {error}", hint=f"correct {file.name}") from None
    except RecursionError:
        raise UsageError(f"{file.name} is nested too deeply", hint=f"correct {file.name}") from None


def read_number(text: str) -> Decimal:
    """A number, exactly. ValueError for an exponent that not even Python can hold."""
    try:
        return Decimal(text)
    except ArithmeticError:
        raise ValueError(f"{text[:40]} is not a number that can be stored") from None


def refuse_constant(text: str) -> Any:
    """NaN and Infinity are not JSON, though Python reads them."""
    raise ValueError(f"{text} is not a number that can be stored")


def unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; ValueError when it has a name twice, as one of the two values would be lost."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'an object has "{twice}" twice')
    return made


DECODER: Final = json.JSONDecoder(
    parse_int=read_number, parse_float=read_number, parse_constant=refuse_constant, object_pairs_hook=unique_names
)
