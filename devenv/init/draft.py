"""Writes devenv.toml from the findings in a folder: certain sections take effect, the rest are questions. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from devenv.config.masking import MASK, mask_words
from devenv.config.variables import is_refused
from devenv.core.plural import number_of
from devenv.init.applications import FoundApplication, find_application
from devenv.init.code import Code
from devenv.init.compose import ComposeService
from devenv.init.draft_steps import StepDrafter
from devenv.init.extensions import image_extension, ways_out
from devenv.init.listing import COMPILED, SCRIPTS, UNCALLED
from devenv.init.other_services import REDIS_VARIABLE, ComposeCache, write_services
from devenv.init.settings_found import (
    GIVEN,
    OWN_REGION,
    database_of,
    is_secret,
    kept_out,
    placeholder,
)
from devenv.init.sheet import Guess
from devenv.init.shell_items import MADE
from devenv.init.sign_in import KEYS
from devenv.init.spring import REDIS_PASSWORD
from devenv.init.sql_tables import show_sql
from devenv.init.unused import REQUEST

GLOBAL_ENDPOINT: Final = "AWS_ENDPOINT_URL"
# What routes are called that tell that an application serves, the surest first; then what may be one, as a last word.
HEALTHY: Final = tuple(map(re.compile, (r"health\w*", "ping", "readyz?|readiness", "livez?|liveness|alive")))
# Left out of a file that has none.
UNCERTAIN: Final = "Uncertain parts are marked EDIT."
SERVING: Final = ("up", "status", "heartbeat", "version", "ok", "okay", "probe")


@dataclass(frozen=True)
class Draft:
    """The file, the further files that it needs, what it asks for, and what was found, in words."""

    text: str
    files: Mapping[str, Any]
    edits: tuple[str, ...]
    found: tuple[str, ...]
    guesses: tuple[Guess, ...] = ()
    lines: tuple[str, ...] = ()
    undeclared: tuple[str, ...] = ()


class Drafter(StepDrafter):
    """Writes a project's devenv.toml from its survey."""

    cache: ComposeCache | None = None

    def draft(self) -> Draft:
        """The whole file."""
        self.sheet.comment(
            "Written by `devenv init` from what it found in this folder. Nothing was run. `devenv config schema` prints"
            " all keys."
        )
        self.sheet.comment(UNCERTAIN)
        self.project()
        self.stores()
        self.backend_section()
        self.stream_sections()
        self.cache = write_services(self.sheet, self.survey, health_of)
        self.variables()
        self.steps()
        self.entity_sections()
        self.link_sections()
        self.group_section()
        self.pattern_sections()
        self.trace_sections()
        self.safety()
        sheet = self.sheet
        lines = tuple(self.next_lines())
        found, missing = tuple(self.found()), tuple(self.undeclared)
        return Draft(sheet.text, self.files, tuple(sheet.edits), found, sheet.guesses, lines, missing)

    def next_lines(self) -> Iterable[str]:
        """The commands that come next, with values that the project's own seeds have."""
        yield "devenv up"
        yield "devenv doctor"
        handle = self.handle()
        for subject in self.traced:
            values = [self.values.of(name, kind) for name, kind in subject.params.items()]
            if all(values) and (handle or not subject.personal):
                user = f" --user {shlex.quote(handle)}" if subject.personal and handle else ""
                yield f"devenv trace {subject.name}{''.join(f' {shlex.quote(str(v))}' for v in values)}{user}"
        if self.traced and not all(self.values.of(n, k) for t in self.traced for n, k in t.params.items()):
            yield "devenv trace  # lists what can be traced, with values"

    def handle(self) -> str | None:
        """The name of a person that the seeds have: one that the items name too, if possible."""
        if self.person is None:
            return None
        table, id_, column, _ = self.person
        names = self.values.column(table.name, column)
        ids = self.values.columns.get((table.name, id_), ())
        mentioned = self.values.mentioned
        told = [name for name in names if name in mentioned]
        # Rows that give both: the person whose id an item has.
        told += [name for name, id_ in zip(names, ids, strict=False) if len(ids) == len(names) and id_ in mentioned]
        return next(iter(told), next(iter(names), None))

    def found(self) -> Iterable[str]:
        """Describe each thing found."""
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
            files = ", ".join(survey.compose.files or (survey.compose.file,))
            yield f"{files}: {', '.join(services) or 'neither of the two stores'}"
        yield from (each.shown for each in survey.manifests)
        if survey.migrations:
            count = number_of(len(survey.migrations.files), "migration")
            yield f"{survey.migrations.evidence}: {count} of {survey.migrations.tool}"
        yield from (f"{f.name}: {show_sql(f.tables, f.fills)}" for f in survey.sql)
        for table in survey.tables:
            what = "the key of table" if table.derived else "the definition of table"
            yield f"{table.file}:{table.line}: {what} {table.table}"
        yield from survey.requests
        read = survey.seed_data if self.seed else ()
        yield from (f"{name}: items" for name in survey.seeds.files if name != MADE and name not in read)
        yield from (f"{name}: items, for {MADE}" for name in survey.seeds.scripts)
        if self.seed:
            yield f"{self.seed.file}: a script that loads items"
            yield from (f"{name}: data that {self.seed.file} reads" for name in read)
        yield from (f"{', '.join(each.seen)}: entity {each.name} (table {each.table})" for each in self.entities)
        for link in self.links:
            yield f"link {link.source} -> {link.target.name}.{link.column}" + (
                "" if link.sure else ", needs your confirmation"
            )
        yield from (f"{seen}: access pattern {each.name}" for each in self.patterns for seen in each.seen)
        yield from survey.left_out

    def project(self) -> None:
        """`[project]`."""
        self.sheet.above("The project's name in messages.")
        self.sheet.section("project")
        self.sheet.key("name", self.name)
        uses = any(code.uses_dynamodb for code in self.survey.code)
        uses = uses or any("DynamoDB" in each.stores for each in self.survey.manifests) or bool(self.dynamodb())
        unread = any(REQUEST in each for each in self.survey.unused)
        if (self.columns or self.postgres()) and not self.survey.tables and not uses and not unread:
            self.sheet.key("cross_store", False, "no table of DynamoDB was found: nothing to compare across the stores")

    def postgres(self) -> ComposeService | None:
        """The compose file's Postgres."""
        return self.survey.compose.postgres if self.survey.compose else None

    def dynamodb(self) -> ComposeService | None:
        """The compose file's DynamoDB."""
        return self.survey.compose.dynamodb if self.survey.compose else None

    def stores(self) -> None:
        """`[postgres]` and `[dynamodb]`."""
        postgres = self.postgres()
        database, user = database_of(self.survey)
        driven = any("Postgres" in each.stores for each in self.survey.manifests)
        if database or self.columns or postgres or self.survey.migrations or self.survey.sql or driven:
            self.sheet.above("The server that devenv starts: its database, and the port on 127.0.0.1.")
            self.sheet.section("postgres")
            self.sheet.key("database", database or "postgres", "" if database else "no file names one")
            if user and user != "postgres":
                self.sheet.key("user", user)
            if postgres and postgres.port():
                self.sheet.key("port", postgres.port())
            self.extensions(postgres.image if postgres else None)
        self.sheet.above("DynamoDB Local, as devenv starts it: its port on 127.0.0.1, and the region of its tables.")
        dynamodb = self.dynamodb()
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
                f"Scripts contain fixed endpoints: {shown}. They work only while `devenv up` gets that port."
                " Without endpoint_url, boto3 reads AWS_ENDPOINT_URL_DYNAMODB."
            )

    def extensions(self, image: str | None) -> None:
        """A question about the extensions that the project needs and devenv's own server lacks, with the ways out."""
        if self.survey.extensions:
            self.sheet.ask(ways_out(self.survey.extensions, image))
            self.sheet.key("source", "system")
            self.sheet.agreed()
        elif (name := image_extension(image or "")) and not any(name in each.extensions for each in self.survey.sql):
            self.sheet.comment(
                f"Compose runs {image}, but no file creates the extension {name}, so devenv uses its own PostgreSQL."
                ' If the project needs it: source = "system", or engine = "docker" with this image.'
            )

    def region(self) -> str | None:
        """The region that the variables name."""
        given = self.survey.variables
        names = ("AWS_REGION", "AWS_DEFAULT_REGION", *filter(OWN_REGION.fullmatch, given))
        return next((value for name in names if (value := given.get(name))), None)

    def health(self, found: FoundApplication) -> str | None:
        """The path that tells that the application serves."""
        spring, module = self.survey.spring, self.survey.module
        if spring and found.command == spring.command:
            return spring.health
        if module and module.health and found.command[-2:] == ("-m", module.name):
            return module.health
        # Routes of its own, not those of a different program in this folder.
        place = "" if found.folder == "." else f"{found.folder}/"
        own = [code for code in self.survey.code if code.file.startswith(place)]
        fastapi = any(
            kind == "fastapi" and file.startswith(place) for file, (kind, _) in self.survey.applications.items()
        )
        # FastAPI's own page.
        return health_of(own, found.paths) or ("/docs" if fastapi else None)

    def not_started(self) -> Iterable[str]:
        """Say that no command starts the program that has routes."""
        served = [route for code in self.survey.code for route in code.routes]
        yield from self.survey.gateways[:1]
        if served and not self.survey.gateways:
            route = served[0]
            yield (
                f"[backend]: {route.file}:{route.line} serves {route.path}, but the command that starts this program"
                " was not recognised, so nothing compares the HTTP layer. Declare [backend] command; it must listen on"
                " 127.0.0.1 and {port}: devenv help configuration"
            )

    def backend_section(self) -> None:
        """`[backend]`: the application's command, on loopback, on devenv's port."""
        found = find_application(self.survey)
        if found is None:
            self.undeclared += self.not_started()
            return
        health = self.health(found)
        self.sheet.above("Your HTTP application: devenv starts it with the variables of `devenv env`.")
        self.sheet.section("backend")
        if not found.command:
            self.sheet.note(
                f"Which command starts the application ({found.evidence})? It must listen on 127.0.0.1 and"
                ' {port}. For instance: command = ["{python}", "-m", "uvicorn", "app:app", "--port", "{port}"]'
            )
        else:
            fixed = f" Until then, devenv uses port {found.port}, as in the code." if found.port else ""
            if not any("{port}" in word for word in (*found.command, *found.environment.values())):
                self.sheet.note(f"The command names no port: let it listen on {{port}}, at 127.0.0.1.{fixed}")
            shown = mask_words("", found.command)
            if shown != list(found.command):
                self.sheet.note(f"Not copied: a secret in the command. Replace {MASK} with a variable.")
            self.sheet.key("command", shown, "" if self.application else found.evidence)
            self.application_command = tuple(shown)
        if found.skipped:
            said = "; ".join(found.skipped)
            self.sheet.comment(f"The container first runs `{said}`; this command leaves that out. Add it to the steps.")
        if found.environment:
            self.sheet.key("env", dict(found.environment))
        if found.folder != ".":
            self.sheet.key("folder", found.folder)
        if found.port:
            self.sheet.key("port", found.port)
        if health:
            self.sheet.key("health", health)
        else:
            self.sheet.comment('health = "/PATH" (a status below 400). Without it: any status below 500 of `/`')
        if self.survey.python:
            self.sheet.key("python", self.survey.python)
        elif any(
            code.uses_dynamodb and not code.file.endswith((*SCRIPTS, *COMPILED, *UNCALLED)) for code in self.survey.code
        ):
            self.sheet.comment(
                '{python} is the one that runs devenv; name the project\'s own: python = ".venv/bin/python"'
            )

    def stream_sections(self) -> None:
        """`[services.NAME] stream`: functions that AWS Lambda would run on a table's stream."""
        names: set[str] = set()
        for function in self.survey.functions:
            name = next(n for n in (function.name, *(f"{function.name}-{k}" for k in range(2, 99))) if n not in names)
            names.add(name)
            table = next((each for each in self.survey.tables if each.table == function.table), None)
            streams = table is not None and "StreamSpecification" in table.request
            question = f"Does {function.handler} follow the stream of {function.table or 'a table'} ({function.seen})?"
            if not streams:
                question += " The table's definition must have a StreamSpecification (devenv help streams)."
            self.sheet.ask(question, likely=streams)
            self.sheet.section("services", name)
            self.sheet.key("stream", function.table or "TABLE")
            self.sheet.key("handler", function.handler)
            if function.filter is None:
                self.sheet.note(f"Its filter in {function.seen} is not understood: without one it gets every record.")
            if function.filter:
                self.sheet.key("filter", [dict(each) for each in function.filter])
            if function.size:
                self.sheet.key("batch", {"size": function.size})
            self.sheet.agreed()

    def variables(self) -> None:
        """`[env]`: the application's variables, with the stores' addresses filled in when they are asked for."""
        entries, own, notes = self.sorted_variables()
        entries |= self.redis_settings()
        if self.issues_tokens and self.sign_in and not self.sign_in.movable:
            entries[KEYS] = "{token_jwks_url}"
        needed = self.needed(entries, own)
        if own:
            notes.append(
                f"Not copied, because they are secrets, private or unknown: {', '.join(own)}. Set them in your shell,"
                " where the application needs them."
            )
        if not entries and not notes and not needed:
            return
        self.sheet.blank()
        for note in notes:
            self.sheet.above(note)
        if notes and not entries:
            self.sheet.blank()
        if entries:
            self.sheet.above("Variables of the application, your steps and `devenv env`; `{…}` is filled in by devenv.")
            self.sheet.section("env")
            for name, value in entries.items():
                if self.cache and (place := self.cache.place(name, value)):
                    self.sheet.maybe(name, place, self.cache.guess)
                else:
                    self.sheet.key(name, value)
        if needed:
            self.sheet.comment(
                "The code reads these without a default, and no value was found: set each one here"
                + (", or set it in your shell." if entries else " (uncomment [env] too), or set it in your shell.")
            )
            if not entries:
                self.sheet.comment("[env]")
            for name, place in needed.items():
                self.sheet.comment(f'{name} = "…" # {place}')

    def needed(self, entries: Mapping[str, str], own: Iterable[str]) -> dict[str, str]:
        """Variable -> `file:line` of those that the code cannot do without, and that nothing gives a value."""
        found = find_application(self.survey)
        known = {*entries, *own, *GIVEN, GLOBAL_ENDPOINT, *(found.environment if found else {}), *self.survey.variables}
        return {
            name: f"{code.file}:{code.variables[name]}"
            for code in self.survey.code
            for name in sorted(code.required)
            if name not in known and name in code.variables and not is_refused(name)
        }

    def sorted_variables(self) -> tuple[dict[str, str], list[str], list[str]]:
        """The variables for `[env]`, the names of those that are not copied, and what else is to be said."""
        found_application = find_application(self.survey)
        given = found_application.environment if found_application else {}
        known = {name: value for name, value in self.survey.variables.items() if name not in given}
        if self.application:
            known |= {n: value or "" for n, value in self.application.environment.items() if n not in given}
        tables = {table.table for table in self.survey.tables}
        entries: dict[str, str] = {}
        own: list[str] = []
        notes: list[str] = []
        placed = self.survey.spring.places if self.survey.spring else {}
        used = {name: place for code in self.survey.code for name, place in code.uses.items()}
        read = {name: f"{code.file}:{line}" for code in self.survey.code for name, line in code.variables.items()}
        for name, value in {**dict.fromkeys([*read, *placed], ""), **known}.items():
            if (name in GIVEN and "+" not in value.partition("://")[0]) or not re.fullmatch(r"[A-Za-z_]\w*", name):
                continue
            if name == GLOBAL_ENDPOINT:
                if name in known:
                    notes.append(
                        f"{name} is left out: it would send every AWS service to DynamoDB. boto3 reads"
                        " AWS_ENDPOINT_URL_DYNAMODB by itself, which devenv sets."
                    )
            elif reason := kept_out(name, value, self.survey):
                notes.append(f"{name} {reason}")
            elif issued := self.issued(name):
                entries[name] = issued
            elif (
                place := placed.get(name)
                or (used.get(name) if not known.get(name) else None)
                or placeholder(name, value, self.survey)
            ):
                entries[name] = place
            elif (
                value in tables
                or (self.survey.shared.get(name) == value != "" and not is_secret(name, value))
                or (self.cache and self.cache.place(name, value))
            ):
                entries[name] = value
            elif name in known and not (REDIS_VARIABLE.search(name) and not self.cache):
                own.append(name)
        if len(tables) == 1:
            missing = sorted(set(read) - set(known) - GIVEN - set(entries))
            entries |= {name: next(iter(tables)) for name in missing if "TABLE" in name}
        return entries, own, notes

    def redis_settings(self) -> dict[str, str]:
        """The password of Redis for Spring Boot, whose settings have none: devenv's server has one."""
        spring = self.survey.spring
        return {REDIS_PASSWORD: ""} if self.cache and spring and spring.redis else {}

    def issued(self, name: str) -> str | None:
        """The placeholder of a variable that signing tokens needs: the key, or what tells of the issuer."""
        if self.signed and name == self.signed.variable:
            return "{key}"
        return self.sign_in.variables.get(name) if self.sign_in and self.issues_tokens else None

    def safety(self) -> None:
        """`[safety]`: what is asked for costs nothing and is never wrong; the rest is the project's to decide."""
        self.sheet.title(
            "Protection: devenv doctor --only safety, devenv policy",
            "The protection that the data must have; `devenv help protection` lists the rest.",
        )
        self.sheet.section("safety")
        self.sheet.key("tls", True)
        self.sheet.key("no_user_keys", True)
        region = self.region() or "eu-central-1"
        self.sheet.comment(f'regions = ["{region}"]  deletion_protection = true  point_in_time_recovery = true')


def health_of(code: Iterable[Code], more: Iterable[str] = ()) -> str | None:
    """The route of these files, or of `more`, that tells best that the application serves."""
    plain = [*(route.path for each in code for route in each.routes if not route.parameters), *more]
    return min(filter(None, map(health_rank, plain)), default=(0, None))[1]


def health_rank(path: str) -> tuple[int, str] | None:
    """(rank, path) of a route that tells that the application serves; None for any other."""
    words = [word for word in re.split(r"[^a-z]+", path.lower()) if word]
    for rank, name in enumerate(HEALTHY):
        if any(map(name.fullmatch, words)):
            return rank, path
    if words[-1:] and words[-1] in SERVING:
        return len(HEALTHY), path
    return (len(HEALTHY) + 1, path) if path == "/" else None
