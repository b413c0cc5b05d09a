"""The `[trace.*]` sections: the application's functions and routes that ask a pattern. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from devenv.config.unfilled import ANSWER_FIELD, FUNCTION, ITEM_FIELD, PATH, SCRIPT
from devenv.core.toml import toml
from devenv.init.asked_routes import find_route, module_of, source_folder
from devenv.init.code import Function
from devenv.init.draft_request import RequestDrafter
from devenv.init.entities import ID_NAMES, PLACE, FoundEntity, key_of, own_id, places_of, singular, snake, text_of
from devenv.init.listing import COMPILED, SCRIPTS, UNCALLED
from devenv.init.no_trace import why_no_trace
from devenv.init.pattern_kinds import brought_by, excludes, numbers_of, order_of, thing_of
from devenv.init.pattern_kinds import traced_entity as entity_of
from devenv.init.propose import FoundPattern, place_names
from devenv.init.routes import Route
from devenv.init.sql_routes import said_of, sql_routes

WORDS: Final = ("message", "text", "body", "content")
# A function's last word that lacks its object: `visits_of`.
DANGLING: Final = re.compile(r" (?:by|for|from|in|of|to|with)$")
EXAMPLE: Final = """\
A trace follows one request through all layers; `devenv help traces` explains each key. For instance:
[trace.messages]
params = { group_id = "uuid" }      # what you type after `devenv trace messages`
pattern = "messages"                # the query that it should send: [patterns.messages]
entity = "message"                  # the kind of items that it returns: [entities.message]
where = { group_id = "{group_id}" } # which of them
ids = { dynamodb = "message_id", library = "id", http = "id" }
fields = { text = "text" }          # field of the answer = attribute of the item
[trace.messages.library]
function = "app.messages:list_messages"  # or: command = ["node", "scripts/list.js", "{group_id}"]
arguments = { group_id = "{group_id}" }
[trace.messages.request]
path = "/api/messages/{group_id}\""""
EXAMPLE_SCRIPT: Final = re.sub(
    r"function = .*\narguments = .*",
    'command = ["node", "scripts/list.js", "{group_id}"] # prints a list as JSON',
    EXAMPLE,
)


def placed(attribute: str, entity: FoundEntity) -> str:
    """The field of an entity that an answer's attribute is: of a key, the last place in it or the whole template."""
    template = entity.match.get(attribute.strip("{}"), "")
    places = PLACE.findall(template)
    if not places:
        return attribute.strip("{}")
    return places[-1] if attribute.startswith("{") else template


def json_only(route: Route | None) -> Route | None:
    """A route, unless it answers with HTML."""
    return None if route and route.page else route


@dataclass(frozen=True)
class TracedSubject:
    """One subject: its parameters with their types, for the line that traces it."""

    name: str
    params: Mapping[str, str]
    personal: bool


class TraceDrafter(RequestDrafter):
    """Writes how requests are traced."""

    traced: list[TracedSubject]

    def trace_sections(self) -> None:
        """`[trace.*]`, or a commented example of one."""
        self.traced = []
        untraced: list[FoundPattern] = []
        self.sheet.title(
            "Traces: one request, followed through all layers (devenv trace SUBJECT …)",
            "Each layer's answer is compared with the one before; the first that differs is named.",
        )
        for pattern in self.patterns:
            single = pattern.query.operation == "GetItem"
            found = thing_of(pattern, self.entities) if single else entity_of(pattern, self.entities)
            if pattern.query.operation != "Query" and not (found and self.is_one_thing(pattern)):
                self.undeclared += (self.why_no_request(pattern) or self.why_not_one(pattern)) if single else []
                continue
            if found is None:
                untraced.append(pattern)
                continue
            route = self.route_of(pattern)
            if pattern.query.function.name or route:
                self.trace(pattern, *found, route)
                self.undeclared += [] if route else self.why_no_request(pattern)
            else:
                self.undeclared.append(
                    f"[trace.{pattern.name}]: no function and no route that contains {pattern.seen[0]} was recognised."
                    " Declare it: devenv help traces"
                )
        for pattern in untraced:
            self.sheet.blank()
            self.sheet.comment(self.untraced(pattern))
            self.undeclared.append(self.why_untraced(pattern))
        if self.survey.tables and (rows := [*sql_routes(self.survey.code)]):
            self.undeclared.append(said_of(rows))
        if not self.traced:
            sketch = self.sketch()
            self.sheet.plain(sketch)
            said = {each.partition("]")[0] for each in self.undeclared}
            reasons = why_no_trace(self.survey, self.patterns, self.entities)
            own = [each for each in reasons if each.partition("]")[0] not in said]
            self.undeclared += own or self.why_only_sketched(sketch)

    def why_only_sketched(self, sketch: str) -> list[str]:
        """The line that `init` prints for a trace that it leaves as a template, if no other line names one."""
        name = re.search(r"^\[trace\.(.+)\]$", sketch, re.MULTILINE)
        if not (name and self.survey.tables) or any(each.startswith(f"[trace.{name[1]}") for each in self.undeclared):
            return []
        reason = "no function or route that returns the items of a query" if self.patterns else "no query by key"
        return [f"[trace.{name[1]}]: {reason} was recognised in your code. Complete its template in devenv.toml"]

    def why_no_request(self, pattern: FoundPattern) -> list[str]:
        """The line that `init` prints where one route calls a query's function, and how to request it is not clear."""
        short = pattern.query.function.short
        asked = [route for code in self.survey.code for route in code.routes if short and short in route.calls]
        if len(asked) != 1 or not asked[0].parameters:
            return []
        (route,) = asked
        single = pattern.query.operation == "GetItem"
        section = f"trace.{pattern.name}" if single else f"trace.{pattern.name}.request"
        return [
            f"[{section}]: {route.path} ({route.file}:{route.line}) calls {short}."
            f" How do its parameters lead to the key of [patterns.{pattern.name}]? Declare it: devenv help traces"
            + (" (section One thing by its key)" if single else "")
        ]

    def why_not_one(self, pattern: FoundPattern) -> list[str]:
        """The line that `init` prints for a route whose handler gets an item by its key and does not show all of it."""
        query = pattern.query
        routes = (route for code in self.survey.code for route in code.routes if route.file == query.function.file)
        return [
            f"[trace.{pattern.name}]: {route.path} ({route.file}:{route.line}) gets an item by its key, but devenv"
            " could not see that its answer is the whole item, so the two are not compared. Declare it:"
            " devenv help traces (section One thing by its key)"
            for route in routes
            if route.line <= query.line <= route.end
        ][:1]

    def is_one_thing(self, pattern: FoundPattern) -> bool:
        """Return True for one item by its key, which a function gives back whole, and a route asks for."""
        function, route = pattern.query.function, self.route_of(pattern)
        if route is None:
            return False
        if not function.name:
            # The handler of the route gets the item itself.
            return route.line <= pattern.query.line <= route.end and function.short in route.wraps
        if function.file.endswith(UNCALLED):
            return function.whole or bool(function.results)
        return function.whole and not self.is_view(function)

    def untraced(self, pattern: FoundPattern) -> str:
        """Return why a pattern has no `[trace.*]`, with what to declare for one."""
        kinds = [each.name for each in brought_by(pattern, self.entities)]
        key = ", ".join(f'{name} = "{template}"' for name, template in pattern.key.items())
        head = f"Not traced: [patterns.{pattern.name}] ({pattern.seen[0]})"
        if len(kinds) > 1:
            listed = ", ".join(kinds)
            return (
                f"{head} returns several kinds of items ({listed}). Declare [[trace.{pattern.name}.entities]] for each:"
                " see `devenv help traces`, An answer of several kinds."
            )
        if pattern.query.index and (having := self.having(pattern)):
            listed = ", ".join(having)
            return (
                f"{head} queries an index by {key}. Items of these kinds have it: {listed}. Declare"
                f" [[trace.{pattern.name}.entities]] with where = {toml(dict(pattern.key))} for each: see"
                " `devenv help traces`, An answer of several kinds."
            )
        return (
            f"{head}: no entity above has a key or an attribute for {key}. Add the entity, or the attribute to it, then"
            f" declare [trace.{pattern.name}] (`devenv help traces`)."
        )

    def having(self, pattern: FoundPattern) -> list[str]:
        """The kinds whose items an index has under a pattern's key, those that its sort condition leaves."""
        here = [each for each in self.entities if each.table == pattern.query.table]
        having = [each for each in here if set(pattern.key) <= {*each.attributes, *each.match}]
        return [each.name for each in having if not excludes(pattern.query, each)]

    def why_untraced(self, pattern: FoundPattern) -> str:
        """The same in one line, for what `init` prints."""
        head = f"[trace.{pattern.name}] ({pattern.seen[0]})"
        kinds = [each.name for each in brought_by(pattern, self.entities)]
        kinds = kinds or (self.having(pattern) if pattern.query.index else [])
        if len(kinds) > 1:
            return f"{head}: its answer has several kinds of items: {', '.join(kinds)}. See its comment in devenv.toml"
        key = ", ".join(pattern.key)
        own = [e for e in self.entities if e.table == pattern.query.table]
        if own and all(excludes(pattern.query, each) for each in own):
            key = f"begins_with({pattern.query.narrowed}, {pattern.query.begins})"
        return f"{head}: no entity was found for its {key}. Declare the entity, then the trace: devenv help traces"

    def sketch(self) -> str:
        """A commented `[trace.*]` with the names that were found, those that were not in capitals."""
        table = next(iter(self.survey.tables), None)
        if table is None:
            return EXAMPLE_SCRIPT if self.is_script(None) else EXAMPLE
        asked = [each for each in self.patterns if each.query.operation == "Query"]
        pattern = next((each for each in asked if any(PLACE.sub("", text) for text in each.key.values())), None)
        here = [each for each in self.entities if each.table == table.table]
        entity = next(iter(brought_by(pattern, here)) if pattern else iter(here), None)
        hash_key = key_of(table)[0]
        own_key = entity.match.get(hash_key) if entity else None
        key = pattern.key if pattern else {hash_key: own_key or self.sample_key(hash_key)}
        places = [place for text in key.values() for place in PLACE.findall(text)] or ["ID"]
        name = pattern.name if pattern else entity.name if entity else "SUBJECT"
        function = pattern.query.function if pattern else None
        called, seen = FUNCTION, ""
        if function is not None:
            called = self.callable_path(function) or called
            seen = f" # {function.file}:{function.line}"
        route = json_only(self.route_of(pattern) if pattern else self.route_with(places))
        found = entity_of(pattern, self.entities) if pattern else None
        where = dict(found[1]) if found else {place: f"{{{place}}}" for place in places}
        typed = dict.fromkeys((n for text in where.values() for n in PLACE.findall(text)), "string")
        arguments = self.arguments(function, pattern)[0] if function and pattern else where
        lines = [
            "A trace follows one request through all layers; `devenv help traces` explains each key. For this project,",
            "EDIT: nothing was found for the names in CAPITALS. Replace them; `devenv config check` refuses them.",
        ]
        written = {text: f"{code.file}:{line}" for code in self.survey.code for text, line in code.keys.items()}
        if written and not self.entities:
            shown = ", ".join(f"{text} ({place})" for text, place in [*written.items()][:6])
            lines.append(f"(Keys that the code puts together: {shown}. It is not clear which items they belong to.)")
        if pattern is None:
            lines += [f"[patterns.{name}]", f"table = {toml(table.table)}", f"key = {toml(key)}"]
        if entity is None:
            fields = toml({key_of(table)[0]: next(iter(key.values()))})
            lines += [f"[entities.{name}]", f"table = {toml(table.table)}", f"match = {fields}"]
        lines += [
            f"[trace.{name}]",
            *([f"params = {toml(typed)} # what you type after `devenv trace {name}`"] if typed else []),
            f"pattern = {toml(name)}",
            f"entity = {toml(entity.name if entity else name)}",
            f"where = {toml(where)}",
            f"ids = {toml({'dynamodb': self.sketched_id(entity), **dict.fromkeys(('library', 'http'), ANSWER_FIELD)})}",
            f"[trace.{name}.library]",
            *(
                [f"command = {toml(self.sketched_command(function, arguments))}{seen}"]
                if self.is_script(function)
                else [f"function = {toml(called)}{seen}", f"arguments = {toml(arguments)}"]
            ),
            f"[trace.{name}.request]",
            f"path = {toml(route.path if route else PATH + '{' + places[0] + '}')}",
        ]
        return "\n".join(lines)

    def route_with(self, places: Sequence[str]) -> Route | None:
        """The one route with JSON that has exactly these parameters."""
        routes = [
            r for code in self.survey.code for r in code.routes if set(r.parameters) == set(places) and not r.page
        ]
        return routes[0] if len(routes) == 1 else None

    def sketched_id(self, entity: FoundEntity | None) -> str:
        """The attribute or template that tells the items of a kind apart, in capitals where it is not known."""
        templates = [text for text in reversed([*entity.match.values()]) if PLACE.search(text)] if entity else []
        known = own_id(entity) if entity else None
        return known or next(iter(templates), ITEM_FIELD)

    def is_script(self, function: Function | None) -> bool:
        """Return True if a function is in JavaScript; without one, if all code is."""
        files = [function.file] if function else [code.file for code in self.survey.code]
        return bool(files) and all(file.endswith(SCRIPTS) for file in files)

    def sketched_command(self, function: Function | None, arguments: Mapping[str, Any]) -> list[str]:
        """The command that prints a function's answer, with a script's name in capitals where there is none."""
        if function is None or not function.name:
            return ["node", SCRIPT, *map(str, arguments.values())]
        return self.node_command(function, arguments, self.package_folder(function.file))

    def sample_key(self, attribute: str) -> str:
        """A key as the code or the seeds write it, its last part as a place; else a place alone."""
        texts = [text for code in self.survey.code for text in code.keys]
        texts += [text for _, item in self.survey.seeds.items if (text := text_of(item.get(attribute)))]
        head = re.match(r"[A-Za-z_-]+[#:|/]", texts[0]) if texts else None
        return f"{head[0]}{{{(PLACE.findall(texts[0]) or ['ID'])[0]}}}" if head else "{ID}"

    def route_of(self, pattern: FoundPattern) -> Route | None:
        """The route that a pattern is asked for."""
        return find_route(self.survey.code, pattern.query, self.parameters(pattern), pattern.name, self.person)

    def trace(self, pattern: FoundPattern, entity: FoundEntity, where: Mapping[str, str], route: Route | None) -> None:
        """One `[trace.*]`."""
        function = pattern.query.function
        found, route = route, json_only(route)
        results = self.results(function, entity, self.is_by_hash(pattern, entity))
        own = next((each for each in self.id_names(pattern, entity, results) if each in results.values()), None)
        shown = next((field for field, attribute in results.items() if attribute == own), None)
        numbers = numbers_of(pattern, self.survey.tables)
        params = {p: numbers.get(p, self.type_of(p)) for t in pattern.asked for p in PLACE.findall(t)}
        arguments, unknown = self.arguments(function, pattern)
        called = self.is_callable(function) and not self.is_view(function)
        if own is None or shown is None or (unknown and called):
            self.sheet.note(
                f"{function.file}:{function.line} {function.name or 'a query'} could be traced, but "
                + (f"what is its argument {unknown[0]}?" if unknown else "which field of its answer is the item's id?")
                + f" See [trace.*] in `devenv config schema`, and declare [trace.{pattern.name}]."
            )
            return
        personal = any("{person." in t for t in (*where.values(), *pattern.asked, route.path if route else ""))
        if personal and self.person is None:
            self.undeclared.append(f"[trace.{pattern.name}]: it depends on the user. Declare [person], then this trace")
            return
        self.traced.append(TracedSubject(pattern.name, params, self.person is not None))
        self.sheet.section("trace", pattern.name)
        self.sheet.key("title", f"the {DANGLING.sub('', pattern.name.replace('_', ' '))}")
        if params:
            self.sheet.key("params", params)
        if sql := self.row_relied_on(route, personal=personal or bool(found and self.sends_token)):
            self.sheet.key("sql", sql)
        self.sheet.key("pattern", pattern.name)
        self.sheet.key("entity", entity.name)
        self.sheet.key("where", dict(where))
        if self.group and entity in (self.group.rows, self.group.entries):
            self.sheet.maybe("group", self.group.name, self.group_edit)
        library = {"library": shown} if called else {}
        answer = self.answer(route, pattern)
        seen = answer.get(shown) if answer is not None else shown if self.is_shown(route, function) else None
        self.sheet.key("ids", {"dynamodb": own, **library, **({"http": seen} if route and seen else {})})
        fields = {f: a for f, a in results.items() if f != shown and not PLACE.search(a)}
        if seen and answer is not None:
            fields = {f: a for f, a in fields.items() if f in answer}
        times = [f for f, a in results.items() if entity.attributes.get(a) == "time" and (f in fields or f == shown)]
        times = times[:1] if pattern.query.forward is not None else []
        fields |= {shown: own} if shown in times else {}  # What a list is sorted by is one of its fields.
        self.sheet.key("fields", fields)
        if times:
            self.sheet.key("sorted_by", times[0])
            self.sheet.key("order", order_of(pattern, self.entities))
        if words := [field for field in fields if field in WORDS]:
            self.sheet.key("payload", words, "texts that people wrote: reports leave them out")
        if called:
            self.library(pattern, arguments)
        elif route and (self.is_view(function) or function.file.endswith(UNCALLED)):
            self.sheet.comment(self.not_callable(pattern))
        elif function.name:
            self.sheet.note(self.not_callable(pattern))
        other = {field: answer[field] for field in fields if answer and answer.get(field, field) != field}
        self.asked(pattern, (found, answer), shown if seen is None else None, other)

    def id_names(
        self, pattern: FoundPattern, entity: FoundEntity, results: Mapping[str, str]
    ) -> tuple[str | None, ...]:
        """The attributes and templates that may be the id of an item, the surest first."""
        sort_keys = self.sort_keys(entity)
        templates = [entity.match[name] for name in sort_keys if name in entity.match]
        places = [place for text in templates for place in PLACE.findall(text)]
        ids = [a for f, a in results.items() if f in ID_NAMES or a in ID_NAMES]
        # `id: item.visitId` is the id, whatever the key is made of.
        renamed = [a for a in ids if a not in ID_NAMES and snake(a).endswith(ID_NAMES)]
        # Of a kind that is called after its key, the id may be called after what is listed: `notes` have a `note_id`.
        singulars = {f"{singular(pattern.name)}_{suffix}" for suffix in ID_NAMES}
        listed = [name for name in entity.attributes if snake(name) in singulars]
        # All items of one answer have the same value of what they are asked by.
        parts = [name for name in (*self.sort_keys(entity, pattern.query.index), *sort_keys) if name not in pattern.key]
        # One item by its key may have nothing else.
        whole = [text for text in entity.match.values() if PLACE.search(text) and self.is_by_hash(pattern, entity)]
        whole += [*pattern.key][::-1] if pattern.query.operation == "GetItem" and not entity.match else []
        # An index may have the same sort key twice.
        first, last = (whole, []) if pattern.query.index else ([], whole)
        return (*renamed, own_id(entity), *ids, *listed, *first, *parts, *templates, *places, *last)

    def is_by_hash(self, pattern: FoundPattern, entity: FoundEntity) -> bool:
        """Return True where the hash key tells items apart: one item by its key, or items of an index with one each."""
        constant = bool(entity.match) and not any(
            PLACE.search(entity.match.get(n, "{n}")) for n in self.sort_keys(entity)
        )
        return pattern.query.operation == "GetItem" or (pattern.query.index is not None and constant)

    def not_callable(self, pattern: FoundPattern) -> str:
        """Return why there is no library layer, and what to declare for one."""
        function = pattern.query.function
        if self.is_view(function):
            return (
                f"{function.name} ({function.file}:{function.line}) serves a request, so the library layer is left out."
                " For this layer, move its query to a function of its own, and declare"
                f" [trace.{pattern.name}.library]."
            )
        if function.file.endswith((*COMPILED, *UNCALLED)):
            words = '"go", "run", ".", …' if function.file.endswith(COMPILED) else "…"
            return (
                f"No command prints what {function.name} ({function.file}:{function.line}) returns, so the library"
                " layer is left out. Add a command to the program that prints it as JSON, and declare"
                f" [trace.{pattern.name}.library] command = [{words}]."
            )
        return (
            f"{function.name.partition('.')[0]} ({function.file}:{function.line}) needs arguments, and no module makes"
            f" an object of this class, so the library layer is left out. Declare [trace.{pattern.name}.library]"
            f' function = "MODULE:FUNCTION().{function.short}", with a function that makes such an object.'
        )

    def results(self, function: Function, entity: FoundEntity, by_hash: bool = False) -> Mapping[str, str]:
        """Field -> attribute of what a function gives back; the items themselves have their own names."""
        if not function.whole and function.name:
            return {field: placed(attribute, entity) for field, attribute in function.results.items()}
        hidden = places_of(entity) - (entity.stored if len(entity.match) > 1 else frozenset())
        named = {name: name for name in entity.attributes if name not in hidden}
        # A sort key that is part of the whole item; its template is the item's id, if there is no other.
        keys = self.sort_keys(entity) if not by_hash else [n for n, text in entity.match.items() if PLACE.search(text)]
        return function.results or named | {n: text for n in keys if PLACE.search(text := entity.match.get(n, ""))}

    def sort_keys(self, entity: FoundEntity, index: str | None = None) -> tuple[str, ...]:
        """The sort key of an entity's table, which no two items of one key share; or that of an index."""
        tables = [table.request for table in self.survey.tables if table.table == entity.table]
        if index is not None:
            kinds = ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
            tables = [i for t in tables for kind in kinds for i in t.get(kind, ()) if i.get("IndexName") == index]
        parts = [part for table in tables for part in table["KeySchema"] if part["KeyType"] == "RANGE"]
        return tuple(str(part["AttributeName"]) for part in parts)

    def type_of(self, parameter: str) -> str:
        """The type of a parameter: a uuid where it is called so, or where the values that are known are ones."""
        if snake(parameter).endswith("uuid"):
            return "uuid"
        return "uuid" if self.values.is_uuid(parameter) else "string"

    def parameters(self, pattern: FoundPattern) -> dict[str, str]:
        """Return what the code calls the parameters of a pattern -> what they are called in devenv.toml."""
        narrowing = {name: f"{{{name}}}" for name in PLACE.findall(pattern.begins)}
        return narrowing | place_names(pattern.query.key, self.person)

    def arguments(self, function: Function, pattern: FoundPattern) -> tuple[dict[str, Any], list[str]]:
        """The arguments of a function by name, and those that nobody can tell."""
        found: dict[str, Any] = {}
        unknown: list[str] = []
        known = self.parameters(pattern)
        script = function.file.endswith((*SCRIPTS, *COMPILED))
        for parameter in function.parameters:
            maker = None if script else self.maker(function, parameter)
            if parameter in known:
                found[parameter] = known[parameter]
            elif maker:
                folder = source_folder(maker.file, self.survey)
                found[parameter] = {"call": f"{module_of(maker.file, folder)}:{maker.name}"}
            elif parameter not in function.optional:
                unknown.append(parameter)
        return found, unknown
