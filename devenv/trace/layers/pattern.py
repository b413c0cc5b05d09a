"""Layer `pattern`: what the declared access pattern returns of the items, and what takes the rest away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import asdict

from devenv.capture.calls import StoreCall, shown
from devenv.core.errors import StoreError, UsageError
from devenv.core.templates import Unknown
from devenv.patterns.declared import Restriction, describe, prepare, request_of, run, run_sql
from devenv.stores.dynamodb.client import Dynamo, read_only
from devenv.trace.answers import form_of_items, read_rows, repeated
from devenv.trace.judge.pattern import judge_pattern
from devenv.trace.layer import Given, Layer
from devenv.trace.observation import Observation, PatternObservation
from devenv.trace.question import TraceContext


def observe(inquiry: TraceContext, given: Given) -> PatternObservation:
    """Run the pattern, and again without each of its restrictions. StoreError when the store does not answer."""
    name = inquiry.question.trace.pattern
    if name is None:
        return PatternObservation(unasked="the subject declares no pattern")
    pattern = inquiry.settings.patterns[name]
    try:
        if pattern.sql is not None:
            return observe_sql(inquiry, pattern.sql, given.person)
        return observe_dynamodb(inquiry, name, given.person)
    except Unknown as error:
        why = inquiry.without_value(error.name, given.person, "the pattern")
        return PatternObservation(unasked=why, declared=True)


def observe_dynamodb(inquiry: TraceContext, name: str, person: Mapping[str, Any] | None) -> PatternObservation:
    pattern = inquiry.settings.patterns[name]
    trace = inquiry.question.trace
    form = form_of_items(trace, inquiry.facts.known_plan(), pattern.entities, inquiry.linked_rows)
    table = inquiry.facts.described().get(pattern.table or "")
    prepared = prepare(pattern, inquiry.parameters(person), table)
    asked = describe(prepared)
    request: dict[str, Any] = {"pattern": name, "declared": shown(asked)}
    try:
        request["request"] = request_of(prepared)
        with Dynamo(read_only(inquiry.facts.context.targets.dynamodb)) as dynamodb:
            read = run(dynamodb, prepared)
            reads = []
            lifted: list[Restriction] = []
            for restriction in prepared.restrictions:
                lifted.append(restriction)
                reads.append((restriction, run(dynamodb, prepared.lifted(*lifted))))
    except StoreError as error:
        if not error.reached:
            raise
        return PatternObservation(request=request, asked=asked, refused=error.code or "refused", failure=error.failure)
    except UsageError as error:
        return PatternObservation(request=request, asked=asked, refused="not possible", failure=error.failure)
    entries, strays = form.entries(read.items) if form else ((), 0)
    return PatternObservation(
        request=request,
        output={
            "pages": read.pages,
            "more": read.more,
            "stages": [{"without": restriction, "count": len(again.items)} for restriction, again in reads],
            "plan": None,
        },
        entries=entries,
        cost=read.cost,
        asked=StoreCall(**{**asdict(asked), "count": len(read.items), "scanned": read.scanned}),
        stages=tuple((restriction, form.entries(again.items)[0] if form else ()) for restriction, again in reads),
        strays=strays,
        expected=(pattern.expected.at_least, pattern.expected.at_most),
        notes=tuple(remarks(asked, read.more)),
    )


def remarks(asked: StoreCall, more: bool) -> list[str]:
    """Return what is no fault yet and will be one."""
    found = []
    if not asked.followed and not more:
        found.append(f"its limit of {asked.limit or '1 MB'} is not reached yet; the next page is not requested")
    if asked.sort:
        found.append(f"it leaves out items outside its sort-key condition ({asked.sort})")
    return found


def observe_sql(inquiry: TraceContext, text: str, person: Mapping[str, Any] | None) -> PatternObservation:
    target = inquiry.facts.context.targets.postgres
    values = inquiry.parameters(person)
    asked = StoreCall("SQL", sql=text, store="postgres")
    try:
        answer, plan = run_sql(target, text, values)
    except StoreError as error:
        if not error.reached:
            raise
        return PatternObservation(
            request={"sql": text}, asked=asked, refused=error.code or "refused", failure=error.failure
        )
    entries = read_rows(inquiry.question.trace, answer.columns, answer.rows, {name for _, name in inquiry.linked})
    return PatternObservation(
        request={"sql": text},
        output={"pages": 1, "more": False, "stages": [], "plan": plan},
        entries=entries,
        asked=asked,
        uncovered=tuple(repeated(entries)),
    )


def declared_guard(inquiry: TraceContext, name: str | None, person: Mapping[str, Any] | None) -> StoreCall | None:
    """The pattern that a guard should use, as a read; None when it declares none, or a parameter is not known."""
    if name is None:
        return None
    pattern = inquiry.settings.patterns[name]
    try:
        table = inquiry.facts.described().get(pattern.table or "")
        return describe(prepare(pattern, inquiry.parameters(person), table))
    except (Unknown, StoreError):
        return None


def statement(seen: Observation) -> str:
    """The declared pattern in one line."""
    return str(seen.request.get("declared") or seen.request.get("sql") or "")


def summarize(seen: Observation) -> str:
    """The declared pattern in one line, and that no item matches it: `0 of 0` alone does not say why."""
    is_empty = isinstance(seen, PatternObservation) and seen.asked is not None and seen.asked.count == 0
    return f"no item matches {statement(seen)}" if is_empty else statement(seen)


def attributes(seen: Observation) -> Mapping[str, Any]:
    """The store that the declared pattern asks. Capacity is what the store said, in the form of its own answer."""
    sent = seen.request.get("request") or {}
    table, index = sent.get("TableName"), sent.get("IndexName")
    units = seen.cost.units if seen.cost else None
    used = {"TableName": table, "CapacityUnits": units}
    shown_units = json.dumps({name: part for name, part in used.items() if part is not None})
    return {
        "db.system.name": "postgresql" if seen.request.get("sql") else "aws.dynamodb",
        "db.query.text": statement(seen) or None,
        "aws.dynamodb.table_names": [table] if table else None,
        "aws.dynamodb.index_name": index,
        "aws.dynamodb.consumed_capacity": [shown_units] if units is not None else None,
    }


LAYER: Final = Layer(
    name="pattern",
    question="Which of these items does the declared access pattern return?",
    observe=observe,
    needs=("postgres",),
    judge=judge_pattern,
    summarize=summarize,
    attributes=attributes,
    empty=PatternObservation,
)
