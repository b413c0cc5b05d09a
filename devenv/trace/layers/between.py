"""Things between the application and its client that change an answer, as its headers and body show. Pure."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from typing import Final

from devenv.core.late import late

# A cache says in one of these that it answered itself (RFC 9211, and what came before it).
HITS: Final = ("cache-status", "x-cache", "x-cache-status", "x-proxy-cache", "cf-cache-status", "x-varnish-cache")
HIT: Final = late(r"\bhit\b", re.IGNORECASE)
PAIRS: Final = {b"[": b"]", b"{": b"}"}
UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
NO_HIT: Final = late(r"\bmiss\b|\bfwd=", re.IGNORECASE)


def no_json(body: bytes, error: Exception) -> str:
    """Why a body is no JSON, and where: what cut it, or encoded it otherwise, stands between, too."""
    if body[:2] in UTF_16:
        return "it is UTF-16, not UTF-8"
    text = body.strip()
    closing = PAIRS.get(text[:1])
    if closing is not None and not text.endswith(closing):
        return f"it is cut off: its JSON has no end after {len(body)} bytes"
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 (byte {error.start})"
    place = f" (character {error.pos})" if isinstance(error, json.JSONDecodeError) and error.pos else ""
    return f"it is not JSON{place}"


def kept_by_cache(headers: Mapping[str, str]) -> str | None:
    """The headers that say a cache has answered: `x-cache: HIT, age: 17`; None where none does (RFC 9111, 5.1)."""
    told = [
        f"{name}: {text}"
        for name in HITS
        if (text := headers.get(name)) and HIT.search(text) and not NO_HIT.search(text)
    ]
    if (age := headers.get("age", "").strip()).isdecimal() and int(age) > 0:
        told.append(f"age: {age}")
    return ", ".join(told) or None
