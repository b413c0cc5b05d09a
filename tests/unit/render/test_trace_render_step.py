"""`trace --step` in a real terminal: every key does what it says, on a wide and on a narrow one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import termios
from contextlib import AbstractContextManager

import pytest

from devenv.render.cells import cell_width
from tests.support import REPOSITORY
from tests.terminal import LIMIT_S, Terminal, open_terminal
from tests.trace_samples import GROUP, NAMES, message_id

# What the command does, with samples in place of stores; a second report is what asking again gives.
DRIVER = """
import signal, sys
from devenv.cli import app as cli
from devenv.render.trace_step import walk
from tests.trace_samples import SAMPLES

first, *others = sys.argv[1:]
signal.signal(signal.SIGTERM, cli.terminate)
def run():
    return walk(SAMPLES[first](), lambda: SAMPLES[others.pop(0)](), color=False).exit_code
sys.exit(cli.guarded(run))
"""


def terminal(*samples: str, width: int = 80, height: int = 24) -> AbstractContextManager[Terminal]:
    """The driver on a terminal of its own."""
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return open_terminal([sys.executable, "-c", DRIVER, *samples], environ, width, height)


PROMPTS = {80: "{}/8 {}  n next, i inspect, w why, a again, q quit, ? help ", 40: "{}/8 {}  n i w a q ? "}
WIDTHS = pytest.mark.parametrize("width", [80, 40])


def prompt(width: int, name: str) -> str:
    return PROMPTS[width].format(NAMES.index(name) + 1, name)


@WIDTHS
@pytest.mark.parametrize("key", ["n", "\r", "\n"])
def test_next_goes_from_layer_to_layer_and_ends_with_the_verdict(width: int, key: str) -> None:
    with terminal("wrong_query", width=width) as screen:
        for name in NAMES:
            shown = screen.until(prompt(width, name))
            assert f"{NAMES.index(name) + 1}/8 What about {name}?" in shown
            assert "diverged" not in shown
            screen.press(key)
        screen.until("✗ diverged at library: wrong_query")
        assert screen.end() == 1
        assert [line for line in screen.lines if line.startswith("✗ library")]
        assert all(cell_width(line) <= width for line in screen.lines)


@WIDTHS
def test_inspect_shows_all_that_went_in_and_came_out(width: int) -> None:
    with terminal("wrong_query", width=width, height=500) as screen:
        for name in NAMES[:6]:
            screen.until(prompt(width, name))
            screen.press("n")
        screen.until(prompt(width, "library"))
        screen.press("i")
        shown = re.sub(r"\s+", "", screen.until(prompt(width, "library")))
        for words in (
            "function:chat.messages:list_messages", f"message_group_uuid:{GROUP}", "outcome:returned", "count:0",
            "andbegins_with(sk,2026)", "entries,expectedandobserved(12)", f"{message_id(11)}:missing",
            "display_name:InesHalvorsen", "[21characters]", "observed:notthere",
        ):  # fmt: skip
            assert words in shown, words
        screen.press("q")
        assert screen.end() == 1
        assert all(cell_width(line) <= width for line in screen.lines)


@WIDTHS
def test_a_long_inspection_comes_in_pages(width: int) -> None:
    with terminal("healthy", width=width, height=10) as screen:
        screen.until(prompt(width, "environment"))
        screen.press("i")
        first = screen.until(" more lines: any key, or q ")
        assert first.count("\n") <= 10
        screen.press(" ")
        screen.until(" more lines: any key, or q ")
        screen.press("q")
        screen.until(prompt(width, "environment"))
        screen.press("q")
        assert screen.end() == 0
        assert not any("more lines" in line for line in screen.lines)


@WIDTHS
def test_why_tells_the_judgement_of_a_layer(width: int) -> None:
    with terminal("wrong_query", width=width) as screen:
        for name, words in (
            ("environment", "It is as the project declares it."),
            ("services", "It is as the project declares it."),
            ("postgres", "It is as the project declares it."),
            ("dynamodb", "12 entries found; the next layers are compared with them."),
            ("cross-store", "It is as the project declares it."),
            ("pattern", "12 entries came out of it, 12 went in: nothing is lost, new or changed."),
            ("library", "This is the first layer that breaks (missing): 0 of 12 entries."),
            ("http", "This is broken too (mutated): 0 of 0 entries."),
        ):
            screen.until(prompt(width, name))
            screen.press("w")
            shown = " ".join(screen.until(prompt(width, name)).split())
            assert words in shown
            if name == "library":
                assert "differs in the sort-key condition" in shown
                assert "fix correct list_messages()" in shown
            screen.press("n")
        assert screen.end() == 1
        commands = [line for line in screen.lines if " devenv " in line]
        assert all(cell_width(line) <= width or line in commands for line in screen.lines)


@WIDTHS
def test_again_asks_again_and_the_new_verdict_counts(width: int) -> None:
    with terminal("wrong_query", "healthy", width=width) as screen:
        for name in NAMES[:6]:
            screen.until(prompt(width, name))
            screen.press("n")
        assert "✗ library" in screen.until(prompt(width, "library"))
        screen.press("a")
        shown = screen.until(prompt(width, "library"))
        assert "asked again" in shown
        assert "✓ library" in shown
        screen.press("nn")
        screen.until("✓ ok: every layer agrees")
        assert screen.end() == 0


@WIDTHS
@pytest.mark.parametrize("key", ["q", "\x04"])
def test_quit_leaves_at_once(width: int, key: str) -> None:
    with terminal("wrong_query", width=width) as screen:
        screen.until(prompt(width, "environment"))
        screen.press("n")
        screen.until(prompt(width, "services"))
        screen.press(key)
        assert screen.end() == 1
        assert "postgres?" not in screen.seen
        assert "diverged" not in screen.seen


@WIDTHS
@pytest.mark.parametrize("key", ["?", "x", "\x1b[A", "é"])
def test_help_lists_the_keys_and_so_does_an_unknown_one(width: int, key: str) -> None:
    with terminal("healthy", width=width) as screen:
        screen.until(prompt(width, "environment"))
        screen.press(key)
        shown = " ".join(screen.until(prompt(width, "environment")).split())
        for words in ("n next:", "i inspect:", "w why:", "a again:", "q quit", "? help:"):
            assert words in shown
        screen.press("q")
        assert screen.end() == 0


@WIDTHS
def test_ctrl_c_leaves_with_130_and_the_terminal_as_it_was(width: int) -> None:
    with terminal("healthy", width=width) as screen:
        screen.until(prompt(width, "environment"))
        assert not termios.tcgetattr(screen.master)[3] & termios.ECHO  # type: ignore[operator]
        screen.press("\x03")
        assert screen.end() == 130
        assert "error: interrupted" in screen.seen


def test_a_termination_restores_the_terminal_too() -> None:
    with terminal("healthy") as screen:
        screen.until(prompt(80, "environment"))
        screen.process.send_signal(signal.SIGTERM)
        assert screen.end() == 143


def test_keys_that_were_typed_ahead_count() -> None:
    with terminal("narrowed") as screen:
        screen.press("nnnnnnnn")
        screen.until("✗ diverged at pattern: narrowed")
        assert screen.end() == 1


def test_an_error_while_asking_again_restores_the_terminal() -> None:
    with terminal("healthy") as screen:
        screen.until(prompt(80, "environment"))
        screen.press("a")  # the driver has no second report
        assert screen.end() == 1
        assert "error: devenv itself failed" in screen.seen


@pytest.mark.parametrize("stream", ["stdin", "stdout"])
def test_without_a_terminal_it_says_what_to_do_instead(stream: str) -> None:
    master, slave = os.openpty()
    try:
        streams = {"stdin": slave, "stdout": slave, stream: subprocess.PIPE}
        done = subprocess.run(
            [sys.executable, "-c", DRIVER, "healthy"],
            **({"input": b""} if stream == "stdin" else {"stdin": slave}),
            stdout=streams["stdout"],
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            timeout=LIMIT_S,
            check=False,
        )
    finally:
        os.close(slave)
        os.close(master)
    assert done.returncode == 2
    assert b"error: --step needs a terminal" in done.stderr
    assert b"hint: leave --step out" in done.stderr
