"""Kind `stream`: a worker of devenv's own that gives what changes in a table to the project's function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Final

from devenv.config.kinds import STREAM
from devenv.engines import stream
from devenv.engines.kinds.kind import ServiceKind

if TYPE_CHECKING:
    from devenv.config.services import Own
    from devenv.engines.process import Launch
    from devenv.engines.process import ProcessServices as Engine


class StreamKind(ServiceKind):
    """A stream worker (`[services.<name>] stream`)."""

    name: ClassVar[str] = STREAM

    def launch(self, engine: Engine, own: Own, environment: Mapping[str, str]) -> Launch:
        """The worker, with its settings in a file."""
        from devenv.engines.own import worker_settings

        launch = super().launch(engine, own, environment)
        stream.write_settings(engine, own, worker_settings(engine, own))
        return launch

    def command(self, engine: Engine, own: Own) -> list[str]:
        """devenv's own module, on the file of settings."""
        return stream.command(engine, own)

    def settings(self, engine: Engine, own: Own) -> str:
        """The content of that file."""
        from devenv.engines.own import worker_settings

        return worker_settings(engine, own).decode()


KIND: Final = StreamKind()
