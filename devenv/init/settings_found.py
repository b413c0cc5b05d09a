"""Variables, addresses and commands found in a folder, in the form of devenv.toml. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from devenv.config.masking import is_secret_name, is_strong, mask_text, mask_url, split_address
from devenv.config.variables import is_refused
from devenv.init.dotnet import database_in as npgsql_database
from devenv.init.survey import Survey
from devenv.steps.unset import meaning

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
# A region by another name than the AWS SDKs read: it must be that of `[dynamodb]`.
OWN_REGION: Final = re.compile(r"(?:\w+_)?(?:DYNAMO(?:DB)?|DDB)(?:_\w+)?_REGION")
# LocalStack's one port for all services of AWS, and names of variables with its address.
LOCALSTACK: Final = "4566"
ALL_SERVICES: Final = re.compile(r"AWS|AMAZON|DYNAMO|DDB|LOCALSTACK", re.IGNORECASE)
OTHER_SERVICES: Final = re.compile(
    r"(?:^|_)(?:S3|SQS|SNS|SES|KINESIS|FIREHOSE|LAMBDA|COGNITO|SECRETS?(?:_?MANAGER)?|SSM|KMS|STS|EVENT(?:S|BRIDGE)?"
    r"|STEP_?FUNCTIONS|BUCKET|QUEUE)(?:_|$)",
    re.IGNORECASE,
)
OF_DYNAMODB: Final = re.compile(r"DYNAMO|DDB", re.IGNORECASE)
# Where the SDKs of AWS look for keys in files of the machine.
OF_PROFILE: Final = frozenset(("AWS_PROFILE", "AWS_DEFAULT_PROFILE"))
MODULE_SERVER: Final = ("flask", "uvicorn", "gunicorn", "hypercorn", "waitress", "http.server")
# `POSTGRES_DATABASE=apiary` of an application that puts its address together.
OF_DATABASE: Final = re.compile(r"(?:POSTGRES(?:QL)?|PG)_?(?:DB|DATABASE)(?:_?NAME)?", re.IGNORECASE)
PLAIN_NAME: Final = re.compile(r"[A-Za-z_][\w-]{0,62}")


def database_of(survey: Survey) -> tuple[str | None, str | None]:
    """Database and user, from the compose file, or from a Postgres URL among the variables."""
    postgres = survey.compose.postgres if survey.compose else None
    given = postgres.environment if postgres else {}
    user = given.get("POSTGRES_USER") or given.get("POSTGRESQL_USERNAME")
    database = given.get("POSTGRES_DB") or given.get("POSTGRESQL_DATABASE")
    for value in survey.variables.values():
        if re.match(r"postgres(ql)?(\+\w+)?://", value):
            url = split_address(value)
            if url and not (url.port and not url.port.isdigit()):
                database = database or url.database or None
                user = user or url.user or None
    named = filter(None, map(npgsql_database, survey.variables.values()))
    database = database or next(named, None) or survey.variables.get("PGDATABASE")
    database = database or next(
        (v for n, v in survey.variables.items() if OF_DATABASE.fullmatch(n) and PLAIN_NAME.fullmatch(v)), None
    )
    database = database or next(iter(survey.databases), None)
    user = user or survey.variables.get("PGUSER")
    return (database or "")[:63] or None, (user or "")[:63] or None


def is_secret(name: str, value: str) -> bool:
    """Return True if a variable holds something that belongs into no file of a project."""
    named = is_secret_name(name) or SECRETIVE.search(name)
    return bool(named or mask_text(mask_url(value)) != value or (RANDOM.fullmatch(value) and is_strong(value)))


# A second database, which tools empty: the shadow of migrations, that of tests. It is never devenv's.
# `USER_LOGS_TABLE` holds no user.
OF_TABLE: Final = re.compile(r"(?:^|_)TABLE(?:_?NAME)?$")
SECOND: Final = re.compile(r"(?:^|_)(?:SHADOW|TEST|TESTS|TESTING)(?:_|$)")


def placeholder(name: str, value: str, survey: Survey) -> str | None:
    """The placeholder for a variable that holds a store's address, or a part of it; None for any other."""
    if SECOND.search(name) or OF_TABLE.search(name):
        return None
    if driver := re.match(r"postgres(?:ql)?(\+\w+)?://", value):
        return f"postgresql{driver[1]}://{{postgres_url}}" if driver[1] else "{postgres_url}"
    if npgsql_database(value):
        parts = {"Host": "host", "Port": "port", "Database": "database", "Username": "user", "Password": "password"}
        return ";".join(f"{name}={{postgres_{part}}}" for name, part in parts.items())
    if value.startswith("jdbc:postgresql://"):
        return "jdbc:postgresql://{postgres_host}:{postgres_port}/{postgres_database}"
    dynamodb = survey.compose.dynamodb if survey.compose else None
    host = re.match(r"https?://([\w.-]+)(?::(\d+))?/?$", value)
    port = str(dynamodb.port()) if dynamodb and dynamodb.port() else "8000"
    if host and is_other_service(name):
        return None
    if host and ("dynamo" in host[1] or (dynamodb and host[1] == dynamodb.name) or host[2] in ("8000", port)):
        return "{dynamodb_url}"
    if host and host[2] == LOCALSTACK and ALL_SERVICES.search(name):
        return "{dynamodb_url}"
    if host and not host[2] and meaning(name) == "{dynamodb_host}":
        # Its port is in another variable.
        return f"{value.partition('://')[0]}://{{dynamodb_host}}"
    if host:
        return None
    if OWN_REGION.fullmatch(name):
        return "{region}"
    meant = meaning(name)
    # A host of another store, or a port of something else, only shares a part of the name.
    return meant if meant != "…" and not re.search(r"REDIS|CACHE|MONGO|MYSQL|KAFKA", name) else None


def is_other_service(name: str) -> bool:
    """Return True for a variable that is called after another service of AWS, such as S3_ENDPOINT_URL."""
    return bool(OTHER_SERVICES.search(name)) and not OF_DYNAMODB.search(name)


def kept_out(name: str, value: str, survey: Survey) -> str | None:
    """Why a variable is not in `[env]`, as the end of a sentence that begins with its name; None for any other."""
    if name in OF_PROFILE:
        return "is left out: devenv sets access keys, and a profile of your machine may not exist."
    if asks_localstack(name, value, survey):
        return f"({value}) is left out: it is another service of AWS, and DynamoDB Local serves DynamoDB only."
    return "is left out: it decides which programs run. Set it in your shell." if is_refused(name) else None


def asks_localstack(name: str, value: str, survey: Survey) -> bool:
    """Return True for the address of another service of AWS where LocalStack, or the stand-in for DynamoDB, serves."""
    stand_in = survey.compose.dynamodb if survey.compose else None
    host = re.match(r"https?://([\w.-]+)(?::(\d+))?/?$", value)
    ports = {LOCALSTACK, str(stand_in.port()) if stand_in else LOCALSTACK}
    named = {"localstack", stand_in.name if stand_in else "localstack"}
    return bool(host and is_other_service(name) and (host[1] in named or host[2] in ports))


def local_command(command: Iterable[str], port: int | None) -> list[str]:
    """A container's command as one for this machine: loopback, devenv's port, no reloader, the project's Python."""
    words = [word for word in command if word not in ("--debug", "--reload", "--debugger")]
    if words and re.fullmatch(r"python[\d.]*", words[0]):
        words[0] = "{python}"
    elif words and words[0] in MODULE_SERVER:
        words[:1] = ["{python}", "-m", words[0]]
    if port is None:
        named = re.search(r"(?:--port|-p|--bind|-b)[= ](?:\S*:)?(\d{2,5})(?= |$)", " ".join(words))
        port = int(named[1]) if named else None
    if port is not None:
        words = [re.sub(rf"(?<!\d){port}(?!\d)", "{port}", word) for word in words]
    # A port that no file gives: devenv's.
    words = [
        re.sub(r"\$(?:\{(?:HTTP_|APP_|SERVER_|API_)?PORT\}|(?:HTTP_|APP_|SERVER_|API_)?PORT\b)", "{port}", word)
        for word in words
    ]
    return [re.sub(r"\b0\.0\.0\.0\b", "127.0.0.1", word) for word in words]
