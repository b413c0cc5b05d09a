"""A service's name stands in its own modules, and elsewhere only for a reason that is given here."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import devenv

HOUSE = Path(devenv.__file__).parent
NAMES = ("postgres", "dynamodb")
# The constants of core/model.py, which stand for them.
CONSTANTS = frozenset(["POSTGRES", "DYNAMODB"])
# A reason -> modules. One that names no store any more has to go from here.
REASONS: Mapping[str, tuple[str, ...]] = {
    "where the two names are given: their order, their titles, their probes": (
        "core/model.py", "config/services.py", "engines/services.py",
    ),
    "the names of the sections `[postgres]` and `[dynamodb]`": (
        "config/parse.py", "config/schema_docs.py", "init/draft.py", "init/minimal.py", "init/other_services.py",
        "init/second_stores.py",
    ),
    "a key of `ids` in a trace, which says where an id stands": (
        "config/references.py", "config/trace.py", "init/draft_trace.py", "trace/answers.py",
    ),
    "`[external] postgres` and `dynamodb`: two settings, each a URL of another kind": (
        "engines/external/addresses.py", "engines/external/engine.py",
    ),
    "the default name of Postgres's superuser and of its first database": (
        "config/schema.py", "init/databases.py", "engines/external/marks.py", "steps/setup/rights.py",
        "steps/setup/setup.py",
    ),
    "the name of PostgreSQL's program, by which its process is known, or of its account": (
        "engines/embedded/pristine.py", "host/processes.py", "lifecycle/projects.py", "snapshots/foreign_catalog.py",
        "testing/reaper.py",
    ),
    "the name of an AWS service in an SDK's call, a host, an event or a template": (
        "aws/account.py", "capture/runner.py", "doctor/checks/addresses.py", "doctor/checks/surroundings.py",
        "init/functions.py", "init/variables.py", "services/streams/look.py", "services/streams/loops.py",
        "services/streams/removed.py", "services/streams/worker.py", "trace/replay.py",
    ),
    "a word that code which uses the store contains": (
        "init/code.py", "init/javascript_code.py", "init/javascript_variables.py", "init/shell_items.py",
        "init/table_files.py",
    ),
    "the scheme of a URL, postgres://": ("doctor/checks/protection.py",),
    "a layer of a trace has the name of its store; its faults, its judge and its report use that name": (
        "links/faults.py", "render/trace_view.py", "trace/judge/environment.py", "trace/judge/fault.py",
        "trace/judge/identity.py", "trace/judge/verdict.py", "trace/layers/cross_store.py",
        "trace/layers/environment.py", "trace/layers/rewritten.py", "trace/layers/services.py",
        "trace/layers/stream.py", "trace/request_writes.py",
    ),
    "a layer of a trace reads the result of another layer, by that layer's name": (
        "trace/layer.py", "trace/layers/cache.py", "trace/layers/http.py", "trace/layers/pattern.py", "trace/run.py",
    ),
    "a layer of a trace is judged differently, or not at all, after a failure of the layer with this name": (
        "trace/judge/http.py", "trace/judge/library.py", "trace/judge/pattern.py", "trace/judge/running.py",
    ),
    "a trace's write is found and taken back as an item or as a row": (
        "trace/action/data.py", "trace/action/judge.py", "trace/action/run.py",
    ),
    "a disturbed store is a proxy of its own protocol": ("trace/stress/run.py",),
    "the store of a recorded call: where it is set, or kept as it was sent by a process": (
        "capture/calls.py", "capture/requests.py", "capture/tap/records.py", "capture/tap/server.py",
        "patterns/command.py", "patterns/declared.py", "render/trace_written.py", "steps/command.py",
        "trace/layers/library.py", "trace/stress/blame.py", "trace/stress/parts.py",
    ),
    "OpenTelemetry's name of the database's kind": ("render/requests_otlp.py",),
    "the two halves of the data page's JSON": ("ui/data_page.py",),
    "a snapshot has one part of each store, made and put back in that store's own way": (
        "snapshots/baseline.py", "snapshots/cleanup.py", "snapshots/command.py", "snapshots/databases.py",
        "snapshots/diff.py", "snapshots/item_backup.py", "snapshots/manifest.py", "snapshots/restore.py",
        "snapshots/save.py", "snapshots/sides.py", "testing/scratch.py",
    ),
    "`down` drops the databases of old snapshots while Postgres runs": ("lifecycle/down.py",),
    "code that needs a store gets it from here": ("stack.py",),
    "a check that is about one store, by its title": (
        "doctor/checks/declared.py", "doctor/checks/environment.py", "doctor/checks/services.py",
    ),
    "DynamoDB Local's data folder, whose rights a check looks at": ("doctor/gather.py",),
    "8000 is the default port of DynamoDB Local and of many web servers": ("lifecycle/old_addresses.py",),
    "the port that is shown as the tap's if there is no application": ("lifecycle/tap.py",),
    "the needs of a step: setup fills Postgres, schema-load DynamoDB, seed both": (
        "steps/registry.py", "lifecycle/up.py",
    ),
    "a service's name, port or file inside the compose file": (
        "engines/docker/containers.py", "engines/docker/engine.py", "engines/docker/inspect.py",
        "engines/docker/project.py",
    ),
    "the address of Postgres has a user and a database in it": ("engines/project.py",),
    "completion in a shell must import little; each store gives it other words": (
        "cli/complete.py", "cli/completion.py",
    ),
}  # fmt: skip


def names_in(text: str) -> Iterator[int]:
    """The lines that have a service's name as a text of its own, outside of docstrings, or import it as a constant."""
    tree = ast.parse(text)
    blocks = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    first = [node.body[0] for node in ast.walk(tree) if isinstance(node, blocks) and node.body]
    documents = {id(each.value) for each in first if isinstance(each, ast.Expr)}
    for node in ast.walk(tree):
        if (isinstance(node, ast.Constant) and node.value in NAMES and id(node) not in documents) or (
            isinstance(node, ast.ImportFrom) and CONSTANTS & {each.name for each in node.names}
        ):
            yield node.lineno


def is_own(path: Path) -> bool:
    """Return True for a module or package of one service, by its name, and for the reference application."""
    return path.parts[0] == "example" or any(part.startswith(NAMES) for part in path.parts)


def test_a_name_is_found() -> None:
    assert list(names_in("from devenv.core.model import BACKEND, POSTGRES\n")) == [1]
    assert list(names_in('"""postgres"""\nx = "postgres"\ny = "postgres_url"\nf(name="dynamodb")\n')) == [2, 4]
    assert is_own(Path("stores/postgres/client.py"))
    assert is_own(Path("engines/embedded/dynamodb_store.py"))
    assert not is_own(Path("engines/embedded/engine.py"))


def test_no_other_module_names_a_service() -> None:
    named = {
        str(path.relative_to(HOUSE))
        for path in HOUSE.rglob("*.py")
        if not is_own(path.relative_to(HOUSE)) and any(names_in(path.read_text("utf-8")))
    }
    places = [place for each in REASONS.values() for place in each]
    assert sorted(places) == sorted(set(places)), "one reason is enough"
    assert named - set(places) == set(), "ask the service, or give a reason above"
    assert set(places) - named == set(), "no reason is needed any more"


def test_engines_ask_their_stores() -> None:
    """What is done with a store on this machine is the store's matter, and a process is a process."""
    for name in ("engines/embedded/engine.py", "engines/process.py", "engines/own.py", "engines/wait.py"):
        assert list(names_in((HOUSE / name).read_text("utf-8"))) == [], name
