"""`devenv trace`: one request followed layer by layer; the first layer that breaks is named.

`trace(...)` asks every layer, judges (`trace.judge`), and returns a Report. The body, beyond the
contract's keys, for those who render it:

    subject       {name, title, identifier, params: {name: text}, user: handle of who asks | null, said: [text]}
    started       ISO 8601 UTC, the beginning;  ms: the whole duration
    verdict       {status: ok|diverged|not_verified, layer, class, summary, cause, fix, also: [finding]}
                  fix is {text, command | null, safe} | null; all but status and also are null when status is ok
    layers[8]     in order, each:
      index (1..8), name, question, status
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
      unasked             why the layer was not asked, else null;  failure: {what, detail, cause, hint} | null
      notes               [text]: seen, but no fault
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
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import psutil

from devenv.capture import process
from devenv.capture.calls import Direction
from devenv.core.errors import DevenvError, Exit
from devenv.core.model import Failure, Report
from devenv.links.facts import Facts
from devenv.links.read import Kind
from devenv.patterns.declared import DIRECTIONS
from devenv.trace.judge import verdict as judgement
from devenv.trace.layers import cross_store, dynamodb, environment, http, library, pattern, postgres, services
from devenv.trace.observation import (
    LAYERS,
    DynamoSeen,
    HttpSeen,
    LayerName,
    LibrarySeen,
    Observation,
    PatternSeen,
    PostgresSeen,
    Seen,
    Subject,
)
from devenv.trace.question import Application, Inquiry, ask
from devenv.trace.report import report_of

if TYPE_CHECKING:
    from devenv.config.schema import Order
    from devenv.links.facts import FactsContext
    from devenv.stack import Stack


def trace(stack: Stack, subject: str, typed: tuple[str, ...], user: str | None, *, payloads: bool = False) -> Report:
    """Ask every layer at once, judge, and report. UsageError for a question that cannot be asked.

    `payloads`: the report shows people's own words.
    """
    run = open_run(stack, subject, typed, user)
    run.ask_all()
    return run.report(payloads=payloads)


def open_run(stack: Stack, subject: str, typed: tuple[str, ...], user: str | None) -> Run:
    """A trace that has not asked anything yet, but lets the application's interpreter start."""
    from devenv.lifecycle import up
    from devenv.lifecycle.facts import facts_context

    question = ask(stack.settings, subject, typed, user)
    context = facts_context(stack, up.read_inputs(stack))
    application = find_application(stack, context)
    context = replace(context, application=application.environ)
    return Run(Inquiry(question, Facts(context), application, dict(stack.environ)))


def find_application(stack: Stack, context: FactsContext) -> Application:
    """The process that serves the application: the one that devenv started, else whoever listens at its address."""
    from urllib.parse import urlsplit

    from devenv.host import processes

    backend = stack.settings.backend
    if backend is None:
        return Application()
    recorded = stack.engine.process("backend")
    ours = recorded is not None and processes.is_running(recorded)
    url = urlsplit(context.targets.backend_url or "")
    if not ours and (contained := find_contained(stack, url.port)):
        return contained
    pid = serving(recorded.pid, url.port) if ours and recorded else None
    if pid is None and url.hostname in ("127.0.0.1", "localhost", "::1") and url.port:
        pid = processes.holder(url.port).pid
    if pid is None:
        return Application()
    log = stack.engine.log("backend") if ours else None
    seen = look_at(pid)
    environ = None if seen.environ is None else stack.engine.untapped(seen.environ)
    stale = ours and stack.engine.settings_changed(stack.environment())
    return replace(seen, environ=environ, log=log, stale=stale)


def find_contained(stack: Stack, port: int | None) -> Application | None:
    """The application where it is a container: the project's own, or one that publishes the port; else None."""
    from devenv.host import processes

    if stack.engine.name != "docker" and (port is None or not is_forwarder(processes.holder(port).pid)):
        return None
    from devenv.engines.docker.engine import OnDocker

    engine = stack.engine
    try:
        docker = engine if isinstance(engine, OnDocker) else OnDocker(engine.loaded, engine.folder, engine.environ)
        container = docker.application_container(port)
    except DevenvError:
        return None
    if container is None:
        return None
    ours = docker is engine and docker.contained
    return Application(
        container.pid or 0,
        docker.seen_from_here(container),
        started=datetime.fromisoformat(f"{container.started[:19]}+00:00").timestamp(),
        log=engine.log("backend") if ours else None,
        stale=ours and engine.settings_changed(stack.environment()),
    )


def is_forwarder(pid: int | None) -> bool:
    """Whether a process is Docker's own, which stands before a container's port."""
    try:
        return pid is not None and psutil.Process(pid).name() == "docker-proxy"
    except psutil.Error:
        return False


def serving(pid: int, port: int | None) -> int:
    """The process of this family that listens on the port: a shell or a reloader may stand before it."""
    from devenv.host import processes

    for member in (pid, *processes.children(pid)):
        try:
            sockets = psutil.Process(member).net_connections(kind="tcp")
        except psutil.Error:
            continue
        if any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in sockets):
            return member
    return pid


def look_at(pid: int) -> Application:
    """What the system tells of a process; the rest None where it is not this account's to know."""
    try:
        process = psutil.Process(pid)
        started = process.create_time()
    except psutil.Error:
        return Application(pid)
    environ: Mapping[str, str] | None = None
    folder: Path | None = None
    python: str | None = None
    try:
        environ = process.environ()
        folder = Path(process.cwd())
        command = process.cmdline()
    except psutil.Error:
        command = []
    if command and Path(command[0]).is_absolute() and Path(command[0]).name.startswith("python"):
        python = command[0]
    return Application(pid, environ, folder, python, started)


EMPTY: Final[Mapping[LayerName, type[Observation]]] = {
    "postgres": PostgresSeen,
    "dynamodb": DynamoSeen,
    "pattern": PatternSeen,
    "library": LibrarySeen,
    "http": HttpSeen,
}


@dataclass
class Once:
    """One layer's observation: asked by the first who wants it, remembered for the others."""

    guard: Lock
    seen: Observation | None = None


class Run:
    """One trace. `ask` gives a layer's observation (with what it needs), `again` asks it anew, `judge` judges all."""

    def __init__(self, inquiry: Inquiry) -> None:
        self.inquiry = inquiry
        self._once = {name: Once(Lock()) for name in LAYERS}
        self._begun: process.Running | None = None
        self._asks: Mapping[LayerName, Callable[[], Observation]] = {
            "environment": lambda: environment.observe(self.inquiry),
            "services": lambda: services.observe(self.inquiry),
            "postgres": lambda: postgres.observe(self.inquiry, lambda: dynamodb.members_of(self.inquiry)),
            "dynamodb": lambda: dynamodb.observe(self.inquiry, self._person()),
            "cross-store": lambda: cross_store.observe(self.inquiry, self._person()),
            "pattern": lambda: pattern.observe(self.inquiry, self._person()),
            "library": self._library,
            "http": lambda: http.observe(self.inquiry, self._person(), self._postgres().stranger),
        }

    def begin(self) -> None:
        """Start what takes longest: the application's interpreter."""
        try:
            self._begun = library.begin(self.inquiry, library.environment_of(self.inquiry))
        except DevenvError:
            self._begun = None  # the layer itself meets the same error, and tells

    def ask(self, name: LayerName) -> Observation:
        """A layer's observation. Never raises: what goes wrong is in it."""
        once = self._once[name]
        with once.guard:
            if once.seen is None:
                once.seen = self._timed(name)
            return once.seen

    def ask_all(self) -> Seen:
        """All layers, at the same time as far as they do not need each other."""
        if self._once["library"].seen is None and self._begun is None:
            self.begin()
        with ThreadPoolExecutor(len(LAYERS)) as pool:
            answers: list[Future[Observation]] = [pool.submit(self.ask, name) for name in LAYERS]
        seen = [answer.result() for answer in answers]
        return Seen(*seen)  # type: ignore[arg-type]

    def again(self, name: LayerName) -> Observation:
        """Ask a layer anew, from fresh stores; the others keep what they gave."""
        self.inquiry = replace(self.inquiry, facts=Facts(self.inquiry.facts.context))
        with self._once[name].guard:
            self._once[name].seen = None
        return self.ask(name)

    def judge(self) -> judgement.Judgement:
        """The verdict over all layers."""
        return judgement.judge(self.subject(), self.ask_all())

    def report(self, *, payloads: bool = False) -> Report:
        """The verdict with its evidence."""
        seen = self.ask_all()
        found = judgement.judge(self.subject(), seen)
        code = {"ok": Exit.DONE, "diverged": Exit.FOUND, "not_verified": Exit.UNCHECKED}[found.status]
        return report_of(self.inquiry, self.subject(), seen, found, code, payloads=payloads)

    def subject(self) -> Subject:
        """The subject as the judgement needs it."""
        return subject_of(self.inquiry, self._postgres())

    def _postgres(self) -> PostgresSeen:
        seen = self.ask("postgres")
        assert isinstance(seen, PostgresSeen)  # noqa: S101 - what the layer gives
        return seen

    def _person(self) -> Mapping[str, Any] | None:
        return self._postgres().person

    def _library(self) -> Observation:
        begun, self._begun = self._begun, None
        return library.observe(self.inquiry, self._person(), self.ask("environment"), begun)

    def _timed(self, name: LayerName) -> Observation:
        """Ask one layer. The one broad `except`: a broken layer shows as such, and the others are still asked."""
        needs: tuple[LayerName, ...] = {"library": ("environment", "postgres")}.get(name, ())  # type: ignore[assignment]
        if name in ("dynamodb", "cross-store", "pattern", "http"):
            needs = ("postgres",)
        for other in needs:
            self.ask(other)
        began = time.perf_counter()
        empty = EMPTY.get(name, Observation)
        try:
            seen = self._asks[name]()
        except DevenvError as error:
            seen = empty(failure=error.failure)
        except Exception as error:  # noqa: BLE001
            seen = empty(failure=Failure(f"the layer itself failed: {type(error).__name__}: {error}"))
        now = time.perf_counter()
        return replace(seen, began_ms=(began - self.inquiry.clock) * 1000, ms=(now - began) * 1000)


def subject_of(inquiry: Inquiry, person: PostgresSeen) -> Subject:
    """The declared subject, reduced to what the judgement compares by."""
    trace_, settings = inquiry.question.trace, inquiry.settings
    kind = inquiry.facts.plan.kind(trace_.entity) if trace_.entity else None
    section, request = trace_.library, trace_.request
    given = settings.patterns[trace_.pattern] if trace_.pattern else None
    row = person.person
    name = str(row[settings.person.name]) if row and settings.person else inquiry.question.user
    return Subject(
        name=inquiry.question.subject,
        identifier=inquiry.question.identifier or name,
        fields=tuple(trace_.fields),
        types={field: type_of(kind, target) for field, target in trace_.fields.items()},
        sorted_by=trace_.sorted_by,
        orders={
            "pattern": direction(trace_.order) if given and given.order else None,
            "library": direction((section.order if section else None) or trace_.order),
            "http": direction((request.order if request else None) or trace_.order),
        },
        limits={"library": section.limit if section else None, "http": request.limit if request else None},
        anonymous=request.anonymous if request else (),
        stranger=request.stranger if request else (),
        origin=request.origin if request else None,
        person=name,
        retry=" ".join(["devenv", "trace", inquiry.question.subject, *inquiry.question.values.values()]),
        began=inquiry.began,
    )


def direction(order: Order | None) -> Direction | None:
    """An order as a direction."""
    return DIRECTIONS[order] if order is not None else None


def type_of(kind: Kind | None, name: str) -> str:
    """The declared type of an item's field; text when it is not declared."""
    return next((field.type for field in kind.fields if field.name == name), "string") if kind else "string"
