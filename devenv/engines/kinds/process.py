"""Kind `process`: a process of the project's own; all of it is in the base of the kinds."""

from __future__ import annotations

from typing import Final

from devenv.engines.kinds.kind import ServiceKind

KIND: Final = ServiceKind()
