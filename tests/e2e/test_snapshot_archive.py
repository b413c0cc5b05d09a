"""A snapshot as one file: it works in another project folder, and a bad file is refused whole."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv.config.load import data_home
from tests.e2e import world
from tests.support import ProjectDir, reference_project

# Run when somebody signs in, when devenv changes a table, and as whom devenv reads.
HOSTILE = """
CREATE FUNCTION canary() RETURNS event_trigger SECURITY DEFINER LANGUAGE plpgsql AS $$
  BEGIN COPY (SELECT 1) TO PROGRAM 'cat >{canary}'; END $$;
CREATE EVENT TRIGGER at_sign_in ON login EXECUTE FUNCTION canary();
ALTER EVENT TRIGGER at_sign_in ENABLE ALWAYS;
CREATE EVENT TRIGGER at_changes ON ddl_command_end EXECUTE FUNCTION canary();
ALTER EVENT TRIGGER at_changes ENABLE ALWAYS;
CREATE ROLE visitor;
ALTER ROLE visitor SET session_preload_libraries = 'evil';
ALTER ROLE visitor SET search_path = public, pg_catalog;
ALTER ROLE visitor SET statement_timeout = '1min';
ALTER ROLE devenv_reader CREATEROLE;
GRANT pg_execute_server_program TO devenv_reader;
DO $$ BEGIN CREATE ROLE devenv_loader LOGIN; EXCEPTION WHEN duplicate_object THEN END $$;
ALTER ROLE devenv_loader SUPERUSER CREATEDB CREATEROLE;
GRANT pg_write_server_files TO visitor;
GRANT visitor TO devenv_loader;
"""
REMOVED = {
    "event trigger disabled: at_sign_in in cruddur",
    "event trigger disabled: at_changes in cruddur",
    "setting of a role or database removed: session_preload_libraries=evil",
    "setting of a role or database removed: search_path=public, pg_catalog",
    "role lost its additional rights: devenv_reader",
    "role lost its additional rights: devenv_loader",
}
# Of the two roles of devenv's, in the order of their names; the loader may make roles and databases.
RIGHTS = """
SELECT rolsuper, rolcreaterole, pg_has_role(oid, 'pg_execute_server_program', 'MEMBER'),
  pg_has_role(oid, 'pg_write_server_files', 'MEMBER'), pg_has_role(oid, 'pg_monitor', 'MEMBER')
FROM pg_roles WHERE rolname IN ('devenv_reader', 'devenv_loader') ORDER BY rolname
"""


@pytest.fixture(scope="module")
def canary() -> Iterator[Path]:
    """A file that the server, which runs as another account, can make."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder) / "canary"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, canary: Path) -> Iterator[tuple[ProjectDir, Path]]:
    """A started project, and the file of its snapshot `one`, which has code for whoever opens it."""
    top = tmp_path_factory.mktemp("archive")
    project = reference_project(top / "ein Projekt, größer 日")
    project.ok("up", "--no-backend")
    world.sql(project, "DELETE FROM activities WHERE likes_count = 0")
    # A setting that runs a program wherever the copy is served.
    with open(data_home(project.path.resolve()) / "postgres/postgresql.auto.conf", "a") as settings:
        settings.write("archive_command = 'touch canary'\n")
    project.ok("db", "SELECT 1")
    world.sql(project, HOSTILE.format(canary=canary))
    project.ok("snapshot", "save", "one")
    project.ok("snapshot", "export", "one", str(top / "one.snapshot"))
    assert canary.exists(), "the server runs it"
    yield project, top / "one.snapshot"
    project.remove()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[ProjectDir]:
    """The same project somewhere else, never started."""
    project = reference_project(tmp_path / "other")
    yield project
    project.remove()


def test_it_can_be_restored_elsewhere(exported: tuple[ProjectDir, Path], other: ProjectDir, canary: Path) -> None:
    project, file = exported
    assert file.stat().st_mode & 0o777 == 0o600
    canary.unlink(missing_ok=True)
    assert set(other.json("snapshot", "import", str(file), "--as", "two")["removed"]) == REMOVED
    cluster = data_home(other.path.resolve()) / "snapshots/two/postgres"
    assert [each.name for each in cluster.glob("*.conf") if "archive_command" in each.read_text()] == []
    other.ok("snapshot", "restore", "two")
    other.ok("up", "--no-backend")
    assert world.sql(other, RIGHTS) == [(False, True, False, False, False), (False, False, False, False, True)]
    kept = "SELECT unnest(setconfig) FROM pg_db_role_setting WHERE setrole = 'visitor'::regrole"
    assert world.sql(other, kept) == [("statement_timeout=1min",)]
    assert not canary.exists()
    assert world.data(other) == world.data(project)
    assert world.sql(other, "SELECT uuid FROM users ORDER BY 1") == world.sql(
        project, "SELECT uuid FROM users ORDER BY 1"
    )
    other.ok("snapshot", "delete", "two")


@pytest.mark.long
def test_a_function_in_a_library_that_came_along_is_refused(
    exported: tuple[ProjectDir, Path], other: ProjectDir, tmp_path: Path
) -> None:
    project, _ = exported
    world.sql(project, "CREATE FUNCTION evil() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    world.sql(project, "UPDATE pg_proc SET prolang = 13, probin = 'base/evil' WHERE proname = 'evil'")
    project.ok("snapshot", "save", "with-library")
    world.sql(project, "DROP FUNCTION evil()")
    project.ok("snapshot", "export", "with-library", str(tmp_path / "library.snapshot"))
    ran = other.devenv("snapshot", "import", str(tmp_path / "library.snapshot"))
    assert ran.code == 2
    assert "database cruddur of the snapshot has functions that run code of their own" in ran.err
    assert "evil: from a library outside PostgreSQL's folder" in ran.err
    assert other.json("snapshot", "list")["snapshots"] == []


def test_what_cannot_be_done_is_refused(exported: tuple[ProjectDir, Path], tmp_path: Path) -> None:
    project, file = exported
    for arguments, words, hint in (
        (["export", "one", str(file)], "already exists", "devenv snapshot export one ANOTHER-FILE\n"),
        (["export", "none", str(tmp_path / "x")], "there is no snapshot `none`", "devenv snapshot list\n"),
        (["import", str(file)], "a snapshot `one` already exists", "or first: devenv snapshot delete one\n"),
        (["import", str(file), "--as", "one"], "a snapshot `one` already exists", "choose another name with --as,"),
        (["import", str(file), "--as", "../x"], "is not a valid name for a snapshot", ""),
        (["import", str(tmp_path / "missing")], "cannot be imported", f"ls -l {tmp_path}\n"),
    ):
        ran = project.devenv("snapshot", *arguments)
        assert (ran.code, words in ran.err, hint in ran.err) == (2, True, True), ran.err
    kept = project.json("reset", "-y")["snapshot"]
    ran = project.devenv("snapshot", "export", kept, str(tmp_path / "x"))
    assert (ran.code, "cannot be exported separately" in ran.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def rewritten(file: Path, change: Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]) -> bytes:
    """The archive with every member changed, or left out."""
    made = io.BytesIO()
    with tarfile.open(file) as old, tarfile.open(fileobj=made, mode="w:gz", compresslevel=1) as new:
        for member in old:
            reader = old.extractfile(member)
            changed = change(member, reader.read() if reader else b"")
            if changed:
                changed[0].size = len(changed[1])
                new.addfile(changed[0], io.BytesIO(changed[1]))
    return made.getvalue()


def renamed(name: str) -> Any:
    """A change that gives the ledger another name."""

    def change(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
        if member.name.endswith("ledger.sqlite"):
            member.name = name
        return member, content

    return change


def linked(kind: bytes) -> Any:
    """A change that makes the ledger a link."""

    def change(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
        if member.name.endswith("ledger.sqlite"):
            member.type, member.linkname = kind, "/etc/passwd"
            return member, b""
        return member, content

    return change


def spoilt(name: str, content: bytes) -> Any:
    """A change of one member's content."""
    return lambda member, old: (member, content if member.name.endswith(name) else old)


def crafted(*members: tuple[str, int, bytes]) -> bytes:
    """An archive of these entries: name, the size that its header tells, content (which may be another)."""
    made = io.BytesIO()
    with gzip.open(made, "wb", 9) as output:
        for name, size, content in members:
            member = tarfile.TarInfo(f"devenv-snapshot/{name}")
            member.size = size
            output.write(member.tobuf(tarfile.GNU_FORMAT) + content + b"\0" * (-len(content) % tarfile.BLOCKSIZE))
    return made.getvalue()


def manifest(file: Path, **changed: Any) -> bytes:
    """The archive's manifest with some changes."""
    with tarfile.open(file) as archive:
        reader = archive.extractfile("devenv-snapshot/manifest.json")
        assert reader
        return json.dumps({**json.load(reader), **changed}).encode()


def headers(kind: bytes, number: int, content: bytes) -> bytes:
    """An archive that begins with further headers of an entry, which a reader keeps in memory."""
    member = tarfile.TarInfo("devenv-snapshot/x")
    member.type, member.size = kind, len(content)
    return gzip.compress((member.tobuf(tarfile.GNU_FORMAT) + content) * number, 9)


def inflated(file: Path, announced: int, size: int, *, first: bool) -> bytes:
    """An archive of 64 MB of nothing, of which its header says that they are `size` bytes."""
    plain = manifest(file, size=announced)
    parts = [("manifest.json", len(plain), plain), ("dynamodb.sqlite", size, b"\0" * (64 << 20))]
    return crafted(*(parts if first else reversed(parts)))


# What is in the archive, and words of the answer.
LARGE: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "more than announced": (lambda file: inflated(file, 1000, 64 << 20, first=True), "1,000 bytes are declared"),
    "the manifest last": (lambda file: inflated(file, 1000, 64 << 20, first=False), "1,000 bytes are declared"),
    "more than the disk has": (lambda file: inflated(file, 1 << 60, 1 << 60, first=True), "no room to unpack"),
    # (Before Python 3.11.4 it is taken for the archive's end.)
    "less than nothing": (
        lambda file: inflated(file, 1000, -(1 << 20), first=True),
        r"does not belong|a snapshot `one` already exists|is damaged",
    ),
    "checksums without end": (lambda file: crafted(("SHA256SUMS", 1 << 30, b"")), "SHA256SUMS in "),
    "a manifest without end": (lambda file: crafted(("manifest.json", 1 << 30, b"")), "manifest.json in "),
    "a header without end": (lambda file: headers(tarfile.XHDTYPE, 1, b"\0" * (64 << 20)), "too large"),
    "a name without end": (lambda file: headers(tarfile.GNUTYPE_LONGNAME, 1, b"x" * (64 << 20)), "too large"),
    "headers without end": (lambda file: headers(tarfile.GNUTYPE_LONGNAME, 5000, b"x" * 512), "cannot be imported"),
}


BAD: dict[str, Callable[[Path], bytes]] = {
    "no archive": lambda file: b"not a tar",
    "empty": lambda file: b"",
    "cut off": lambda file: file.read_bytes()[: file.stat().st_size // 2],
    "one byte": lambda file: gzip.compress(
        (raw := bytearray(gzip.decompress(file.read_bytes())), raw.__setitem__(len(raw) // 2, raw[len(raw) // 2] ^ 1))[
            0
        ],
        1,
    ),
    "a path upwards": lambda file: rewritten(file, renamed("devenv-snapshot/../../evil")),
    "an absolute path": lambda file: rewritten(file, renamed("/tmp/evil")),
    "a symbolic link": lambda file: rewritten(file, linked(tarfile.SYMTYPE)),
    "a hard link": lambda file: rewritten(file, linked(tarfile.LNKTYPE)),
    "a device": lambda file: rewritten(file, linked(tarfile.CHRTYPE)),
    "a file missing": lambda file: rewritten(
        file, lambda member, content: None if member.name.endswith("secrets.json") else (member, content)
    ),
    "no checksums": lambda file: rewritten(
        file, lambda member, content: None if member.name.endswith("SHA256SUMS") else (member, content)
    ),
    "another ledger": lambda file: rewritten(file, spoilt("ledger.sqlite", b"x")),
    "no manifest": lambda file: rewritten(file, spoilt("manifest.json", json.dumps({"a": 1}).encode())),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.matrix(6)
def test_a_bad_file_is_refused_whole(exported: tuple[ProjectDir, Path], tmp_path: Path, kind: str) -> None:
    project, file = exported
    place = data_home(project.path.resolve()) / "snapshots"
    before = sorted(place.iterdir())
    bad = tmp_path / "bad.snapshot"
    bad.write_bytes(BAD[kind](file))
    ran = project.devenv("snapshot", "import", str(bad), "--as", "bad")
    assert ran.code == 2, ran.all
    assert "devenv itself failed" not in ran.all
    assert "hint: devenv snapshot export NAME FILE  (again, where it comes from)\n" in ran.err
    assert sorted(place.iterdir()) == before
    assert not Path("/tmp/evil").exists()
    assert not (place / "evil").exists()


@pytest.mark.parametrize("kind", LARGE)
@pytest.mark.matrix(3)
def test_what_says_to_be_large_is_refused_before_it_is_unpacked(
    exported: tuple[ProjectDir, Path], tmp_path: Path, kind: str
) -> None:
    project, file = exported
    make, words = LARGE[kind]
    place = data_home(project.path.resolve()) / "snapshots"
    before = sorted(place.iterdir())
    bad = tmp_path / "bad.snapshot"
    bad.write_bytes(make(file))
    assert bad.stat().st_size < 1 << 20
    for name in ([], ["--as", "bad"]):
        ran = project.devenv("snapshot", "import", str(bad), *name)
        assert (ran.code, bool(re.search(words, ran.err)), "devenv itself failed" in ran.err) == (2, True, False), (
            ran.all
        )
        assert sorted(place.iterdir()) == before
