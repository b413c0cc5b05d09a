"""The files that a user asks for: looked at before anything is read, and put in their place in one step."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from devenv.core.errors import UsageError
from devenv.verify.work import open_private

# How these files begin: only such a one is replaced.
PLAN: Final = b'{"schema":"devenv.repair-plan/'
FINDINGS: Final = b'{"class":"'


def check_output(path: Path, begins: bytes) -> Path:
    """Where to write `path`, behind links. UsageError unless a file can be made there that nothing is lost by."""
    place = Path(os.path.realpath(path))
    folder = place.parent
    if not folder.is_dir():
        hint = f"mkdir -p {shlex.quote(str(folder))}"
        raise UsageError(f"{path} cannot be written", detail=f"there is no folder {folder}", hint=hint)
    if place.exists() and not place.is_file():
        raise UsageError(f"{path} cannot be written", detail="it is no regular file", hint="name another file")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"{path} cannot be written", detail=f"nothing may be written into {folder}")
    if place.exists():
        try:
            with place.open("rb") as file:
                begin = file.read(len(begins))
        except OSError as error:
            raise UsageError(f"{path} cannot be replaced", detail=str(error)) from None
        if begin and begin != begins:
            detail = "it holds something else, which would be lost"
            raise UsageError(f"{path} is not replaced", detail=detail, hint="name another file")
    return place


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new private file that takes the place of `path` when the block is through; when it fails, nothing is left."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open_private(unfinished) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
