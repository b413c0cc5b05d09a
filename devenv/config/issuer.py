"""The local issuer of sign-in tokens (`[token] issuer`): its service, its names and its placeholders. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from devenv.config.schema import Settings

# The service's name in `status`, `logs` and `depends_on`.
ISSUER: Final = "issuer"
# Below the issuer's own address, as of any OpenID provider.
JWKS: Final = "/.well-known/jwks.json"
CONFIGURATION: Final = "/.well-known/openid-configuration"
PLACES: Final = ("token_issuer", "token_jwks_url", "token_client_id", "token_user_pool")
CLIENT: Final = "devenv"
# The signing key, in the state folder.
KEY_FILE: Final = "issuer-key.pem"


def has_issuer(settings: Settings) -> bool:
    """Return True if devenv serves an issuer for this project."""
    return settings.token is not None and settings.token.issuer is not None


def user_pool(settings: Settings) -> str:
    """The user pool's id, as Cognito writes it: region, underscore, name."""
    named = settings.token.user_pool if settings.token else None
    return named or f"{settings.dynamodb.region}_devenv"


def client_id(settings: Settings) -> str:
    """The id of the application's client in the user pool."""
    return (settings.token.client_id if settings.token else None) or CLIENT


def token_places(settings: Settings, issuer: str) -> Mapping[str, str]:
    """Placeholder -> value, of a project with an issuer at this address."""
    values = (issuer, issuer + JWKS, client_id(settings), user_pool(settings))
    return dict(zip(PLACES, values, strict=True))
