"""The table of people in SQL: how it is recognised, and which of its columns name a person. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from devenv.core.late import late
from devenv.init.entities import ID_NAMES, singular, snake

if TYPE_CHECKING:
    from devenv.init.propose import FoundLink
    from devenv.init.sql_tables import DeclaredTable

PEOPLE: Final = frozenset(
    [
        *("user", "account", "person", "people", "member", "staff", "employee", "customer", "client", "profile"),
        *("student", "teacher", "driver", "patron", "reader", "author", "owner", "player", "worker", "volunteer"),
        *("resident", "citizen", "subscriber", "contact", "operator", "agent", "patient", "guest", "buyer", "seller"),
    ]
)
# Tables that are called so are the users, whether or not a link leads to them.
USERS: Final = ("users", "user", "accounts", "people")
HANDLES: Final = ("handle", "username", "user_name", "login")
# Columns that only people have: none of them names a thing.
PERSONAL: Final = (
    *(*HANDLES, "email", "email_address", "e_mail", "password", "password_hash", "hashed_password", "first_name"),
    *("last_name", "full_name", "given_name", "family_name", "surname", "birthday", "birth_date", "date_of_birth"),
)
NATURAL: Final = (*HANDLES, "email", "code", "slug", "name")
SIGN_IN: Final = late(
    r"((aws_)?cognito|auth0?|idp|oidc|oauth|sso|keycloak|okta|firebase|clerk|supabase)_(user_?)?(id|sub|uuid|uid|subject)"
    r"|(user_)?sub|external_id"
)


def find_person(
    tables: Iterable[DeclaredTable], links: Iterable[FoundLink], authenticated: Iterable[str] = ()
) -> tuple[DeclaredTable, str, str, str | None] | None:
    """(table, id, name, sign-in) of the table of people: the one that is called so; or that most links lead to, of
    those with a column that people sign in with, if there are any. None without a table that shows that it has people.

    `authenticated` are the tables in which code looks up the owner of a token.
    """
    tables, authenticated = list(tables), set(authenticated)
    led = [link.target.name for link in links]
    ranked = sorted(
        tables,
        key=lambda t: (
            t.name not in USERS,
            not (sign_in_column(t) or any(t.column(name) for name in (*HANDLES, "email"))),
            -led.count(t.name),
        ),
    )
    for table in ranked:
        named = [f"{singular(table.name)}_{each}" for each in ID_NAMES]
        id_ = next((c.name for c in table.columns if c.name in ID_NAMES or (c.primary and c.name in named)), None)
        name = next((n for n in NATURAL if table.column(n)), None)
        shown = table.name in authenticated or (shows_people(table) and not (name == "name" and is_bare(table)))
        if id_ and name and shown and (table.name in led or table.name in USERS):
            return table, id_, name, sign_in_column(table)
    return None


def shows_people(table: DeclaredTable) -> bool:
    """Return True for a table with the name of people, or with a column that only people have."""
    signing = sign_in_column(table)
    personal = any(snake(column.name) in PERSONAL for column in table.columns)
    # `external_id` alone is that of a thing, too.
    return is_called_people(table) or personal or (signing is not None and snake(signing) != "external_id")


def is_bare(table: DeclaredTable) -> bool:
    """Return True for a table that is not called users and has no column that only people have: `agents (id, name)`."""
    personal = any(snake(column.name) in PERSONAL for column in table.columns)
    return table.name not in USERS and not personal and sign_in_column(table) is None


def is_called_people(table: DeclaredTable) -> bool:
    """Return True for `members` and `app_users`."""
    words = {singular(word) for word in snake(table.name).split("_")}
    return singular(snake(table.name)) in PEOPLE or bool(words & {"user", "account", "person"})


def is_people(table: DeclaredTable) -> bool:
    """Return True for a table of people that an attribute may refer to by its name alone: a unique column tells."""
    unique = [column.name for column in table.columns if column.unique]
    signing = sign_in_column(table) or any(name in (*HANDLES, "email") for name in unique)
    return is_called_people(table) or bool(signing)


def sign_in_column(table: DeclaredTable) -> str | None:
    """The column with what a token of an identity provider carries: `cognito_sub`, `auth0_id`; Cognito's first."""
    found = [column.name for column in table.columns if SIGN_IN.fullmatch(snake(column.name))]
    return next((name for name in found if "cognito" in name.lower()), next(iter(found), None))


def is_person(name: str, table: DeclaredTable) -> bool:
    """Return True if a parameter is the id of who asks: `user_uuid`, `my_user_uuid`."""
    name = snake(name)
    return any(name == w or name.endswith(f"_{w}") for w in (f"{singular(table.name)}_{i}" for i in ID_NAMES))
