"""The files that a user asks for: looked at before anything is read, and put in their place in one step."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Final

from devenv.core.errors import UsageError
from devenv.host.writing import refuse_place

# How these files begin: only such a one is replaced.
PLAN: Final = b'{"schema":"devenv.repair-plan/'
FINDINGS: Final = b'{"class":"'


def check_output(path: Path, begins: bytes) -> Path:
    """Return `path` with its folder resolved. UsageError unless a file can be made there that nothing is lost by."""
    refuse_place(path)
    place = path.absolute().parent.resolve() / path.name
    folder = place.parent
    if not folder.is_dir():
        hint = f"mkdir -p {shlex.quote(str(folder))}"
        raise UsageError(f"{path} cannot be written", detail=f"there is no folder {folder}", hint=hint)
    if not os.access(folder, os.W_OK):
        raise UsageError(f"{path} cannot be written", detail=f"no permission to write into {folder}")
    if place.exists():
        try:
            with place.open("rb") as file:
                begin = file.read(len(begins))
        except OSError as error:
            raise UsageError(f"{path} cannot be replaced", detail=str(error)) from None
        if begin and begin != begins:
            detail = "it has other content, which would be lost"
            raise UsageError(f"{path} is not replaced", detail=detail, hint="name another file")
    return place
