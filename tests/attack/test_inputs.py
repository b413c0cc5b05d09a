"""Files of a folder that are larger, deeper or more quadratic than any real one (attempts 4, 5, 19, 24)."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from devenv.init.terraform_tables import read_terraform_tables
from tests.attack.places import replace_configuration
from tests.support import ProjectDir

TOML = '[project]\nname = "large"\n'


def sparse(folder: Path) -> None:
    (folder / "devenv.toml").write_text(TOML)
    os.truncate(folder / "devenv.toml", 6 << 30)


def many_keys(folder: Path) -> None:
    lines = "".join(f'V{number} = "{number}"\n' for number in range(1_000_000))
    (folder / "devenv.toml").write_text(f"{TOML}[env]\n{lines}")


def nested(folder: Path) -> None:
    (folder / "devenv.toml").write_text(f"{TOML}[env]\nA = {'[' * 100_000}{']' * 100_000}\n")


def dotted(folder: Path) -> None:
    (folder / "devenv.toml").write_text(f"{TOML}[env]\n{'.'.join(['a'] * 100_000)} = 1\n")


def yaml_bomb(folder: Path) -> None:
    lines = ["services:", "  a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"  b{n}: &b{n} [{', '.join(['*a' if n == 0 else f'*b{n - 1}'] * 9)}]" for n in range(9)]
    (folder / "docker-compose.yml").write_text("\n".join(lines))


def yaml_merges(folder: Path) -> None:
    lines = ["a: &a {x: 1, y: 2}"]
    lines += [f"b{n}: &b{n} {{<<: [{', '.join(['*a' if n == 0 else f'*b{n - 1}'] * 9)}]}}" for n in range(9)]
    (folder / "docker-compose.yml").write_text("\n".join([*lines, "services: {}"]))


def yaml_circle(folder: Path) -> None:
    (folder / "docker-compose.yml").write_text("services: &a\n  web: *a\n")


def yaml_size(folder: Path) -> None:
    (folder / "docker-compose.yml").write_text("services:\n" + "  x: {}\n" * 100_000)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (sparse, ("status",)),
        (sparse, ("doctor",)),
        (many_keys, ("status",)),
        (many_keys, ("config", "show")),
        (nested, ("status",)),
        (dotted, ("status",)),
        (yaml_bomb, ("init",)),
        (yaml_merges, ("init",)),
        (yaml_circle, ("init",)),
        (yaml_size, ("init",)),
    ],
    ids=lambda value: value.__name__ if callable(value) else " ".join(value),
)
@pytest.mark.matrix(3)
def test_an_input_without_measure_is_refused_at_once(tmp_path: Path, build: object, words: tuple[str, ...]) -> None:
    build(tmp_path)  # type: ignore[operator]
    began = time.monotonic()
    ran = ProjectDir(tmp_path).devenv(*words, "--json", timeout=60)
    assert time.monotonic() - began < 20, "a second, on a busy machine"
    assert ran.code == 2
    assert "devenv itself failed" not in ran.all
    assert ran.document["error"]["hint"]
    assert not (tmp_path / ".devstate").exists()


@pytest.mark.parametrize(
    "text",
    [
        'resource "aws_dynamodb_table" "x" {\n',
        'resource "aws_dynamodb_table" "x" {}\n',
        'resource "aws_dynamodb_table" "x" {\nname = "',
        'resource "aws_dynamodb_table" "x" {\nname = [\n',
    ],
)
def test_terraform_is_read_once(text: str) -> None:
    def seconds(number: int) -> float:
        began = time.process_time()
        read_terraform_tables("x.tf", text * number)
        return time.process_time() - began

    seconds(100)
    assert seconds(20_000) < 40 * max(seconds(1_000), 0.01), "twenty times the text, about twenty times the time"


@pytest.mark.parametrize("words", [("status",), ("env",), ("logs",), ("doctor",), ("up",)], ids=" ".join)
@pytest.mark.parametrize("place", ["state.json", "requests.jsonl", "lock", "logs/postgres.log", "logs/steps.log"])
@pytest.mark.matrix(5)
def test_a_pipe_in_the_state_folder_keeps_no_one_waiting(tmp_path: Path, place: str, words: tuple[str, ...]) -> None:
    (tmp_path / "devenv.toml").write_text(TOML)
    (tmp_path / ".devstate" / "logs").mkdir(parents=True)
    os.mkfifo(tmp_path / ".devstate" / place)
    ran = ProjectDir(tmp_path).devenv(*words, "--json", timeout=30)
    assert ran.code == 1
    assert "is not a regular file" in ran.document["error"]["what"]


def test_a_state_file_without_measure_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "devenv.toml").write_text(TOML)
    (tmp_path / ".devstate").mkdir()
    (tmp_path / ".devstate" / "state.json").touch()
    os.truncate(tmp_path / ".devstate" / "state.json", 6 << 30)
    ran = ProjectDir(tmp_path).devenv("status", "--json", timeout=30)
    assert (ran.code, "is damaged" in ran.document["error"]["what"]) == (2, True)


@pytest.mark.parametrize(("step", "name"), [("seed", "items.jsonl"), ("setup", "rows.sql"), ("schema-load", "t.json")])
@pytest.mark.parametrize("words", [("status",), ("doctor", "--only", "ENV")], ids=" ".join)
def test_a_file_of_a_step_without_measure_is_not_read(
    tmp_path: Path, step: str, name: str, words: tuple[str, ...]
) -> None:
    (tmp_path / "devenv.toml").write_text(f'{TOML}[steps.{step}]\nfiles = ["{name}"]\n')
    (tmp_path / name).touch()
    os.truncate(tmp_path / name, 1 << 40)
    began = time.monotonic()
    ran = ProjectDir(tmp_path).devenv(*words, "--json", timeout=60)
    assert time.monotonic() - began < 20
    assert "MemoryError" not in ran.all
    assert step == "seed" or "cannot be read" in ran.all


def test_an_imported_configuration_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "postgresql.conf").write_text(
        "max_connections = 50\t\t# (change requires restart)\nshared_buffers = 128MB\ninclude_dir 'evil'\n"
        "shared_preload_libraries = 'evil'\ndatestyle = 'iso, mdy'\nListen_addresses '*'\n"
    )
    (tmp_path / "postgresql.auto.conf").write_text("archive_command = 'touch canary'\nMAX_wal_size = '2GB'\n")
    (tmp_path / "pg_hba.conf").write_text("host all all 0.0.0.0/0 trust\n")
    (tmp_path / "backup_label").write_text("x")
    (tmp_path / "pg_stat").mkdir()
    (tmp_path / "pg_stat/pgstat.stat").write_text("x")
    replace_configuration(tmp_path)
    assert (tmp_path / "postgresql.conf").read_text().splitlines() == [
        "max_connections = 50",
        "shared_buffers = 128MB",
        "datestyle = 'iso, mdy'",
        "MAX_wal_size = '2GB'",
    ]
    assert (tmp_path / "postgresql.auto.conf").read_text() == ""
    assert "trust" not in (tmp_path / "pg_hba.conf").read_text()
    assert not (tmp_path / "backup_label").exists()
    assert list((tmp_path / "pg_stat").iterdir()) == []
