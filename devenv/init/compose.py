"""Reads the stores and the application from compose files, an override laid over its file. Pure; nothing is run."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from devenv.core.errors import UsageError
from devenv.core.plain_yaml import TooManyValues, UnreadableYaml, load_yaml
from devenv.init.images import NAMES

YAML_BYTES: Final = 200_000
PORT: Final = re.compile(r"(?:(?:\d+(?:\.\d+){3}|\[[^\]]*\]):)?(?:(\d+):)?(\d+)(?:/tcp)?")
OVERRIDE: Final = re.compile(r"\.override(\.ya?ml)$")
# Images that are PostgreSQL: the official one, and those that others build on it.
POSTGRES: Final = re.compile(
    r"(^|/)(postgres(ql)?|postgis|pgvector|timescaledb(-ha)?|pgrouting|supabase-postgres|alpine-postgres)(:|@|$)"
    r"|/postgres-\w+(:|@|$)"
)
# Words of a service's name that tell that it ends; words that only a tool's entrypoint takes.
JOBS: Final = frozenset(
    [
        *("migrate", "migrator", "migration", "migrations", "flyway", "liquibase", "alembic"),
        *("seed", "seeds", "seeder", "init", "setup", "bootstrap"),
    ]
)
VERBS: Final = frozenset(("up", "down", "migrate", "apply", "update", "validate", "info", "status", "deploy"))
TOOLS: Final = re.compile(
    r"migrat|flyway|liquibase|dbmate|goose|atlas|sqitch|aws-cli|/mc(:|$)|pgadmin|adminer|-admin(:|$)|-cli(:|$)"
)
# Ready-made servers, not built for one project: none of them is the application, whatever variables it is given.
SERVERS: Final = re.compile(
    r"(^|[/-])(redis|redis-stack(-server)?|valkey|keydb|dragonfly|memcached|rabbitmq|kafka|redpanda|zookeeper|nats|mosquitto|emqx|mongo"
    r"|mongodb|mysql|mariadb|mssql|cassandra|scylla|clickhouse(-server)?|elasticsearch|opensearch|kibana|solr|meilisearch|typesense"
    r"|minio|localstack(-pro)?|elasticmq(-native)?|moto|nginx|traefik|caddy|haproxy|envoy|mailhog|mailpit|maildev|keycloak"
    r"|jaeger|all-in-one|zipkin|grafana|prometheus|loki|tempo|otel\S*|opentelemetry-collector\S*|unleash-server|vault|consul|etcd"
    r"|temporal|auto-setup|pgbouncer|pgadmin4?|postgres|postgis|pgvector|dynamodb-local)(:|@|$)"
)
DEFAULT: Final = re.compile(r"\$\{(\w+):?-([^}]*)\}")


@dataclass(frozen=True)
class ComposeService:
    """One service: image, ports as (host, container), variables (None: interpolated, so not known), command.

    `build` is the folder of its image, relative to the project's. `file` is the compose file that it is in; `needs` are
    the services that it waits for, `profiles` those without which Compose does not start it. `dockerfile` is the path
    of its Dockerfile, `working` the folder in the container that it names, `volumes` are (folder here, folder there).
    """

    name: str
    image: str
    build: str | None
    ports: tuple[tuple[int, int], ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    file: str = ""
    needs: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    dockerfile: str = ""
    working: str = ""
    volumes: tuple[tuple[str, str], ...] = ()

    def port(self) -> int | None:
        """The first port on the host."""
        return self.ports[0][0] if self.ports else None


@dataclass(frozen=True)
class ComposeFile:
    """The services of one or several compose files by what they are."""

    file: str
    postgres: ComposeService | None
    dynamodb: ComposeService | None
    application: ComposeService | None
    others: tuple[ComposeService, ...]
    files: tuple[str, ...] = ()


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


def read_compose(
    file: str, text: str, variables: Mapping[str, str], beside: Mapping[str, str] | None = None
) -> ComposeFile | None:
    """A compose file; None for what is none. `variables` are those of the .env file beside it.

    `beside` has the texts of other files, for `env_file`.
    """
    tree = read_yaml(file, text)
    services = tree.get("services") if isinstance(tree, dict) else None
    if not isinstance(services, dict):
        return None
    found = {str(name): each for name, each in services.items() if isinstance(each, dict)}
    return sort_services([read_service(name, each, variables, file, beside or {}) for name, each in found.items()])


def read_composes(texts: Mapping[str, str], names: Sequence[str], variables: Mapping[str, str]) -> ComposeFile | None:
    """All compose files together, the uppermost first; `x.override.yml` is laid over `x.yml`."""
    trees: dict[str, dict[str, Any]] = {}
    for name in names:
        tree = read_yaml(name, texts[name])
        services = tree.get("services") if isinstance(tree, dict) else None
        if isinstance(services, dict):
            trees[name] = {str(key): each for key, each in services.items() if isinstance(each, dict)}
    for name in [name for name in trees if OVERRIDE.search(name)]:
        base = next(
            (n for n in (OVERRIDE.sub(rf"{end}", name) for end in (r"\1", ".yml", ".yaml")) if n in trees), None
        )
        if base is not None:
            over = trees.pop(name)
            for key, each in over.items():
                trees[base][key] = overlaid(trees[base].get(key, {}), each)
    read = [
        read_service(key, each, variables, name, texts) for name, tree in trees.items() for key, each in tree.items()
    ]
    return sort_services(read, tuple(trees)) if trees else None


def overlaid(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A service with another file's version of it laid over it, as Compose does: variables are merged by name."""
    merged = {**base, **over}
    if "environment" in base and "environment" in over:
        merged["environment"] = {**as_mapping(base["environment"]), **as_mapping(over["environment"])}
    return merged


def as_mapping(tree: Any) -> dict[str, Any]:
    """The variables of a service from either form; one without `=` is taken from the shell."""
    if isinstance(tree, list):
        parts = [str(each).partition("=") for each in tree]
        return {name: value if equals else None for name, equals, value in parts}
    return {str(name): value for name, value in tree.items()} if isinstance(tree, dict) else {}


def sort_services(read: Sequence[ComposeService], files: tuple[str, ...] = ()) -> ComposeFile:
    """Which service is which. The first Postgres and the first DynamoDB count."""
    postgres = next((each for each in read if is_postgres(each)), None)
    dynamodb = next((each for each in read if each is not postgres and is_dynamodb(each)), None)
    rest = [each for each in read if each not in (postgres, dynamodb)]
    file = next((each.file for each in (postgres, dynamodb, *read) if each), files[0] if files else "")
    application = pick_application(rest)
    return ComposeFile(
        file, postgres, dynamodb, application, tuple(each for each in rest if each is not application), files
    )


def is_postgres(service: ComposeService) -> bool:
    """Return True for a service that is PostgreSQL, whoever built the image."""
    if POSTGRES.search(service.image):
        return True
    # An image of one's own, or one whose name is a variable, takes the variables of the official one.
    own = not service.image or "$" in service.image
    return own and bool(
        {"POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRESQL_DATABASE"} & {*service.environment}
        and any(inner == 5432 for _, inner in service.ports)
    )


def is_dynamodb(service: ComposeService) -> bool:
    """Return True for a service that answers as DynamoDB: DynamoDB Local, LocalStack, or one that is built."""
    if "dynamodb-local" in service.image or "dynamodb_local" in service.image:
        return True
    if "localstack" in service.image or "ministack" in service.image:
        given = service.environment.get("SERVICES")
        return given is None or "dynamo" in given
    named = "dynamo" in service.name.lower() and not re.search("admin|gui|init|setup|seed|create", service.name.lower())
    return "DynamoDBLocal.jar" in service.command or (named and any(inner == 8000 for _, inner in service.ports))


def pick_application(services: list[ComposeService]) -> ComposeService | None:
    """The service that uses the stores: it is given their addresses, or is called like a backend."""

    def rank(service: ComposeService) -> int:
        given = " ".join(f"{name}={value}" for name, value in service.environment.items())
        return 2 * bool(re.search(r"postgres|DYNAMO|DDB|AWS_ENDPOINT", given)) + bool(
            re.search(r"back|api|app|server|web", service.name)
        )

    built = [
        service
        for service in services
        if service.build is not None or (service.command and not SERVERS.search(service.image))
        if not is_job(service)
    ]
    best = max(built, key=rank, default=None)
    return best if best is not None and rank(best) > 0 else None


def is_job(service: ComposeService) -> bool:
    """Return True for a service that does one thing and ends, such as a migrator: its command starts no application."""
    words = {*re.split(r"[^a-z]+", service.name.lower())}
    if words & JOBS:
        return True
    # Of an image that is a tool, the command is arguments of its entrypoint.
    first = service.command[0] if service.command else ""
    tool = service.build is None and TOOLS.search(service.image)
    return first.startswith("-") or first in VERBS or bool(tool)


def read_service(
    name: str, tree: Mapping[str, Any], variables: Mapping[str, str], file: str, texts: Mapping[str, str]
) -> ComposeService:
    """One service of a compose file."""
    build = tree.get("build")
    folder = build.get("context") if isinstance(build, dict) else build
    command = tree.get("command")
    words = split_words(command) if isinstance(command, str) else command if isinstance(command, list) else []
    listed = tree.get("ports")
    ports = [found for each in (listed if isinstance(listed, list) else ()) if (found := read_port(each, variables))]
    image = str(tree.get("image") or "")
    named = tree.get("env_file")
    given: dict[str, str | None] = {}
    for each in named if isinstance(named, list) else [named]:
        path = each.get("path") if isinstance(each, dict) else each
        given |= read_dotenv(texts.get(beside(file, str(path)), "")) if path else {}
    return ComposeService(
        name=name,
        image=fill_in(image, variables) or image,
        build=beside(file, str(folder)) if folder else None,
        ports=tuple(ports),
        environment={**given, **read_environment(tree.get("environment"), variables)},
        command=tuple(fill_command(str(word), variables) for word in words),
        file=file,
        needs=names_in(tree.get("depends_on")),
        profiles=names_in(tree.get("profiles")),
        dockerfile=posixpath.normpath(
            posixpath.join(
                beside(file, str(folder)),
                str(build.get("dockerfile") if isinstance(build, dict) else "") or "Dockerfile",
            )
        )
        if folder
        else "",
        working=str(tree.get("working_dir") or ""),
        volumes=tuple(mounts_in(tree.get("volumes"), file)),
    )


def mounts_in(tree: Any, file: str) -> Iterator[tuple[str, str]]:
    """(folder of the project, folder in the container) of the volumes that are folders."""
    for each in tree if isinstance(tree, list) else ():
        if isinstance(each, dict):
            source, target = str(each.get("source") or ""), str(each.get("target") or "")
        else:
            source, _, target = str(each).partition(":")
        if source.startswith(".") and target:
            yield beside(file, source), target.partition(":")[0]


def names_in(tree: Any) -> tuple[str, ...]:
    """The names of a list, or the keys of a mapping."""
    return tuple(map(str, tree)) if isinstance(tree, list | dict) else ()


def beside(file: str, path: str) -> str:
    """A path in a compose file, relative to the project's folder; as it is where it leads elsewhere."""
    if path.startswith(("/", "~", "$")) or "://" in path:
        return path
    return posixpath.normpath(posixpath.join(posixpath.dirname(file), path))


def read_port(value: Any, variables: Mapping[str, str]) -> tuple[int, int] | None:
    """(host, container) of `"5433:5432"`, `5432`, or the long form."""
    if isinstance(value, dict):
        value = f"{value.get('published', value.get('target'))}:{value.get('target')}"
    found = PORT.fullmatch(fill_in(str(value), variables) or "")
    ports = (int(found[1] or found[2]), int(found[2])) if found else (0, 0)
    return ports if all(0 < port < 65536 for port in ports) else None


def read_environment(tree: Any, variables: Mapping[str, str]) -> dict[str, str | None]:
    """The variables of a service, from either form."""
    return {
        name: None if value is None else fill_in(show(value), variables) for name, value in as_mapping(tree).items()
    }


def show(value: Any) -> str:
    """A YAML scalar as the text that a container gets."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def fill_in(text: str, variables: Mapping[str, str]) -> str | None:
    """The text with `${NAME:-default}` and `${NAME}` filled in; None when one of them is not known."""
    text = DEFAULT.sub(lambda found: variables.get(found[1], found[2]), text)
    text = re.sub(r"\$\{?(\w+)\}?", lambda found: variables.get(found[1], found[0]), text)
    return None if re.search(r"\$\{?\w", text) else text.replace("$$", "$")


def fill_command(word: str, variables: Mapping[str, str]) -> str:
    """A word of a command as Compose hands it to the container: `${APP_PORT:-5055}` is the number, `$$X` is `$X`.

    A text that only a .env file has stays out of it: it may be private.
    """

    def filled(found: re.Match[str]) -> str:
        value = variables.get(found[1] or found[3], "")
        return value if value.isdigit() else found[0] if found[2] is None else found[2]

    filled_in = re.sub(r"(?<!\$)\$(?:\{(\w+)(?::?-([^{}]*))?\}|(\w+))", filled, word)
    return filled_in.replace("$$", "$")


def read_dockerfile(file: str, text: str) -> tuple[str, ...]:
    """The words of a Dockerfile's last CMD, in either form; () when it has none."""
    if not NAMES.fullmatch(file.rpartition("/")[2]):
        return ()
    found = re.findall(r"^[ \t]*CMD[ \t]+((?:\\\n|[^\n])+)", text, re.MULTILINE | re.IGNORECASE)
    if not found:
        return ()
    try:
        listed = json.loads(found[-1])
    except ValueError:
        listed = None
    words = listed if isinstance(listed, list) else split_words(found[-1].replace("\\\n", " "))
    # The shell of the image fills variables in.
    given = dict(re.findall(r"^[ \t]*(?:ENV|ARG)[ \t]+(\w+)[= ](\d+)[ \t]*$", text, re.MULTILINE))
    return tuple(fill_command(str(word), given) for word in words)


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
