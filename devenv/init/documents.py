"""How a project's documents start it: README, Makefile, Procfile; and packages whose own program serves."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devenv.host.files import read_text
from devenv.steps.schema_load.forms import CREATE

DOCUMENT: Final = re.compile(
    r"(?:README|INSTALL|DEVELOPMENT|CONTRIBUTING)(?:\.(?:md|rst|txt|adoc))?|[Mm]akefile|Procfile(?:\.\w+)?|[Jj]ustfile"
)
MOST_BYTES: Final = 200_000
PORT: Final = r"(?:--port[= ]|-p[= ]?|--bind[= ]\S*?:|-b[= ]?\S*?:|(?<=\d):|\s)(\d{4,5})\b"
MODULE: Final = re.compile(r"\bpython[\d.]*\s+-m\s+([A-Za-z_][\w.]*)")
SERVES: Final = re.compile(
    r"\bserve_forever\b|\bHTTPServer\b|\bmake_server\b|\buvicorn\.run\b|\bapp\.run\b|\brun_app\b"
)
HEALTH: Final = re.compile(r"""["'](/(?:health\w*|ready|readyz|ping|livez?|liveness|alive|status))/?["']""")
OWN_PORT: Final = re.compile(r"^\s*(?:http_?)?port\s*[:=]\s*(\d{4,5})\b", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class ServedModule:
    """A package that `python -m NAME` starts as a server: where a document says so, its health path and port."""

    name: str
    evidence: str
    health: str | None
    port: int | None


def read_documents(root: Path, names: Collection[str]) -> dict[str, str]:
    """The documents of the uppermost two levels of folders."""
    found: dict[str, str] = {}
    for name in names:
        if name.count("/") < 2 and DOCUMENT.fullmatch(name.rpartition("/")[2]):
            try:
                text = read_text(root / name, MOST_BYTES)
            except OSError:
                continue
            found |= {name: text} if text else {}
    return found


def commands_in(documents: Mapping[str, str]) -> dict[str, str]:
    """The documents with commands that make tables, `aws dynamodb create-table …`."""
    return {name: text for name, text in documents.items() if CREATE.search(text)}


def documented_port(documents: Mapping[str, str], program: str) -> int | None:
    """The port that a command line of a document gives a program, such as `uvicorn`."""
    pattern = re.compile(rf"\b{re.escape(program)}\b[^\n]*?{PORT}")
    for text in documents.values():
        if (found := pattern.search(text)) and int(found[1]) < 65536:
            return int(found[1])
    return None


def served_module(documents: Mapping[str, str], texts: Mapping[str, str]) -> ServedModule | None:
    """The package that a document starts with `python -m`, and whose own program serves."""
    for file, text in documents.items():
        for name in MODULE.findall(text):
            folder = name.replace(".", "/")
            program = texts.get(f"{folder}/__main__.py", "")
            if SERVES.search(program):
                health = HEALTH.search(program)
                beside = [t for n, t in texts.items() if n.startswith(f"{folder}/") and n.endswith((".ini", ".py"))]
                ports = [int(found[1]) for t in beside if (found := OWN_PORT.search(t)) and int(found[1]) < 65536]
                return ServedModule(name, file, health[1] if health else None, ports[0] if len(ports) == 1 else None)
    return None
