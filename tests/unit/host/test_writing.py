"""One writer for every file: what it refuses, and that no other module opens a file for writing."""

from __future__ import annotations

import ast
import filecmp
import os
import tracemalloc
from pathlib import Path

import pytest

import devenv
from devenv.core.errors import UsageError
from devenv.host import writing

HOUSE = Path(devenv.__file__).parent
WRITING = {"write_text", "write_bytes", "touch"}
COPYING = {"copy", "copy2", "copyfile", "copytree", "mkstemp", "NamedTemporaryFile"}
# Modules that write in another way, and why they may.
REASONS = {
    "cli/app.py": "/dev/null in the place of a closed stdout",
    "capture/process.py": "a temporary file without a name",
    "capture/runner.py": "a descriptor that devenv gives it; it imports nothing of devenv",
    "patterns/scripts.py": "a temporary file without a name",
    "engines/embedded/building.py": "the cache of parts: a fresh folder beside its place, then renamed",
    "engines/embedded/java.py": "the cache of parts, in a fresh folder of devenv's own",
    "engines/embedded/trial.py": "a fresh folder in the temporary folder, for one run of a server",
    "engines/embedded/wheels.py": "the cache of parts, in a fresh folder of devenv's own",
    "engines/embedded/cluster.py": "a byte of a stopped cluster, in a fresh folder of devenv's own",
    "engines/embedded/dynamodb_local.py": "the cache of parts: log and mark of a training run",
    "engines/embedded/parts.py": "the cache of parts, in a fresh folder of devenv's own",
    "engines/embedded/pristine.py": "the cache of clusters: a fresh folder beside its place, then renamed",
    "engines/embedded/postgres.py": "the cache of parts, in a fresh folder of devenv's own",
    "host/file_clone.py": "copies data folders, into a fresh folder of devenv's own",
    "host/log_clock.py": "appends to the times beside a log, through no link; it imports nothing of devenv",
    "host/processes.py": "rotates a log of devenv's own, after looking that it is no link",
    "host/writing.py": "is the writer",
    "services/streams/runner.py": "a descriptor that devenv gives it; it imports nothing of devenv",
    "snapshots/baseline.py": "copies files of a snapshot into a fresh folder of devenv's own",
    "snapshots/restore.py": "copies files of a snapshot into a fresh folder of devenv's own",
    "snapshots/save.py": "copies files of a snapshot into a fresh folder of devenv's own",
}


def is_writing(call: ast.Call) -> bool:
    """Return True if a call opens, makes or copies a file, as far as its words tell."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in WRITING | COPYING | {"TemporaryFile"}:
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        return name not in ("copy",) or (isinstance(owner, ast.Name) and owner.id == "shutil")
    if name in ("open", "fdopen", "ZipFile"):
        words = [*call.args, *(each.value for each in call.keywords if each.arg == "mode")]
        modes = [each.value for each in words if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        if any(set(mode) & set("wax+") and len(mode) <= 3 for mode in modes):
            return True
        return any("O_WRONLY" in ast.dump(each) or "O_RDWR" in ast.dump(each) for each in words)
    return False


def writers() -> set[str]:
    found = set()
    for path in HOUSE.rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        if any(map(is_writing, calls)):
            found.add(path.relative_to(HOUSE).as_posix())
    return found


def test_no_other_module_opens_a_file_for_writing() -> None:
    assert writers() == set(REASONS)


@pytest.mark.parametrize(
    "line",
    [
        'open(path, "w")',
        'path.open("ab")',
        'path.open(mode="w")',
        "os.open(path, os.O_WRONLY | os.O_CREAT)",
        "path.write_text(text)",
        "shutil.copy2(a, b)",
        'zipfile.ZipFile(path, "w")',
    ],
)
def test_the_guard_knows_how_files_are_written(line: str) -> None:
    (call,) = [node for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Call)]
    assert is_writing(call)


def test_the_guard_takes_reading_for_reading() -> None:
    for line in ('open(path, "rb")', "path.open()", "os.open(path, os.O_RDONLY)", "context.copy()"):
        (call,) = [node for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Call)]
        assert not is_writing(call), line


HTML = "<!doctype html><p>x"


@pytest.mark.parametrize("kind", ["link", "dangling link", "folder", "pipe", "device"])
def test_only_a_regular_file_is_written(tmp_path: Path, kind: str) -> None:
    path, victim = tmp_path / "out.html", tmp_path / "victim"
    match kind:
        case "link":
            victim.write_text("mine")
            path.symlink_to(victim)
        case "dangling link":
            path.symlink_to(victim)
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "device":
            path = Path("/dev/null")
    with pytest.raises(UsageError, match="regular files only"):
        writing.write_out(path, HTML)
    assert not victim.exists() or victim.read_text() == "mine"


@pytest.mark.parametrize(
    ("there", "made", "replaced"),
    [
        (HTML, HTML + "2", True),
        ("", HTML, True),
        ("my notes", HTML, False),
        (HTML, '{"schema": "devenv.bundle/1"}', False),
        ('{"schema": "devenv.bundle/1"}', '{"schema": "devenv.bundle/1", "x": 1}', True),
        ('{"name": "package"}', '{"schema": "devenv.bundle/1"}', False),
        ('{"resourceSpans": []}', '{"resourceSpans": [1]}', True),
        ('{"name": "package"}', '{"resourceSpans": [1]}', False),
    ],
)
def test_only_a_file_of_the_same_kind_is_replaced(tmp_path: Path, there: str, made: str, replaced: bool) -> None:
    path = tmp_path / "out"
    path.write_text(there)
    if replaced:
        writing.write_out(path, made)
        assert path.read_text() == made
    else:
        with pytest.raises(UsageError, match="of another kind"):
            writing.write_out(path, made)
        assert path.read_text() == there
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


def test_a_file_with_data_is_its_owners_and_others_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        writing.write_out(tmp_path / "data", HTML)
        writing.write_out(tmp_path / "shared", HTML, writing.SHARED)
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("data", "shared")] == [0o600, 0o640]


def test_a_log_is_appended_to_and_never_through_a_link(tmp_path: Path) -> None:
    for _ in range(2):
        with writing.open_append(tmp_path / "log") as file:
            file.write(b"x")
    assert (tmp_path / "log").read_bytes() == b"xx"
    (tmp_path / "link").symlink_to(tmp_path / "log")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(OSError):
            writing.open_append(tmp_path / name)


def test_a_copy_of_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    source, target = tmp_path / "ledger.sqlite", tmp_path / "home" / "ledger.sqlite"
    target.parent.mkdir()
    with source.open("wb") as file:
        file.truncate(50_000_000)
        file.write(b"the end")
    tracemalloc.start()
    try:
        writing.copy_private(source, target)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000
    assert filecmp.cmp(source, target, shallow=False)
    assert target.stat().st_mode & 0o777 == writing.PRIVATE
    assert list(target.parent.iterdir()) == [target]
