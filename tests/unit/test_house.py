"""The plan of the house: few packages, small files, imports that point one way, packages that import nothing."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import devenv
from tests import file_index

HOUSE = Path(devenv.__file__).parent
FILES = sorted(HOUSE.rglob("*.py"))
COMPOSE = "compose/compose.yaml"


def module(path: Path) -> str:
    parts = path.relative_to(HOUSE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def at_start(body: Iterable[ast.stmt]) -> Iterable[ast.Import | ast.ImportFrom]:
    """The imports that run when the module is imported."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.Try):
            yield from at_start(node.body)


def is_built_in(node: ast.Import | ast.ImportFrom) -> bool:
    """Return True if nothing has to be found and read for this import."""
    return isinstance(node, ast.Import) and all(alias.name in sys.builtin_module_names for alias in node.names)


def imported(path: Path, known: Iterable[str]) -> set[str]:
    """The modules of devenv that are imported together with this one."""
    found = set()
    for node in at_start(ast.parse(path.read_text("utf-8")).body):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return {name for name in found if name in known and name != module(path)}


def circle(edges: Mapping[str, set[str]]) -> list[str]:
    """What is left when everything that imports nothing of the rest is taken away, again and again."""
    left = dict(edges)
    while free := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in free:
            del left[name]
    return sorted(left)


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]


def test_no_module_is_in_a_circle_of_imports() -> None:
    known = {module(path) for path in FILES}
    # A package's own file is empty, so that importing it leads nowhere.
    edges = {module(path): imported(path, known) for path in FILES if path.name != "__init__.py"}
    assert len(edges) > 200
    assert circle(edges) == []


def test_the_top_has_few_packages() -> None:
    shown = [place.name for place in HOUSE.iterdir() if place.name != "__pycache__"]
    assert len(shown) <= 30, sorted(shown)


def test_no_two_test_files_have_one_name() -> None:
    """Pytest would import one of them for the other, and refuse."""
    names = [path.name for path in (HOUSE.parent / "tests").rglob("test_*.py")]
    assert {name for name in names if names.count(name) > 1} == set()


def test_no_file_is_longer_than_500_lines() -> None:
    tests = sorted((HOUSE.parent / "tests").rglob("*.py"))
    assert len(tests) > 200
    long = {path for path in (*FILES, *tests) if len(path.read_text("utf-8").splitlines()) > 500}
    assert long == set()


def test_the_import_contract_has_at_most_14_layers_and_every_package() -> None:
    text = (HOUSE.parent / "pyproject.toml").read_text("utf-8")
    layers = next(each for each in tomllib.loads(text)["tool"]["importlinter"]["contracts"] if each["type"] == "layers")
    assert layers["exhaustive"]
    assert 10 < len(layers["layers"]) <= 14


def test_a_class_name_has_one_meaning() -> None:
    """The reference application knows nothing of devenv, so its names are its own."""
    defined = Counter(
        node.name
        for path in FILES
        if HOUSE / "example" not in path.parents
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
    )
    assert len(defined) > 300
    assert [name for name, times in defined.items() if times > 1] == []


def test_packages_import_nothing() -> None:
    """No command pays for an import that it does not need. What is built into Python costs nothing."""
    full = [
        module(path)
        for path in FILES
        if path.name == "__init__.py" and not all(map(is_built_in, at_start(ast.parse(path.read_text()).body)))
    ]
    assert full == []


def test_annotations_of_sections_are_no_texts() -> None:
    """`msgspec` would compile every one of them in every command."""
    files = [path for path in (HOUSE / "config").glob("*.py") if "(Section, frozen=True" in path.read_text("utf-8")]
    assert len(files) > 4
    assert [path.name for path in files if "from __future__ import annotations" in path.read_text("utf-8")] == []


def test_unit_tests_lie_in_a_folder_of_the_package_that_they_test() -> None:
    here = Path(__file__).parent
    folders = {path.parent.relative_to(here).as_posix() for path in here.rglob("test_*.py")} - {"."}
    assert len(folders) > 10
    assert [name for name in folders if not (HOUSE / name).is_dir()] == []
    # What is here itself is about the whole: the two halves of the tests, the registries, properties, this file.
    assert len(list(here.glob("test_*.py"))) <= 8


def test_the_list_of_files_is_that_of_the_code() -> None:
    text = file_index.PAGE.read_text("utf-8")
    assert file_index.page(text) == text, "run: python -m tests.file_index"


def test_every_path_that_the_architecture_names_is_there() -> None:
    text = file_index.PAGE.read_text("utf-8").partition(file_index.HEAD)[0]
    named = set(re.findall(r"`((?:[\w.]+/)+[a-z_]+\.\w+)`", text))
    assert len(named) > 60
    files = ["/" + path.relative_to(HOUSE.parent).as_posix() for path in (*HOUSE.rglob("*.*"), HOUSE.parent / COMPOSE)]
    assert [name for name in named if not any(path.endswith(f"/{name}") for path in files)] == []
