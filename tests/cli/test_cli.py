"""The command line from outside, without any store: options, help, refusals, and their exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv import __version__
from devenv.cli.app import COMMANDS as REGISTERED
from devenv.cli.app import GROUPS, app
from devenv.cli.options import hoist
from devenv.help.pages import TOPICS, read_page
from tests.support import REPOSITORY, ProjectDir, Ran, empty_project, reference_project


def find_commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(words, command) for every command that is registered, groups followed."""
    from typer.main import get_command

    command = get_command(group) if not words else group
    for name, entry in command.commands.items():
        if hasattr(entry, "commands"):
            yield from find_commands(entry, (*words, name))
        else:
            yield (*words, name), entry


COMMANDS = dict(find_commands(app))
NAMES = [" ".join(words) for words in COMMANDS]


def devenv(*words: str, cwd: Path, **environ: str) -> Ran:
    """Run the command exactly as typed."""
    done = subprocess.run(
        [sys.executable, "-m", "devenv", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**ProjectDir(cwd).environment(), "COLUMNS": "200", **environ},
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project that is never started."""
    project = empty_project(tmp_path_factory.mktemp("cli"))
    yield project.path
    project.remove()


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        ("up --json", "--json up"),
        ("--json up", "--json up"),
        ("up --project DIR --timeout 5", "--project DIR --timeout 5 up"),
        ("up --project=DIR -v -q", "--project=DIR -v -q up"),
        ("logs postgres --tail 5 --color never", "--color never logs postgres --tail 5"),
        ("--project DIR ddb --json scan T --no-input", "--project DIR --json --no-input ddb scan T"),
        ("run --json -- cmd --json", "--json run -- cmd --json"),
        ("run cmd --json -v", "run cmd --json -v"),
        ("run -v cmd -v", "-v run cmd -v"),
        ("--project DIR run cmd --project X", "--project DIR run cmd --project X"),
        ("db -- --json", "db -- --json"),
        ("up --version", "--version up"),
        ("up --project", "--project up"),
        ("", ""),
    ],
)
def test_global_options_stand_anywhere_before_what_run_runs(typed: str, understood: str) -> None:
    front, rest = hoist(typed.split())
    assert [*front, *rest] == understood.split()


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help(name: str, folder: Path) -> None:
    ran = devenv(*name.split(), "--help", cwd=folder)
    assert ran.code == 0
    assert f"Usage: devenv {name}" in ran.out
    assert ran.err == ""


@pytest.mark.parametrize("words", [(), ("ddb",), ("config",)])
def test_a_group_alone_lists_its_commands(words: tuple[str, ...], folder: Path) -> None:
    ran = devenv(*words, cwd=folder)
    wanted = {name.removeprefix(" ".join(words)).split()[0] for name in NAMES if name.startswith(" ".join(words))}
    assert all(name in ran.all for name in wanted)
    assert ran.code in (0, 2)


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("words", [(), ("ddb",), ("snapshot",), ("doctor",), ("verify",), ("up",)])
def test_help_fits_the_terminal_and_cuts_nothing(words: tuple[str, ...], columns: int, folder: Path) -> None:
    ran = devenv(*words, "--help", cwd=folder, COLUMNS=str(columns))
    assert "..." not in ran.out.replace("[ARGS]...", "")
    assert max(map(len, ran.out.splitlines())) <= columns
    said = " ".join(ran.out.split())
    for name, command in COMMANDS.items():
        if name[:-1] == words:
            first = " ".join(command.help.split()).split(". ")[0].rstrip(".")
            assert f"{name[-1]} {first}" in said


def test_help_lists_the_commands_under_headings_in_the_order_of_the_help_page(folder: Path) -> None:
    page = read_page("commands")
    headings = [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")]
    ran = devenv("--help", cwd=folder)
    shown = [line.removesuffix(":") for line in ran.out.splitlines() if line.endswith(":") and line[:1].isalpha()]
    assert shown == ["Options", *headings] == ["Options", "Run", "Look", "Data", "Project"]


def test_every_parameter_says_what_it_takes() -> None:
    silent = [
        f"{' '.join(words)} {parameter.name}"
        for words, command in COMMANDS.items()
        for parameter in command.params
        if not parameter.help or not (getattr(parameter, "is_flag", False) or parameter.metavar)
    ]
    assert silent == []


def test_the_version_is_reported_without_a_project(tmp_path: Path) -> None:
    ran = devenv("--version", cwd=tmp_path)
    assert (ran.code, ran.out, ran.err) == (0, f"devenv {__version__}\n", "")


USAGE = [
    ("frobnicate", "frobnicate"),
    ("ddb frobnicate", "frobnicate"),
    ("up --frobnicate", "--frobnicate"),
    ("up extra", "extra"),
    ("up --timeout", "--timeout"),
    ("up --timeout soon", "soon"),
    ("up --timeout 0", "--timeout"),
    ("up --timeout nan", "--timeout"),
    ("up --force steup", "steup"),
    ("up --from nothing", "nothing"),
    ("up --engine podman", "podman"),
    ("status --color sometimes", "sometimes"),
    ("logs redis", "redis"),
    ("logs --tail -1", "--tail"),
    ("env --format xml", "xml"),
    ("ddb scan", "table"),
    ("ddb scan T --limit 0", "--limit"),
    ("ddb sql", "statement"),
    ("down --data --no-input", "pass -y"),
]


@pytest.mark.parametrize(("typed", "named"), USAGE)
def test_what_cannot_be_meant_is_refused_with_2(typed: str, named: str, folder: Path) -> None:
    ran = devenv(*typed.split(), cwd=folder)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert named.lower() in ran.err.lower()
    assert "hint: " in ran.err


@pytest.mark.parametrize(("typed", "named"), USAGE)
def test_a_refusal_is_one_document_too(typed: str, named: str, folder: Path) -> None:
    ran = devenv(*typed.split(), "--json", cwd=folder)
    document = ran.document
    assert document["schema"] == f"devenv.{typed.split()[0]}/1"
    assert document["exit_code"] == ran.code == 2
    assert set(document["error"]) == {"what", "detail", "cause", "hint"}
    assert named.lower() in json.dumps(document["error"]).lower()
    assert ran.err == ""


def test_the_schema_names_the_command_whatever_stands_before_it(tmp_path: Path) -> None:
    project = tmp_path / "up"
    document = devenv("--color", "never", "--project", str(project), "status", "--json", cwd=tmp_path).document
    assert document["schema"] == "devenv.status/1"
    assert str(project) in document["error"]["what"]


@pytest.mark.parametrize("command", ["up", "down", "status", "env", "logs", "setup", "reset", "db", "config show"])
def test_without_a_project_the_way_to_one_is_reported(command: str, tmp_path: Path) -> None:
    ran = devenv(*command.split(), cwd=tmp_path)
    assert ran.code == 2
    assert f"no devenv.toml in {tmp_path}" in ran.err
    assert "hint: devenv init " in ran.err
    assert "--project" in ran.err


def test_run_keeps_125_for_devenvs_own_failures(tmp_path: Path, folder: Path) -> None:
    assert devenv("run", "--", "true", cwd=tmp_path).code == 125
    assert devenv("--project", str(tmp_path), "run", "true", cwd=tmp_path).code == 125
    assert devenv("run", cwd=folder).code == 125


@pytest.mark.parametrize("command", ["up", "status", "config check"])
def test_a_broken_file_is_named(command: str, tmp_path: Path) -> None:
    (tmp_path / "devenv.toml").write_text("[project\n")
    ran = devenv(*command.split(), cwd=tmp_path)
    assert ran.code == 2
    assert f"{tmp_path / 'devenv.toml'} is not valid TOML" in ran.err
    assert not (tmp_path / ".devstate").exists()


def test_a_refused_up_leaves_nothing_behind(tmp_path: Path) -> None:
    project = empty_project(tmp_path, '[project]\nname = "x"\n[steps.setup]\nfiles = ["missing.sql"]\n')
    try:
        ran = project.devenv("up")
        assert ran.code == 2
        assert "missing.sql" in ran.err
        assert not (tmp_path / ".devstate" / "state.json").exists()
    finally:
        project.remove()


def test_status_before_the_first_up_is_no_failure(folder: Path) -> None:
    ran = devenv("status", cwd=folder)
    assert ran.code == 0
    assert "stopped" in ran.out
    document = devenv("status", "--json", cwd=folder).document
    assert {service["state"] for service in document["services"]} == {"stopped"}
    assert {step["name"] for step in document["steps"]} == {"setup", "schema-load", "seed"}


def test_down_before_the_first_up_is_no_failure(folder: Path) -> None:
    ran = devenv("down", cwd=folder)
    assert (ran.code, ran.out) == (0, "nothing was running\n")


def test_an_output_without_utf8_still_gets_the_report(tmp_path: Path) -> None:
    project = empty_project(tmp_path, '[project]\nname = "x"\n[postgres]\ndatabase = "größe 🙂"\n')
    assert "postgres" in project.ok("status", PYTHONIOENCODING="ascii").out
    assert "postgres.database" in project.ok("config", "show", PYTHONIOENCODING="ascii").out
    settings = project.json("config", "show", PYTHONIOENCODING="ascii")["settings"]
    assert [entry["value"] for entry in settings if entry["key"] == "postgres.database"] == ["größe 🙂"]


def test_colour_is_off_unless_asked_for(folder: Path) -> None:
    assert "\x1b[" not in devenv("status", cwd=folder).all
    assert "\x1b[" in devenv("status", "--color", "always", cwd=folder).out
    assert "\x1b[" in devenv("up", "--engine", "x", "--color", "always", cwd=folder).err


def test_a_reader_that_goes_away_is_no_crash(folder: Path) -> None:
    script = f'"{sys.executable}" -m devenv config schema | head -c 1; exit ${{PIPESTATUS[0]}}'
    ran = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, cwd=folder, env=ProjectDir(folder).environment()
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_config_show_tells_each_origin_and_no_secret(tmp_path: Path) -> None:
    project = empty_project(
        tmp_path,
        '[project]\nname = "x"\n[env]\nAPI_TOKEN = "s3cret"\nURL = "http://u:s3cret@h/"\nKEY = "{key}"\n',
    )
    document = project.json("config", "show", DEVENV_POSTGRES_PORT="5999")
    settings = {entry["key"]: (entry["value"], entry["origin"]) for entry in document["settings"]}
    assert settings["postgres.port"] == (5999, "$DEVENV_POSTGRES_PORT")
    assert settings["project.name"] == ("x", "devenv.toml")
    assert settings["dynamodb.region"] == ("us-east-1", "default")
    assert settings["env.KEY"] == ("{key}", "devenv.toml")
    assert "s3cret" not in project.devenv("config", "show").all + json.dumps(document)


def test_config_check_reads_every_file_that_is_named(tmp_path: Path) -> None:
    project = reference_project(tmp_path)
    assert project.ok("config", "check").out.count("ok: ") == 5
    (tmp_path / "seeds" / "postgres" / "users.sql").write_bytes(b"select '\xff';")
    ran = project.devenv("config", "check")
    assert ran.code == 2
    assert "users.sql" in ran.err


def test_config_schema_is_a_json_schema_that_the_reference_project_fits() -> None:
    import tomllib

    import jsonschema_rs

    ran = devenv("config", "schema", cwd=REPOSITORY)
    schema = json.loads(ran.out)
    jsonschema_rs.validate(schema, tomllib.loads((REPOSITORY / "devenv.toml").read_text()))
    with pytest.raises(jsonschema_rs.ValidationError, match="nmae"):
        jsonschema_rs.validate(schema, {"project": {"name": "x", "nmae": "y"}})
    document = json.loads(devenv("config", "schema", "--json", cwd=REPOSITORY).out)
    assert document == {"schema": "devenv.config/1", "project": None, "exit_code": 0, "json_schema": schema}


def test_every_option_is_on_a_help_page() -> None:
    pages = "\n".join(read_page(topic) for topic in TOPICS)
    options = {
        option
        for command in COMMANDS.values()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--") and option not in ("--help",)
    }
    assert sorted(option for option in options if option not in pages) == []


def test_the_readme_names_no_command_that_is_not_there() -> None:
    import re

    readme = (REPOSITORY / "README.md").read_text()
    first = {name.split()[0] for name in NAMES}
    named = set(re.findall(r"(?:^|[`(\s])devenv ([a-z][a-z-]+)", "\n".join(code_of(readme))))
    assert named - first == set()


def code_of(readme: str) -> list[str]:
    """The lines inside code fences, and inline code."""
    import re

    fenced = re.findall(r"```\w*\n(.*?)```", readme, re.DOTALL)
    inline = re.findall(r"`(devenv [^`]+)`", readme)
    return [line.split("#")[0] for block in fenced for line in block.splitlines()] + inline


def test_help_needs_no_heavy_library(folder: Path) -> None:
    code = (
        "import sys; from devenv.cli.app import main\n"
        "try: main(['up', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'boto3', 'botocore', 'psycopg', 'docker', 'fastapi'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, env=ProjectDir(folder).environment()
    )
    assert ran.stdout.splitlines()[-1] == "[]", ran.stdout + ran.stderr


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["snapshot", "--help"]])
def test_what_only_lists_commands_needs_no_library_of_a_stack(words: list[str], folder: Path) -> None:
    code = (
        "import sys; from devenv.cli.app import main\n"
        f"try: main({words})\n"
        "except SystemExit: pass\n"
        "print(sorted({'psutil', 'tomllib', 'hashlib', 'http', 'importlib.metadata'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, env=ProjectDir(folder).environment()
    )
    assert ran.stdout.splitlines()[-1] == "[]", ran.stdout + ran.stderr


def test_env_needs_no_client_of_a_store(folder: Path) -> None:
    code = (
        "import sys; from devenv.cli.app import main\n"
        "try: main(['env'])\n"
        "except SystemExit: pass\n"
        "print('devenv.engines.project' in sys.modules, sorted({'psycopg', 'ssl', 'http.client'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, env=ProjectDir(folder).environment()
    )
    assert ran.stdout.splitlines()[-1] == "True []", ran.stdout + ran.stderr


@pytest.mark.parametrize("words", [["status"], ["up", "--dry-run"]])
def test_steps_of_stopped_stores_need_no_driver_of_postgres(words: list[str], folder: Path) -> None:
    code = (
        "import sys; from devenv.cli.app import main\n"
        f"try: main({words})\n"
        "except SystemExit: pass\n"
        "print('devenv.steps.registry' in sys.modules, 'psycopg' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, env=ProjectDir(folder).environment()
    )
    assert ran.stdout.splitlines()[-1] == "True False", ran.stdout + ran.stderr


def test_the_list_of_commands_has_all_of_them_with_their_words(folder: Path) -> None:
    ran = subprocess.run([sys.executable, "-m", "devenv", "--help"], capture_output=True, text=True, cwd=folder)
    shown = " ".join(ran.stdout.split())
    for commands in REGISTERED.values():
        for words, command in commands:
            if " " not in words:
                beginning = " ".join((command.__doc__ or "").split()[:3])
                assert f"{words} {beginning}" in shown
    assert all(f"{group} {text}" in shown for group, text in GROUPS.items())


def test_debug_shows_where_it_failed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "devenv", "status", "--debug"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
