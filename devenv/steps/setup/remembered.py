"""The inputs of step `setup`: parsed when the step must run, or when anything that decides about them changed.

To cut large SQL files into statements takes far longer than all that a look at the step asks otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec

from devenv import __version__
from devenv.config.schema import Settings
from devenv.core.errors import UsageError
from devenv.steps.ledger import Ledger, ParsedFiles
from devenv.steps.setup.migrations import find_plan, gather
from devenv.steps.setup.mounts import read_mounts
from devenv.steps.setup.script import parse, place_of
from devenv.steps.stamps import FileStamp, Reading, stamp_files
from devenv.steps.step import (
    FORMAT,
    UNPACKED_BYTES,
    Inputs,
    StepFiles,
    hash_inputs,
    read_named,
    with_named,
)

# In the place of a file's name: the folders of containers.
MOUNTS = "mounts:"


class Opened:
    """Notes each file that the SQL files look for by themselves, with its stamp from before it was read."""

    def __init__(self, root: Path, known: Mapping[str, FileStamp]) -> None:
        self.root = root
        self.known = known
        self.stamps: dict[str, FileStamp] = {}
        self.digests: dict[str, str] = {}

    def note(self, name: str, inside: bool) -> None:
        """Take one file, there or not."""
        place = place_of(self.root, name, inside=inside)
        stamps = stamp_files({name: place}, self.known, most=UNPACKED_BYTES) if place else {}
        self.stamps |= stamps
        self.digests[f"{'in' if inside else 'any'}:{name}"] = stamps[name].digest if stamps else ""

    def look_again(self, digests: Mapping[str, str]) -> None:
        """Take the same files, as they are now."""
        for key in digests:
            kind, _, name = key.partition(":")
            if key == MOUNTS:
                self.digests[key] = digest(read_mounts(self.root))
            else:
                self.note(name, kind == "in")


def read(settings: Settings, root: Path, how: Reading) -> Inputs:
    """The step's inputs. Files that the ledger knows are not parsed; large ones not even read. UsageError."""
    known: Mapping[str, FileStamp] = {}
    last: ParsedFiles | None = None
    if how.ledger is not None and how.ledger.exists():
        with Ledger(how.ledger, create=False) as ledger:
            known, last = ledger.stamps(), ledger.parsed("setup")
    stamps, key = stamp_named(settings, root, known)
    names = tuple(stamps)
    opened = Opened(root, known)
    if last is not None and last.key == key:
        opened.look_again(last.opened)
        if opened.digests == last.opened:
            stamps |= opened.stamps
            load = partial(read_again, settings, root, names, last.hash)
            return Inputs(last.hash, names, (), load, stamps, last, stamps.items() <= known.items())
    opened = Opened(root, known)
    texts = read_named(root, names)
    script = parse(settings, root, texts, opened.note)
    hash = hash_inputs(texts, [], script)
    if script.mounts:
        opened.digests[MOUNTS] = digest(script.mounts)
    same = is_unchanged(root, stamps, opened)
    parsed = ParsedFiles(key, opened.digests, hash) if same else None
    found = StepFiles(texts, script)
    return Inputs(hash, names, (), lambda: found, stamps | opened.stamps if same else {}, parsed, noted=not same)


def stamp_named(settings: Settings, root: Path, known: Mapping[str, FileStamp]) -> tuple[dict[str, FileStamp], str]:
    """The stamps of the step's own files, in their order, and a digest of all that decides what they parse to.

    Files that these open are not part of it. UsageError.
    """
    plan = find_plan(settings, root)
    names = with_named(gather(settings, root), root, settings.steps.setup.files, "steps.setup")
    stamps = stamp_files({name: root / name for name in names}, known, most=UNPACKED_BYTES)
    decisive = (
        settings.postgres.database,
        settings.person,
        settings.steps.setup.migrations,
        settings.steps.setup.before,
    )
    planned = (plan.folder, len(plan.files), plan.command) if plan else None
    digests = tuple((name, stamp.digest) for name, stamp in stamps.items())
    return stamps, digest((FORMAT, __version__, decisive, planned, digests))


def is_unchanged(root: Path, stamps: Mapping[str, FileStamp], opened: Opened) -> bool:
    """Return True if all files still are as they were stamped: what changes while it is read is parsed again."""
    after = Opened(root, {**opened.known, **opened.stamps})
    after.look_again(opened.digests)
    now = stamp_files({name: root / name for name in stamps}, stamps, most=UNPACKED_BYTES)
    return now == stamps and after.digests == opened.digests


def read_again(settings: Settings, root: Path, names: tuple[str, ...], hash: str) -> StepFiles:
    """Read and parse files whose hash is known already. UsageError."""
    texts = read_named(root, names)
    script = parse(settings, root, texts)
    if hash_inputs(texts, [], script) != hash:
        raise UsageError("the SQL files changed while devenv read them", hint="run the command again")
    return StepFiles(texts, script)


def digest(value: object) -> str:
    """The digest of a plain value."""
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()
