"""The inputs of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from devenv.config.schema import Settings
from devenv.core.model import Targets
from devenv.core.value import Value

if TYPE_CHECKING:
    from devenv.verify.repair import Write

# A correct writer changes one store and then the other; what is still wrong after this long was not being written.
GRACE_S: Final = 1.5


class Context(Value, frozen=True):
    """The stores and settings to compare.

    `folder` is the project's state folder, `tables` the declared CreateTable requests by name.
    `ready` raises a StoreError when one of the project's stores does not run. `settle` is told which items a repair
    rewrote, so that the ledger of seeds does not count them as changed by another program.
    """

    settings: Settings
    targets: Targets
    folder: Path
    tables: Mapping[str, Mapping[str, Any]] = {}
    ready: Callable[[], None] = lambda: None
    settle: Callable[[Sequence[Write]], None] = lambda _: None


class VerifyOptions(Value, frozen=True):
    """How. `plan` and `findings` are files to write; `max_items` bounds the scan (and so the proof).

    `workers` and `segments`: None chooses by the size of the tables and of the machine.
    """

    plan: Path | None = None
    findings: Path | None = None
    workers: int | None = None
    segments: int | None = None
    max_items: int | None = None
    restart: bool = False
    reader: Literal["raw", "sdk"] = "raw"
    grace_s: float = GRACE_S
