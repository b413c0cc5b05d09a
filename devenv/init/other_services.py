"""`[services.NAME]` for the services of compose files that are neither a store nor the application. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from devenv.config.services import RESERVED, place_of
from devenv.config.variables import is_refused
from devenv.core.value import Value
from devenv.init.applications import FoundApplication, from_service
from devenv.init.code import Code
from devenv.init.compose import ComposeService
from devenv.init.second_stores import is_second, second_stores
from devenv.init.settings_found import GIVEN, placeholder
from devenv.init.sheet import Sheet
from devenv.init.survey import Survey

REDIS: Final = re.compile(r"(^|/)(redis|valkey|redis-stack-server|keydb)(:|@|$)")
KEY: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")
PORT: Final = 6379
REDIS_VARIABLE: Final = re.compile(r"(?:^|_)(?:REDIS|VALKEY)(?:_|URL|$)(?!.*(?:TTL|PREFIX|DB$|ENABLED))")


class ComposeCache(Value, frozen=True):
    """The Redis of a compose file: its service there, its section's name, and the guess that the section belongs to."""

    host: str
    name: str
    guess: int
    port: int | None = None

    def place(self, variable: str, value: str) -> str | None:
        """The placeholder of a variable with its address, or a part of it; None for any other."""
        name = place_of(self.name)
        if address := re.fullmatch(r"rediss?://(?:[^@/\s]*@)?([\w.-]+)(?::\d+)?(?:/(\d*))?", value):
            if address[1] not in (self.host, "localhost", "127.0.0.1"):
                return None
            base = int(address[2] or 0)
            return f"{{{name}_url}}" if not base else f"redis://:{{{name}_password}}@127.0.0.1:{{{name}_port}}/{base}"
        if not re.search(r"REDIS|CACHE|VALKEY", variable):
            return None
        if re.search(r"HOST(?:NAME)?$", variable) and value in (self.host, "localhost", "127.0.0.1", ""):
            return "127.0.0.1"
        if variable.endswith("PORT") and value in (str(PORT), str(self.port), ""):
            return f"{{{name}_port}}"
        if re.search(r"USER(?:NAME)?$", variable):
            return "default"
        return f"{{{name}_password}}" if re.search(r"PASS(?:WORD)?$", variable) else None


def key_of(service: ComposeService) -> str | None:
    """The name of the service's section; None where it cannot be one."""
    name = re.sub(r"[^a-z0-9_-]", "-", service.name.lower())
    return name if KEY.fullmatch(name) and name not in RESERVED else None


def is_program(service: ComposeService) -> bool:
    """Return True for a service that is built from the project."""
    return service.build is not None and key_of(service) is not None


def not_started(survey: Survey) -> list[str]:
    """Sentences about the services that devenv does not start."""
    said = [*unknown_redis(survey), *second_stores(survey)]
    for each in survey.compose.others if survey.compose else ():
        if is_second(each, survey):
            continue
        if is_program(each) and not from_service(each, survey, alone=False).command:
            said.append(
                f"{each.file}: service {each.name}: no command that starts it was found in {each.build}; to start it"
                f" with `devenv up`, declare [services.{key_of(each)}] command"
            )
        elif not is_program(each) and not (REDIS.search(each.image) and key_of(each)):
            said.append(
                f"{each.file}: service {each.name} ({each.image or 'no image'}): devenv does not start it; start it"
                f" yourself, or declare its program as [services.{key_of(each) or 'NAME'}]"
            )
    return said


def unknown_redis(survey: Survey) -> Iterator[str]:
    """A sentence about the variables of a Redis that no compose file describes, with what to declare."""
    if any(REDIS.search(each.image) for each in (survey.compose.others if survey.compose else ())):
        return
    read = {name: f"{code.file}:{line}" for code in survey.code for name, line in code.variables.items()}
    read |= {name: "" for name in survey.variables if name not in read}
    found = {name: place for name, place in read.items() if REDIS_VARIABLE.search(name)}
    if found:
        place = next(filter(None, found.values()), "")
        names = ", ".join(found)
        head = f"{place}: reads {names}" if place else f"the settings have {names}"
        values = ", ".join(f'{name} = "{redis_place(name)}"' for name in found)
        yield (
            f"{head}, but no compose file has a Redis: if the project needs one, declare"
            f' [services.redis] kind = "redis", and in [env] {values}'
        )


def redis_place(name: str) -> str:
    """The placeholder of a variable with the address of a Redis, or a part of it."""
    parts = {
        "HOST": "127.0.0.1",
        "HOSTNAME": "127.0.0.1",
        "PORT": "{redis_port}",
        "PASSWORD": "{redis_password}",
        "USER": "default",
        "USERNAME": "default",
    }
    return next((place for part, place in parts.items() if name.endswith(part)), "{redis_url}")


def write_services(
    sheet: Sheet, survey: Survey, health_of: Callable[[Iterable[Code]], str | None]
) -> ComposeCache | None:
    """Propose a section for each of them, to agree to; a Redis is likely. The first Redis, for the variables."""
    cache = None
    for service in survey.compose.others if survey.compose else ():
        name = key_of(service)
        if name is None:
            continue
        if REDIS.search(service.image):
            guess = sheet.ask(
                f"Does the project need {service.name}, the Redis of {service.file}? devenv starts the redis-server or"
                f" valkey-server of this machine, with a password; {{{place_of(name)}_url}} contains it.",
                likely=True,
            )
            sheet.section("services", name)
            sheet.key("kind", "redis")
            if service.port():
                sheet.key("port", service.port())
            sheet.agreed()
            cache = cache or ComposeCache(host=service.name, name=name, guess=guess, port=service.port())
        elif is_program(service):
            write_program(sheet, survey, service, name, health_of)
    return cache


def write_program(
    sheet: Sheet, survey: Survey, service: ComposeService, name: str, health_of: Callable[[Iterable[Code]], str | None]
) -> None:
    """The section of one program, if its command is known."""
    found = from_service(service, survey, alone=False)
    if not found.command:
        return  # It is listed.
    environment, left = variables_of(service, found, survey)
    when = f" Compose starts it only with profile `{'` or `'.join(service.profiles)}`." if service.profiles else ""
    lost = f" Not copied: its variables {', '.join(left)}." if left else ""
    sheet.ask(f"Should `devenv up` start {service.name} ({service.file}), too?{when}{lost}")
    sheet.section("services", name)
    sheet.key("command", list(found.command))
    if found.folder != ".":
        sheet.key("folder", found.folder)
    if found.port:
        sheet.key("port", found.port)
        inside = [code for code in survey.code if found.folder == "." or code.file.startswith(f"{found.folder}/")]
        # Code of the project's own folder may be the application's.
        health = health_of(inside) if found.folder != "." else None
        sheet.key("ready", {"http": health} if health else {"tcp": True})
    if needs := needed_by(service, survey):
        sheet.key("depends_on", needs)
    if environment:
        sheet.key("env", environment)
    sheet.agreed()


def needed_by(service: ComposeService, survey: Survey) -> list[str]:
    """The services of devenv that one of compose waits for."""
    compose = survey.compose
    known = (compose.postgres, compose.dynamodb, compose.application) if compose else ()
    names = zip(known, ("postgres", "dynamodb", "backend"), strict=False)
    return [name for each, name in names if each and each.name in service.needs]


def variables_of(service: ComposeService, found: FoundApplication, survey: Survey) -> tuple[dict[str, str], list[str]]:
    """The variables of a program that devenv can fill in, and the names of those that only its owner can.

    What the application gets, every process gets from `[env]`.
    """
    compose = survey.compose
    common = {*GIVEN, "AWS_ENDPOINT_URL", *(compose.application.environment if compose and compose.application else ())}
    inside = {str(port) for _, port in service.ports}
    filled = dict(found.environment)
    left: list[str] = []
    for name, value in service.environment.items():
        if name in filled or not re.fullmatch(r"[A-Za-z_]\w*", name) or is_refused(name):
            continue
        if value in inside and "PORT" in name:
            filled[name] = "{port}"
        elif name in common:
            continue
        elif value and (place := placeholder(name, value, survey)):
            filled[name] = place
        elif name not in survey.variables:
            left.append(name)
    return filled, left
