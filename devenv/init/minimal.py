"""The file for a project in which `init` recognises nothing: its name, its stores, and the missing parts. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from devenv.init.draft import Drafter
from devenv.init.draft_trace import EXAMPLE
from devenv.init.settings_found import database_of
from devenv.init.survey import Survey

STEPS = """\
setup: the database and its rows; schema-load: the tables of DynamoDB; seed: their items. For instance:
[steps.setup]
files = ["db/schema.sql", "db/seed.sql"]     # or: migrations = "flyway", or: command = ["./bin/setup"]
[steps.schema-load]
files = ["infra/tables/*.json"]              # CreateTable requests, a CloudFormation template, …
[steps.seed]
command = ["./bin/seed"]                     # or files with items"""
BACKEND = """\
Your HTTP application: devenv starts it with the variables of `devenv env`. For instance:
[backend]
command = ["./gradlew", "bootRun", "--args=--server.port={port}"]
health = "/health\""""


def minimal_text(survey: Survey, name: str) -> str:
    """A valid devenv.toml that names the project and explains what to add."""
    drafter = Drafter(survey, name)
    sheet = drafter.sheet
    sheet.comment(
        "Written by `devenv init`. It found nothing here that it knows how to load; uncomment and fill in what follows."
        " `devenv config schema` prints all keys."
    )
    sheet.above("The project's name in messages.")
    sheet.section("project")
    sheet.key("name", name)
    database, user = database_of(survey)
    set_ = drafter.sorted_variables()[0].values()
    if database or "Postgres" in stores(survey) or any("{postgres_" in value for value in set_):
        sheet.above("The server that devenv starts, and its database.")
        sheet.section("postgres")
        sheet.key("database", database or "postgres", "" if database else "no file names one")
        if user and user != "postgres":
            sheet.key("user", user)
    drafter.variables()
    sheet.title("Steps: what `devenv up` loads, always in this order")
    sheet.plain(STEPS)
    sheet.title("The application")
    sheet.plain(BACKEND)
    sheet.title("Traces: one request, followed through all layers (devenv trace SUBJECT …)")
    sheet.plain(EXAMPLE)
    return sheet.text


def stores(survey: Survey) -> set[str]:
    """The stores whose drivers the project's packages name."""
    return {store for manifest in survey.manifests for store in manifest.stores}


def needed(survey: Survey) -> Iterable[str]:
    """Sentences about what devenv needs to know."""
    used = stores(survey)
    if not used or "Postgres" in used:
        yield "[steps.setup]: SQL files, migrations or a command that makes the tables of Postgres"
    if not used or "DynamoDB" in used:
        yield "[steps.schema-load]: the tables of DynamoDB (CreateTable requests as JSON, or a template)"
        yield "[steps.seed]: items, or a command that loads them"
    yield "[backend]: the command that starts the application, if devenv is to start it"
