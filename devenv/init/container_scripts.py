"""The SQL files that a container of Postgres runs when its database is made, and the paths that they name. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from devenv.core.late import late
from devenv.core.value import Value
from devenv.init.compose import ComposeFile
from devenv.init.images import NAMES, read_image
from devenv.init.set_aside import INCLUDE
from devenv.init.sql_tables import SqlFile

FOLDER: Final = "/docker-entrypoint-initdb.d"
PREPARES: Final = late(r"\bCREATE\s+(?:EXTENSION|ROLE|USER|SCHEMA)\b", re.IGNORECASE)
# How deep files may include each other.
DEPTH: Final = 10


class ContainerScripts(Value, frozen=True):
    """`roots`: file of the project -> what puts it into the folder of the image's entrypoint, in the container's order.

    `places` are (path in the container, file or folder of the project).
    """

    roots: Mapping[str, str] = {}
    places: tuple[tuple[str, str], ...] = ()

    def named(self, path: str, names: Iterable[str]) -> str | None:
        """The project's file at a path of the container; None if there is none."""
        known = set(names)
        for there, here in sorted(self.places, key=lambda each: -len(each[0])):
            if path == there and here in known:
                return here
            if path.startswith(f"{there.rstrip('/')}/"):
                rest = posixpath.relpath(path, there)
                for each in (posixpath.join(here, rest), posixpath.join(here, posixpath.basename(path))):
                    if posixpath.normpath(each) in known:
                        return posixpath.normpath(each)
        return None


def container_scripts(texts: Mapping[str, str], names: Iterable[str], compose: ComposeFile | None) -> ContainerScripts:
    """Those of the compose file's Postgres; else of the only Dockerfile that copies scripts for Postgres."""
    names = tuple(names)
    service = compose.postgres if compose else None
    volumes = service.volumes if service else ()
    mounted = [(there.rstrip("/"), here, service.file if service else "") for here, there in volumes]
    own = service.dockerfile if service else ""
    files = [n for n in texts if NAMES.fullmatch(posixpath.basename(n)) and FOLDER in texts[n]]
    files = [own] if own in texts else files
    if len(files) == 1 and not any(there.startswith(FOLDER) for there, _, _ in mounted):
        mounted += copied(files[0], texts[files[0]], (service.build or "") if service and own else "", names)
    found: dict[str, tuple[str, str]] = {}
    for there, here, by in mounted:
        if there != FOLDER and posixpath.dirname(there) != FOLDER:
            continue
        # The image's entrypoint runs those that lie in the folder itself, not those in a folder below it.
        inside = [n for n in names if n == here or (there == FOLDER and posixpath.dirname(n) == here)]
        for name in inside:
            # A file that is mounted under a name of its own.
            alone = name == here and there.endswith(".sql")
            target = there if alone else posixpath.join(there, posixpath.basename(name))
            if name.endswith(".sql"):
                found[name] = (target, by)
    ordered = sorted(found, key=lambda name: found[name][0])
    return ContainerScripts(
        roots={name: found[name][1] for name in ordered}, places=tuple((there, here) for there, here, _ in mounted)
    )


def copied(file: str, text: str, context: str, names: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """(path in the image, file or folder of the project, the Dockerfile) of each COPY."""
    names = tuple(names)
    bases = [context] if context else ["", posixpath.dirname(file)]
    for source, target in read_image(text).copies:
        for base in bases:
            here = posixpath.normpath(posixpath.join(base, source.rstrip("*").rstrip("/") or "."))
            here = "" if here == "." else here
            if not here or here in names or any(n.startswith(f"{here}/") for n in names):
                yield target, here, file
                break


def with_included(
    root: str, texts: Mapping[str, str], names: Iterable[str], scripts: ContainerScripts, depth: int = 0
) -> Iterator[str]:
    """A script, or the files that it includes, in their order; those that only include others are left out."""
    names = tuple(names)
    listed = included_by(root, texts[root], names, scripts) if depth < DEPTH else []
    for name in listed:
        yield from with_included(name, texts, names, scripts, depth + 1)
    if not listed or not only_includes(texts[root]):
        yield root


def included_by(name: str, text: str, names: Iterable[str], scripts: ContainerScripts) -> list[str]:
    """The project's files that a script of psql includes, by their paths here or in the container."""
    names = tuple(names)
    found = []
    for how, path in INCLUDE.findall(text):
        beside = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
        near = [path, beside] if how in ("i", "include") else [beside]
        own = next((each for each in near if each in names and each != name), None)
        own = own or scripts.named(path, names)
        found += [own] if own else []
    return found


def only_includes(text: str) -> bool:
    """Return True if a script has nothing but commands of psql, comments, and databases that it makes."""
    lines = (line.strip() for line in text.splitlines())
    return all(not each or each.startswith(("\\", "--")) or is_database(each) for each in lines)


def is_database(line: str) -> bool:
    """Return True for a statement that makes or drops a database, which devenv does itself."""
    words = line.upper().split()
    return line.endswith(";") and words[:2] in (["CREATE", "DATABASE"], ["DROP", "DATABASE"])


def runs_first(file: SqlFile, text: str) -> bool:
    """Return True for a file that makes what migrations use (extensions, roles), and needs nothing of them."""
    needs = [name for name in file.touches if not name.startswith(("schema ", "database "))]
    return bool(PREPARES.search(text)) and not (file.tables or file.fills or needs or file.problem)
