"""The live view: one line per service and step on a terminal, plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from devenv.core.events import Silent
from devenv.render import text
from devenv.render.report import use_color

if TYPE_CHECKING:
    from rich.table import Table

PLAIN_EVERY_S = 5.0


def draw_bar(share: float) -> str:
    """How much is done, of 1."""
    filled = int(20 * min(share, 1.0))
    return "█" * filled + "░" * (20 - filled)


class Plain:
    """Lines as things happen; notes and progress only now and then."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._told: dict[str, float] = {}

    def line(self, words: str) -> None:
        """Write one line."""
        with self._guard:
            sys.stderr.write(text.clean(words) + "\n")
            sys.stderr.flush()

    def begin(self, target: str, text: str) -> None:
        """Say what starts, and why."""
        self._told[target] = time.monotonic()
        self.line(f"{target}: {text}")

    def note(self, target: str, text: str, share: float | None = None) -> None:
        """Say what is waited for, every few seconds."""
        now = time.monotonic()
        if now - self._told.get(target, 0.0) > PLAIN_EVERY_S:
            self._told[target] = now
            self.line(f"{target}: {text}")

    def progress(self, target: str, done: int, total: int | None) -> None:
        """Say how far it is, every few seconds."""
        share = f" of {total / 1e6:.0f} MB ({done / total:.0%})" if total else " MB"
        self.note(target, f"{done / 1e6:.0f}{share}")

    def end(self, target: str, text: str, ok: bool) -> None:
        """Say how it ended."""
        self.line(f"{target}: {text if ok else 'FAILED: ' + text}")

    def say(self, text: str) -> None:
        """Say it."""
        self.line(text)

    def close(self) -> None:
        """Nothing to take down."""


class Live:
    """A table that redraws itself: sign, target, seconds, what it does now."""

    def __init__(self, color: bool) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self._rows: dict[str, dict[str, Any]] = {}
        self._guard = threading.Lock()
        self._console = Console(stderr=True, no_color=not color, highlight=False)
        self._live = RichLive(get_renderable=self._table, console=self._console, refresh_per_second=8, transient=False)
        self._live.start()

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=1)
        grid.add_column(no_wrap=True)
        grid.add_column(justify="right", no_wrap=True)
        grid.add_column(overflow="ellipsis", no_wrap=True)
        frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
        with self._guard:
            for target, row in self._rows.items():
                ok = row["ok"]
                spent = (row["ended"] or time.monotonic()) - row["began"]
                spin = frames[int(time.monotonic() * 8) % len(frames)]
                sign = Text(spin, "yellow") if ok is None else Text("✓", "green") if ok else Text("✗", "red")
                grid.add_row(sign, Text(target), Text(f"{spent:.1f} s"), Text(text.clean(row["text"])))
        return grid

    def _change(self, target: str, **values: Any) -> None:
        with self._guard:
            row = self._rows.setdefault(target, {"began": time.monotonic(), "ended": None, "ok": None, "text": ""})
            row.update(values)

    def begin(self, target: str, text: str) -> None:
        """Add the target's line."""
        self._change(target, text=text, began=time.monotonic(), ended=None, ok=None)

    def note(self, target: str, text: str, share: float | None = None) -> None:
        """Change what the line says, behind a bar when it is known how much is done."""
        self._change(target, text=text if share is None else f"{draw_bar(share)} {text}")

    def progress(self, target: str, done: int, total: int | None) -> None:
        """Show a bar, or the amount when the total is unknown."""
        if total:
            self._change(target, text=f"{draw_bar(done / total)} {done / 1e6:.0f} of {total / 1e6:.0f} MB")
        else:
            self._change(target, text=f"{done / 1e6:.0f} MB")

    def end(self, target: str, text: str, ok: bool) -> None:
        """Mark the line as ended."""
        self._change(target, text=text, ok=ok, ended=time.monotonic())

    def say(self, text: str) -> None:
        """Print a line above the table."""
        self._console.print(text, markup=False)

    def close(self) -> None:
        """Leave the last picture standing."""
        self._live.stop()


class Lazy:
    """Becomes `Live` or `Plain` at the first word, so that a command with nothing to tell does not load rich."""

    def __init__(self, color: str) -> None:
        self._color = color
        self._shown: Live | Plain | None = None
        self._guard = threading.Lock()

    def _open(self) -> Live | Plain:
        with self._guard:
            if self._shown is None:
                terminal = sys.stderr.isatty()
                self._shown = Live(use_color(self._color, sys.stderr)) if terminal else Plain()
            return self._shown

    def begin(self, target: str, text: str) -> None:
        """See `Watch`."""
        self._open().begin(target, text)

    def note(self, target: str, text: str, share: float | None = None) -> None:
        """See `Watch`."""
        self._open().note(target, text, share)

    def progress(self, target: str, done: int, total: int | None) -> None:
        """See `Watch`."""
        self._open().progress(target, done, total)

    def end(self, target: str, text: str, ok: bool) -> None:
        """See `Watch`."""
        self._open().end(target, text, ok)

    def say(self, text: str) -> None:
        """See `Watch`."""
        if self._shown is None:
            typer.echo(text, err=True)
        else:
            self._shown.say(text)

    def close(self) -> None:
        """Take the view down; the next word opens a new one."""
        with self._guard:
            if self._shown is not None:
                self._shown.close()
                self._shown = None


class Quiet(Silent):
    """Tells nothing."""

    def close(self) -> None:
        """Nothing to take down."""


@contextmanager
def open_watch(*, quiet: bool, color: str) -> Iterator[Lazy | Quiet]:
    """The view for one command; it is taken down on every way out, so that errors print below it."""
    watch = Quiet() if quiet else Lazy(color)
    try:
        yield watch
    finally:
        watch.close()
