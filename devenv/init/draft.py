"""From what was found in a folder to its devenv.toml: what is sure is in effect, the rest is asked for. Pure."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from devenv.config.masking import MASK, is_secret_name, is_strong, mask_text, mask_url, mask_words, split_address
from devenv.config.variables import is_refused
from devenv.engines.embedded.contrib import EXTENSIONS
from devenv.init.code import Function
from devenv.init.propose import (
    ID_NAMES,
    LABEL,
    PLACE,
    Entity,
    Pattern,
    find_entities,
    find_group,
    find_links,
    find_patterns,
    find_person,
    find_route,
    find_seed,
    is_person,
    keyed,
    module_of,
    order_of,
    own_id,
    places_of,
    source_folder,
    traced_entity,
)
from devenv.init.sheet import Sheet
from devenv.init.sql_tables import Table
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
GLOBAL_ENDPOINT: Final = "AWS_ENDPOINT_URL"
MODULE_SERVER: Final = ("flask", "uvicorn", "gunicorn", "hypercorn", "waitress", "http.server")


@dataclass(frozen=True)
class Draft:
    """The file, the further files that it needs, what it asks for, and what was found, in words."""

    text: str
    files: Mapping[str, Any]
    edits: tuple[str, ...]
    found: tuple[str, ...]


class Drafter:
    """What is known of one project while its file is written."""

    def __init__(self, survey: Survey, name: str) -> None:
        self.survey = survey
        self.name = name
        self.sheet = Sheet()
        self.files: dict[str, Any] = {}
        self.columns = tuple(table for file in survey.sql for table in file.tables)
        self.application = survey.compose.application if survey.compose else None
        self.entities = find_entities(survey)
        self.links = find_links((*self.entities, *keyed(survey.tables, self.entities)), self.columns)
        self.person = find_person(self.columns, self.links)
        self.patterns = find_patterns(survey, self.entities, self.person, self.links)
        self.seed = find_seed(survey.code)
        self.group = find_group(self.entities, self.links)
        self.group_edit = 0

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

    def entity_sections(self) -> None:
        """`[entities.*]`, from the items that the code writes."""
        if not self.entities:
            return
        self.sheet.title("Entities: the kinds of items, distinguished by their key")
        for entity in self.entities:
            self.sheet.above(f"Written in {', '.join(entity.seen)}.")
            self.sheet.section("entities", entity.name)
            self.sheet.key("table", entity.table)
            self.sheet.key("match", entity.match)
            if (own := own_id(entity)) and not self.is_shared(own):
                self.sheet.key("unique", [own])
            self.sheet.section("entities", entity.name, "attributes")
            for name, kind in entity.attributes.items():
                self.sheet.key(name, kind)

    def is_shared(self, attribute: str) -> bool:
        """Whether several items have the same value: it is asked for by an index, or is the key of other items."""
        indexes = [i for table in self.survey.tables for i in table.request.get("GlobalSecondaryIndexes", ())]
        keyed = {str(part["AttributeName"]) for index in indexes for part in index["KeySchema"]}
        return attribute in keyed or any(attribute in places_of(entity) for entity in self.entities)

    def link_sections(self) -> None:
        """`[[links]]`, from names that match."""
        if not self.links:
            return
        self.sheet.title("Links: what in DynamoDB names a row in Postgres")
        for link in self.links:
            target = f"{link.target.name}.{link.column}"
            if not link.sure:
                why = "Only a part of its name says so." if link.column in ID_NAMES else "Only their names are similar."
                self.sheet.ask(f"Does {link.source} hold ids of {target}? {why}")
            self.sheet.section("links", array=True)
            self.sheet.key("name", link.name)
            self.sheet.key("from", f"dynamodb:{link.source}")
            self.sheet.key("to", f"postgres:{show_table(link.target)}.{link.column}")
            if link.natural:
                self.sheet.key("natural_key", link.natural)
            if link.copies:
                self.sheet.key("copies", link.copies)
            self.sheet.agreed()

    def group_section(self) -> None:
        """`[[groups]]`: items that seem to exist together; nobody but the project can say so."""
        group = self.group
        if group is None:
            return
        self.sheet.ask(
            f"Do two {group.rows.name}, one of each person, and every {group.entries.name} with the same {group.id}"
            f" belong together, and does each {group.rows.name} show the newest {group.entries.name}?"
        )
        self.sheet.section("groups", array=True)
        for name, value in (
            ("name", group.name),
            ("rows", group.rows.name),
            ("id", group.id),
            ("size", 2),
            ("owner", group.owner),
            ("other", group.other),
            ("entries", group.entries.name),
            ("author", group.author),
            ("time", group.time),
        ):
            self.sheet.key(name, value)
        if group.preview:
            self.sheet.key("preview", group.preview)
        self.sheet.agreed()
        self.group_edit = len(self.sheet.edits)

    def pattern_sections(self) -> None:
        """`[person]` and `[patterns.*]`."""
        if self.person:
            table, id_, name, sign_in = self.person
            self.sheet.title("Users: `--user` is looked up here")
            self.sheet.section("person")
            self.sheet.key("table", f"{table.schema}.{table.name}")
            self.sheet.key("id", id_)
            self.sheet.key("name", name)
            if sign_in:
                self.sheet.key("sign_in", sign_in)
        if not self.patterns:
            return
        self.sheet.title("Access patterns: what is asked of a table")
        for pattern in self.patterns:
            query = pattern.query
            self.sheet.above(f"Found in {', '.join(pattern.seen)}.")
            for each, where in zip(pattern.queries, pattern.seen, strict=True):
                if each.narrowed:
                    self.sheet.above(f"{where} narrows it by begins_with({each.narrowed}, …): the rest is not read.")
                if each.limit and not each.pages:
                    self.sheet.comment(f"{where} has Limit {each.limit} and asks for no further page.")
            if any(each.narrowed or (each.limit and not each.pages) for each in pattern.queries):
                self.sheet.comment("Declared is what should be read: everything. `devenv trace` tells what gets lost.")
            self.sheet.section("patterns", pattern.name)
            self.sheet.key("table", query.table)
            if query.index:
                self.sheet.key("index", query.index)
            self.sheet.key("key", pattern.key)
            if query.operation == "GetItem":
                self.sheet.key("operation", "get")
            if query.forward is not None:
                self.sheet.key("order", order_of(pattern, self.entities))

    def trace_sections(self) -> None:
        """`[trace.*]`: the functions of the application that ask a pattern."""
        traced = [(p, e) for p in self.patterns if (e := traced_entity(p, self.entities)) and p.query.function.name]
        traced = [(p, e) for p, e in traced if p.query.operation == "Query"]
        if not traced or self.person is None:
            return
        self.sheet.title("Traces: one request, followed through all layers (devenv trace SUBJECT …)")
        for pattern, entity in traced:
            self.trace(pattern, entity)

    def trace(self, pattern: Pattern, entity: Entity) -> None:
        """One `[trace.*]`."""
        assert self.person is not None  # noqa: S101 - asked before
        function = pattern.query.function
        own = own_id(entity) or next((a for f, a in function.results.items() if f in ID_NAMES), None)
        shown = next((field for field, attribute in function.results.items() if attribute == own), None)
        params = {p: "uuid" if p.endswith("uuid") else "string" for t in pattern.key.values() for p in PLACE.findall(t)}
        arguments, unknown = self.arguments(function, pattern)
        if own is None or shown is None or unknown:
            self.sheet.note(
                f"{function.file}:{function.line} {function.name} could be traced, but "
                + (f"what is its argument {unknown[0]}?" if unknown else "which field of its answer is the item's id?")
                + f" See [trace.*] in `devenv config schema`, and declare [trace.{pattern.name}]."
            )
            return
        table, _, name, _ = self.person
        attribute = next(iter(entity.match))
        template = next(iter(pattern.key.values()))
        inner = re.search(r"\{[\w.]+\}", template)
        route = find_route(self.survey.code, self.parameters(pattern), pattern.name)
        self.sheet.section("trace", pattern.name)
        self.sheet.key("title", f"the {pattern.name.replace('_', ' ')}")
        if params:
            self.sheet.key("params", params)
        where = f"{quoted(table.schema)}.{quoted(table.name)} WHERE {quoted(name)} = %(person.{name})s"
        self.sheet.key("sql", f"SELECT {quoted(self.person[1])} FROM {where}")  # noqa: S608 - a text for the file
        self.sheet.key("pattern", pattern.name)
        self.sheet.key("entity", entity.name)
        self.sheet.key("where", {str(entity.place(attribute)): inner[0] if inner else template})
        if self.group and entity in (self.group.rows, self.group.entries):
            self.sheet.maybe("group", self.group.name, f"with EDIT {self.group_edit}")
        self.sheet.key("ids", {"dynamodb": own, "library": shown, **({"http": shown} if route else {})})
        fields = {f: a for f, a in function.results.items() if f != shown}
        self.sheet.key("fields", fields)
        times = [field for field, attribute_ in fields.items() if entity.attributes.get(attribute_) == "time"]
        if times and pattern.query.forward is not None:
            self.sheet.key("sorted_by", times[0])
            self.sheet.key("order", order_of(pattern, self.entities))
        if words := [field for field in fields if field in ("message", "text", "body", "content")]:
            self.sheet.key("payload", words, "people's own words: reports leave them out")
        self.sheet.section("trace", pattern.name, "library")
        folder = source_folder(function.file, self.survey)
        self.sheet.key("function", f"{module_of(function.file, folder)}:{function.name}")
        self.sheet.key("arguments", arguments)
        if folder:
            self.sheet.key("folder", folder)
        if function.reverses:
            self.sheet.key("order", "oldest first" if pattern.query.forward is False else "newest first")
        if route and self.application:
            self.sheet.section("trace", pattern.name, "request")
            self.sheet.key("path", route.path, f"{route.file}:{route.line}")

    def parameters(self, pattern: Pattern) -> dict[str, str]:
        """Return what the code calls the parameters of a pattern -> what they are called in devenv.toml."""
        raw = {name for template in pattern.query.key.values() for name in PLACE.findall(template)}
        person = self.person
        return {
            name: "{person." + person[1] + "}" if person and is_person(name, person[0]) else f"{{{name}}}"
            for name in sorted(raw)
        }

    def arguments(self, function: Function, pattern: Pattern) -> tuple[dict[str, Any], list[str]]:
        """The arguments of a function by name, and those that nobody can tell."""
        found: dict[str, Any] = {}
        unknown: list[str] = []
        known = self.parameters(pattern)
        for parameter in function.parameters:
            maker = self.maker(function, parameter)
            if parameter in known:
                found[parameter] = known[parameter]
            elif maker:
                folder = source_folder(function.file, self.survey)
                found[parameter] = {"call": f"{module_of(maker.file, folder)}:{maker.name}"}
            else:
                unknown.append(parameter)
        return found, unknown

    def maker(self, function: Function, parameter: str) -> Function | None:
        """A function beside it, without parameters, that makes what `parameter` is called after: `client()`."""
        owner = function.name.rpartition(".")[0]
        beside = [f for code in self.survey.code if code.file == function.file for f in code.functions]
        names = (parameter, f"get_{parameter}", f"make_{parameter}", f"create_{parameter}")
        return next(
            (f for f in beside if f.short in names and not f.parameters and f.name.rpartition(".")[0] == owner), None
        )

    def safety(self) -> None:
        """`[safety]`: what is asked for costs nothing and is never wrong; the rest is the project's to decide."""
        self.sheet.title("Protection: devenv doctor --only safety, devenv policy")
        self.sheet.section("safety")
        self.sheet.key("tls", True)
        self.sheet.key("no_user_keys", True)
        region = self.region() or "eu-central-1"
        self.sheet.comment(f'regions = ["{region}"]  deletion_protection = true  point_in_time_recovery = true')


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def show_sql(tables: Iterable[Table], fills: Iterable[str]) -> str:
    """Return what an SQL file does, in words."""
    made = ", ".join(table.name for table in tables)
    loaded = ", ".join(fills)
    return " and ".join([*([f"tables {made}"] if made else []), *([f"rows of {loaded}"] if loaded else [])])


def show_table(table: Table) -> str:
    """A table as links name it: the schema only where it is not public."""
    return table.name if table.schema == "public" else f"{table.schema}.{table.name}"


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
