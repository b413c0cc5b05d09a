"""Settings that JavaScript reads from JSON files: `require("./settings.json")`, node-config's `config.get("a.b")`."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from devenv.core.late import late
from devenv.init.javascript_values import required

BYTES: Final = 100_000
DEPTH: Final = 30
PACKAGE: Final = late(r"\brequire\(\s*['\"]config['\"]\s*\)|\bfrom\s+['\"]config['\"]")
READ: Final = late(r"JSON\.parse\(\s*(?:fs\.)?readFileSync\(((?:[^()]|\([^()]*\))*)\)(?:\.toString\(\))?\s*\)")
TEXT: Final = late(r"['\"`]([^'\"`\n$]+)['\"`]")
EXAMPLES: Final = "example|sample|template|dist"
# node-config reads these over each other.
LAYERS: Final = ("default.json", "development.json", "local.json")


def with_json_settings(scripts: Mapping[str, str], texts: Mapping[str, str]) -> dict[str, str]:
    """The scripts, with what they read from JSON files as modules of their own."""
    found: dict[str, str] = {}
    modules: dict[str, str] = {}
    for name, text in scripts.items():
        if PACKAGE.search(text):
            text = with_config(name, text, texts, modules)
        if "readFileSync" in text:
            text = READ.sub(partial(parsed_file, name=name, texts=texts), text)
        for _, module in required(text):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), module))
            if module.startswith(".") and module.endswith(".json") and path not in modules:
                shown = path if path in texts else example_of(path, texts)
                modules.update(as_module(path, texts[shown]) if shown else {})
        found[name] = text
    return {**found, **modules}


def example_of(path: str, texts: Mapping[str, str]) -> str | None:
    """The file that shows what a missing settings file holds: `settings.example.json` for `settings.json`."""
    folder, base = posixpath.split(path.removesuffix(".json"))
    shown = re.compile(
        rf"{re.escape(base)}[._-]({EXAMPLES})\.json|({EXAMPLES})[._-]{re.escape(base)}\.json|{re.escape(base)}\.json\.({EXAMPLES})"
    )
    return next((n for n in texts if posixpath.dirname(n) == folder and shown.fullmatch(posixpath.basename(n))), None)


def missing_settings(scripts: Mapping[str, str], texts: Mapping[str, str]) -> list[str]:
    """Sentences about settings files that programs need and that only an example shows."""
    found: dict[str, tuple[str, str]] = {}
    for name, text in scripts.items():
        for _, module in required(text):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), module))
            is_missing = module.startswith(".") and module.endswith(".json") and path not in texts
            if is_missing and (shown := example_of(path, texts)):
                found.setdefault(path, (name, shown))
    return [
        f"{shown}: {name} needs {path}, which does not exist. Copy {shown} to {path}, and write the addresses of"
        " `devenv env` into the copy: no variable changes them"
        for path, (name, shown) in found.items()
    ]


def as_module(path: str, text: str) -> dict[str, str]:
    """{path: script} of a JSON file; {} for one that holds no object, or too much."""
    try:
        tree = json.loads(text) if len(text) <= BYTES else None
    except (ValueError, RecursionError):
        return {}
    return {path: f"module.exports = {json.dumps(tree)}"} if isinstance(tree, dict) else {}


def parsed_file(read: re.Match[str], name: str, texts: Mapping[str, str]) -> str:
    """`require("./x.json")` for reading a JSON file of the project; the text itself for any other."""
    path = posixpath.join(*parts) if (parts := TEXT.findall(read[1])) else ""
    path = re.sub(r"(/utf-?8)$", "", path)
    for folder in (posixpath.dirname(name), ""):
        whole = posixpath.normpath(posixpath.join(folder, path.lstrip("/")))
        if path and whole in texts and whole.endswith(".json"):
            return f'require("{relative(whole, name)}")'
    return read[0]


def with_config(name: str, text: str, texts: Mapping[str, str], modules: dict[str, str]) -> str:
    """A script whose node-config is the module that its files, laid over each other, make."""
    folder = posixpath.dirname(name)
    while not any(posixpath.join(folder, "config", layer) in texts for layer in LAYERS):
        if not folder:
            return text
        folder = posixpath.dirname(folder)
    path = posixpath.join(folder, "config", LAYERS[0])
    if path not in modules:
        tree: Any = {}
        for layer in LAYERS:
            try:
                tree = laid_over(tree, json.loads(texts.get(posixpath.join(folder, "config", layer), "{}")), 0)
            except (ValueError, RecursionError):
                continue
        modules[path] = f"module.exports = {json.dumps(tree)}"
    said = re.sub(
        r"((?:\brequire\(|\bfrom)\s*['\"])config(['\"])", lambda m: f"{m[1]}{relative(path, name)}{m[2]}", text
    )
    return re.sub(r"\b(\w+)\.get(?:<[^<>()]*>)?\(\s*['\"](\w+(?:\.\w+)*)['\"]\s*\)", r"\1.\2", said)


def relative(path: str, name: str) -> str:
    """A file's path as another file requires it."""
    there = posixpath.relpath(path, posixpath.dirname(name) or ".")
    return there if there.startswith(".") else f"./{there}"


def laid_over(lower: Any, upper: Any, depth: int) -> Any:
    """Two trees of settings, the upper one's values first."""
    if not isinstance(lower, dict) or not isinstance(upper, dict) or depth > DEPTH:
        return upper
    both = {key: laid_over(lower[key], upper[key], depth + 1) for key in lower.keys() & upper.keys()}
    return {**lower, **upper, **both}
