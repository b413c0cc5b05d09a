"""Which DynamoDB Local a project gets: a release that devenv's tests ran, by its checksum, or one that passed a trial.

Amazon publishes only the newest of each line (2.x, 3.x) under one name, so that the same address gives other files next
month. What is not one of `RELEASES` is started once on a folder of its own first (trial.py); where it is built
differently, it is refused, and without a setting that asks for it the known release is used.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from devenv.config.schema import TESTED_DYNAMODB, Dynamodb
from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.core.value import Value
from devenv.engines.embedded.building import Progress
from devenv.engines.embedded.parts import (
    JAR,
    NPM,
    ArchiveSource,
    Download,
    Local,
    NpmPackage,
    fetch,
    find_local,
    not_cached,
)
from devenv.host.processes import Account

# Why an archive cannot be used, in words; None: it can.
Trial = Callable[[Local], str | None]


class Release(Value, frozen=True):
    """One version that devenv's tests ran: the SHA-256 sum of its jar, and where it comes from."""

    jar: str
    sources: tuple[ArchiveSource, ...]


RELEASES: Final[Mapping[str, Release]] = {
    TESTED_DYNAMODB: Release(
        "454305e9bc3e6ebcca5b62569869e31563b8d7e346474e94557b2600702146c7",
        (NpmPackage(*NPM, bundled=False), NpmPackage(*NPM, bundled=True)),
    )
}
HOST: Final = "https://d1ni2b6xgvw0s0.cloudfront.net"
LINES: Final[Mapping[str, tuple[ArchiveSource, ...]]] = {
    line: (Download(f"{HOST}/v{line}/dynamodb_local_latest.tar.gz"),) for line in ("2.x", "3.x")
}


class Choice(Value, frozen=True):
    """Everything that decides: the setting, the folder that it names, the cache, and what is known."""

    cache: Path
    version: str | None
    named: Path | None
    account: Account | None
    progress: Progress
    trial: Trial
    releases: Mapping[str, Release] = msgspec.field(default_factory=lambda: RELEASES)
    lines: Mapping[str, Sequence[ArchiveSource]] = msgspec.field(default_factory=lambda: LINES)

    def prepare(self, folder: Path) -> Local:
        """Make an unpacked archive launchable."""
        return find_local(self.cache, folder, self.account, self.progress, ())


def choice_of(settings: Dynamodb, root: Path, cache: Path, account: Account | None, progress: Progress) -> Choice:
    """The choice that `[dynamodb]` makes; the trial is to be filled in."""
    named = root / settings.local if settings.local else None
    return Choice(cache, settings.version, named, account, progress, lambda local: None)


def choose_local(choice: Choice) -> Local:
    """Return the DynamoDB Local to launch; it is fetched if it is not here.

    UsageError for an unknown version or a folder that holds none; DevenvError (10) for one that is not available, or
    that `[dynamodb]` asks for and that is built differently, and when the cache cannot be written.
    """
    try:
        return choose(choice)
    except OSError as error:
        raise not_cached(choice.cache, error) from None


def choose(choice: Choice) -> Local:
    """The same; OSError when the cache cannot be written."""
    version = choice.version
    if choice.named is not None:
        local = choice.prepare(choice.named)
        if version is not None and local.version not in (version, "unknown"):
            raise UsageError(
                f"[dynamodb] version is {version}, and {choice.named} holds {local.version}",
                hint="remove one of `version` and `local` in devenv.toml",
            )
        return demanded(choice, local, jar_sum(choice.named))
    if version is None or version in choice.releases:
        return released(choice, version or TESTED_DYNAMODB)
    line = line_of(version, choice)
    place = choice.cache / f"dynamodb-local-{line}"
    if not place.exists():
        fetch(choice.cache, place, choice.progress, choice.lines[line])
    local = choice.prepare(place)
    if version != line and local.version != version:
        raise DevenvError(
            f"DynamoDB Local {version} is not available: Amazon publishes only the newest {line}, {local.version}",
            exit_code=Exit.MISSING,
            hint=f'[dynamodb] version = "{line}" in devenv.toml, or "{TESTED_DYNAMODB}"',
        )
    return demanded(choice, local, jar_sum(place))


def line_of(version: str, choice: Choice) -> str:
    """`3.x` for `3.x` and `3.3.2`. UsageError for what is neither a known version nor of a known line."""
    found = re.fullmatch(r"(\d+)\.(x|\d+(\.\d+)*)", version)
    line = f"{found[1]}.x" if found else ""
    if line not in choice.lines:
        known = ", ".join([*choice.releases, *choice.lines])
        raise UsageError(
            f'[dynamodb] version = "{version}" is not known',
            detail=f"known: {known}, and exact versions of {' and '.join(choice.lines)}",
            hint=f'[dynamodb] version = "{TESTED_DYNAMODB}", or leave it out',
        )
    return line


def released(choice: Choice, version: str) -> Local:
    """A known release: from the cache, else fetched; else, where no setting asks for it, another one that passes."""
    release = choice.releases[version]
    place = choice.cache / f"dynamodb-local-{version}"
    # Where earlier versions of devenv kept the newest of 2.x.
    older = choice.cache / "dynamodb-local"
    if not place.exists() and older.exists():
        if jar_sum(older) == release.jar:
            return choice.prepare(older)
        choice.progress(f"{older} is not DynamoDB Local {version} (its checksum differs): not used", 0, None)
    if not place.exists():
        try:
            fetch(choice.cache, place, choice.progress, release.sources)
        except DevenvError as error:
            if choice.version is not None or error.exit_code != Exit.MISSING:
                raise
            return instead(choice, older, version, error)
    if jar_sum(place) != release.jar:
        raise DevenvError(
            f"{place} is not DynamoDB Local {version}: its checksum differs",
            exit_code=Exit.MISSING,
            hint=f"devenv parts remove {place.name} -y",
        )
    return choice.prepare(place)


def instead(choice: Choice, older: Path, version: str, error: DevenvError) -> Local:
    """Another DynamoDB Local, as the known one is not available. DevenvError (10) with every reason if none passes."""
    reasons = [error.detail or error.what]
    for line, sources in choice.lines.items():
        place = older if older.exists() else choice.cache / f"dynamodb-local-{line}"
        try:
            if not place.exists():
                fetch(choice.cache, place, choice.progress, sources)
            local = choice.prepare(place)
        except DevenvError as failure:
            reasons.append(failure.detail or failure.what)
            continue
        refused = choice.trial(local)
        if refused is None:
            passed = f"DynamoDB Local {version} is not available; using {local.version}, which passed the tests"
            choice.progress(passed, 0, None)
            return untested(local)
        reasons.append(f"{place}: DynamoDB Local {local.version} is built differently: {refused}")
        if place == older:
            break
    raise DevenvError(error.what, exit_code=Exit.MISSING, detail="\n".join(reasons), hint=error.hint)


def demanded(choice: Choice, local: Local, checksum: str) -> Local:
    """The archive that a setting asks for, after a trial unless it is a known one. DevenvError (10) with the reason."""
    if checksum in {release.jar for release in choice.releases.values()}:
        return local
    if refused := choice.trial(local):
        raise DevenvError(
            f"DynamoDB Local {local.version} cannot be used: it is built differently",
            exit_code=Exit.MISSING,
            detail=refused,
            hint=f'[dynamodb] version = "{TESTED_DYNAMODB}" in devenv.toml, without `local`',
        )
    return untested(local)


def untested(local: Local) -> Local:
    """The same, with a version for `status` that says that this release's tests did not run it."""
    return replace(local, version=f"{local.version} (not one that this devenv was tested with)")


def jar_sum(folder: Path) -> str:
    """The SHA-256 sum of an archive's main jar; empty if there is none."""
    try:
        with (folder / JAR).open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError:
        return ""
