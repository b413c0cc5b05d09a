"""People, in Postgres."""

from __future__ import annotations

from typing import Any, LiteralString, cast

from typing_extensions import TypedDict

from devenv.example.stores import postgres


class User(TypedDict):
    """A person as everybody may see them. `uuid` is `users.uuid` as text."""

    uuid: str
    handle: str
    display_name: str


def find_by_handle(*, handle: str) -> User | None:
    """The person with this handle, or None."""
    return find("SELECT uuid::text, handle, display_name FROM public.users WHERE handle = %s", handle)


def find_by_sign_in(*, cognito_user_id: str) -> User | None:
    """The person who signs in with this id; None when it is nobody's, or more than one person's."""
    return find("SELECT uuid::text, handle, display_name FROM public.users WHERE cognito_user_id = %s", cognito_user_id)


def find_sign_in_id(*, handle: str) -> str | None:
    """The id that the person with this handle signs in with, or None."""
    with postgres() as connection:
        row = connection.execute("SELECT cognito_user_id FROM public.users WHERE handle = %s", [handle]).fetchone()
    return str(row["cognito_user_id"]) if row else None


def find(query: LiteralString, value: str) -> User | None:
    """The only row that `query` finds for `value`, or None."""
    if "\x00" in value:  # Postgres has no such text: it would refuse the query
        return None
    with postgres() as connection:
        rows: list[dict[str, Any]] = connection.execute(query, [value]).fetchall()
    return cast(User, rows[0]) if len(rows) == 1 else None
