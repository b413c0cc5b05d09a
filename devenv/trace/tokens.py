"""Tokens that say who asks: a signed JWT, a column of the user's row, or what the project's own command prints."""

from __future__ import annotations

import hmac
import shlex
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from devenv.config.issuer import ISSUER, client_id
from devenv.config.schema import Settings, Token
from devenv.core.errors import DevenvError, UsageError
from devenv.core.model import Targets
from devenv.core.templates import Unknown, fill
from devenv.services.issuer.jwt import compact
from devenv.trace.layers.services import relation_of
from devenv.trace.question import TraceContext

DIGESTS: Final = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
COMMAND_S: Final = 20.0


def make_token(inquiry: TraceContext, person: Mapping[str, Any]) -> str:
    """A token of this person. DevenvError when the key is not set, or the command fails."""
    declared = inquiry.settings.token
    if declared is None:
        raise DevenvError("a request needs {token}, and devenv.toml has no [token]", hint="devenv help configuration")
    values = inquiry.parameters(person)
    context = inquiry.facts.context
    return made(inquiry.settings, context.targets, context.root, values, inquiry.project_environment)


def made(
    settings: Settings, targets: Targets, root: Path, values: Mapping[str, str], environ: Mapping[str, str]
) -> str:
    """The token of the person in `values`, in the way that `[token]` declares. DevenvError."""
    declared = settings.token
    assert declared is not None  # noqa: S101 - the callers looked
    if declared.column:
        return column_of(declared.column, values)
    if declared.command:
        try:
            return run_command(fill(declared.command, values), environ, root)
        except Unknown as error:
            raise unknown(error) from None
    if declared.issuer:
        return issued(settings, targets, root, values)
    return signed(declared, values, environ)


def column_of(column: str, values: Mapping[str, str]) -> str:
    """The token that stands in the user's own row. DevenvError where the row has none."""
    token = values.get(f"person.{column}")
    if not token:
        raise DevenvError(
            f"{values.get('user', 'this user')} has no {column}: [token] column names a column of [person]'s table",
            hint="devenv help configuration",
        )
    if not token.isprintable():
        raise DevenvError(
            f"the {column} of {values.get('user', 'this user')} cannot be sent: it has control characters"
        )
    return token


def signed(declared: Token, values: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """The JWT that `[token]` declares, of the person in `values`. DevenvError when the key or a claim is not known."""
    key = environ.get(declared.env or "")
    if not key:
        raise DevenvError(f"[token] env = {declared.env!r}: this variable is not set by [env] or [backend] env")
    try:
        return sign(fill(declared.claims, values), key, declared, time.time())
    except Unknown as error:
        raise unknown(error) from None


def issued(settings: Settings, targets: Targets, root: Path, values: Mapping[str, str]) -> str:
    """A token of the project's own issuer, of the person in `values`. DevenvError without a key or a sign-in id."""
    from devenv.services.issuer.cognito import claims_of
    from devenv.services.issuer.key import read_key

    declared, person = settings.token, settings.person
    assert declared is not None  # noqa: S101 - it has an issuer
    key = read_key(root)
    if key is None:
        raise DevenvError("the issuer of [token] has no key yet", hint="devenv up")
    try:
        given = fill(declared.claims, values)
    except Unknown as error:
        raise unknown(error) from None
    own = {} if person is None else {"sub": person.sign_in, "username": person.name, "email": "email"}
    known = {claim: values[f"person.{column}"] for claim, column in own.items() if f"person.{column}" in values}
    known |= {"sub": given["sub"]} if "sub" in given else {}
    if "sub" not in known:
        column = person.sign_in if person else "sub"
        raise DevenvError(
            f"{values.get('user', 'this person')} has no {column}, which a token needs", hint="devenv doctor"
        )
    known.setdefault("username", known["sub"])
    claims = claims_of(declared, targets.url(ISSUER) or "", client_id(settings), known, given, int(time.time()))
    return compact({"kid": key.identifier, "alg": "RS256"}, claims, key.sign)


def unknown(error: Unknown) -> DevenvError:
    """A claim, or a word of the command, that nothing gives a value."""
    return DevenvError(
        f"[token] needs {{{error.name}}}, which is not known",
        detail="known are {user} and {person.COLUMN}, the columns of the user's row that have a value",
        hint="devenv help configuration",
    )


def token_of(settings: Settings, targets: Targets, root: Path, environ: Mapping[str, str], handle: str) -> str:
    """The token of the person with this handle. UsageError when devenv.toml declares none, or nobody has the handle.

    Runs the project's own command if `[token]` has one: the caller asks for trust before.
    """
    from psycopg import sql
    from psycopg.rows import dict_row

    from devenv.stores.postgres import client as postgres
    from devenv.stores.postgres.reader import reading

    person, declared = settings.person, settings.token
    if person is None or declared is None:
        raise UsageError("devenv.toml has no [person] or no [token]", hint="devenv help configuration")
    query = sql.SQL("SELECT * FROM {} WHERE {}::text = %s LIMIT 2").format(
        postgres.name(*relation_of(person.table)), postgres.name(person.name)
    )
    target = targets.postgres
    with reading(target) as connection, postgres.translated(target.address):
        rows = connection.cursor(row_factory=dict_row).execute(query, [handle]).fetchall()
    if len(rows) != 1:
        raise UsageError(
            f"{'no user has' if not rows else 'several users have'} {person.name} `{handle}` in {person.table}",
            hint=shlex.join(["devenv", "db", f"select {person.name} from {person.table}"]),  # noqa: S608 - only shown
        )
    values = {f"person.{name}": str(value) for name, value in rows[0].items() if value is not None}
    values["user"] = handle
    return made(settings, targets, root, values, environ)


def sign(claims: Mapping[str, Any], key: str, declared: Token, now: float) -> str:
    """A JSON Web Token (RFC 7519) with `iat` and `exp`, `now` in epoch seconds."""
    header = {"alg": declared.algorithm, "typ": "JWT"}
    body = {**claims, "iat": int(now), "exp": int(now) + declared.seconds}
    return compact(header, body, lambda text: hmac.digest(key.encode(), text, DIGESTS[declared.algorithm]))


def run_command(command: list[str], environ: Mapping[str, str], root: Path) -> str:
    """The last line that the project's command prints."""
    try:
        done = subprocess.run(
            command,
            env=dict(environ),
            cwd=root,
            capture_output=True,
            timeout=COMMAND_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DevenvError(f"[token] command: {command[0]} cannot be run", detail=str(error)) from None
    lines = done.stdout.decode("utf-8", "replace").split()
    if done.returncode != 0 or not lines:
        detail = done.stderr.decode("utf-8", "replace")[-500:]
        raise DevenvError(f"[token] command: {command[0]} printed no token", detail=detail)
    return lines[-1]
