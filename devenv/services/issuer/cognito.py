"""The claims of Amazon Cognito's access and id tokens. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from devenv.config.schema import Token

# The scope of tokens that Cognito's own API gives.
SCOPE: Final = "aws.cognito.signin.user.admin"


def claims_of(
    declared: Token, issuer: str, client: str, person: Mapping[str, str], given: Mapping[str, Any], now: int
) -> dict[str, Any]:
    """The claims of one token. `person` has `sub` and `username`; `given` are those of devenv.toml, which win."""
    known: dict[str, Any] = {
        "sub": person["sub"],
        "iss": issuer,
        "token_use": declared.use,
        "auth_time": now,
        "iat": now,
        "exp": now + declared.seconds,
        "jti": str(uuid.uuid4()),
        "origin_jti": str(uuid.uuid4()),
        "event_id": str(uuid.uuid4()),
    }
    if declared.use == "id":
        known |= {"aud": client, "cognito:username": person["username"], "email_verified": True}
        known |= {"email": person["email"]} if "email" in person else {}
    else:
        known |= {"client_id": client, "username": person["username"], "scope": SCOPE}
    return {**known, **given}
