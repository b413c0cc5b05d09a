"""From what Docker tells of a container to what it means for the project. Pure."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from devenv.config.schema import TESTED_DYNAMODB
from devenv.core.errors import UsageError
from devenv.core.model import ServiceState
from devenv.engines.docker.api import Container
from devenv.engines.embedded import dynamodb_file

if TYPE_CHECKING:
    pass

ALIVE: Final = ("running", "paused", "restarting")
# A host (and port) inside a URL or a connection string.
ADDRESS: Final = re.compile(r"(?P<before>//(?:[^/@\s]*@)?|\bhost=)(?P<host>\[[^\]]+\]|[^:/?\s\[]+)(?::(?P<port>\d+))?")
DEFAULT_PORTS: Final[Mapping[str, int]] = {"postgres": 5432}


def judge(name: str, container: Container | None, meant: str | None, boot_s: float) -> ServiceState:
    """The state of a service (`running`, `stopped`, …) from that of its container. Pure.

    `meant` is when devenv started it (ISO 8601; None: it was stopped on purpose, or never started), `boot_s` when this
    machine started (epoch seconds): what ended with the machine did not crash.
    """
    if container is None:
        if meant:
            return ServiceState(name, "crashed", detail="its container was removed")
        return ServiceState(name, "stopped", detail="it has no container")
    version = version_of(container)
    if container.state in ALIVE:
        return ServiceState(
            name,
            "starting" if container.state == "restarting" else "running",
            pid=container.pid,
            version=version,
            started=whole_seconds(container.started),
            detail="its container is paused" if container.state == "paused" else None,
            command=f"docker unpause {container.name}" if container.state == "paused" else None,
        )
    if not meant or container.state == "created":
        return ServiceState(name, "stopped", version=version)
    if datetime.fromisoformat(meant).timestamp() < boot_s:
        return ServiceState(name, "stopped", version=version, detail="the machine was restarted")
    detail = f"it ended by itself: its container exited with code {container.exit_code}"
    return ServiceState(name, "crashed", version=version, detail=detail)


def seen_from_here(
    container: Container,
    services: Mapping[tuple[str, int], int],
    inside: Mapping[str, str],
    outside: Mapping[str, str],
) -> dict[str, str]:
    """A container's variables with the addresses that they mean from this machine. Pure.

    What is as it should be `inside` becomes what it should be `outside`; not every address is one of a store.
    Otherwise `services` maps (name, port) in the container's network to ports here. `localhost` is the container
    itself there: it becomes a name that leads nowhere from here, and says so. `host.docker.internal` is this machine.
    """
    itself = f"localhost-in-container-{container.name}"

    def replaced(found: re.Match[str]) -> str:
        before, host, port = found["before"], found["host"], found["port"]
        if host in ("localhost", "127.0.0.1", "[::1]", "0.0.0.0"):  # noqa: S104 - compared only
            return f"{before}{itself}" + (f":{port}" if port else "")
        if host == "host.docker.internal":
            return f"{before}127.0.0.1" + (f":{port}" if port else "")
        here = services.get((host, int(port or DEFAULT_PORTS.get(host, 0))))
        return found[0] if here is None else f"{before}127.0.0.1:{here}"

    values = {
        name: outside.get(name, value) if inside.get(name) == value else ADDRESS.sub(replaced, value)
        for name, value in container.environment.items()
    }
    if (host := values.get("PGHOST")) and inside.get("PGHOST") != container.environment["PGHOST"]:
        place = ADDRESS.sub(replaced, f"//{host}:{values.get('PGPORT') or 5432}")
        values["PGHOST"], _, values["PGPORT"] = place.removeprefix("//").rpartition(":")
    return values


def version_of(container: Container) -> str:
    """The version that the image states: the official Postgres image in a variable, others by their tag. Pure."""
    told = container.environment.get("PG_VERSION", "").partition("-")[0]
    return told or container.image.rpartition("/")[2].partition(":")[2] or container.image


def shared_file(arguments: Sequence[str]) -> str | None:
    """Return where DynamoDB Local keeps its data, by its arguments; None when not in one file. Pure."""
    if "-inMemory" in arguments or "-sharedDb" not in arguments:
        return None
    folder = next((value for option, value in pairwise(arguments) if option == "-dbPath"), ".")
    return f"{folder}/{dynamodb_file.NAME}"


def project_name(name: str, root: Path) -> str:
    """A Compose project's name for a folder: lower case, and another one for every folder. Pure."""
    plain = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:32] or "project"
    return f"devenv-{plain}-{hashlib.sha256(os.fsencode(root)).hexdigest()[:8]}"


def dynamodb_image(version: str | None) -> str:
    """The image of DynamoDB Local for `[dynamodb] version`. UsageError for a line such as `3.x`: tags are exact."""
    if version is not None and version.endswith(".x"):
        raise UsageError(
            f'[dynamodb] version = "{version}" names no image: engine docker needs an exact version',
            hint=f'[dynamodb] version = "{TESTED_DYNAMODB}" in devenv.toml, or name an image: [dynamodb] image = "…"',
        )
    return f"amazon/dynamodb-local:{version or TESTED_DYNAMODB}"


def packaged_file() -> Path:
    """The compose file that comes with devenv: beside this module, or (in a checkout) in the folder compose/."""
    here = Path(__file__).parent / "compose.yaml"
    return here if here.exists() else Path(__file__).parents[3] / "compose" / "compose.yaml"


def whole_seconds(time_: str) -> str:
    """Docker's time (nanoseconds, `Z`) as ISO 8601 to the second. Pure."""
    return f"{time_[:19]}+00:00"


def epoch(time_: str) -> float | None:
    """A moment before a log line's time, in seconds: its nanoseconds do not fit a float. None for none. Pure."""
    return datetime.fromisoformat(f"{time_[:19]}+00:00").timestamp() - 0.001 if time_ else None
