"""Every command of a project's own that its settings would run, and when. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from devenv.config.schema import Migrations, Settings
from devenv.core.late import late

# What runs a command: the steps, the services, traces, pattern scripts, the token program; and the stores themselves,
# where the folder brings the program of one.
Runner = Literal["steps", "services", "trace", "patterns", "token", "stores"]
# Images by the makers of the stores.
KNOWN_IMAGE = late(
    r"(?:docker\.io/)?(?:(?:library/)?(?:postgres|redis)|valkey/valkey|amazon/dynamodb-local)(?::[\w.-]+)?(?:@sha256:\w+)?"
)


# Tools whose migrations are programs of the project.
PROGRAMS = ("alembic", "flask-migrate", "django", "knex")


class Command(msgspec.Struct, frozen=True):
    """One command: `where` it is declared, `what` it runs (as a shell would write it)."""

    runner: Runner
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def commands_of(settings: Settings) -> tuple[Command, ...]:
    """Return every command that the settings of this folder make devenv run, in the order of devenv.toml's sections."""
    found: list[Command] = []
    for name, step in (
        ("setup", settings.steps.setup),
        ("schema-load", settings.steps.schema_load),
        ("seed", settings.steps.seed),
    ):
        found += listed("steps", f"[steps.{name}] command", step.command)
    found += listed("steps", "[steps.setup] migrations", migrations_of(settings))
    if backend := settings.backend:
        found += listed("services", "[backend] command", backend.command)
        found += listed("services", "[backend] python", [backend.python] if backend.python else [])
    for name, service in settings.services.items():
        found += listed("services", f"[services.{name}] command", service.command)
        found += listed("services", f"[services.{name}] handler", [service.handler] if service.handler else [])
        found += listed("services", f"[services.{name}] ready", service.ready.command)
        found += listed("services", f"[services.{name}] python", [service.python] if service.python else [])
    found += programs_of(settings)
    if settings.docker.file:
        found += listed("services", "[docker] file", [settings.docker.file])
    if settings.token:
        found += listed("token", "[token] command", settings.token.command)
    for name, pattern in settings.patterns.items():
        found += listed("patterns", f"[patterns.{name}] script", pattern.script)
    for name, subject in settings.trace.items():
        if library := subject.library:
            at = f"[trace.{name}.library]"
            found += listed("trace", f"{at} command", library.command)
            functions = [library.function, *(guard.function for guard in library.guards)]
            found += listed("trace", f"{at} function", [each for each in functions if each])
            calls = {"arguments": library.arguments, "guards": [guard.arguments for guard in library.guards]}
            if "call" in json.dumps(calls, default=str):
                found.append(Command("trace", f"{at} arguments", json.dumps(calls, default=str, sort_keys=True)))
    return tuple(found)


def programs_of(settings: Settings) -> list[Command]:
    """Return what the folder brings in the place of a store's own program: a DynamoDB Local, images, a Dockerfile."""
    found = listed("stores", "[dynamodb] local", [settings.dynamodb.local] if settings.dynamodb.local else [])
    images = {
        "[postgres] image": settings.postgres.image,
        "[dynamodb] image": settings.dynamodb.image,
        **{f"[services.{name}] image": service.image for name, service in settings.services.items()},
    }
    for where, image in images.items():
        if image and not KNOWN_IMAGE.fullmatch(image):
            found += listed("stores", where, [image])
    if settings.docker.backend == "container":
        found += listed("services", "[docker] dockerfile", [f"{settings.docker.context}/{settings.docker.dockerfile}"])
    return found


def migrations_of(settings: Settings) -> list[str]:
    """Return the command that runs migrations, or the tool whose migrations are programs; [] for those in plain SQL."""
    asked = settings.steps.setup.migrations
    source = asked if isinstance(asked, Migrations) else Migrations(tool=asked)
    return source.command or ([source.tool] if source.tool in PROGRAMS else [])


def listed(runner: Runner, where: str, words: Sequence[str]) -> list[Command]:
    """Return one command, or none if there are no words."""
    return [Command(runner, where, shlex.join(words))] if words else []


def agreed_text(settings: Settings) -> tuple[str, ...]:
    """Return what a user agrees to, one line each: the commands, and the variables that they are given.

    Variables are part of it because a variable can make a sound program run another one.
    """
    found = commands_of(settings)
    if not found:
        return ()
    lines = [str(command) for command in found]
    lines += variables("[env]", settings.env)
    if settings.backend:
        lines += variables("[backend] env", settings.backend.env)
    for name, service in settings.services.items():
        lines += variables(f"[services.{name}] env", service.env)
    return tuple(lines)


def variables(where: str, values: Mapping[str, str]) -> list[str]:
    """Return the variables of one table, one line each."""
    return [f"{where} {name} = {value}" for name, value in values.items()]
