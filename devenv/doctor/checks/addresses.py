"""Variables of a process that hold a store's address, whatever their names, and other settings that divert it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

from devenv.core.late import late

# jdbc:postgresql://…, postgresql+psycopg://…, postgis://…: the scheme of a Postgres address.
SCHEME: Final = late(r"(?:jdbc:)?(?:postgres(?:ql)?(?:\+\w+)?|postgis|pgsql)", re.IGNORECASE)
# `host=… dbname=…`, as libpq and Npgsql write it.
WORDS: Final = late(r"(?i)\b(?:host|server)\s*=\s*[^;\s]+.*\b(?:dbname|database)\s*=")
# DB_HOST, POSTGRES_HOST, APP_DATABASE_HOST: the parts of one address.
PART: Final = late(r"((?:\w+_)?(?:DB|DATABASE|POSTGRES|POSTGRESQL|RDS))_?(HOST|HOSTNAME|PORT)")
PARTS: Final = {
    "host": ("HOST", "HOSTNAME"),
    "port": ("PORT",),
    "user": ("USER", "USERNAME"),
    "password": ("PASSWORD", "PASS"),
    "database": ("NAME", "DB", "DATABASE"),
}
ENGINE_NAMES: Final = ("ENGINE", "CONNECTION", "TYPE", "DRIVER", "DIALECT")
# Names that say that another place is meant.
ELSEWHERE: Final = late(r"(?:.*_)?(?:PROD|PRODUCTION|STAGING|LIVE|REMOTE|BACKUP)(?:_.*)?", re.IGNORECASE)
OTHER_PORTS: Final = frozenset(["3306", "1433", "1521", "27017", "6379", "8000"])
OTHER_ENGINES: Final = ("mysql", "maria", "mssql", "sqlserver", "oracle", "mongo", "sqlite")
DYNAMO_NAME: Final = late(r"(?:DYNAMO|DDB)", re.IGNORECASE)
# DYNAMODB_HOST, DDB_ENDPOINT: an address of DynamoDB without a scheme; its port may be in a variable of its own.
DYNAMO_PART: Final = late(r"((?:\w+_)?(?:DYNAMO|DYNAMODB|DYNAMO_DB|DDB))_?(HOST|HOSTNAME|ADDRESS|ADDR|ENDPOINT|URL)")
BARE_HOST: Final = late(r"[A-Za-z0-9](?:[\w.-]*\w)?")
PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class Parts(msgspec.Struct, frozen=True):
    """An address in several variables: `names` are those that give it, `given` part -> value."""

    names: tuple[str, ...]
    given: Mapping[str, str]


def unquoted(text: str) -> str | None:
    """The value inside quotes that a file of variables was read with; None where there are none."""
    found = re.fullmatch(r"""\s*(["'])(.*)\1\s*""", text)
    return found[2] if found else None


def is_postgres_address(text: str) -> bool:
    """Return True if a value is a Postgres URL or connection string, by its form."""
    head, mark, _ = (unquoted(text) or text).strip().partition("://")
    return bool(mark and SCHEME.fullmatch(head)) or (not mark and WORDS.search(text) is not None)


def postgres_names(environ: Mapping[str, str]) -> list[str]:
    """The variables that hold a Postgres address, by value; without those whose name says that it is another one."""
    return [name for name, value in environ.items() if is_meant(name) and is_postgres_address(value)]


def is_meant(name: str) -> bool:
    """Return True if a variable may be meant for the project: it is none of devenv's own, and not called PROD_…."""
    return not name.startswith("DEVENV_") and ELSEWHERE.fullmatch(name) is None


def postgres_parts(environ: Mapping[str, str]) -> Iterator[Parts]:
    """Addresses of Postgres in parts (`DB_HOST`, `DB_PORT`, `DB_NAME`), one for each prefix that has a host."""
    prefixes = {found[1]: None for name in environ if is_meant(name) and (found := PART.fullmatch(name))}
    for prefix in prefixes:
        names = {part: first_given(environ, prefix, ends) for part, ends in PARTS.items()}
        engine = " ".join(environ.get(f"{prefix}_{end}", "") for end in ENGINE_NAMES)
        port = environ.get(names["port"], "")
        if not names["host"] or port in OTHER_PORTS or any(word in engine.lower() for word in OTHER_ENGINES):
            continue
        if is_postgres_address(environ[names["host"]]) or "://" in environ[names["host"]]:
            continue
        given = {part: environ[name] for part, name in names.items() if name}
        yield Parts(tuple(names[part] for part in ("host", "port", "database") if names[part]), given)


def first_given(environ: Mapping[str, str], prefix: str, ends: Iterable[str]) -> str:
    """The first variable of the prefix with one of the endings that has a value; empty when none has."""
    names = (f"{prefix}{joint}{end}" for end in ends for joint in ("_", ""))
    return next((name for name in names if environ.get(name)), "")


def dynamodb_names(environ: Mapping[str, str], known: tuple[str, ...]) -> list[str]:
    """The variables, beside the SDK's own (`known`), that hold an endpoint of DynamoDB: by name, with a URL in it."""
    return [
        name
        for name, value in environ.items()
        if name not in known and is_meant(name) and DYNAMO_NAME.search(name) and re.match(r"""["']?https?://""", value)
    ]


def dynamodb_parts(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(variables, `host` or `host:port`) of every address of DynamoDB that is written without a scheme.

    A value that is no host is left out, and so is one without a port in a variable that is not called HOST.
    """
    for name, value in environ.items():
        found = DYNAMO_PART.fullmatch(name) if is_meant(name) else None
        host, _, port = value.strip().partition(":")
        if found is None or BARE_HOST.fullmatch(host) is None or (port and not port.isdigit()):
            continue
        beside = first_given(environ, found[1], ("PORT",))
        if port or beside:
            yield (name if port else f"{name}, {beside}"), f"{host}:{port or environ[beside]}"
        elif found[2].startswith("HOST"):
            yield name, host


def proxy_of(environ: Mapping[str, str], endpoint: str) -> tuple[str, str] | None:
    """(variable, proxy) through which a process sends requests to `endpoint`; None: straight there."""
    url = urlsplit(endpoint)
    given = {name.lower().removesuffix("_proxy"): (name, value) for name, value in environ.items() if is_proxy(name)}
    # The lower-case form is the one that counts where both are given.
    given |= {name.removesuffix("_proxy"): (name, environ[name]) for name in environ if name.endswith("_proxy")}
    found = given.get(url.scheme) or given.get("all")
    if found is None or not found[1]:
        return None
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

    without = given.get("no", ("", ""))[1]
    return None if proxy_bypass_environment(url.netloc, {"no": without}) else found


def is_proxy(name: str) -> bool:
    """Return True if a variable says something about proxies."""
    return name.upper().endswith("_PROXY")


def configured_endpoint(text: str, profile: str | None) -> str | None:
    """The endpoint for DynamoDB that an AWS configuration file gives to `profile` (default: `default`).

    `services` sections come before the profile's own `endpoint_url`.
    """
    import configparser

    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    wanted = {f"profile {profile}", profile} if profile and profile != "default" else {"default", "profile default"}
    section = next((name for name in parser.sections() if " ".join(name.split()) in wanted), None)
    if section is None:
        return None
    if parser.get(section, "ignore_configured_endpoint_urls", fallback="").lower() == "true":
        return None
    services = parser.get(section, "services", fallback="")
    if services and parser.has_option(f"services {services}", "dynamodb"):
        nested = parser.get(f"services {services}", "dynamodb")
        if found := re.search(r"endpoint_url\s*=\s*(\S+)", nested):
            return found[1]
    return parser.get(section, "endpoint_url", fallback=None)
