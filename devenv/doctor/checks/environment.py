"""Environment: the stores that the user's shell and the application's process use, and which `devenv` is run."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from devenv.core.errors import StoreError
from devenv.core.model import DynamoTarget, Fix, Outcome, PostgresTarget
from devenv.core.plural import number_of
from devenv.doctor.checks.addresses import dynamodb_names, dynamodb_parts, is_proxy, postgres_names, postgres_parts
from devenv.doctor.checks.check import Check, failed, passed, unneeded, unverified
from devenv.doctor.checks.settings import (
    ENDPOINT,
    GLOBAL_ENDPOINT,
    IGNORE,
    PG_PLACE,
    Diversion,
    Lookup,
    VariableSource,
    find_account,
    find_database,
    find_endpoint,
    find_global_endpoint,
    find_misspelt,
    find_stale,
    find_tables,
    mend_declared,
    read_configured,
    read_profiles,
    read_service,
)
from devenv.doctor.context import DoctorFacts
from devenv.links.facts import Facts

RESTART = Fix(
    "restart the application with the project's settings (its own .env file or code may also set the variable)",
    "devenv restart backend",
)
STRAIGHT = Fix("exclude this machine's own addresses from the proxy", "export NO_PROXY=127.0.0.1,localhost")
CLEAN_SHELL = Fix("unset the variable in this shell, or set it as devenv does", 'eval "$(devenv env)"')
ASK_S = 2


def run_which(facts: DoctorFacts) -> Outcome:
    """Which program answers to `devenv` in the user's shell."""
    if other := find_intruder():
        return failed(
            f"the package {other} is installed beside devenv in {sys.prefix}, and has its own package `devenv`",
            cause="both use the same folder, so one has overwritten files of the other",
            fix=Fix("install devenv into its own environment", "pipx install 'devenv-stores[embedded]'"),
            status="warn",
        )
    found = shutil.which("devenv", path=facts.context.shell.get("PATH", ""))
    if found is None:
        return unneeded("no `devenv` is on PATH; you called this one by its path")
    if is_ours(Path(found)):
        return passed(found)
    return failed(
        f"{found} is first on PATH and is not this devenv ({sys.executable} -m devenv)",
        cause=f"{whose(Path(found))} has a command of the same name",
        fix=Fix(
            "put this one first on PATH, or call it by its path", f"export PATH={Path(sys.executable).parent}:$PATH"
        ),
        status="warn",
    )


def is_ours(program: Path) -> bool:
    """Return True if a program on PATH starts this package.

    It lies in the folder of our interpreter, or is a script that names it.
    """
    if program.parent.resolve() == Path(sys.executable).parent.resolve():
        return True
    try:
        return b"devenv.cli" in program.read_bytes()[:4000]
    except OSError:
        return False


def find_intruder() -> str | None:
    """Return another distribution of this environment that has an import package `devenv`."""
    from importlib import metadata

    for name in ("sentry-devenv", "devenv"):
        try:
            files = metadata.distribution(name).files or ()
        except metadata.PackageNotFoundError:
            continue
        if any(file.parts[:1] == ("devenv",) for file in files):
            return name
    return None


def whose(program: Path) -> str:
    """The tool that a program named `devenv` belongs to, in words."""
    place = str(program.resolve())
    if place.startswith("/nix/store/"):
        return "devenv.sh (the Nix-based tool)"
    try:
        head = program.read_bytes()[:4000]
    except OSError:
        return "another tool"
    if b"from devenv.main import" in head or b"sentry" in head:
        return "sentry-devenv"
    return "devenv.sh (the Nix-based tool)" if b"/nix/store/" in head or head[:4] == b"\x7fELF" else "another tool"


def sources(facts: DoctorFacts) -> tuple[VariableSource, ...]:
    """The shell, and the application's process when it runs."""
    context = facts.context
    shell = VariableSource("this shell", context.shell, required=False)
    if context.application is None:
        return (shell,)
    pid = context.service("backend").pid
    return shell, VariableSource(f"the application (pid {pid}, at its start)", context.application, required=True)


def unseen(facts: DoctorFacts) -> str:
    """Why the application's own variables are not known although it runs; empty when they are, or it does not."""
    state = facts.context.service("backend")
    if facts.context.application is not None or state.state != "running":
        return ""
    process = f" (pid {state.pid})" if state.pid else ""
    return f"your user cannot read the variables of the application{process}"


def look_up(facts: Facts) -> Lookup:
    """The machine's answers about names and targets."""

    def same_postgres(target: PostgresTarget) -> str | None:
        return other_cluster(facts, target)

    def same_dynamodb(target: DynamoTarget) -> str | None:
        return other_tables(facts, target)

    return Lookup(resolve, same_postgres, same_dynamodb, read_configured, read_service)


def resolve(host: str) -> tuple[str, ...]:
    """The IP addresses of a host name; () when it has none."""
    if host.startswith("/"):
        return ("127.0.0.1",)
    try:
        return tuple(dict.fromkeys(str(info[4][0]) for info in socket.getaddrinfo(host, None)))
    except (OSError, UnicodeError):
        return ()


def other_cluster(facts: Facts, target: PostgresTarget) -> str | None:
    """None when `target` is the project's database: the same cluster, by its own number, and the same name."""
    from devenv.stores.postgres import client as postgres

    stack = facts.context.targets.postgres
    try:
        with postgres.connect(target, timeout_s=ASK_S, read_only=True) as connection:
            identifier = postgres.system_identifier(connection)
    except StoreError as error:
        return f"{error.detail or error.what}".splitlines()[0]
    try:
        ours = facts.postgres().system_identifier
    except StoreError:
        return f"the project's is {stack.address}"
    if (identifier, target.database) == (ours, stack.database):
        return None
    where = "the same server, another database" if identifier == ours else "another server"
    return f"{where}; the project's is {stack.address}"


def other_tables(facts: Facts, target: DynamoTarget) -> str | None:
    """None when `target` shows the project's tables: the same ones, by number and time of creation."""
    from devenv.stores.dynamodb.client import Dynamo, read_only

    stack = facts.context.targets.dynamodb
    try:
        ours = {name: table for name, table in facts.described().items() if table is not None}
        with Dynamo(read_only(target), timeout=ASK_S) as dynamodb:
            for name, table in ours.items():
                seen = dynamodb.call("DescribeTable", {"TableName": name})["Table"]
                if any(seen.get(key) != table.get(key) for key in ("TableArn", "TableId", "CreationDateTime")):
                    return f"its table {name} is not the project's; the project's DynamoDB is {stack.endpoint}"
    except StoreError as error:
        return error.detail or error.what
    return None if ours else f"the project's is {stack.endpoint}"


def addresses_of(facts: DoctorFacts, store: str) -> str:
    """`this shell: DATABASE_URL, PGHOST; the application: …`: the variables of a store that were looked at."""
    told = []
    for source in sources(facts):
        environ = source.environ
        if store == "postgres":
            names = [*postgres_names(environ), *(name for parts in postgres_parts(environ) for name in parts.names)]
            names += [name for name in PG_PLACE if environ.get(name)]
        else:
            own = (ENDPOINT, GLOBAL_ENDPOINT, IGNORE)
            names = [*(name for name in own if environ.get(name)), *dynamodb_names(environ, own)]
            names += [name for given, _ in dynamodb_parts(environ) for name in given.split(", ")]
        told.append(f"{source.who}: {', '.join(dict.fromkeys(names)) or 'no variable'}")
    return "; ".join(told)


def judge(facts: DoctorFacts, find: Callable[[VariableSource], Iterable[Diversion]], good: str) -> Outcome:
    """One check over all sources: what `find` gives for each, as one outcome."""
    asked = sources(facts)
    found = [diversion for source in asked for diversion in find(source)]
    if not found and (why := unseen(facts)):
        return unverified(f"{why}; in this shell: {good}")
    if not found:
        absent = facts.context.settings.backend is not None and len(asked) == 1
        return passed(good + ("; the application is not running" if absent else ""))
    theirs = [diversion for diversion in found if diversion.source.required]
    declared = mend_declared(theirs, facts.context.settings, facts.context.expected_application)
    return failed(
        (diversion.evidence for diversion in found),
        cause="devenv.toml sets it to this value" if declared else cause(facts, found),
        fix=declared
        or (STRAIGHT if all(is_proxy(each.variable) for each in found) else RESTART if theirs else CLEAN_SHELL),
        subjects=(diversion.variable for diversion in found),
    )


def remedy_for(found: Iterable[Diversion], theirs: Iterable[Diversion]) -> Fix:
    """Return what to do about variables that devenv.toml does not give."""
    if all(is_proxy(diversion.variable) for diversion in found):
        return STRAIGHT
    return RESTART if theirs else CLEAN_SHELL


def cause(facts: DoctorFacts, found: Iterable[Diversion]) -> str | None:
    """Return why the application has other variables; None where only a shell has, or nothing tells."""
    newer = facts.context.settings_newer
    if newer is None or not any(diversion.source.required for diversion in found):
        return None
    if newer:
        return "the settings were edited after the application was started; it still uses the old ones"
    return "the application was started with other variables, or loads them from a file of its own"


def run_endpoint(facts: DoctorFacts) -> Outcome:
    """AWS_ENDPOINT_URL_DYNAMODB, or what stands in for it."""
    stack, lookup = facts.context.targets.dynamodb, look_up(facts)
    good = f"{stack.endpoint} ({addresses_of(facts, 'dynamodb')})"
    return judge(facts, lambda source: find_endpoint(source, stack, lookup), good)


def run_global_endpoint(facts: DoctorFacts) -> Outcome:
    """AWS_ENDPOINT_URL, which is for every AWS service."""
    stack, lookup = facts.context.targets.dynamodb, look_up(facts)
    return judge(facts, lambda source: find_global_endpoint(source, stack, lookup), "not set to DynamoDB Local")


def run_account(facts: DoctorFacts) -> Outcome:
    """Region, credentials and profile."""
    stack, lookup = facts.context.targets.dynamodb, look_up(facts)

    def find(source: VariableSource) -> Iterator[Diversion]:
        # A shell that is sent elsewhere altogether is the endpoint check's finding; its region is of no interest.
        if source.required or not any(find_endpoint(source, stack, lookup)):
            yield from find_account(source, stack, read_profiles)

    return judge(facts, find, f"{stack.region}, the project's key")


def run_database(facts: DoctorFacts) -> Outcome:
    """DATABASE_URL, CONNECTION_URL, PG*, and every other variable of the project that holds a Postgres URL."""
    context, lookup = facts.context, look_up(facts)
    expected = {**context.environment, **(context.expected_application or {})}
    stack = context.targets.postgres
    good = f"{stack.address} ({addresses_of(facts, 'postgres')})"
    return judge(facts, lambda source: find_database(source, stack, expected, lookup), good)


def run_tables(facts: DoctorFacts) -> Outcome:
    """Variables that name DynamoDB tables: in the settings, in the shell, in the application."""
    context = facts.context
    tables = facts.table_names
    if not tables:
        return unneeded("no tables are declared")
    declared = VariableSource("devenv.toml [env]", own_variables(facts), required=False)
    misspelt = list(find_misspelt(declared, tables))
    if misspelt:
        fix = Fix("correct the name in devenv.toml, then restart the application", "devenv restart backend")
        return failed((each.evidence for each in misspelt), fix=fix, subjects=(each.variable for each in misspelt))
    expected = {**context.environment, **(context.expected_application or {})}
    return judge(facts, lambda source: find_tables(source, expected, tables), ", ".join(tables))


def own_variables(facts: DoctorFacts) -> dict[str, str]:
    """The project's own variables, by `[env]` and `[backend] env`, with the values that they have now."""
    settings = facts.context.settings
    names = {*settings.env, *(settings.backend.env if settings.backend else ())}
    expected = {**facts.context.environment, **(facts.context.expected_application or {})}
    return {name: expected[name] for name in sorted(names) if name in expected}


def run_stale(facts: DoctorFacts) -> Outcome:
    """The project's other variables: the process against what it would be started with now."""
    context = facts.context
    own = own_variables(facts)
    tables = [name for name, value in own.items() if value in facts.table_names]

    def find(source: VariableSource) -> Iterable[Diversion]:
        return find_stale(source, own, tables) if source.required else ()

    if why := unseen(facts):
        return unverified(why)
    if context.application is None:
        return unneeded("the project's application is not running")
    return judge(facts, find, f"{number_of(len(own), 'variable matches', 'variables match')} the settings")


CHECKS = (
    Check(
        code="ENV001",
        name="which-devenv",
        group="environment",
        title="`devenv` in this shell is this devenv",
        run=run_which,
        explain="""\
Two other programs are called `devenv`: the Nix-based tool of devenv.sh, and the Python package sentry-devenv.
If one of them comes first on PATH, the commands that this tool prints run that program instead. sentry-devenv in
the same Python environment also overwrites files of this package.

Common causes: both are installed; the order of PATH decides.
Fix: put this one's folder first on PATH, or call it by its full path (`python -m devenv` in its environment).
Install this one with pipx or uv, in its own environment (`devenv-stores`). The other tool's variables
(DEVENV_ROOT, DEVENV_STATE, DEVENV_DOTFILE, DEVENV_PROFILE, DEVENV_RUNTIME) are never read or set here.""",
    ),
    Check(
        code="ENV002",
        name="dynamodb-endpoint",
        group="environment",
        title="the variables in use name the project's DynamoDB endpoint",
        run=run_endpoint,
        explain="""\
The AWS SDK uses AWS_ENDPOINT_URL_DYNAMODB, else AWS_ENDPOINT_URL, else AWS itself. Without either variable the
application uses AWS: the list is empty, or a table is "not found", while the local tables are full. A wrong port or
host gives "connection refused"; `localhost` inside a container is the container itself, and a service's name is
known to containers only. An endpoint without a port, or with a path, is refused by the SDK or unreachable.

Common causes: the variable was set in another terminal, in a file that is not loaded, or the port changed.
Fix: start the program by `devenv run -- …`, or `eval "$(devenv env)"` first; `devenv up` gives the application the
right one. Addresses are compared by their target: localhost, 127.0.0.1 and ::1 are the same. Of the application, the
variables at its start are looked at: a file that its code loads may replace them (devenv trace shows its calls).""",
    ),
    Check(
        code="ENV003",
        name="global-endpoint",
        group="environment",
        title="AWS_ENDPOINT_URL does not send other AWS services to DynamoDB",
        run=run_global_endpoint,
        explain="""\
AWS_ENDPOINT_URL applies to all AWS services. If it names DynamoDB Local, calls to Cognito, S3 and all others go
there too and fail with errors about unknown operations.

Fix: use AWS_ENDPOINT_URL_DYNAMODB instead, and unset AWS_ENDPOINT_URL.""",
    ),
    Check(
        code="ENV004",
        name="aws-account",
        group="environment",
        title="region and credentials are those the tables were created with",
        run=run_account,
        explain="""\
The SDK needs a region and a key even for DynamoDB Local: without them it stops with NoRegionError or
NoCredentialsError. AWS keeps tables apart by region and account; DynamoDB Local without -sharedDb does so by region
and key. A table that was created with one key is "gone" for a program with another key.

Common causes: AWS_PROFILE or a region for other work is exported in the shell's start file.
Fix: start programs by `devenv run -- …`; remove AWS_PROFILE from the application's environment.""",
    ),
    Check(
        code="ENV005",
        name="database-url",
        group="environment",
        title="every Postgres variable in use points to the project's database",
        run=run_database,
        explain="""\
DATABASE_URL, CONNECTION_URL and the PG* variables can each name a different database. One program then writes to
one database and another reads the other: nothing fails, and the application is empty.

Common causes: there are two settings, and only one of them was changed. Fix: take all of them from `devenv env`.
They are compared by their target: the server reports its system identifier, so another name or port of the same
database is not a finding. Of the application, the variables at its start are looked at, as in ENV002.""",
    ),
    Check(
        code="ENV006",
        name="table-variables",
        group="environment",
        title="variables for table names hold names of the project's tables",
        run=run_tables,
        explain="""\
The application gets a table's name from a variable ([env] in devenv.toml). If it is unset, requests fail with
"TableName None" or a validation error. If it is misspelt, or different in one script, they fail with
ResourceNotFoundException, or one program writes to a table that no other program reads.

Fix: correct the name in devenv.toml and start the application again.""",
    ),
    Check(
        code="ENV007",
        name="stale-process",
        group="environment",
        title="the application runs with the current settings",
        run=run_stale,
        explain="""\
A process keeps the variables that it was started with. An edit of devenv.toml, or of a file that the application
reads only at its start, takes effect when it is restarted.

Fix: devenv restart backend.""",
    ),
)
