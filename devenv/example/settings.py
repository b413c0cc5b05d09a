"""The application's settings: environment variables, and nothing else.

`AWS_ENDPOINT_URL_DYNAMODB`, `AWS_REGION` and the AWS keys are read by boto3 itself.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

REQUIRED = ("DATABASE_URL", "DDB_MESSAGE_TABLE", "AUTH_SECRET")


class SettingsError(Exception):
    """A variable is not set. The text names every one that is missing."""


@dataclass(frozen=True)
class Settings:
    """One Postgres database, one DynamoDB table, the key that tokens are signed with.

    `group_rows`: the transaction that stores a message moves them too, or a function on the table's stream does.
    `list_cache_s`: how long a list of conversations stays in Redis; 0: it is not cached.
    """

    database_url: str = field(repr=False)
    table: str
    auth_secret: str = field(repr=False)
    group_rows: str = "transaction"
    redis_url: str = field(default="", repr=False)
    list_cache_s: int = 0


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from `environ`. SettingsError when a variable is missing or empty."""
    if missing := [name for name in REQUIRED if not environ.get(name)]:
        raise SettingsError(f"not set: {', '.join(missing)}")
    database_url, table, auth_secret = (environ[name] for name in REQUIRED)
    seconds = environ.get("LIST_CACHE_S") or "0"
    if not seconds.isdecimal() or (int(seconds) and not environ.get("REDIS_URL")):
        raise SettingsError("LIST_CACHE_S needs a number of seconds, and REDIS_URL")
    group_rows = environ.get("GROUP_ROWS") or "transaction"
    return Settings(database_url, table, auth_secret, group_rows, environ.get("REDIS_URL") or "", int(seconds))


def read_origins(environ: Mapping[str, str]) -> list[str]:
    """`CORS_ORIGINS`, comma-separated: the web pages that may call the API. None by default."""
    return [origin.strip() for origin in environ.get("CORS_ORIGINS", "").split(",") if origin.strip()]


def read_hosts(environ: Mapping[str, str]) -> list[str]:
    """`ALLOWED_HOSTS`, comma-separated: names beside those of loopback that the API answers to. None by default."""
    return [host.strip() for host in environ.get("ALLOWED_HOSTS", "").split(",") if host.strip()]


@functools.cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return read_settings(os.environ)
