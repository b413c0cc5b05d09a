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


@dataclass(frozen=True)
class FoundSignIn:
    """The application checks tokens of Cognito. `variables` are those that tell it of whom, with their placeholders.

    `movable`: one of them is an address, so that another issuer can stand there. `evidence` is a file with its line.
    """

    variables: Mapping[str, str]
    movable: bool
    use: Literal["access", "id"]
    evidence: str


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
    return FoundSignIn(places, bool(ADDRESSES & set(places.values())), "id" if audience else "access", evidence)


def place_of(name: str) -> str | None:
    """The placeholder of a variable, by its name."""
    return next((place for words, place in PLACES if words.search(name.upper())), None)
