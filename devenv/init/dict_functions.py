"""Functions that only put a dict together, such as `def user_key(user_id): return {"pk": …}`, by name. Pure."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Iterator

from devenv.init.javascript import JsParser, JsScript, declared
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


def script_dicts(scripts: Iterable[JsScript]) -> dict[str, DictFunction]:
    """The same of JavaScript: `const base = (id) => ({ … })`, `function key(id) { return { … }; }`."""
    return unambiguous(each for script in scripts for each in functions_of(script))


def functions_of(script: JsScript) -> Iterator[tuple[str, DictFunction]]:
    """(name, function) of one file."""
    parser = JsParser(script)
    for block in script.blocks:
        begin = block.begin
        if script.word(begin) == "{":
            returns = [at for at in range(begin, block.end) if script.word(at) == "return"]
            if len(returns) != 1:
                continue
            begin = returns[0] + 1
        if script.word(begin) not in ("{", "("):
            continue
        node, _ = parser.expression(begin)
        if isinstance(node, ast.Dict) and node.keys:
            own = dict(declared(script, block.begin, block.end))
            yield block.name, DictFunction(block.parameters, with_own(node, own))


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
