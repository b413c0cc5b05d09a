"""One project opened for one command: its settings, its state folder, its engine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from devenv.config import load as reader
from devenv.config import masking
from devenv.config import schema as config
from devenv.config.environment import connection_environment
from devenv.config.load import Loaded
from devenv.config.schema import FILE
from devenv.core.errors import DevenvError, StoreError, UsageError
from devenv.core.model import DYNAMODB, POSTGRES, DynamoTarget, PostgresTarget
from devenv.core.value import Value
from devenv.engines.base import Engine
from devenv.engines.project import read_state
from devenv.engines.registry import engine_class
from devenv.host import state
from devenv.host.writing import sweep

Load = Callable[[Path | None], Loaded]
DEFAULT = "embedded"


class Stack(Value, frozen=True):
    """An opened project. Opening it reads; nothing is started or changed.

    `trusted`: the user agreed that the folder's own code runs (cli/trust.py).
    """

    loaded: Loaded
    folder: Path
    engine: Engine
    environ: Mapping[str, str]
    trusted: bool = False

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.loaded.root

    @property
    def settings(self) -> config.Settings:
        return self.loaded.settings

    def environment(self) -> dict[str, str]:
        """The connection settings that processes of this project get."""
        return connection_environment(self.settings, self.engine.targets())

    def require_running(self, name: str) -> None:
        """StoreError unless this project's own service runs: its port may be somebody else's by now."""
        state = next(service for service in self.engine.look() if service.name == name)
        if state.state != "running":
            why = f" ({state.detail})" if state.detail else ""
            raise StoreError(f"{name} of this project does not run{why}", reached=False).with_hint("devenv up")

    def postgres(self) -> PostgresTarget:
        """Where Postgres is, which runs. StoreError."""
        self.require_running(POSTGRES)
        return self.engine.targets().postgres

    def dynamodb(self) -> DynamoTarget:
        """Where DynamoDB is, which runs. StoreError."""
        self.require_running(DYNAMODB)
        return self.engine.targets().dynamodb


class EngineChoice(msgspec.Struct, frozen=True):
    """How a command was asked about the engine.

    `engine` is the option. `stopping`: the command ends what is up, so what the state remembers comes first, and an
    engine named by the option is another one beside it.
    """

    engine: str | None = None
    stopping: bool = False


def open_stack(
    project: Path | None, *, locked: bool = False, load: Load = reader.load, asked: EngineChoice | None = None
) -> Stack:
    """Read the project's configuration and state. DevenvError when either is not usable.

    `locked`: the caller holds the project's lock, so that what the commands change may be remembered.
    """
    asked = asked or EngineChoice()
    environ = dict(os.environ)
    loaded = load(project)
    learn_secrets(loaded.settings, environ)
    # Who only looks leaves no trace in somebody else's folder.
    folder = state.folder(loaded.root) if locked else state.place(loaded.root)
    known = read_state(loaded.root, folder)
    remembered, _ = known
    name, by = choose_engine(asked, loaded, remembered)
    kind = engine_class(name)
    aside = asked.stopping and remembered.engine not in (None, name)
    if not aside:
        refuse_two(name, by, remembered)
    engine = kind(loaded, folder, environ, locked=locked, aside=aside, known=known)
    learn_kept(engine)
    state.refuse_links(engine.base, engine.home, engine.home / "snapshots")
    return Stack(loaded, folder, engine, environ)


def learn_secrets(settings: config.Settings, environ: Mapping[str, str]) -> None:
    """Mask the secrets in these from now on, wherever they stand."""
    external, backend = settings.external, settings.backend
    given = {"postgres": external.postgres or "", "dynamodb": external.dynamodb or ""}
    kept = [external.password or "", external.secret_key or "", external.session_token or ""]
    for each in (environ, settings.env, backend.env if backend else {}, given):
        masking.learn_variables(each)
    masking.learn(*filter(masking.is_strong, kept))


def learn_kept(engine: Engine) -> None:
    """Mask the secrets of the project's data in every command, also where none of it needs them."""
    if not os.path.exists(engine.home / "secrets.json"):
        return
    with suppress(DevenvError, OSError):
        kept = state.keep_secrets(engine.home, keep=False)
        masking.learn(kept.password, kept.key)


def choose_engine(asked: EngineChoice, loaded: Loaded, known: state.State) -> tuple[str, str]:
    """The engine's name, and who asks for it: the option, the variable, devenv.toml, the state, else the default."""
    origin = loaded.origins.get("project.engine", "default")
    if asked.engine:
        return asked.engine, "--engine"
    if known.engine and (asked.stopping or origin == "default"):
        return known.engine, "the state"
    return (loaded.settings.project.engine, origin) if origin != "default" else (DEFAULT, origin)


def refuse_two(name: str, by: str, known: state.State) -> None:
    """UsageError when services are up on another engine than the one that is asked for."""
    up = state.meant_up(known)
    if known.engine in (None, name) or not up:
        return
    raise UsageError(
        f"this project is up on engine `{known.engine}` ({', '.join(up)}), and {by} requests `{name}`",
        detail=f"each engine has its own data; that of `{known.engine}` stays where it is when it is stopped",
        hint="devenv down" + (f" && devenv up --engine {name}" if by == "--engine" else " && devenv up"),
    )


@contextmanager
def open_locked(
    project: Path | None,
    timeout_s: float,
    say: Callable[[str], None],
    load: Load = reader.load,
    asked: EngineChoice | None = None,
) -> Iterator[Stack]:
    """The same, as the only devenv that may change the project: what it reads stays true until it is left."""
    file = reader.locate(project) / FILE
    root, version = file.parent, version_of(file)
    before = load(root)
    with state.lock(state.folder(root), timeout_s, say):
        # The file may have changed while this command waited.
        loaded = before if version_of(file) == version else load(root)
        opened = open_stack(root, locked=True, load=lambda _: loaded, asked=asked)
        for folder in {opened.folder, opened.engine.home}:
            sweep(folder)
        yield opened


def version_of(file: Path) -> tuple[int, int, int] | None:
    """Compare this to see if a file changed; None when it cannot be looked at."""
    with suppress(OSError):
        found = file.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino
    return None
