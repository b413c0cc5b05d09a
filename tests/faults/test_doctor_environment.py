"""Rows 1 to 9 of failures.md: a real process, and a real shell, whose variables send them elsewhere.

The application is any program here (Python's own web server): what counts is the environment that it runs with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults.test_doctor_faults import findings
from tests.support import ProjectDir, reference_project

SERVER = ["{python}", "-m", "http.server", "{port}", "--bind", "127.0.0.1"]


def configure(project: ProjectDir, wrapper: list[str], greeting: str = "hello") -> None:
    """Write devenv.toml: the reference project, with a program behind `wrapper` (`env NAME=VALUE …`) as application."""
    text = (project.path / "reference.toml").read_text()
    before, _, after = text.partition("[backend]")
    rest = after[after.index("\n[") :]
    backend = f"[backend]\ncommand = {json.dumps([*wrapper, *SERVER])}\nhealth = '/'\n"
    extended = rest.replace("[env]\n", f"[env]\nGREETING = {json.dumps(greeting)}\n", 1)
    (project.path / "devenv.toml").write_text(before + backend + extended)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    project = reference_project(tmp_path_factory.mktemp("environment") / "project")
    (project.path / "devenv.toml").rename(project.path / "reference.toml")
    configure(project, [])
    project.ok("up")
    with psycopg.connect(project.env()["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE DATABASE seeded_elsewhere")
    yield project
    project.remove()


def restart(project: ProjectDir, wrapper: list[str]) -> None:
    configure(project, wrapper)
    project.ok("up")


@pytest.fixture
def application(ready: ProjectDir) -> Iterator[ProjectDir]:
    """A healthy project; afterwards its application runs with its own settings again."""
    yield ready
    restart(ready, [])


# (row, how the process is started, the code, the variable that is named); {…} are the project's own values
APPLICATION: list[tuple[int, list[str], str, str]] = [
    (1, ["env", "-u", "AWS_ENDPOINT_URL_DYNAMODB"], "ENV002", "AWS_ENDPOINT_URL_DYNAMODB"),
    (2, ["env", "AWS_ENDPOINT_URL_DYNAMODB=http://localhost:9"], "ENV002", "AWS_ENDPOINT_URL_DYNAMODB"),
    (2, ["env", "AWS_ENDPOINT_URL_DYNAMODB=http://dynamodb-local:8000"], "ENV002", "AWS_ENDPOINT_URL_DYNAMODB"),
    (2, ["env", "DATABASE_URL=postgresql://postgres@localhost:9/cruddur"], "ENV005", "DATABASE_URL"),
    (2, ["env", "PGPORT=9"], "ENV005", "PGHOST, PGPORT, PGDATABASE"),
    (3, ["env", "AWS_ENDPOINT_URL_DYNAMODB=http://localhost"], "ENV002", "AWS_ENDPOINT_URL_DYNAMODB"),
    (3, ["env", "AWS_ENDPOINT_URL_DYNAMODB={endpoint}/dynamodb"], "ENV002", "AWS_ENDPOINT_URL_DYNAMODB"),
    (4, ["env", "CONNECTION_URL={url}/seeded_elsewhere"], "ENV005", "CONNECTION_URL"),
    (6, ["env", "AWS_ENDPOINT_URL={endpoint}"], "ENV003", "AWS_ENDPOINT_URL"),
    (7, ["env", "-u", "DDB_MESSAGE_TABLE"], "ENV006", "DDB_MESSAGE_TABLE"),
    (7, ["env", "DDB_MESSAGE_TABLE=cruddur-message"], "ENV006", "DDB_MESSAGE_TABLE"),
    (8, ["env", "-u", "AWS_REGION", "-u", "AWS_DEFAULT_REGION"], "ENV004", "AWS_DEFAULT_REGION"),
    (8, ["env", "-u", "AWS_ACCESS_KEY_ID", "-u", "AWS_SECRET_ACCESS_KEY"], "ENV004", "AWS_ACCESS_KEY_ID"),
    (9, ["env", "AWS_REGION=eu-central-1", "AWS_DEFAULT_REGION=eu-central-1"], "ENV004", "AWS_REGION"),
    (9, ["env", "AWS_ACCESS_KEY_ID=another"], "ENV004", "AWS_ACCESS_KEY_ID"),
]


def fill(project: ProjectDir, text: str) -> str:
    env = project.env()
    url = env["DATABASE_URL"].rpartition("/")[0]
    return text.replace("{endpoint}", env["AWS_ENDPOINT_URL_DYNAMODB"]).replace("{url}", url)


@pytest.mark.parametrize(
    ("row", "wrapper", "code", "variable"),
    APPLICATION,
    ids=[f"{r}-{' '.join(w)[4:44]}" for r, w, _, _ in APPLICATION],
)
@pytest.mark.matrix(5)
def test_an_application_that_is_sent_elsewhere(
    application: ProjectDir, row: int, wrapper: list[str], code: str, variable: str
) -> None:
    restart(application, [fill(application, word) for word in wrapper])
    report = application.json("doctor")
    assert report["exit_code"] == 1
    assert list(findings(report)) == [code]
    found = findings(report)[code]
    assert variable in found["subjects"]
    assert found["evidence"].startswith("the application (pid ")
    assert found["fix"]["command"] == "devenv restart backend"
    restart(application, [])
    assert findings(application.json("doctor")) == {}


SHELL: list[tuple[int, dict[str, str], str]] = [
    (2, {"AWS_ENDPOINT_URL_DYNAMODB": "http://localhost:9"}, "ENV002"),
    (3, {"AWS_ENDPOINT_URL_DYNAMODB": "localhost:8000"}, "ENV002"),
    (4, {"DATABASE_URL": "{url}/seeded_elsewhere"}, "ENV005"),
    (4, {"PGDATABASE": "postgres"}, "ENV005"),
    (6, {"AWS_ENDPOINT_URL": "{endpoint}"}, "ENV003"),
    (7, {"DDB_MESSAGE_TABLE": "messages"}, "ENV006"),
    (8, {"AWS_ENDPOINT_URL_DYNAMODB": "{endpoint}"}, "ENV004"),
    (9, {"AWS_ENDPOINT_URL_DYNAMODB": "{endpoint}", "AWS_PROFILE": "nobody"}, "ENV004"),
]


@pytest.mark.parametrize(("row", "variables", "code"), SHELL, ids=[f"{r}-{next(iter(v))}" for r, v, _ in SHELL])
def test_a_shell_that_sends_programs_elsewhere(
    ready: ProjectDir, row: int, variables: dict[str, str], code: str
) -> None:
    report = ready.json("doctor", **{name: fill(ready, text) for name, text in variables.items()})
    assert report["exit_code"] == 1
    found = findings(report)
    assert code in found
    assert found[code]["evidence"].startswith("this shell: ")
    assert next(iter(variables)) in " ".join(found[code]["subjects"]) or code == "ENV004"


def test_a_shell_with_the_projects_own_settings_is_healthy(ready: ProjectDir) -> None:
    report = ready.json("doctor", **ready.env())
    assert findings(report) == {}


def test_other_names_for_the_same_places_are_no_finding(application: ProjectDir) -> None:
    """localhost for 127.0.0.1, and another spelling of the URL."""
    env = application.env()
    port = env["AWS_ENDPOINT_URL_DYNAMODB"].rpartition(":")[2]
    other = env["DATABASE_URL"].replace("127.0.0.1", "localhost").replace("postgresql://", "postgres://")
    wrapper = [
        "env",
        f"AWS_ENDPOINT_URL_DYNAMODB=http://localhost:{port}/",
        f"DATABASE_URL={other}?application_name=app",
        "PGHOST=localhost",
    ]
    restart(application, wrapper)
    assert findings(application.json("doctor")) == {}


def test_settings_edited_while_the_process_runs(application: ProjectDir) -> None:
    """Row 5: the process keeps what it was started with."""
    configure(application, [], greeting="good evening")
    report = application.json("doctor")
    found: dict[str, Any] = findings(report)
    assert (report["exit_code"], set(found)) == (1, {"ENV007", "SVC006"})
    assert found["ENV007"]["subjects"] == ["GREETING"]
    assert found["ENV007"]["cause"] == (
        "the settings were edited after the application was started; it still uses the old ones"
    )
    assert found["ENV007"]["fix"]["command"] == "devenv restart backend"
    application.ok("restart", "backend")
    assert findings(application.json("doctor")) == {}


def test_a_table_misspelt_in_the_settings(application: ProjectDir) -> None:
    """Row 7, in devenv.toml itself."""
    file = application.path / "devenv.toml"
    text = file.read_text()
    file.write_text(text.replace('TABLE = "cruddur-messages"', 'TABLE = "cruddr-messages"'))
    found = findings(application.json("doctor", "--only", "table-variables"))
    assert list(found) == ["ENV006"]
    assert "did you mean 'cruddur-messages'?" in found["ENV006"]["evidence"]


@pytest.mark.long
def test_a_wrong_variable_in_devenv_toml_is_named_where_it_stands(tmp_path: Path) -> None:
    """The application answers all the time, that it is not well: neither more time nor a new start would help."""
    project = reference_project(tmp_path / "project")
    file = project.path / "devenv.toml"
    right = file.read_text()
    wrong = right.replace("env = {", 'env = { AWS_ENDPOINT_URL_DYNAMODB = "http://127.0.0.1:9",')
    try:
        project.ok("up", "--no-backend")
        file.write_text(wrong)
        error = project.json("up", "--timeout", "8")["error"]
        assert error["what"] == "backend was not ready within 8 s"
        assert error["cause"].startswith("the health check failed: GET http://127.0.0.1:")
        assert error["cause"].endswith("/api/health-check answers 503")
        assert "127.0.0.1:9" in error["detail"]
        assert error["hint"] == "devenv doctor"
        place = "AWS_ENDPOINT_URL_DYNAMODB in [backend] env of devenv.toml"
        found = findings(project.json("doctor"))["ENV002"]
        assert found["cause"] == "devenv.toml sets it to this value"
        assert place in found["fix"]["text"]
        assert found["fix"]["command"] == "devenv up"
        traced = project.json("trace", "conversations", "--user", "ines")["verdict"]
        assert (traced["layer"], traced["class"]) == ("environment", "wrong_endpoint")
        assert place in str(traced["fix"])
        file.write_text(right)
        project.ok(*found["fix"]["command"].split()[1:])
        assert "ENV002" not in findings(project.json("doctor"))
    finally:
        project.remove()
