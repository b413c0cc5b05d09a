"""The folders that a project's compose files mount into containers: a COPY in an SQL file may name a file by them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from devenv.core.late import late
from devenv.core.plain_yaml import TooManyValues, UnreadableYaml, load_yaml

COPIES: Final = late(r"\bCOPY\b[^;]*\bFROM\s+E?'", re.IGNORECASE)
NAMES: Final = late(r"(docker-)?compose([.-][\w.-]+)?\.ya?ml")
BYTES: Final = 200_000
MOST: Final = 20


def read_mounts(root: Path) -> tuple[tuple[str, str], ...]:
    """(folder or file of a container, that of the project), from compose files in the folder and those below it.

    The project's folder itself comes first, for absolute names inside it.
    """
    files = sorted(
        (path for pattern in ("*.y*ml", "*/*.y*ml") for path in root.glob(pattern) if NAMES.fullmatch(path.name)),
        key=lambda path: (len(path.parts), path.name),
    )
    found = [(str(root.absolute()), ".")]
    for path in files[:MOST]:
        try:
            with path.open("rb") as content:
                text = content.read(BYTES + 1)
        except OSError:
            continue
        if len(text) <= BYTES:
            found += mounts_in(text.decode("utf-8", "replace"), path.parent.relative_to(root).as_posix())
    return tuple(dict.fromkeys(found))


def mounts_in(text: str, folder: str) -> Iterator[tuple[str, str]]:
    """The mounts of one compose file, which lies in `folder`."""
    try:
        tree = load_yaml(text, lambda *_: None)
    except (TooManyValues, UnreadableYaml):
        return
    services = tree.get("services") if isinstance(tree, Mapping) else None
    for service in services.values() if isinstance(services, Mapping) else ():
        listed = service.get("volumes") if isinstance(service, Mapping) else None
        for each in listed if isinstance(listed, list) else ():
            source, target = mount_of(each)
            # A volume with a name is Docker's own.
            if source.startswith(".") and target.startswith("/"):
                yield target.rstrip("/"), posixpath.normpath(posixpath.join(folder, source))


def mount_of(tree: Any) -> tuple[str, str]:
    """(source, target) of `./db:/data:ro`, or of the long form."""
    if isinstance(tree, Mapping):
        return str(tree.get("source") or ""), str(tree.get("target") or "")
    source, _, rest = re.sub(r"^\$\{?PWD\}?", ".", str(tree)).partition(":")
    return source, rest.partition(":")[0]
