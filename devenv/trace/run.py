"""`devenv trace`: one request followed layer by layer; the first layer that breaks is named.

`trace(...)` asks every layer, judges (`trace.judge`), and returns a Report. The body of the
report, for those who render it:

    subject       {name, title, identifier, params: {name: text}, user: handle of who asks | null, said: [text]}
    started       ISO 8601 UTC, the beginning;  ms: the whole duration
    verdict       {status: ok|diverged|not_verified, layer, class, summary, cause, fix, also: [finding]}
                  fix is {text, command | null, safe} | null; all but status and also are null when status is ok
    layers        in order, each:
      index (from 1), name, question, status
      began_ms, ms        from the beginning, for a waterfall; layers run in parallel
      request             {…} what went in, by layer: variables, SQL, keys, function and arguments, method and path
      output              {…} what came out besides entries: targets, versions, rows, plan, queries, status, log lines
      expected_count, observed_count     null: not captured, or nothing to compare with
      missing, extra      [ids];  reordered: bool
      changed             [{id, field, expected, observed}]: payload fields as `[12 characters]` unless show_payloads
      entries             [{id, fields: {name: text | null}}] | null, at most ENTRIES of them, payloads as above;
                          expected: the same for the layer before, where the two differ (for a side-by-side view)
      cost                {requests, scanned, returned, units, computed} | null; units are the store's own figure
      findings            [{layer, class, summary, cause, fix, subjects: [ids]}], the worst first
      uncovered           [text]: declared, and not looked at: the verdict is then not `ok`
      unasked             why the layer was not asked, else null;  failure: {what, detail, cause, hint} | null
      notes               [text]: seen, but no fault
      summary             what was seen, in a few words;  evidence: [{label, text}], of a layer with findings
      attributes          {name: value | null}, by the names of OpenTelemetry
      follows             the layer whose fault explains a bad answer of this one, which is `ok` itself; else null
      right               why a refusal is no fault: who asks is no member; else null

`output` by layer:
    environment   {process: {pid, folder, python, started} | null, targets: {store: {project, application, same}},
                   variables: [{name, value, note}]}
    services      {services: [{name, answers, detail}], tables: [{name, differences: [text]}]}
    postgres      {person: {column: text} | null, role, near: [text]}
    dynamodb      {found, items: [{key, kind, note}], owners: [ids], near: [text]}
    cross-store   {links: [{name, target, ids, faults}]}
    pattern       {declared: text, pages, stages: [{without, count}], plan: text | null}
    library       {function, outcome, queries: [{text, count, scanned, target, error}] | null, differs: text | null,
                   guards: [{function, outcome, detail}], corrected: {…} | null, said: [lines of output]}
    http          {answers: [{who, status, problem, media, size, pages, ms, cors, detail}], log: [lines] | null}
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from devenv.capture.calls import Direction
from devenv.config.places import Keys, find_line, title_of
from devenv.config.schema import FILE
from devenv.core.errors import DevenvError, Exit
from devenv.core.lazy import Lazy
from devenv.core.model import Failure, Report
from devenv.core.templates import Unknown
from devenv.links.facts import Facts
from devenv.links.read import Kind
from devenv.patterns.declared import DIRECTIONS
from devenv.trace.application import find_application
from devenv.trace.closer import look_closer
from devenv.trace.judge.verdict import Judgement, judge
from devenv.trace.layer import Given, Layer
from devenv.trace.layers.registry import LAYERS
from devenv.trace.observation import DeclaredIds, Observation, Observations, PostgresObservation, Subject, observations
from devenv.trace.question import TraceContext, ask
from devenv.trace.report import report_of
from devenv.trace.request_writes import Writes, find_writes, finding_of, notes_of
from devenv.trace.young import faults_of, judge_young, told_young, wait_s, without_young

if TYPE_CHECKING:
    from devenv.config.trace import TraceLibrary
    from devenv.config.types import Order
    from devenv.links.facts import FactsContext
    from devenv.stack import Stack
    from devenv.trace.replay import Replayer

# A store that is written to all the time is traced so often before its differences count.
AGAIN: Final = 4
# How often a trace waits until the entries of the last seconds are old enough.
WAITS: Final = 2
NOTES: Final = 3


def trace(
    stack: Stack,
    subject: str,
    typed: tuple[str, ...],
    user: str | None,
    *,
    payloads: bool = False,
    layers: Sequence[Layer] = LAYERS,
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Ask every layer at once, judge, and report. UsageError for a question that cannot be asked.

    `payloads`: the report shows people's own words.
    """
    return trace_settled(partial(open_context, stack, subject, typed, user), layers, payloads=payloads, say=say)


def trace_settled(
    opened: Callable[[], TraceContext], layers: Sequence[Layer], *, payloads: bool, say: Callable[[str], None]
) -> Report:
    """Trace until nothing that was written meanwhile decides: an entry of the last seconds is looked at once more.

    What still cannot be told apart from a write under way is not verified.
    """
    waits, left = WAITS, AGAIN
    noted: tuple[str, ...] = ()
    while True:
        run = TraceRun(opened(), layers, noted)
        report = run.report(payloads=payloads)
        if run.disputed and waits:
            waits -= 1
            pause = wait_s(run.disputed.values(), run.context.facts.context.now())
            say(f"{told_young(run.disputed)}: reading again in {pause:.1f} s")
            time.sleep(pause)
            continue
        left -= 1
        if report.exit_code is not Exit.FOUND or not left or run.writes.own:
            return report
        if not (run.writes.meanwhile or run.was_written()):
            return report
        noted = tuple(dict.fromkeys([*noted, *notes_of(run.writes)]))[:NOTES]


def open_context(stack: Stack, subject: str, typed: tuple[str, ...], user: str | None) -> TraceContext:
    """Return what every layer gets. UsageError for a question that cannot be asked."""
    from devenv.lifecycle.facts import facts_context
    from devenv.lifecycle.steps import read_inputs

    question = ask(stack.settings, subject, typed, user)
    context = facts_context(stack, read_inputs(stack))
    application = find_application(stack, context)
    context = replace(context, application=application.environ)
    facts = Facts(context, trace=question.trace)
    return TraceContext(question, facts, application, dict(stack.environ), replayer(stack, context))


def replayer(stack: Stack, context: FactsContext) -> Replayer | None:
    """Runs the functions of stream workers on a copy; None without workers, and where this is a copy already."""
    if not context.look_at_workers:
        return None
    from devenv.testing.scratch import DisposableEngine
    from devenv.trace.replay import replay

    return None if isinstance(stack.engine, DisposableEngine) else partial(replay, stack)


class TraceRun:
    """One trace: every layer is asked once, by whoever needs it first.

    `noted` is what an earlier look saw being written.
    """

    def __init__(self, context: TraceContext, layers: Sequence[Layer] = LAYERS, noted: tuple[str, ...] = ()) -> None:
        self.context = context
        self.layers = tuple(layer for layer in layers if layer.declared(context.settings))
        self._lazy = {layer.name: Lazy(partial(self._observe, layer)) for layer in self.layers}
        self._begun: dict[str, Any] = {}
        self.judgement: Judgement | None = None
        self.disputed: Mapping[str, datetime] = {}
        self.writes = Writes()
        self.noted = noted

    def ask(self, name: str) -> Observation:
        """A layer's observation. Never raises: what goes wrong is in it."""
        return self._lazy[name]()

    def ask_all(self) -> Observations:
        """All layers, at the same time as far as they do not need each other."""
        for layer in self.layers:
            if layer.prepare is not None and layer.name not in self._begun:
                try:
                    self._begun[layer.name] = layer.prepare(self.context)
                except DevenvError:
                    self._begun[layer.name] = None  # the layer itself meets the same error, and tells
        with ThreadPoolExecutor(max(1, len(self.layers))) as pool:
            answers = {layer.name: pool.submit(self.ask, layer.name) for layer in self.layers}
        return observations({name: answer.result() for name, answer in answers.items()})

    def report(self, *, payloads: bool = False) -> Report:
        """The verdict with its evidence. Entries of the last seconds that decide alone are kept as `disputed`."""
        seen = self.ask_all()
        subject = subject_of(self.context, seen.postgres)
        self.writes = find_writes(self.context, seen)
        found = judge(subject, seen, self.layers)
        if (written := self.with_writes(seen, found)) is not seen:
            # Notes are told, not judged: thousands of entries are compared again only for a finding.
            again = written.http.findings != seen.http.findings
            seen = written
            found = judge(subject, seen, self.layers) if again else found
        if found.first is not None:
            seen = self.settled(look_closer(self.context, seen, found))
            found, self.disputed = judge_young(subject, seen, self.layers)
            if self.disputed:
                gap = f"{told_young(self.disputed)}; trace it again"
                stored = replace(seen.dynamodb, uncovered=(*seen.dynamodb.uncovered, gap))
                seen = replace(seen, dynamodb=stored)
                found = judge(subject, without_young(seen), self.layers)
        self.judgement = found
        code = {"ok": Exit.DONE, "diverged": Exit.FOUND, "not_verified": Exit.UNCHECKED}[found.status]
        return report_of(self.context, subject, seen, found, code, payloads=payloads)

    def with_writes(self, seen: Observations, found: Judgement) -> Observations:
        """The observations, with what the request itself or another process changed; `seen` itself if nothing was."""
        finding = finding_of(self.writes, faults_of(found))
        findings, notes = (finding,) if finding else (), (*self.noted, *notes_of(self.writes))
        if findings == seen.http.findings and not notes:
            return seen
        return replace(seen, http=replace(seen.http, findings=findings, notes=(*seen.http.notes, *notes)))

    def settled(self, seen: Observations) -> Observations:
        """The observations, with the entries that were written since DynamoDB was read marked as fleeting."""
        from devenv.trace.again import written_entries

        if seen.dynamodb.entries is None:
            return seen
        try:
            written = written_entries(self.context, seen.postgres.person)
        except (DevenvError, Unknown):
            return seen
        return replace(seen, dynamodb=replace(seen.dynamodb, fleeting=seen.dynamodb.fleeting | written))

    def was_written(self) -> bool:
        """Return True if DynamoDB does not hold what this trace saw: a difference may be a write, and no fault."""
        from devenv.trace.again import was_written

        postgres = self.ask("postgres") if "postgres" in self._lazy else None
        return was_written(self.context, postgres.person if isinstance(postgres, PostgresObservation) else None)

    def _observe(self, layer: Layer) -> Observation:
        """Ask one layer. The one broad `except`: a broken layer shows as such, and the others are still asked."""
        given = Given({name: self.ask(name) for name in layer.needs}, self._begun.pop(layer.name, None))
        began = time.perf_counter()
        try:
            seen = layer.observe(self.context, given)
        except DevenvError as error:
            seen = layer.empty(failure=error.failure)
        except Unknown as error:
            why = self.context.without_value(error.name, given.person)
            seen = layer.empty(unasked=why, declared=True)
        except Exception as error:  # noqa: BLE001
            seen = layer.empty(failure=Failure(f"the layer itself failed: {type(error).__name__}: {error}"))
        now = time.perf_counter()
        return replace(seen, began_ms=(began - self.context.clock) * 1000, ms=(now - began) * 1000)


def page_size(section: TraceLibrary) -> int | None:
    """The number among the arguments of a page."""
    return next((value for value in section.page.values() if type(value) is int), None)


def subject_of(context: TraceContext, person: PostgresObservation) -> Subject:
    """The declared subject, reduced to what the judgement compares by."""
    trace_, settings = context.question.trace, context.settings
    section, request = trace_.library, trace_.request
    given = settings.patterns[trace_.pattern] if trace_.pattern else None
    plan = context.facts.plan
    named: list[tuple[Mapping[str, str], Kind | None]]
    named = [(part.fields, plan.kind(part.entity)) for part in trace_.kinds] or [(trace_.fields, None)]
    row = person.person
    name = str(row[settings.person.name]) if row and settings.person else context.question.user
    return Subject(
        name=context.question.subject,
        identifier=context.question.identifier or name,
        fields=tuple(dict.fromkeys(name for fields, _ in named for name in fields)),
        types=types_of(named) | {name: context.linked_rows.type_of(one) for (_, name), one in context.linked.items()},
        sorted_by=trace_.sorted_by,
        orders={
            "pattern": direction(trace_.order) if given and given.order else None,
            "library": direction((section.order if section else None) or trace_.order),
            "http": direction((request.order if request else None) or trace_.order),
        },
        limits={
            "library": section.limit if section else None,
            "page": page_size(section) if section else None,
            "http": request.limit if request else None,
        },
        anonymous=request.anonymous if request else (),
        stranger=request.stranger if request else (),
        origin=request.origin if request else None,
        cursor=next((name for name in request.next.values() if name != "id"), None) if request else None,
        person=name,
        retry=" ".join(["devenv", "trace", context.question.subject, *context.question.values.values()]),
        began=context.began,
        sorting={part.entity: (part.sorted_by, direction(part.order)) for part in trace_.entities},
        unshown={
            "library": frozenset(part.entity for part in trace_.entities if not part.library.shown),
            "http": frozenset(part.entity for part in trace_.entities if not part.request.shown),
        },
        ids=dict(declared_ids(context)),
        linked={key: one.place for key, one in context.linked.items()},
        payload=trace_.payload,
        sources=dict(undeclared(named)),
    )


def undeclared(named: Iterable[tuple[Mapping[str, str], Kind | None]]) -> Iterator[tuple[str, str]]:
    """The fields that are read from an attribute which no entity declares, with its name."""
    for fields, kind in named:
        known = {one.name for one in kind.fields} if kind is not None else set()
        for name, there in fields.items():
            if kind is not None and there not in known and "." not in there:
                yield name, there


def declared_ids(context: TraceContext) -> Iterator[tuple[str, DeclaredIds]]:
    """The kinds of entries (one without a name where there is one kind) with their `ids` and where these stand."""
    trace_, subject = context.question.trace, context.question.subject
    file = context.facts.context.root / FILE
    try:
        text = file.read_text("utf-8-sig")
    except OSError:
        text = ""
    for number, part in enumerate(trace_.kinds):
        keys: Keys = ("trace", subject, "entities", number, "ids") if trace_.entities else ("trace", subject, "ids")
        line = find_line(text, keys)
        place = f"{FILE}:{line}" if line else FILE
        yield (
            part.entity if trace_.entities else "",
            DeclaredIds(f"{place} {title_of(keys)}", {str(layer): name for layer, name in part.ids.items()}),
        )


def types_of(named: Iterable[tuple[Mapping[str, str], Kind | None]]) -> dict[str, str]:
    """The declared type of each field; of one that two kinds have, the one that says more than text."""
    found: dict[str, str] = {}
    for fields, kind in named:
        for name, target in fields.items():
            declared = type_of(kind, target)
            if found.get(name, "string") == "string":
                found[name] = declared
    return found


def direction(order: Order | None) -> Direction | None:
    return DIRECTIONS[order] if order is not None else None


def type_of(kind: Kind | None, name: str) -> str:
    """The declared type of an item's field; text when it is not declared."""
    return next((field.type for field in kind.fields if field.name == name), "string") if kind else "string"
