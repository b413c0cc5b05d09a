"""Identifies the caller: bearer tokens, JWT signed with the project's development key. `sub` is the sign-in id.

`python -m devenv.example.auth HANDLE` prints one for the person with that handle, for use with curl.
"""

from __future__ import annotations

import sys
import time

import jwt

from devenv.example.settings import settings
from devenv.example.users import find_sign_in_id

ALGORITHM = "HS256"


def issue_token(*, cognito_user_id: str, seconds: int = 3600) -> str:
    """A token for the person who signs in with this id, valid for `seconds`."""
    return jwt.encode({"sub": cognito_user_id, "exp": int(time.time()) + seconds}, settings().auth_secret, ALGORITHM)


def read_token(token: str) -> str:
    """The sign-in id in a token. jwt.InvalidTokenError when it is forged, expired, or not a token."""
    # The algorithm is ours to choose: a token that could name its own would name "none".
    claims = jwt.decode(token, settings().auth_secret, [ALGORITHM], {"require": ["sub", "exp"]})
    return str(claims["sub"])


def main(arguments: list[str]) -> int:
    """Print a token for the person whose handle is the only argument. 2 without one, 1 for an unknown handle."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m devenv.example.auth HANDLE\n")
        return 2
    if (cognito_user_id := find_sign_in_id(handle=arguments[0])) is None:
        sys.stderr.write(f"no user has the handle {arguments[0]!r}\n")
        return 1
    sys.stdout.write(issue_token(cognito_user_id=cognito_user_id) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
