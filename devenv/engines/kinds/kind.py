"""A kind of `[services.<name>]`: how it is started, asked, and told to others, and what becomes of its data.

Its methods have the meaning of a process of the project's own. Another kind is a file here, of the kind's name, whose
`KIND` is of a class below `ServiceKind`, and one line in config/kinds.py: the keys of its section.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from devenv.core.model import BACKEND, ProcessTarget
from devenv.engines import ready, stream

if TYPE_CHECKING:
    from devenv.config.services import Own
    from devenv.engines.base import Engine as BaseEngine
    from devenv.engines.process import Launch
    from devenv.engines.process import ProcessServices as Engine
    from devenv.engines.project import EngineProject

FOLDER: Final = "services"


class ServiceKind:
    """The kind `process`, and the base of the others.

    `transient`: its data is made of the stores' data, so it is emptied when other data takes their place. `kept`: its
    data is a part of every snapshot. A kind is one of both, or has no data.
    """

    name: ClassVar[str] = "process"
    transient: ClassVar[bool] = False
    kept: ClassVar[bool] = False
    # Its port and its image on engine docker; None: it is a process there too.
    inside_port: ClassVar[int | None] = None
    image: ClassVar[str] = ""

    def launch(self, engine: Engine, own: Own, environment: Mapping[str, str]) -> Launch:
        """How it is started, with everything made that it needs. DevenvError (10) for what is missing."""
        from devenv.engines.own import launch_command

        return launch_command(engine, own, environment)

    def command(self, engine: Engine, own: Own) -> list[str]:
        """The command that it runs, as its kind's `launch` wants it."""
        from devenv.engines.own import filled

        return filled(engine, own, own.command)

    def settings(self, engine: Engine, own: Own) -> str:
        """More that decides how it runs, beside its command, its variables and its folder."""
        return ""

    def inputs(self, engine: Engine, own: Own, environment: Mapping[str, str]) -> dict[str, str]:
        """All that decides how it runs: when it changes, `up` starts it again."""
        from devenv.engines.own import command_inputs

        return command_inputs(engine, own, environment)

    def check(self, engine: BaseEngine, own: Own, environment: Mapping[str, str], *, look_only: bool) -> list[str]:
        """Ask if it is ready; what was asked, in words. StoreError. `look_only`: without running anything."""
        return ready.check(engine, own, environment, look_only=look_only)

    def target(self, engine: EngineProject, own: Own) -> ProcessTarget:
        """Where it is reached, running or not."""
        port = engine.port(own.name)
        url = engine.url(own.name, port)
        return ProcessTarget(url, port, variables={"BACKEND_URL": url} if own.name == BACKEND else {})

    def inside_target(self, engine: EngineProject, own: Own) -> ProcessTarget:
        """Where a container of the same Compose project reaches it."""
        return self.target(engine, own)

    def container(self, engine: EngineProject, own: Own) -> dict[str, Any]:
        """Its part of the compose file, but for image, port and volume (which is `data`). With `inside_port` only."""
        return {}

    def empty(self, engine: Engine, own: Own) -> None:
        """Delete the data of one that runs. Only where `transient`."""

    def save(self, engine: BaseEngine, own: Own, target: Path) -> None:
        """Copy its data, as it is at one point, into the new file or folder `target`. Only where `kept`."""

    def restore(self, engine: BaseEngine, own: Own, source: Path) -> None:
        """Let its data be what `save` wrote; done again, the same. Only where `kept`."""


def data_folder(engine: EngineProject, name: str) -> Path:
    """Where a service keeps its data."""
    return engine.home / FOLDER / name


def stale_mark(engine: EngineProject, name: str) -> Path:
    """A file that is there while a service still has to be emptied."""
    return engine.home / FOLDER / f"{name}.stale"


def remove_all_data(engine: EngineProject) -> None:
    """Delete the data of all services that stand still, those without a section too, and what stream workers keep."""
    for name in (FOLDER, stream.FOLDER):
        shutil.rmtree(engine.home / name, ignore_errors=True)
