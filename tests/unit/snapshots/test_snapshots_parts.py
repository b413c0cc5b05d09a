"""The parts of snapshots that need no server: names, copies, checksums, the control file, the registry."""

from __future__ import annotations

import os
import sqlite3
import struct
import sys
import threading
import zlib
from pathlib import Path

import msgspec
import pytest

from devenv.core.errors import DevenvError, UsageError
from devenv.engines.embedded import cluster, dynamodb_file
from devenv.host import file_clone as copies
from devenv.host import registry
from devenv.snapshots import baseline
from devenv.snapshots.manifest import check_name
from devenv.steps.ledger import Ledger


@pytest.mark.parametrize("name", ["a", "A1", "before-x", "2026.01", "x_y", "x" * 63])
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", ".a", "-a", "a/b", "a\\b", "a b", "a\n", "ü", "x" * 64, "a\0"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(UsageError):
        check_name(name)


def tree(folder: Path) -> Path:
    """A small folder with all kinds of entries."""
    (folder / "a" / "empty").mkdir(parents=True)
    (folder / "a" / "file").write_bytes(b"x" * 5000)
    (folder / "top").write_bytes(b"y")
    (folder / "top").chmod(0o600)
    (folder / "a" / "link").symlink_to("file")
    return folder


def test_a_copy_has_everything_but_what_is_left_out(tmp_path: Path) -> None:
    source = tree(tmp_path / "source")
    assert copies.copy_tree(source, tmp_path / "copy", None) in ("copy", "clone")
    copy = tmp_path / "copy"
    assert sorted(path.relative_to(copy).as_posix() for path in copy.rglob("*")) == [
        "a",
        "a/empty",
        "a/file",
        "a/link",
        "top",
    ]
    assert (copy / "a" / "link").is_symlink()
    assert (copy / "top").stat().st_mode & 0o777 == 0o600
    assert copies.checksum(copy) == copies.checksum(source)
    copies.copy_tree(source, tmp_path / "less", None, lambda name: name in ("top", "a/file"))
    assert sorted(path.name for path in (tmp_path / "less").rglob("*")) == ["a", "empty", "link"]


def test_a_copy_has_large_files_whole_and_links_to_folders_as_links(tmp_path: Path) -> None:
    source = tree(tmp_path / "source")
    (source / "large").write_bytes(bytes(range(256)) * 10_000)
    (source / "linked").symlink_to(tmp_path / "source" / "a")
    copies.copy_tree(source, tmp_path / "copy", None)
    assert (tmp_path / "copy" / "large").read_bytes() == (source / "large").read_bytes()
    assert (tmp_path / "copy" / "linked").readlink() == tmp_path / "source" / "a"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_in_a_folder_is_an_error(tmp_path: Path) -> None:
    source = tree(tmp_path / "source")
    os.mkfifo(source / "pipe")
    with pytest.raises(OSError, match="neither a file nor a folder"):
        copies.copy_tree(source, tmp_path / "copy", None)


def test_a_checksum_sees_content_names_and_lengths(tmp_path: Path) -> None:
    folder = tree(tmp_path / "source")
    seen = {copies.checksum(folder)}
    (folder / "top").write_bytes(b"z")
    seen.add(copies.checksum(folder))
    (folder / "top").rename(folder / "tip")
    seen.add(copies.checksum(folder))
    (folder / "tip").write_bytes(b"")
    seen.add(copies.checksum(folder))
    assert len(seen) == 4
    assert copies.size(folder) == 5000


def test_a_checksum_is_the_crc32_of_names_lengths_and_contents_in_order(tmp_path: Path) -> None:
    """Snapshots of older versions carry checksums that were made so."""
    folder = tmp_path / "folder"
    (folder / "a").mkdir(parents=True)
    large = bytes(range(256)) * 10_000
    (folder / "a" / "large").write_bytes(large)
    (folder / "a-b").write_bytes(b"x")
    (folder / "link").symlink_to("a-b")
    (folder / "linked").symlink_to("a")
    name = os.path.join("a", "large")
    whole = f"{name}\0{len(large)}\0".encode() + large + b"a-b\x001\0x" + b"link\x001\0x"
    one = f".\0{len(large)}\0".encode() + large
    parts = {"folder": folder, "file": folder / "a" / "large"}
    assert copies.checksums(parts) == {"folder": f"{zlib.crc32(whole):08x}", "file": f"{zlib.crc32(one):08x}"}
    assert copies.size(folder) == len(large) + 1


def test_crc32c_is_the_known_one() -> None:
    assert cluster.crc32c(b"123456789") == 0xE3069283


def control(tmp_path: Path) -> Path:
    """Something shaped like a control file: a number first, a checksum behind the last field, zeros to the end."""
    body = struct.pack("=Q", 7) + bytes(range(200)) + b"\0" * 80
    file = tmp_path / "pg_control"
    file.write_bytes((body + struct.pack("=I", cluster.crc32c(body))).ljust(8192, b"\0"))
    return file


def test_a_new_number_keeps_the_control_file_valid(tmp_path: Path) -> None:
    file = control(tmp_path)
    place = cluster.find_checksum(file.read_bytes())
    before = file.read_bytes()
    cluster.renew_number(file)
    after = file.read_bytes()
    assert after[:8] != before[:8]
    assert cluster.find_checksum(after) == place
    assert after[8:place] == before[8:place]


def test_a_control_file_without_its_checksum_is_refused(tmp_path: Path) -> None:
    file = control(tmp_path)
    content = bytearray(file.read_bytes())
    content[20] ^= 1
    with pytest.raises(DevenvError):
        cluster.find_checksum(content)


def store(path: Path, items: int) -> Path:
    """A file shaped like DynamoDB Local's."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE dm (TableName TEXT, CreationDateTime INTEGER)")
        connection.execute("INSERT INTO dm VALUES ('a\"b', 1500)")
        connection.execute('CREATE TABLE "a""b" (n INTEGER)')
        connection.executemany('INSERT INTO "a""b" VALUES (?)', [(n,) for n in range(items)])
    connection.close()
    return path


def test_a_store_is_replaced_at_once_under_a_reader(tmp_path: Path) -> None:
    source, target = store(tmp_path / "source", 3), store(tmp_path / "target", 1)
    reader = sqlite3.connect(target)
    assert reader.execute('SELECT count(*) FROM "a""b"').fetchone() == (1,)
    dynamodb_file.copy_store(source, target)
    assert reader.execute('SELECT count(*) FROM "a""b"').fetchone() == (3,)
    reader.close()
    assert dynamodb_file.count_items(target) == {'a"b': 3}
    assert dynamodb_file.renew_identity(target, -500) == {'a"b': ("1.5", "1.0")}
    dynamodb_file.copy_store(tmp_path / "none", target)
    with pytest.raises(DevenvError):
        dynamodb_file.count_items(target)


def test_a_copy_that_does_not_go_on_is_given_up(tmp_path: Path) -> None:
    main, terminal = os.openpty()
    try:
        with pytest.raises(OSError, match=r"not one byte could be written in 0\.2 s"):
            dynamodb_file.run_copy(Path(os.ttyname(terminal)), tmp_path / "copy", 0.2)
    finally:
        os.close(main)
        os.close(terminal)
    (tmp_path / "source").write_bytes(b"x" * 100_000)
    dynamodb_file.run_copy(tmp_path / "source", tmp_path / "copy", 60)
    assert (tmp_path / "copy").stat().st_size == 100_000
    with pytest.raises(OSError, match="No such file"):
        dynamodb_file.run_copy(tmp_path / "none", tmp_path / "copy", 60)


def test_items_are_read_in_lots_whatever_was_deleted_in_between(tmp_path: Path) -> None:
    file = store(tmp_path / "store", 0)
    numbers = [n for n in range(2 * dynamodb_file.PAGE + 5) if n % 7]
    with sqlite3.connect(file) as writer:
        writer.execute('ALTER TABLE "a""b" RENAME COLUMN n TO ObjectJSON')
        writer.executemany('INSERT INTO "a""b" (rowid, ObjectJSON) VALUES (?, ?)', [(n, b"%d" % n) for n in numbers])
    writer.close()
    lots = list(dynamodb_file.read_items(file, 'a"b'))
    assert [int(item) for lot in lots for item in lot] == numbers
    assert max(map(len, lots)) == dynamodb_file.PAGE
    with pytest.raises(DevenvError):
        list(dynamodb_file.read_items(file, "none"))


def test_a_baseline_waits_until_the_file_holds_what_was_written(tmp_path: Path) -> None:
    table = 'a"b'
    file = store(tmp_path / "store", 2)
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.settle(table, {str(n).encode(): {"n": {"N": str(n)}} for n in range(3)})
        ledger.intend(table, {b"other": {"n": {"N": "9"}}})
        ledger.settle("gone", {b"1": {"n": {"N": "1"}}})
    assert baseline.count_settled(file, tmp_path / "ledger", {table}, patience_s=0.05) is None

    def write_late() -> None:
        with sqlite3.connect(file) as late:
            late.execute('INSERT INTO "a""b" VALUES (2)')
        late.close()

    late = threading.Timer(0.2, write_late)
    late.start()
    assert baseline.count_settled(file, tmp_path / "ledger", {table}, patience_s=60) == {table: 3}
    late.join()


def test_writers_are_held_and_let_go(tmp_path: Path) -> None:
    file = store(tmp_path / "store", 1)
    writer = sqlite3.connect(file, timeout=0)
    with dynamodb_file.writers_held(file), pytest.raises(sqlite3.OperationalError):
        writer.execute('INSERT INTO "a""b" VALUES (9)')
    writer.execute('INSERT INTO "a""b" VALUES (9)')
    writer.close()


def test_the_registry_knows_each_project_once_and_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "a project"
    registry.register(tmp_path, root, tmp_path / "home")
    registry.register(tmp_path, root, tmp_path / "home")
    (tmp_path / "projects" / "broken.json").write_text("{")
    known = registry.RegisteredProject(str(root), str(tmp_path / "home"), "", sys.prefix)
    assert registry.read_all(tmp_path) == [known]
    assert registry.place(tmp_path, root).stat().st_mode & 0o077 == 0
    registry.register(tmp_path, root, tmp_path / "home", "devenv-p-12345678")
    registry.register(tmp_path, root, tmp_path / "home")
    known = msgspec.structs.replace(known, compose="devenv-p-12345678")
    assert registry.read_all(tmp_path) == [known]
    # Started by another installation last, and by this one again.
    other = msgspec.json.encode(msgspec.structs.replace(known, prefix="/other"))
    registry.place(tmp_path, root).write_bytes(other)
    registry.register(tmp_path, root, tmp_path / "home")
    assert registry.read_all(tmp_path) == [known]
    registry.forget(tmp_path, root)
    assert registry.read_all(tmp_path) == []


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "projects").write_text("a file")
    registry.register(tmp_path, tmp_path, tmp_path)
    assert registry.read_all(tmp_path) == []
