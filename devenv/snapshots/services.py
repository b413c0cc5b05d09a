"""The part that the project's own services have in a snapshot: one file or folder each, made by their kind."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from devenv.engines.base import Engine
from devenv.engines.kinds.registry import kind_of
from devenv.host.file_clone import checksum

PART: Final = "service-{name}"


def save_services(engine: Engine, fresh: Path) -> None:
    """Copy the data of each service whose data is kept into `fresh`. What is there already is whole."""
    for own in engine.own.values():
        part = fresh / PART.format(name=own.name)
        if not kind_of(own).kept or part.exists():
            continue
        half = part.with_name(f".half-{part.name}")
        remove(half)
        kind_of(own).save(engine, own, half)
        if half.exists():
            half.rename(part)


def restore_services(engine: Engine, place: Path) -> None:
    """Let each service have the data that the snapshot in `place` has of it; one that is not in it keeps its own."""
    for own in engine.own.values():
        part = place / PART.format(name=own.name)
        if kind_of(own).kept and part.exists():
            kind_of(own).restore(engine, own, part)


def changed_services(engine: Engine, old: Path, new: Path | None, work: Path) -> list[str]:
    """The services whose data differs between two snapshots, or between one and now (`new` None).

    Copies lie in the folder `work`.
    """
    if new is None:
        new = work / "services"
        new.mkdir()
        save_services(engine, new)
    parts = sorted({part.name for place in (old, new) for part in place.glob(PART.format(name="*"))})
    sums = {
        part: [checksum(place / part) if (place / part).exists() else None for place in (old, new)] for part in parts
    }
    return [part.removeprefix(PART.format(name="")) for part, (before, after) in sums.items() if before != after]


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
