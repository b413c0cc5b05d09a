"""The folder in which `snapshot diff` unpacks and serves a snapshot; what a killed one left is removed later."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from devenv.host import processes

PREFIX: Final = ".diff-"
HELD: Final = "lock"
# A folder is held a moment after it was made.
YOUNG_S: Final = 60.0


@contextmanager
def diff_folder(home: Path) -> Iterator[Path]:
    """A folder of one comparison, held with a lock while it is used, and gone afterwards."""
    from filelock import FileLock

    sweep_diffs(home)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=home))
    # As root, Postgres is served as another account.
    folder.chmod(0o711)
    try:
        with FileLock(folder / HELD, mode=0o600):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep_diffs(home: Path) -> None:
    """End and remove what killed comparisons left; those that still run are left alone."""
    from filelock import FileLock, Timeout

    for folder in home.glob(f"{PREFIX}*"):
        try:
            held = folder / HELD
            if not held.exists() and time.time() - folder.stat().st_mtime < YOUNG_S:
                continue
            with FileLock(held, timeout=0, mode=0o600):
                end_server(folder)
                shutil.rmtree(folder, ignore_errors=True)
        except (Timeout, OSError):
            continue


def end_server(folder: Path) -> None:
    """End the Postgres that serves a copy below `folder`, if it still runs."""
    for note in folder.glob("*/postgres/postmaster.pid"):
        number = note.read_text("utf-8").partition("\n")[0]
        known = processes.identify(int(number)) if number.isdigit() else None
        if known and any(str(folder) in word for word in known.command):
            processes.stop(known, how=signal.SIGINT)
