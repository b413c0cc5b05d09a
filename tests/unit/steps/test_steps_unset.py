"""The project's own interpreter and programs, and the variables that a program reads without a value."""

from __future__ import annotations

import os
import stat
import sys
import venv
from pathlib import Path

import msgspec
import pytest

from devenv.config.environment import connection_environment
from devenv.config.interpreter import project_python, with_programs
from devenv.config.load import interpreter
from devenv.config.references import find_mistakes
from devenv.config.schema import Settings
from devenv.core.model import DynamoTarget, PostgresTarget, Targets
from devenv.steps.lacking import explain_table
from devenv.steps.unset import explain, find_unset, named_unset, reads

TARGETS = Targets.of(
    PostgresTarget("127.0.0.1", 5433, "me", "p/w", "shop"),
    DynamoTarget("http://127.0.0.1:8001", "eu-west-1", "a", "b"),
    key="k",
)


def settings(**env: str) -> Settings:
    return msgspec.convert({"project": {"name": "x"}, "env": env}, Settings)


@pytest.mark.parametrize("folder", [".venv", "venv", "env"])
def test_the_projects_environment_is_found(tmp_path: Path, folder: str) -> None:
    assert interpreter(settings(), tmp_path / "other") == sys.executable
    venv.create(tmp_path / folder, with_pip=False)
    python = tmp_path / folder / "bin" / "python"
    assert project_python(tmp_path) == python
    assert interpreter(settings(), tmp_path) == str(python)
    found = with_programs({"PATH": "/bin", "PYTHONHOME": "x"}, tmp_path)
    assert found == {"PATH": f"{python.parent}{os.pathsep}/bin", "VIRTUAL_ENV": str(tmp_path / folder)}


def test_poetry_is_asked_where_its_environment_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs, project = tmp_path / "bin", tmp_path / "project"
    programs.mkdir()
    project.mkdir()
    poetry = programs / "poetry"
    poetry.write_text(f"#!/bin/sh\n[ \"$*\" = 'env info --executable' ] && echo warning && echo {sys.executable}\n")
    poetry.chmod(poetry.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    assert project_python(project) is None
    project_python.cache_clear()
    (project / "poetry.lock").touch()
    assert project_python(project) == Path(sys.executable)


def test_conda_is_found_by_the_name_in_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    python = tmp_path / "miniforge3" / "envs" / "shop" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    (tmp_path / "environment.yml").write_text("name: shop\ndependencies: [python]\n")
    assert project_python(tmp_path) == python


def test_programs_of_node_modules_are_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "node_modules" / ".bin").mkdir(parents=True)
    assert with_programs({"PATH": "/bin"}, tmp_path)["PATH"].startswith(str(tmp_path / "node_modules" / ".bin"))


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.py", "x\nurl = 'postgresql://h/' + os.getenv('DB_NAME')\n", [("DB_NAME", 2)]),
        ("a.py", "environ['A']; environ.get('B', 'x'); getenv('C') or 'x'; environ.get('D')", [("D", 1), ("A", 1)]),
        ("a.js", "const a = process.env.A;\nconst b = process.env.B || 1, c = process.env['C']", [("A", 1), ("C", 2)]),
        ("a.rb", "x = ENV['A']\ny = ENV.fetch('B')\nz = ENV.fetch('C', 1)", [("A", 1), ("B", 2)]),
        ("a.go", 'x := os.Getenv("A")', [("A", 1)]),
        ("a.sh", "set -u\npsql $DB_NAME -h ${HOST:-x} ${PORT:?}", [("DB_NAME", 2), ("PORT", 2)]),
    ],
)  # fmt: skip
def test_reads_without_a_value(tmp_path: Path, name: str, text: str, found: list[tuple[str, int]]) -> None:
    (tmp_path / name).write_text(text)
    assert list(reads(tmp_path / name)) == found


def test_the_files_of_a_traceback_come_first(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "seed").write_text("#!/usr/bin/env python3\nimport os\nos.getenv('LATE')\nos.environ['SET']\n")
    (tmp_path / "lib.py").write_text("import os\nos.environ['DB_NAME']\n")
    output = f'Traceback\n  File "{tmp_path}/lib.py", line 2, in x\nKeyError'
    unset = find_unset(tmp_path, ["python3", "bin/seed"], output, {"SET": "1"})
    assert unset == {"DB_NAME": "lib.py:2", "LATE": "bin/seed:3"}
    cause, hint = explain({"DB_NAME": "lib.py:2"})
    assert cause == "it reads DB_NAME (lib.py:2), which has no value"
    assert '[env] DB_NAME = "{postgres_database}"' in hint


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{postgres_host}:{postgres_port}", "127.0.0.1:5433"),
        ("{postgres_user} {postgres_password} {postgres_database}", "me p/w shop"),
        ("postgresql+asyncpg://{postgres_url}", "postgresql+asyncpg://me:p%2Fw@127.0.0.1:5433/shop"),
        ("{postgres_url}?sslmode=disable", "postgresql://me:p%2Fw@127.0.0.1:5433/shop?sslmode=disable"),
        (
            "jdbc:postgresql://{postgres_host}:{postgres_port}/{postgres_database}",
            "jdbc:postgresql://127.0.0.1:5433/shop",
        ),
        ("{dynamodb_url} {dynamodb_host} {dynamodb_port}", "http://127.0.0.1:8001 127.0.0.1 8001"),
        ("{access_key}/{secret_key}", "a/b"),
        ("/users/{{id}}", "/users/{id}"),
    ],
)
def test_every_part_of_an_address_has_a_placeholder(text: str, value: str) -> None:
    assert find_mistakes(settings(X=text)) == []
    assert connection_environment(settings(X=text), TARGETS)["X"] == value


def test_an_unknown_placeholder_is_refused() -> None:
    (mistake,) = find_mistakes(settings(DB_HOST="{postgres_hots}"))
    assert (mistake.keys, mistake.near) == (("env", "DB_HOST"), "{postgres_host}")
    (mistake,) = find_mistakes(settings(ROUTE="/users/{id}"))
    assert mistake.keys == ("env", "ROUTE")
    assert find_mistakes(settings(JSON='{"a": 1}', EMPTY="{}")) == []


@pytest.mark.parametrize(("made", "words"), [(False, "[steps.schema-load] is not declared"), (True, "does not exist")])
def test_a_table_that_is_not_there_is_named(tmp_path: Path, made: bool, words: str) -> None:
    (tmp_path / "seed.js").write_text('new PutCommand({ TableName: "ledger", Item: {} })')
    found = explain_table("ResourceNotFoundException: x", [tmp_path / "seed.js"], {"LOANS_TABLE": "loans"}, made)
    assert found is not None
    assert words in found[0]
    assert "(it names loans, ledger)" in found[0]
    assert explain_table("Error: x", [tmp_path / "seed.js"], {}, made) is None


def test_a_field_of_a_settings_class_is_named_by_its_variable(tmp_path: Path) -> None:
    """pydantic-settings prints the field alone; an alias is the whole name."""
    (tmp_path / "conf.py").write_text(
        "class Other(BaseModel):\n    signing_key: str\n\n\nclass Settings(BaseSettings):\n"
        '    model_config = SettingsConfigDict(env_prefix="BAKERY_")\n\n    oven: str\n    signing_key: str\n'
        '    port: int = Field(alias="PORT")\n\n\nsigning_key: str = "x"\n'
    )
    said = (
        f'  File "{tmp_path}/conf.py", line 20, in make\n    return Settings()\n'
        "pydantic_core._pydantic_core.ValidationError: 2 validation errors for Settings\n"
        "signing_key\n  Field required [type=missing, input_value={'oven': 'b'}, input_type=dict]\n"
        "PORT\n  Field required [type=missing, input_value={'oven': 'b'}, input_type=dict]\n"
    )
    assert named_unset(tmp_path, ["python", "seed.py"], said) == {
        "BAKERY_SIGNING_KEY": "conf.py:9",
        "PORT": "conf.py:5",
    }
    # The fields of a request's body are no variables.
    assert named_unset(tmp_path, ["python", "seed.py"], said.replace("for Settings", "for Other")) == {}
