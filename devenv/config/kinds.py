"""The kinds of `[services.<name>]`, one line each: the keys of its section, and its values where those say nothing.

The file of the same name in engines/kinds says how it runs.
"""

from __future__ import annotations

from typing import Final

import msgspec

from devenv.config.issuer import ISSUER
from devenv.config.processes import OwnService, Ready

PROCESS: Final = "process"
STREAM: Final = "stream"
PLAIN: Final = OwnService()


class KindKeys(msgspec.Struct, frozen=True):
    """One kind. `port` and `url` are those of a section without them; `command`: it runs one of the project's own.

    `places` are the placeholders that such a service gives, each behind its name: `{NAME_url}`. `written`: a section
    may name it; else other keys of devenv.toml make a service one of this kind.
    """

    name: str
    keys: frozenset[str]
    port: int | None = None
    url: str = PLAIN.url
    ready: Ready = PLAIN.ready
    command: bool = False
    places: tuple[str, ...] = ("url", "port")
    written: bool = True


STORE_KEYS: Final = frozenset({"kind", "port", "depends_on", "image"})
KINDS: tuple[KindKeys, ...] = (
    KindKeys(PROCESS, frozenset(OwnService.__struct_fields__) - {"image"}, command=True),
    KindKeys(STREAM, frozenset(), written=False),
    KindKeys(ISSUER, frozenset(), written=False),
    KindKeys(
        "redis",
        STORE_KEYS,
        port=6379,
        url="redis://127.0.0.1:{port}/0",
        ready=Ready(tcp=True),
        places=("url", "port", "password"),
    ),
)


def keys_of(name: str) -> KindKeys:
    """The kind of this name; a process for a name that there is not, which is a mistake of its own."""
    return next((kind for kind in KINDS if kind.name == name), KINDS[0])


def foreign_keys(service: OwnService) -> list[str]:
    """The keys of a section that its kind does not have."""
    allowed = keys_of(service.kind).keys
    return [
        key for key in service.__struct_fields__ if key not in allowed and getattr(service, key) != getattr(PLAIN, key)
    ]
