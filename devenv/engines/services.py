"""The services, each with the probe that shows that it really answers: `up` waits on it, `doctor` asks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from devenv.config.schema import Settings
from devenv.core.model import Targets
from devenv.engines import ready

if TYPE_CHECKING:
    from devenv.engines.base import Engine


class Service(msgspec.Struct, frozen=True):
    """One service. `probe` asks a real question and returns the version if it tells one; StoreError otherwise."""

    name: str
    title: str
    probe: Callable[[Settings, Targets], str | None]


def probe_postgres(settings: Settings, targets: Targets) -> str | None:
    """Connect to the maintenance database and run a query: the project's own may not exist yet."""
    from devenv.stores.postgres import client as postgres

    return postgres.probe(targets.postgres)


def probe_dynamodb(settings: Settings, targets: Targets) -> str | None:
    """A signed ListTables: an open port or an unsigned GET says nothing (DynamoDB Local answers 400)."""
    from devenv.stores.dynamodb.client import Dynamo

    with Dynamo(targets.dynamodb, timeout=2) as dynamodb:
        dynamodb.call("ListTables", {"Limit": 1})
    return None


def probe_backend(settings: Settings, targets: Targets) -> str | None:
    """GET the health path, as `up` does."""
    assert settings.backend is not None  # noqa: S101 - only a configured backend is probed
    health = settings.backend.health
    ready.request_health((targets.backend_url or "") + (health or "/"), any_route=health is None)
    return None


def service_named(engine: Engine, name: str, environment: Callable[[], Mapping[str, str]] = dict) -> Service:
    """A store, or one of the project's own services, which its kind asks. `environment`: what its command is given."""
    own = engine.own.get(name)
    if own is None:
        return next(service for service in SERVICES if service.name == name)

    def probe(settings: Settings, targets: Targets) -> str | None:
        from devenv.engines.kinds.registry import kind_of

        kind_of(own).check(engine, own, environment(), look_only=False)
        return None

    return Service(name, own.section, probe)


SERVICES = (
    Service("postgres", "PostgreSQL", probe_postgres),
    Service("dynamodb", "DynamoDB Local", probe_dynamodb),
    Service("backend", "the application", probe_backend),
)
