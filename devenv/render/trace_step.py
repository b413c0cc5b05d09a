"""`trace --step`: layer by layer with pauses, like a debugger. One key, no Enter; the scrollback keeps everything."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import typer

from devenv.core.errors import UsageError
from devenv.core.model import Report
from devenv.core.plural import number_of
from devenv.render.cells import cell_width
from devenv.render.trace_text import (
    columns,
    heading,
    indent,
    layer_lines,
    terminal_width,
    verdict_lines,
    why,
    wrap,
)
from devenv.render.trace_view import Body, Layer, cost_words, pair_entries, readable

# Inspecting shows values in full, up to what a terminal can still be read by.
FULL: Final = 20_000
KEYS: Final[Mapping[str, str]] = {
    "n": "next: the next layer (Enter does the same)",
    "i": "inspect: what went in and what came out, in full",
    "w": "why: the judgement of this layer, in words",
    "a": "again: ask all layers again, and show this one",
    "q": "quit",
    "?": "help: this list",
}
ONWARD: Final = ("n", "\r", "\n")
# The end of the input, or Ctrl-D, means the same as q.
LEAVE: Final = ("q", "", "\x04")
INTERRUPT: Final = "\x03"
UNKNOWN: Final = "\x1b"

Read = Callable[[], str]


def walk(report: Report, again: Callable[[], Report], *, color: bool = True) -> Report:
    """Show one layer after the other, pausing at each. `again` traces anew.

    Returns the report that was shown last, whose exit code counts. UsageError where stdin or stdout is no terminal.
    KeyboardInterrupt passes, with the terminal as it was.
    """
    check_terminal()
    with single_keys() as read:
        return Walk(report, again, read, color).run()


def check_terminal() -> None:
    """UsageError where nobody could see the layers, or press a key."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "--step needs a terminal: it waits for a key at each layer",
            detail="stdin or stdout is not a terminal",
            hint="leave --step out; --json and --html FILE show every layer too",
        )


class Walk:
    """One walk through a report."""

    def __init__(self, report: Report, again: Callable[[], Report], read: Read, color: bool) -> None:
        self.report = report
        self.body: Body = readable(report.body, FULL)
        self._again = again
        self._read = read
        self._color = color

    def run(self) -> Report:
        """From the first layer to the verdict, or until the user quits."""
        self.say(heading(self.body, terminal_width()))
        place = 0
        while place < len(self.body["layers"]):
            self.show(place)
            if not self.pause(place):
                return self.report
            place += 1
        self.say(["", *verdict_lines(self.body, terminal_width())])
        return self.report

    def show(self, place: int) -> None:
        """One layer: its question and its line."""
        layers = self.body["layers"]
        layer, width = layers[place], terminal_width()
        head = f"{place + 1}/{len(layers)} {layer.get('question') or layer['name']}"
        self.say(["", *(typer.style(line, bold=True) for line in wrap(head, width))])
        self.say(layer_lines(layer, columns(layers), width, ""))

    def pause(self, place: int) -> bool:
        """Answer keys until the user wants to go on (True) or out (False)."""
        while True:
            layers = self.body["layers"]
            key = self.ask(prompt(place, layers))
            if key in LEAVE:
                return False
            if key in ONWARD:
                return True
            if key == "a":
                self.report = self._again()
                self.body = readable(self.report.body, FULL)
                self.say(["", typer.style("asked again", bold=True)])
                self.show(place)
            elif key == "i":
                self.page(list(inspected(layers[place])))
            elif key == "w":
                self.say(why(self.body, layers[place], terminal_width()))
            else:
                self.say(help_lines(terminal_width()))

    def page(self, lines: Sequence[str]) -> None:
        """Lines, a screenful at a time; any key goes on, q ends it."""
        height = max(4, shutil.get_terminal_size((80, 24)).lines - 1)
        for begin in range(0, len(lines), height):
            self.say(lines[begin : begin + height])
            left = len(lines) - begin - height
            if (
                left > 0
                and self.ask(typer.style(f"{number_of(left, 'more line')}: any key, or q ", fg="cyan")) in LEAVE
            ):
                return

    def ask(self, words: str) -> str:
        """Wait for a key behind these words, which then go away."""
        try:
            typer.echo(words, nl=False, color=self._color)
            return self._read()
        finally:
            typer.echo("\r\x1b[K", nl=False, color=True)

    def say(self, lines: Iterable[str]) -> None:
        for line in lines:
            typer.echo(line, color=self._color)


def prompt(place: int, layers: Sequence[Layer]) -> str:
    """The line that the keys are asked on; the words are dropped where they do not fit."""
    where = f"{place + 1}/{len(layers)} {layers[place]['name']}"
    long = f"{where}  n next, i inspect, w why, a again, q quit, ? help "
    words = long if cell_width(long) < terminal_width() else f"{where}  n i w a q ? "
    return typer.style(words, fg="cyan")


def help_lines(width: int) -> list[str]:
    """Return what each key does."""
    return [line for key, words in KEYS.items() for line in indent([(key, words)], width, "  ")]


def inspected(layer: Layer) -> Iterator[str]:
    """All of a layer: request, output, entries, cost."""
    width = terminal_width()
    for title, value in (("went in", layer["request"]), ("came out", layer["output"])):
        yield typer.style(title, bold=True)
        yield from nested(value, width, "  ")
    if cost := cost_words(layer.get("cost")):
        yield typer.style("cost", bold=True)
        yield from wrap_behind(", ".join(cost), width, "  ")
    if pairs := pair_entries(layer):
        yield typer.style(f"entries, expected and observed ({len(pairs)})", bold=True)
        for pair in pairs:
            yield from entry_lines(pair.id, pair.state, width)
            for name, value in (("expected", pair.expected), ("observed", pair.observed)):
                yield from nested({name: "not there" if value is None else value}, width, "    ")
    elif layer.get("entries") is not None:
        yield typer.style(f"entries ({len(layer['entries'])})", bold=True)
        for entry in layer["entries"]:
            yield from entry_lines(entry["id"], None, width)
            yield from nested(entry["fields"], width, "    ")


def entry_lines(identity: str | None, state: str | None, width: int) -> Iterator[str]:
    """An entry's id, and how it differs."""
    yield from wrap_behind(f"{identity or '?'}{f': {state}' if state else ''}", width, "  ")


def nested(value: Any, width: int, guide: str) -> Iterator[str]:
    """Any plain value, indented like YAML."""
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            if isinstance(part, Mapping | list) and part:
                yield from wrap_behind(f"{name}:", width, guide)
                yield from nested(part, width, guide + "  ")
            else:
                yield from wrap_behind(f"{name}: {plain(part)}", width, guide)
    elif isinstance(value, list) and value:
        for part in value:
            if isinstance(part, Mapping | list) and part:
                first, *rest = list(nested(part, width - len(guide) - 2, "")) or [""]
                yield f"{guide}- {first}"
                yield from (f"{guide}  {line}" for line in rest)
            else:
                yield from wrap_behind(f"- {plain(part)}", width, guide)
    else:
        yield from wrap_behind(plain(value), width, guide)


def plain(value: Any) -> str:
    """One value; null, nothing and the empty text are told apart."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping | list):
        return "none"
    return str(value) if value != "" else '""'


def wrap_behind(text: str, width: int, guide: str) -> Iterator[str]:
    for line in wrap(text, max(12, width - len(guide))):
        yield guide + line


# --- the keyboard ---


if sys.platform == "win32":
    import msvcrt

    def read_key() -> str:
        """One key of a console. KeyboardInterrupt for Ctrl-C."""
        key = msvcrt.getwch()
        if key == INTERRUPT:
            raise KeyboardInterrupt
        if key in "\x00\xe0":
            msvcrt.getwch()
            return UNKNOWN
        return key

    @contextmanager
    def single_keys() -> Iterator[Read]:
        yield read_key

else:
    import termios
    import tty

    @contextmanager
    def single_keys() -> Iterator[Read]:
        """A reader of single keys. On every way out the terminal is as it was."""
        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
        try:
            # Keys come one by one and unechoed, but Ctrl-C still interrupts. What was typed ahead is kept.
            tty.setcbreak(descriptor, termios.TCSADRAIN)
            yield keys_of(descriptor)
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

    def keys_of(descriptor: int) -> Read:
        """A reader of a terminal. A key that sends several characters (an arrow) counts as one unknown key."""
        waiting: list[str] = []

        def read() -> str:
            while not waiting:
                typed = os.read(descriptor, 1024).decode("utf-8", "replace")
                if not typed:
                    return ""
                waiting.extend([UNKNOWN] if typed.startswith(UNKNOWN) else typed)
            return waiting.pop(0)

        return read
