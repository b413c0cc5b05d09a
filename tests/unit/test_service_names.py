"""A service's name stands in its own modules, and elsewhere only for a reason that is given here."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import devenv

HOUSE = Path(devenv.__file__).parent
NAMES = ("postgres", "dynamodb")
# A reason -> files, or packages with a slash at their end. A file that has no such word any more has to go from here.
REASONS: Mapping[str, tuple[str, ...]] = {
    "where the two names are given: their order, their titles, their probes": (
        "core/model.py", "engines/services.py",
    ),
    "the names of the sections `[postgres]` and `[dynamodb]`": (
        "config/parse.py", "config/schema_docs.py", "init/draft.py", "init/minimal.py",
    ),
    "a key of `ids` in a trace, which says where an id stands": (
        "config/references.py", "config/trace.py", "init/draft_trace.py", "trace/answers.py",
    ),
    "`[external] postgres` and `dynamodb`: two settings, each a URL of another kind": (
        "stack.py", "engines/external/addresses.py", "engines/external/engine.py",
    ),
    "the default name of Postgres's superuser and of its first database": (
        "config/schema.py", "init/survey.py", "engines/external/marks.py", "steps/setup/rights.py",
        "steps/setup/setup.py",
    ),
    "the name of PostgreSQL's program, by which its process is known, or of its account": (
        "engines/embedded/pristine.py", "host/processes.py", "lifecycle/projects.py", "testing/reaper.py",
    ),
    "the name of an AWS service in an SDK's call, a host, an event or a template": (
        "aws/", "services/streams/", "init/functions.py", "init/variables.py", "doctor/checks/addresses.py",
        "doctor/checks/surroundings.py", "trace/replay.py",
    ),
    "a word that code which uses the store contains": ("init/code.py", "init/javascript_code.py"),
    "the scheme of a URL, postgres://": ("doctor/checks/protection.py",),
    "a layer of a trace has the name of the store that it is about, and other layers need or follow it": (
        "trace/judge/", "trace/layer.py", "trace/layers/", "trace/request_writes.py", "trace/run.py", "links/faults.py",
        "render/trace_view.py",
    ),
    "a trace's write is sent, found and taken back in each store's own way": ("trace/action/",),
    "a disturbed store is a proxy of its own protocol": ("trace/stress/",),
    "a subject's handles are rows, its ids are items: which of both stores must run": ("trace/subjects.py",),
    "the store of a recorded call: SQL or a DynamoDB operation, read and shown by its own rules": (
        "capture/", "patterns/declared.py", "patterns/scripts.py",
    ),
    "OpenTelemetry's name of the database's kind": ("render/requests_otlp.py",),
    "only DynamoDB's writes say how many items they hold": ("render/trace_written.py",),
    "the two halves of the data page's JSON": ("ui/data_page.py",),
    "a snapshot has one part of each store, made and put back in that store's own way": (
        "snapshots/", "testing/scratch.py",
    ),
    "`down` keeps Postgres's cluster as a snapshot, and tidies up in it while it runs": ("lifecycle/down.py",),
    "SQL needs Postgres, PartiQL and keys need DynamoDB: the command says so when that does not run": (
        "cli/run.py", "query/catalog.py", "query/queries.py", "ui/rows.py", "patterns/command.py",
    ),
    "a check that is about one store, by its title": (
        "doctor/checks/declared.py", "doctor/checks/environment.py", "doctor/checks/services.py",
    ),
    "DynamoDB Local's data folder, whose rights a check looks at": ("doctor/gather.py",),
    "8000, DynamoDB Local's port, is many a web server's, too": ("lifecycle/old_addresses.py",),
    "the needs of a step: setup fills Postgres, schema-load DynamoDB, seed both": (
        "steps/registry.py", "lifecycle/up.py",
    ),
    "which variable gives a step's program the address of which store": ("steps/command.py",),
    "a service's name, port or file inside the compose file": ("engines/docker/",),
    "the address of Postgres has a user and a database in it": ("engines/project.py",),
    "TAB in a shell must not import more, and asks each store for other words": (
        "cli/complete.py", "cli/completion.py",
    ),
}  # fmt: skip


def literals(text: str) -> Iterator[int]:
    """The lines that have a service's name as a text of its own, outside of docstrings."""
    tree = ast.parse(text)
    blocks = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    first = [node.body[0] for node in ast.walk(tree) if isinstance(node, blocks) and node.body]
    documents = {id(each.value) for each in first if isinstance(each, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in NAMES and id(node) not in documents:
            yield node.lineno


def is_own(path: Path) -> bool:
    """Return True for a module or package of one service, by its name, and for the reference application."""
    return path.parts[0] == "example" or any(part.startswith(NAMES) for part in path.parts)


def test_a_name_is_found() -> None:
    assert list(literals('"""postgres"""\nx = "postgres"\ny = "postgres_url"\nf(name="dynamodb")\n')) == [2, 4]
    assert is_own(Path("stores/postgres/client.py"))
    assert is_own(Path("engines/embedded/dynamodb_store.py"))
    assert not is_own(Path("engines/embedded/engine.py"))


def test_no_other_module_names_a_service() -> None:
    named = {
        str(path.relative_to(HOUSE))
        for path in HOUSE.rglob("*.py")
        if not is_own(path.relative_to(HOUSE)) and any(literals(path.read_text("utf-8")))
    }
    places = [place for each in REASONS.values() for place in each]
    assert {name for name in named if not any(name == place or name.startswith(place) for place in places)} == set()
    unused = {place for place in places if not any(name == place or name.startswith(place) for name in named)}
    assert unused == set(), "no reason is needed any more"


def test_engines_ask_their_stores() -> None:
    """What is done with a store on this machine is the store's matter, and a process is a process."""
    for name in ("engines/embedded/engine.py", "engines/process.py", "engines/own.py", "engines/wait.py"):
        assert list(literals((HOUSE / name).read_text("utf-8"))) == [], name
