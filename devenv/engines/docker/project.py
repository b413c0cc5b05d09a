"""This folder's Compose project: its name and files, the variables it is given, and calls of Compose on it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from devenv.config.environment import connection_environment
from devenv.config.services import STORES
from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.core.model import Targets
from devenv.engines.base import Engine
from devenv.engines.docker import compose
from devenv.engines.docker.api import DockerClient, Unreachable, find_endpoint
from devenv.engines.docker.containers import dynamodb_image, packaged_file, project_name
from devenv.engines.kinds.registry import kind_of
from devenv.host import processes
from devenv.host.writing import write_private

if TYPE_CHECKING:
    from devenv.config.services import Own

# The ports inside the containers, by which the compose file's services are found.
INSIDE: Final[Mapping[str, int]] = {"postgres": 5432, "dynamodb": 8000, "backend": 4567}


class ComposeProject(Engine):
    """The part of the engine that describes the containers to Compose."""

    @cached_property
    def docker(self) -> DockerClient:
        """The engine to ask. UsageError for a remote one."""
        return DockerClient(find_endpoint(self.environ))

    @property
    def compose_project(self) -> str:
        """The Compose project's name: that of devenv.toml, and what tells this folder from others.

        It is kept beside the rest of the data, so that a moved project keeps its containers and volumes; a copied one
        is another project.
        """
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(self.name_file.read_text())
            if kept["root"] in (str(self.root), str(self.moved_from)):
                return str(kept["project"])
        return project_name(self.settings.project.name, self.root)

    @property
    def name_file(self) -> Path:
        """Where the Compose project's name is kept."""
        return self.home / "compose.json"

    @property
    def services_file(self) -> Path:
        """The part of the compose file with the project's own services; it stays while they may have a volume."""
        return self.home / "services.json"

    @property
    def compose_file(self) -> Path:
        """The compose file: the project's own, or the one that comes with devenv."""
        own = self.settings.docker.file
        return self.root / own if own else packaged_file()

    @property
    def contained(self) -> bool:
        """True if the application runs in a container too."""
        return self.settings.docker.backend == "container"

    @property
    def services(self) -> tuple[str, ...]:
        """The names of the services this project has; a container needs no command of its own."""
        return (*STORES, *(name for name, own in self.own.items() if own.runs or self.is_contained(name)))

    def is_contained(self, name: str) -> bool:
        """Return True if a service is a container."""
        if name in STORES or (name == "backend" and self.contained):
            return True
        return name in self.contained_own() or name in self.undeclared()

    def contained_own(self) -> dict[str, Own]:
        """The project's own services whose kind is a container here."""
        return {name: own for name, own in self.own.items() if kind_of(own).inside_port is not None}

    def undeclared(self) -> dict[str, Any]:
        """The parts of the compose file of services that devenv.toml no longer has; they may still run."""
        with contextlib.suppress(OSError, ValueError):
            kept = json.loads(self.services_file.read_text())["services"]
            return {name: part for name, part in kept.items() if name not in self.own}
        return {}

    def inside_port(self, name: str) -> int | None:
        """The port of a service inside its container; None where it is not known."""
        known = kind_of(self.own[name]).inside_port if name in self.own else None
        return known or INSIDE.get(name)

    def image(self, name: str) -> str:
        """The image of a store or of an own service; empty where the project's own compose file says it."""
        if name in self.contained_own():
            return self.own[name].image or kind_of(self.own[name]).image
        if name not in STORES or self.settings.docker.file:
            return ""
        image = getattr(self.settings, name).image
        return str(image or dynamodb_image(self.settings.dynamodb.version))

    def is_here(self, name: str, image: str) -> bool:
        """Return True if an image is on this machine. UsageError for what cannot be an image's name."""
        try:
            return self.docker.has_image(image)
        except Unreachable:
            raise
        except DevenvError as error:
            raise UsageError(
                f"`{image}` cannot be an image's name",
                detail=error.detail,
                hint=f"correct {self.section(name)} image in devenv.toml",
            ) from None

    def refuse_own_file(self, words: str) -> None:
        """UsageError when it is the project's own compose file that Compose cannot use."""
        if not self.settings.docker.file:
            return
        try:
            self.compose("config", "--quiet")
        except compose.Failed as failed:
            words = failed.words
        else:
            if "no such service" not in words:
                return
        raise UsageError(
            f"Compose cannot use {self.compose_file}",
            detail=words,
            hint=f"docker compose -f {self.compose_file} config",
        )

    def not_created(self, names: Sequence[str], failed: compose.Failed, missing: Sequence[str]) -> DevenvError:
        """The error for containers that Compose could not start."""
        who = " and ".join(names)
        self.refuse_own_file(failed.words)
        if failed.port is not None:
            holder = processes.holder(failed.port)
            name = next((name for name in names if self.port(name) == failed.port), who)
            return DevenvError(
                f"port {failed.port}, which {name} wants, is taken by {holder}",
                exit_code=Exit.PORT,
                detail=failed.words,
                hint="devenv up",
            )
        gone = [image for image in missing if not self.docker.has_image(image)]
        if gone:
            setting = next((name for name in names if self.image(name) == gone[0]), names[0])
            return DevenvError(
                f"the image {gone[0]} is not on this machine and could not be fetched",
                exit_code=Exit.MISSING,
                detail=failed.words,
                hint=f"docker pull {gone[0]}, or name another one: {self.section(setting)} image in devenv.toml",
            )
        if "no space left" in failed.words.lower():
            return DevenvError(
                f"Docker could not start {who}: its disk is full",
                exit_code=Exit.CRASHED,
                detail=failed.words,
                hint="docker system df",
            )
        return DevenvError(
            f"Docker Compose could not start {who}",
            exit_code=Exit.CRASHED,
            detail=failed.words,
            hint="devenv doctor",
        )

    def write_files(self, environment: Mapping[str, str] | None) -> None:
        """Private settings for Compose: its variables' values and, with `environment`, the application's part."""
        self.make_home()
        if not self.name_file.exists() or json.loads(self.name_file.read_text())["root"] != str(self.root):
            kept = {"root": str(self.root), "project": self.compose_project}
            write_private(self.name_file, json.dumps(kept).encode())
        self.write_changed(self.home / "compose.env", compose.env_file(self.variables()))
        if self.contained_own() or self.services_file.exists():
            self.write_changed(self.services_file, json.dumps(self.services_part()).encode())
        if environment is not None:
            self.write_changed(self.home / "backend.json", json.dumps(self.backend_part()).encode())

    def write_changed(self, file: Path, content: bytes) -> None:
        """Write a private file unless it says so already."""
        if not file.exists() or file.read_bytes() != content:
            write_private(file, content)

    def variables(self) -> dict[str, str]:
        """The values for the compose file's variables."""
        settings = self.settings
        values = {
            "POSTGRES_PASSWORD": self.secrets().password,
            "DEVENV_POSTGRES_IMAGE": settings.postgres.image,
            "DEVENV_POSTGRES_USER": settings.postgres.user,
            # The project's own database is made by the step setup.
            "DEVENV_POSTGRES_DATABASE": "postgres",
            "DEVENV_POSTGRES_PORT": str(self.port("postgres")),
            "DEVENV_DYNAMODB_IMAGE": settings.dynamodb.image or dynamodb_image(settings.dynamodb.version),
            "DEVENV_DYNAMODB_PORT": str(self.port("dynamodb")),
        }
        if settings.backend:
            values |= {
                "DEVENV_BACKEND_PORT": str(self.port("backend")),
                "DEVENV_BACKEND_IMAGE": settings.backend.image,
                "DEVENV_BACKEND_CONTEXT": str(self.root / settings.docker.context),
                "DEVENV_BACKEND_DOCKERFILE": settings.docker.dockerfile,
            }
        return values

    def backend_part(self) -> dict[str, Any]:
        """The application's part of the compose file: its variables, as they are right inside a container."""
        targets = self.inside_targets()
        inside = connection_environment(self.settings, targets)
        variables = {**inside, **self.backend_variables(targets), "PORT": str(INSIDE["backend"])}
        # Compose would replace `$` in values.
        escaped = {name: value.replace("$", "$$") for name, value in variables.items()}
        return {"services": {"backend": {"environment": escaped}}}

    def services_part(self) -> dict[str, Any]:
        """The part of the compose file with the project's own services whose kind is a container."""
        services = self.undeclared()
        for name, own in self.contained_own().items():
            # Compose would replace `$` in every text.
            part = json.loads(json.dumps(kind_of(own).container(self, own)).replace("$", "$$"))
            part["volumes"] = [volume.replace("data:", f"{name}:", 1) for volume in part.get("volumes", ())]
            part["image"] = self.image(name).replace("$", "$$")
            part["ports"] = [f"127.0.0.1:{self.port(name)}:{self.inside_port(name)}"]
            services[name] = part
        return {"services": services, "volumes": {name: {} for name in services}}

    def inside_targets(self) -> Targets:
        """Return where the stores are for a container of this project: by the services' names."""
        postgres, dynamodb = self.store_targets()
        contained = {name: kind_of(own).inside_target(self, own) for name, own in self.contained_own().items()}
        return Targets.of(
            replace(postgres, host="postgres", port=INSIDE["postgres"]),
            replace(dynamodb, endpoint=f"http://dynamodb:{INSIDE['dynamodb']}"),
            {**self.own_targets(), **contained},
            self.secrets().key,
        )

    def in_postgres(
        self, what: str, *words: str, source: IO[bytes] | None = None, target: IO[bytes] | None = None
    ) -> None:
        """Run one of PostgreSQL's programs in its container. DevenvError when it fails."""
        user = self.store_targets()[0].user
        program, *rest = words
        try:
            self.compose("exec", "-T", "postgres", program, "-U", user, *rest, source=source, target=target)
        except compose.Failed as failed:
            raise DevenvError(what, detail=failed.words, hint="devenv logs postgres") from None

    def compose(self, *words: str, source: IO[bytes] | None = None, target: IO[bytes] | None = None) -> None:
        """Run Compose on this project. Failed when it fails; DevenvError when there is none, or no engine."""
        command, environ = self.compose_call(*words)
        compose.call(command, environ, self.root, self.halt, source=source, target=target)

    def compose_call(self, *words: str) -> tuple[list[str], dict[str, str]]:
        """Return how Compose is called on this project: command and environment. DevenvError when there is none."""
        program = compose.find_compose(self.environ)
        if not self.compose_file.is_file():
            raise UsageError(f"there is no {self.compose_file}", hint="correct [docker] file in devenv.toml")
        where = ["--project-name", self.compose_project, "--project-directory", str(self.root)]
        files = ["--file", str(self.compose_file)]
        if self.contained and (self.home / "backend.json").exists():
            files += ["--file", str(self.home / "backend.json"), "--profile", "backend"]
        if self.services_file.exists():
            files += ["--file", str(self.services_file)]
        env_file = ["--env-file", str(self.home / "compose.env")]
        command = [str(program.program), "--ansi", "never", *where, *files, *env_file, *words]
        return command, compose.clean_environment(self.environ, self.docker.endpoint.url)
