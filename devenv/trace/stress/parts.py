"""The parts that are tried: the application's function, its request, its write. Each gives a `PartAnswer`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from devenv.capture.process import ANSWER_BYTES, Running, finish, last_line, send, start
from devenv.capture.tap.records import WireCall
from devenv.core.templates import Unknown
from devenv.trace.action.run import RecordedCalls, act_as
from devenv.trace.answers import forms_of_answer, read_answer
from devenv.trace.layers import http
from devenv.trace.layers import pages as layer_pages
from devenv.trace.layers.library import Order
from devenv.trace.layers.requests import requests_of
from devenv.trace.observation import Entry
from devenv.trace.question import TraceContext
from devenv.trace.stress.result import PartAnswer, PartCall

POLL_S: Final = 0.002
PAGES: Final = 20
END_S: Final = 0.2
Ask = Callable[..., PartAnswer]


class FunctionPart:
    """The library function in an interpreter that stays, with its connections and caches, from call to call."""

    def __init__(
        self, context: TraceContext, order: Order, environ: Mapping[str, str], clock: datetime | None = None
    ) -> None:
        self.context, self.order, self.environ, self.clock = context, order, environ, clock
        self.running: Running | None = None
        self.read = 0

    def begin(self) -> Running:
        """Start the interpreter, unless it runs."""
        if self.running is None:
            header = {
                "folder": str(self.order.folder),
                "limit": ANSWER_BYTES,
                "started": time.time(),
                "load": str(self.order.section.function).partition(":")[0],
                "clock": self.clock.timestamp() if self.clock else None,
            }
            self.running = start(self.order.command, self.environ, self.order.folder, ordered=True)
            send(self.running, [header])
            self.read = 0
        return self.running

    def ask(self, seconds: float) -> PartAnswer:
        """One call. An interpreter that does not answer in time is replaced."""
        running = self.begin()
        began = time.perf_counter()
        send(running, self.order.calls[:1])
        events: list[dict[str, Any]] = []
        while time.perf_counter() - began < seconds:
            events += self.new_events(running)
            if events and events[-1].get("event") == "ended":
                return self.answer(events, (time.perf_counter() - began) * 1000)
            if running.process.poll() is not None and not running.reader.is_alive():
                said = self.end()
                return PartAnswer(error=f"the process ended: {last_line(said)}", calls=calls_of_events(events))
            time.sleep(POLL_S)
        self.end()
        calls = calls_of_events(events)
        place = next((call.place for call in reversed(calls) if call.place), None)
        return PartAnswer(error=f"no answer within {seconds:.0f} s", place=place, ms=seconds * 1000, calls=calls)

    def new_events(self, running: Running) -> Iterable[dict[str, Any]]:
        """The events of whole lines that are new."""
        end = running.told.rfind(b"\n") + 1
        if end <= self.read:
            return
        part, self.read = bytes(running.told[self.read : end]), end
        for line in part.splitlines():
            event = json.loads(line)
            if event.get("event") in ("asked", "answered", "ended"):
                yield event

    def answer(self, events: Sequence[Mapping[str, Any]], ms: float) -> PartAnswer:
        """Return what the call gave."""
        ended = events[-1]
        calls = calls_of_events(events)
        if ended["outcome"] != "returned":
            words = " ".join(filter(None, (ended.get("error"), ended.get("detail"))))
            place = str(ended.get("where") or "").partition(" in ")[0] or None
            return PartAnswer(error=" ".join(words.split())[:200], place=place, ms=ms, calls=calls)
        return with_value(self.context, ended.get("value"), PartAnswer(ms=ms, calls=calls))

    def end(self) -> str:
        """End the interpreter; its last words."""
        running, self.running = self.running, None
        return finish(running, END_S).said if running is not None else ""


def with_value(context: TraceContext, value: Any, answer: PartAnswer) -> PartAnswer:
    """An answer with the entries of what was returned."""
    trace = context.question.trace
    assert trace.library is not None  # noqa: S101 - its function ran
    entries, shape = ((), None) if value is None else read_answer(value, forms_of_answer(trace, "library"))
    return replace(answer, entries=entries, error=None if shape is None else f"it returned {shape}")


class CommandPart:
    """The library's command, in any language, watched by the tap."""

    def __init__(self, context: TraceContext, order: Order, environ: Mapping[str, str], calls: RecordedCalls) -> None:
        self.context, self.order, self.environ, self.calls = context, order, environ, calls

    def ask(self, seconds: float) -> PartAnswer:
        """Run it once."""
        mark, began = len(self.calls.found), time.perf_counter()
        ended = finish(start(self.order.command, self.environ, self.order.folder, ordered=False), seconds)
        answer = PartAnswer(ms=(time.perf_counter() - began) * 1000, calls=calls_of_tap(self.calls.found[mark:]))
        if ended.status is None:
            return replace(answer, error=f"no answer within {seconds:.0f} s")
        if ended.status != 0:
            return replace(answer, error=f"status {ended.status}: {last_line(ended.said)}")
        try:
            value = json.loads(ended.told) if ended.told.strip() else None
        except ValueError:
            return replace(answer, error="it printed no JSON")
        return with_value(self.context, value, answer)

    def end(self) -> str:
        """Nothing stays."""
        return ""


class RequestPart:
    """The declared request, as a member, with all its pages."""

    def __init__(self, context: TraceContext, person: Mapping[str, Any] | None, calls: RecordedCalls) -> None:
        declared = context.question.trace.request
        url = context.facts.context.targets.backend_url
        assert declared is not None and url is not None  # noqa: S101, PT018 - there is a request to send
        self.context, self.declared, self.calls = context, declared, calls
        self.first = requests_of(context, declared, url, person, None)["member"]
        self.forms = forms_of_answer(context.question.trace, "http")

    def ask(self, seconds: float, pages: int = http.MAX_PAGES) -> PartAnswer:
        """All pages, or the first ones. A page that fails is an error of the whole."""
        from msgspec.structs import replace as changed

        declared = changed(self.declared, seconds=max(0.1, min(seconds, self.declared.seconds)))
        mark, began = len(self.calls.found), time.perf_counter()
        found: list[Entry] = []
        error: str | None = None
        ask: layer_pages.Ask | None = self.first
        number = 0
        while ask is not None and number < pages:
            raw, asked = http.follow(declared, ask)
            answer = http.read(raw, self.forms)
            number += 1
            if answer.entries is None or answer.problem is not None or answer.status is None or answer.status >= 300:
                said = " ".join(str(answer.detail or answer.shape or answer.problem or "no list").split())
                of_page = f" (page {number})" if number > 1 else ""
                error = f"{answer.status or answer.problem}: {said[:200]}{of_page}"
                break
            older_first = declared.order in ("oldest first", "ascending")
            found = [*answer.entries, *found] if older_first else [*found, *answer.entries]
            entries = answer.entries
            step = (
                layer_pages.next_page(self.context, declared, asked, raw.headers, entries, number + 1)
                if entries
                else None
            )
            ask = step.ask if step is not None else None
        return PartAnswer(
            tuple(found) if error is None else None,
            error,
            ms=(time.perf_counter() - began) * 1000,
            calls=calls_of_tap(self.calls.found[mark:]),
            truncated=ask is not None and error is None,
        )

    def end(self) -> str:
        """Nothing stays."""
        return ""


class ActionPart:
    """The declared write; what it wrote is judged by itself."""

    def __init__(self, context: TraceContext, person: Mapping[str, Any] | None, calls: RecordedCalls) -> None:
        self.context, self.person, self.calls = context, person, calls

    def ask(self, seconds: float) -> PartAnswer:
        """Send it once."""
        mark, began = len(self.calls.found), time.perf_counter()
        outcome = act_as(self.context, self.person, self.calls, lambda text: None)
        answer = PartAnswer(ms=(time.perf_counter() - began) * 1000, calls=calls_of_tap(self.calls.found[mark:]))
        if outcome.unasked is not None:
            return replace(answer, error=outcome.unasked)
        status = outcome.answer.get("status")
        kinds = [finding.kind for _, finding in outcome.findings]
        stored = [finding for layer, finding in outcome.findings if layer != "http"]
        if "status" in kinds or "timed_out" in kinds:
            reason = next((finding.cause for _, finding in outcome.findings if finding.kind == "status"), None)
            half = f"; {stored[0].summary}" if stored else ""
            return replace(answer, error=f"{status or 'no answer'}: {reason or 'the write is refused'}{half}")
        wrong = "; ".join(finding.summary for _, finding in outcome.findings)
        return replace(answer, entries=(), wrong=wrong or None)

    def end(self) -> str:
        """Nothing stays."""
        return ""


def order_or_reason(context: TraceContext, person: Mapping[str, Any] | None) -> Order | str:
    """The library's order, or why there is none."""
    from devenv.trace.layers.library import order_of

    try:
        return order_of(context, person)
    except Unknown as error:
        return f"it needs {{{error.name}}}, which is not known"


def calls_of_events(events: Iterable[Mapping[str, Any]]) -> tuple[PartCall, ...]:
    """Calls that the recorder of a Python function saw, in the order in which they were sent."""
    found: dict[int, PartCall] = {}
    for event in events:
        if event.get("event") == "asked":
            store = str(event["service"])
            request = event.get("request")
            text = event["operation"] if store == "dynamodb" else " ".join(str(request).split())
            found[event["number"]] = PartCall(store, with_table(str(text), request), request, place=event.get("place"))
        elif event.get("event") == "answered" and (call := found.get(event["number"])):
            found[event["number"]] = replace(call, more=bool(event.get("more")), error=event.get("error"))
    return tuple(found.values())


def calls_of_tap(calls: Sequence[WireCall]) -> tuple[PartCall, ...]:
    """Calls that the tap saw."""
    return tuple(
        PartCall(
            call.store,
            str(call.statement) if call.is_sql else with_table(call.operation, call.request),
            call.statement if call.is_sql else call.request,
            call.more and not call.is_sql,
            call.error,
        )
        for call in sorted(calls, key=lambda one: one.started)
    )


def with_table(operation: str, request: Any) -> str:
    """`Query cruddur-messages`."""
    table = request.get("TableName") if isinstance(request, dict) else None
    return f"{operation} {table}" if table else operation
