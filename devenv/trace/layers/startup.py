"""A function that fails because it was called alone: it uses what the application sets up at its start.

Nothing is judged by the error alone: the start must be in the project's code and must set up what the function uses.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Final

from devenv.config.places import Keys
from devenv.core.late import late
from devenv.core.value import Value
from devenv.init.listing import list_widely
from devenv.trace.layers.functions import MOST_FILES, line_of, text_of
from devenv.trace.observation import Ran

UNREADY: Final = late(
    r"(?i)\bnot (?:yet )?(?:been )?(?:open|opened|initiali[sz]ed|started|connected|set up|configured|ready)\b"
    r"|\bcall (?:init|open|connect|start|setup)\w*\b.* first\b"
    r"|\b(?:must|needs to) be (?:initiali[sz]ed|opened|started)\b"
)
# Of an object that was never made: a module's variable that is still None, or `app.state.pool`.
UNSET: Final = late(r"'NoneType' object\b|'State' object has no attribute|name '\w+' is not defined")
# Flask says this of all that needs the application itself.
OUTSIDE: Final = late(r"[Oo]utside of (?:the )?application context|app is not registered with this '\w+' instance")
MOMENTS: Final = frozenset(["startup", "before_server_start", "main_process_start"])
HANDLERS: Final = frozenset(["on_startup", "cleanup_ctx"])
DECORATORS: Final = frozenset(["before_serving", "before_server_start", "on_startup"])
# Names that stand in any function, and so tell nothing of a resource.
COMMON: Final = frozenset(
    ["app", "cls", "config", "environ", "len", "list", "logger", "os", "print", "self", "settings", "str"]
)
WHERE: Final = late(r"^(.+):(\d+) in (\S+)$")
TESTS: Final = frozenset(["test", "tests"])
DEPTH: Final = 3

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Start(Value, frozen=True):
    """A function that the application runs at its start: its file, line and name."""

    file: str
    line: int
    name: str


def needs_start(root: Path, folder: Path, keys: Keys, ran: Ran) -> str | None:
    """Why a failed call is no fault of the function, with the next step; None where it may be one.

    `folder` is where it ran, `keys` lead to it in devenv.toml.
    """
    if ran.outcome != "raised" or not (found := find_start(root, folder, ran)):
        return None
    section = ".".join(map(str, keys[:-1]))
    return (
        f"the function needs what the application sets up at its start ({found.file}:{found.line} `{found.name}`),"
        f" and fails without it: {ran.error}: {ran.detail} ({ran.where}). At {line_of(root, keys)} name a function that"
        f" does this first, or delete [{section}] (`devenv help traces`)"
    )


def find_start(root: Path, folder: Path, ran: Ran) -> Start | None:
    """The start that sets up what the failed function uses; None where the project has none."""
    words = f"{ran.error}: {ran.detail}"
    outside, unset = OUTSIDE.search(words), UNSET.search(words)
    place = WHERE.search(ran.where or "")
    if not (outside or unset or UNREADY.search(words)):
        return None
    trees = dict(parsed(root))
    if outside:
        return next((each for each, _ in starts(trees) if each.name), None)
    if place is None:
        return None
    own = parse(text_of(folder / place[1]))
    line, inside = int(place[2]), None
    for node in ast.walk(own) if own else ():
        if isinstance(node, Function) and node.lineno <= line <= (node.end_lineno or line):
            inside = node
    if inside is None:
        return None
    used = names_in(node for node in ast.walk(inside) if not unset or getattr(node, "lineno", 0) == line) - COMMON
    for start, body in starts(trees):
        if used & (assigned(reached(body, trees)) if unset else names_in(reached(body, trees))):
            return start
    return None


def parsed(root: Path) -> Iterator[tuple[str, ast.Module]]:
    """The project's Python files; a file that cannot be parsed is left out."""
    for path in list_widely(root, MOST_FILES).files:
        if path.suffix == ".py" and not TESTS & set(PurePath(path).parts) and (tree := parse(text_of(root / path))):
            yield path.as_posix(), tree


def parse(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def starts(trees: Mapping[str, ast.Module]) -> Iterator[tuple[Start, Function]]:
    """The functions that frameworks run at an application's start: lifespan, startup handlers, Flask's factory."""
    for tree in trees.values():
        wanted = set[str]()
        for node in ast.walk(tree):
            wanted |= set(registered(node))
        for name in sorted(wanted):
            yield from defined(name, trees)


def registered(node: ast.AST) -> Iterator[str]:
    """The names of functions that a part of the code makes a start."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            calls = [each for each in ast.walk(node) if isinstance(each, ast.Call)]
            if any(last_name(each.func) in ("Flask", "init_app") for each in calls) or any(
                starts_with(decorator) for decorator in node.decorator_list
            ):
                yield name
        case ast.keyword(arg="lifespan", value=ast.Name(id=name) | ast.Attribute(attr=name)):
            yield name
        case ast.keyword(arg="on_startup", value=ast.List(elts=parts) | ast.Tuple(elts=parts)):
            yield from filter(None, map(last_name, parts))
        case ast.Call(func=ast.Attribute(value=ast.Attribute(attr=owner), attr="append"), args=[given]):
            if owner in HANDLERS:
                yield last_name(given)
        case ast.Call(func=ast.Attribute(attr="add_event_handler"), args=[ast.Constant(value="startup"), given]):
            yield last_name(given)


def starts_with(decorator: ast.expr) -> bool:
    """Return True for `@app.on_event("startup")`, `@app.before_serving` and the like."""
    call = decorator if isinstance(decorator, ast.Call) else None
    if call and any(isinstance(each, ast.Constant) and each.value in MOMENTS for each in call.args):
        return True
    return last_name(call.func if call else decorator) in DECORATORS


def last_name(node: ast.AST) -> str:
    """`open_pool` of `db.open_pool`; "" for another expression."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def defined(name: str, trees: Mapping[str, ast.Module]) -> Iterator[tuple[Start, Function]]:
    """The functions and methods of this name."""
    for file, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, Function) and node.name == name:
                yield Start(file, node.lineno, name), node


def reached(body: Function, trees: Mapping[str, ast.Module]) -> list[ast.AST]:
    """A function's code, and that of the project's functions that it calls."""
    known, waiting, found = {body.name}, [body], list[ast.AST]()
    for _ in range(DEPTH):
        nodes = [node for each in waiting for node in ast.walk(each)]
        found += nodes
        called = {last_name(node.func) for node in nodes if isinstance(node, ast.Call)} - known - {""}
        known |= called
        waiting = [function for name in sorted(called) for _, function in defined(name, trees)]
    return found


def names_in(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that code uses: `pg`, `pool` and `open` of `pg.pool.open()`."""
    return {last_name(node) for node in nodes} - {""}


def assigned(nodes: Iterable[ast.AST]) -> set[str]:
    """The attributes and global variables that code gives a value; its local variables are not among them."""
    nodes = list(nodes)
    shared = {name for node in nodes if isinstance(node, ast.Global) for name in node.names}
    stored = [node for node in nodes if isinstance(getattr(node, "ctx", None), ast.Store)]
    return {last_name(n) for n in stored if isinstance(n, ast.Attribute) or last_name(n) in shared} - {""}
