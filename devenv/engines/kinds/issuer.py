"""Kind `issuer`: the local issuer of sign-in tokens, made of `[token] issuer`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Final

from devenv.config.issuer import ISSUER, user_pool
from devenv.engines.kinds.kind import ServiceKind

if TYPE_CHECKING:
    from devenv.config.services import Own
    from devenv.engines.process import Launch
    from devenv.engines.process import ProcessServices as Engine


class IssuerKind(ServiceKind):
    """The issuer."""

    name: ClassVar[str] = ISSUER

    def launch(self, engine: Engine, own: Own, environment: Mapping[str, str]) -> Launch:
        """The issuer, once its signing key is there."""
        from devenv.services.issuer.key import keep_key

        keep_key(engine.root)
        return super().launch(engine, own, environment)

    def command(self, engine: Engine, own: Own) -> list[str]:
        """devenv's own module. -P: what lies in the working folder is no module."""
        asked = {"root": str(engine.root), "port": str(engine.port(own.name)), "pool": user_pool(engine.settings)}
        words = [word for name, value in asked.items() for word in (f"--{name}", value)]
        return [sys.executable, "-P", "-m", "devenv.services.issuer", *words]


KIND: Final = IssuerKind()
