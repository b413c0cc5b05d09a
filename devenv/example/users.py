"""People, in Postgres."""

from __future__ import annotations

from typing import LiteralString, cast

from typing_extensions import TypedDict

from devenv.example.stores import read


class User(TypedDict):
    """A person as everybody may see them. `uuid` is `users.uuid` as text."""

    uuid: str
    handle: str
    display_name: str


def find_by_handle(*, handle: str) -> User | None:
    """The person with this handle, or None."""
    return find("SELECT uuid::text, handle, display_name FROM public.users WHERE handle = %(value)s", handle)


def find_by_sign_in(*, cognito_user_id: str) -> User | None:
    """The person who signs in with this id; None when it is nobody's, or more than one person's."""
    return find(
        "SELECT uuid::text, handle, display_name FROM public.users WHERE cognito_user_id = %(value)s", cognito_user_id
    )


def find_sign_in_id(*, handle: str) -> str | None:
    """The id that the person with this handle signs in with, or None."""
    rows = read("SELECT cognito_user_id FROM public.users WHERE handle = %(value)s", {"value": handle})
    return str(rows[0]["cognito_user_id"]) if rows else None


def find(query: LiteralString, value: str) -> User | None:
    """The only row that `query` finds for `value`, or None."""
    if "\x00" in value:  # Postgres has no such text: it would refuse the query
        return None
    rows = read(query, {"value": value})
    return cast(User, rows[0]) if len(rows) == 1 else None
