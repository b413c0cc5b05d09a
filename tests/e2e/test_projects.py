"""Projects that know nothing of devenv: from `devenv init --yes` to a useful trace as printed; then faults in them.

`measure` is the whole path, with its time; each fault must be named first.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import REPOSITORY, ProjectDir

PROJECTS = REPOSITORY / "tests" / "projects"
LAYERS = ["environment", "services", "postgres", "dynamodb", "cross-store", "pattern", "library", "http"]
FIVE_MINUTES = 300.0
INSTALL_S = 240.0
NOBODY = "00000000-0000-4000-8000-000000000000"


@dataclass
class Measured:
    """A project after the path of a newcomer: the lines that `init` printed, and how long all of it took."""

    project: ProjectDir
    lines: list[str]
    seconds: float

    def trace(self, subject: str, *more: str) -> dict[str, Any]:
        """The report of the printed line for a subject."""
        line = next(line for line in self.lines if line.startswith(f"devenv trace {subject} "))
        return self.project.json(*line.split()[1:], *more)


NPM = [["npm", "install", "--no-audit", "--no-fund", "--silent"]]
UV = [sys.executable, "-m", "uv"]
# Named, as `python -m uv` would take the environment that runs the tests.
INTO = ["--python", ".venv/bin/python", "-r", "requirements.txt"]
PIP = [[*UV, "venv", "--quiet", ".venv"], [*UV, "pip", "install", "--quiet", *INTO]]
# Debian's packages lie there. What is compiled once is kept by Go itself.
GO = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode"}
PACKAGES = {"express": NPM, "typescript": NPM, "flask": PIP, "fastapi": PIP, "go": [["go", "build", "-o", os.devnull]]}


def measure(path: Path, packages: list[list[str]]) -> Measured:
    """Install the project's own packages, then run `init --yes` and every line that it prints. Nothing is edited."""
    made = ProjectDir(path)
    for command in packages:
        subprocess.run(command, cwd=path, check=True, capture_output=True, timeout=INSTALL_S, env=dict(os.environ))
    began = time.monotonic()
    lines = made.json("init", "--yes")["lines"]
    for line in lines:
        made.ok(*line.split()[1:])
    return Measured(made, lines, time.monotonic() - began)


class Bench:
    """One project of tests/projects at a time: it is measured once for all tests in a row that want it."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self.factory = factory
        self.name = ""
        self.stack = contextlib.ExitStack()

    def get(self, name: str) -> Measured:
        if name != self.name:
            self.stack.close()
            self.name = ""
            self.measured = self.stack.enter_context(self.begin(name))
            self.name = name
        return self.measured

    @contextlib.contextmanager
    def begin(self, name: str) -> Iterator[Measured]:
        path = self.factory.mktemp("projects") / name
        shutil.copytree(PROJECTS / name, path, ignore=shutil.ignore_patterns("node_modules"))
        with pytest.MonkeyPatch.context() as environ:
            for variable, value in GO.items() if name == "go" else ():
                environ.setenv(variable, value)
            try:
                yield measure(path, PACKAGES[name])
            finally:
                ProjectDir(path).remove()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory)
    with contextlib.closing(made.stack):
        yield made


@pytest.fixture
def measured(request: pytest.FixtureRequest, bench: Bench) -> Measured:
    """A project of tests/projects, by the name of its folder. A fixture with parameters is made anew for each case."""
    return bench.get(str(request.param))


@pytest.mark.needs_npm
@pytest.mark.parametrize(
    ("measured", "counts"),
    [
        ("express", {"notes": 4, "rooms": 1}),
        ("typescript", {"bookings": 3}),
        ("flask", {"entries": 3}),
        ("fastapi", {"loans": 3}),
        pytest.param("go", {"sightings": 4}, marks=pytest.mark.needs_go),
    ],
    indirect=["measured"],
)
def test_it_is_traced_through_eight_layers_without_an_edit(measured: Measured, counts: dict[str, int]) -> None:
    assert measured.seconds < FIVE_MINUTES
    assert measured.lines[:2] == ["devenv up", "devenv doctor"]
    assert [line.split()[2] for line in measured.lines[2:]] == list(counts)
    for subject, count in counts.items():
        report = measured.trace(subject)
        assert report["verdict"]["status"] == "ok"
        assert [(layer["name"], layer["status"]) for layer in report["layers"]] == [(name, "ok") for name in LAYERS]
        assert [layer["observed_count"] for layer in report["layers"][5:]] == [count] * 3


def in_file(name: str, old: str, new: str) -> Callable[[Measured], Callable[[], None]]:
    """A fault: another text in a file, and the application started again."""

    def plant(measured: Measured) -> Callable[[], None]:
        file = measured.project.path / name
        kept = file.read_text()
        assert old in kept
        file.write_text(kept.replace(old, new, 1))
        again(measured)

        def heal() -> None:
            file.write_text(kept)
            again(measured)

        return heal

    return plant


def another_uuid(table: str, handle: str, column: str = "id") -> Callable[[Measured], Callable[[], None]]:
    """A fault: a person's row has another id than the items."""

    def plant(measured: Measured) -> Callable[[], None]:
        asked = f"select {column} from {table} where handle = '{handle}'"
        real = measured.project.json("db", asked)["rows"][0][0]

        def set_to(value: str) -> None:
            words = f"update {table} set {column} = '{value}' where handle = '{handle}'"
            measured.project.ok("db", "--write", words)

        set_to(NOBODY)
        return lambda: set_to(real)

    return plant


def again(measured: Measured) -> None:
    """Restart the application: it reads its files when it starts, and need not come up with a fault."""
    measured.project.devenv("restart", "backend")


NOTES, ROUTES, TOML = "src/notes.js", "src/routes/rooms.js", "devenv.toml"
EXPRESS = {
    "another prefix": (in_file(NOTES, "`ROOM#${roomId}`", "`NOTE#${roomId}`"), ("library", "wrong_query")),
    "only the first page": (
        in_file(NOTES, "ExclusiveStartKey: start,\n    }));", "Limit: 2,\n    }));\n    page.LastEvaluatedKey = null;"),
        ("library", "wrong_query"),
    ),
    "forgets to return": (in_file(NOTES, "return notes.map(", "notes.map("), ("library", "nothing_returned")),
    "reverses": (in_file(NOTES, "return notes.map(", "return notes.reverse().map("), ("library", "reordered")),
    "drops a field": (in_file(NOTES, "text: item.text,", "text: item.body,"), ("library", "field_changed")),
    "loses items": (in_file(NOTES, "return notes.map(", "return notes.slice(1).map("), ("library", "items_lost")),
    "another parameter": (in_file(ROUTES, "listNotes(req.params.roomId)", "listNotes(req.params.id)"), ("http", None)),
    "an error": (
        in_file(ROUTES, "res.json(await listNotes(req.params.roomId))", "throw new Error('out of paper')"),
        ("http", "status"),
    ),
    "another uuid": (another_uuid("readers", "okan"), ("cross-store", "mismatched_id")),
    "a misspelt table": (in_file(TOML, 'ROOMS_TABLE = "rooms"', 'ROOMS_TABLE = "room"'), ("environment", None)),
}
BOOKINGS, MAIN = "src/bookings.ts", "src/main.ts"
TYPESCRIPT = {
    "another prefix": (in_file(BOOKINGS, "`COURT#${courtId}`", "`HALL#${courtId}`"), ("library", "wrong_query")),
    "a limit": (in_file(BOOKINGS, "ScanIndexForward: true", "Limit: 1"), ("library", "wrong_query")),
    "the other direction": (in_file(BOOKINGS, "Forward: true", "Forward: false"), ("library", None)),
    "forgets to return": (in_file(BOOKINGS, "return (answer", "void (answer"), ("library", "nothing_returned")),
    "drops a field": (in_file(BOOKINGS, "note: item.note", "note: item.notes"), ("library", "field_changed")),
    "another field": (in_file(MAIN, "data: await", "date: await"), ("http", None)),
    "another parameter": (in_file(MAIN, "listBookings(req.params.courtId)", "listBookings(req.path)"), ("http", None)),
    "another uuid": (another_uuid("members", "arda"), ("cross-store", "mismatched_id")),
}
JOURNAL, AUTH, APP = "api/journal.py", "api/auth.py", "api/app.py"
FLASK = {
    "another prefix": (in_file(JOURNAL, 'eq(f"PLOT#', 'eq(f"BED#'), ("library", "wrong_query")),
    "only the first page": (
        in_file(JOURNAL, "False}\n    while True:", 'False, "Limit": 2}\n    for _ in "1":'),
        ("library", "wrong_query"),
    ),
    "forgets to return": (in_file(JOURNAL, "    return [\n", "    [\n"), ("library", "nothing_returned")),
    "drops a field": (in_file(JOURNAL, 'item["text"],', 'item.get("body"),'), ("library", "field_changed")),
    "another uuid": (another_uuid("gardeners", "mira", "uuid"), ("cross-store", "mismatched_id")),
    "reads a claim that the token lacks": (in_file(AUTH, 'claims["client_id"]', 'claims["aud"]'), ("http", "status")),
    "looks for the person by another column": (
        in_file("api/db.py", "WHERE cognito_user_id =", "WHERE handle ="),
        ("http", "not_authorised"),
    ),
    "open to everyone": (in_file(APP, "@signed_in\ndef plot", "def plot"), ("http", "open_to_strangers")),
    "another parameter": (in_file(APP, "list_entries(plot_id)", "list_entries(plot_id[1:])"), ("http", None)),
    "a misspelt table": (in_file(TOML, '_TABLE = "journal"', '_TABLE = "jurnal"'), ("environment", None)),
}
STORE, TOOLS = "loans/store.py", "loans/routers/tools.py"
FASTAPI = {
    "another prefix": (in_file(STORE, 'eq(f"TOOL#', 'eq(f"TOOLS#'), ("library", "wrong_query")),
    "only the first page": (
        in_file(
            STORE,
            'True)\n    items = answer["Items"]\n    while "LastEvaluatedKey" in answer:',
            'True, Limit=1)\n    items = answer["Items"]\n    while False:',
        ),
        ("library", "wrong_query"),
    ),
    "reverses": (in_file(STORE, "for item in items\n", "for item in reversed(items)\n"), ("library", "reordered")),
    "drops a field": (in_file(STORE, 'item["note"]}', 'item.get("notes")}'), ("library", "field_changed")),
    "loses items": (in_file(STORE, "for item in items\n", "for item in items[1:]\n"), ("library", "items_lost")),
    "another name in the answer": (in_file(TOOLS, '{"loans":', '{"data":'), ("http", None)),
    "an error": (in_file(TOOLS, "store.get_loans(", "store.loans("), ("http", "status")),
    "another uuid": (another_uuid("members", "ines"), ("cross-store", "mismatched_id")),
    "a misspelt table": (in_file(TOML, '_TABLE = "loans"', '_TABLE = "loan"'), ("environment", None)),
}
LOG, API = "store.go", "api.go"
GOLANG = {
    "another prefix": (in_file(LOG, 'Value: "SITE#"', 'Value: "PLACE#"'), ("library", "wrong_query")),
    "only the first page": (
        in_file(
            LOG,
            "(false),\n\t})\n\tsightings := []Sighting{}\n\tfor pages.HasMorePages() {",
            "(false),\n\t\tLimit: aws.Int32(2),\n\t})\n\tsightings := []Sighting{}\n\tfor len(sightings) == 0 {",
        ),
        ("library", "wrong_query"),
    ),
    "the other direction": (
        in_file(LOG, "Forward: aws.Bool(false)", "Forward: aws.Bool(true)"),
        ("library", None),
    ),
    "forgets to return": (
        in_file(LOG, "return sightings, nil", "return nil, nil"),
        ("library", "nothing_returned"),
    ),
    "drops a field": (in_file(LOG, 'json:"note"', 'json:"text"'), ("library", "field_changed")),
    "loses items": (in_file(LOG, "return sightings,", "return sightings[1:],"), ("library", "items_lost")),
    "another name in the answer": (in_file(API, '{"sightings": list}', '{"data": list}'), ("http", None)),
    "another parameter": (in_file(API, "(r.Context(), siteID)", "(r.Context(), r.URL.Path)"), ("http", None)),
    "another status": (
        in_file(API, "http.StatusOK, map[string]interface{}", "http.StatusTeapot, map[string]interface{}"),
        ("http", "status"),
    ),
    "another uuid": (another_uuid("observers", "linnea"), ("cross-store", "mismatched_id")),
    "a misspelt table": (in_file(TOML, '_TABLE = "sightings"', '_TABLE = "sighting"'), ("environment", None)),
}
ALL = {
    "express": ("notes", EXPRESS),
    "typescript": ("bookings", TYPESCRIPT),
    "flask": ("entries", FLASK),
    "fastapi": ("loans", FASTAPI),
    "go": ("sightings", GOLANG),
}
FAULTS = [
    pytest.param(project, subject, *fault, id=f"{project}: {name}", marks=[pytest.mark.needs_go] * (project == "go"))
    for project, (subject, faults) in ALL.items()
    for name, fault in faults.items()
]


@pytest.mark.needs_npm
@pytest.mark.long
@pytest.mark.parametrize(("measured", "subject", "plant", "named"), FAULTS, indirect=["measured"])
def test_faults_are_named_first(
    measured: Measured,
    subject: str,
    plant: Callable[[Measured], Callable[[], None]],
    named: tuple[str, str | None],
) -> None:
    heal = plant(measured)
    try:
        verdict = measured.trace(subject)["verdict"]
        assert (verdict["status"], verdict["layer"]) == ("diverged", named[0]), verdict["summary"]
        assert named[1] in (None, verdict["class"]), verdict["summary"]
    finally:
        heal()
    assert measured.trace(subject)["verdict"]["status"] == "ok"
