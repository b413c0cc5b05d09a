"""The live view: one line per service and step on a terminal, plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from devenv.config.masking import mask_text
from devenv.core.events import Event, Watch
from devenv.render.cells import clean
from devenv.render.report import use_color

if TYPE_CHECKING:
    from rich.table import Table

PLAIN_EVERY_S = 5.0


def draw_bar(share: float) -> str:
    """Return how much is done, of 1."""
    filled = int(20 * min(share, 1.0))
    return "█" * filled + "░" * (20 - filled)


class PlainProgress(Watch):
    """Lines as things happen; notes and progress only every few seconds."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._told: dict[str, float] = {}

    def tell(self, event: Event) -> None:
        """Write a line, if it is time for one."""
        now = time.monotonic()
        words = event.text
        if event.kind in ("note", "progress"):
            if now - self._told.get(event.target, 0.0) <= PLAIN_EVERY_S:
                return
            words = amount(event) if event.kind == "progress" else words
        if event.kind == "end" and not event.ok:
            words = f"FAILED: {words}"
        if event.kind not in ("end", "say"):
            self._told[event.target] = now
        with self._guard:
            sys.stderr.write(clean(f"{event.target}: {words}" if event.kind != "say" else words) + "\n")
            sys.stderr.flush()


def amount(event: Event) -> str:
    """`3 of 12 MB (25%)`; `3 MB` when the whole is not known."""
    share = f" of {event.total / 1e6:.0f} MB ({event.done / event.total:.0%})" if event.total else " MB"
    return f"{event.done / 1e6:.0f}{share}"


class Live(Watch):
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
                grid.add_row(sign, Text(target), Text(f"{spent:.1f} s"), Text(clean(row["text"])))
        return grid

    def _change(self, target: str, **values: Any) -> None:
        with self._guard:
            row = self._rows.setdefault(target, {"began": time.monotonic(), "ended": None, "ok": None, "text": ""})
            row.update(values)

    def tell(self, event: Event) -> None:
        """Change the target's line, or print a sentence above the table."""
        match event.kind:
            case "begin":
                self._change(event.target, text=event.text, began=time.monotonic(), ended=None, ok=None)
            case "note":
                bar = "" if event.share is None else f"{draw_bar(event.share)} "
                self._change(event.target, text=f"{bar}{event.text}")
            case "progress":
                of = f" of {event.total / 1e6:.0f} MB" if event.total else " MB"
                bar = f"{draw_bar(event.done / event.total)} " if event.total else ""
                self._change(event.target, text=f"{bar}{event.done / 1e6:.0f}{of}")
            case "end":
                self._change(event.target, text=event.text, ok=event.ok, ended=time.monotonic())
            case "say":
                self._console.print(clean(event.text), markup=False)

    def close(self) -> None:
        """Leave the last picture standing."""
        self._live.stop()


class OnDemand(Watch):
    """Becomes `Live` or `PlainProgress` at the first event, so that a command with no events does not load rich."""

    def __init__(self, color: str) -> None:
        self._color = color
        self._shown: Live | PlainProgress | None = None
        self._guard = threading.Lock()

    def tell(self, event: Event) -> None:
        """Pass it on, without secrets; a sentence alone opens nothing."""
        event = replace(event, text=mask_text(event.text))
        if event.kind == "say" and self._shown is None:
            typer.echo(clean(event.text), err=True)
        else:
            self._open().tell(event)

    def _open(self) -> Live | PlainProgress:
        with self._guard:
            if self._shown is None:
                terminal = sys.stderr.isatty()
                self._shown = Live(use_color(self._color, sys.stderr)) if terminal else PlainProgress()
            return self._shown

    def close(self) -> None:
        """Take the view down; the next event opens a new one."""
        with self._guard:
            if self._shown is not None:
                self._shown.close()
                self._shown = None


@contextmanager
def open_watch(*, quiet: bool, color: str) -> Iterator[Watch]:
    """The view for one command; it is taken down on every way out, so that errors print below it."""
    watch = Watch() if quiet else OnDemand(color)
    try:
        yield watch
    finally:
        watch.close()
