"""Many examples in one process: hypothesis bound to the suite's seed, and devenv's own `main` called again and again.

A subprocess for each example would take half a second; the same command, with its exit code, its two streams and its
environment, takes some milliseconds here.
"""

from __future__ import annotations

import functools
import gc
import io
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings
from msgspec.structs import asdict

from devenv.cli import app as cli
from devenv.cli.options import Globals, chosen
from devenv.lifecycle.start import ENDING
from tests.chaos.scenario import FULL, contradictions
from tests.support import SEED, ProjectDir, Ran

# A command on stores that run takes a tenth of a second; with two cores and several workers, some seconds.
HANG_S = 60.0
# `make chaos` has CHAOS_SIZE=full.
MANY = 20 if FULL else 2


def many(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A property, tried with MANY times so many examples of CHAOS_SEED."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        bound = settings(
            max_examples=examples * MANY,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
        )(seed(f"{SEED} {test.__name__}")(test))

        @functools.wraps(bound)
        def tried(*arguments: Any, **named: Any) -> None:
            print(f"CHAOS_SEED={SEED}")
            bound(*arguments, **named)

        return tried

    return decorate


@contextmanager
def own_process(environ: dict[str, str], stdin: str) -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    """What a new process of devenv would have to itself: streams, environment, parsers, signals. All is put back."""
    kept = sys.stdout, sys.stderr, sys.stdin
    before, commands, groups = dict(os.environ), cli.app.registered_commands, cli.app.registered_groups
    handlers, threshold = {number: signal.getsignal(number) for number in ENDING}, gc.get_threshold()
    out, err = io.BytesIO(), io.BytesIO()
    sys.stdout, sys.stderr = (io.TextIOWrapper(each, "utf-8", write_through=True) for each in (out, err))
    sys.stdin = io.StringIO(stdin)
    for name, value in asdict(Globals()).items():
        setattr(chosen, name, value)
    os.environ.clear()
    os.environ.update(environ)
    try:
        yield out, err
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.detach()  # type: ignore[union-attr]
        sys.stdout, sys.stderr, sys.stdin = kept
        os.environ.clear()
        os.environ.update(before)
        cli.app.registered_commands, cli.app.registered_groups = commands, groups
        for number, handler in handlers.items():
            signal.signal(number, handler)
        gc.set_threshold(*threshold)


def call(project: ProjectDir, *words: str, stdin: str = "") -> Ran:
    """The command as `project.devenv(...)` runs it, in this process."""
    with own_process(project.environment(), stdin) as (out, err):
        code = 0
        try:
            cli.main(["--project", str(project.path), *words])
        except SystemExit as leave:
            code = leave.code if isinstance(leave.code, int) else 1
    return Ran(code, out.getvalue().decode(), err.getvalue().decode())


def answered(project: ProjectDir, *words: str, codes: tuple[int, ...]) -> Ran:
    """The command with --json: one document that agrees with its exit code, which is one of `codes`; no traceback."""
    began = time.monotonic()
    ran = call(project, "--json", *words)
    assert contradictions(words[0], ran) == [], (words, ran.all[-3000:])
    assert ran.code in codes, (words, ran.all[-3000:])
    assert time.monotonic() - began < HANG_S, words
    return ran
