"""All checks in running order. A new group is a file here and a line in this list, a new check a record in its file."""

from __future__ import annotations

from typing import Final

from devenv.doctor.checks import (
    code,
    cross_store,
    data,
    docker,
    drift,
    environment,
    expiry,
    exposure,
    patterns,
    safety,
    schema,
    services,
    streams,
    surroundings,
)
from devenv.doctor.checks.check import Check

CHECKS: Final[tuple[Check, ...]] = (
    *environment.CHECKS,
    *services.CHECKS,
    *streams.CHECKS,
    *exposure.CHECKS,
    *schema.CHECKS,
    *data.CHECKS,
    *patterns.CHECKS,
    *code.CHECKS,
    *expiry.CHECKS,
    *cross_store.CHECKS,
    *safety.CHECKS,
    *surroundings.CHECKS,
    *drift.CHECKS,
    *docker.CHECKS,
)
