"""Functions that only put a dict together, such as `def user_key(user_id): return {"pk": …}`, by name. Pure."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Iterator

from devenv.init import golang
from devenv.init.golang import GoParser
from devenv.init.javascript import JsFunction, JsParser, declared
from devenv.init.source import DictFunction, Fill, Scope, assignments, dict_of

EMPTY = Scope({})
SIMPLE = (ast.Assign, ast.AnnAssign, ast.Expr)


def dict_functions(trees: Iterable[ast.Module]) -> dict[str, DictFunction]:
    """The functions and methods of Python that only return a dict, by name and `Class.name`; ambiguous ones aside."""
    return unambiguous(each for tree in trees for each in functions_in(tree))


def functions_in(tree: ast.Module) -> Iterator[tuple[str, DictFunction]]:
    """(name, function) of one file."""
    owned = [("", node) for node in tree.body]
    owned += [(f"{c.name}.", inner) for c in tree.body if isinstance(c, ast.ClassDef) for inner in c.body]
    for owner, node in owned:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not node.body:
            continue
        *before, last = node.body
        if not isinstance(last, ast.Return) or not all(isinstance(each, SIMPLE) for each in before):
            continue
        made = dict_of(last.value, EMPTY)
        if made is None:
            continue
        names = tuple(each.arg for each in node.args.args if each.arg not in ("self", "cls"))
        yield f"{owner}{node.name}", DictFunction(names, with_own(made, dict(assignments(node))))


def script_dicts(parsers: Iterable[JsParser | GoParser]) -> dict[str, DictFunction]:
    """The same of JavaScript and Go: `const base = (id) => ({ … })`, `func key(id string) … { return … }`."""
    return unambiguous(each for parser in parsers for each in functions_of(parser))


def functions_of(parser: JsParser | GoParser) -> Iterator[tuple[str, DictFunction]]:
    """(name, function) of one file."""
    script = parser.script
    for block in script.blocks:
        begin = block.begin
        if script.word(begin) == "{":
            returns = [at for at in range(begin, block.end) if script.word(at) == "return"]
            if len(returns) != 1:
                continue
            begin = returns[0] + 1
        node, _ = parser.expression(begin)
        if isinstance(node, ast.Dict) and node.keys:
            yield block.name, DictFunction(block.parameters, with_own(node, names_in(parser, block)))


def names_in(parser: JsParser | GoParser, block: JsFunction) -> dict[str, ast.expr]:
    """The names that a function gives values."""
    if isinstance(parser, GoParser):
        return golang.declared(parser, block.begin, block.end)
    return dict(declared(parser.script, block.begin, block.end))


def with_own(node: ast.Dict, own: dict[str, ast.expr]) -> ast.Dict:
    """A dict without the names that its function gives values: a caller does not know them."""
    if not own:
        return node
    filled = Fill(own).visit(copy.deepcopy(node))
    return filled if isinstance(filled, ast.Dict) else node


def unambiguous(found: Iterable[tuple[str, DictFunction]]) -> dict[str, DictFunction]:
    """Name -> function, also by the last part of the name where only one is called so."""
    every: dict[str, list[DictFunction]] = {}
    for name, function in found:
        for each in {name, name.rpartition(".")[2]}:
            every.setdefault(each, []).append(function)
    return {name: functions[0] for name, functions in every.items() if len(functions) == 1}
