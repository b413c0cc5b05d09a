"""Types of single values in devenv.toml."""

from typing import Annotated, Literal

import msgspec

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$(?!\n)", max_length=63)]
EngineName = Literal["embedded", "docker", "external"]
Variable = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$(?!\n)")]
# What the system is given: paths, commands, variables. NUL would end it.
Text = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$")]
PostgresName = Annotated[str, msgspec.Meta(min_length=1, max_length=63, pattern=r"^[^\x00]*$")]
# Longer than a day no sleep and no socket needs to wait.
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
RegionName = Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2,}(-[a-z]+)+-[0-9]+$(?!\n)")]
Order = Literal["newest first", "oldest first", "ascending", "descending"]
FieldType = Literal["string", "uuid", "time", "number", "boolean", "binary", "list", "map", "set"]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of devenv.toml: frozen, and an unknown key is an error.

    Files with sections do not import `annotations` from `__future__`: msgspec would have to compile the text of each
    annotation, which takes 4 ms of every command.
    """
