"""References of the Serverless Framework, as far as files give their values: `${self:…}`, `${file(…):…}`. Pure."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from typing import Any, Final

from devenv.core.errors import UsageError
from devenv.init.compose import YAML_BYTES, read_yaml

ROUNDS: Final = 6
MOST: Final = 150_000
MARK: Final = re.compile(r"\$\{(?:self|sls|opt|file|env)\b")
# The innermost ones: what stands in a reference is filled in first.
REFERENCE: Final = re.compile(
    r"\$\{(?:(?P<kind>self|opt|sls|env):(?P<path>[\w.-]*)|file\(\s*(?P<file>[^(){}]+?)\s*\)(?::(?P<key>[\w.-]+))?)"
    r"(?:\s*,\s*(?P<default>'[^'{}]*'|\"[^\"{}]*\"|[\w.-]*))?\s*\}"
)
SERVICE: Final = re.compile(r"^(?:service|provider)\s*:", re.MULTILINE)
NAMES: Final = ("serverless.yml", "serverless.yaml")


def filled(file: str, text: str, texts: Mapping[str, str], variables: Mapping[str, str]) -> str:
    """A template's text with the references that files, defaults and variables answer; the others stay."""
    if not MARK.search(text):
        return text
    main = file if SERVICE.search(text) else main_file(file, texts)
    folder = posixpath.dirname(main or file)
    whole = text if main in (None, file) else texts[str(main)]
    unfilled, left = text, MOST
    for _ in range(ROUNDS):
        tree = read_yaml(main or file, whole)
        before = text, whole

        def fill(match: re.Match[str], tree: Any = tree) -> str:
            nonlocal left
            found = answer(match, tree, folder, texts, variables)
            left -= len(found)
            # A few references to each other can stand for gigabytes.
            return found if left > 0 else match[0]

        text = REFERENCE.sub(fill, text)
        whole = text if main in (None, file) else REFERENCE.sub(fill, whole)
        if (text, whole) == before:
            break
        if max(len(text), len(whole)) > YAML_BYTES:
            return unfilled
    return text


def main_file(file: str, texts: Mapping[str, str]) -> str | None:
    """The serverless.yml of a file's folder, or of the nearest one above it."""
    folder = posixpath.dirname(file)
    while True:
        for name in NAMES:
            if (path := posixpath.join(folder, name)) in texts:
                return path
        if not folder:
            return None
        folder = posixpath.dirname(folder)


def answer(match: re.Match[str], tree: Any, folder: str, texts: Mapping[str, str], variables: Mapping[str, str]) -> str:
    """The value of one reference as YAML; the reference itself where nothing tells it."""
    kind, path = match["kind"], match["path"]
    default = match["default"].strip("'\"") if match["default"] is not None else None
    value: Any = None
    if kind == "self":
        value = at_path(tree, path)
    elif kind == "env":
        value = variables.get(path)
    elif kind in ("sls", "opt") and path == "stage":
        provided = at_path(tree, "provider.stage")
        value = provided if kind == "sls" and isinstance(provided, str) and "${" not in provided else None
        value = value or default or "dev"
    elif kind is None:
        name = posixpath.normpath(posixpath.join(folder, match["file"]))
        try:
            content = read_yaml(name, texts[name]) if name in texts else None
        except UsageError:
            content = None
        value = at_path(content, match["key"] or "")
    if isinstance(value, dict | list):
        return match[0] if "AWS::" in json.dumps(value, default=str) else json.dumps(value, default=str)
    value = default if value is None else value
    return str(value) if isinstance(value, str | int) else match[0]


def at_path(tree: Any, path: str) -> Any:
    """The value at `custom.tables.orders`; None without one."""
    for part in filter(None, path.split(".")):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree
