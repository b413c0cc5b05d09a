"""The files that `[safety]` is about: requests for continuous backups, and texts that may hold somebody's keys."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from devenv.config.schema import Safety, Settings
from devenv.core.errors import UsageError
from devenv.core.late import late
from devenv.doctor.checks.protection import Leak, find_keys
from devenv.host.files import list_files, read_text
from devenv.host.git import tracked_files

# Files that hold settings, and so keys, whether git tracks them or not.
SETTINGS_FILE: Final = late(r"\.env(\..+)?|.+\.env|(docker-)?compose.*\.ya?ml|devenv\.toml|\.?aws[/\\]credentials")
UNREAD: Final = 5


class Searched(msgspec.Struct, frozen=True):
    """The result of a search for keys. `what` says in which files; `unread` are those it could not look into."""

    what: str
    leaks: tuple[Leak, ...]
    unread: tuple[str, ...] = ()


def read_backups(safety: Safety, root: Path) -> Mapping[str, Mapping[str, Any]]:
    """Table -> its UpdateContinuousBackups request. UsageError for what is none."""
    from devenv.steps.seed.documents import read_json
    from devenv.steps.step import read_files

    found: dict[str, Mapping[str, Any]] = {}
    for file in read_files(root, safety.backups, "safety.backups"):
        tree = read_json(file)
        for request in tree if isinstance(tree, list) else [tree]:
            wanted = request.get("PointInTimeRecoverySpecification") if isinstance(request, dict) else None
            if not isinstance(wanted, dict) or not isinstance(request.get("TableName"), str):
                raise UsageError(
                    f"{file.name} is not a request for continuous backups",
                    detail="it must have TableName and PointInTimeRecoverySpecification",
                    hint="write what `aws dynamodb update-continuous-backups --cli-input-json` takes",
                )
            found[request["TableName"]] = request
    return found


def encrypted_attributes(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Entity -> attributes that must be stored encrypted. UsageError for an entity that is not declared."""
    found: dict[str, tuple[str, ...]] = {}
    for text in settings.safety.encrypted if settings.safety else ():
        entity, _, attribute = text.partition(".")
        if entity not in settings.entities:
            raise UsageError(
                f"[safety] encrypted: there is no [entities.{entity}]",
                detail=f"{text!r} must be an entity and an attribute of it",
                hint=f"declared are: {', '.join(settings.entities) or 'none'}",
            )
        found[entity] = (*found.get(entity, ()), attribute)
    return found


def search_keys(safety: Safety, root: Path, home: Path) -> Searched:
    """Look for users' AWS keys in the project's tracked texts, its settings files, and in ~/.aws if that is asked."""
    tracked, listed = tracked_files(root), list_files(root)
    settings = [file for file in listed.files if SETTINGS_FILE.fullmatch(file.name)]
    files = listed.files if tracked is None else tuple(dict.fromkeys([*tracked.files, *settings]))
    wanted = [file for file in files if not any(fnmatch.fnmatch(str(file), each) for each in safety.user_keys_except)]
    leaks: list[Leak] = []
    unread = ["the rest of the project's many files"] if (tracked or listed).cut else []
    read = 0
    for shown, path in [*((str(file), root / file) for file in wanted), *credentials(safety, home)]:
        try:
            text = read_text(path)
            if text is None and is_large_text(path):
                unread.append(f"{shown} (too large)")
        except OSError as error:
            # Links, and files that git tracks but that were deleted, are nothing to look into.
            if path.exists() and not path.is_symlink():
                unread.append(f"{shown} ({error.strerror})")
            continue
        if text is not None:
            read += 1
            leaks += find_keys(shown, text)
    how = "text files" if tracked is None else "text files that git tracks, and settings files"
    aside = f"; left out: {', '.join(safety.user_keys_except)}" if safety.user_keys_except else ""
    return Searched(f"{read} {how}{aside}", tuple(leaks), tuple(unread))


def credentials(safety: Safety, home: Path) -> Iterator[tuple[str, Path]]:
    """The user's own credentials file, when the settings say that it is looked at."""
    file = home / ".aws" / "credentials"
    if safety.credentials_file and file.is_file():
        yield "~/.aws/credentials", file


def is_large_text(path: Path) -> bool:
    """Return True if a file that was not read is one of text, and so was left out for its size."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return b"\0" not in file.read(1_000_000) and os.stat(path).st_size > 0
