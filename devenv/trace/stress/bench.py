"""Copies of both stores behind proxies, and the application's parts before those: what a run under stress needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from devenv.capture.disturb.disturbance import Disturbance
from devenv.capture.disturb.dynamodb import DisturbedDynamo, serving_dynamodb
from devenv.capture.disturb.postgres import DisturbedPostgres, serving_postgres
from devenv.capture.tap.server import Tap, TapRoute
from devenv.core.errors import UsageError
from devenv.testing.scratch import ScratchCopy, scratch_copy
from devenv.trace.action.run import RecordedCalls, not_safe, routes_to
from devenv.trace.conditions.condition import Part
from devenv.trace.layers.library import environment_of
from devenv.trace.observation import Entry, PostgresObservation, Subject
from devenv.trace.question import TraceContext
from devenv.trace.run import TraceRun, open_context, subject_of
from devenv.trace.stress.growth import Growth
from devenv.trace.stress.parts import ActionPart, CommandPart, FunctionPart, RequestPart, order_or_reason
from devenv.trace.stress.result import PartAnswer

if TYPE_CHECKING:
    from devenv.stack import Stack

AnyPart = FunctionPart | CommandPart | RequestPart | ActionPart


@dataclass
class Bench:
    """All that a run needs: the copy behind both proxies, the parts, and what they answer on a good day."""

    context: TraceContext
    subject: Subject
    person: Mapping[str, Any] | None
    dynamodb: DisturbedDynamo
    postgres: DisturbedPostgres
    calls: RecordedCalls
    parts: dict[Part, AnyPart]
    seconds: Mapping[Part, float]
    deadline: float
    healthy: dict[Part, PartAnswer] = field(default_factory=dict)
    grown: tuple[Entry, ...] = ()
    growth: Growth = field(default_factory=Growth)

    def disturb(self, disturbance: Disturbance) -> None:
        """Let both stores behave so from now on."""
        self.dynamodb.disturbance = disturbance
        self.postgres.disturbance = disturbance

    def ask(self, part: Part, pages: int | None = None, *, longer: float = 1.0) -> PartAnswer:
        """One part's answer, within its own limit times `longer`."""
        asked, seconds = self.parts[part], self.seconds[part] * longer
        if isinstance(asked, RequestPart) and pages is not None:
            return asked.ask(seconds, pages)
        return asked.ask(seconds)

    def unfit(self, part: Part) -> str | None:
        """Why a part cannot be tried: in what its answer is bad on a good day, on the copy."""
        healthy = self.healthy.get(part)
        if healthy is None:
            return None
        return f"error {healthy.error}" if healthy.error is not None else healthy.wrong


@contextmanager
def opened(
    stack: Stack, subject: str, typed: tuple[str, ...], user: str | None, deadline: float, say: Callable[[str], None]
) -> Iterator[Bench]:
    """The copy, the proxies before it, and the application and its parts before those."""
    from devenv.config.services import STORES

    for name in STORES:
        stack.require_running(name)
    with ExitStack() as entered:
        scratch = entered.enter_context(scratch_copy(stack, say))
        calls = RecordedCalls()
        routes = {route.kind: route for route in routes_to(scratch.stack.engine.targets())}
        dynamodb = entered.enter_context(serving_dynamodb(routes["dynamodb"].target))
        postgres = entered.enter_context(serving_postgres(routes["postgres"].target))
        ports = {"dynamodb": dynamodb.port, "postgres": postgres.port}
        behind = tuple(TapRoute(kind, 0, ("127.0.0.1", port)) for kind, port in ports.items())
        tap = entered.enter_context(Tap(behind, calls.take, contents=True))
        start_application(scratch, tap.ports, say)
        context = open_context(scratch.stack, subject, typed, user)
        run = TraceRun(context)
        found = run.ask("postgres")
        assert isinstance(found, PostgresObservation)  # noqa: S101 - of that layer
        person = found.person
        parts = parts_of(scratch, context, person, calls, run)
        if not parts:
            raise UsageError(f"`{subject}` declares neither a library nor a request", hint="devenv help traces")
        for part in parts.values():
            entered.callback(part.end)
        trace = context.question.trace
        seconds: dict[Part, float] = {
            "function": trace.library.seconds if trace.library else 0.0,
            "request": trace.request.seconds if trace.request else 0.0,
            "action": trace.action.seconds if trace.action else 0.0,
        }
        yield Bench(
            context,
            subject_of(context, found),
            person,
            dynamodb,
            postgres,
            calls,
            parts,
            seconds,
            deadline,
        )


def start_application(scratch: ScratchCopy, ports: Mapping[str, int], say: Callable[[str], None]) -> None:
    """Run the application on the copy, where the project has one as a process."""
    backend = scratch.stack.settings.backend
    if backend is None or not backend.command:
        return scratch.set_tap(ports)
    say("starting the application on the copy")
    return scratch.start_application(ports)


def parts_of(
    scratch: ScratchCopy,
    context: TraceContext,
    person: Mapping[str, Any] | None,
    calls: RecordedCalls,
    run: TraceRun,
) -> dict[Part, AnyPart]:
    """Return what can be tried."""
    found: dict[Part, AnyPart] = {}
    order = order_or_reason(context, person)
    environ = scratch.stack.engine.tapped({**environment_of(context), **scratch.stack.engine.marks()})
    if not isinstance(order, str):
        found["function"] = (
            CommandPart(context, order, environ, calls)
            if order.section.command
            else FunctionPart(context, order, environ)
        )
    trace, running = context.question.trace, context.application.pid is not None
    if running and trace.request is not None:
        found["request"] = RequestPart(context, person, calls)
    if running and trace.action is not None and not_safe(run, calls) is None:
        found["action"] = ActionPart(context, person, calls)
    return found
