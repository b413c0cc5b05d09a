"""The engines: how services run. One line each; the module is imported when its engine is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final

from devenv.core.errors import UsageError

if TYPE_CHECKING:
    from devenv.engines.base import Engine

ENGINES: Final[Mapping[str, str]] = {
    "embedded": "devenv.engines.embedded.engine:EmbeddedEngine",
    "docker": "devenv.engines.docker.engine:DockerEngine",
    "external": "devenv.engines.external.engine:ExternalEngine",
}


def engine_class(name: str) -> type[Engine]:
    """The class of the engine of that name. UsageError when there is none."""
    if name not in ENGINES:
        raise UsageError(f"there is no engine `{name}`", hint=f"one of: {', '.join(ENGINES)}")
    module, _, attribute = ENGINES[name].partition(":")
    found: type[Engine] = getattr(import_module(module), attribute)
    return found
