"""The stores that a process's variables lead to, compared with the project's stores. Pure, given two look-ups.

`devenv doctor` asks this of the user's shell and of the running application, `devenv trace` of the application.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from devenv.config.masking import mask, split_address
from devenv.config.schema import FILE, Settings
from devenv.core.late import late
from devenv.core.model import DynamoTarget, Fix, PostgresTarget
from devenv.core.value import Value
from devenv.doctor.checks.addresses import (
    configured_endpoint,
    dynamodb_names,
    dynamodb_parts,
    is_postgres_address,
    postgres_names,
    postgres_parts,
    proxy_of,
    unquoted,
)

Kind = Literal[
    "unset", "malformed", "wrong_endpoint", "wrong_database", "wrong_region_or_key", "wrong_table", "stale_process"
]
ENDPOINT: Final = "AWS_ENDPOINT_URL_DYNAMODB"
GLOBAL_ENDPOINT: Final = "AWS_ENDPOINT_URL"
IGNORE: Final = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
CONFIG_FILE: Final = "~/.aws/config"
REGIONS: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")
PG_PLACE: Final = ("PGSERVICE", "PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE")
SERVICE_KEYS: Final = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
}
# A table may be called like the database: these name that one.
DATABASE_NAME: Final = late(r"PG\w+|AWS_\w+|(?:\w+_)?(?:DB|DATABASE)(?:_?NAME)?")
PAIR: Final = late(r"(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S*))")
LOOPBACK: Final = frozenset(["127.0.0.1", "::1"])


class VariableSource(Value, frozen=True):
    """One set of variables. `required`: it belongs to a process that must reach the stores, as a shell need not."""

    who: str
    environ: Mapping[str, str]
    required: bool


class Diversion(Value, frozen=True):
    """One variable that sends a process elsewhere. `kind` is a class of the layer `environment`."""

    kind: Kind
    source: VariableSource
    variable: str
    note: str

    @property
    def evidence(self) -> str:
        """The process, the variable, and the mistake."""
        return f"{self.source.who}: {self.variable} {self.note}"


class Lookup(Value, frozen=True):
    """The two questions that only the machine can answer.

    `addresses`: the IP addresses of a host name, () when it has none. `same_postgres` and `same_dynamodb`: None when
    both targets are one and the same, else why not, in words. `configured` is the endpoint for DynamoDB that the AWS
    configuration files give to a process with these variables, `service` what its PGSERVICE stands for.
    """

    addresses: Callable[[str], tuple[str, ...]]
    same_postgres: Callable[[PostgresTarget], str | None]
    same_dynamodb: Callable[[DynamoTarget], str | None]
    configured: Callable[[Mapping[str, str]], str | None] = lambda _: None
    service: Callable[[Mapping[str, str]], Mapping[str, str] | None] = lambda _: None


def mend_declared(found: Iterable[Diversion], settings: Settings, expected: Mapping[str, str] | None) -> Fix | None:
    """Return what to do where devenv.toml itself gives a process the wrong value; None where it does not. Pure.

    `expected`: what the application would be started with now. Where its process has another value, starting it again
    helps.
    """
    own = dict.fromkeys(settings.env, "[env]")
    own |= dict.fromkeys(settings.backend.env if settings.backend else (), "[backend] env")
    wrong = {
        variable: own[variable]
        for diversion in found
        for variable in diversion.variable.split(", ")
        if variable in own and diversion.source.environ.get(variable) == (expected or {}).get(variable)
    }
    if not wrong:
        return None
    places = ", ".join(f"{variable} in {place}" for variable, place in wrong.items())
    return Fix(f"correct {places} of {FILE}, or remove it there, then restart the application", "devenv up")


def find_endpoint(source: VariableSource, stack: DynamoTarget, lookup: Lookup) -> Iterator[Diversion]:
    """Find each setting by which this process would miss the project's DynamoDB.

    The AWS SDK, and every variable that names an endpoint.
    """
    environ = source.environ
    for name in dynamodb_names(environ, (ENDPOINT, GLOBAL_ENDPOINT)):
        yield from judge_endpoint(source, name, environ[name], stack, lookup)
    for name, place in dynamodb_parts(environ):
        port = "" if ":" in place else f":{default_port(urlsplit(stack.endpoint))}"
        yield from judge_endpoint(source, name, f"http://{place}{port}", stack, lookup)
    name, text = effective_endpoint(environ)
    if name == IGNORE:
        if source.required or environ.get(ENDPOINT) or environ.get(GLOBAL_ENDPOINT):
            note = f"is true: the AWS SDK ignores {ENDPOINT} and uses DynamoDB in AWS"
            yield Diversion("unset", source, IGNORE, note)
        return
    if text is None and (text := lookup.configured(environ)):
        name = f"{CONFIG_FILE} endpoint_url"
        # A shell that is not set up for DynamoDB is left alone.
        if not source.required:
            return
    if text is None:
        if source.required:
            yield Diversion("unset", source, ENDPOINT, "is not set: the AWS SDK uses DynamoDB in AWS")
        return
    wrong = list(judge_endpoint(source, name, text, stack, lookup))
    yield from wrong
    if not wrong and (proxy := proxy_of(environ, text)):
        variable, address = proxy
        host = urlsplit(text).hostname
        note = f"is {mask('', address)}: requests to {text} go there, not to DynamoDB Local; set NO_PROXY={host}"
        yield Diversion("wrong_endpoint", source, variable, note)


def judge_endpoint(
    source: VariableSource, name: str, text: str, stack: DynamoTarget, lookup: Lookup
) -> Iterator[Diversion]:
    """Return True if the endpoint in one variable is the project's."""
    if problem := malformed_endpoint(text):
        yield Diversion("malformed", source, name, f"is {text!r}: {problem}")
        return
    url = urlsplit(text)
    ours = urlsplit(stack.endpoint)
    reason = other_place(url, default_port(url), ours, default_port(ours), lookup)
    if reason and is_this_machine(url.hostname or "", lookup):
        reason = lookup.same_dynamodb(replace(stack, endpoint=text))
    if reason:
        yield Diversion("wrong_endpoint", source, name, f"is {text}: {reason}; the project's is {stack.endpoint}")


def effective_endpoint(environ: Mapping[str, str]) -> tuple[str, str | None]:
    """The variable that decides where DynamoDB calls go, and its value (None: the cloud)."""
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return IGNORE, None
    for name in (ENDPOINT, GLOBAL_ENDPOINT):
        if environ.get(name):
            return name, environ[name]
    return ENDPOINT, None


def find_global_endpoint(source: VariableSource, stack: DynamoTarget, lookup: Lookup) -> Iterator[Diversion]:
    """Return True if AWS_ENDPOINT_URL sends every other AWS service to the project's DynamoDB as well."""
    text = source.environ.get(GLOBAL_ENDPOINT)
    if not text or malformed_endpoint(text):
        return
    url, ours = urlsplit(text), urlsplit(stack.endpoint)
    if other_place(url, default_port(url), ours, default_port(ours), lookup) is None:
        yield Diversion(
            "wrong_endpoint", source, GLOBAL_ENDPOINT, "sends every AWS service, Cognito and S3 too, to DynamoDB Local"
        )


def malformed_endpoint(text: str) -> str | None:
    """Return what is wrong with the form of an endpoint URL; None when nothing is."""
    try:
        url = urlsplit(text.strip())
        port = url.port
    except ValueError:
        # The parser's own words quote a part of it, perhaps of a password.
        return "it is not a URL, or its port is not a number"
    if text != text.strip():
        return "blanks around it"
    if url.scheme not in ("http", "https"):
        return "it must begin with http:// or https://"
    if not url.hostname:
        return "it names no host"
    if url.path not in ("", "/") or url.query or url.fragment:
        return "nothing may follow the port"
    if port is None and ("." not in url.hostname or is_address(url.hostname)):
        return "it has no port"
    return None


def find_account(
    source: VariableSource, stack: DynamoTarget, profiles: Callable[[Mapping[str, str]], set[str]]
) -> Iterator[Diversion]:
    """Return True if region and credentials are there, and those that the project's tables were made with.

    A shell that is not set up for DynamoDB at all is left alone: `devenv run` sets these for what it starts.
    """
    environ = source.environ
    if not source.required and effective_endpoint(environ)[1] is None:
        return
    given = [name for name in REGIONS if environ.get(name)]
    if not given:
        note = "is not set: the AWS SDK raises NoRegionError, or takes the region of a profile"
        yield Diversion("unset", source, "AWS_DEFAULT_REGION", note)
    for name in given:
        if environ[name] != stack.region:
            yield Diversion(
                "wrong_region_or_key", source, name, f"is {environ[name]}, the project's tables are in {stack.region}"
            )
    key, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    profile = environ.get("AWS_PROFILE")
    if profile and profile not in profiles(environ):
        yield Diversion("wrong_region_or_key", source, "AWS_PROFILE", f"is {profile}, which is not configured here")
    if not key and not secret:
        if profile:
            note = f"is {profile}, and provides other credentials: DynamoDB Local separates tables by key"
            yield Diversion("wrong_region_or_key", source, "AWS_PROFILE", note)
        else:
            note = "is not set: the AWS SDK raises NoCredentialsError, or takes a profile's key"
            yield Diversion("unset", source, "AWS_ACCESS_KEY_ID", note)
    elif not key or not secret:
        name = "AWS_SECRET_ACCESS_KEY" if key else "AWS_ACCESS_KEY_ID"
        yield Diversion(
            "unset", source, name, "is not set, but the other half of the key pair is: the credentials are incomplete"
        )
    elif key != stack.access_key:
        note = "is not the project's key: DynamoDB Local may separate tables by key"
        yield Diversion("wrong_region_or_key", source, "AWS_ACCESS_KEY_ID", note)


def read_configured(environ: Mapping[str, str]) -> str | None:
    """The endpoint for DynamoDB that the AWS configuration file gives to a process with these variables."""
    file = environ.get("AWS_CONFIG_FILE") or Path(environ.get("HOME") or Path.home()) / ".aws" / "config"
    try:
        text = Path(file).expanduser().read_text("utf-8", "replace")
    except OSError:
        return None
    return configured_endpoint(text, environ.get("AWS_PROFILE"))


def read_service(environ: Mapping[str, str]) -> dict[str, str] | None:
    """The PG* variables that stand for PGSERVICE, which outranks the real ones; None when no file defines it."""
    from configparser import Error, RawConfigParser

    files = (
        environ.get("PGSERVICEFILE") or Path(environ.get("HOME") or Path.home()) / ".pg_service.conf",
        Path(environ.get("PGSYSCONFDIR") or "/etc/postgresql-common") / "pg_service.conf",
    )
    for file in files:
        parser = RawConfigParser(strict=False, allow_no_value=True)
        try:
            parser.read_string(Path(file).expanduser().read_text("utf-8", "replace"))
        except (OSError, Error):
            continue
        if parser.has_section(environ["PGSERVICE"]):
            given = dict(parser.items(environ["PGSERVICE"]))
            return {name: given[key] for key, name in SERVICE_KEYS.items() if given.get(key)}
    return None


def read_profiles(environ: Mapping[str, str]) -> set[str]:
    """The names of the AWS profiles that a process with these variables finds."""
    home = Path(environ.get("HOME") or Path.home())
    files = (
        environ.get("AWS_CONFIG_FILE") or home / ".aws" / "config",
        environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials",
    )
    found: set[str] = set()
    for file in files:
        try:
            text = Path(file).expanduser().read_text("utf-8", "replace")
        except OSError:
            continue
        found.update(re.findall(r"^\s*\[\s*(?:profile\s+)?([^\]]+?)\s*\]", text, re.MULTILINE))
    return found


def find_database(
    source: VariableSource, stack: PostgresTarget, expected: Mapping[str, str], lookup: Lookup
) -> Iterator[Diversion]:
    """Return True if every connection setting of this process leads to the project's database.

    Every variable that holds a Postgres address is judged, whatever its name; those that devenv gives (`expected`) also
    when they hold something else; PG*; and addresses in parts (`DB_HOST`, `DB_PORT`).
    """
    urls = [name for name, value in expected.items() if is_postgres_url(value)]
    given = [name for name in dict.fromkeys([*urls, *postgres_names(source.environ)]) if source.environ.get(name)]
    parts = list(postgres_parts(source.environ))
    place = any(source.environ.get(name) for name in PG_PLACE)
    if source.required and not given and not place and not parts:
        name = urls[0] if urls else "PGHOST"
        yield Diversion("unset", source, name, "is not set, and neither is any other Postgres setting")
    for name in given:
        text = source.environ[name]
        target = parse_database(text, stack)
        if unquoted(text):
            yield Diversion("malformed", source, name, "has quotes around its value, which drivers do not remove")
        elif isinstance(target, str):
            yield Diversion("malformed", source, name, f"is not a Postgres URL: {target}")
        elif reason := other_database(target, stack, lookup):
            yield Diversion("wrong_database", source, name, f"leads to {target.address}: {reason}")
    for each in parts:
        get = each.given.get
        target = from_parts(
            get("host"), get("port"), get("user"), get("password"), get("database") or stack.database, stack
        )
        names = ", ".join(each.names)
        if isinstance(target, str):
            yield Diversion("malformed", source, names, target)
        elif reason := other_database(target, stack, lookup):
            yield Diversion("wrong_database", source, names, f"leads to {target.address}: {reason}")
    yield from find_variables(source, stack, lookup)


def find_variables(source: VariableSource, stack: PostgresTarget, lookup: Lookup) -> Iterator[Diversion]:
    """Judge PG*, as libpq reads them: what PGSERVICE stands for comes first."""
    names = [name for name in PG_PLACE if source.environ.get(name)]
    service = lookup.service(source.environ) if "PGSERVICE" in names else {}
    if service is None:
        note = f"is {source.environ['PGSERVICE']!r}, which no service file defines: libpq does not use PGHOST then"
        yield Diversion("malformed", source, "PGSERVICE", note)
    elif names:
        target = parse_variables({**source.environ, **service}, stack)
        if isinstance(target, str):
            yield Diversion("malformed", source, "PGPORT", target)
        elif reason := other_database(target, stack, lookup):
            yield Diversion("wrong_database", source, ", ".join(names), f"leads to {target.address}: {reason}")


def is_postgres_url(text: str) -> bool:
    """Return True if a value has the scheme of a Postgres URL."""
    return "://" in text and is_postgres_address(text)


def parse_database(text: str, stack: PostgresTarget) -> PostgresTarget | str:
    """The target of a URL or of a `key=value` connection string; what is wrong with it, in words, otherwise."""
    text = text.strip().removeprefix("jdbc:")
    if "://" not in text:
        pairs = {key: quoted or bare for key, quoted, bare in PAIR.findall(text)}
        if not pairs:
            return "it must look like postgresql://user:password@host:5432/database"
        return from_parts(
            pairs.get("host"), pairs.get("port"), pairs.get("user"), pairs.get("password"), pairs.get("dbname"), stack
        )
    if not is_postgres_url(text):
        return f"its scheme is {text.partition('://')[0]!r}"
    # Leniently, and without a word of it in any error: a password may hold what ends something in a URL.
    url = split_address(text)
    if url is None or url.advice:
        return url.advice if url else "it is not a URL"
    query = {name: unquote(value) for name, value in (pair.partition("=")[::2] for pair in url.query.split("&"))}
    get = query.get
    user, password = url.user or get("user"), url.password or get("password")
    return from_parts(
        url.host or get("host"), url.port or get("port"), user, password, url.database or get("dbname"), stack
    )


def parse_variables(environ: Mapping[str, str], stack: PostgresTarget) -> PostgresTarget | str:
    """The target that libpq reads from PG* variables."""
    get = environ.get
    host = get("PGHOSTADDR") or get("PGHOST")
    return from_parts(host, get("PGPORT"), get("PGUSER"), get("PGPASSWORD"), get("PGDATABASE"), stack)


def from_parts(
    host: str | None,
    port: str | None,
    user: str | None,
    password: str | None,
    database: str | None,
    stack: PostgresTarget,
) -> PostgresTarget | str:
    """A target with libpq's defaults; the user and password that are not given are ours."""
    if port and not (port.isdigit() and 0 < int(port) < 65536):
        return "its port is not a number of 1 to 65535"
    name = user or stack.user
    return PostgresTarget(host or "localhost", int(port or 5432), name, password or stack.password, database or name)


def other_database(target: PostgresTarget, stack: PostgresTarget, lookup: Lookup) -> str | None:
    """Why a target is not the project's database; None when it is. Text is not compared: places are.

    On this machine another address may be a way to the same server, so it is asked who it is.
    """
    place = SplitResult("", target.host, "", "", ""), target.port
    reason = other_place(*place, SplitResult("", stack.host, "", "", ""), stack.port, lookup)
    if reason is None and target.database != stack.database:
        return f"the project's database is {stack.database}"
    login = (target.user, target.password) == (stack.user, stack.password)
    # A folder names a socket: which server listens there, only the server can tell.
    if reason is None and login and not target.host.startswith("/"):
        return None
    if target.host.startswith("/") or is_this_machine(target.host, lookup):
        return lookup.same_postgres(target)
    return f"{reason}; the project's is {stack.address}"


def other_place(url: SplitResult, port: int, ours: SplitResult, our_port: int, lookup: Lookup) -> str | None:
    """Why host and port are not ours; None when they are. Every name of this machine's loopback is one place."""
    host, our_host = url.hostname or url.netloc, ours.hostname or ours.netloc
    addresses = places(host, lookup)
    if not addresses:
        return f"the host name {host} is unknown on this machine (a container's name?)"
    if not addresses & places(our_host, lookup):
        return f"{host} is another machine"
    return None if port == our_port else f"port {port} is not {our_port}"


def places(host: str, lookup: Lookup) -> set[str]:
    """The addresses of a host; those of this machine's loopback are all one."""
    found = {host} if is_address(host) else set(lookup.addresses(host))
    return {"loopback" if a in LOOPBACK or a.startswith("127.") or a in ("0.0.0.0", "::") else a for a in found}  # noqa: S104


def is_this_machine(host: str, lookup: Lookup) -> bool:
    """Return True if a host is this machine, by loopback."""
    return "loopback" in places(host, lookup)


def is_address(host: str) -> bool:
    """Return True if a host is written as an IP address."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def default_port(url: SplitResult) -> int:
    """A URL's port, or its scheme's."""
    return url.port or {"https": 443}.get(url.scheme, 80)


def find_tables(source: VariableSource, expected: Mapping[str, str], tables: Iterable[str]) -> Iterator[Diversion]:
    """Return True if the variables that name a table name the right one."""
    names = set(tables)
    for variable, table in expected.items():
        if table not in names or DATABASE_NAME.fullmatch(variable):
            continue
        value = source.environ.get(variable)
        if not value:
            if source.required:
                yield Diversion("unset", source, variable, f"is not set; it should be {table}")
        elif value != table:
            note = f"is {value!r}; the project's table is {table!r}"
            yield Diversion("wrong_table", source, variable, note)


def find_misspelt(source: VariableSource, tables: Iterable[str]) -> Iterator[Diversion]:
    """Variables of `[env]` that seem to name a table that nobody declares."""
    names = sorted(tables)
    for variable, value in source.environ.items():
        words = set(variable.upper().split("_"))
        about_table = "TABLE" in words and not words.isdisjoint(["DDB", "DYNAMO", "DYNAMODB"])
        # A variable that is called so is meant to name one, however short the name is.
        near = difflib.get_close_matches(value, names, n=1, cutoff=0.8 if "TABLE" in words else 0.9)
        if value and value not in names and names and (near or about_table):
            hint = f"; did you mean {near[0]!r}?" if near else f"; declared are {', '.join(names)}"
            yield Diversion("wrong_table", source, variable, f"is {value!r}, and no step creates such a table{hint}")


def find_stale(source: VariableSource, expected: Mapping[str, str], judged: Iterable[str]) -> Iterator[Diversion]:
    """Variables of the project whose value in the process is not what it would be started with now."""
    leave = {*judged, ENDPOINT, GLOBAL_ENDPOINT, *REGIONS, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    for variable, value in expected.items():
        if variable in leave or variable.startswith("PG") or is_postgres_url(value):
            continue
        now = source.environ.get(variable)
        if now is None:
            yield Diversion("stale_process", source, variable, "is not set in the process, but in the current settings")
        elif now != value:
            yield Diversion(
                "stale_process", source, variable, "has a different value in the process than in the current settings"
            )
