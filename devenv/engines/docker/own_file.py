"""A compose file of the project's own: which part of it decides how one service runs. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from devenv.core.plain_yaml import UnreadableYaml, load_yaml

LETTERS: Final = 12


def hash_of(text: str, service: str) -> str:
    """A short hash of the service's part and of what stands beside `services`; comments and layout do not count.

    A service that extends another one may have its settings anywhere in the file; so may a file that is no YAML.
    """
    try:
        tree = load_yaml(text, lambda loader, suffix, node: [suffix, str(node.value)])
    except UnreadableYaml:
        tree = text
    services = tree.get("services") if isinstance(tree, dict) else None
    if isinstance(services, dict):
        part = services.get(service)
        if not (isinstance(part, dict) and "extends" in part):
            tree = {**tree, "services": part}
    return hashlib.sha256(json.dumps(tree, sort_keys=True, default=plain).encode()).hexdigest()[:LETTERS]


def plain(value: Any) -> str:
    """Dates and sets of YAML as text."""
    return str(sorted(map(str, value)) if isinstance(value, set) else value)
