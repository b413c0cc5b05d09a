"""Names of services that a user types."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from devenv.core.errors import UsageError

if TYPE_CHECKING:
    from devenv.engines.base import Engine


def check_names(engine: Engine, names: Iterable[str]) -> None:
    """UsageError for a name that no service of this project has."""
    known = tuple(dict.fromkeys((*engine.services, *engine.known_services)))
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise UsageError(
                f"there is no service `{name}`",
                detail=f"the services of this project: {', '.join(known)}" if near else None,
                hint=f"did you mean `{near[0]}`?" if near else f"one of: {', '.join(known)}",
            )
