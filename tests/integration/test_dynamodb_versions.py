"""Which DynamoDB Local is used: the known one, another that passes its trial, or none, with the reason.

Amazon's archive at hand is repacked as a later version might be built: another main class in another package, another
bind, no -sharedDb, another file.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.engines.embedded.building import Progress, Unavailable
from devenv.engines.embedded.java import Java
from devenv.engines.embedded.parts import JAR, LIBRARIES, MANIFEST, Local, manifest_text
from devenv.engines.embedded.trial import try_now, try_out
from devenv.engines.embedded.versions import Choice, Release, choose_local
from tests.integration.dynamodb_support import find_parts

OLD_RUNNER = "com.amazonaws.services.dynamodbv2.local.main.ServerRunner"
OLD_SERVER = "com.amazonaws.services.dynamodbv2.local.server.DynamoDBProxyServer"
# What a repacked server does before, or in place of, Amazon's own.
RUNNERS = {
    "renamed": "return real(a);",
    "unshared": 'return real(java.util.Arrays.stream(a).filter(s -> !s.equals("-sharedDb")).toArray(String[]::new));',
    "elsewhere": 'for (int i = 0; i < a.length; i++) if (a[i].equals("-dbPath")) {'
    ' a[i + 1] += "/v2"; new java.io.File(a[i + 1]).mkdir(); } return real(a);',
    "wide": "return new Wide(real(a));",
    "rebuilt": "return new Object();",
}


def archive() -> Path:
    """The unpacked archive that this machine has."""
    return find_parts()[1].libraries.resolve().parent


@pytest.fixture(scope="module")
def java() -> Java:
    return find_parts()[0]


def source(kind: str) -> str:
    """A main class as a later version may have it: another package, the method that devenv calls."""
    return f"""
package software.amazon.dynamodb.services.local.main;
public final class ServerRunner {{
    static {OLD_SERVER} real(String[] a) throws Exception {{ return {OLD_RUNNER}.createServerFromCommandLineArgs(a); }}
    public static Object createServerFromCommandLineArgs(String[] a) throws Exception {{ {RUNNERS[kind]} }}
    public static final class Wide {{
        public org.eclipse.jetty.server.Server jetty = new org.eclipse.jetty.server.Server(0);
        final {OLD_SERVER} inner;
        Wide({OLD_SERVER} inner) {{
            this.inner = inner;
            jetty.setHandler(new org.eclipse.jetty.server.handler.DefaultHandler());
        }}
        public void start() throws Exception {{ inner.start(); jetty.start(); }}
    }}
}}
"""


def repack(folder: Path, kind: str, place: Path) -> Path:
    """The archive with another main class, and release notes of another version."""
    real = archive()
    classes = folder / "classes"
    classes.mkdir(parents=True)
    (folder / "ServerRunner.java").write_text(source(kind))
    libraries = [real / JAR, *(real / LIBRARIES).glob("*.jar")]
    path = ":".join(map(str, libraries))
    subprocess.run(
        ["javac", "--release", "17", "-cp", path, "-d", classes, folder / "ServerRunner.java"],
        check=True,
        capture_output=True,
    )
    place.mkdir(parents=True)
    (place / LIBRARIES).symlink_to(real / LIBRARIES)
    (place / "README.txt").write_text("Release Notes\n\n2026-10-15 (3.3.2)\n  * renamed\n")
    with zipfile.ZipFile(real / JAR) as old, zipfile.ZipFile(place / JAR, "w") as new:
        for entry in old.infolist():
            if entry.filename != MANIFEST:
                new.writestr(entry, old.read(entry))
        lines = re.sub(r"\r?\n ", "", old.read(MANIFEST).decode()).rstrip().splitlines()
        main = "Main-Class: software.amazon.dynamodb.services.local.main.ServerRunner"
        new.writestr(MANIFEST, manifest_text([main if line.startswith("Main-Class") else line for line in lines]))
        for file in classes.rglob("*.class"):
            new.write(file, str(file.relative_to(classes)))
    return place


@dataclass
class Empty:
    """A source that has nothing."""

    name: str = "nowhere"

    def fetch(self, folder: Path, progress: Progress) -> Path:
        raise Unavailable("no network")


@dataclass
class Shelf:
    """A source that has the archive at hand."""

    name: str = "shelf"

    def fetch(self, folder: Path, progress: Progress) -> Path:
        packed = shutil.make_archive(str(folder / "archive"), "tar", archive())
        return Path(packed)


def known() -> Release:
    from devenv.engines.embedded.versions import RELEASES, TESTED_DYNAMODB

    return RELEASES[TESTED_DYNAMODB]


def chosen(java: Java, cache: Path, **more: object) -> tuple[Local, list[str]]:
    said: list[str] = []

    def progress(text: str, done: int, total: int | None) -> None:
        said.append(text)

    own = {"releases": {"1.25.1": Release(known().jar, (Empty(),))}, "lines": {"2.x": (Empty(),), "3.x": (Empty(),)}}
    settings = {"version": None, "named": None, "account": None, **own, **more}
    choice = Choice(cache=cache, progress=progress, trial=lambda local: try_out(java, local), **settings)  # type: ignore[arg-type]
    return choose_local(choice), said


def test_the_known_release_passes_its_own_trial(java):
    assert try_now(java, find_parts()[1]) is None


def test_the_known_release_is_used_by_its_checksum_without_a_trial(java, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/dynamodb-local").symlink_to(archive())
    local, said = chosen(java, tmp_path / "cache")
    assert (local.version, said) == ("1.25.1", [])
    assert not list((tmp_path / "cache").glob("launch-*/trial-*"))


def test_the_known_release_is_fetched_under_its_own_name(java, tmp_path):
    local, _ = chosen(java, tmp_path, releases={"1.25.1": Release(known().jar, (Shelf(),))})
    assert local.version == "1.25.1"
    assert (tmp_path / "dynamodb-local-1.25.1" / JAR).is_file()


@pytest.mark.parametrize("version", ["4.x", "latest", "1.24.0", "", "../x"])
def test_an_unknown_version_is_refused_with_the_known_ones(java, tmp_path, version):
    with pytest.raises(UsageError) as refused:
        chosen(java, tmp_path, version=version)
    assert "1.25.1, 2.x, 3.x" in str(refused.value.detail)


def test_a_jar_with_another_checksum_in_the_known_ones_place_is_refused(java, tmp_path):
    place = tmp_path / "dynamodb-local-1.25.1"
    place.mkdir()
    (place / LIBRARIES).symlink_to(archive() / LIBRARIES)
    (place / JAR).write_bytes((archive() / JAR).read_bytes() + b"x")
    with pytest.raises(DevenvError, match="its checksum differs"):
        chosen(java, tmp_path)


@pytest.mark.needs_javac
class TestRepacked:
    """The jar at hand, repacked."""

    def test_a_renamed_package_is_started(self, java, tmp_path):
        repack(tmp_path, "renamed", tmp_path / "dynamodb-local-3.x")
        local, _ = chosen(java, tmp_path, version="3.x")
        assert local.version == "3.3.2 (not one that this devenv was tested with)"
        assert chosen(java, tmp_path, version="3.3.2")[0].version == local.version
        newest = r"3\.3\.1 is not available: Amazon publishes only the newest 3\.x, 3\.3\.2"
        with pytest.raises(DevenvError, match=newest):
            chosen(java, tmp_path, version="3.3.1")

    @pytest.mark.parametrize(
        ("kind", "reason"),
        [
            ("wide", "it listens on more than 127.0.0.1"),
            ("unshared", "-sharedDb has no effect"),
            ("elsewhere", "it does not keep its data in shared-local-instance.db"),
            ("rebuilt", "this version of DynamoDB Local is built differently"),
        ],
    )
    def test_what_is_built_differently_is_refused_with_the_reason(self, java, tmp_path, kind, reason):
        place = repack(tmp_path, kind, tmp_path / "named")
        with pytest.raises(DevenvError) as refused:
            chosen(java, tmp_path / "cache", named=place)
        assert refused.value.exit_code == Exit.MISSING
        assert reason in str(refused.value.detail)
        assert '[dynamodb] version = "1.25.1"' in str(refused.value.hint)

    def test_without_a_setting_the_known_one_is_used_and_that_is_said(self, java, tmp_path):
        older = repack(tmp_path, "unshared", tmp_path / "cache/dynamodb-local")
        local, said = chosen(java, tmp_path / "cache", releases={"1.25.1": Release(known().jar, (Shelf(),))})
        assert local.version == "1.25.1"
        assert f"{older} is not DynamoDB Local 1.25.1 (its checksum differs): not used" in said

    def test_where_the_known_one_is_not_available_another_that_passes_is_used(self, java, tmp_path):
        repack(tmp_path, "renamed", tmp_path / "cache/dynamodb-local")
        local, said = chosen(java, tmp_path / "cache")
        assert "not one that this devenv was tested with" in local.version
        assert said[-1] == "DynamoDB Local 1.25.1 is not available; using 3.3.2, which passed the tests"

    def test_where_nothing_passes_every_reason_is_given(self, java, tmp_path):
        repack(tmp_path, "elsewhere", tmp_path / "cache/dynamodb-local")
        with pytest.raises(DevenvError) as refused:
            chosen(java, tmp_path / "cache")
        assert "no network" in str(refused.value.detail)
        assert "built differently" in str(refused.value.detail)
