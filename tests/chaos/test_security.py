"""Nobody is let in: from other accounts, from a cloned folder, through names and values that are typed or seeded.

Elsewhere: CORS and the bind of DynamoDB Local in tests/integration/test_dynamodb_local.py, hostile archives in
tests/e2e/test_snapshot_archive.py, terminal escapes in tests/e2e/test_terminal.py.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest

from devenv.config.load import data_home
from tests.chaos.scenario import count, footprint, home, told, untruths
from tests.e2e import world
from tests.support import ProjectDir

STRANGER = 65_533
MAIN = ("conversation", world.TELESCOPE)
# Every command that only reads: by the contract it runs nothing of the project's own.
READING = [
    ("status",),
    ("ps",),
    ("logs",),
    ("config", "show"),
    ("config", "check"),
    ("env",),
    ("db", "SELECT 1"),
    ("ddb", "list-tables"),
    ("ddb", "scan", world.TABLE),
    ("verify",),
    ("doctor",),
    ("snapshot", "list"),
    ("patterns", "list"),
    ("patterns", "check"),
    ("patterns", "matrix"),
    ("policy",),
    ("up", "--dry-run"),
]


@pytest.fixture(scope="module")
def whole(shared: ProjectDir) -> ProjectDir:
    """The project with its application."""
    told(shared, "up")
    return shared


def processes_of(project: ProjectDir) -> list[psutil.Process]:
    """Every process of the project, and their children."""
    found = [psutil.Process(pid) for pid in world.pids(project).values() if pid]
    return found + [child for each in found for child in each.children(recursive=True)]


def test_every_listener_of_every_process_is_on_loopback(whole: ProjectDir) -> None:
    sockets = [seen for each in processes_of(whole) for seen in each.net_connections("inet") if not seen.raddr]
    assert {seen.laddr.ip for seen in sockets} == {"127.0.0.1"}
    assert len({seen.laddr.port for seen in sockets}) == 3
    # What the kernel gives as the address of a Unix socket would be open to whom its file is.
    assert [seen.laddr for each in processes_of(whole) for seen in each.net_connections("unix") if seen.laddr] == []


def test_files_are_their_owners_alone(whole: ProjectDir) -> None:
    told(whole, "snapshot", "save", "modes")
    made = {name: whole.path / name for name in ("plan", "findings", "out", "page", "lines", "bundle")}
    told(whole, "verify", "--plan", str(made["plan"]), "--findings", str(made["findings"]))
    told(whole, "snapshot", "export", "modes", str(made["out"]))
    told(whole, "trace", *MAIN, "--html", str(made["page"]), "--otlp", str(made["lines"]))
    told(whole, "doctor", "--bundle", str(made["bundle"]), codes=(0, 1))
    top = [whole.path / ".devstate", home(whole)]
    paths = [*top, *made.values(), *(path for folder in top for path in folder.glob("*"))]
    assert [path for path in paths if path.lstat().st_mode & 0o077] == []
    count("files whose mode was looked at", len(paths))


@pytest.mark.long
def test_no_secret_is_in_any_output_log_file_or_process_list(whole: ProjectDir) -> None:
    kept = json.loads((home(whole) / "secrets.json").read_text())
    url = whole.env()["DATABASE_URL"]
    secrets = {*kept.values(), url.split("@")[0].rpartition(":")[2]}
    assert len(secrets) >= 2
    assert min(map(len, secrets)) > 20
    page, lines, bundle = (str(whole.path / name) for name in ("page", "lines", "bundle"))
    commands = [words for words in READING if words[0] != "env"]
    commands += [("up", "--timings"), ("trace", *MAIN, "--html", page, "--otlp", lines, "--show-payloads")]
    commands += [("doctor", "--bundle", bundle), ("db", "SELECT * FROM nowhere"), ("ddb", "sql", "nonsense")]
    for words in commands:
        for form in ((), ("--json", "-v")):
            ran = whole.devenv(*words, *form)
            assert [secret for secret in secrets if secret in ran.all] == [], words
    files = [Path(page), Path(lines), Path(bundle), *(whole.path / ".devstate" / "logs").iterdir()]
    files += [whole.path / ".devstate" / "state.json", whole.path / ".devstate" / "lock.json"]
    for file in files:
        assert [secret for secret in secrets if secret in file.read_text(errors="replace")] == [], file
    for each in psutil.process_iter(["cmdline"]):
        assert [secret for secret in secrets if secret in " ".join(each.info["cmdline"] or ())] == [], each
    for name in ("postgres", "dynamodb"):
        environment = psutil.Process(world.pids(whole)[name]).environ()
        assert [secret for secret in secrets if secret in str(environment)] == [], name


@contextmanager
def stranger() -> Iterator[None]:
    """As another local account, if this one may become another."""
    if os.geteuid() != 0:
        yield
        return
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(STRANGER)
    os.seteuid(STRANGER)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def test_another_account_reads_no_file_and_gets_no_connection(whole: ProjectDir) -> None:
    env = whole.env()
    url = f"host=127.0.0.1 port={env['PGPORT']} dbname={env['PGDATABASE']} connect_timeout=10"
    private = [whole.path / ".devstate" / "state.json", home(whole) / "secrets.json", home(whole) / "ledger.sqlite"]
    private += [home(whole) / "postgres" / "PG_VERSION", home(whole) / "dynamodb" / "shared-local-instance.db"]
    assert all(file.exists() for file in private)
    with stranger():
        for file in private:
            if os.geteuid() == STRANGER:
                with pytest.raises(PermissionError):
                    file.read_bytes()
        for user in (env["PGUSER"], "devenv_reader", "nobody", "root"):
            for password in ("", "postgres", "devenv"):
                with pytest.raises(psycopg.OperationalError, match=r"authentication failed|no password supplied"):
                    psycopg.connect(f"{url} user={user}", password=password)
        # There is no authentication in DynamoDB Local, which README says: the port is open to this machine.
        with socket.create_connection(("127.0.0.1", int(env["AWS_ENDPOINT_URL_DYNAMODB"].rpartition(":")[2])), 10):
            pass
    count("attempts of another account", len(private) + 12)


ESCAPES = [
    "../outside",
    "..",
    "/etc/passwd",
    "a/../../outside",
    ".hidden",
    "-x/../..",
    "x" * 64,
    "a\nb",
    "~root",
    "$HOME",
]


@pytest.mark.long
@pytest.mark.parametrize(
    "words",
    [
        ("snapshot", "save"),
        ("snapshot", "restore"),
        ("snapshot", "delete"),
        ("snapshot", "export"),
        ("snapshot", "import"),
        ("logs",),
        ("ddb", "scan"),
        ("patterns", "run"),
        ("doctor", "--only"),
        ("up", "--force"),
    ],
    ids=" ".join,
)
def test_no_name_leads_out_of_the_project(whole: ProjectDir, words: tuple[str, ...], tmp_path: Path) -> None:
    outside = whole.path.parent / "outside"
    outside.write_text("mine")
    told(whole, "snapshot", "save", "good") if not (home(whole) / "snapshots" / "good").exists() else None
    file = str(whole.path / "good-out")
    if words[1:] == ("import",) and not Path(file).exists():
        told(whole, "snapshot", "export", "good", file)
    before, seen = footprint(whole.path.parent).processes, set(whole.path.parent.iterdir())
    for name in ESCAPES:
        behind = {"export": (str(tmp_path / "out"),)}.get(words[-1], ())
        asked = (*words, file, f"--as={name}") if words[-1] == "import" else (*words, "--", name, *behind)
        if words[-1] in ("--only", "--force"):
            asked = (*words[:-1], f"{words[-1]}={name}")
        ran = whole.devenv(*asked, "--json") if "--" not in asked else whole.devenv("--json", *asked)
        assert untruths(whole, list(words), ran) == [], (asked, ran.all)
        assert ran.code in (1, 2), (asked, ran.all)
        count("names that lead elsewhere")
    assert outside.read_text() == "mine"
    assert set(whole.path.parent.iterdir()) == seen
    assert footprint(whole.path.parent).processes == before


@pytest.mark.long
def test_no_name_of_a_table_leads_out_of_the_project(lone: ProjectDir) -> None:
    """Names that DynamoDB takes (`...`, `a..b`) become tables and nothing else; the others are refused, and named."""
    told(lone, "up", "--no-backend")
    expected = {table.name for table in world.dynamodb(lone).tables.all()}
    seen = set(lone.path.parent.iterdir())
    file = lone.path / "seeds" / "dynamodb" / "tables" / "more.json"
    schema = json.loads((lone.path / "seeds" / "dynamodb" / "tables" / f"{world.TABLE}.json").read_text())
    for name in [*ESCAPES, "...", "a..b"]:
        file.write_text(json.dumps({**schema, "TableName": name}))
        if re.fullmatch(r"[a-zA-Z0-9_.-]{3,255}", name):
            told(lone, "up", "--no-backend")
            expected.add(name)
        else:
            assert "more.json" in json.dumps(told(lone, "up", "--no-backend", codes=(2, 8))["error"]), name
        count("names that lead elsewhere")
    told(lone, "snapshot", "save", "dots")
    told(lone, "reset", "-y")
    told(lone, "snapshot", "restore", "dots")
    assert {table.name for table in world.dynamodb(lone).tables.all()} == expected
    assert set(lone.path.parent.iterdir()) == seen


INJECTIONS = [
    "x' OR '1'='1",
    "'; DROP TABLE users; --",
    '"; DELETE FROM users; --',
    "ines'; UPDATE users SET handle = 'x' --",
    "%(person.uuid)s",
    "{person.uuid}",
    "${users[handle=ines].uuid}",
    "$$; DROP TABLE users; $$",
    "\\'; DROP TABLE users; --",
    "ines\u0000",
]
ASKED: list[Callable[[str], tuple[str, ...]]] = [
    lambda text: ("trace", *MAIN, "--user", text),
    lambda text: ("trace", "conversation", "--", text),
    lambda text: ("trace", "conversations", "--user", text),
    lambda text: ("ddb", "scan", "--", text),
]


@pytest.mark.long
@pytest.mark.parametrize("asked", ASKED, ids=["user", "uuid", "list", "table"])
def test_no_value_is_taken_for_sql_or_an_expression(whole: ProjectDir, asked: Callable[[str], tuple[str, ...]]) -> None:
    before = world.data(whole)
    for text in INJECTIONS[:-1]:
        ran = whole.devenv("--json", *asked(text))
        assert untruths(whole, [asked(text)[0]], ran) == [], (text, ran.all)
        assert ran.code in (1, 2), (text, ran.all)
        count("values that are SQL or expressions")
    assert world.data(whole) == before


@pytest.mark.long
def test_no_value_in_a_seed_is_taken_for_sql_or_an_expression(lone: ProjectDir) -> None:
    """In items they are stored as they are; as what a reference asks for they name no row."""
    told(lone, "up", "--no-backend")
    before = world.sql(lone, "SELECT handle, uuid FROM users ORDER BY 1")
    texts = [text for text in INJECTIONS if "${" not in text]
    items = [{"pk": f"X#{number}", "sk": text, "text": text, text: text} for number, text in enumerate(texts)]
    file = lone.path / "seeds" / "dynamodb" / "items" / "more.json"
    file.write_text(json.dumps({"table": world.TABLE, "items": items[:-1]}))
    told(lone, "up", "--no-backend")
    stored = [item for item in world.items(lone) if item["pk"].startswith("X#")]
    assert sorted(stored, key=lambda item: item["pk"]) == items[:-1]
    for text in ("x' OR '1'='1", "'; DROP TABLE users; --"):
        file.write_text(
            json.dumps({"table": world.TABLE, "items": [{"pk": f"${{users[handle={text}].uuid}}", "sk": "a"}]})
        )
        told(lone, "up", "--no-backend", codes=(2, 8))
    assert world.sql(lone, "SELECT handle, uuid FROM users ORDER BY 1") == before
    count("values that are SQL or expressions", 2 * len(texts) + 2)


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO PROGRAM 'touch {canary}'",
        "COPY (SELECT 1) TO '{canary}'",
        "DO $$ BEGIN EXECUTE 'RESET ROLE'; EXECUTE 'COPY (SELECT 1) TO PROGRAM ''touch {canary}'''; END $$",
        "SELECT set_config('role', 'postgres', false), query_to_xml('SELECT 1', true, true, '')",
        "SELECT set_config('session_authorization', 'postgres', false)",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT lo_export(1, '{canary}')",
        "SELECT set_config('transaction_read_only', 'off', false), nextval('{canary}')",
        "WITH gone AS (DELETE FROM users RETURNING 1) SELECT count(*) FROM gone",
        "EXPLAIN ANALYZE DELETE FROM users",
        "CREATE TEMP TABLE x (a int)",
        "ALTER SYSTEM SET log_statement = 'all'",
        "SELECT 1; DELETE FROM users",
        "COMMIT; DELETE FROM users",
    ],
)
def test_reading_sql_changes_nothing_and_runs_nothing(whole: ProjectDir, statement: str) -> None:
    folder = data_home(whole.path.resolve())
    canary = folder / "postgres" / "canary"
    ran = whole.devenv("db", statement.replace("{canary}", str(canary)), "--json")
    assert untruths(whole, ["db"], ran) == []
    assert ran.code in (1, 2), ran.all
    assert not canary.exists()
    assert world.sql(whole, "SELECT count(*) FROM users") == [(6,)]
    count("reading statements that want to change something")


HOSTILE = """
[project]
name = "hostile"
[postgres]
source = "system"
[dynamodb]
local = "{folder}"
[backend]
command = ["{run}"]
python = "{run}"
[steps.setup]
command = ["{run}"]
[steps.schema-load]
command = ["{run}"]
[steps.seed]
command = ["{run}"]
[person]
table = "users"
id = "uuid"
name = "handle"
[token]
command = ["{run}"]
[patterns.one]
table = "t"
key = {{ pk = "x" }}
script = ["{run}"]
[trace.thing]
pattern = "one"
[trace.thing.library]
command = ["{run}"]
[trace.other.library]
function = "canary:touch"
[env]
APP_START = "{run}"
"""


@dataclass(frozen=True)
class Installed(ProjectDir):
    """The command as it is installed: `python -m devenv` would itself look for modules in the working folder."""

    def command(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).with_name("devenv")), "--project", str(self.path), *arguments]


@pytest.mark.long
def test_a_cloned_folder_runs_nothing_when_it_is_only_looked_at(tmp_path: Path) -> None:
    """Every place of a program in devenv.toml, and modules with names that Python might look for, leave a mark."""
    folder = tmp_path / "clone"
    folder.mkdir()
    canary = tmp_path / "canary"
    run = folder / "run"
    run.write_text(f"#!/bin/sh\necho $0 >> {canary}\n")
    run.chmod(0o755)
    for name in ("python", "java", "initdb", "postgres", "psql", "git", "npm"):
        (folder / name).symlink_to(run)
    for module in ("canary", "sitecustomize", "usercustomize", "psycopg", "boto3", "json", "devenv_plugin", "conftest"):
        (folder / f"{module}.py").write_text(f"open({str(canary)!r}, 'a').write(__file__)\ndef touch(): pass\n")
    (folder / "devenv.toml").write_text(HOSTILE.format(folder=folder, run=run))
    project = Installed(folder)
    written = set(folder.iterdir())
    assert project.devenv("status").code == project.devenv("config", "show").code == 0, "the file is accepted"
    for words in READING:
        ran = project.devenv(*words, "--json")
        assert "Traceback" not in ran.err
        assert "devenv itself failed" not in ran.all, (words, ran.all)
        assert not canary.exists(), (words, canary.read_text())
        left = set(folder.iterdir()) - written
        assert left == ({folder / ".devstate"} if words[0] == "env" or (folder / ".devstate") in left else set()), words
        count("looks at a hostile folder")
    order = [words[0] for words in READING]
    assert order.index("env") > order.index("status")
    ran = project.devenv("run", "--", str(run))
    assert canary.exists(), "the canary sings when it is let"
    project.remove()
