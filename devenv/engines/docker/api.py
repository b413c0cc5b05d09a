"""Look at Docker: which engine is meant, and what its containers, images and volumes are. Reading only.

The Docker SDK asks; its lower half, whose answers are the engine's own. Whatever is to be changed is Compose's matter.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from devenv.core.errors import DevenvError, Exit, UsageError

if TYPE_CHECKING:
    from docker.api import APIClient

SOCKET: Final = "/var/run/docker.sock"
PROJECT: Final = "com.docker.compose.project"
SERVICE: Final = "com.docker.compose.service"
ONE_OFF: Final = "com.docker.compose.oneoff"
ANSWER_S: Final = 15.0


@dataclass(frozen=True)
class Endpoint:
    """Where the Docker engine is reached, and what says so: a variable, a context, or the default."""

    url: str
    origin: str

    @property
    def path(self) -> str:
        """The socket's file."""
        return self.url.removeprefix("unix://")


class Unreachable(DevenvError):
    """Docker's engine cannot be asked (exit 10). `kind` tells the reasons apart."""

    def __init__(self, kind: str, what: str, *, detail: str, cause: str, hint: str) -> None:
        super().__init__(what, exit_code=Exit.MISSING, detail=detail, cause=cause, hint=hint)
        self.kind = kind


@dataclass(frozen=True)
class Mount:
    """A mount at one folder of a container: the volume's name (of a folder of this machine, its path), and where."""

    name: str
    folder: str


@dataclass(frozen=True)
class Container:
    """One container, as the engine tells it. `ports` maps a container's port to (address, port) pairs of this machine.

    `state` is Docker's word: created, running, paused, restarting, removing, exited or dead. `health` is None for one
    without a health check. Times are ISO 8601. `arguments` are those of its first process, `mounts` its
    volumes by their folder inside.
    """

    id: str
    name: str
    service: str
    image: str
    state: str
    health: str | None
    exit_code: int
    killed_for_memory: bool
    pid: int | None
    started: str
    environment: Mapping[str, str]
    ports: Mapping[int, tuple[tuple[str, int], ...]]
    arguments: tuple[str, ...] = ()
    mounts: Mapping[str, Mount] = field(default_factory=dict)


def find_endpoint(environ: Mapping[str, str]) -> Endpoint:
    """The engine that `docker` itself would use: DOCKER_HOST, then the context, then the usual socket.

    Where the usual socket is missing, a rootless engine's is taken. UsageError for an engine that is not reached by a
    socket file of this machine: its ports are not on this machine's loopback.
    """
    if url := environ.get("DOCKER_HOST"):
        found = Endpoint(url, "$DOCKER_HOST")
    elif (named := context_endpoint(environ)) is not None:
        found = named
    else:
        runtime = environ.get("XDG_RUNTIME_DIR", "")
        own = f"{runtime}/docker.sock"
        rootless = bool(runtime) and not Path(SOCKET).exists() and Path(own).exists()
        found = Endpoint(f"unix://{own if rootless else SOCKET}", "the rootless engine" if rootless else "the default")
    if not found.url.startswith("unix://"):
        raise UsageError(
            f"the Docker engine at {found.url} is a remote one, which devenv does not use",
            detail=f"named by {found.origin}; its containers publish their ports there, not on this machine's loopback",
            hint="unset DOCKER_HOST" if found.origin == "$DOCKER_HOST" else "docker context use default",
        )
    return found


def context_endpoint(environ: Mapping[str, str]) -> Endpoint | None:
    """Return what Docker's current context names; None for the default one. UsageError for one that is not there."""
    folder = Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or Path.home()) / ".docker")
    name, origin = environ.get("DOCKER_CONTEXT", ""), "$DOCKER_CONTEXT"
    try:
        if not name:
            settings = folder / "config.json"
            name = json.loads(settings.read_text()).get("currentContext", "") if settings.exists() else ""
            origin = f"context `{name}`"
        if name in ("", "default"):
            return None
        file = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
        return Endpoint(str(json.loads(file.read_text())["Endpoints"]["docker"]["Host"]), origin)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(
            f"Docker's context `{name}` cannot be read",
            detail=f"{type(error).__name__}: {error}",
            hint="docker context use default",
        ) from None


class DockerClient:
    """Questions to one engine. Every method raises Unreachable when it cannot be asked, DevenvError when it refuses."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    @cached_property
    def client(self) -> APIClient:
        """The SDK's connection; it asks which version of the API the engine speaks."""
        from docker.api import APIClient

        return APIClient(base_url=self.endpoint.url, version="auto", timeout=ANSWER_S)

    def ask(self, question: Callable[[APIClient], Any]) -> Any:
        """The engine's answer; None for what is not there."""
        from docker.errors import APIError, DockerException, NotFound
        from requests import RequestException

        try:
            return question(self.client)
        except NotFound:
            return None
        except APIError as error:
            raise DevenvError("Docker refused the request", detail=str(error.explanation or error)) from None
        except (DockerException, RequestException, OSError) as error:
            raise unreachable(self.endpoint, reason_of(error)) from None

    def containers(self, project: str) -> dict[str, str]:
        """Service -> id of the containers of a Compose project, running or not, but for those of `compose run`."""
        labels = {"label": [f"{PROJECT}={project}", f"{ONE_OFF}=False"]}
        found = self.ask(lambda client: client.containers(all=True, filters=labels)) or []
        return {entry["Labels"].get(SERVICE, ""): entry["Id"] for entry in reversed(found)}

    def container(self, name: str) -> Container | None:
        """One container by its id; None when it is gone."""
        told = self.ask(lambda client: client.inspect_container(name))
        return None if told is None else read_container(told)

    def container_publishing(self, port: int) -> Container | None:
        """The running container that publishes this port of the machine, or None."""
        for entry in self.ask(lambda client: client.containers(filters={"publish": [str(port)]})) or []:
            return self.container(entry["Id"])
        return None

    def volumes(self, project: str) -> list[str]:
        """Names of the volumes of a Compose project."""
        told = self.ask(lambda client: client.volumes(filters={"label": [f"{PROJECT}={project}"]})) or {}
        return [entry["Name"] for entry in told.get("Volumes") or []]

    def has_image(self, name: str) -> bool:
        """Return True if an image is on this machine."""
        return self.ask(lambda client: client.inspect_image(name)) is not None

    def is_published(self, name: str) -> bool:
        """Ask the engine if an image's registry has it. DevenvError when the registry cannot be asked."""
        return self.ask(lambda client: client.inspect_distribution(name)) is not None

    def version(self) -> str:
        """The engine's version."""
        return str((self.ask(lambda client: client.version()) or {}).get("Version", ""))

    def folder(self) -> str:
        """Return where the engine keeps its data."""
        return str((self.ask(lambda client: client.info()) or {}).get("DockerRootDir", ""))

    def logs(self, container: str, *, since: float | None = None) -> list[str]:
        """A container's output since a time (epoch seconds), each behind its own (RFC 3339); [] when it is gone."""
        told = self.ask(lambda client: client.logs(container, timestamps=True, since=since)) or b""
        return bytes(told).decode("utf-8", "replace").splitlines()


def read_container(told: Mapping[str, Any]) -> Container:
    """Return what the engine tells of one container (GET /containers/ID/json). Pure."""
    state, config = told["State"], told["Config"]
    bound = (told.get("NetworkSettings") or {}).get("Ports") or {}
    if not any(bound.values()):
        # A container that does not run tells only what it will publish.
        bound = (told.get("HostConfig") or {}).get("PortBindings") or {}
    return Container(
        id=told["Id"],
        name=told["Name"].lstrip("/"),
        service=(config.get("Labels") or {}).get(SERVICE, ""),
        image=config.get("Image", ""),
        state=state["Status"],
        health=(state.get("Health") or {}).get("Status"),
        exit_code=state.get("ExitCode", 0),
        killed_for_memory=bool(state.get("OOMKilled")),
        pid=state.get("Pid") or None,
        started=state.get("StartedAt", ""),
        environment=dict(entry.partition("=")[::2] for entry in config.get("Env") or []),
        ports={
            int(port.split("/")[0]): tuple(
                (entry.get("HostIp") or "0.0.0.0", int(entry["HostPort"]))  # noqa: S104 - what Docker means by ""
                for entry in places or []
                if entry.get("HostPort")
            )
            for port, places in bound.items()
        },
        arguments=tuple(told.get("Args") or ()),
        mounts={
            each["Destination"]: Mount(each.get("Name") or each.get("Source", ""), each.get("Source", ""))
            for each in told.get("Mounts") or ()
        },
    )


def reason_of(error: BaseException) -> BaseException:
    """The system's own error inside those that the SDK wraps around it, or the given one."""
    from requests import RequestException, Timeout

    if isinstance(error, Timeout):
        return TimeoutError(str(error))
    if isinstance(error, OSError) and not isinstance(error, RequestException):
        return error
    inner = [error.__cause__, error.__context__, *error.args]
    found = [reason_of(each) for each in inner if isinstance(each, BaseException)]
    return next((each for each in found if isinstance(each, OSError)), error)


def unreachable(endpoint: Endpoint, error: BaseException) -> Unreachable:
    """Why the engine cannot be asked: not installed, not running, not allowed, or busy."""
    detail = f"{endpoint.url} ({endpoint.origin}): {error or type(error).__name__}"
    if isinstance(error, PermissionError):
        return Unreachable(
            "permission",
            "you may not use Docker",
            detail=detail,
            cause=f"your user cannot open {endpoint.path}: only members of the group docker may",
            hint="sudo usermod -aG docker $USER  (then log in again; members of this group have root's rights)",
        )
    if isinstance(error, TimeoutError):
        return Unreachable(
            "busy",
            f"Docker's engine did not answer within {ANSWER_S:g} s",
            detail=detail,
            cause="it is paused or overloaded",
            hint="docker info",
        )
    if isinstance(error, FileNotFoundError) and not any(map(shutil.which, ("docker", "dockerd", "podman"))):
        return Unreachable(
            "missing",
            "Docker is not installed",
            detail=detail,
            cause="there is no docker command on PATH, and no engine's socket",
            hint="install Docker, or use the engine that needs none: devenv up --engine embedded",
        )
    return Unreachable(
        "stopped",
        "Docker's engine does not run",
        detail=detail,
        cause="nothing listens on its socket",
        hint="sudo systemctl start docker" if os.name == "posix" else "start Docker Desktop",
    )
