"""Credentials in the segments of a path: distinguished from ids, slugs, dates and hashes by their form. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from itertools import pairwise
from typing import Final
from urllib.parse import unquote

from devenv.config.masking import is_secret_name, mask_text
from devenv.core.late import late

# What may be part of a token; others (`.`, `:`, …) stand between the parts of one.
PART: Final = late(r"[A-Za-z0-9_+/=~-]+")
HEX: Final = late(r"[0-9a-f]+|[0-9A-F]+")
# Identifiers whose form is a standard: uuid (without dashes by its version), ULID, and MongoDB's ObjectId, which begins
# with a time.
IDENTIFIER: Final = late(
    r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}|[0-9A-Fa-f]{12}[1457][0-9A-Fa-f]{3}[89ABab][0-9A-Fa-f]{15}"
    r"|[0-7][0-9A-HJKMNP-TV-Z]{25}|[4-7][0-9a-f]{23}"
)
# `cus_`, `pi_`, `user_`: the kind of an id. Those of secrets are known to config/masking.py.
KIND: Final = late(r"(?:[a-z]{2,10}_){1,2}(?=[A-Za-z0-9])")
ASSET: Final = late(r"\.(?:js|mjs|css|map|woff2?|ttf|png|jpe?g|gif|svg|ico|webp|avif)$")
# Behind one of these, two segments far, a shorter token counts, and a hash is one.
ANNOUNCING: Final = frozenset(
    ["reset", "verify", "verification", "confirm", "confirmation", "activate", "activation", "invite", "invitation",
     "invitations", "unsubscribe", "magic", "token", "tokens", "key", "keys", "apikey", "apikeys", "secret", "secrets",
     "password", "passwords", "recover", "recovery", "login", "signin", "oauth", "hook", "hooks", "webhook", "webhooks"]
)  # fmt: skip
# Where nothing announces one: longer than the ids of Firebase (28), KSUID (27), nanoid (21); cuid2 has up to 32.
LONG: Final = 30
LONG_OF_ONE_CASE: Final = 32
ANNOUNCED: Final = 16
# How many neighbours of a hundred break a word: 45 in a random text of three kinds of characters, 20 in words that are
# written together; of one case 30 or 40, and in words with numbers a few.
MIXED: Final = 0.24
OF_ONE_CASE: Final = 0.12


def is_announcing(segment: str) -> bool:
    """Return True for a segment behind which a credential may stand: `reset-password`, `api_keys`."""
    return not ANNOUNCING.isdisjoint(re.split(r"[-_.]", segment.lower()))


def is_credential(segment: str, *, announced: bool) -> bool:
    """Return True if a segment looks like a secret. `announced`: it stands behind a segment that says so.

    A token of fewer than 30 characters that nothing announces passes for an id; so does a hash.
    """
    text = unquote(segment)
    name, given, value = text.partition("=")
    if mask_text(text) != text or (given and value and is_secret_name(name)):
        return True
    if ASSET.search(text):
        return False
    return any(is_random(part, announced) for part in PART.findall(text))


def is_random(part: str, announced: bool) -> bool:
    """Return True if a part of a segment was made by chance, and not to be an id."""
    if IDENTIFIER.fullmatch(part):
        return False
    if named := KIND.match(part):
        part = part[named.end() :]
    if len(part) < (ANNOUNCED if announced else LONG) or part.isdecimal() or says_something(part):
        return False
    digits = any(map(str.isdigit, part))
    if HEX.fullmatch(part):
        return announced and digits and not part.isdigit()
    if part not in (part.lower(), part.upper()):
        return changes(part) >= MIXED
    whole = not re.search(r"[_~-]", part)
    if announced:
        return digits and (changes(part) >= OF_ONE_CASE or has_hash(part))
    return digits and whole and len(part) >= LONG_OF_ONE_CASE and changes(part) >= OF_ONE_CASE


def has_hash(part: str) -> bool:
    """Return True for a part like Django's `c2vd5e-6e1b1a6ddd2f0a2a0e1b8c4fd5ff3a6d`."""
    return any(len(each) >= ANNOUNCED and HEX.fullmatch(each) for each in part.split("-"))


def changes(part: str) -> float:
    """How often a character is of another kind than the one before, of 1. A word's beginning and end are no change."""
    pairs = [(kind(one), kind(other)) for one, other in pairwise(part)]
    breaks = sum(one != other and (one, other) != ("upper", "lower") for one, other in pairs if one and other)
    return breaks / max(len(pairs), 1)


def kind(character: str) -> str:
    """Upper, lower, digit, or "" for another."""
    if character.isdigit():
        return "digit"
    return "upper" if character.isupper() else "lower" if character.islower() else ""


def says_something(part: str) -> bool:
    """Return True for base64 of a readable text: `VXNlcjox…`, the id of a GraphQL node or of a page."""
    bare = part.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True).decode("ascii").isprintable()
    except (binascii.Error, UnicodeDecodeError):
        return False
