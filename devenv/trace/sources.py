"""The application's source files: one that is newer than the process runs only after a restart."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from devenv.host.source_files import digest_of, source_files

if TYPE_CHECKING:
    from devenv.config.schema import Settings
    from devenv.trace.question import TraceContext

# A process reads its code some time after its start.
SETTLED_S: Final = 0.2


def changed_since(folder: Path, started: float, others: frozenset[Path], digests: Mapping[str, str] = {}) -> str | None:
    """The source file in `folder` that was changed last after `started` (epoch seconds), relative to it; None: none.

    A change right after the start does not count: the process may have read it.
    `digests` are those of the start: by them a file is found whose content is another one though its time is an old one
    (`cp -p`, rsync, archives).
    Packages, tests and `others` (files and folders) are left out. Of a large folder the first 5,000 entries are read,
    the upper ones first.
    """
    began = started + SETTLED_S
    newest: tuple[float, str] | None = None
    for entry in source_files(folder, others):
        try:
            status = entry.stat()
            changed = status.st_mtime
            # The time of the change itself cannot be set; but a new mode changes it, too.
            if changed <= began < status.st_ctime and digests.get(entry.path, "") not in ("", digest_of(entry.path)):
                changed = status.st_ctime
        except OSError:
            continue
        if changed > began and (newest is None or changed > newest[0]):
            newest = changed, entry.path
    return os.path.relpath(newest[1], folder) if newest else None


def newer_code(inquiry: TraceContext) -> str | None:
    """A source file of the application that was changed after its process was started; None: none, or not known."""
    folder, started = inquiry.application.folder, inquiry.application.started
    root = inquiry.facts.context.root
    if folder is None or started is None or not folder.is_relative_to(root):
        return None
    changed = changed_since(folder, started, files_of_steps(inquiry.settings, root), inquiry.application.digests)
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
