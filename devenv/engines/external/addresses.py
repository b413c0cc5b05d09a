"""Where stores are, as devenv.toml and the environment give it."""

from __future__ import annotations

import socket
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from devenv.config.schema import External as Settings
from devenv.core.errors import UsageError
from devenv.core.model import DynamoTarget, PostgresTarget
from devenv.host.addresses import is_loopback

LOCAL_KEY: Final = "devenvlocal"
CONNECT_S: Final = 1.0
WAYS: Final = "[external] in devenv.toml, or DEVENV_EXTERNAL_POSTGRES and DEVENV_EXTERNAL_DYNAMODB"


def parse_postgres(external: Settings, user: str, database: str) -> PostgresTarget:
    """The Postgres that the settings name. UsageError when they name none, or not as an address."""
    if not external.postgres:
        raise UsageError("engine external needs Postgres's address", hint=f"name it by {WAYS}")
    url = split(external.postgres, ("postgresql", "postgres"), "postgresql://user@127.0.0.1:5432")
    return PostgresTarget(
        host=url.hostname or "",
        port=url.port or 5432,
        user=unquote(url.username or user),
        password=external.password or unquote(url.password or ""),
        database=unquote(url.path.strip("/")) or database,
    )


def parse_dynamodb(external: Settings, region: str) -> DynamoTarget:
    """The DynamoDB that the settings name. UsageError when they name none, or a remote one without keys."""
    if not external.dynamodb:
        raise UsageError("engine external needs DynamoDB's address", hint=f"name it by {WAYS}")
    url = split(external.dynamodb, ("http", "https"), "http://127.0.0.1:8000")
    if url.path.strip("/") or url.username:
        raise UsageError("[external] dynamodb is not an endpoint", hint='write it like "http://127.0.0.1:8000"')
    remote = not is_loopback(url.hostname or "")
    # Only to AWS itself: boto3 then finds the user's own credentials, which no other host gets a signature of.
    is_aws = (url.hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn"))
    if remote and not is_aws and not (external.access_key and external.secret_key):
        raise UsageError(
            f"DynamoDB at {url.netloc} needs keys", hint="set DEVENV_EXTERNAL_ACCESS_KEY and DEVENV_EXTERNAL_SECRET_KEY"
        )
    return DynamoTarget(
        endpoint=f"{url.scheme}://{url.netloc}",
        region=external.region or region,
        access_key=external.access_key or ("" if remote else LOCAL_KEY),
        secret_key=external.secret_key or ("" if remote else LOCAL_KEY),
        token=external.session_token or "",
    )


def split(address: str, schemes: tuple[str, ...], example: str) -> SplitResult:
    """The parts of an address. UsageError (without the address, which may hold a password) when it is none."""
    try:
        url = urlsplit(address)
        valid = url.scheme in schemes and bool(url.hostname) and url.port != 0 and not url.query and not url.fragment
    except ValueError:
        valid = False
    if not valid:
        kind = "postgres" if "postgres" in schemes else "dynamodb"
        raise UsageError(
            f"[external] {kind} is not an address that devenv understands",
            detail="scheme, user, host, port and database, nothing more"
            if kind == "postgres"
            else "scheme, host and port, nothing more",
            hint=f'write it like "{example}"',
        )
    return url


def host_of(endpoint: str) -> str:
    """The host in an endpoint."""
    return urlsplit(endpoint).hostname or ""


def shown_host(host: str) -> str:
    """A host inside an address."""
    return f"[{host}]" if ":" in host else host


def listens(host: str, port: int) -> bool:
    """Return True if something accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=CONNECT_S).close()
    except OSError:
        return False
    return True


def shown(names: list[str] | tuple[str, ...], most: int = 5) -> str:
    """Some names, and how many more."""
    return ", ".join([*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])]) or "none"
