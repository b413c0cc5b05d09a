"""Folders whose own commands may run: one record each in the user's own state, never inside the folder.

A folder is trusted for exactly the commands that the user agreed to (`digest`); if they change, it is asked again. The
contents of scripts are not part of it: who may edit the scripts of a trusted folder may run programs there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from devenv.host import writing
from devenv.host.files import read_text
from devenv.host.git import read_small

# Longer than the commands of any settings file, whose size is limited.
RECORD_BYTES = 64_000_000


class Trusted(msgspec.Struct, frozen=True):
    """One trusted folder, the digest of its commands, and the commands as they were shown."""

    root: str
    digest: str
    commands: tuple[str, ...] = ()


def trust_folder() -> Path:
    """Return the folder of the records: the user's state folder ($XDG_STATE_HOME on Linux)."""
    from platformdirs import user_state_path

    return user_state_path("devenv", appauthor=False) / "trust"


def sql_folder() -> Path:
    """Return the folder, beside it, of what is remembered about SQL files that did not change."""
    return trust_folder().with_name("sql")


def digest_of(commands: Iterable[str]) -> str:
    """Return one digest for a set of commands, whatever their order."""
    found = hashlib.sha256()
    for command in sorted(commands):
        found.update(len(command.encode()).to_bytes(8) + command.encode())
    return found.hexdigest()


def record_of(folder: Path, root: Path) -> Path:
    """Return the file of one project's record."""
    return folder / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:24]}.json"


def read_record(file: Path) -> Trusted | None:
    """Return one record; None if it is missing or not usable."""
    try:
        return msgspec.json.decode(read_text(file, RECORD_BYTES) or "", type=Trusted)
    except (OSError, msgspec.DecodeError):
        return None


def is_trusted(folder: Path, root: Path, commands: Sequence[str]) -> bool:
    """Return True if the user agreed that `root` runs these commands, there or in a git worktree of its repository.

    No commands need no trust.
    """
    return not commands or is_recorded(folder, root, commands)


def is_recorded(folder: Path, root: Path, commands: Sequence[str]) -> bool:
    """The same, also for a folder without commands: the user said so."""
    digest = digest_of(commands)
    found = read_record(record_of(folder, root))
    if found is not None and found.root == str(root):
        return found.digest == digest
    main = main_checkout(root)
    if main is None:
        return False
    return any(entry.digest == digest and main_of(Path(entry.root)) == main for entry in read_all(folder))


def remember(folder: Path, root: Path, commands: Sequence[str]) -> None:
    """Trust `root` with these commands from now on. OSError if the record cannot be written."""
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    record = Trusted(str(root), digest_of(commands), tuple(commands))
    writing.write_private(record_of(folder, root), msgspec.json.encode(record))


def revoke(folder: Path, root: Path) -> bool:
    """Forget that `root` is trusted; False if it was not."""
    file = record_of(folder, root)
    known = file.exists()
    file.unlink(missing_ok=True)
    return known


def read_all(folder: Path) -> list[Trusted]:
    """Return every record, by folder."""
    found = [read_record(file) for file in folder.glob("*.json")]
    return sorted((entry for entry in found if entry), key=lambda entry: entry.root)


def main_of(root: Path) -> Path | None:
    """Return the repository that `root` is a checkout of: its own `.git` folder, or the one it is a worktree of."""
    top = next((each for each in (root, *root.parents) if os.path.lexists(each / ".git")), None)
    if top is None:
        return None
    if (top / ".git").is_dir() and not (top / ".git").is_symlink():
        return (top / ".git").resolve()
    return main_checkout(root)


def main_checkout(root: Path) -> Path | None:
    """Return the repository's `.git` folder if `root` lies in a git worktree of it that the repository knows.

    Read from files, without git. The worktree names the repository (`.git`), and the repository must name the worktree
    in turn (`worktrees/<name>/gitdir`): a folder cannot claim to belong to a repository of yours.
    """
    top = next((each for each in (root, *root.parents) if os.path.lexists(each / ".git")), None)
    if top is None or not (top / ".git").is_file() or (top / ".git").is_symlink():
        return None
    with contextlib.suppress(OSError, ValueError):
        text = read_small(top / ".git") or ""
        if not text.startswith("gitdir: "):
            return None
        inside = (top / text.removeprefix("gitdir: ").strip()).resolve()
        if inside.parent.name != "worktrees":
            return None
        named = Path((read_small(inside / "gitdir") or "").strip())
        if (inside / named).resolve() == (top / ".git").resolve():
            return inside.parent.parent
    return None
