"""Layer `library`: the application's own function, called alone in its own interpreter and environment, and watched."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from devenv.capture import requests
from devenv.capture.calls import Cost, StoreCall, differences, shown
from devenv.capture.process import ANSWER_BYTES, Ended, Running, finish, last_line, parse_lines, send, start
from devenv.config.load import interpreter as own_interpreter
from devenv.config.places import Keys
from devenv.config.trace import Call, TraceLibrary
from devenv.core.late import late
from devenv.core.model import DynamoTarget, PostgresTarget
from devenv.core.templates import Unknown, fill, names_in
from devenv.core.value import Value
from devenv.links.values import as_text
from devenv.trace.answers import form_of_items, forms_of_answer, names_of_entries, read_answer, unplaced, walk
from devenv.trace.judge.library import judge_library
from devenv.trace.layer import Given, Layer
from devenv.trace.layers.environment import find_diverted, place_call
from devenv.trace.layers.functions import look_for, needs_arguments
from devenv.trace.layers.namesakes import find_namesake
from devenv.trace.layers.pattern import declared_guard
from devenv.trace.layers.roles import explain_role
from devenv.trace.layers.startup import needs_start
from devenv.trace.layers.tapped import Watched, watching
from devenv.trace.observation import LibraryObservation, Observation, Ran
from devenv.trace.question import TraceContext

STORES: Final = frozenset(["dynamodb", "postgres"])
RUNNER: Final = Path(__file__).parents[2] / "capture" / "runner.py"
SAID_LINES: Final = 20
# DynamoDB Local with -sharedDb has one set of tables for all regions and keys; AWS has not.
SHARED: Final = "its calls to DynamoDB reach these tables only because all regions and keys share them"
# Options behind which the code itself stands, and a file that such code names.
INLINE: Final = frozenset(["-e", "-c", "-p", "-r", "-pe", "--eval", "--print"])
SUFFIXES: Final = frozenset([".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".py", ".rb", ".php"])
SCRIPT: Final = late(r"""['"](?:\./)?([\w@./-]+\.(?:[cm]?[jt]s|py|rb|php))['"]""")


# --- the layer ---


class Order(Value, frozen=True):
    """The call: the functions (none for a command), the command line, where.

    The first of `calls` is the function, with a declared page the second too; then come the `guards`. `left_out` are
    the functions of those that need what is not known of the person.
    """

    section: TraceLibrary
    calls: tuple[dict[str, Any], ...]
    command: tuple[str, ...]
    folder: Path
    guards: tuple[OrderedGuard, ...] = ()
    left_out: tuple[str, ...] = ()


class OrderedGuard(Value, frozen=True):
    """A guard, and the fields that it must return."""

    section: Call
    returns: Mapping[str, str]


def order_of(inquiry: TraceContext, person: Mapping[str, Any] | None) -> Order | str:
    """Return what to run, or why it cannot be run."""
    section = inquiry.question.trace.library
    if section is None or not (section.function or section.command):
        return "the subject declares no library"
    values = inquiry.parameters(person)
    try:
        if section.command:
            return Order(section, (), tuple(fill(section.command, values)), folder_of(inquiry, section))
        called = [{"function": section.function, "arguments": fill(section.arguments, values)}]
        if section.page:
            called.append({**called[0], "arguments": fill({**section.arguments, **section.page}, values)})
        # A lookup by what is not known of the person would hide the rest: `postgres` tells why it is not known.
        guards = [g for g in section.guards if not g.returns or names_in([g.arguments, g.returns]) <= values.keys()]
        called += [{"function": g.function, "arguments": fill(g.arguments, values)} for g in guards]
        ordered = tuple(OrderedGuard(guard, fill(guard.returns, values)) for guard in guards)
    except Unknown as error:
        return inquiry.without_value(error.name, person)
    left_out = tuple(g.function for g in section.guards if g not in guards)
    command = (interpreter(inquiry), str(RUNNER))
    return Order(section, tuple(called), command, folder_of(inquiry, section), ordered, left_out)


def folder_of(inquiry: TraceContext, section: TraceLibrary) -> Path:
    """Return where it is run: as declared, where the application's process works, else in the project."""
    if section.folder is not None:
        return inquiry.facts.context.root / section.folder
    backend = inquiry.settings.backend
    return inquiry.application.folder or inquiry.facts.context.root / (backend.folder if backend else ".")


def interpreter(inquiry: TraceContext) -> str:
    """The application's Python: as declared, as it runs with, else devenv's own."""
    declared = inquiry.settings.backend.python if inquiry.settings.backend else None
    if declared:
        return own_interpreter(inquiry.settings, inquiry.facts.context.root)
    return inquiry.application.python or sys.executable


def begin(inquiry: TraceContext, environ: Mapping[str, str]) -> Running | None:
    """Let the application's interpreter load the function, while its arguments are still being found out.

    None when there is no function, or its interpreter cannot be started (which shows again when it is called).
    """
    section = inquiry.question.trace.library
    if section is None or not section.function or section.command:
        return None
    header = {
        "folder": str(folder_of(inquiry, section)),
        "limit": ANSWER_BYTES,
        "started": inquiry.application.started or time.time(),
        "load": section.function.partition(":")[0],
    }
    command = (interpreter(inquiry), str(RUNNER))
    running = start(command, environ, folder_of(inquiry, section), ordered=True)
    send(running, [header])
    return running


def launch(inquiry: TraceContext, order: Order, environ: Mapping[str, str], begun: Running | None = None) -> Running:
    """Start what is ordered with these variables, or go on with what has begun."""
    if order.section.command:
        return start(order.command, environ, order.folder, ordered=False)
    running = begun or begin(inquiry, environ)
    assert running is not None  # noqa: S101 - there is a function
    send(running, order.calls, last=True)
    return running


def environment_of(inquiry: TraceContext) -> Mapping[str, str]:
    """The variables of the running process; where they are not to be had, those that it would be started with."""
    return inquiry.application.environ or inquiry.project_environment


def observe(inquiry: TraceContext, given: Given) -> LibraryObservation:
    """Call the function as the running process would, and with the project's own settings where those differ.

    DevenvError when its interpreter cannot be started.
    """
    begun: Running | None = given.begun
    order = order_of(inquiry, given.person)
    if isinstance(order, str):
        if begun is not None:
            finish(begun, 0.0)
        section = inquiry.question.trace.library
        asked_for = section is not None and bool(section.function or section.command)
        return LibraryObservation(unasked=order, declared=asked_for)
    diverted = any(one.about & STORES for one in given.observations["environment"].findings)
    with ExitStack() as stack:
        mine = watch_command(inquiry, order, environment_of(inquiry), stack)
        running = launch(inquiry, order, mine.environ if mine else environment_of(inquiry), begun)
        theirs = watch_command(inquiry, order, inquiry.project_environment, stack) if diverted else None
        corrected_environ = theirs.environ if theirs else inquiry.project_environment
        other = launch(inquiry, order, corrected_environ) if diverted else None
        ended = finish(running, order.section.seconds)
        ended_other = finish(other, order.section.seconds) if other is not None else None
    (ran, *others), left = read_runs(inquiry, order, ended, mine)
    root, function = inquiry.facts.context.root, order.section.function or ""
    if unmade := uncallable(root, order.folder, keys_of(inquiry), function, ran):
        return LibraryObservation(request=request_text(order), unasked=unmade, declared=True)
    corrected = None
    if ended_other is not None:
        (corrected, *others), _ = read_runs(inquiry, order, ended_other, theirs)
    pages = 1 if order.section.page and order.calls else 0
    page, guards = next(iter(others[:pages]), None), others[pages:]
    guards = [replace(one, denied=explain_role(inquiry, one), namesake=find_namesake(inquiry, one)) for one in guards]
    declared = declared_guard(inquiry, inquiry.question.trace.pattern, given.person)
    patterns = [declared_guard(inquiry, guard.section.pattern, given.person) for guard in order.guards]
    unmade_guards = [
        uncallable(root, order.folder, keys_of(inquiry, number), guard.section.function, one)
        for number, (guard, one) in enumerate(zip(order.guards, guards, strict=False))
    ]
    changed = left.get("environ") or {}
    return LibraryObservation(
        request=request_text(order),
        output={
            **output_of(ran, declared),
            "guards": [{"function": g.function, "outcome": g.outcome, "detail": words(g)} for g in guards],
            "corrected": output_of(corrected, declared) if corrected else None,
            **({"page": output_of(page, declared)} if page else {}),
            "said": ended.said.splitlines()[-SAID_LINES:],
        },
        entries=(corrected or ran).entries,
        cost=cost_of(ran.asked),
        ran=ran,
        corrected=corrected,
        page=page,
        guards=tuple(
            (guard, pattern)
            for guard, pattern, why in zip(guards, patterns, unmade_guards, strict=False)
            if why is None
        ),
        diverted=find_diverted(inquiry, changed) if changed else (),
        code_changed=str(left["newest"][0]) if inquiry.application.started and left.get("newest") else None,
        uncovered=tuple(filter(None, unmade_guards))
        + tuple(f"{name} (it needs a value of the user that is not known)" for name in order.left_out),
        notes=(
            *(f"the code changes {name} in its own environment" for name in telling(inquiry, changed)),
            *sorted({f"{SHARED} ({one.signed})" for one in ran.asked or () if one.signed and not one.elsewhere}),
            *unplaced(forms_of_answer(inquiry.question.trace, "library"), (corrected or ran).entries),
        ),
    )


def uncallable(root: Path, folder: Path, keys: Keys, function: str, ran: Ran) -> str | None:
    """Why a failed call is no fault of the code: the name needs arguments, or the function the application's start."""
    return needs_arguments(root, keys, function, ran) or needs_start(root, folder, keys, ran)


def telling(inquiry: TraceContext, changed: Mapping[str, Any]) -> Iterable[str]:
    """The changed variables that matter to where the application is sent."""
    known = {*inquiry.project_environment, "AWS_ENDPOINT_URL", "AWS_PROFILE"} - set(os.environ)
    return sorted(name for name in changed if name in known)


def keys_of(inquiry: TraceContext, guard: int = -1) -> Keys:
    """Where devenv.toml names the function, or that of a guard."""
    keys: Keys = ("trace", inquiry.question.subject, "library")
    return (*keys, *(("guards", guard) if guard >= 0 else ()), "function")


def request_text(order: Order) -> dict[str, Any]:
    """Return what is run, for the report."""
    if order.section.command:
        return {"command": list(order.command), "folder": str(order.folder)}
    return {"calls": list(order.calls), "python": order.command[0], "folder": str(order.folder)}


def output_of(ran: Ran, declared: StoreCall | None) -> dict[str, Any]:
    """A run, for the report."""
    asked = ran.asked
    closest = asked[0] if asked else None
    return {
        "function": ran.function,
        "outcome": ran.outcome,
        "detail": words(ran),
        "queries": None
        if asked is None
        else [
            {
                "text": shown(one),
                "count": one.count,
                "scanned": one.scanned,
                "pages": one.times,
                "target": one.target,
                "elsewhere": one.elsewhere,
                "error": one.error,
            }
            for one in asked
        ],
        "differs": ", ".join(differences(closest, declared)) or None if closest and declared else None,
    }


def words(ran: Ran) -> str | None:
    """Return how a run failed, in one line; None when it did not."""
    if ran.outcome == "returned":
        return ran.shape
    return " ".join(filter(None, (ran.error, ran.detail, f"({ran.where})" if ran.where else None))) or None


def cost_of(asked: Sequence[StoreCall] | None) -> Cost | None:
    """Return what the reads of DynamoDB cost together."""
    if asked is None:
        return None
    reads = [one for one in asked if not one.is_sql]
    return Cost(
        sum(one.times for one in reads), sum(one.scanned or 0 for one in reads), sum(one.count or 0 for one in reads)
    )


# --- what it told ---


def read_runs(
    inquiry: TraceContext, order: Order, ended: Ended, watched: Watched | None
) -> tuple[list[Ran], dict[str, Any]]:
    """The function's run, with a page, those of the guards, and what it left."""
    if order.section.command:
        return [read_command(inquiry, order, ended, watched)], {}
    events = [*parse_lines(ended.told)]
    left = next((event for event in events if event.get("event") == "left"), {})
    ends = [place for place, event in enumerate(events) if event.get("event") == "ended"]
    runs = []
    begin = 0
    for number, call in enumerate(order.calls):
        end = ends[number] if number < len(ends) else len(events)
        mine = events[begin:end]
        told = events[end] if number < len(ends) else None
        guard = number - len(order.calls) + len(order.guards)
        ran = read_run(inquiry, order, call["function"], mine, told, ended, main=guard < 0)
        if guard >= 0 and ran.outcome == "returned" and told is not None:
            ran = replace(ran, returned=tuple(returned_fields(order.guards[guard].returns, told.get("value"))))
        if ran.outcome in ("unstarted", "raised"):
            keys = keys_of(inquiry, guard)
            root, python = inquiry.facts.context.root, order.command[0]
            ran = replace(ran, unfound=look_for(root, order.folder, keys, call["function"], python, ran))
        runs.append(ran)
        begin = end + 1
        if told is None:
            break
    return runs, left


def returned_fields(wanted: Mapping[str, str], value: Any) -> Iterator[tuple[str, str, str | None]]:
    """The fields that a guard had to return: name, expected, observed."""
    for name, expected in wanted.items():
        yield name, expected, as_text(walk(value, name)) if isinstance(value, Mapping) else None


def read_run(
    inquiry: TraceContext,
    order: Order,
    function: str,
    events: Sequence[Mapping[str, Any]],
    told: Mapping[str, Any] | None,
    ended: Ended,
    *,
    main: bool,
) -> Ran:
    """One call: what it returned or raised, and what it asked meanwhile."""
    sent = [one for one in requests.read_events(events) if requests.is_read(one)]
    ran = with_reads(inquiry, Ran(name_of(function), "returned"), sent)
    if told is None:
        if ended.status is None:
            return replace(ran, outcome="timed_out", detail=f"{order.section.seconds:g} s")
        return replace(ran, outcome="exited", error=f"status {ended.status}", detail=last_line(ended.said))
    if told["outcome"] != "returned":
        return replace(
            ran, outcome=told["outcome"], error=told.get("error"), detail=told.get("detail"), where=told.get("where")
        )
    return read_value(inquiry, ran, told.get("value")) if main else ran


def with_reads(inquiry: TraceContext, ran: Ran, sent: Sequence[requests.Sent]) -> Ran:
    """A run with what it asked, and with the entries that this brought."""
    asked = tuple(place(inquiry, requests.describe(run), run[0]) for run in requests.fold_pages(sent))
    form = form_of_items(inquiry.question.trace, inquiry.facts.plan, rows=inquiry.linked_rows)
    read = form.entries(item for one in sent for item in one.items or ())[0] if form is not None else None
    return replace(ran, asked=asked, read=read)


def watch_command(inquiry: TraceContext, order: Order, environ: Mapping[str, str], stack: ExitStack) -> Watched | None:
    """Stand a tap before the stores for a command; None for a function, which its own interpreter watches."""
    if not order.section.command:
        return None
    return stack.enter_context(watching(environ, inquiry.facts.context.targets))


def read_value(inquiry: TraceContext, ran: Ran, value: Any) -> Ran:
    section = inquiry.question.trace.library
    if section is None:
        return ran
    if value is None:
        return replace(ran, nothing=True, entries=())
    forms = forms_of_answer(inquiry.question.trace, "library")
    entries, shape = read_answer(value, forms)
    return replace(ran, entries=entries, shape=shape, names=names_of_entries(value, forms))


def read_command(inquiry: TraceContext, order: Order, ended: Ended, watched: Watched | None) -> Ran:
    """A command that prints what its function returns."""
    ran = Ran(name_of_command(order.section.command), "returned")
    store = "dynamodb" if inquiry.question.trace.pattern else None
    if watched is not None and (sent := watched.reads(store)) is not None:
        ran = with_reads(inquiry, ran, sent)
    if ended.status is None:
        return replace(ran, outcome="timed_out", detail=f"{order.section.seconds:g} s")
    if ended.too_much:
        return replace(ran, outcome="unreadable", detail=f"more than {2 * ANSWER_BYTES} bytes")
    if ended.status != 0:
        return replace(ran, outcome="raised", error=f"status {ended.status}", detail=last_line(ended.said))
    try:
        value = json.loads(ended.told) if ended.told.strip() else None
    except ValueError as error:
        return replace(
            ran,
            outcome="unreadable",
            error="no JSON",
            detail=f"{error}, in {len(ended.told)} bytes",
        )
    return read_value(inquiry, ran, value)


def name_of_command(command: Sequence[str]) -> str:
    """The program with its script; where the code stands on the command line (`node -e …`), the file that it names."""
    program, rest = Path(command[0]).name, list(command[1:])
    files = [word for word in rest if not word.startswith("-") and Path(word).suffix in SUFFIXES]
    script = next((word for word in (*files, *rest) if not word.startswith("-")), None)
    if script is None:
        return program
    if INLINE & set(rest[: rest.index(script)]):
        script = next(iter(SCRIPT.findall(script)), None)
        return f"{program} {script}" if script else f"the {program} command of [trace.*.library]"
    return f"{program} {Path(script).name}"


def name_of(function: str) -> str:
    """`module:function` as one reads it in code."""
    return function.rpartition(":")[2] + "()" if ":" in function else function


def place(inquiry: TraceContext, asked: StoreCall, sent: requests.Sent) -> StoreCall:
    """A read with its target judged."""
    stack = inquiry.facts.context.targets
    if sent.is_sql:
        host = sent.place.get("host")
        if host is None:
            return asked
        target = PostgresTarget(
            str(host), int(sent.place.get("port", 5432)), "", "", str(sent.place.get("database", ""))
        )
        return place_call(inquiry, asked, target)
    if sent.url is None:
        return asked
    keys = (stack.dynamodb.access_key, environment_of(inquiry).get("AWS_ACCESS_KEY_ID") or "")
    key = next((k for k in keys if sent.key in (None, hashlib.sha256(k.encode()).hexdigest())), "anotherkey")
    endpoint = sent.url.rstrip("/")
    return place_call(inquiry, asked, DynamoTarget(endpoint, sent.region or stack.dynamodb.region, key, ""))


def attributes(seen: Observation) -> Mapping[str, Any]:
    """The function, and what it really asked."""
    sent = seen.output.get("queries")
    told = {"code.function.name": seen.output.get("function")}
    return {**told, "db.query.text": "; ".join(query["text"] for query in sent)} if sent else told


LAYER: Final = Layer(
    name="library",
    question="What does the application's own function return, and which queries did it send?",
    observe=observe,
    needs=("environment", "postgres"),
    judge=judge_library,
    summarize=lambda seen: str(seen.output.get("function") or ""),
    attributes=attributes,
    empty=LibraryObservation,
    prepare=lambda inquiry: begin(inquiry, environment_of(inquiry)),
)
