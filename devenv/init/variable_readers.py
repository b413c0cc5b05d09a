"""Variables that the project reads through its own function: `need("KEY")` is `os.environ["KEY"]`. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from typing import Final

from devenv.core.late import late
from devenv.init.code import owners
from devenv.init.source import own_nodes

NAME: Final = late(r"[A-Z][A-Z0-9_]*")
# `function need(name: string): string {`, `const need = (name) => {`; then the parameter in `process.env[name]`.
FUNCTION: Final = late(
    r"\bfunction\s+(\w+)\s*\(\s*(\w+)|\b(?:const|let|var)\s+(\w+)\s*=\s*(?:function\s*)?\(?\s*(\w+)\b(?!\s*[(\[.])"
)
BODY: Final = 400


def with_read_variables(trees: Mapping[str, ast.Module]) -> Mapping[str, ast.Module]:
    """The same files of Python, with the variable itself in the places of calls that read it."""
    for tree in trees.values():
        if names := os_names(tree):
            OsNames(names).visit(tree)
    readers = {name: required for tree in trees.values() for name, required in readers_of(tree)}
    if readers:
        for tree in trees.values():
            ReadVariables(readers).visit(tree)
    return trees


def os_names(tree: ast.Module) -> dict[str, str]:
    """name -> name in `os` of `from os import environ`."""
    found = (node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "os" and not node.level)
    aliases = (alias for node in found for alias in node.names if alias.name in ("environ", "getenv"))
    return {alias.asname or alias.name: alias.name for alias in aliases}


class OsNames(ast.NodeTransformer):
    """Puts `os.environ` in the places of `environ`, where it comes from there."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """A name of `os`, or any other as it is."""
        if node.id not in self.names or not isinstance(node.ctx, ast.Load):
            return node
        made = ast.Attribute(ast.Name("os", ast.Load()), self.names[node.id], ast.Load())
        return ast.fix_missing_locations(ast.copy_location(made, node))


def readers_of(tree: ast.Module) -> Iterable[tuple[str, bool]]:
    """(function, whether it needs the variable) of those that read the variable that their first parameter names."""
    for name, owner in owners(tree):
        if not isinstance(owner, ast.FunctionDef) or "." in name or not owner.args.args:
            continue
        first = owner.args.args[0].arg
        for node in own_nodes(owner):
            match node:
                case ast.Subscript(value=ast.Attribute(attr="environ"), slice=ast.Name(id=asked)) if asked == first:
                    yield name, True
                case ast.Call(
                    func=ast.Attribute(value=ast.Attribute(attr="environ"), attr="get") | ast.Attribute(attr="getenv"),
                    args=[ast.Name(id=asked), *_],
                ) if asked == first:
                    yield name, len(owner.args.args) == 1


class ReadVariables(ast.NodeTransformer):
    """Puts `os.environ[…]` in the places of calls of these functions."""

    def __init__(self, readers: Mapping[str, bool]) -> None:
        self.readers = readers

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """A call with a variable's name, and perhaps a default; any other stays."""
        self.generic_visit(node)
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called == "get" and isinstance(node.func, ast.Attribute):
            return node  # A dict's own.
        match node.args:
            case [ast.Constant(value=str(name)), *rest] if called in self.readers and NAME.fullmatch(name):
                environ = ast.Attribute(ast.Name("os", ast.Load()), "environ", ast.Load())
                given = [*rest, *(word.value for word in node.keywords if word.arg == "default")][:1]
                made: ast.expr = ast.Subscript(environ, ast.Constant(name), ast.Load())
                if given or not self.readers[called]:
                    made = ast.Call(ast.Attribute(environ, "get", ast.Load()), [ast.Constant(name), *given], [])
                return ast.fix_missing_locations(ast.copy_location(made, node))
        return node


def with_script_variables(scripts: Mapping[str, str]) -> dict[str, str]:
    """The same files of JavaScript, with `process.env.X` in the places of calls that read it. Lines stay."""
    names = {name for text in scripts.values() for name in script_readers(text)}
    if not names:
        return dict(scripts)
    call = re.compile(
        rf"(?<![.\w])(?:{'|'.join(map(re.escape, sorted(names)))})"
        r"""\(\s*(['"])([A-Z][A-Z0-9_]*)\1\s*(?:,\s*(["'][^"'\n]*["']|\d+)\s*)?\)"""
    )

    def read(found: re.Match[str]) -> str:
        return f"(process.env.{found[2]} || {found[3]})" if found[3] else f"process.env.{found[2]}"

    return {file: call.sub(read, text) for file, text in scripts.items()}


def script_readers(text: str) -> Iterable[str]:
    """The functions of a script that read the variable that their first parameter names."""
    if "process.env[" not in text:
        return
    for found in FUNCTION.finditer(text):
        name, parameter = found[1] or found[3], found[2] or found[4]
        if re.search(rf"\bprocess\.env\[\s*{re.escape(parameter)}\s*\]", text[found.end() : found.end() + BODY]):
            yield name
