"""From what was found in a folder to its devenv.toml: what is sure is in effect, the rest is asked for. Pure."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from devenv.config.masking import MASK, mask_words
from devenv.config.variables import is_refused
from devenv.engines.embedded.contrib import EXTENSIONS
from devenv.init.draft_data import DataDrafter
from devenv.init.propose import (
    LABEL,
)
from devenv.init.settings_found import GIVEN, database_of, is_secret, local_command, store_url
from devenv.init.sql_tables import DeclaredTable

GLOBAL_ENDPOINT: Final = "AWS_ENDPOINT_URL"


@dataclass(frozen=True)
class Draft:
    """The file, the further files that it needs, what it asks for, and what was found, in words."""

    text: str
    files: Mapping[str, Any]
    edits: tuple[str, ...]
    found: tuple[str, ...]


class Drafter(DataDrafter):
    """What is known of one project while its file is written."""

    def draft(self) -> Draft:
        """The whole file."""
        self.sheet.comment(
            "Written by `devenv init` from what it found in this folder. Nothing was run. `devenv config schema` prints"
            " all keys. What was not sure is marked EDIT."
        )
        self.project()
        self.stores()
        self.backend()
        self.variables()
        self.steps()
        self.entity_sections()
        self.link_sections()
        self.group_section()
        self.pattern_sections()
        self.trace_sections()
        self.safety()
        return Draft(self.sheet.text, self.files, tuple(self.sheet.edits), tuple(self.found()))

    def found(self) -> Iterable[str]:
        """What was found, in words."""
        survey = self.survey
        if survey.compose:
            services = [
                f"{what} (service {each.name})"
                for what, each in (
                    ("Postgres", survey.compose.postgres),
                    ("DynamoDB Local", survey.compose.dynamodb),
                    ("the application", survey.compose.application),
                )
                if each
            ]
            yield f"{survey.compose.file}: {', '.join(services) or 'none of the two stores'}"
        yield from (f"{f.name}: {show_sql(f.tables, f.fills)}" for f in survey.sql)
        yield from (f"{table.file}:{table.line}: the definition of table {table.table}" for table in survey.tables)
        if self.seed:
            yield f"{self.seed.file}: a script that loads items"
        yield from (f"{', '.join(each.seen)}: entity {each.name} (table {each.table})" for each in self.entities)
        for link in self.links:
            yield f"link {link.source} -> {link.target.name}.{link.column}" + ("" if link.sure else ", to be agreed to")
        yield from (f"{seen}: access pattern {each.name}" for each in self.patterns for seen in each.seen)
        yield from survey.left_out

    def project(self) -> None:
        """`[project]`."""
        self.sheet.section("project")
        self.sheet.key("name", self.name)

    def stores(self) -> None:
        """`[postgres]` and `[dynamodb]`."""
        compose = self.survey.compose
        postgres = compose.postgres if compose else None
        database, user = database_of(self.survey)
        if self.columns or postgres:
            self.sheet.section("postgres")
            self.sheet.key("database", database or "postgres", "" if database else "no file names one")
            if user and user != "postgres":
                self.sheet.key("user", user)
            if postgres and postgres.port():
                self.sheet.key("port", postgres.port())
            extensions = sorted({name for file in self.survey.sql for name in file.extensions} - EXTENSIONS)
            if extensions:
                self.sheet.ask(
                    f"The SQL files create extensions that devenv's own PostgreSQL lacks: {', '.join(extensions)}."
                    " Use the PostgreSQL that is installed on this machine, with these extensions?"
                )
                self.sheet.key("source", "system")
                self.sheet.agreed()
        dynamodb = compose.dynamodb if compose else None
        region = self.region()
        self.sheet.section("dynamodb")
        if dynamodb and dynamodb.port():
            self.sheet.key("port", dynamodb.port())
        if region and re.fullmatch(r"[a-z0-9-]+", region):
            self.sheet.key("region", region)
        fixed = [(code.file, line, text) for code in self.survey.code for text, line in code.endpoints.items()]
        if fixed:
            shown = ", ".join(f"{file}:{line} ({text})" for file, line, text in fixed[:3])
            self.sheet.comment(
                f"Endpoints that are written into scripts: {shown}. They work as long as `devenv up` gets that port;"
                " without endpoint_url boto3 reads AWS_ENDPOINT_URL_DYNAMODB by itself."
            )

    def region(self) -> str | None:
        """The region that the variables name."""
        return next((v for n in ("AWS_REGION", "AWS_DEFAULT_REGION") if (v := self.survey.variables.get(n))), None)

    def backend(self) -> None:
        """`[backend]`: the application's command, on loopback, on devenv's port."""
        application = self.application
        if application is None:
            return
        folder = (application.build or ".").removeprefix("./").rstrip("/") or "."
        folder = folder if not folder.startswith(("/", "..")) and (self.survey.root / folder).is_dir() else "."
        routes = [route for code in self.survey.code for route in code.routes]
        health = next((r.path for r in routes if "health" in r.path and not r.parameters), None)
        place = "" if folder == "." else f"{folder}/"
        written = application.command or self.survey.commands.get(f"{place}Dockerfile", ())
        port = application.ports[0][1] if application.ports else None
        command = local_command(written, port)
        self.sheet.section("backend")
        if not command:
            self.sheet.note(
                f"Which command starts the application (service {application.name})? It must listen on 127.0.0.1 and"
                ' {port}. For instance: command = ["{python}", "-m", "uvicorn", "app:app", "--port", "{port}"]'
            )
        else:
            if not any("{port}" in word for word in command):
                self.sheet.note("The command names no port: let it listen on {port}, at 127.0.0.1.")
            shown = mask_words("", command)
            if shown != command:
                self.sheet.note(f"Not copied: a secret in the command. Write a variable in the place of {MASK}.")
            self.sheet.key("command", shown)
        if folder != ".":
            self.sheet.key("folder", folder)
        if application.port():
            self.sheet.key("port", application.port())
        self.sheet.key("health", health or "/", "" if health else "a path that answers below 400 once it can serve")
        if self.survey.python:
            self.sheet.key("python", self.survey.python)
        elif any(code.uses_dynamodb for code in self.survey.code):
            self.sheet.comment(
                '{python} is the one that runs devenv; name the project\'s own: python = ".venv/bin/python"'
            )

    def variables(self) -> None:
        """`[env]`: the application's variables, with the stores' addresses filled in when they are asked for."""
        entries, own, notes = self.sorted_variables()
        if own:
            notes.append(
                f"Not copied, as they are secrets, private or not known: {', '.join(own)}. Set them in your shell,"
                " where the application needs them."
            )
        if not entries and not notes:
            return
        self.sheet.blank()
        for note in notes:
            self.sheet.above(note)
        if notes and not entries:
            self.sheet.blank()
        if entries:
            self.sheet.section("env")
            for name, value in entries.items():
                self.sheet.key(name, value)

    def sorted_variables(self) -> tuple[dict[str, str], list[str], list[str]]:
        """The variables for `[env]`, the names of those that are not copied, and what else is to be said."""
        known = dict(self.survey.variables)
        if self.application:
            known |= {name: value or "" for name, value in self.application.environment.items()}
        tables = {table.table for table in self.survey.tables}
        entries: dict[str, str] = {}
        own: list[str] = []
        notes: list[str] = []
        for name, value in known.items():
            if name in GIVEN or not re.fullmatch(r"[A-Za-z_]\w*", name):
                continue
            if name == GLOBAL_ENDPOINT:
                notes.append(
                    f"{name} is left out: it would send every AWS service to DynamoDB. boto3 reads"
                    " AWS_ENDPOINT_URL_DYNAMODB by itself, which devenv sets."
                )
            elif is_refused(name):
                notes.append(f"{name} is left out: it decides which programs run. Set it in your shell.")
            elif place := store_url(value, self.survey):
                entries[name] = place
            elif value in tables or (self.survey.shared.get(name) == value != "" and not is_secret(name, value)):
                entries[name] = value
            else:
                own.append(name)
        if len(tables) == 1:
            read = {name for code in self.survey.code for name in code.variables}
            entries |= {name: next(iter(tables)) for name in sorted(read - set(known) - GIVEN) if "TABLE" in name}
        return entries, own, notes

    def steps(self) -> None:
        """`[steps.*]`: the SQL files in order, the table definitions, the seed script."""
        self.sheet.title("Steps: what `devenv up` loads, always in this order")
        for file in self.survey.sql:
            if file.problem:
                self.sheet.note(
                    f"{file.problem}: devenv cannot load {file.name}. Fix it, then uncomment the `#~` below."
                )
        if self.survey.sql:
            self.sheet.section("steps", "setup")
            aside = [glob.escape(file.name) for file in self.survey.sql if file.problem]
            self.sheet.key("files", [glob.escape(file.name) for file in self.survey.sql], aside=aside)
        whole = [table for table in self.survey.tables if table.whole]
        names = list(dict.fromkeys(glob.escape(table.file) for table in whole))
        for table in (table for table in self.survey.tables if not table.whole):
            name = f"seeds/dynamodb/tables/{LABEL.sub('-', table.table)}.json"
            self.files[name] = table.request
            names.append(name)
            self.sheet.above(
                f"Table {table.table} is defined in {table.file}:{table.line}; this is its request in JSON."
            )
        for table in (table for table in self.survey.tables if table.computed):
            self.sheet.note(
                f"What is table {table.table} called? {table.file} puts its name together ({table.computed}). If"
                f" otherwise, change it in the file of its request and wherever this file names it."
            )
        if names:
            self.sheet.section("steps", "schema-load")
            self.sheet.key("files", names)
        if self.seed:
            self.sheet.above(
                f"{self.seed.file} runs once, and again when it changed. After `devenv setup`, which gives every row a"
                " new id, `devenv doctor --fix` makes its items follow; items in JSON files would by themselves."
            )
            self.sheet.section("steps", "seed")
            self.sheet.key("command", ["{python}", self.seed.file])
            self.sheet.key("files", [glob.escape(self.seed.file)])

    def safety(self) -> None:
        """`[safety]`: what is asked for costs nothing and is never wrong; the rest is the project's to decide."""
        self.sheet.title("Protection: devenv doctor --only safety, devenv policy")
        self.sheet.section("safety")
        self.sheet.key("tls", True)
        self.sheet.key("no_user_keys", True)
        region = self.region() or "eu-central-1"
        self.sheet.comment(f'regions = ["{region}"]  deletion_protection = true  point_in_time_recovery = true')


def show_sql(tables: Iterable[DeclaredTable], fills: Iterable[str]) -> str:
    """Return what an SQL file does, in words."""
    made = ", ".join(table.name for table in tables)
    loaded = ", ".join(fills)
    return " and ".join([*([f"tables {made}"] if made else []), *([f"rows of {loaded}"] if loaded else [])])
