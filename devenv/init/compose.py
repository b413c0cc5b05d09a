"""What a compose file says of the two stores and of the application. Pure; the text is read, never run."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from devenv.core.errors import UsageError
from devenv.core.plain_yaml import TooManyValues, UnreadableYaml, load_yaml

YAML_BYTES: Final = 200_000
PORT: Final = re.compile(r"(?:(?:\d+(?:\.\d+){3}|\[[^\]]*\]):)?(?:(\d+):)?(\d+)(?:/tcp)?")
DEFAULT: Final = re.compile(r"\$\{(\w+):?-([^}]*)\}")


@dataclass(frozen=True)
class ComposeService:
    """One service: image, ports as (host, container), variables (None: interpolated, so not known), command."""

    name: str
    image: str
    build: str | None
    ports: tuple[tuple[int, int], ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict)
    command: tuple[str, ...] = ()

    def port(self) -> int | None:
        """The first port on the host."""
        return self.ports[0][0] if self.ports else None


@dataclass(frozen=True)
class ComposeFile:
    """A compose file's services by what they are."""

    file: str
    postgres: ComposeService | None
    dynamodb: ComposeService | None
    application: ComposeService | None
    others: tuple[str, ...]


def read_yaml(file: str, text: str) -> Any:
    """The value of a YAML text; None for what is none. UsageError if it is too large, or its aliases multiply.

    Tags stand for nothing, but for CloudFormation's `!Sub "${Stage}-x"` and `!Ref Stage`: they are texts with `${…}`.
    """
    if len(text) > YAML_BYTES:
        raise UsageError(
            f"{file} has more than {YAML_BYTES:,} characters, and is not read",
            hint="split it, or start in an empty folder: devenv init --project DIR",
        )

    def computed(_loader: Any, suffix: str, node: Any) -> str | None:
        if suffix not in ("Sub", "Ref") or not isinstance(node.value, str):
            return None
        return node.value if suffix == "Sub" else f"${{{node.value}}}"

    try:
        return load_yaml(text, computed)
    except TooManyValues as error:
        raise UsageError(f"{file} is not read: {error}", hint=f"write {file} without nested aliases") from None
    except UnreadableYaml:
        return None


def read_compose(file: str, text: str, variables: Mapping[str, str]) -> ComposeFile | None:
    """A compose file; None for what is none. `variables` are those of the .env file beside it."""
    tree = read_yaml(file, text)
    services = tree.get("services") if isinstance(tree, dict) else None
    if not isinstance(services, dict):
        return None
    read = [read_service(str(name), each, variables) for name, each in services.items() if isinstance(each, dict)]
    postgres = next((each for each in read if re.search(r"(^|/)(postgres|postgis)\b", each.image)), None)
    dynamodb = next((each for each in read if "dynamodb-local" in each.image), None)
    rest = [each for each in read if each not in (postgres, dynamodb)]
    return ComposeFile(file, postgres, dynamodb, pick_application(rest), tuple(each.name for each in rest))


def pick_application(services: list[ComposeService]) -> ComposeService | None:
    """The service that uses the stores: it is given their addresses, or is called like a backend."""

    def rank(service: ComposeService) -> int:
        given = " ".join(f"{name}={value}" for name, value in service.environment.items())
        return 2 * bool(re.search(r"postgres|DYNAMO|DDB|AWS_ENDPOINT", given)) + bool(
            re.search(r"back|api|app|server|web", service.name)
        )

    built = [service for service in services if service.build is not None or service.command]
    best = max(built, key=rank, default=None)
    return best if best is not None and rank(best) > 0 else None


def read_service(name: str, tree: Mapping[str, Any], variables: Mapping[str, str]) -> ComposeService:
    """One service of a compose file."""
    build = tree.get("build")
    folder = build.get("context") if isinstance(build, dict) else build
    command = tree.get("command")
    words = split_words(command) if isinstance(command, str) else command if isinstance(command, list) else []
    ports = [found for each in tree.get("ports") or () if (found := read_port(each, variables))]
    return ComposeService(
        name=name,
        image=str(tree.get("image") or ""),
        build=str(folder) if folder else None,
        ports=tuple(ports),
        environment=read_environment(tree.get("environment"), variables),
        command=tuple(map(str, words)),
    )


def read_port(value: Any, variables: Mapping[str, str]) -> tuple[int, int] | None:
    """(host, container) of `"5433:5432"`, `5432`, or the long form."""
    if isinstance(value, dict):
        value = f"{value.get('published', value.get('target'))}:{value.get('target')}"
    found = PORT.fullmatch(fill_in(str(value), variables) or "")
    ports = (int(found[1] or found[2]), int(found[2])) if found else (0, 0)
    return ports if all(0 < port < 65536 for port in ports) else None


def read_environment(tree: Any, variables: Mapping[str, str]) -> dict[str, str | None]:
    """The variables of a service, from either form."""
    if isinstance(tree, list):
        tree = dict(str(each).partition("=")[::2] for each in tree)
    if not isinstance(tree, dict):
        return {}
    return {str(name): None if value is None else fill_in(show(value), variables) for name, value in tree.items()}


def show(value: Any) -> str:
    """A YAML scalar as the text that a container gets."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def fill_in(text: str, variables: Mapping[str, str]) -> str | None:
    """The text with `${NAME:-default}` and `${NAME}` filled in; None when one of them is not known."""
    text = DEFAULT.sub(lambda found: variables.get(found[1], found[2]), text)
    text = re.sub(r"\$\{?(\w+)\}?", lambda found: variables.get(found[1], found[0]), text)
    return None if re.search(r"\$\{?\w", text) else text.replace("$$", "$")


def read_dockerfile(file: str, text: str) -> tuple[str, ...]:
    """The words of a Dockerfile's last CMD, in either form; () when it has none."""
    if not file.rpartition("/")[2].startswith("Dockerfile"):
        return ()
    found = re.findall(r"^[ \t]*CMD[ \t]+((?:\\\n|[^\n])+)", text, re.MULTILINE | re.IGNORECASE)
    if not found:
        return ()
    try:
        listed = json.loads(found[-1])
    except ValueError:
        listed = None
    words = listed if isinstance(listed, list) else split_words(found[-1].replace("\\\n", " "))
    return tuple(map(str, words))


def split_words(command: str) -> list[str]:
    """The words of a command line; none when a quote in it is never closed."""
    try:
        return shlex.split(command)
    except ValueError:
        return []


def read_dotenv(text: str) -> dict[str, str]:
    """The variables of a .env file."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and re.fullmatch(r"[A-Za-z_]\w*", name.strip()):
            found[name.strip()] = value.strip().strip("'\"")
    return found
