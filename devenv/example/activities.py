"""Public posts, in Postgres."""

from __future__ import annotations

from typing import cast

from typing_extensions import TypedDict

from devenv.example.stores import read


class Activity(TypedDict):
    """One post with its author. Times are UTC, ISO 8601 with microseconds."""

    uuid: str
    display_name: str
    handle: str
    message: str
    replies_count: int
    reposts_count: int
    likes_count: int
    reply_to_activity_uuid: str | None
    expires_at: str | None
    created_at: str


def list_activities(*, before: str | None = None, limit: int | None = None) -> list[Activity]:
    """Activities that have not expired, newest first: all, or `limit` of those older than the one named `before`."""
    query = """
        SELECT a.uuid::text, u.display_name, u.handle, a.message, a.replies_count, a.reposts_count, a.likes_count,
               a.reply_to_activity_uuid::text, a.expires_at, a.created_at
        FROM public.activities a
        JOIN public.users u ON u.uuid = a.user_uuid
        WHERE (a.expires_at IS NULL OR a.expires_at > now())
          AND (%(before)s::uuid IS NULL OR (a.created_at, a.uuid) < (
                SELECT created_at, uuid FROM public.activities WHERE uuid = %(before)s::uuid))
        ORDER BY a.created_at DESC, a.uuid DESC
        LIMIT %(limit)s
    """
    rows = read(query, {"before": before, "limit": limit})
    for row in rows:
        for name in ("expires_at", "created_at"):
            row[name] = row[name] and row[name].isoformat(timespec="microseconds")
    return cast(list[Activity], rows)
