"""`snapshot export` and `import`: a snapshot as one compressed tar, with a checksum of every file in it.

What comes from elsewhere is not trusted: only plain files and folders below one name are taken, under names without a
way out of it, and only when each has the checksum that the archive gives. Before anything is unpacked, all entries are
looked at: together they must not be larger than the manifest says, nor than there is room.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shlex
import shutil
import stat
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import IO, Final

import msgspec

from devenv.core.errors import MAKE_ROOM, DevenvError, UsageError
from devenv.core.events import Watch
from devenv.core.model import Report
from devenv.host import file_clone as copies
from devenv.host import state, writing
from devenv.snapshots.cleanup import recover
from devenv.snapshots.command import report
from devenv.snapshots.databases import database_name
from devenv.snapshots.diff_folder import diff_folder
from devenv.snapshots.foreign_cluster import replace_configuration
from devenv.snapshots.item_backup import copies_of
from devenv.snapshots.manifest import CLUSTER, DUMP, FORMAT, MANIFEST, Manifest, check_name, find, plain, read_manifest
from devenv.snapshots.manifest import folder as snapshots_folder
from devenv.snapshots.restore import portable, verify
from devenv.snapshots.save import building
from devenv.stack import Stack

TOP: Final = "devenv-snapshot"
SUMS: Final = "SHA256SUMS"
CHUNK: Final = 1 << 20
LEVEL: Final = 1
AGAIN: Final = "devenv snapshot export NAME FILE  (again, where it comes from)"
# Bytes of the two files that belong to no part, and that are read whole.
MOST: Final = {MANIFEST: CHUNK, SUMS: 64 * CHUNK}


def export(stack: Stack, name: str, file: Path) -> Report:
    """Write a snapshot into `file`, mode 0600: it holds all data and the password that fits it. UsageError (2)."""
    place, manifest = find(stack.engine.home, name)
    if manifest.form != "files" and stack.engine.files:
        raise UsageError(
            f"the snapshot `{name}` is part of this project's data and cannot be exported separately",
            hint=f"devenv snapshot restore {name} && devenv snapshot save NAME",
        )
    if os.path.lexists(file):
        raise UsageError(f"{file} already exists", hint=f"devenv snapshot export {name} ANOTHER-FILE")
    if any(path.is_symlink() for path in place.rglob("*")):
        raise UsageError(f"the snapshot `{name}` has symbolic links (tablespaces), which an archive cannot hold")
    whole = nullcontext(place) if manifest.form == "files" else portable(stack, place, manifest)
    try:
        with whole as folder, writing.creating(file) as output:
            write_archive(folder, output)
    except OSError as error:
        raise state.unwritable(file, error) from None
    body = {"exported": plain(manifest), "file": str(file), "bytes": file.stat().st_size}
    return report(stack, body)


def write_archive(place: Path, output: IO[bytes]) -> None:
    """Write the files of a snapshot's folder, and then their checksums."""
    sums = []
    with tarfile.open(fileobj=output, mode="w:gz", compresslevel=LEVEL) as archive:
        for path in sorted(place.rglob("*")):
            name = path.relative_to(place).as_posix()
            archive.add(path, f"{TOP}/{name}", recursive=False, filter=anonymous)
            if path.is_file():
                with open(path, "rb") as reader:
                    sums.append(f"{hashlib.file_digest(reader, 'sha256').hexdigest()}  {name}\n")
        content = "".join(sums).encode()
        member = tarfile.TarInfo(f"{TOP}/{SUMS}")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))


def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The member without this machine's account in it."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def take(stack: Stack, file: Path, name: str | None, watch: Watch) -> Report:
    """Make a snapshot of what `export` wrote. UsageError when it is damaged, or the name is taken."""
    recover(stack, watch)
    stack.engine.make_home()
    home = stack.engine.home
    if name is not None:
        check_name(name)
    with refused(file), open(file, "rb", opener=at_once) as content:
        if not stat.S_ISREG(os.fstat(content.fileno()).st_mode):
            raise UsageError(f"{file} is not a regular file")
        announced = survey(content, shutil.disk_usage(home).free)
        name = announced.name if name is None else name
        content.seek(0)
        place = snapshots_folder(home) / check_name(name)
        if place.exists():
            hint = f"choose another name with --as, or first: devenv snapshot delete {name}"
            raise UsageError(f"a snapshot `{name}` already exists", hint=hint)
        with building(place) as fresh:
            check_sums(fresh, unpack(content, fresh), file)
            manifest = read_manifest(fresh)
            here = {path.name for path in fresh.iterdir()}
            if manifest is None or manifest.format != FORMAT or not manifest.checksums.keys() <= here:
                raise UsageError(f"{file} is not a snapshot that this devenv can read")
            if manifest.form != ("files" if stack.engine.files else "database"):
                raise UsageError(
                    f"{file} is not the kind of snapshot that engine `{stack.engine.name}` makes",
                    detail="`embedded` keeps data files; `docker` and `external` keep a dump and a file of items",
                    hint="import it on an engine of that kind: devenv up --engine NAME",
                )
            manifest = msgspec.structs.replace(manifest, name=name, automatic=False)
            if manifest.form == "database":
                if not {DUMP, copies_of(stack).part} <= manifest.checksums.keys():
                    raise UsageError(f"{file} is not a complete snapshot")
                # Of no cluster: the next restore makes its database, under a name of this project's own.
                own = database_name(stack, name)
                manifest = msgspec.structs.replace(manifest, cluster="", database=own)
            verify(fresh, manifest)
            removed: list[str] = []
            if manifest.form == "files":
                removed = make_harmless(stack, fresh / CLUSTER)
                sums = {**manifest.checksums, CLUSTER: copies.checksum(fresh / CLUSTER)}
                manifest = msgspec.structs.replace(manifest, checksums=sums)
            writing.write_private(fresh / MANIFEST, msgspec.json.encode(manifest))
    return report(stack, {"imported": plain(manifest), "file": str(file), "removed": removed})


def make_harmless(stack: Stack, data: Path) -> list[str]:
    """Take out of a data folder what runs when a server starts or somebody signs in; what it was, in words."""
    from devenv.engines.embedded.engine import EmbeddedEngine
    from devenv.snapshots.foreign_catalog import disarm

    replace_configuration(data)
    if not isinstance(stack.engine, EmbeddedEngine):
        return []
    # The stores' account cannot work where snapshots are kept.
    with diff_folder(stack.engine.home) as work:
        data.rename(work / CLUSTER)
        found = disarm(stack.engine, work / CLUSTER)
        (work / CLUSTER).rename(data)
    return found


@contextmanager
def refused(file: Path) -> Iterator[None]:
    """An error of reading the file, as a UsageError that names it."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, RecursionError) as error:
        # A file that is no gzip file is an OSError too, without a number.
        hint = AGAIN if getattr(error, "errno", None) is None else f"ls -l {shlex.quote(str(file.parent))}"
        raise UsageError(f"{file} cannot be imported", detail=str(error), hint=hint) from None
    except UsageError as error:
        raise error.with_hint(AGAIN) from None
    except DevenvError as error:
        raise UsageError(f"{file} cannot be imported", detail=error.what, hint=AGAIN) from None


def at_once(path: str, flags: int) -> int:
    """Open a file without waiting for the other end of a pipe."""
    return os.open(path, flags | writing.NO_WAIT)


class Bounded(gzip.GzipFile):
    """A compressed file of which no more than CHUNK bytes are read at once.

    An entry's further headers, in which any size may stand, would be read whole into memory.
    """

    def read(self, size: int | None = -1) -> bytes:
        """Up to `size` bytes. ReadError for too many of them."""
        if size is None or not 0 <= size <= CHUNK:
            raise tarfile.ReadError("an entry has headers that are too large")
        return super().read(size)


@contextmanager
def entries(content: IO[bytes]) -> Iterator[tuple[tarfile.TarFile, Iterator[tuple[tarfile.TarInfo, str]]]]:
    """The archive, and its entries with their names in the snapshot. UsageError for all but files and folders."""

    def each() -> Iterator[tuple[tarfile.TarInfo, str]]:
        while member := archive.next():
            # It would remember all of them.
            archive.members.clear()  # type: ignore[attr-defined]
            parts = PurePosixPath(member.name).parts
            inside = parts[:1] == (TOP,) and len(parts) > 1 and ".." not in parts and "\\" not in member.name
            if not inside or not (member.isfile() or member.isdir()) or member.size < 0:
                raise UsageError(f"{content.name} has an entry that does not belong in a snapshot: {member.name!r}")
            yield member, "/".join(parts[1:])

    with Bounded(fileobj=content, mode="rb") as raw, tarfile.open(fileobj=raw, mode="r:") as archive:
        yield archive, each()


def survey(content: IO[bytes], free: int) -> Manifest:
    """The manifest, after a look at all entries. UsageError for no manifest, and for more bytes than it says or `free`.

    What says that it is too large is not read to its end.
    """
    manifest: Manifest | None = None
    total = 0
    with entries(content) as (archive, found):
        for member, name in found:
            if name in (MANIFEST, SUMS) and member.size > MOST[name]:
                raise UsageError(f"{name} in {content.name} is too large", detail=f"{member.size:,} bytes")
            if name == MANIFEST and (reader := archive.extractfile(member)):
                manifest = msgspec.json.decode(reader.read(member.size), type=Manifest)
            elif name != SUMS:
                total += member.size
            if manifest and total > manifest.size:
                raise UsageError(
                    f"{content.name} holds more than its manifest says, so it was not made by `devenv snapshot export`",
                    detail=f"{manifest.size:,} bytes are declared in it; it has {total:,} or more",
                )
            if total > free:
                raise UsageError(
                    f"there is no room to unpack {content.name}",
                    detail=f"{total:,} bytes or more are in it; {free:,} are free",
                    hint=MAKE_ROOM,
                )
    if manifest is None:
        raise UsageError(f"there is no manifest in {content.name}, so it is not a snapshot")
    return manifest


def unpack(content: IO[bytes], fresh: Path) -> dict[str, str]:
    """Unpack into the folder; file -> SHA-256 of what was unpacked. UsageError for anything but files and folders."""
    found: dict[str, str] = {}
    with entries(content) as (archive, members):
        for member, name in members:
            target = fresh / name
            if member.isdir():
                target.mkdir(mode=0o700)
                continue
            digest = hashlib.sha256()
            reader = archive.extractfile(member)
            with writing.open_new(target) as writer:
                while reader and (chunk := reader.read(CHUNK)):
                    digest.update(chunk)
                    writer.write(chunk)
            found[name] = digest.hexdigest()
    return found


def check_sums(fresh: Path, found: dict[str, str], file: Path) -> None:
    """UsageError unless the archive's own list of checksums fits exactly what was in it."""
    sums = fresh / SUMS
    lines = sums.read_text().splitlines() if sums.exists() else []
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    found.pop(SUMS, None)
    wrong = sorted(name for name in listed.keys() | found.keys() if listed.get(name) != found.get(name))
    if wrong or not found:
        raise UsageError(
            f"{file} is damaged", detail=f"changed since the export: {', '.join(wrong[:3]) or 'all of it'}"
        )
    sums.unlink()
