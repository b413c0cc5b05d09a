"""The issuer's key and tokens, read by PyJWT as an application reads them."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from devenv.config.schema import Token
from devenv.core.errors import DevenvError
from devenv.services.issuer.cognito import claims_of
from devenv.services.issuer.jwt import compact
from devenv.services.issuer.key import SigningKey, keep_key, make_key, place, read_key

POOL = "http://127.0.0.1:20001/us-east-1_devenv"
# A key, but not of RSA.
OTHER = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
ANNA = {"sub": "9f3c", "username": "anna"}


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return make_key()


def test_a_signature_is_valid_for_its_text_only(key: SigningKey) -> None:
    public = jwt.PyJWK(key.published())
    assert public.key.key_size == 2048
    token = compact({"alg": "RS256", "kid": key.identifier}, {"sub": "1"}, key.sign)
    assert jwt.decode(token, public, algorithms=["RS256"]) == {"sub": "1"}
    head, _, signature = token.split(".")
    other = compact({"alg": "RS256"}, {"sub": "2"}, lambda text: b"").split(".")[1]
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(f"{head}.{other}.{signature}", public, algorithms=["RS256"])


def test_the_public_half_has_no_private_number(key: SigningKey) -> None:
    assert set(key.published()) == {"kty", "alg", "use", "kid", "n", "e"}


def test_the_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    assert read_key(tmp_path) is None
    assert not place(tmp_path).exists()
    with ThreadPoolExecutor(2) as pool:
        made = [*pool.map(keep_key, [tmp_path, tmp_path]), read_key(tmp_path), keep_key(tmp_path)]
    assert len({each.identifier for each in made if each}) == 1
    assert None not in made
    assert stat.S_IMODE(place(tmp_path).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", OTHER]
)
def test_a_damaged_key_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".devstate").mkdir(mode=0o700)
    place(tmp_path).write_bytes(content)
    with pytest.raises(DevenvError, match="is not a signing key") as found:
        keep_key(tmp_path)
    assert str(place(tmp_path)) in str(found.value.hint)


def test_the_claims_of_an_access_token() -> None:
    claims = claims_of(Token(issuer="cognito", seconds=60), POOL, "web", ANNA, {"cognito:groups": "admin"}, 1000)
    assert {name: claims[name] for name in ("sub", "iss", "token_use", "client_id", "username", "exp", "iat")} == {
        "sub": "9f3c",
        "iss": POOL,
        "token_use": "access",
        "client_id": "web",
        "username": "anna",
        "exp": 1060,
        "iat": 1000,
    }
    assert claims["cognito:groups"] == "admin"
    # An access token of Cognito has no audience.
    assert "aud" not in claims


def test_the_claims_of_an_id_token_and_those_that_replace_them() -> None:
    declared = Token(issuer="cognito", use="id")
    claims = claims_of(declared, POOL, "web", {**ANNA, "email": "a@example.com"}, {"email_verified": False}, 1000)
    assert (claims["aud"], claims["token_use"], claims["cognito:username"]) == ("web", "id", "anna")
    assert (claims["email"], claims["email_verified"]) == ("a@example.com", False)
    assert not {"client_id", "username", "scope"} & set(claims)
