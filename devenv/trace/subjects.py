"""`devenv trace` without a subject: what can be traced, each with a line to paste that has values of the stores."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from devenv.config.schema import Settings
from devenv.config.trace import Trace
from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.core.model import Report
from devenv.core.templates import fill, names_in
from devenv.links.values import canonical, scalar_text
from devenv.patterns.seen import Item
from devenv.stack import Stack
from devenv.trace.layers.services import relation_of

NOTHING = "no [trace.<name>] in devenv.toml: `devenv help traces` has examples to copy"

TEMPLATE = re.compile(r"#\s?\[trace\.[\w-]+\]\s*$")


def list_subjects(stack: Stack) -> Report:
    """Every subject with its parameters and a line to paste. UsageError where none is declared."""
    settings = stack.settings
    if not settings.trace:
        raise UsageError("this project declares nothing to trace", detail=nothing(stack), hint="devenv help traces")
    people, why = read_people_of(stack)
    rows = []
    for name, trace in settings.trace.items():
        values, items, missing = values_of(stack, trace)
        user = user_of(settings, trace, values, people, named_ids(settings, trace, values, items))
        typed = [values.get(parameter) for parameter in trace.params]
        line = None
        if all(typed) and (user or trace.group is not None or "person" not in needed(settings, trace)):
            words = ["devenv", "trace", name, *map(str, typed), *(["--user", user] if user else [])]
            line = shlex.join(words)
        rows.append(
            {
                "name": name,
                "title": trace.title,
                "params": list(trace.params),
                "line": line,
                "why": None if line else missing or why or "no item and no user to take a value from",
            }
        )
    return Report("trace", settings.project.name, Exit.DONE, {"subjects": rows})


def nothing(stack: Stack) -> str:
    """Where the project can begin: at the commented template that `init` wrote, or at the examples of the help."""
    try:
        lines = (stack.root / "devenv.toml").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return NOTHING
    at = next((n for n, line in enumerate(lines, 1) if TEMPLATE.match(line)), None)
    return f"devenv.toml:{at} has a commented template: fill it in, and remove its `# `" if at else NOTHING


def values_of(stack: Stack, trace: Trace) -> tuple[Mapping[str, str], Sequence[Item], str | None]:
    """The parameters of the items that are there, with these items, and else why there are none."""
    from devenv.patterns.observe import read_table
    from devenv.patterns.samples import sample
    from devenv.patterns.seen import Unsampled
    from devenv.stores.dynamodb.client import Dynamo, read_only

    pattern = stack.settings.patterns.get(trace.pattern or "")
    if pattern is None or pattern.table is None:
        return {}, (), "it does not name a pattern of DynamoDB"
    try:
        with Dynamo(read_only(stack.dynamodb())) as dynamodb:
            table = read_table(dynamodb, pattern.table)
    except DevenvError as error:
        return {}, (), f"{error.what}: {error.hint}" if error.hint else error.what
    place = table.place(pattern.index)
    if place is None:
        return {}, (), f"there is no table {pattern.table}"
    now = datetime.now(UTC)
    found = sample(pattern, place, table, {}, {"year": f"{now:%Y}", "today": f"{now:%Y-%m-%d}"})
    return ({}, (), found.reason) if isinstance(found, Unsampled) else (found[0].values, table.items, None)


def named_ids(settings: Settings, trace: Trace, values: Mapping[str, str], items: Sequence[Item]) -> list[str]:
    """The ids of people that the links read in the items of these values, the most frequent first."""
    person, pattern = settings.person, settings.patterns.get(trace.pattern or "")
    if person is None or pattern is None:
        return []
    known = {name: text for name, text in pattern.key.items() if names_in(text) <= set(values)}
    wanted = {name: fill(text, values) for name, text in known.items()}
    mine = [item for item in items if all(scalar_text(item.get(name)) == text for name, text in wanted.items())]
    table = relation_of(person.table)
    found: Counter[str] = Counter()
    for link in settings.links:
        source, part, _ = link.source.removeprefix("dynamodb:").partition("[")
        relation, _, column = link.to.removeprefix("postgres:").rpartition(".")
        place, _, attribute = source.rpartition(".")
        if place != pattern.table or relation_of(relation) != table or column != person.id:
            continue
        head, _, tail = link.source.partition("[")[2].removesuffix("]").partition("{}") if part else ("", "", "")
        texts = (scalar_text(item.get(attribute)) or "" for item in mine)
        found.update(
            canonical(text.removeprefix(head).removesuffix(tail))
            for text in texts
            if text.startswith(head) and text.endswith(tail)
        )
    return [id_ for id_, _ in found.most_common()]


def needed(settings: Settings, trace: Trace) -> set[str]:
    """`person`, if a request of this subject needs one."""
    pattern = settings.patterns.get(trace.pattern or "")
    given: list[Any] = [trace.where, pattern.key if pattern else {}]
    given += [trace.request.path, trace.request.headers] if trace.request else []
    given += [trace.library.arguments, list(trace.library.command)] if trace.library else []
    return {"person" for name in names_in(given) if name.startswith("person.") or name in ("token", "user")}


def read_people_of(stack: Stack) -> tuple[list[dict[str, Any]], str | None]:
    """The rows of people, and else why there are none."""
    from devenv.stores.postgres import client as postgres
    from devenv.stores.postgres.reader import reading
    from devenv.trace.layers.postgres import read_people

    declared = stack.settings.person
    if declared is None:
        return [], None
    try:
        target = stack.postgres()
        with reading(target, autocommit=True) as connection, postgres.translated(target.address):
            return read_people(connection, declared), None
    except DevenvError as error:
        return [], error.what


def user_of(
    settings: Settings,
    trace: Trace,
    values: Mapping[str, str],
    people: list[dict[str, Any]],
    named: Sequence[str] = (),
) -> str | None:
    """The name of the person whom the values belong to, else whom the items name; else the first, if one is needed.

    None where `devenv trace` finds the person by itself: the first member of a group.
    """
    declared = settings.person
    if declared is None or not people:
        return None
    wanted = {name.removeprefix("person."): canonical(text) for name, text in values.items() if "person." in name}
    rows = [row for row in people if all(name in row and canonical(row[name]) == text for name, text in wanted.items())]
    mine = next(iter(rows), None) if wanted else None
    if mine is None and (trace.group is not None or not needed(settings, trace)):
        return None
    if mine is None:
        by_id = {canonical(row[declared.id]): row for row in people}
        mine = next((by_id[id_] for id_ in named if id_ in by_id), None)
    return str((mine or people[0])[declared.name])
