"""The Stack page: services and steps as they are now, what may be done with them, and the logs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import psutil
from markupsafe import escape

from devenv.core.errors import StoreError, UsageError
from devenv.ui.stream import follow_value, part, streaming
from devenv.ui.view import Page, fragment

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from devenv.stack import Stack
    from devenv.ui.site import Site

EVERY_S: Final = 1.0
LINES: Final = 3
LOG_LINES: Final = 300
NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,63}")


@dataclass(frozen=True)
class StackAction:
    """A button: `words` of the command line, with NAME for what the form gives. `does`: what will happen.

    `changes`: it changes data, so that the page must have been started with --write. `steps`: those that it runs from
    scratch, for the question what would be lost.
    """

    title: str
    words: tuple[str, ...]
    does: str
    changes: bool = True
    steps: tuple[str, ...] = ()


ACTIONS: Final[Mapping[str, StackAction]] = {
    "up": StackAction(
        "Start", ("up",), "Starts what is not running, and runs the steps that are not done.", changes=False
    ),
    # Not `down`, which ends this page, too.
    "stop": StackAction("Stop", ("stop", "ALL"), "Stops all services of this project. The data stays.", changes=False),
    "start-service": StackAction("Start", ("up", "NAME"), "Starts this service, with what it needs.", changes=False),
    "stop-service": StackAction("Stop", ("stop", "NAME"), "Stops this service. The data stays.", changes=False),
    "restart-service": StackAction("Restart", ("restart", "NAME"), "Restarts this service.", changes=False),
    "setup": StackAction(
        "Run setup",
        ("setup", "-y"),
        "Rebuilds the Postgres database from its files. Every user gets a new uuid; the next start updates the "
        "items in DynamoDB. The current data is kept as an automatic snapshot.",
        steps=("setup",),
    ),
    "schema-load": StackAction(
        "Run schema-load",
        ("schema-load", "-y"),
        "Deletes the DynamoDB tables and creates them again, empty. The current data is kept as an automatic snapshot.",
        steps=("schema-load",),
    ),
    "seed": StackAction(
        "Run seed",
        ("seed", "-y"),
        "Empties the seeded DynamoDB tables and loads their items again. The current data is kept as an automatic "
        "snapshot.",
        steps=("seed",),
    ),
    "reset": StackAction(
        "Reset",
        ("reset", "-y"),
        "Restores freshly seeded data in both stores. The current data is kept as an automatic snapshot.",
        steps=("setup", "schema-load", "seed"),
    ),
    "snapshot-save": StackAction(
        "Save a snapshot",
        ("snapshot", "save", "NAME"),
        "Saves both stores as they are now. On engine embedded, Postgres is unavailable for a moment.",
    ),
    "snapshot-restore": StackAction(
        "Restore a snapshot",
        ("snapshot", "restore", "NAME"),
        "Restores both stores from this snapshot. The current data is kept as an automatic snapshot.",
    ),
}


def read(site: Site) -> dict[str, Any]:
    """The page's content: the document of `devenv status`, with memory and the last lines of each service."""
    from devenv.config.masking import mask_text, mask_tree
    from devenv.lifecycle.status import status
    from devenv.render.report import document

    opened = site.open()
    found: dict[str, Any] = dict(mask_tree(document(status(opened))))
    opened.engine.gather_logs(opened.engine.services)
    for service in found["services"]:
        service["memory"] = memory_of(service["pid"])
        lines = opened.engine.tail(service["name"], 4 * LINES)
        service["lines"] = [mask_text(" ".join(line.split())) for line in lines if line.strip()][-LINES:]
    return found


def memory_of(pid: int | None) -> int | None:
    """Bytes that a process and its children hold; None when that cannot be known."""
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))
    except psutil.Error:
        return None


def show(site: Site, request: Request) -> Page:
    """The page."""
    found = read(site)
    snapshots = read_snapshots(site.open())
    values = {
        "project": found["project"],
        "found": found,
        "snapshots": snapshots,
        "actions": ACTIONS,
        "jobs": site.jobs.all("stack")[:8],
    }
    return Page("stack.html", "Stack", values, {**found, "snapshots": snapshots}, ["status"])


def read_snapshots(opened: Stack) -> list[Mapping[str, Any]]:
    """The project's snapshots, newest first; none while they cannot be read."""
    from devenv.snapshots.command import show_all

    try:
        return list(reversed(show_all(opened).body["snapshots"]))
    except StoreError:
        return []


async def stream(site: Site, request: Request) -> Response:
    """Services and steps, whenever they change. What only the clock changes does not count."""

    def parts(found: Mapping[str, Any]) -> Iterator[Any]:
        yield part("controls", fragment("stack_parts.html", "controls", found["services"]))
        yield part("services", fragment("stack_parts.html", "services", found["services"]))
        yield part("steps", fragment("stack_parts.html", "steps", found["steps"], site.options.write, ACTIONS))

    def steady() -> dict[str, Any]:
        found = read(site)
        for service in found["services"]:
            # To 4 MB: a figure that moves all the time is no news.
            service["memory"] = service["memory"] and service["memory"] // 4_000_000 * 4_000_000
        return found

    return streaming(follow_value(request, steady, parts, EVERY_S))


def confirm(site: Site, request: Request) -> Page:
    """Say what a change will do, before it is done: asked once, with what would be lost."""
    name, action = named(request)
    site.require_write()
    words = filled(action, request.query_params.get("name", ""))
    opened = site.open()
    losses = foreseen(opened, action)
    values = {"action": action, "name": name, "given": request.query_params.get("name", ""), "losses": losses}
    document = {"schema": "devenv.ui/1", "does": action.does, "losses": losses, "command": ["devenv", *words]}
    return Page("confirm.html", action.title, values, document, words)


def foreseen(opened: Stack, action: StackAction) -> list[str]:
    """Data that devenv did not write and that would be lost; stores that do not run tell nothing, which is said."""
    from devenv.lifecycle.reset import foreign_data
    from devenv.lifecycle.steps import read_inputs

    if not action.steps:
        return []
    try:
        return foreign_data(opened, action.steps, read_inputs(opened))
    except StoreError as error:
        return [f"not known, as {error.what}"]


def named(request: Request) -> tuple[str, StackAction]:
    """The action of an address. UsageError for another one."""
    name = request.path_params["action"]
    if name not in ACTIONS:
        raise UsageError(f"there is no action `{name}`")
    return name, ACTIONS[name]


def filled(action: StackAction, given: str) -> list[str]:
    """The words of an action's command. UsageError for a name that no snapshot can have."""
    if "NAME" in action.words and not NAME.fullmatch(given):
        raise UsageError("a name has letters, digits, `.`, `_` and `-`", detail=f"given: {given!r}")
    return [given if word == "NAME" else word for word in action.words]


def act(site: Site, request: Request) -> str:
    """Start an action's command; the address of its job."""
    name, action = named(request)
    if action.changes:
        site.require_write()
    opened = site.open()
    if action.words[0] != "stop":
        site.require_trust(opened, "steps", "services")
    given = filled(action, request.state.form.get("name", ""))
    words = [each for word in given for each in (opened.engine.services if word == "ALL" else (word,))]
    return f"/jobs/{site.jobs.command('stack', words, {'title': action.title, 'action': name}).id}"


# --- logs ---


def log_names(opened: Stack) -> list[str]:
    """The logs that there are."""
    names = (*opened.engine.services, "tap", "steps", "ui")
    return [name for name in names if opened.engine.log(name).exists()]


def show_logs(site: Site, request: Request) -> Page:
    """The logs of all services, merged as they come; `service` and `filter` narrow them."""
    opened = site.open()
    names = log_names(opened)
    chosen = [name for name in request.query_params.getlist("service") if name in names]
    wanted = request.query_params.get("filter", "")
    query = "&".join([*(f"service={quote(name)}" for name in chosen), f"filter={quote(wanted)}"])
    lines = opened_lines(opened, chosen or names, wanted)
    values = {
        "project": opened.settings.project.name,
        "names": names,
        "chosen": chosen,
        "wanted": wanted,
        "stream": f"/stream/logs?{query}",
    }
    document = {"schema": "devenv.logs/1", "lines": [{"service": name, "line": line} for name, line in lines]}
    return Page("logs.html", "Logs", values, document, ["logs", *chosen[:1], "--follow"])


def opened_lines(opened: Stack, names: list[str], wanted: str) -> list[tuple[str, str]]:
    """The last lines of these logs that have `wanted` in them."""
    from devenv.lifecycle.logs import LogFollower

    opened.engine.gather_logs(names)
    follower = LogFollower({name: opened.engine.log(name) for name in names}, LOG_LINES)
    return [each for each in follower.first if wanted.lower() in each[1].lower()]


async def stream_logs(site: Site, request: Request) -> Response:
    """The last lines, then what comes."""
    from starlette.concurrency import run_in_threadpool

    from devenv.lifecycle.logs import LogFollower

    opened = await run_in_threadpool(site.open)
    names = log_names(opened)
    chosen = [name for name in request.query_params.getlist("service") if name in names] or names
    wanted = request.query_params.get("filter", "").lower()

    def html(lines: list[tuple[str, str]]) -> str:
        kept = [each for each in lines if wanted in each[1].lower()][-LOG_LINES:]
        # They are escaped for a terminal already, and keep their tabs.
        return fragment("logs_parts.html", "lines", [(name, escape(line)) for name, line in kept]) if kept else ""

    async def parts() -> AsyncIterator[Any]:
        await run_in_threadpool(opened.engine.gather_logs, chosen)
        follower = LogFollower({name: opened.engine.log(name) for name in chosen}, LOG_LINES)
        if text := html(follower.first):
            yield part("lines", text, "append")
        silent = 0.0
        with opened.engine.following_logs(chosen):
            while not await request.is_disconnected():
                lines = await run_in_threadpool(follower.more)
                if text := html(lines):
                    yield part("lines", text, "append")
                await asyncio.sleep(0.25)
                silent += 0.25
                if silent >= 15.0:
                    silent = 0.0
                    yield None

    return streaming(parts())
