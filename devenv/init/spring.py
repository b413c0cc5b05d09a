"""Spring Boot's settings files and build file: the database, the variables with their defaults, the command. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from devenv.core.errors import UsageError
from devenv.core.value import Value
from devenv.init.compose import read_yaml, show

SETTINGS: Final = re.compile(r"application\.(ya?ml|properties)")
BUILDS: Final = ("pom.xml", "build.gradle", "build.gradle.kts")
BOOT: Final = re.compile(r"spring[.-]boot|springframework\.boot|springBoot")
PLACE: Final = re.compile(r"\$\{([A-Z][A-Z0-9_]*)(?::([^{}]*))?\}")
URL: Final = "spring.datasource.url"
# Spring Boot takes these from the environment, whatever its settings files say.
OVERRIDES: Final = {
    URL: "SPRING_DATASOURCE_URL",
    "spring.datasource.username": "SPRING_DATASOURCE_USERNAME",
    "spring.datasource.password": "SPRING_DATASOURCE_PASSWORD",
}
REDIS: Final = frozenset(f"spring.{of}redis.{part}" for of in ("", "data.") for part in ("host", "port"))
REDIS_PASSWORD: Final = "SPRING_DATA_REDIS_PASSWORD"  # noqa: S105 - the name of a variable
PARTS: Final = re.compile(
    r"jdbc:postgresql://(?:\$\{(?P<host>[A-Z]\w*)(?::[^{}]*)?\}|[\w.-]+)(?::(?:\$\{(?P<port>[A-Z]\w*)(?::[^{}]*)?\}|\d+))?"
    r"/(?:\$\{(?P<database>[A-Z]\w*)(?::[^{}]*)?\}|\w+)(?:\?.*)?"
)
ENDPOINT: Final = re.compile(r"(?i)(?:endpoint|url)[\w-]*$")
BOUND: Final = re.compile(r"@Value\(\s*\"\\?\$\{([a-z][\w.-]*\.[\w.-]+)(?::[^}]*)?\}")
ACTUATOR: Final = "management.endpoints.web.base-path"
ADDRESS: Final = re.compile(r"https?://[\w.-]+:\d+/?")
EVERY: Final = re.compile(
    r"(?:[\w-]+\.)*(?:aws|amazon|localstack)\.(?:service-?|local-?)?(?:endpoint|url)(?:-?(?:url|override))?"
)
CLIENT: Final = re.compile(r"\b(S3|Sqs|Sns|Ses|Kinesis|Lambda|SecretsManager|Ssm)(?:Async)?Client\b")
ANY_URL: Final = "jdbc:postgresql://localhost/postgres"


class SpringProject(Value, frozen=True):
    """A Spring Boot application: build file, command, health path, variables with defaults, database URL, port.

    `redis`: its settings name a host or port of Redis, and no password. `places`: variable -> placeholder, by the
    setting that it is a part of.
    """

    file: str
    folder: str
    command: tuple[str, ...]
    health: str | None
    variables: Mapping[str, str]
    url: str | None
    port: int | None
    base: str = ""
    redis: bool = False
    places: Mapping[str, str] = {}


def find_spring(texts: Mapping[str, str], names: Collection[str]) -> SpringProject | None:
    """The uppermost Spring Boot application of a folder."""
    builds = [n for n, text in texts.items() if posixpath.basename(n) in BUILDS and BOOT.search(text)]
    for file in sorted(builds, key=lambda name: (name.count("/"), name)):
        folder = posixpath.dirname(file)
        settings: dict[str, str] = {}
        for name in sorted(texts):
            inside = not folder or name.startswith(f"{folder}/")
            if inside and SETTINGS.fullmatch(posixpath.basename(name)) and "/test/" not in f"/{name}":
                settings = {**dict(settings_in(name, texts[name])), **settings}
        maven = file.endswith("pom.xml")
        wrapper = "mvnw" if maven else "gradlew"
        program = f"./{wrapper}" if posixpath.join(folder, wrapper) in names else "mvn" if maven else "gradle"
        command = (program, "-q", "spring-boot:run") if maven else (program, "bootRun")
        below = "/" + PLACE.sub(lambda match: match[2] or "", settings.get(ACTUATOR, "/actuator")).strip("/")
        health = f"{below.rstrip('/')}/health" if "actuator" in texts[file] and "$" not in below else None
        if settings.get("management.server.port"):
            health = None  # It is served elsewhere.
        base = settings.get("server.servlet.context-path", "").rstrip("/")
        port = PLACE.sub(lambda match: match[2] or "", settings.get("server.port", ""))
        variables, url = variables_in(settings)
        return SpringProject(
            file=file,
            folder=folder or ".",
            command=command,
            health=health and (f"{base}{health}" if "$" not in base else health),
            variables=variables,
            url=url,
            places=places_in(settings, bound_endpoints(texts)),
            redis=bool(REDIS & set(settings)) and not any(key.endswith("redis.password") for key in settings),
            base=PLACE.sub(lambda match: match[2] or "", base),
            port=int(port) if re.fullmatch(r"[1-9]\d{0,4}", port) and int(port) < 65536 else None,
        )
    return None


def variables_in(settings: Mapping[str, str]) -> tuple[dict[str, str], str | None]:
    """(variable -> default, the database's URL) of settings such as `${DB_HOST:localhost}`; "" without a default."""
    found: dict[str, str] = {}
    for value in settings.values():
        for name, default in PLACE.findall(value):
            found[name] = found.get(name) or default
    found |= {variable_of(key): value for key, value in addresses(settings).items()}
    url = settings.get(URL)
    if url is not None and url.startswith("jdbc:postgresql:") and "$" in url:
        fixed = {name: settings[key] for key, name in OVERRIDES.items() if "$" not in settings.get(key, "$")}
        found |= fixed
    if url is not None:
        if (whole := PLACE.fullmatch(url)) and not whole[2]:
            found[whole[1]] = ANY_URL
        elif "$" not in url and url.startswith("jdbc:postgresql:"):
            found |= {name: settings[key] for key, name in OVERRIDES.items() if "$" not in settings.get(key, "$")}
        url = PLACE.sub(lambda match: match[2] or "", url)
    return found, url


def places_in(settings: Mapping[str, str], bound: Collection[str]) -> dict[str, str]:
    """Variable -> placeholder of the parts of the database's address, and of DynamoDB's; `bound`: settings of classes.

    A variable that is also a part of something else is judged by its name.
    """
    found: dict[str, str] = {}
    if parts := PARTS.fullmatch(settings.get(URL, "")):
        found |= {name: f"{{postgres_{part}}}" for part, name in parts.groupdict().items() if name}
    for key, part in (("spring.datasource.username", "user"), ("spring.datasource.password", "password")):
        if whole := PLACE.fullmatch(settings.get(key, "")):
            found[whole[1]] = f"{{postgres_{part}}}"
    for key, value in settings.items():
        whole = PLACE.fullmatch(value)
        if whole and "dynamo" in key.lower() and ENDPOINT.search(key):
            found[whole[1]] = "{dynamodb_url}"
        elif not value and key in bound:
            found[variable_of(key)] = "{dynamodb_url}"
    found |= {variable_of(key): "{dynamodb_url}" for key in bound if key not in settings}
    uses = [(key, name) for key, value in settings.items() for name, _ in PLACE.findall(value)]
    return {
        name: place
        for name, place in found.items()
        if len({key.startswith("spring.") for key, used in uses if used == name}) < 2
    }


def bound_endpoints(texts: Mapping[str, str]) -> set[str]:
    """The settings with the address of DynamoDB that code asks for: `@Value("${store.dynamodb.endpoint:}")`."""
    code = (text for file, text in texts.items() if file.endswith((".java", ".kt")) and "/test/" not in f"/{file}")
    keys = {key for text in code for key in BOUND.findall(text)}
    return {key for key in keys if "dynamo" in key.lower() and ENDPOINT.search(key)}


def addresses(settings: Mapping[str, str]) -> dict[str, str]:
    """The settings with a fixed address of DynamoDB, else the one of all services of AWS."""
    fixed = {key: value for key, value in settings.items() if ADDRESS.fullmatch(value)}
    own = {key: value for key, value in fixed.items() if "dynamo" in key.lower()}
    return own or {key: value for key, value in fixed.items() if EVERY.fullmatch(key)}


def variable_of(key: str) -> str:
    """The variable that Spring Boot takes a setting from: `aws.dynamo-db.endpoint` from AWS_DYNAMODB_ENDPOINT."""
    return key.replace("-", "").replace(".", "_").upper()


def settings_in(file: str, text: str) -> Iterator[tuple[str, str]]:
    """(dotted key, value) of a settings file, without those of a profile."""
    if file.endswith(".properties"):
        for line in re.split(r"(?m)^#---.*$", text)[0].splitlines():
            key, equals, value = line.partition("=")
            if equals and not key.lstrip().startswith(("#", "!")):
                yield key.strip(), value.strip()
        return
    for part in re.split(r"(?m)^---.*$", text):
        try:
            found = dict(flat(read_yaml(file, part)))
        except UsageError:
            return
        # `spring.profiles.active` chooses profiles; only these two make the part one of a profile.
        if not any(key.startswith("spring.config.activate") or key == "spring.profiles" for key in found):
            yield from found.items()


def flat(tree: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of nested mappings, by dotted keys."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from flat(value, f"{prefix}.{key}" if prefix else str(key))
    elif tree is not None and not isinstance(tree, list) and prefix:
        yield prefix, show(tree)


def shared_address(texts: Mapping[str, str]) -> list[str]:
    """The sentence about one address in the settings for DynamoDB and services of AWS that devenv does not serve."""
    used = dict.fromkeys(
        found[1] for file, text in texts.items() if file.endswith((".java", ".kt")) for found in CLIENT.finditer(text)
    )
    for file in sorted(texts):
        if used and SETTINGS.fullmatch(posixpath.basename(file)) and "/test/" not in f"/{file}":
            for key in addresses(dict(settings_in(file, texts[file]))):
                if "dynamo" not in key.lower():
                    return [
                        f"{file}: `{key}` is also the address of {', '.join(used)}. [env] {variable_of(key)} points"
                        " all of them to DynamoDB Local, which serves only DynamoDB"
                    ]
    return []
