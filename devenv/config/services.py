"""The project's own processes, `[backend]` among them: their kinds, their placeholders, and their order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from devenv.config.issuer import ISSUER, JWKS, has_issuer, user_pool
from devenv.config.kinds import PROCESS, STREAM, keys_of
from devenv.config.processes import OwnService, Ready
from devenv.core.model import BACKEND, DYNAMODB, POSTGRES

if TYPE_CHECKING:
    from devenv.config.schema import Settings

STORES: Final = (POSTGRES, DYNAMODB)
# As they are called in sentences, and one of the things that each holds.
TITLES: Final[Mapping[str, str]] = dict(zip(STORES, ("Postgres", "DynamoDB"), strict=True))
RECORDS: Final[Mapping[str, str]] = dict(zip(STORES, ("row", "item"), strict=True))
NOTHING: Final = Ready()
# Any of the first lines of a stream worker: it waits for records, or for its table.
WORKER_READY: Final = Ready(log=r"^\[devenv\] waiting")
# Names of logs, and of services that are not the project's own.
RESERVED: Final = (*STORES, BACKEND, "tap", "steps", "ui", "log-clock")


class Own(msgspec.Struct, frozen=True):
    """One process of the project's own. `port` None: it has none; `section` is its title in devenv.toml.

    `any_route`: no health path is declared, so any answer that is no server error counts as ready.
    """

    name: str
    section: str
    kind: str = PROCESS
    command: Sequence[str] = ()
    folder: str = "."
    port: int | None = None
    url: str = ""
    depends_on: tuple[str, ...] = ()
    ready: Ready = NOTHING
    any_route: bool = False
    env: Mapping[str, str] = {}
    python: str | None = None
    worker: OwnService | None = None  # its section, when it is a stream worker
    image: str | None = None

    @property
    def runs(self) -> bool:
        """Return True if there is something to start; a backend with `url` only is somebody else's."""
        return bool(self.command) or not keys_of(self.kind).command


def own_services(settings: Settings) -> dict[str, Own]:
    """Name -> process, each behind those that it depends on; a backend without a command is one, too."""
    found: dict[str, Own] = {}
    signed_in = (ISSUER,) if has_issuer(settings) else ()
    if signed_in:
        address = f"http://127.0.0.1:{{port}}/{user_pool(settings)}"
        found[ISSUER] = Own(ISSUER, "[token]", kind=ISSUER, port=0, url=address, ready=Ready(http=JWKS))
    if backend := settings.backend:
        found[BACKEND] = Own(
            BACKEND,
            "[backend]",
            command=backend.command,
            folder=backend.folder,
            port=backend.port,
            url=backend.url,
            depends_on=(*STORES, *signed_in, *backend.depends_on),
            ready=Ready(http=backend.health or "/"),
            any_route=backend.health is None,
            env=backend.env,
            python=backend.python,
        )
    for name, source in settings.services.items():
        kind = keys_of(source.kind)
        port = kind.port if source.port is None else source.port
        found[name] = Own(
            name,
            f"[services.{name}]",
            kind=STREAM if source.stream else kind.name,
            command=source.command,
            folder=source.folder,
            port=port,
            url=(source.url if kind.command else kind.url) if port is not None else "",
            depends_on=tuple(dict.fromkeys([*source.depends_on, *([DYNAMODB] if source.stream else [])])),
            ready=(WORKER_READY if source.stream else kind.ready) if source.ready == NOTHING else source.ready,
            env=source.env,
            python=source.python,
            worker=source if source.stream else None,
            image=source.image,
        )
    order = in_order({name: own.depends_on for name, own in found.items()})
    return {name: found[name] for name in order}


def in_order(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """The names, each behind those that it needs, else as they are; those of a circle at the end."""
    left = dict(needs)
    order: list[str] = []
    while free := [name for name, needed in left.items() if not any(each in left for each in needed)]:
        order += free[:1]
        del left[free[0]]
    return order + list(left)


def circle(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """One circle of names that need each other, the first at the end again; [] without one."""
    for start in needs:
        path = [start]
        seen: set[str] = set()

        def walk(name: str, path: list[str], seen: set[str]) -> list[str]:
            for each in needs.get(name, ()):
                if each == path[0]:
                    return [*path, each]
                if each not in seen:
                    seen.add(each)
                    if found := walk(each, [*path, each], seen):
                        return found
            return []

        if found := walk(start, path, seen):
            return found
    return []


def with_needed(names: Iterable[str], needs: Mapping[str, Sequence[str]]) -> set[str]:
    """These names, and all that they need, directly or not."""
    found: set[str] = set()
    left = list(names)
    while left:
        if (name := left.pop()) not in found:
            found.add(name)
            left += needs.get(name, ())
    return found


def place_of(name: str) -> str:
    """The name of a service inside a placeholder: `group-rows` is `{group_rows_url}`."""
    return name.replace("-", "_")


def own_places(settings: Settings) -> list[str]:
    """The placeholders of the project's own services with a port: `{NAME_url}`, `{NAME_port}` and those of its kind."""
    return [
        f"{place_of(own.name)}_{part}"
        for own in own_services(settings).values()
        if own.port is not None
        for part in keys_of(own.kind).places
    ]
