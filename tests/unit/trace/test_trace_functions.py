"""A function of devenv.toml that cannot be called: the file that was looked for, and the line that names it rightly."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.capture.runner import make
from devenv.trace.layers.functions import look_for, needs_arguments
from devenv.trace.layers.library import name_of_command
from devenv.trace.observation import Ran, Unfound

TOML = '[trace.orders]\npattern = "orders"\n[trace.orders.library]\nfunction = "x"\n'
KEYS = ("trace", "orders", "library", "function")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {
        "devenv.toml": TOML,
        "backend/shop/__init__.py": "",
        "backend/shop/orders.py": "from shop.db import table\n\n\ndef orders_of(user):\n    return []\n",
        "backend/shop/db.py": "table = 1\n",
        "backend/lib/feed.py": "async def feed_of(user):\n    return []\n",
        "backend/.venv/lib/orders.py": "def orders_of():\n    pass\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def found(project: Path, folder: str, function: str, detail: str, error: str = "ModuleNotFoundError") -> Unfound | None:
    ran = Ran("f()", "unstarted", error=error, detail=detail)
    return look_for(project, project / folder, KEYS, function, "/usr/bin/python3", ran)


@pytest.mark.parametrize(
    ("folder", "function", "missing", "line"),
    [
        ("backend", "backend.shop.orders:orders_of", "backend", 'function = "shop.orders:orders_of"'),
        ("backend", "orders:orders_of", "orders", 'function = "shop.orders:orders_of"'),
        (".", "shop.orders:orders_of", "shop", 'function = "shop.orders:orders_of" and folder = "backend"'),
        ("backend/shop", "orders:orders_of", "shop", 'function = "shop.orders:orders_of" and folder = "backend"'),
        ("backend", "feed:feed_of", "feed", 'function = "lib.feed:feed_of"'),
    ],
)
def test_the_right_line(project: Path, folder: str, function: str, missing: str, line: str) -> None:
    unfound = found(project, folder, function, f"No module named '{missing}'")
    assert unfound is not None
    assert unfound.text.endswith(f"at devenv.toml:4 write: {line}")
    assert "backend/.venv" not in unfound.text


def test_an_object_that_needs_arguments_is_a_mistake_of_the_declaration(project: Path) -> None:
    text = "missing a required argument: 'table'"
    ran = Ran("Shop().orders_of()", "unstarted", error="TypeError", detail=text)
    said = needs_arguments(project, KEYS, "shop.orders:Shop().orders_of", ran)
    assert said is not None
    assert said.startswith('devenv.toml:4: function = "shop.orders:Shop().orders_of" cannot be called: ')
    assert f"`()` calls it without arguments ({text}); " in said
    assert "`module:factory().attribute.method`" in said
    assert needs_arguments(project, KEYS, "x:y", Ran("y()", "raised", error="TypeError", detail=text)) is None


def test_what_is_made_without_arguments() -> None:
    class Plain:
        def __init__(self, region: str = "eu") -> None:
            self.region = region

    class Ledger:
        def __init__(self, table: str, *, region: str, **more: str) -> None:
            raise AssertionError("it is not called")

    assert make(Plain).region == "eu"
    assert make(dict) == {}
    with pytest.raises(TypeError, match="missing a required argument: 'table'"):
        make(Ledger)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["node", "tools/list.mjs", "{id}"], "node list.mjs"),
        (["/usr/bin/node", "--import", "tsx", "src/list.ts"], "node list.ts"),
        (
            ["node", "-e", "import('./src/stores/reports.js').then(m => m.latest())", "{id}"],
            "node src/stores/reports.js",
        ),
        (["node", "-e", "console.log(1)"], "the node command of [trace.*.library]"),
        (["go", "run", "./cmd/list"], "go run"),
        (["./list"], "list"),
    ],
)
def test_a_command_is_named_by_its_script(command: list[str], name: str) -> None:
    assert name_of_command(command) == name


def test_the_file_that_was_looked_for(project: Path) -> None:
    unfound = found(project, "backend", "backend.shop.orders:orders_of", "No module named 'backend'")
    assert unfound is not None
    assert unfound.cause == (
        "neither backend/shop/orders.py nor backend/shop/orders/__init__.py exists in backend/,"
        " where Python looks for the project's modules"
    )


def test_a_file_that_is_there_is_not_said_to_be_missing(project: Path) -> None:
    assert found(project, "backend", "shop.orders:orders_of", "No module named 'shop.orders'") is None


def test_a_function_with_a_similar_name(project: Path) -> None:
    detail = "module 'shop.orders' has no attribute 'order_of'"
    unfound = found(project, "backend", "shop.orders:order_of", detail, "AttributeError")
    assert unfound == Unfound(
        "shop/orders.py has no `order_of`", 'at devenv.toml:4 write: function = "shop.orders:orders_of"'
    )


def test_a_function_that_no_file_defines(project: Path) -> None:
    unfound = found(project, "backend", "nothing:zzz", "No module named 'nothing'")
    assert unfound is not None
    assert unfound.text == "`zzz` was found in no Python file of the project: correct `function` at devenv.toml:4"


def test_a_package_that_the_interpreter_lacks(project: Path) -> None:
    unfound = found(project, "backend", "shop.orders:orders_of", "No module named 'flask'")
    assert unfound is not None
    assert unfound.cause == "the Python that was used, /usr/bin/python3, has no module `flask`"
    assert "[backend]" in unfound.text


@pytest.mark.parametrize("detail", ["unsupported operand", "'Table' object has no attribute 'qery'", None])
def test_an_error_of_the_function_itself(project: Path, detail: str | None) -> None:
    assert found(project, "backend", "shop.orders:orders_of", detail or "", "TypeError") is None
