"""One project opened for one command: its settings, its state folder, its engine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devenv import config, state
from devenv.engines.embedded import Embedded
from devenv.environment import connection_environment

Load = Callable[[Path | None], config.Loaded]


@dataclass(frozen=True)
class Stack:
    """What a command works on. Opening it reads; nothing is started or changed."""

    loaded: config.Loaded
    folder: Path
    engine: Embedded
    environ: Mapping[str, str]

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.loaded.root

    @property
    def settings(self) -> config.Settings:
        """The effective settings."""
        return self.loaded.settings

    def environment(self) -> dict[str, str]:
        """The connection settings that processes of this project get."""
        return connection_environment(self.settings, self.engine.targets())


def open_stack(project: Path | None, *, locked: bool = False, load: Load = config.load) -> Stack:
    """Read the project's configuration and state. DevenvError when either is not usable.

    `locked`: the caller holds the project's lock, so that what the commands change may be remembered.
    """
    environ = dict(os.environ)
    loaded = load(project)
    folder = state.folder(loaded.root)
    return Stack(loaded, folder, Embedded(loaded, folder, environ, locked=locked), environ)


@contextmanager
def open_locked(
    project: Path | None, timeout_s: float, say: Callable[[str], None], load: Load = config.load
) -> Iterator[Stack]:
    """The same, as the only devenv that may change the project: what it reads stays true until it is left."""
    root = load(project).root
    with state.lock(state.folder(root), timeout_s, say):
        yield open_stack(root, locked=True, load=load)
