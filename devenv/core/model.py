"""Plain values that travel between the edge, the judgement and the printer. Imports only the class of values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal
from urllib.parse import quote, urlsplit

from msgspec.structs import asdict

from devenv.core.late import late
from devenv.core.value import Value

POSTGRES: Final = "postgres"
DYNAMODB: Final = "dynamodb"
BACKEND: Final = "backend"
ServiceName = Literal["postgres", "dynamodb", "backend"]
StoreName = Literal["postgres", "dynamodb"]
Running = Literal["running", "starting", "stopped", "crashed", "foreign"]
Done = Literal["done", "pending", "stale", "failed"]
CheckStatus = Literal["ok", "warn", "fail", "error", "skip"]


class PostgresTarget(Value, frozen=True):
    """Where and as whom to reach one Postgres database. `password` never shows in a repr.

    `refused` says why nothing may be written there, `closed` why it may not even be asked; None: it may. Who speaks
    to the store heeds both. `own`: devenv started the server, so that it may make roles there. `keys`: the user, not a
    folder, named the address, so that the user's own password file and certificate may be used.
    """

    concealed: ClassVar[frozenset[str]] = frozenset({"password"})

    host: str
    port: int
    user: str
    password: str
    database: str = "postgres"
    refused: str | None = None
    closed: str | None = None
    own: bool = False
    keys: bool = False

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port

    @property
    def address(self) -> str:
        """`host:port/database`, for messages."""
        return f"{self.host}:{self.port}/{self.database}"

    @property
    def url(self) -> str:
        """The address of the database, with user and password."""
        user, password, database = (quote(part, safe="") for part in (self.user, self.password, self.database))
        return f"postgresql://{user}:{password}@{self.host}:{self.port}/{database}"

    @property
    def variables(self) -> dict[str, str]:
        """The variables that clients of Postgres read."""
        return {
            "DATABASE_URL": self.url,
            "CONNECTION_URL": self.url,
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": self.database,
        }

    def placeholders(self, place: str) -> dict[str, str]:
        """Placeholder -> value; `place` is the service's name in them."""
        return {
            f"{place}_url": self.url,
            f"{place}_host": self.host,
            f"{place}_port": str(self.port),
            f"{place}_user": self.user,
            f"{place}_password": self.password,
            f"{place}_database": self.database,
        }

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that no output may show."""
        return (self.password,)


class DynamoTarget(Value, frozen=True):
    """One DynamoDB: endpoint URL (`http://127.0.0.1:8000`), region and key pair, with a session's token if it has one.

    `refused` and `closed` as in PostgresTarget.
    """

    concealed: ClassVar[frozenset[str]] = frozenset({"secret_key", "token"})

    endpoint: str
    region: str
    access_key: str
    secret_key: str
    token: str = ""
    refused: str | None = None
    closed: str | None = None

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        url = urlsplit(self.endpoint)
        return url.hostname or "", url.port or 80

    @property
    def variables(self) -> dict[str, str]:
        """The variables that AWS SDKs read."""
        return {
            "AWS_ENDPOINT_URL_DYNAMODB": self.endpoint,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }

    def placeholders(self, place: str) -> dict[str, str]:
        """Placeholder -> value. Region and keys are those of every call to AWS, so they have no `place`."""
        url = urlsplit(self.endpoint)
        return {
            f"{place}_url": self.endpoint,
            f"{place}_host": url.hostname or "",
            f"{place}_port": str(url.port or ""),
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "region": self.region,
        }

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that no output may show."""
        return (self.secret_key, self.token)


class ProcessTarget(Value, frozen=True):
    """Where one of the project's own services is reached. `url` has its password, if it has one.

    `variables` are those that it gives every process, where `[env]` does not say otherwise.
    """

    concealed: ClassVar[frozenset[str]] = frozenset({"url", "password", "variables"})

    url: str
    port: int
    password: str = ""
    variables: Mapping[str, str] = {}

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        return urlsplit(self.url).hostname or "", self.port

    def placeholders(self, place: str) -> dict[str, str]:
        """Placeholder -> value; `place` is the service's name in them."""
        password = {f"{place}_password": self.password} if self.password else {}
        return {f"{place}_url": self.url, f"{place}_port": str(self.port), **password}

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that no output may show."""
        return (self.password,)


@dataclass(frozen=True)
class Targets(Mapping[str, PostgresTarget | DynamoTarget | ProcessTarget]):
    """Where each service of one project is, by its name. `key` is the project's development signing key.

    Code that speaks SQL or DynamoDB's own operations asks for `postgres` or `dynamodb`.
    """

    services: Mapping[str, PostgresTarget | DynamoTarget | ProcessTarget]
    key: str = field(default="", repr=False)

    @classmethod
    def of(
        cls, postgres: PostgresTarget, dynamodb: DynamoTarget, own: Mapping[str, ProcessTarget] = {}, key: str = ""
    ) -> Targets:
        """The two stores, and the project's own services that have a port."""
        return cls({POSTGRES: postgres, DYNAMODB: dynamodb, **own}, key)

    def __getitem__(self, name: str) -> PostgresTarget | DynamoTarget | ProcessTarget:
        return self.services[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.services)

    def __len__(self) -> int:
        return len(self.services)

    @property
    def postgres(self) -> PostgresTarget:
        target = self.services[POSTGRES]
        assert isinstance(target, PostgresTarget)  # noqa: S101 - `of` is how they are made
        return target

    @property
    def dynamodb(self) -> DynamoTarget:
        target = self.services[DYNAMODB]
        assert isinstance(target, DynamoTarget)  # noqa: S101 - `of` is how they are made
        return target

    @property
    def backend_url(self) -> str | None:
        """The address of the application; None without `[backend]`."""
        return self.url(BACKEND)

    def url(self, name: str) -> str | None:
        """The address of one of the project's own services; None where there is none of this name."""
        target = self.services.get(name)
        return target.url if isinstance(target, ProcessTarget) else None


class Listener(Value, frozen=True):
    """One listening TCP socket of one of the project's own services."""

    service: str
    ip: str
    port: int


class ServiceState(Value, frozen=True):
    """The present state of one service. `started` is ISO 8601 UTC; None means not known or not running.

    `detail` says what is wrong with it, `command` what ends that. `last_lines` are the last of a crashed one's log.
    `work` is what a stream worker has done: counts by name, and in `text` for people. `unsure` says which settings a
    running store has is not known.
    """

    name: str
    state: Running
    pid: int | None = None
    host: str | None = None
    port: int | None = None
    url: str | None = None
    version: str | None = None
    started: str | None = None
    detail: str | None = None
    command: str | None = None
    last_lines: tuple[str, ...] = ()
    work: Mapping[str, Any] | None = None
    unsure: str | None = None


class StepState(Value, frozen=True):
    """The state of one step: if its work is in the stores, and the reason (one sentence).

    `follows`: stale only because rows changed, so that the next run makes the items follow them. `stuck`: that run
    stops, as a reference names no row any more. `command`: what corrects it, where `devenv up` does not. `unread`: a
    store did not answer, so the state is not known.
    """

    name: str
    state: Done
    reason: str
    follows: bool = False
    stuck: bool = False
    command: str | None = None
    unread: bool = False

    @property
    def since(self) -> str:
        """The fate of the step's rows or items since: the second part of the reason of a step that is done."""
        return since_of(self.reason) if self.state == "done" else ""


def since_of(reason: str) -> str:
    """`1 of 162 items has since been deleted: …`, out of a step's reason; empty when all is as it was loaded."""
    _, _, rest = reason.partition("; ")
    return rest if " since been " in rest else ""


class Action(Value, frozen=True):
    """One line of a plan: what is done to `target`, and the cause."""

    target: str
    action: str
    reason: str


class Failure(Value, frozen=True):
    """An error as a user reads it: the fact, the driver's words, the cause if known, one next command."""

    what: str
    detail: str | None = None
    cause: str | None = None
    hint: str | None = None


class Fix(Value, frozen=True):
    """A remedy: `text` in words, `command` to type, `safe` when `--fix` may do it (nothing can be lost)."""

    text: str
    command: str | None = None
    safe: bool = False


class Finding(Value, frozen=True):
    """Something that is wrong. `kind` is its class, `summary` one sentence, `subjects` are ids or names.

    `about` are the variables, attributes or services concerned, by which later failures are recognised as its
    consequence. `explains` are faults (class, subjects) that are known to go away with this one. `unshown`: the faulty
    values, where they stand only in items that the traced answer does not show.
    """

    kind: str
    summary: str
    cause: str | None = None
    fix: Fix | None = None
    subjects: tuple[str, ...] = ()
    about: frozenset[str] = frozenset()
    explains: frozenset[tuple[str, tuple[str, ...]]] = frozenset()
    unshown: frozenset[str] = frozenset()


GUESS: Final = late(r"(?:^|[:;] )(?:either|possibly)\b")


def cause_label(cause: str) -> str:
    """`cause`, or `possible cause` where the text itself names alternatives or a guess: nothing verified it."""
    return "possible cause" if GUESS.search(cause) else "cause"


# `undeclared`: nothing is declared that could be wrong, so checks that need this one still run.
SkipReason = Literal["needs_failed", "not_applicable", "undeclared", "not_run"]


class Skip(Value, frozen=True):
    """Why a check has no answer: `needs` are the codes of those that do not hold, where that is the reason."""

    reason: SkipReason
    text: str
    needs: tuple[str, ...] = ()


class Outcome(Value, frozen=True):
    """The result of one check or rule. `subjects` are ids; `evidence` is what was seen, in words."""

    status: CheckStatus
    evidence: str = ""
    cause: str | None = None
    fix: Fix | None = None
    subjects: tuple[str, ...] = ()
    skip: Skip | None = None


class Titled(Value, frozen=True):
    """The common part of a check and a rule. `code` is permanent, `title` says what holds."""

    code: str
    name: str
    group: str
    title: str


class CheckResult(Value, frozen=True):
    """One row of a check's result. `subjects` are ids; `evidence` is what was seen; `ms` milliseconds."""

    code: str
    name: str
    layer: str
    title: str
    status: CheckStatus
    evidence: str = ""
    cause: str | None = None
    fix: Fix | None = None
    subjects: tuple[str, ...] = ()
    ms: float = 0.0
    skip: Skip | None = None


def result_of(check: Titled, outcome: Outcome, ms: float = 0.0) -> CheckResult:
    """The row of a check with this outcome."""
    head = (check.code, check.name, check.group, check.title)
    return CheckResult(*head, **asdict(outcome), ms=round(ms, 1))


class Report(Value, frozen=True):
    """The result of a command: rendered once, as text or as the one JSON document; `exit_code` rules both.

    `command` is the first word (`up`), `body` the command's own keys of the JSON document. `view` is for the text form
    only: what the user asked to see.
    """

    command: str
    project: str | None
    exit_code: int
    body: Mapping[str, Any] = {}
    error: Failure | None = None
    view: Mapping[str, Any] = {}
