"""The types that TypeScript declares: of parameters, and of the fields of interfaces. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from devenv.core.late import late
from devenv.init.javascript import JsFunction, JsScript

# TypeScript's types -> those of attributes.
KINDS: Final = {
    "number": "N",
    "bigint": "N",
    "string": "S",
    "boolean": "BOOL",
    "Date": "S",
    "Array": "L",
    "Record": "M",
}
SHAPE: Final = late(r"\b(?:interface\s+\w+(?:\s+extends\s+[\w,\s<>]+)?|type\s+\w+\s*=)\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
FIELD: Final = late(r"(?:^|[;,\n])\s*(?:readonly\s+)?(\w+)\??\s*:\s*([\w$]+|['\"][^'\"]*['\"])([^;,\n]*)")
HEAD: Final = 160


def kind_of(word: str, following: str) -> str:
    """The type of an attribute that a TypeScript type stands for; "" for one that tells none."""
    if following.lstrip().startswith("["):
        return "L"
    if word[:1] in ("'", '"'):
        return "S"
    return KINDS.get(word, "")


def field_types(scripts: Iterable[JsScript]) -> dict[str, str]:
    """`.stars` -> type of the fields that all interfaces with such a field agree on."""
    found: dict[str, set[str]] = {}
    for script in scripts:
        for body in SHAPE.findall(script.text):
            for name, word, rest in FIELD.findall(body):
                found.setdefault(f".{name}", set()).add(kind_of(word, rest))
    return {name: next(iter(kinds)) for name, kinds in found.items() if len(kinds) == 1 and "" not in kinds}


def parameter_types(script: JsScript, block: JsFunction) -> dict[str, str]:
    """Parameter -> type of a function like `(who: string, position: number) => …`."""
    found: dict[str, str] = {}
    for at in range(max(0, block.begin - HEAD), block.begin):
        if script.word(at) not in block.parameters:
            continue
        after = at + 1 + (script.word(at + 1) == "?")
        if script.word(after) == ":" and (kind := kind_of(script.word(after + 1), script.word(after + 2))):
            found[script.word(at)] = kind
    return found


def tested(script: JsScript, block: JsFunction) -> frozenset[str]:
    """The parameters that a function can do without: it tests them, as in `if (verb)`, `verb ?? "all"`."""
    words = [script.word(at) for at in range(block.begin, block.end + 1)]
    found = set()
    for at, word in enumerate(words):
        if word not in block.parameters or words[at - 1 : at] == ["."]:
            continue
        before, after = words[max(0, at - 2) : at], words[at + 1 : at + 2]
        spread = before[-1:] == ["..."] or (before == ["...", "("] and after == ["&&"])
        if spread or after in (["??"], ["?"]) or (before == ["if", "("] and after in ([")"], ["&&"], ["||"])):
            found.add(word)
    return frozenset(found)
