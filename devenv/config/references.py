"""devenv.toml checked against itself: every name that a section uses is declared, every placeholder has a value.

`find_mistakes` is pure and finds all of them in one pass; `find_line` names the line of a key. Whether the stores have
the tables and columns is another question (`devenv config check --live`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from devenv.config.functions import function_mistakes
from devenv.config.issuer import ISSUER, PLACES, has_issuer
from devenv.config.kinds import KINDS, foreign_keys, keys_of
from devenv.config.linked import of_answer_fields
from devenv.config.load import PLACEHOLDERS
from devenv.config.places import Keys, find_line, title_of
from devenv.config.processes import OwnService
from devenv.config.schema import Entity, Pattern, Settings
from devenv.config.services import RESERVED, STORES, circle, own_places, own_services, place_of
from devenv.config.token_mistakes import person_mistakes, token_mistakes
from devenv.config.trace import AnswerShape, Trace, TraceEntity
from devenv.config.unfilled import unfilled
from devenv.config.worker_mistakes import worker_mistakes
from devenv.config.writes import TraceAction
from devenv.core.errors import UsageError
from devenv.core.late import late
from devenv.core.templates import names_in

# What every trace knows beside its own parameters.
OF_TRACE: Final = ("year", "today", "user")
PLAIN: Final = late(r"(?<!\{)\{(\w+)\}(?!\})")
SQL_NAME: Final = late(r"%\(([^)]+)\)[a-zA-Z]")
SOURCE: Final = late(r"dynamodb:(?P<table>[^\[\]]+)\.(?P<attribute>[^.\[\]]+)(?:\[(?P<template>.*)\])?")
TARGET: Final = late(r"postgres:(?:[^.]+\.)?[^.]+\.[^.]+")


class Mistake(msgspec.Struct, frozen=True):
    """One mistake: the key's path in devenv.toml, the sentence, and the nearest name that would be right."""

    keys: Keys
    text: str
    near: str | None = None

    @property
    def sentence(self) -> str:
        """The text with its suggestion."""
        return f"{self.text}; did you mean `{self.near}`?" if self.near else self.text


def find_mistakes(settings: Settings) -> list[Mistake]:
    """Everything in the settings that cannot be right, in the order of the sections."""
    from devenv.config.cache_references import of_cache

    return [
        *of_environment(settings),
        *of_services(settings),
        *of_entities(settings),
        *of_links(settings),
        *of_groups(settings),
        *of_patterns(settings),
        *(Mistake(("person", key), text) for key, text in person_mistakes(settings)),
        *(Mistake(("token", key), text) for key, text in token_mistakes(settings)),
        *(each for name, trace in settings.trace.items() for each in of_trace(settings, name, trace)),
        *(each for name, cache in settings.cache.items() for each in of_cache(settings, name, cache)),
    ]


def of_environment(settings: Settings) -> Iterator[Mistake]:
    """Placeholders of `[env]`. `{{name}}` is `{name}` itself."""
    known = (*PLACEHOLDERS, *places_of(settings))
    for name, text in settings.env.items():
        yield from unknown_places(("env", name), PLAIN.findall(text), known)


def places_of(settings: Settings) -> list[str]:
    """The placeholders of own services, and of the issuer."""
    return [*own_places(settings), *(PLACES if has_issuer(settings) else ())]


def of_services(settings: Settings) -> Iterator[Mistake]:
    """`[backend]` and `[services.<name>]`: names, what they need, and their placeholders."""
    own = own_services(settings)
    places = places_of(settings)
    if settings.backend is not None and settings.backend.health is not None:
        yield from of_path(("backend", "health"), settings.backend.health)
    for name, service in settings.services.items():
        place: Keys = ("services", name)
        if name in RESERVED or (name == ISSUER and has_issuer(settings)):
            yield Mistake(place, f"`{name}` is reserved by devenv; choose another name")
        if same := next((e for e in settings.services if e != name and place_of(e) == place_of(name)), None):
            yield Mistake(place, f"`{name}` and `{same}` have the same placeholder {{{place_of(name)}_url}}")
        yield from unknown_name((*place, "kind"), "kind", service.kind, [kind.name for kind in KINDS if kind.written])
        kind = keys_of(service.kind)
        yield from (
            Mistake((*place, key), f'is not a key of a service with kind = "{kind.name}"')
            for key in foreign_keys(service)
        )
        if not kind.command:
            continue
        if not service.command and not (service.stream and service.handler):
            yield Mistake(place, "needs a command" + (", or a handler" if service.stream else ""))
        yield from (Mistake((*place, key), text) for key, text in worker_mistakes(service))
        yield from of_ready(place, service)
    for name, each in own.items():
        section: Keys = ("backend",) if each.section == "[backend]" else ("services", name)
        declared = settings.backend.depends_on if section == ("backend",) and settings.backend else each.depends_on
        for needed in declared:
            yield from unknown_name((*section, "depends_on"), "service", needed, (*STORES, *own))
        yield from unknown_places((*section, "url"), PLAIN.findall(each.url), ("port",))
        if each.url and not has_host(each.url):
            yield Mistake((*section, "url"), "is not an address; write it like `http://127.0.0.1:{port}`")
        texts: list[tuple[Keys, str]] = [((*section, "command"), word) for word in each.command]
        texts += [((*section, "ready", "command"), word) for word in each.ready.command]
        texts += [((*section, "env", variable), text) for variable, text in each.env.items()]
        known = ({"port", "python"} if each.port is not None else {"python"}, PLACEHOLDERS, places)
        for keys, text in texts:
            yield from of_service_text(keys, text, {place for some in known for place in some}, own)
    if found := circle({name: each.depends_on for name, each in own.items()}):
        keys = ("backend",) if found[0] == "backend" else ("services", found[0])
        yield Mistake((*keys, "depends_on"), f"{' -> '.join(found)}: these services depend on each other")


def has_host(url: str) -> bool:
    """Return True if a URL names a host; `{port}` may stand in it."""
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False


def of_ready(place: Keys, service: OwnService) -> Iterator[Mistake]:
    """Conditions that ask a port need one; the pattern of a log is a regular expression."""
    for key, given in (("http", service.ready.http is not None), ("tcp", service.ready.tcp)):
        if given and service.port is None:
            yield Mistake((*place, "ready"), f"`{key}` needs a port: port = 3000, or port = 0 for any free one")
    if service.ready.http is not None and not service.ready.http.startswith("/"):
        yield Mistake((*place, "ready"), f"`http` must be a path, such as `/{service.ready.http}`")
    try:
        re.compile(service.ready.log or "")
    except re.error as error:
        yield Mistake((*place, "ready"), f"`log` must be a regular expression: {error}")


def of_service_text(keys: Keys, text: str, known: set[str], own: Iterable[str]) -> Iterator[Mistake]:
    """Placeholders in a command or a variable, which may have braces of their own.

    Only what is nearly a placeholder, or ends like one, is taken for a misspelt one.
    """
    portless = {f"{place_of(name)}_{part}": name for name in own for part in ("url", "port")}
    for place in sorted(set(PLAIN.findall(text)) - known):
        if place in portless:
            yield Mistake(keys, f"{{{place}}}: [services.{portless[place]}] has no port")
        elif place == "port":
            yield Mistake(keys, "{port}: this service has no port: port = 3000, or port = 0 for any free one")
        elif place.endswith(("_url", "_port")) or nearest(place, known):
            yield from unknown_places(keys, [place], known)


def of_entities(settings: Settings) -> Iterator[Mistake]:
    """`unique` names fields."""
    for name, entity in settings.entities.items():
        for field in entity.unique:
            yield from unknown_name(("entities", name, "unique"), "field", field, fields_of(entity))


def of_links(settings: Settings) -> Iterator[Mistake]:
    """Both ends can be read, and an attribute that is nearly a declared one is that one."""
    for number, link in enumerate(settings.links):
        source = SOURCE.fullmatch(link.source)
        if source is None:
            yield Mistake(("links", number, "from"), f"`{link.source}` is not `dynamodb:<table>.<attribute>`")
        if TARGET.fullmatch(link.to) is None:
            yield Mistake(("links", number, "to"), f"`{link.to}` is not `postgres:[<schema>.]<table>.<column>`")
        if source is None:
            continue
        kinds = [entity for entity in settings.entities.values() if entity.table == source["table"]]
        known = {name for entity in kinds for name in (*entity.match, *entity.attributes)}
        tables = {entity.table for entity in settings.entities.values()}
        if not kinds and (near := nearest(source["table"], tables)):
            yield Mistake(("links", number, "from"), f"no entity has the table `{source['table']}`", near)
        used = {"from": [source["attribute"]], "natural_key": list(link.natural_key), "copies": list(link.copies)}
        for key, attributes in used.items():
            for attribute in attributes:
                if known and attribute not in known and (near := nearest(attribute, known)):
                    text = f"no entity of table `{source['table']}` has the attribute `{attribute}`"
                    yield Mistake(("links", number, key), text, near)


def of_groups(settings: Settings) -> Iterator[Mistake]:
    """The entities of a group, and their fields."""
    for number, group in enumerate(settings.groups):
        place = ("groups", number)
        rows, entries = settings.entities.get(group.rows), settings.entities.get(group.entries or "")
        yield from unknown_name((*place, "rows"), "entity", group.rows, settings.entities)
        if group.entries is not None:
            yield from unknown_name((*place, "entries"), "entity", group.entries, settings.entities)
        wanted = [
            ("id", group.id, rows),
            ("id", group.id, entries),
            ("owner", group.owner, rows),
            ("other", group.other, rows),
            ("author", group.author, entries),
            ("time", group.time, rows),
            ("time", group.time, entries),
            *(("preview", name, rows) for name in group.preview),
            *(("preview", name, entries) for name in group.preview.values()),
        ]
        for key, name, entity in wanted:
            if name is not None and entity is not None:
                yield from unknown_name((*place, key), "field", name, fields_of(entity))


def of_patterns(settings: Settings) -> Iterator[Mistake]:
    """A pattern reads one store, and its entities are declared."""
    for name, pattern in settings.patterns.items():
        place = ("patterns", name)
        if (pattern.sql is None) == (pattern.table is None):
            yield Mistake(place, "needs either `table` or `sql`")
        if pattern.kind == "GetItem" and (pattern.limit or pattern.order or pattern.filter):
            yield Mistake(place, "operation `get` reads one item: it takes no limit, order or filter")
        for entity in pattern.entities:
            yield from unknown_name((*place, "entities"), "entity", entity, settings.entities)


def of_trace(settings: Settings, name: str, trace: Trace) -> Iterator[Mistake]:
    """One `[trace.<subject>]`: pattern, entity, group, fields, ids, and the placeholders of all that it sends."""
    place: Keys = ("trace", name)
    groups = [group.name for group in settings.groups]
    declared: Mapping[str, Iterable[str]] = {
        "pattern": settings.patterns,
        "entity": settings.entities,
        "group": groups,
    }
    for key, names in declared.items():
        if (named := getattr(trace, key)) is not None:
            yield from unknown_name((*place, key), key, named, names)
    yield from of_trace_fields(settings, place, trace)
    yield from (Mistake(keys, text) for keys, text in unfilled(place, trace))
    known = known_places(settings, trace)
    yield from unknown_places((*place, "where"), names_in(trace.where), known)
    yield from of_trace_entities(settings, place, trace, known)
    if trace.sql is not None:
        # The row itself is what the statement finds.
        yield from unknown_places((*place, "sql"), SQL_NAME.findall(trace.sql), known - {"row."}, "%({})s")
    used = [trace.pattern]
    library, request = trace.library, trace.request
    if library is not None:
        yield from (Mistake(keys, text) for keys, text in function_mistakes((*place, "library"), library))
        yield from unknown_places((*place, "library", "arguments"), names_in(library.arguments), known)
        yield from unknown_places((*place, "library", "page"), names_in(library.page), known)
        yield from unknown_places((*place, "library", "command"), names_in(library.command), known)
        for number, guard in enumerate(library.guards):
            at = (*place, "library", "guards", number)
            yield from unknown_places(at, names_in([guard.arguments, guard.returns]), known)
            if guard.pattern is not None:
                yield from unknown_name((*at, "pattern"), "pattern", guard.pattern, settings.patterns)
                used.append(guard.pattern)
    if request is not None:
        for key, template in (("path", request.path), ("headers", request.headers), ("body", request.body)):
            yield from unknown_places((*place, "request", key), names_in(template), known | {"token"})
        yield from of_path((*place, "request", "path"), request.path)
    if trace.action is not None:
        yield from of_action(settings, (*place, "action"), trace.action, known)
    for pattern in used:
        if pattern in settings.patterns:
            yield from of_used_pattern(name, pattern, settings.patterns[pattern], known)


def of_path(place: Keys, path: str) -> Iterator[Mistake]:
    """A request goes to the application, so its path names no other host."""
    if not path.startswith("/") or path.startswith("//"):
        yield Mistake(place, "must be a path of the application, such as `/api/messages`")


def of_action(settings: Settings, place: Keys, action: TraceAction, known: set[str]) -> Iterator[Mistake]:
    """A request that writes: its placeholders, and the entities and fields of what it writes."""
    for key, template in (("path", action.path), ("headers", action.headers), ("body", action.body)):
        yield from unknown_places((*place, key), names_in(template), known | {"token", "text"})
    yield from of_path((*place, "path"), action.path)
    values = known | {"text", "now", *(f"{name}." for name in settings.entities)}
    for number, each in enumerate(action.writes):
        at = (*place, "writes", number)
        if (each.entity is None) == (each.table is None):
            yield Mistake(at, "needs either `entity` or `table`", None)
        for key, named in (("where", each.where), ("fields", each.fields)):
            yield from unknown_places((*at, key), names_in(named), values)
        if each.entity is not None:
            yield from unknown_name((*at, "entity"), "entity", each.entity, settings.entities)
    for target in action.answer.values():
        entity, _, name = target.rpartition(".")
        if entity not in settings.entities and not any(each.table == entity for each in action.writes):
            yield from unknown_name((*place, "answer"), "entity", entity or name, settings.entities)


def of_used_pattern(subject: str, name: str, pattern: Pattern, known: set[str]) -> Iterator[Mistake]:
    """A trace fills in the parameters of its pattern: there they are not taken from the data."""
    used = f"[trace.{subject}] uses this pattern and has no "
    for part in ("key", "sort", "filter", "values"):
        places = names_in(getattr(pattern, part))
        yield from unknown_places(("patterns", name, part), places, known, "{{{}}}", used)
    yield from unknown_places(("patterns", name, "sql"), SQL_NAME.findall(pattern.sql or ""), known, "%({})s", used)


def of_trace_entities(settings: Settings, place: Keys, trace: Trace, known: set[str]) -> Iterator[Mistake]:
    """The kinds of an answer: declared either way, each once, of one table, and brought by the pattern."""
    if trace.entities:
        for key in ("entity", "fields", "sorted_by", "order"):
            if getattr(trace, key):
                yield Mistake((*place, key), f"`{key}` belongs in [[trace.{place[1]}.entities]], which this trace has")
    pattern = settings.patterns.get(trace.pattern or "")
    tables: dict[str, str] = {}
    for number, part in enumerate(trace.kinds):
        at = (*place, "entities", number) if trace.entities else place
        entity = settings.entities.get(part.entity)
        if trace.entities:
            yield from unknown_name((*at, "entity"), "entity", part.entity, settings.entities)
            yield from of_part_fields(settings, at, part, entity)
            yield from unknown_places((*at, "where"), names_in(part.where), known)
        if entity is None:
            continue
        if trace.entities and not part.where:
            # The trace's own `where` holds for this kind, too.
            for name in trace.where:
                yield from unknown_name(
                    (*place, "where"), "field", name, fields_of(entity), lacks=f"[entities.{part.entity}] has no field"
                )
        if part.entity in tables:
            yield Mistake((*at, "entity"), f"`{part.entity}` is declared twice")
        tables[part.entity] = entity.table
        if entity.table != next(iter(tables.values())):
            text = f"`{part.entity}` has the table `{entity.table}`; all entities of a trace need the same one"
            yield Mistake((*at, "entity"), text)
        if pattern is not None and pattern.entities and part.entity not in pattern.entities:
            brought = ", ".join(f"`{name}`" for name in pattern.entities)
            yield Mistake((*at, "entity"), f"pattern `{trace.pattern}` does not return `{part.entity}`, only {brought}")


def of_part_fields(settings: Settings, place: Keys, part: TraceEntity, entity: Entity | None) -> Iterator[Mistake]:
    """The fields of one of several kinds."""
    if part.sorted_by is not None:
        yield from unknown_name((*place, "sorted_by"), "field", part.sorted_by, part.fields)
    for key in ("library", "request"):
        shape: AnswerShape = getattr(part, key)
        for name in shape.fields:
            yield from unknown_name((*place, key, "fields"), "field", name, part.fields)
    if entity is None:
        return
    own = fields_of(entity)
    for name in part.where:
        yield from unknown_name((*place, "where"), "field", name, own)
    yield from of_id((*place, "ids"), part.ids, part.entity, own, part.fields)
    yield from of_answer_fields(settings, place, part.entity, own, part.fields)


def of_id(
    place: Keys, ids: Mapping[Any, str], entity: str, own: Iterable[str], fields: Mapping[str, str]
) -> Iterator[Mistake]:
    """An item's id is a field of its entity, or a template over such; `fields` gives an answer's id no other form."""
    stored = ids.get("dynamodb")
    if stored is None:
        return
    places = names_in(stored)
    for name in places or {stored}:
        yield from unknown_name(place, "field", name, own, lacks=f"[entities.{entity}] has no field")
    for layer in ("library", "http"):
        field = ids.get(layer, "")
        inner = fields.get(field)
        if inner and places == {inner} and stored != f"{{{inner}}}":
            written = stored.replace(f"{{{inner}}}", f"{{{field}}}")
            text = (
                f'dynamodb = "{stored}" and {layer} = "{field}" are never equal: according to `fields`, `{field}` holds'
            )
            yield Mistake(place, f'{text} only `{inner}`; write dynamodb = "{inner}", or {layer} = "{written}"')


def of_trace_fields(settings: Settings, place: Keys, trace: Trace) -> Iterator[Mistake]:
    """Fields of the answer are keys of `fields`; an item's id is a field of the entity."""
    shown = {*trace.fields, *(name for part in trace.entities for name in part.fields)}
    for key, names in (("payload", trace.payload), ("sorted_by", filter(None, [trace.sorted_by]))):
        for name in names:
            yield from unknown_name((*place, key), "field", name, shown)
    for part, section in (("library", trace.library), ("request", trace.request)):
        for name in section.fields if section is not None else ():
            yield from unknown_name((*place, part, "fields"), "field", name, shown)
    entity = settings.entities.get(trace.entity or "")
    if entity is None:
        return
    own = fields_of(entity)
    for name in trace.where:
        yield from unknown_name((*place, "where"), "field", name, own)
    yield from of_id((*place, "ids"), trace.ids, trace.entity or "", own, trace.fields)
    yield from of_answer_fields(settings, place, trace.entity or "", own, trace.fields)


def known_places(settings: Settings, trace: Trace) -> set[str]:
    """The placeholders that a trace can fill in; `person.` and `row.` stand for all columns of that row."""
    known = {*trace.params, *OF_TRACE}
    if settings.person is not None:
        known.add("person.")
    if trace.sql is not None:
        known.add("row.")
    return known


def fields_of(entity: Entity) -> set[str]:
    """The fields of an entity: what is declared, and every place in its templates."""
    return {*entity.attributes, *(place for text in entity.match.values() for place in re.findall(r"\{(\w+)\}", text))}


def unknown_places(
    keys: Keys, places: Iterable[str], known: Iterable[str], form: str = "{{{}}}", said: str = ""
) -> Iterator[Mistake]:
    """One mistake for each placeholder that nothing fills in."""
    known = set(known)
    for place in sorted(set(places)):
        head, dot, _ = place.partition(".")
        if place in known or (dot and f"{head}." in known):
            continue
        near = nearest(place, {name for name in known if not name.endswith(".")})
        text = f"{said}{form.format(place)}" if said else f"{form.format(place)} is unknown"
        if head == "person" and dot:
            text += "; there is no section [person]"
        elif near is None:
            names = [form.format(name + ("<column>" if name.endswith(".") else "")) for name in sorted(known)]
            text += f"; known here: {', '.join(names)}" if names else ""
        yield Mistake(keys, text, form.format(near) if near else None)


# Where what a name stands for is declared.
SECTIONS = {"group": "[[groups]]", "entity": "[entities]", "pattern": "[patterns]", "trace": "[trace]"}


def unknown_name(keys: Keys, what: str, name: str, known: Iterable[str], *, lacks: str = "") -> Iterator[Mistake]:
    """A mistake when nothing of that name is declared. `lacks` begins the sentence: "public.users has no column"."""
    known = list(known)
    if name in known:
        return
    near = nearest(name, known)
    text = f"{lacks or f'there is no {what}'} `{name}`"
    if near is None:
        none = f"nothing is declared under {SECTIONS[what]}" if what in SECTIONS else "none is declared"
        text += f"; declared: {', '.join(sorted(known))}" if known else f"; {none}"
    yield Mistake(keys, text, near)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.7)), None)


# --- where it is written ---


def find_undeclared(settings: Settings, tables: Iterable[str]) -> list[Mistake]:
    """Tables of entities and links that are not among `tables`, those that step schema-load creates."""
    tables = list(tables)
    named: list[tuple[Keys, str]] = [
        (("entities", n, "table"), entity.table) for n, entity in settings.entities.items()
    ]
    for number, link in enumerate(settings.links):
        if source := SOURCE.fullmatch(link.source):
            named.append((("links", number, "from"), source["table"]))
    return [mistake for keys, table in named for mistake in unknown_name(keys, "table", table, tables)]


def refuse(mistakes: Sequence[Mistake], file: Path) -> None:
    """UsageError with all mistakes, each with its line and suggestion; nothing without one."""
    if mistakes:
        lines = describe(mistakes, file.name, file.read_text("utf-8-sig"))
        count = "a mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
        hint = f"correct {'it' if len(lines) == 1 else 'them'} in {file.name}, then: devenv config check"
        raise UsageError(f"{file} has {count}", detail="\n".join(lines), hint=hint)


def describe(mistakes: Iterable[Mistake], file: str, text: str) -> list[str]:
    """One line for each mistake: `devenv.toml:12: [trace.order.request] path: {oder_id} is unknown; did you mean …`."""
    lines = []
    for mistake in mistakes:
        number = find_line(text, mistake.keys)
        place = f"{file}:{number}" if number else file
        lines.append(f"{place}: {title_of(mistake.keys)}: {mistake.sentence}")
    return lines
