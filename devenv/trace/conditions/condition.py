"""A condition as a record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from devenv.capture.disturb.disturbance import Disturbance
from devenv.capture.disturb.postgres import DisturbedPostgres

Part = Literal["function", "request", "action"]
READS: tuple[Part, ...] = ("function", "request")
WRITES: tuple[Part, ...] = ("action",)
BOTH: tuple[Part, ...] = (*READS, *WRITES)


@dataclass(frozen=True)
class StressCondition:
    """One bad condition.

    `rule` says, with its source, why it can happen; `sdk` what the libraries do about it by themselves. `unmet` is the
    reason for *not run* when there was nothing to disturb. `parts` are tried under it. `first_page`: of a request only
    the first page is asked for. `together`: function and request run at the same time. `clock`: the moment to begin
    at, in the function's own interpreter. `times`: how many times as many items. `before` acts on idle connections.
    """

    name: str
    title: str
    rule: str
    source: str
    sdk: str
    unmet: str
    disturb: Callable[[], Disturbance] = Disturbance
    parts: tuple[Part, ...] = READS
    first_page: bool = False
    together: bool = False
    clock: Callable[[datetime], datetime] | None = None
    times: int = 1
    before: Callable[[Disturbance, DisturbedPostgres], None] | None = None
