"""Run the project's own script for a pattern, and record its requests and its answer. Only if the user asks for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from devenv.capture import requests
from devenv.capture.calls import StoreCall, differences
from devenv.capture.process import ANSWER_BYTES, Ended, Running, drain, finish, last_line, parse_lines
from devenv.config.schema import Settings
from devenv.core.model import DynamoTarget
from devenv.core.templates import Unknown, fill
from devenv.patterns.declared import describe, prepare
from devenv.patterns.seen import Item, ScriptSeen, SeenPattern

WATCH: Final = Path(__file__).parents[1] / "capture" / "site"
TELL: Final = "DEVENV_TELL"


def run_script(
    access: SeenPattern,
    table: Mapping[str, Any] | None,
    settings: Settings,
    environ: Mapping[str, str],
    root: Path,
    target: DynamoTarget,
) -> ScriptSeen:
    """Run `script` of a pattern with the parameters of its main run, in the project's folder.

    `environ` is what `devenv run` would give it. A Python script tells its queries, of others only the answer is seen.
    """
    known = access.main.sample.values if access.main else {}
    values = {"python": (settings.backend.python if settings.backend else None) or sys.executable, **known}
    declared = describe(prepare(access.pattern, known, table)) if access.main else StoreCall(access.amount)
    try:
        command = tuple(fill(access.pattern.script, values))
    except Unknown as error:
        return ScriptSeen(
            tuple(access.pattern.script), declared, failure=f"it needs {{{error.name}}}, which is not known"
        )
    began = time.perf_counter()
    try:
        ended, printed = execute(command, environ, root, access.pattern.seconds)
    except OSError as error:
        return ScriptSeen(command, declared, failure=f"it cannot be started: {error}")
    ms = (time.perf_counter() - began) * 1000
    asked, items, elsewhere = read_told(ended.told, declared, target)
    failure = failure_of(ended, access.pattern.seconds) or elsewhere
    return ScriptSeen(command, declared, asked, items, count_printed(printed, access.pattern.items), failure, ms)


def execute(command: Sequence[str], environ: Mapping[str, str], folder: Path, seconds: float) -> tuple[Ended, bytes]:
    """Run a command to its end, at most for so long; how it ended with what it told, and what it printed.

    Who prints without end is ended (`too_much`).
    """
    said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `finish`
    (read_end, write_end), (printed_end, print_end) = os.pipe(), os.pipe()
    paths = [str(WATCH), *filter(None, [environ.get("PYTHONPATH")])]
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=print_end,
            stderr=said,
            cwd=folder,
            env={**environ, TELL: str(write_end), "PYTHONPATH": os.pathsep.join(paths)},
            pass_fds=[write_end],
            start_new_session=True,
        )
    except OSError:
        os.close(read_end)
        os.close(printed_end)
        said.close()
        raise
    finally:
        os.close(write_end)
        os.close(print_end)
    told, printed = bytearray(), bytearray()
    too_much = threading.Event()
    readers = [
        threading.Thread(target=drain, args=(end, into, too_much), daemon=True)
        for end, into in ((read_end, told), (printed_end, printed))
    ]
    for reader in readers:
        reader.start()
    ended = finish(Running(process, said, told, readers[0], too_much), seconds)
    readers[1].join(1.0)
    return ended, bytes(printed)


def read_told(
    told: bytes, declared: StoreCall, target: DynamoTarget
) -> tuple[tuple[StoreCall, ...] | None, tuple[Item, ...] | None, str | None]:
    """(the calls, or None if it did not report; the result of the call most like the declared one; a wrong address)."""
    events = [*parse_lines(told)]
    if not any(event.get("event") == "watching" for event in events):
        return None, None, None
    sent = [one for one in requests.read_events(events) if requests.is_read(one) and not one.is_sql]
    folded = requests.fold_pages(sent)
    if not folded:
        return (), None, None
    asked = [requests.describe(run) for run in folded]
    best = min(range(len(asked)), key=lambda number: len(differences(asked[number], declared)))
    items = tuple(item for one in folded[best] for item in one.items or ())
    url = folded[best][0].url
    wrong = url is not None and address_of(url) != address_of(target.endpoint)
    return (
        tuple(asked),
        items,
        f"it sends requests to {url}, but this project's DynamoDB is {target.endpoint}" if wrong else None,
    )


def address_of(endpoint: str) -> tuple[str, int | None]:
    """Host and port of an endpoint; this machine has one name."""
    url = urlsplit(endpoint)
    host = url.hostname or ""
    return ("127.0.0.1" if host in ("localhost", "::1") else host), url.port


def failure_of(ended: Ended, seconds: float) -> str | None:
    """Why it gave no answer; None when it did."""
    if ended.too_much:
        return f"it printed more than {2 * ANSWER_BYTES:,} bytes"
    if ended.status is None:
        return f"it did not end within {seconds:g} s"
    if ended.status != 0:
        said = last_line(ended.said)
        return f"it ended with status {ended.status}" + (f": {said}" if said else "")
    return None


def count_printed(printed: bytes, place: str) -> int | None:
    """Return how many entries the list in its JSON has; None when it printed no such list."""
    try:
        value = json.loads(printed)
    except ValueError:
        return None
    for name in filter(None, place.split(".")):
        value = value.get(name) if isinstance(value, dict) else None
    return len(value) if isinstance(value, list) else None
