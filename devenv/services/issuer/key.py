"""The signing key of a project's local issuer: RSA for RS256 (RFC 7518, 3.3), made once and kept beside the state."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from devenv.config.issuer import KEY_FILE
from devenv.core.errors import DevenvError
from devenv.host import state
from devenv.host.writing import create_private
from devenv.services.issuer.jwt import encode, encode_number

BITS: Final = 2048
EXPONENT: Final = 65537


@dataclass(frozen=True)
class SigningKey:
    """An RSA key."""

    private: rsa.RSAPrivateKey

    @property
    def identifier(self) -> str:
        """Its thumbprint (RFC 7638)."""
        members = json.dumps(self.public(), separators=(",", ":"), sort_keys=True)
        return encode(hashlib.sha256(members.encode()).digest()).decode()

    def public(self) -> dict[str, str]:
        """The numbers of the public half as a JSON Web Key."""
        numbers = self.private.public_key().public_numbers()
        return {"kty": "RSA", "n": encode_number(numbers.n), "e": encode_number(numbers.e)}

    def published(self) -> dict[str, str]:
        """The public half as a key set names it."""
        return {**self.public(), "alg": "RS256", "use": "sig", "kid": self.identifier}

    def sign(self, text: bytes) -> bytes:
        """The RS256 signature of `text`."""
        return self.private.sign(text, padding.PKCS1v15(), hashes.SHA256())


def make_key() -> SigningKey:
    """A new key."""
    return SigningKey(rsa.generate_private_key(public_exponent=EXPONENT, key_size=BITS))


def place(root: Path) -> Path:
    """Return where the key of the project in `root` is kept, or would be."""
    return state.place(root) / KEY_FILE


def read_key(root: Path) -> SigningKey | None:
    """The key of the project in `root`; None before the first `up`. DevenvError for a file that is no key."""
    file = place(root)
    try:
        found = serialization.load_pem_private_key(file.read_bytes(), None)
    except FileNotFoundError:
        return None
    except (OSError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise no_key(file, str(error)) from None
    if not isinstance(found, rsa.RSAPrivateKey):
        raise no_key(file, "it is not an RSA key")
    return SigningKey(found)


def no_key(file: Path, why: str) -> DevenvError:
    """The error for a file that is no key."""
    hint = f"rm {file} && devenv down && devenv up  (makes a new one)"
    return DevenvError(f"{file} is not a signing key", detail=why, hint=hint)


def keep_key(root: Path) -> SigningKey:
    """The key of the project in `root`, made now if there is none, readable by its owner alone."""
    if (found := read_key(root)) is not None:
        return found
    made = make_key()
    kept = made.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    create_private(state.folder(root) / KEY_FILE, kept)
    # Another devenv may have been first.
    return read_key(root) or made
