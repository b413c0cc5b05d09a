"""The sections about data: entities, links, groups, access patterns and traces, from the code that was found. Pure."""

from __future__ import annotations

import re
from typing import Any

from devenv.init.code import Function
from devenv.init.propose import (
    ID_NAMES,
    PLACE,
    FoundEntity,
    FoundPattern,
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
from devenv.init.sql_tables import DeclaredTable
from devenv.init.survey import Survey


class DataDrafter:
    """Writes the sections that describe what is stored, and how the application reads it."""

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

    def trace(self, pattern: FoundPattern, entity: FoundEntity) -> None:
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

    def parameters(self, pattern: FoundPattern) -> dict[str, str]:
        """Return what the code calls the parameters of a pattern -> what they are called in devenv.toml."""
        raw = {name for template in pattern.query.key.values() for name in PLACE.findall(template)}
        person = self.person
        return {
            name: "{person." + person[1] + "}" if person and is_person(name, person[0]) else f"{{{name}}}"
            for name in sorted(raw)
        }

    def arguments(self, function: Function, pattern: FoundPattern) -> tuple[dict[str, Any], list[str]]:
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


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def show_table(table: DeclaredTable) -> str:
    """A table as links name it: the schema only where it is not public."""
    return table.name if table.schema == "public" else f"{table.schema}.{table.name}"
