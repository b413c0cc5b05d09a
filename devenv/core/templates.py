"""Texts of devenv.toml with parameters in them: `MSG#{message_group_uuid}`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from devenv.core.late import late

PLACE: Final = late(r"\{([A-Za-z_][\w.]*)\}")


class Unknown(Exception):
    """A template names a parameter that nobody gave: `name`."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def fill(template: Any, values: Mapping[str, str]) -> Any:
    """`template` with every `{name}` replaced, inside lists and maps too; what is not text stays. Unknown."""
    if isinstance(template, str):
        return PLACE.sub(lambda found: lookup(values, found[1]), template)
    if isinstance(template, Mapping):
        return {name: fill(part, values) for name, part in template.items()}
    if isinstance(template, list | tuple):
        return [fill(part, values) for part in template]
    return template


def lookup(values: Mapping[str, str], name: str) -> str:
    """The value of a parameter. Unknown when there is none."""
    if name not in values:
        raise Unknown(name)
    return values[name]


def names_in(template: Any) -> set[str]:
    """The parameters that a template uses."""
    if isinstance(template, str):
        return {found[1] for found in PLACE.finditer(template)}
    if isinstance(template, Mapping):
        return set().union(*map(names_in, template.values())) if template else set()
    return set().union(*map(names_in, template)) if isinstance(template, list | tuple) and template else set()
