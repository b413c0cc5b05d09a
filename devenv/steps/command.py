"""A step that is the project's own program: refused, run, watched, and its work looked up.

A program is not believed: it may have an old address written in, or end well without having done anything.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from devenv.config.interpreter import with_programs
from devenv.config.load import interpreter
from devenv.core.errors import DevenvError, UsageError
from devenv.core.late import late
from devenv.host.writing import open_append
from devenv.steps.lacking import explain_lacking, explain_table, missing_interpreter
from devenv.steps.unset import explain, find_unset, named_unset, program_files

if TYPE_CHECKING:
    from devenv.config.schema import Settings
    from devenv.core.model import DynamoTarget, PostgresTarget
    from devenv.steps.step import Inputs, StepContext

TAIL_LINES: Final = 15
TAIL_BYTES: Final = 8_000
# So much of a failed program's output is searched for its first error: drivers print long objects behind it.
OUTPUT_BYTES: Final = 200_000
ERROR: Final = late(r"\b(?:\w*error|\w*exception|fatal|panic)\b\W", re.IGNORECASE)
# A longer file is no script.
FILE_BYTES: Final = 1_000_000
LINE_BYTES: Final = 1 << 20
WATCH: Final = Path(__file__).parents[1] / "capture" / "site"
TELL: Final = "DEVENV_TELL"
HOSTS: Final = r"(?:localhost|127\.0\.0\.1|0\.0\.0\.0|host\.docker\.internal|\[::1\])"
ADDRESS: Final = late(HOSTS + r":(\d{2,5})\b")
PORT: Final = late(r"(?i)\bport\b['\"]?\s*[:=]\s*['\"]?(\d{2,5})\b")
# A line that reads a variable has its address for the case that there is none.
DEFAULT: Final = late(r"environ|getenv|process\.env|ENV\[|\$\{\w+:[-=]", re.IGNORECASE)
COMMENT: Final = late(r"\s*(?:#(?!!)|//|--)")
READS: Final = frozenset(
    ["Query", "Scan", "GetItem", "BatchGetItem", "TransactGetItems", "DescribeTable", "ListTables"]
)
READING: Final = late(r"\s*(?:SELECT|SHOW|WITH|EXPLAIN|SET|BEGIN|COMMIT|ROLLBACK)\b", re.IGNORECASE)


class WatchedWrites(msgspec.Struct):
    """Where a watched program sent its writes: addresses by store. `watching`: it told at all."""

    watching: bool = False
    dynamodb: dict[str, str] = msgspec.field(default_factory=dict)
    postgres: dict[tuple[str, int], str] = msgspec.field(default_factory=dict)


class WrittenAddress(msgspec.Struct, frozen=True):
    """An address that a file has written in: `place` is `seed.py:3`."""

    place: str
    port: int
    text: str


def refuse_old_addresses(ctx: StepContext, inputs: Inputs, name: str) -> None:
    """UsageError when a store has another port than the declared one, and a file of the command names that one."""
    moved = moved_ports(ctx.settings, ctx.postgres, ctx.dynamodb)
    for written in find_addresses(ctx.root, inputs):
        if written.port in moved:
            store, now, variable = moved[written.port]
            raise UsageError(
                f"step {name} is not run: {written.place} contains the old address of {store}",
                detail=f"{written.text}\nport {written.port} is taken by another process; {store} is at port {now} now",
                hint=f"read {variable} there instead of an address, then: devenv up",
            )


def moved_ports(
    settings: Settings, postgres: PostgresTarget, dynamodb: DynamoTarget
) -> dict[int | None, tuple[str, int, str]]:
    """Declared port -> (store, its present port, the variable that leads there), of stores that had to move. Pure."""
    return {
        declared: (store, now, variable)
        for store, declared, now, variable in (
            ("postgres", settings.postgres.port, postgres.port, "DATABASE_URL"),
            ("dynamodb", settings.dynamodb.port, urlsplit(dynamodb.endpoint).port, "AWS_ENDPOINT_URL_DYNAMODB"),
        )
        if now is not None and declared != now
    }


def find_addresses(root: Path, inputs: Inputs) -> Iterator[WrittenAddress]:
    """The addresses of this machine that the files of a command have written in."""
    texts = {file.name: file.text for file in inputs.files}
    for word in inputs.command:
        path = root / word
        if word not in texts and path.is_file() and path.stat().st_size < FILE_BYTES:
            texts[word] = path.read_bytes().decode("utf-8", "replace")
    texts[" ".join(inputs.command)] = " ".join(inputs.command)
    for name, text in texts.items():
        yield from find_written(name, text)


def find_written(name: str, text: str) -> Iterator[WrittenAddress]:
    """The addresses of this machine that a text has written in. Pure."""
    for number, line in enumerate(text.splitlines(), 1):
        if DEFAULT.search(line) or COMMENT.match(line):
            continue
        for found in (*ADDRESS.finditer(line), *PORT.finditer(line)):
            yield WrittenAddress(f"{name}:{number}", int(found[1]), line.strip()[:200])


def run_command(ctx: StepContext, inputs: Inputs, name: str) -> None:
    """Run the project's own command of a step.

    UsageError before it runs; DevenvError when it fails, and when its writes went elsewhere.
    """
    refuse_old_addresses(ctx, inputs, name)
    told = run_program(ctx, inputs.command, ctx.environ)
    if elsewhere := went_elsewhere(ctx, told):
        raise DevenvError(
            f"the command {' '.join(inputs.command)} wrote to another store: {elsewhere[0]}",
            detail="\n".join(elsewhere[1:]) or None,
            cause="its files, or settings that it loads, contain an address that differs from the one it was given",
            hint="read AWS_ENDPOINT_URL_DYNAMODB and DATABASE_URL there (devenv env prints them), then: devenv up",
        )


def run_program(ctx: StepContext, words: Sequence[str], environ: Mapping[str, str]) -> WatchedWrites:
    """Run a command of the project with these variables; its output goes to the log. DevenvError with its last lines.

    Gives where a Python program sent its writes.
    """
    ctx.log.parent.mkdir(parents=True, exist_ok=True)
    environ = with_programs(environ, ctx.root)
    python = interpreter(ctx.settings, ctx.root)
    command = [word.replace("{python}", python) for word in words]
    shown = " ".join(command)
    ctx.say(f"running {shown}")
    with open_append(ctx.log) as log:
        log.write(f"$ {shown}\n".encode())
        log.flush()
        start = log.tell()
        try:
            program = shutil.which(command[0], path=environ["PATH"]) or command[0]
            code, told = run_watched([program, *command[1:]], environ, ctx.root, log)
        except OSError as error:
            hint = missing_interpreter(ctx.root, command[0])
            raise DevenvError(f"the command {shown} could not be started", detail=str(error), hint=hint) from None
    if code:
        how = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
        said = last_lines(ctx.log, start)
        named = {name: at for name, at in named_unset(ctx.root, command, said).items() if name not in environ}
        unset = named or find_unset(ctx.root, command, said, environ)
        lacking = explain_lacking(ctx.root, said, python)
        if lacking is None and not named:
            loads = ctx.settings.steps.schema_load
            programs = program_files(ctx.root, command, said)
            lacking = explain_table(said, programs, environ, bool(loads.files or loads.command))
        cause, hint = lacking or (explain(unset, ctx.root) if unset else (None, None))
        raise DevenvError(
            f"the command {shown} {how}", detail=f"{said}\n(whole log: {ctx.log})", cause=cause, hint=hint
        )
    return told


def run_watched(
    command: Sequence[str], environ: Mapping[str, str], folder: Path, log: IO[bytes]
) -> tuple[int, WatchedWrites]:
    """Run a command to its end: its exit code, and what a Python program told of its writes."""
    read_end, write_end = os.pipe()
    paths = [str(WATCH), *filter(None, [environ.get("PYTHONPATH")])]
    told = WatchedWrites()
    try:
        process = subprocess.Popen(
            list(command),
            cwd=folder,
            env={**environ, TELL: str(write_end), "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[write_end],
        )
    except OSError:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    reader = threading.Thread(target=read_told, args=(read_end, told), daemon=True)
    reader.start()
    try:
        code = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    # What it left running may keep the pipe open: that is not waited for.
    reader.join(1.0)
    return code, told


def read_told(descriptor: int, told: WatchedWrites) -> None:
    """Collect where the writes went, event by event; nothing else is kept."""
    with os.fdopen(descriptor, "rb") as stream:
        while line := stream.readline():
            # An answer may be long, and is of no interest: it is read over.
            if len(line) > LINE_BYTES or b'"answered"' in line[:80]:
                continue
            try:
                event = json.loads(line)
            except ValueError:
                continue
            note(event, told)


def note(event: Any, told: WatchedWrites) -> None:
    if not isinstance(event, dict):
        return
    told.watching = told.watching or event.get("event") == "watching"
    if event.get("event") != "asked":
        return
    if event.get("service") == "dynamodb" and event.get("url") and event.get("operation") not in READS:
        told.dynamodb.setdefault(str(event["url"]), str(event.get("operation")))
    elif event.get("service") == "postgres" and event.get("host") and event.get("port"):
        text = str(event.get("request") or "")
        if not READING.match(text):
            told.postgres.setdefault((str(event["host"]), int(event["port"])), text.split()[0] if text.split() else "")


def went_elsewhere(ctx: StepContext, told: WatchedWrites) -> list[str]:
    """The addresses that are not the project's, in words."""
    ours = place(ctx.dynamodb.endpoint)
    wrong = [
        f"{operation} went to {url}, and this project's DynamoDB is {ctx.dynamodb.endpoint}"
        for url, operation in told.dynamodb.items()
        if place(url) != ours
    ]
    here = (host_of(ctx.postgres.host), ctx.postgres.port)
    return wrong + [
        f"{operation} went to Postgres at {host}:{port}, and this project's is {ctx.postgres.address}"
        for (host, port), operation in told.postgres.items()
        if not host.startswith("/") and (host_of(host), port) != here
    ]


def place(url: str) -> tuple[str, int | None]:
    """Host and port of an endpoint."""
    parts = urlsplit(url)
    return host_of(parts.hostname or ""), parts.port


def host_of(host: str) -> str:
    """This machine's names are one."""
    return "127.0.0.1" if host in ("localhost", "::1", "0.0.0.0") else host  # noqa: S104 - compared, not bound


def nothing_made(what: str, written: Iterable[WrittenAddress]) -> DevenvError:
    """The error of a command that ended well and left the store as empty as it was."""
    places = [f"{each.place}: {each.text}" for each in written]
    return DevenvError(
        f"the command succeeded, but {what}",
        detail="\n".join(["its files contain these addresses:", *places]) if places else None,
        cause="it wrote to another store, or wrote nothing",
        hint="let it read AWS_ENDPOINT_URL_DYNAMODB and DATABASE_URL (devenv env prints them), then: devenv up",
    )


def last_lines(log: Path, start: int) -> str:
    """The last lines that were written to `log` behind byte `start`, and before them the first that names an error."""
    with log.open("rb") as file:
        size = log.stat().st_size
        file.seek(max(start, size - OUTPUT_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    tail = lines[-TAIL_LINES:]
    while len(tail) > 1 and sum(map(len, tail)) > TAIL_BYTES:
        del tail[0]
    first = next((line for line in lines if ERROR.search(line)), None)
    if first is not None and first not in tail:
        tail = [first[:500], "…", *tail]
    return "\n".join(tail)[-TAIL_BYTES:] or "(no output)"
