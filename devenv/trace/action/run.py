"""`devenv trace SUBJECT … --action`: the declared write, sent on a scratch copy of both stores.

The layers of the trace are asked afterwards, on the copy; `postgres`, `dynamodb`, `library` and `http` also say what
the action wrote. Their `output` has `written`: [{what, change, count, things: [{key, problem, fields: [{name, expected,
observed, right}]}]}]; that of `library` has `writes`: the calls. The user's stores are only read.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from devenv.capture.tap.records import Request, WireCall
from devenv.capture.tap.server import Tap, TapRoute
from devenv.config.services import STORES
from devenv.config.writes import TraceAction
from devenv.core.errors import UsageError
from devenv.core.model import Finding, Fix, Report, Targets
from devenv.core.templates import Unknown, fill, names_in
from devenv.links.values import as_text
from devenv.testing.scratch import scratch_copy
from devenv.trace.action.calls import find_loose_writes, write_texts
from devenv.trace.action.data import differences, read_things
from devenv.trace.action.judge import JudgedWrites, WriteLedger, judge_writes
from devenv.trace.answers import walk
from devenv.trace.difference import same
from devenv.trace.judge.fault import Judged, LayerFinding, at_layer, judge_findings
from devenv.trace.judge.verdict import STORED
from devenv.trace.layer import Given, Layer
from devenv.trace.layers.http import Raw, reason_of, send
from devenv.trace.layers.pages import Ask
from devenv.trace.layers.registry import LAYERS
from devenv.trace.layers.requests import address_of, carries
from devenv.trace.observation import Observation, Observations, Subject
from devenv.trace.question import TraceContext
from devenv.trace.run import TraceRun, open_context, trace_settled
from devenv.trace.tokens import make_token

if TYPE_CHECKING:
    from devenv.stack import Stack

Say = Callable[[str], None]


@dataclass
class RecordedCalls:
    """The calls that the tap recorded, in the order in which it ended."""

    found: list[WireCall] = field(default_factory=list)

    def take(self, record: WireCall | Request) -> None:
        """Keep a call."""
        if isinstance(record, WireCall):
            self.found.append(record)


@dataclass(frozen=True)
class ActionOutcome:
    """The outcome of an action. `unasked`: it was not sent, and why. `findings` are by layer.

    `before` are the faults of the data that the copy had from the beginning.
    """

    action: TraceAction
    unasked: str | None = None
    sent: Mapping[str, Any] = field(default_factory=dict)
    answer: Mapping[str, Any] = field(default_factory=dict)
    writes: JudgedWrites | None = None
    calls: tuple[WireCall, ...] = ()
    findings: tuple[tuple[str, Finding], ...] = ()
    before: tuple[Finding, ...] = ()


def trace_action(
    stack: Stack, subject: str, typed: tuple[str, ...], user: str | None, *, payloads: bool = False, say: Say
) -> Report:
    """Copy both stores, send the action to an application on the copy, and trace what is there then.

    UsageError when the subject declares no action, or the application is not a process of this machine.
    """
    from devenv.config.services import STORES

    check_declared(stack, subject)
    for name in STORES:
        stack.require_running(name)
    with scratch_copy(stack, say) as scratch:
        calls = RecordedCalls()
        with Tap(routes_to(scratch.stack.engine.targets()), calls.take, contents=True) as tap:
            say("starting the application on the copy")
            # Not behind the tap: what a function writes is no call of the application.
            scratch.start_workers()
            scratch.start_application(tap.ports)
            context = open_context(scratch.stack, subject, typed, user)
            outcome = act(context, TraceRun(context), calls, say)
            opened = partial(open_context, scratch.stack, subject, typed, user)
            return trace_settled(opened, with_outcome(outcome), payloads=payloads, say=say)


def check_declared(stack: Stack, subject: str) -> None:
    """UsageError when there is nothing to send, or nothing to send it to."""
    declared = stack.settings.trace.get(subject)
    if declared is not None and declared.action is None:
        raise UsageError(
            f"`{subject}` declares no action", hint=f"add [trace.{subject}.action] to devenv.toml (devenv help traces)"
        )
    backend = stack.settings.backend
    if backend is None or not backend.command:
        raise UsageError("a scratch copy needs an application to start", hint="add [backend] command to devenv.toml")


def routes_to(targets: Targets) -> tuple[TapRoute, ...]:
    """The tap's routes to both stores."""
    return tuple(TapRoute(name, 0, targets[name].place) for name in STORES)


def act(context: TraceContext, run: TraceRun, calls: RecordedCalls, say: Say) -> ActionOutcome:
    """Send the action if that is safe, and see what it wrote."""
    action = context.question.trace.action
    assert action is not None  # noqa: S101 - checked before
    if why := not_safe(run, calls):
        return ActionOutcome(action, unasked=why)
    before = tuple(one for layer in run.layers if layer.name in STORED for one in run.ask(layer.name).findings)
    outcome = act_as(context, Given({"postgres": run.ask("postgres")}).person, calls, say)
    return replace(outcome, before=before)


def act_as(context: TraceContext, person: Mapping[str, Any] | None, calls: RecordedCalls, say: Say) -> ActionOutcome:
    """Send the action as this person, and see what it wrote."""
    action = context.question.trace.action
    assert action is not None  # noqa: S101 - checked before
    values = {**context.parameters(person), "text": f"a text of devenv trace {secrets.token_hex(4)}"}
    try:
        ask = ask_of(context, action, values, person)
    except Unknown as error:
        return ActionOutcome(action, unasked=f"the action needs {{{error.name}}}, which is not known")
    facts = context.facts
    before = read_things(facts.context.targets, facts.plan)
    mark = len(calls.found)
    say(f"sending {ask.method} {urlsplit(ask.url).path}")
    began = datetime.now(UTC)
    raw = send(ask, time.monotonic() + action.seconds)
    ended = datetime.now(UTC)
    await_workers(context, time.monotonic() + action.seconds)
    after = read_things(facts.context.targets, facts.plan)
    types = {kind.name: {one.name: one.type for one in kind.fields} for kind in facts.plan.kinds}
    writes = judge_writes(action, WriteLedger(before, after, differences(before, after), values, types, began, ended))
    sent = tuple(calls.found[mark:])
    answered = tuple(judge_answer(action, raw, writes, types))
    refused = before == after and any(one.kind in ("status", "timed_out") for _, one in answered)
    # A request that was refused and changed nothing is one fault, and none of the stores.
    found = [*(() if refused else writes.findings), *answered]
    if action.one_transaction:
        found += [("library", one) for one in find_loose_writes(sent)]
    answer = {"status": raw.status, "problem": raw.problem, "detail": raw.detail, "size": len(raw.body)}
    return ActionOutcome(
        action, None, {"method": ask.method, "url": ask.url, "text": values["text"]}, answer, writes, sent, tuple(found)
    )


def await_workers(context: TraceContext, end: float) -> None:
    """Give running workers the time to handle what was written: on the copy they have only just been started."""
    stack = context.facts.context
    for name, look in stack.look_at_workers.items():
        seen = look(stack.service(name).state)
        while seen.behind and not (seen.position and seen.position.stopped) and time.monotonic() < end:
            seen = look(stack.service(name).state)


def not_safe(run: TraceRun, calls: RecordedCalls) -> str | None:
    """Why the action must not be sent: the application may not be on the copy. Reading shows whether it is."""
    environment = run.ask("environment")
    if environment.failure or environment.unasked:
        return environment.unasked or "the variables of the application could not be read"
    about = {name for one in environment.findings for name in one.about}
    if about & {"postgres", "dynamodb"}:
        return f"the application does not use the copy: {environment.findings[0].summary}"
    run.ask("http")
    declared = run.context.question.trace
    needed = {"dynamodb"} if declared.pattern or declared.kinds else {"postgres"}
    if declared.request is not None and not needed & {call.store for call in calls.found}:
        return "the application did not read from the copy: its code contains the address of a store"
    return None


def ask_of(
    context: TraceContext, action: TraceAction, values: Mapping[str, str], person: Mapping[str, Any] | None
) -> Ask:
    """The request of the action. Unknown when it needs what is not known."""
    url = context.facts.context.targets.backend_url or ""
    known = dict(values)
    needs = names_in(action.headers) | names_in(action.path) | names_in(action.body)
    if "token" in needs:
        if person is None:
            raise Unknown("person")
        known["token"] = make_token(context, person)
    body = None
    if action.body is not None:
        # In JSON's own spelling: a text may have quotes in it.
        body = str(fill(action.body, {name: json.dumps(text)[1:-1] for name, text in known.items()})).encode()
    headers = {"Content-Type": "application/json", **fill(action.headers, known)}
    signed = "token" in known or carries(action.headers)
    return Ask(action.method, address_of(url, action.path, known), headers, body, signed)


def judge_answer(
    action: TraceAction, raw: Raw, writes: JudgedWrites, types: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[str, Finding]]:
    """Faults of the answer: its status, and fields that are not what was written."""
    if raw.status is None:
        yield "http", Finding("timed_out" if raw.problem == "timed_out" else "status", raw.detail or "no answer", None)
        return
    if raw.status not in action.status:
        detail = None
        with contextlib.suppress(ValueError):
            detail = reason_of(json.loads(raw.body))
        text = f"the API answers the action with {raw.status}, not {' or '.join(map(str, action.status))}"
        yield "http", Finding("status", text, detail)
        return
    if not action.answer:
        return
    try:
        value = json.loads(raw.body)
    except ValueError:
        yield "http", Finding("not_json", "the answer to the action is not JSON", None)
        return
    wrong = []
    for name, target in action.answer.items():
        kind, _, attribute = target.rpartition(".")
        thing = writes.new.get(kind)
        observed = as_text(walk(value, name)) if isinstance(value, Mapping) else None
        if thing is not None and not same(thing.values.get(attribute), observed, types.get(kind, {}).get(attribute)):
            wrong.append(name)
    if wrong:
        names = ", ".join(f"`{name}`" for name in wrong)
        yield "http", Finding("body_changed", f"in the answer, {names} differs from what was written", None)


# --- the layers ---


def with_outcome(outcome: ActionOutcome) -> tuple[Layer, ...]:
    """The layers of a trace, each with what the action has to say there."""
    return tuple(add(layer, outcome) for layer in LAYERS)


def add(layer: Layer, outcome: ActionOutcome) -> Layer:
    found = [finding for name, finding in outcome.findings if name == layer.name]
    more = output_of(layer.name, outcome)
    stored = layer.name in STORED and outcome.unasked is None
    if not found and not more and not stored and not (layer.name == "http" and outcome.unasked):
        return layer
    old_judge = layer.judge

    def observe(context: TraceContext, given: Given) -> Observation:
        seen = layer.observe(context, given)
        gaps = (f"the action: {outcome.unasked}",) if layer.name == "http" and outcome.unasked else ()
        faults = tuple(on_copy(one, outcome.before) for one in seen.findings) if stored else seen.findings
        return replace(seen, output={**seen.output, **more}, uncovered=(*seen.uncovered, *gaps), findings=faults)

    def judge(subject: Subject, seen: Observations, earlier: Sequence[LayerFinding]) -> Judged:
        judged = (
            old_judge(subject, seen, earlier)
            if old_judge
            else judge_findings(layer.name, "mutated", subject, seen, earlier)
        )
        mine = [at_layer(layer.name, one) for one in found]
        return replace(judged, findings=[*mine, *judged.findings])

    return replace(layer, observe=observe, judge=judge)


def on_copy(finding: Finding, before: Sequence[Finding]) -> Finding:
    """A fault with its remedy: commands read and correct the user's own stores, which have it only if it was there."""
    if finding.fix is None or not (finding.fix.command or "").startswith("devenv "):
        return finding
    if any(one.kind == finding.kind and set(one.subjects) & set(finding.subjects) for one in before):
        return finding
    return replace(finding, fix=Fix("correct the code that writes it: the fault is on the copy, not in your stores"))


def output_of(layer: str, outcome: ActionOutcome) -> dict[str, Any]:
    """Return what a layer shows of the action."""
    results = outcome.writes.results if outcome.writes else ()
    if layer in ("postgres", "dynamodb"):
        mine = [asdict(one) for one in results if one.store == layer]
        return {"written": mine} if mine else {}
    if layer == "library" and outcome.calls:
        return {"writes": write_texts(outcome.calls)}
    if layer == "http" and outcome.sent:
        return {"action": {**outcome.sent, **outcome.answer}}
    return {}
