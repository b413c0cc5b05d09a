"""The signing key of a project's local issuer: RSA, RS256 (RFC 8017), made once and kept beside the state.

Plain integers: one key and one signature are all that is needed, and its tokens are valid on this machine only.
"""

from __future__ import annotations

import hashlib
import json
import math
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from devenv.config.issuer import KEY_FILE
from devenv.core.errors import DevenvError
from devenv.host import state
from devenv.host.writing import create_private
from devenv.issuer.jwt import decode_number, encode, encode_number

BITS: Final = 2048
EXPONENT: Final = 65537
# For random candidates of 1024 bits five rounds leave an error below 2^-100 (FIPS 186-5, table B.1).
ROUNDS: Final = 8
# What stands before a SHA-256 hash in a signature (RFC 8017, 9.2).
SHA256: Final = bytes.fromhex("3031300d060960864801650304020105000420")
SMALL_PRIMES: Final = tuple(n for n in range(3, 2000, 2) if all(n % each for each in range(3, math.isqrt(n) + 1, 2)))


class KeptKey(msgspec.Struct, frozen=True):
    """The key's file: a private JSON Web Key."""

    kty: str
    n: str
    e: str
    d: str


@dataclass(frozen=True)
class SigningKey:
    """An RSA key: modulus and private exponent."""

    n: int
    d: int

    @property
    def identifier(self) -> str:
        """Its thumbprint (RFC 7638)."""
        members = {"e": encode_number(EXPONENT), "kty": "RSA", "n": encode_number(self.n)}
        return encode(hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()).decode()

    def public(self) -> dict[str, str]:
        """The public half as a JSON Web Key."""
        return {
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "kid": self.identifier,
            "n": encode_number(self.n),
            "e": encode_number(EXPONENT),
        }

    def sign(self, text: bytes) -> bytes:
        """The RS256 signature of `text`."""
        size = (self.n.bit_length() + 7) // 8
        hashed = SHA256 + hashlib.sha256(text).digest()
        padded = b"\x00\x01" + b"\xff" * (size - len(hashed) - 3) + b"\x00" + hashed
        return pow(int.from_bytes(padded, "big"), self.d, self.n).to_bytes(size, "big")


def make_key() -> SigningKey:
    """A new key; takes about half a second."""
    while True:
        p, q = make_prime(), make_prime()
        if p != q:
            return SigningKey(p * q, pow(EXPONENT, -1, math.lcm(p - 1, q - 1)))


def make_prime() -> int:
    """A random prime of half the key's size, with both top bits set, that fits the exponent."""
    half = BITS // 2
    while True:
        found = secrets.randbits(half) | (3 << (half - 2)) | 1
        if found % EXPONENT != 1 and is_prime(found):
            return found


def is_prime(number: int) -> bool:
    """Miller and Rabin's test of a large odd number."""
    if any(number % small == 0 for small in SMALL_PRIMES):
        return False
    twos = ((number - 1) & -(number - 1)).bit_length() - 1
    odd = (number - 1) >> twos
    for _ in range(ROUNDS):
        found = pow(secrets.randbelow(number - 3) + 2, odd, number)
        if found in (1, number - 1):
            continue
        if not any((found := pow(found, 2, number)) == number - 1 for _ in range(twos - 1)):
            return False
    return True


def place(root: Path) -> Path:
    """Return where the key of the project in `root` is kept, or would be."""
    return state.place(root) / KEY_FILE


def read_key(root: Path) -> SigningKey | None:
    """The key of the project in `root`; None before the first `up`. DevenvError for a file that is no key."""
    file = place(root)
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=KeptKey)
        return SigningKey(decode_number(kept.n), decode_number(kept.d))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, msgspec.DecodeError) as error:
        raise DevenvError(
            f"{file} is no signing key",
            detail=str(error),
            hint=f"rm {file} && devenv down && devenv up  (makes a new one)",
        ) from None


def keep_key(root: Path) -> SigningKey:
    """The key of the project in `root`, made now if there is none, readable by its owner alone."""
    if (found := read_key(root)) is not None:
        return found
    made = make_key()
    kept = KeptKey("RSA", encode_number(made.n), encode_number(EXPONENT), encode_number(made.d))
    create_private(state.folder(root) / KEY_FILE, msgspec.json.encode(kept))
    # Another devenv may have been first.
    return read_key(root) or made
