"""Look at Docker: which engine is meant, and what its containers, images and volumes are. Reading only.

Plain HTTP over the engine's Unix socket, which takes a few milliseconds; importing the Docker SDK takes a third of a
second, half of what `devenv up` with nothing to do may cost. Whatever is to be changed is Compose's matter.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from devenv.errors import DevenvError, Exit, UsageError

SOCKET: Final = "/var/run/docker.sock"
PROJECT: Final = "com.docker.compose.project"
SERVICE: Final = "com.docker.compose.service"
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
class Container:
    """One container, as the engine tells it. `ports` maps a container's port to (address, port) pairs of this machine.

    `state` is Docker's word: created, running, paused, restarting, removing, exited or dead. `health` is None for one
    without a health check. Times are ISO 8601.
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
    """What Docker's current context names; None for the default one. UsageError for one that is not there."""
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


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Docker:
    """Questions to one engine. Every method raises Unreachable when it cannot be asked."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def get(self, path: str, **query: Any) -> Any:
        """The JSON answer to one GET; None for 404. DevenvError for another status."""
        status, body = self.ask(path, query)
        if status == 404:
            return None
        if status >= 400:
            raise DevenvError(f"Docker answers {status} to GET {path}", detail=body.decode("utf-8", "replace"))
        return json.loads(body)

    def ask(self, path: str, query: Mapping[str, Any]) -> tuple[int, bytes]:
        """Status and body of one GET. Dicts in the query are sent as JSON."""
        words = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in query.items()}
        connection = UnixConnection(self.endpoint.path, ANSWER_S)
        try:
            connection.request("GET", f"{path}?{urlencode(words)}" if words else path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(self.endpoint, error) from None
        finally:
            connection.close()

    def containers(self, project: str) -> dict[str, str]:
        """Service -> id of the containers of a Compose project, running or not."""
        found = self.get("/containers/json", all=1, filters={"label": [f"{PROJECT}={project}"]}) or []
        return {entry["Labels"].get(SERVICE, ""): entry["Id"] for entry in reversed(found)}

    def container(self, name: str) -> Container | None:
        """One container by its id; None when it is gone."""
        told = self.get(f"/containers/{name}/json")
        return None if told is None else read_container(told)

    def container_publishing(self, port: int) -> Container | None:
        """The running container that publishes this port of the machine, or None."""
        for entry in self.get("/containers/json", filters={"publish": [str(port)]}) or []:
            return self.container(entry["Id"])
        return None

    def volumes(self, project: str) -> list[str]:
        """Names of the volumes of a Compose project."""
        told = self.get("/volumes", filters={"label": [f"{PROJECT}={project}"]}) or {}
        return [entry["Name"] for entry in told.get("Volumes") or []]

    def has_image(self, name: str) -> bool:
        """Whether an image is on this machine."""
        return self.get(f"/images/{quote(name, safe='')}/json") is not None

    def version(self) -> str:
        """The engine's version."""
        return str((self.get("/version") or {}).get("Version", ""))

    def logs(self, container: str, *, lines: int | None = None, since: str = "") -> list[str]:
        """A container's output, each line behind its time (RFC 3339); [] for one that is gone."""
        query = {"stdout": 1, "stderr": 1, "timestamps": 1, "tail": "all" if lines is None else lines}
        status, body = self.ask(f"/containers/{container}/logs", {**query, **({"since": since} if since else {})})
        return demultiplex(body) if status == 200 else []


def read_container(told: Mapping[str, Any]) -> Container:
    """What the engine tells of one container (GET /containers/ID/json). Pure."""
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
    )


def demultiplex(stream: bytes) -> list[str]:
    """The lines of a log that Docker sends in frames (kind, 3 zeros, length in 4 bytes, text). Pure."""
    return b"".join(frames(stream)).decode("utf-8", "replace").splitlines()


def frames(stream: bytes) -> Iterator[bytes]:
    """The texts of all frames; a container with a terminal sends its output as it is."""
    at = 0
    while at < len(stream):
        if stream[at] > 2 or stream[at + 1 : at + 4] != b"\0\0\0":
            yield stream[at:]
            return
        length = int.from_bytes(stream[at + 4 : at + 8], "big")
        yield stream[at + 8 : at + 8 + length]
        at += 8 + length


def unreachable(endpoint: Endpoint, error: Exception) -> Unreachable:
    """Why the engine cannot be asked: not installed, not running, not allowed, or busy."""
    detail = f"{endpoint.url} ({endpoint.origin}): {error or type(error).__name__}"
    if isinstance(error, PermissionError):
        return Unreachable(
            "permission",
            "you may not use Docker",
            detail=detail,
            cause=f"this account must not open {endpoint.path}, which is the group docker's",
            hint="sudo usermod -aG docker $USER  (then log in anew; it is as good as root)",
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
        cause="nobody listens on its socket",
        hint="sudo systemctl start docker" if os.name == "posix" else "start Docker Desktop",
    )
