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
    "the two services themselves: their names, their order": ("config/services.py", "engines/services.py"),
    "a section, a key or a value of devenv.toml, and what is written there": (
        "config/parse.py", "config/references.py", "config/schema.py", "config/schema_docs.py", "config/trace.py",
        "init/", "stack.py",
    ),
    "a layer of a trace, or the store that one is about": ("trace/", "links/faults.py", "core/model.py"),
    "the store of a recorded call": ("capture/", "render/requests_otlp.py", "render/requests_text.py"),
    "a part of a JSON document": ("render/snapshot_text.py", "render/trace_written.py", "ui/data_page.py"),
    "counted by the store of each call": ("ui/requests_page.py",),
    "a snapshot has one part of each store, made in that store's own way": ("snapshots/", "testing/scratch.py"),
    "it asks one store, and says so when that does not run": (
        "cli/run.py", "query/catalog.py", "query/queries.py", "ui/rows.py", "patterns/command.py",
    ),
    "a check of one store": (
        "doctor/checks/addresses.py", "doctor/checks/declared.py", "doctor/checks/environment.py",
        "doctor/checks/protection.py", "doctor/checks/services.py", "doctor/checks/surroundings.py",
        "doctor/gather.py",
    ),
    "a line of code is about one store": ("lifecycle/old_addresses.py",),
    "a step loads one store, or both": ("steps/command.py", "steps/registry.py", "lifecycle/up.py"),
    "the name of the maintenance database, of an account or of a program": (
        "engines/embedded/pristine.py", "engines/external/marks.py", "host/processes.py", "lifecycle/projects.py",
        "steps/setup/rights.py", "steps/setup/setup.py", "testing/reaper.py",
    ),
    "a service's name inside the compose file": (
        "engines/docker/containers.py", "engines/docker/engine.py", "engines/docker/inspect.py",
        "engines/docker/project.py",
    ),
    "two addresses, each read in its own way": (
        "engines/external/addresses.py", "engines/external/engine.py", "engines/project.py",
    ),
    "the tap speaks two protocols": ("lifecycle/tap.py",),
    "`down` keeps or deletes a cluster": ("lifecycle/down.py",),
    "completion must not import more": ("cli/complete.py", "cli/completion.py"),
    "the name of the service in AWS": ("aws/", "services/streams/"),
    "the library that a pattern's script is read for": ("patterns/declared.py", "patterns/scripts.py"),
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
