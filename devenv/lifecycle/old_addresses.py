"""Hard-coded addresses in the application's code of stores that had to use another port."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from devenv.core.late import late

if TYPE_CHECKING:
    from devenv.stack import Stack

CODE: Final = (".py", ".js", ".mjs", ".cjs", ".ts", ".rb", ".go", ".java", ".php", ".env", ".ini", ".cfg")
SKIPPED: Final = frozenset(["node_modules", "venv", "__pycache__", "tests", "test", "dist", "build", "site-packages"])
ABOUT: Final = late("dynamo|endpoint|ddb", re.IGNORECASE)
FILES: Final = 400
BYTES: Final = 200_000


def old_addresses(stack: Stack) -> Iterator[str]:
    """One sentence for each line of the application's files that names a store's declared, but not its present port."""
    from devenv.steps.command import find_written, moved_ports

    backend = stack.settings.backend
    targets = stack.engine.targets()
    moved = moved_ports(stack.settings, targets.postgres, targets.dynamodb)
    if backend is None or not moved:
        return
    folder = stack.root / (backend.folder or ".")
    files = code_files(folder)
    for path in islice(files, FILES):
        with path.open("rb") as file:
            text = file.read(BYTES).decode("utf-8", "replace")
        for written in find_written(os.path.relpath(path, stack.root), text):
            if written.port in moved and is_meant(moved[written.port][0], written.text):
                store, now, variable = moved[written.port]
                yield (
                    f"{written.place} contains the old port of {store} ({written.text}); "
                    f"its address is now {now}: read it from the variable {variable}"
                )
    if next(files, None) is not None:
        yield f"the ports moved, and only the first {FILES} source files were searched for the old ones"


def is_meant(store: str, line: str) -> bool:
    """Return True if a line with the port of a store is about that store: many a web server has 8000, too. Pure."""
    return store != "dynamodb" or ABOUT.search(line) is not None


def code_files(folder: Path) -> Iterator[Path]:
    """The source files of a folder, without those of packages and tests. Links are not followed."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if each not in SKIPPED and not each.startswith("."))
        for name in sorted(names):
            path = Path(place) / name
            if name.endswith(CODE) and path.is_file() and not path.is_symlink():
                yield path
