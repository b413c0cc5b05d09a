"""Which folders may run their own commands, and what a user agrees to."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest

from devenv.config.commands import agreed_text, commands_of
from devenv.config.parse import parse
from devenv.config.schema import Settings
from devenv.host import trust

COMMANDS = ("[steps.seed] command: ./seed", "[env] NAME = value")


@pytest.fixture
def records(tmp_path: Path) -> Path:
    return tmp_path / "state" / "trust"


def test_a_folder_is_trusted_for_exactly_what_was_agreed(records: Path, tmp_path: Path) -> None:
    root = tmp_path / "project"
    assert not trust.is_trusted(records, root, COMMANDS)
    trust.remember(records, root, COMMANDS)
    assert trust.is_trusted(records, root, COMMANDS)
    assert trust.is_trusted(records, root, COMMANDS[::-1])
    assert not trust.is_trusted(records, root, (*COMMANDS, "[backend] command: ./run"))
    assert not trust.is_trusted(records, tmp_path / "other", COMMANDS)
    assert trust.revoke(records, root)
    assert not trust.is_trusted(records, root, COMMANDS)
    assert not trust.revoke(records, root)


def test_two_commands_are_not_one_that_is_spelt_like_both(records: Path, tmp_path: Path) -> None:
    trust.remember(records, tmp_path, ("a", "bc"))
    assert not trust.is_trusted(records, tmp_path, ("ab", "c"))


def test_no_commands_need_no_trust(records: Path, tmp_path: Path) -> None:
    assert trust.is_trusted(records, tmp_path, ())
    assert not records.exists()


def test_records_are_private_and_nonsense_in_one_is_no_trust(records: Path, tmp_path: Path) -> None:
    trust.remember(records, tmp_path, COMMANDS)
    file = trust.record_of(records, tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600
    for nonsense in (b"", b"{", b'{"root": 1}', b"\xff" * 100):
        file.write_bytes(nonsense)
        assert not trust.is_trusted(records, tmp_path, COMMANDS)
        assert trust.read_all(records) == []


def git(*words: str, cwd: Path) -> None:
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *words], cwd=cwd, check=True, capture_output=True
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "main"
    path.mkdir()
    git("init", "-q", cwd=path)
    (path / "file").write_text("content")
    git("add", ".", cwd=path)
    git("commit", "-qm", "first", cwd=path)
    return path


@pytest.mark.needs_git
def test_a_worktree_with_the_same_commands_is_trusted_and_a_clone_is_not(
    records: Path, repository: Path, tmp_path: Path
) -> None:
    trust.remember(records, repository, COMMANDS)
    git("worktree", "add", "-q", str(tmp_path / "second"), cwd=repository)
    git("clone", "-q", str(repository), str(tmp_path / "clone"), cwd=tmp_path)
    assert trust.is_trusted(records, tmp_path / "second", COMMANDS)
    assert not trust.is_trusted(records, tmp_path / "second", (*COMMANDS, "more"))
    assert not trust.is_trusted(records, tmp_path / "clone", COMMANDS)


@pytest.mark.needs_git
def test_a_folder_that_claims_to_be_a_worktree_is_not_trusted(records: Path, repository: Path, tmp_path: Path) -> None:
    trust.remember(records, repository, COMMANDS)
    git("worktree", "add", "-q", str(tmp_path / "second"), cwd=repository)
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    (hostile / ".git").write_text((tmp_path / "second" / ".git").read_text())
    assert not trust.is_trusted(records, hostile, COMMANDS)
    (hostile / ".git").unlink()
    (hostile / ".git").symlink_to(tmp_path / "second" / ".git")
    assert not trust.is_trusted(records, hostile, COMMANDS)


TREE = {
    "project": {"name": "x"},
    "env": {"NAME": "value"},
    "backend": {"command": ["./serve", "a b"], "python": "./py", "env": {"LEVEL": "1"}},
    "steps": {"setup": {"command": ["./setup"]}, "schema-load": {"files": ["t.json"]}, "seed": {"command": ["./seed"]}},
    "token": {"command": ["./token"]},
    "docker": {"file": "compose.yml"},
    "patterns": {"p": {"table": "t", "key": {"pk": "1"}, "script": ["./list"]}},
    "trace": {
        "one": {
            "library": {
                "function": "a.b:c",
                "arguments": {"x": {"call": "d:e"}},
                "guards": [{"function": "f:g"}],
            }
        },
        "two": {"library": {"command": ["node", "x.js"]}},
    },
}


def test_every_place_that_runs_something_is_listed() -> None:
    settings = parse(TREE, Path("devenv.toml"))
    assert [(each.runner, str(each)) for each in commands_of(settings)] == [
        ("steps", "[steps.setup] command: ./setup"),
        ("steps", "[steps.seed] command: ./seed"),
        ("services", "[backend] command: ./serve 'a b'"),
        ("services", "[backend] python: ./py"),
        ("services", "[docker] file: compose.yml"),
        ("token", "[token] command: ./token"),
        ("patterns", "[patterns.p] script: ./list"),
        ("trace", "[trace.one.library] function: a.b:c f:g"),
        ("trace", '[trace.one.library] arguments: {"arguments": {"x": {"call": "d:e"}}, "guards": [{}]}'),
        ("trace", "[trace.two.library] command: node x.js"),
    ]
    assert agreed_text(settings)[-2:] == ("[env] NAME = value", "[backend] env LEVEL = 1")


def test_a_project_of_files_only_asks_nothing() -> None:
    tree = {"project": {"name": "x"}, "env": {"A": "b"}, "steps": {"setup": {"files": ["a.sql"]}}}
    assert agreed_text(parse(tree, Path("devenv.toml"))) == ()


def test_migrations_that_are_programs_are_commands() -> None:
    def listed(migrations: object) -> list[str]:
        steps = {"setup": {"migrations": migrations}}
        settings = msgspec.convert({"project": {"name": "x"}, "steps": steps}, Settings)
        return [str(command) for command in commands_of(settings)]

    assert listed("alembic") == ["[steps.setup] migrations: alembic"]
    assert listed({"command": ["make", "db"], "folder": "m"}) == ["[steps.setup] migrations: make db"]
    assert listed({"tool": "django", "folder": "x"}) == ["[steps.setup] migrations: django"]
    assert listed("flyway") == []


def test_own_services_are_part_of_what_is_agreed() -> None:
    tree = {
        "project": {"name": "a"},
        "services": {
            "web": {
                "command": ["npm", "start"],
                "port": 0,
                "ready": {"command": ["./is-up"]},
                "env": {"A": "1"},
                "python": "./python",
            }
        },
    }
    settings = parse(tree, Path("devenv.toml"))
    assert [str(each) for each in commands_of(settings)] == [
        "[services.web] command: npm start",
        "[services.web] ready: ./is-up",
        "[services.web] python: ./python",
    ]
    assert "[services.web] env A = 1" in agreed_text(settings)
    assert {each.runner for each in commands_of(settings)} == {"services"}


def test_a_program_in_the_place_of_a_stores_is_listed() -> None:
    def listed(tree: dict[str, object]) -> list[str]:
        settings = parse({"project": {"name": "x"}, **tree}, Path("devenv.toml"))
        return [f"{each.runner}: {each}" for each in commands_of(settings)]

    redis = {"kind": "redis", "image": "evil/redis"}
    assert listed(
        {
            "postgres": {"image": "evil.example/postgres:18"},
            "dynamodb": {"local": "tools/local", "image": "amazon/dynamodb-local.evil"},
            "services": {"cache": redis},
            "docker": {"backend": "container", "dockerfile": "Dockerfile"},
            "backend": {"command": ["./serve"]},
        }
    ) == [
        "services: [backend] command: ./serve",
        "stores: [dynamodb] local: tools/local",
        "stores: [postgres] image: evil.example/postgres:18",
        "stores: [dynamodb] image: amazon/dynamodb-local.evil",
        "stores: [services.cache] image: evil/redis",
        "services: [docker] dockerfile: ./Dockerfile",
    ]
    makers = ("postgres:17", "docker.io/library/postgres:18.6-alpine", f"postgres@sha256:{'0' * 64}")
    assert [line for image in makers for line in listed({"postgres": {"image": image}})] == []
    assert listed({"services": {"cache": {"kind": "redis", "image": "valkey/valkey:8"}}}) == []
