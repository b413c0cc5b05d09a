"""A store as a process of this machine: its command line, how it is started and ended, and what it must not do."""

from __future__ import annotations

import signal
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import subprocess

    from devenv.engines.embedded.building import Progress
    from devenv.engines.embedded.engine import EmbeddedEngine
    from devenv.engines.process import Launch


class EmbeddedStore:
    """One store. Its data lies in a folder of its name; `program` and `option` tell its server's command line."""

    name: ClassVar[str]
    program: ClassVar[str]
    option: ClassVar[str]
    # Those of its section of devenv.toml that a running one does not follow.
    keys: ClassVar[tuple[str, ...]]
    # Ends it cleanly.
    ending: ClassVar[signal.Signals] = signal.SIGTERM

    def data(self, engine: EmbeddedEngine) -> Path:
        """The folder of its data."""
        return engine.home / self.name

    def matches(self, engine: EmbeddedEngine) -> Callable[[list[str]], bool]:
        """A test for command lines of its server (not of a backup or an editor) on this project's data."""
        data = str(self.data(engine))

        def is_server(command: list[str]) -> bool:
            return (self.option, data) in pairwise(command) and Path(command[0]).stem == self.program

        return is_server

    def launch(self, engine: EmbeddedEngine, progress: Progress) -> Launch:
        """How it is started, with everything made that it needs. DevenvError (10) for what is missing."""
        raise NotImplementedError

    def confirm(self, engine: EmbeddedEngine) -> None:
        """Refuse one that answers, but not as it should. DevenvError."""

    def ended(self, engine: EmbeddedEngine) -> None:
        """Tidy up after one that was stopped."""

    def improve(self, engine: EmbeddedEngine) -> subprocess.Popen[bytes] | None:
        """Make, in the background, what starts it faster the next time."""
        return None
