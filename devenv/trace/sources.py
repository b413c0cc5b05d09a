"""The application's source files: one that is newer than the process runs only after a restart."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from devenv.config.schema import Settings
    from devenv.trace.question import TraceContext

SUFFIXES: Final = frozenset(
    f".{end}"
    for end in "cjs cs ex go java js jsx kt mjs mts php py rb rs ts tsx".split()  # noqa: SIM905
)
LEFT_OUT: Final = frozenset(["node_modules", "site-packages", "spec", "test", "tests"])
# A virtual environment of any name has this file.
VENV: Final = "pyvenv.cfg"
LIMIT: Final = 5_000
# A process reads its code some time after its start.
SETTLED_S: Final = 0.2


def changed_since(folder: Path, started: float, others: frozenset[Path]) -> str | None:
    """The source file in `folder` that was changed last after `started` (epoch seconds), relative to it; None: none.

    A change right after the start does not count: the process may have read it.
    Packages, tests and `others` (files and folders) are left out. Of a large folder the first 5,000 entries are read,
    the upper ones first.
    """
    newest: tuple[float, str] | None = None
    for entry in entries_of(folder, others):
        if os.path.splitext(entry.name)[1] not in SUFFIXES:
            continue
        try:
            changed = entry.stat().st_mtime
        except OSError:
            continue
        if changed > started + SETTLED_S and (newest is None or changed > newest[0]):
            newest = changed, entry.path
    return os.path.relpath(newest[1], folder) if newest else None


def entries_of(folder: Path, others: frozenset[Path]) -> Iterator[os.DirEntry[str]]:
    """Files below `folder`, breadth first."""
    waiting, left = deque([str(folder)]), LIMIT
    while waiting and left > 0:
        try:
            with os.scandir(waiting.popleft()) as listed:
                here = list(listed)
        except OSError:
            continue
        if any(entry.name == VENV for entry in here):
            continue
        left -= len(here)
        for entry in here:
            if entry.name.startswith((".", "__pycache__")) or entry.name in LEFT_OUT or Path(entry.path) in others:
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            else:
                yield entry


def newer_code(inquiry: TraceContext) -> str | None:
    """A source file of the application that was changed after its process was started; None: none, or not known."""
    folder, started = inquiry.application.folder, inquiry.application.started
    root = inquiry.facts.context.root
    if folder is None or started is None or not folder.is_relative_to(root):
        return None
    changed = changed_since(folder, started, files_of_steps(inquiry.settings, root))
    return os.path.relpath(folder / changed, root) if changed else None


def files_of_steps(settings: Settings, root: Path) -> frozenset[Path]:
    """The files that the three steps load or run: no part of the running application."""
    steps = settings.steps
    words = [
        word for step in (steps.setup, steps.schema_load, steps.seed) for word in (*step.files, *(step.command or ()))
    ]
    return frozenset(
        path for word in words for path in (root.glob(word) if "*" in word else [root / word]) if path != root
    )
