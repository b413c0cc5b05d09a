"""Functions that answer the requests of an API gateway with a router of their own, and no server does. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Final

from devenv.core.late import late
from devenv.init.listing import SCRIPTS
from devenv.init.text_code import line_of

TESTS: Final = late(r"(^|/)(?:tests?|__tests__|spec)/|\.(?:test|spec)\.|(^|/)test_")
HANDLER: Final = late(
    r"(?m)^(?:exports\.(\w*[hH]andler)\s*=|export\s+(?:const|async\s+function|function)\s+(\w*[hH]andler)\b|(?:async\s+)?def\s+"
    r"(\w*handler)\s*\(\s*event\b)"
)
ASKED: Final = late(r"\b(?:rawPath|httpMethod|requestContext)\b|\bevent\s*(?:\.\s*|\[\s*['\"]|\.get\(\s*['\"])path\b")


def gateway_functions(texts: Mapping[str, str]) -> Iterator[str]:
    """Sentences about such functions, with the script of the project that calls one."""
    for file, text in texts.items():
        if not file.endswith((*SCRIPTS, ".py")) or TESTS.search(file):
            continue
        found, asked = HANDLER.search(text), ASKED.search(text)
        if found is None or asked is None:
            continue
        name = found[1] or found[2] or found[3]
        module = re.escape(posixpath.splitext(posixpath.basename(file))[0])
        calling = re.compile(rf"(?:require|import|from)\b[^\n;]*\b{module}\b")
        callers = [
            other
            for other, code in texts.items()
            if other != file and other.endswith((*SCRIPTS, ".py")) and calling.search(code) and f"{name}(" in code
        ]
        called = f" {callers[0]} calls it." if callers else ""
        yield (
            f"[backend]: {file}:{line_of(text, found.start())} {name} answers the requests of an API gateway"
            f" (`{asked[0]}`), and nothing here serves it over HTTP.{called} To trace it, declare [backend] with a"
            " command that does"
        )
