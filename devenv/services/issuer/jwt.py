"""JSON Web Tokens (RFC 7519) in compact form."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any


def compact(header: Mapping[str, Any], claims: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A token: header, claims and the signature of both, joined with dots."""
    text = b".".join(encode(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    return (text + b"." + encode(sign(text))).decode()


def encode(content: bytes) -> bytes:
    """Base 64 for URLs, without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def encode_number(number: int) -> str:
    """A number of a JSON Web Key (RFC 7518, Base64urlUInt)."""
    return encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).decode()
