"""How the application identifies users: tokens of Amazon Cognito, by the variables that it reads. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from devenv.init.survey import Survey

COGNITO: Final = re.compile(r"COGNITO|USER_?POOL")
# The first that fits a variable's name gives its placeholder.
PLACES: Final = (
    (re.compile(r"JWKS"), "{token_jwks_url}"),
    (re.compile(r"ISSUER|AUTHORITY"), "{token_issuer}"),
    (re.compile(r"CLIENT_?ID|AUDIENCE"), "{token_client_id}"),
    (re.compile(r"POOL_?ID|USER_?POOL$"), "{token_user_pool}"),
)
ADDRESSES: Final = frozenset(["{token_jwks_url}", "{token_issuer}"])
# As Cognito writes the id of a user pool.
POOL: Final = re.compile(r"([a-z]{2}(?:-[a-z]+)+-\d)_[0-9A-Za-z]+")
# The variable that is proposed where the code takes the keys from AWS' own address.
KEYS: Final = "COGNITO_JWKS_URL"
VERIFIER: Final = "aws-jwt-verify"


@dataclass(frozen=True)
class FoundSignIn:
    """The application checks tokens of Cognito. `variables` are those that tell it of whom, with their placeholders.

    `movable`: one of them is an address, so that another issuer can stand there. `evidence` is a file with its line.
    `user_pool` and `client_id` are those of a file that people share. `verifies`: the library that has the address.
    """

    variables: Mapping[str, str]
    movable: bool
    use: Literal["access", "id"]
    evidence: str
    user_pool: str | None = None
    client_id: str | None = None
    verifies: str | None = None

    @property
    def stands_in(self) -> bool:
        """True if tokens of devenv's issuer can pass: its address is a variable, or their issuer is known."""
        return self.movable or self.user_pool is not None

    @property
    def issuer(self) -> str | None:
        """The issuer that the code's own address stands for."""
        pool = POOL.fullmatch(self.user_pool or "")
        return None if pool is None else f"https://cognito-idp.{pool[1]}.amazonaws.com/{self.user_pool}"


def find_sign_in(survey: Survey) -> FoundSignIn | None:
    """The sign-in by tokens; None when no variable speaks of Cognito."""
    read = {name: f"{code.file}:{line}" for code in survey.code for name, line in code.variables.items()}
    application = survey.compose.application if survey.compose else None
    given = {**survey.variables, **(application.environment if application else {})}
    names = [name for name in {**read, **given} if not name.startswith(("REACT_APP_", "VITE_", "NEXT_PUBLIC_"))]
    if not any(COGNITO.search(name.upper()) or "cognito-idp" in (given.get(name) or "") for name in names):
        return None
    places = {name: place for name in names if (place := place_of(name))}
    if not places:
        return None
    audience = any(code.checks_audience for code in survey.code)
    evidence = next((read[name] for name in places if name in read), next(iter(places)))
    shared = {place: value for name, place in places.items() if (value := survey.shared.get(name))}
    pool = shared.get("{token_user_pool}", "")
    library = any(VERIFIER in manifest.packages for manifest in survey.manifests)
    return FoundSignIn(
        variables=places,
        movable=bool(ADDRESSES & set(places.values())),
        use=survey.token_use or ("id" if audience else "access"),
        evidence=evidence,
        user_pool=pool if POOL.fullmatch(pool) else None,
        client_id=shared.get("{token_client_id}"),
        verifies=VERIFIER if library else None,
    )


def place_of(name: str) -> str | None:
    """The placeholder of a variable, by its name."""
    return next((place for words, place in PLACES if words.search(name.upper())), None)
