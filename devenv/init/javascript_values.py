"""The values that files of JavaScript give names, and take from each other by `import` and `require`. Pure."""

from __future__ import annotations

import ast
import copy
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from devenv.init.javascript import JsParser, JsScript, declared
from devenv.init.source import Fill

REQUIRED: Final = re.compile(
    r"(?:const|let|var)\s+(\{[^}]*\}|\w+)\s*=\s*require\(\s*['\"]([^'\"]+)['\"]|import\s+(?:type\s+)?([^;'\"]*?)\s+from\s+['\"]([^'\"]+)"
)
EXPORTED: Final = re.compile(r"^\s*export\s+(?:const|let|var)\s+(\w+)", re.MULTILINE)


def constants_of(scripts: Iterable[JsScript]) -> dict[str, ast.expr]:
    """The constants of all files by name; of two, the first file's."""
    found: dict[str, ast.expr] = {}
    for script in scripts:
        found = {**declared_outside(script), **found}
    return found


def values_outside(scripts: Mapping[str, JsScript]) -> dict[str, dict[str, ast.expr]]:
    """File -> the values that it may take from other files, by name."""
    constants = constants_of(scripts.values())
    exported = all_exports(scripts)
    return {name: {**constants, **taken(name, script, exported)} for name, script in scripts.items()}


def declared_outside(script: JsScript) -> dict[str, ast.expr]:
    """The constants that stand in no function."""
    return {
        name: node
        for name, node in declared(script, outside=True).items()
        if isinstance(node, ast.Constant | ast.Dict | ast.Call | ast.JoinedStr | ast.Subscript)
    }


def exports_of(script: JsScript) -> ast.Dict | None:
    """The object that a file exports: `module.exports = { … }`, `export default { … }`, or its single exports."""
    own = declared(script)
    for at in range(len(script.tokens) - 3):
        words = [script.word(at + n) for n in range(4)]
        opening = (
            at + 4 if words == ["module", ".", "exports", "="] else at + 2 if words[:2] == ["export", "default"] else 0
        )
        if opening and script.word(opening) == "{":
            node, _ = JsParser(script).object(opening, 0)
            if not isinstance(node, ast.Dict):
                return None
            # `module.exports = { tables }`: the value of the name.
            values = [own.get(v.id, v) if isinstance(v, ast.Name) else v for v in node.values]
            return ast.Dict(keys=node.keys, values=values)
    named = {name: own[name] for name in EXPORTED.findall(script.text) if name in own}
    return ast.Dict(keys=[ast.Constant(value=name) for name in named], values=[*named.values()]) if named else None


def all_exports(scripts: Mapping[str, JsScript]) -> dict[str, ast.Dict | None]:
    """File -> the object that it exports, with what it takes from other files filled in."""
    plain = {name: exports_of(script) for name, script in scripts.items()}
    found = dict(plain)
    for name, each in plain.items():
        outside = taken(name, scripts[name], plain) if each is not None and each.values else {}
        if each is not None and outside:
            values = [Fill(outside).visit(copy.deepcopy(v)) if isinstance(v, ast.Subscript) else v for v in each.values]
            found[name] = ast.Dict(keys=each.keys, values=values)
    return found


def taken(file: str, script: JsScript, exported: Mapping[str, ast.Dict | None]) -> dict[str, ast.expr]:
    """The values that a file takes from the objects that others export, by the names that it gives them."""
    found: dict[str, ast.expr] = {}
    for names, module in required(script.text):
        source = next((exported[name] for name in modules_at(file, module, exported)), None)
        if source is None:
            continue
        if whole := re.fullmatch(r"(?:\*\s+as\s+)?(\w+)", names.strip()):
            found[whole[1]] = source
            continue
        for key, value in zip(source.keys, source.values, strict=True):
            if isinstance(key, ast.Constant) and re.search(rf"\b{re.escape(str(key.value))}\b", names):
                found[str(key.value)] = value
    return {name: node for name, node in found.items() if not (isinstance(node, ast.Name) and node.id == name)}


def modules_at(file: str, module: str, known: Iterable[str]) -> list[str]:
    """The known files that `./module` means in a file."""
    if not module.startswith("."):
        return []
    path = posixpath.normpath(posixpath.join(posixpath.dirname(file), module))
    stem = re.sub(r"\.[cm]?[jt]s$", "", path)
    return [name for name in known if re.sub(r"(/index)?\.[cm]?[jt]s$", "", name) == stem]


def required(text: str) -> Iterator[tuple[str, str]]:
    """(names, module) of what a file imports."""
    for match in REQUIRED.finditer(text):
        yield (match[1] or match[3] or ""), (match[2] or match[4] or "")
