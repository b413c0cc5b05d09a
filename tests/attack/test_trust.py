"""A folder's own code runs only after the user agreed (attempts 13, 14 and their kind)."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from pathlib import Path

import pytest

from tests.support import ProjectDir, Ran

TOML = """
[project]
name = "hostile"

[env]
LEVEL = "1"

[backend]
command = ["./canary", "backend", "{{port}}"]
python = "./canary"

[steps.setup]
command = ["./canary", "setup"]

[token]
command = ["./canary", "token"]

[person]
table = "users"
id = "uuid"
name = "handle"

[entities.thing]
table = "things"
match = {{ pk = "T#{{thing}}" }}

[entities.thing.attributes]
thing = "string"

[patterns.things]
table = "things"
key = {{ pk = "T#{{thing}}" }}
script = ["./canary", "script"]

[trace.thing]
params = {{ thing = "string" }}
pattern = "things"
entity = "thing"
where = {{ thing = "{{thing}}" }}
ids = {{ dynamodb = "thing", library = "id" }}

[trace.thing.library]
command = ["./canary", "library"{more}]
"""


@pytest.fixture
def hostile(project: ProjectDir, tmp_path: Path) -> ProjectDir:
    canary = project.path / "canary"
    canary.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/ran\n')
    canary.chmod(0o755)
    (project.path / "devenv.toml").write_text(TOML.format(more=""))
    project.environ.update(DEVENV_TRUST="0", XDG_STATE_HOME=str(tmp_path / "state"))
    return project


COMMANDS = (
    ("up",),
    ("setup", "-y"),
    ("seed", "-y"),
    ("reset", "-y"),
    ("doctor", "--fix"),
    ("trace", "thing", "1"),
    ("patterns", "run", "things"),
    ("patterns", "check", "--scripts"),
    ("env", "--token", "ann"),
    ("trace", "thing", "1", "--stress"),
    ("trace", "thing", "1", "--action"),
    ("restart", "backend"),
    ("up", "backend"),
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.matrix(4)
def test_an_untrusted_folder_runs_nothing(hostile: ProjectDir, tmp_path: Path, words: tuple[str, ...]) -> None:
    ran = hostile.devenv(*words, "--json")
    assert ran.code == 2
    error = ran.document["error"]
    assert error["what"] == f"{hostile.path} is not trusted to run its own commands"
    assert "[backend] command: ./canary backend '{port}'" in error["detail"]
    assert "devenv trust" in error["hint"]
    assert not (tmp_path / "ran").exists()
    states = [service["state"] for service in hostile.json("status")["services"]]
    assert set(states) == {"stopped"}


@pytest.mark.parametrize("what", ["a pipe", "a link to a device", "a huge file", "a link to a pipe"])
def test_a_folder_s_git_files_neither_hold_nor_fill_a_command(hostile: ProjectDir, tmp_path: Path, what: str) -> None:
    """Before it is asked, devenv looks whether the folder is a worktree of a trusted one."""
    inside = hostile.path / "worktrees" / "one"
    inside.mkdir(parents=True)
    (hostile.path / ".git").write_text("gitdir: worktrees/one\n")
    place = inside / "gitdir"
    match what:
        case "a pipe":
            os.mkfifo(place)
        case "a link to a device":
            place.symlink_to("/dev/zero")
        case "a huge file":
            (hostile.path / ".git").unlink()
            with (hostile.path / ".git").open("wb") as file:
                file.truncate(4_000_000_000)
        case "a link to a pipe":
            os.mkfifo(tmp_path / "pipe")
            place.symlink_to(tmp_path / "pipe")
    ran = within(hostile, "up", "--json")
    assert ran.code == 2
    assert "is not trusted" in ran.document["error"]["what"]
    assert not (tmp_path / "ran").exists()


def test_a_record_of_trust_that_is_no_file_trusts_no_folder(hostile: ProjectDir, tmp_path: Path) -> None:
    hostile.ok("trust")
    [record] = (tmp_path / "state" / "devenv" / "trust").iterdir()
    record.unlink()
    os.mkfifo(record)
    assert within(hostile, "up").code == 2
    assert within(hostile, "trust", "--list").out == "no folder is trusted\n"


def test_trust_that_cannot_be_kept_is_said(hostile: ProjectDir, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    ran = hostile.devenv("trust", "--json")
    assert ran.code == 1
    assert ran.document["error"]["what"].startswith("your trust could not be saved in /")
    assert "--trust" in ran.document["error"]["hint"]


def test_trust_ends_also_where_the_folder_is_gone(hostile: ProjectDir) -> None:
    hostile.ok("trust")
    (hostile.path / "devenv.toml").rename(hostile.path / "other.toml")
    ran = hostile.ok("trust", "--revoke")
    assert ran.out == f"no longer trusted: {hostile.path}\n"
    assert hostile.devenv("trust", "--revoke").code == 2
    (hostile.path / "other.toml").rename(hostile.path / "devenv.toml")
    assert hostile.devenv("up").code == 2


def within(project: ProjectDir, *words: str) -> Ran:
    """Run a command that may take neither long nor much memory."""
    done = subprocess.run(
        project.command(*words),
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env=project.environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)),
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def test_an_untrusted_service_runs_nothing(hostile: ProjectDir, tmp_path: Path) -> None:
    ran = hostile.devenv("exec", "backend", "--", "true")
    assert ran.code == 125
    assert "is not trusted to run its own commands" in ran.err
    assert not (tmp_path / "ran").exists()


def test_an_untrusted_interpreter_is_not_started(hostile: ProjectDir, tmp_path: Path) -> None:
    """Row 14: only `[backend] python` and a function; nothing else is a command."""
    text = TOML[TOML.index("[person]") :].replace('script = ["./canary", "script"]', "")
    text = (
        text.replace('command = ["./canary", "library"{more}]', 'function = "lib:get"')
        .replace("{{", "{")
        .replace("}}", "}")
    )
    head = '[project]\nname = "x"\n[backend]\ncommand = ["{python}", "-m", "app", "{port}"]\npython = "./canary"\n'
    (hostile.path / "devenv.toml").write_text(head + text)
    ran = hostile.devenv("trace", "thing", "1", "--json")
    assert ran.code == 2
    assert "[backend] python: ./canary" in ran.document["error"]["detail"]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "words", [("status",), ("doctor",), ("config", "show"), ("env",), ("patterns", "list"), ("ps",)]
)
def test_looking_needs_no_trust_and_runs_nothing(hostile: ProjectDir, tmp_path: Path, words: tuple[str, ...]) -> None:
    ran = hostile.devenv(*words)
    assert "trust" not in ran.err
    assert not (tmp_path / "ran").exists()


def test_trust_is_kept_outside_the_folder_and_for_these_commands_only(hostile: ProjectDir, tmp_path: Path) -> None:
    assert hostile.json("trust")["commands"][0] == "[steps.setup] command: ./canary setup"
    assert [entry["root"] for entry in hostile.json("trust", "--list")["trusted"]] == [str(hostile.path)]
    assert [path for path in hostile.path.rglob("*") if "trust" in path.name] == []
    assert hostile.devenv("patterns", "run", "things", "--json").document["error"]["what"] != (
        f"{hostile.path} is not trusted to run its own commands"
    )
    # Another argument is another command; the contents of a script are not part of what was agreed.
    (hostile.path / "devenv.toml").write_text(TOML.format(more=', "--more"'))
    assert hostile.devenv("patterns", "run", "things", "--json").code == 2
    (hostile.path / "devenv.toml").write_text(TOML.format(more=""))
    (hostile.path / "canary").write_text("#!/bin/sh\nexit 1\n")
    assert "trusted" not in hostile.devenv("patterns", "run", "things").err
    assert hostile.json("trust", "--revoke")["revoked"] is True
    assert hostile.devenv("patterns", "run", "things", "--json").code == 2


def test_a_variable_that_changes_is_asked_again(hostile: ProjectDir) -> None:
    hostile.ok("trust")
    file = hostile.path / "devenv.toml"
    file.write_text(file.read_text().replace('LEVEL = "1"', 'LEVEL = "2"'))
    assert "is not trusted" in hostile.devenv("trace", "thing", "1").err


@pytest.mark.parametrize("how", [("--trust",), ()])
def test_one_call_can_be_trusted_without_a_record(hostile: ProjectDir, how: tuple[str, ...]) -> None:
    ran = hostile.devenv("patterns", "run", "things", "--json", *how, **({} if how else {"DEVENV_TRUST": "1"}))
    assert "is not trusted" not in json.dumps(ran.document)
    assert hostile.json("trust", "--list")["trusted"] == []


def test_what_init_wrote_is_trusted(tmp_path: Path, project: ProjectDir) -> None:
    folder = ProjectDir(tmp_path / "new", dict(project.environ))
    folder.path.mkdir()
    folder.environ.update(DEVENV_TRUST="0", XDG_STATE_HOME=str(tmp_path / "state"))
    (folder.path / "bin").mkdir()
    seed = folder.path / "bin" / "seed"
    seed.write_text("#!/usr/bin/env python3\nimport boto3\nboto3.client('dynamodb').put_item(TableName='t', Item={})\n")
    seed.chmod(0o755)
    (folder.path / "schema.sql").write_text("CREATE TABLE users (uuid uuid PRIMARY KEY, handle text);\n")
    folder.devenv("init")
    wanted = {"root": str(folder.path), "commands": ["[steps.seed] command: '{python}' bin/seed"]}
    assert folder.json("trust", "--list")["trusted"] == [wanted]


# A folder brings the program of a store: its own DynamoDB Local. Nothing else of it is a command.
WITH_STORE = '[project]\nname = "jar"\n[dynamodb]\nlocal = "evil"\n'


@pytest.mark.parametrize(
    "words",
    [
        ("up",),
        ("up", "--no-backend"),
        ("up", "dynamodb"),
        ("reset", "-y"),
        ("doctor", "--fix"),
        ("restart", "dynamodb"),
        ("snapshot", "save", "a"),
        ("snapshot", "restore", "a", "-y"),
        ("snapshot", "prune", "--keep", "0", "-y"),
        ("repair", "apply", "plan.json"),
    ],
    ids=" ".join,
)
@pytest.mark.matrix(4)
def test_an_untrusted_folders_own_store_is_not_started(hostile: ProjectDir, words: tuple[str, ...]) -> None:
    (hostile.path / "devenv.toml").write_text(WITH_STORE)
    ran = hostile.devenv(*words, "--json")
    assert ran.code == 2
    error = ran.document["error"]
    assert error["what"] == f"{hostile.path} is not trusted to run its own commands"
    assert error["detail"] == "[dynamodb] local: evil"
