"""The conditions in the order in which they are tried: a new one is a record in a file here."""

from __future__ import annotations

from typing import Final

from devenv.trace.conditions import pages, refusals, weather
from devenv.trace.conditions.condition import StressCondition

CONDITIONS: Final[tuple[StressCondition, ...]] = (*pages.CONDITIONS, *refusals.CONDITIONS, *weather.CONDITIONS)
