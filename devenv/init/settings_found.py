"""Variables, addresses and commands found in a folder, as devenv.toml says them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from devenv.config.masking import is_secret_name, is_strong, mask_text, mask_url, split_address
from devenv.init.survey import Survey

# What `devenv env` gives by itself.
GIVEN: Final = frozenset(
    [
        *("DATABASE_URL", "CONNECTION_URL", "PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "BACKEND_URL"),
        *("AWS_ENDPOINT_URL_DYNAMODB", "AWS_REGION", "AWS_DEFAULT_REGION"),
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ]
)
SECRETIVE: Final = re.compile(r"pass|pwd|credential|salt|dsn|key$", re.IGNORECASE)
# What nobody would write as a word: a long run of letters and digits.
RANDOM: Final = re.compile(r"(?=.*\d)(?=.*[A-Za-z])(?:[A-Fa-f0-9]{24,}|[A-Za-z0-9+/=_]{20,})")
MODULE_SERVER: Final = ("flask", "uvicorn", "gunicorn", "hypercorn", "waitress", "http.server")


def database_of(survey: Survey) -> tuple[str | None, str | None]:
    """Database and user, from the compose file, or from a Postgres URL among the variables."""
    postgres = survey.compose.postgres if survey.compose else None
    given = postgres.environment if postgres else {}
    user, database = given.get("POSTGRES_USER"), given.get("POSTGRES_DB")
    for value in survey.variables.values():
        if re.match(r"postgres(ql)?(\+\w+)?://", value):
            url = split_address(value)
            if url and not (url.port and not url.port.isdigit()):
                database = database or url.database or None
                user = user or url.user or None
    database = database or next(iter(survey.databases), None)
    return (database or "")[:63] or None, (user or "")[:63] or None


def is_secret(name: str, value: str) -> bool:
    """Return True if a variable holds something that belongs into no file of a project."""
    named = is_secret_name(name) or SECRETIVE.search(name)
    return bool(named or mask_text(mask_url(value)) != value or (RANDOM.fullmatch(value) and is_strong(value)))


def store_url(value: str, survey: Survey) -> str | None:
    """The placeholder for a variable that holds a store's address; None for any other."""
    if re.match(r"postgres(ql)?(\+\w+)?://", value):
        return "{postgres_url}"
    dynamodb = survey.compose.dynamodb if survey.compose else None
    host = re.match(r"https?://([\w.-]+)(?::(\d+))?/?$", value)
    if host and ("dynamo" in host[1] or (dynamodb and host[1] == dynamodb.name) or host[2] == "8000"):
        return "{dynamodb_url}"
    return None


def local_command(command: Iterable[str], port: int | None) -> list[str]:
    """A container's command as one for this machine: loopback, devenv's port, no reloader, the project's Python."""
    words = [word for word in command if word not in ("--debug", "--reload", "--debugger")]
    if words and re.fullmatch(r"python[\d.]*", words[0]):
        words[0] = "{python}"
    elif words and words[0] in MODULE_SERVER:
        words[:1] = ["{python}", "-m", words[0]]
    if port is not None:
        words = [re.sub(rf"(?<!\d){port}(?!\d)", "{port}", word) for word in words]
    return [re.sub(r"\b0\.0\.0\.0\b", "127.0.0.1", word) for word in words]
