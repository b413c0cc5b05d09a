"""Conversations and their messages, in one DynamoDB table.

| item | pk | sk | says |
| --- | --- | --- | --- |
| group row, one per member | `GRP#<owner's uuid>` | time of the last message | that message, the **other** person |
| message | `MSG#<message group uuid>` | time of the message | the message, its **sender** |

Only group rows carry `message_group_uuid`, so the index on it holds the two rows of each conversation and nothing
else. Times are text, UTC and of fixed width, so that the order of text is the order of time.
"""

from __future__ import annotations

import functools
import random
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError
from typing_extensions import TypedDict

from devenv.example.settings import settings
from devenv.example.stores import PATIENCE, THROTTLED, Busy, dynamodb, patiently, plain, postgres
from devenv.example.users import User

INDEX = "message-group-sk-index"
RETRY_REASONS = {"None", "ConditionalCheckFailed", "TransactionConflict", *THROTTLED}

Item = dict[str, Any]  # with DynamoDB's type tags
Write = dict[str, Any]  # one entry of TransactItems


class UnknownGroup(Exception):
    """No conversation has this uuid."""


class NotAMember(Exception):
    """The conversation is other people's."""


class Message(TypedDict):
    """A line of a list. Of a message: its uuid and sender. Of a conversation: its uuid and the other person."""

    uuid: str
    display_name: str
    handle: str
    message: str
    created_at: str


class SentMessage(Message):
    """A stored message and the conversation that it is in."""

    message_group_uuid: str


def list_conversations(*, user_uuid: str, before: str | None = None, limit: int | None = None) -> list[Message]:
    """The user's conversations, newest first: all, or `limit` of those whose last message is older than `before`."""
    return [line(item, item["message_group_uuid"]) for item in newest(f"GRP#{user_uuid}", before, limit)]


def list_messages(*, message_group_uuid: str, before: str | None = None, limit: int | None = None) -> list[Message]:
    """Messages of a conversation, oldest first: all, or the newest `limit` of those older than `before`."""
    items = newest(f"MSG#{message_group_uuid}", before, limit)
    return [line(item, item["message_uuid"]) for item in reversed(items)]


def require_member(*, message_group_uuid: str, user_uuid: str) -> None:
    """Return when the user takes part in the conversation, else raise UnknownGroup or NotAMember."""
    members(message_group_uuid, user_uuid)


def send_message(*, message_group_uuid: str, sender: User, message: str) -> SentMessage:
    """Add a message to a conversation: all of it is stored, or nothing. UnknownGroup, NotAMember, Busy."""

    def plan() -> tuple[SentMessage, list[Write]]:
        rows = members(message_group_uuid, sender["uuid"])
        sent = new_message(message_group_uuid, sender, message, after=max(row["sk"]["S"] for row in rows))
        change = {"sk": {"S": sent["created_at"]}, "message": {"S": message}}
        # The time is part of the key, so a group row moves by being deleted and put again. Whoever deletes first
        # wins; the condition sends everybody else back to read where the rows are now.
        moved = {row["pk"]["S"]: {**row, **change} for row in rows}
        if settings().group_rows == "stream":
            return sent, [put_message(sent, sender)]
        return sent, [*map(delete, rows), *map(put, moved.values()), put_message(sent, sender)]

    return write(plan)


def start_conversation(*, sender: User, other: User, message: str) -> SentMessage:
    """Send a message to a person, in the conversation with them or else in a new one. Busy."""
    pair = ":".join(sorted([sender["uuid"], other["uuid"]]))
    with postgres() as connection:
        # Of two who start at once, one starts and the other finds. DynamoDB has no key that both would write,
        # so Postgres keeps them apart: the lock is released at the end of the block.
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [pair])
        group = find_conversation(sender["uuid"], other["uuid"])
        if group is None:
            return create_conversation(sender, other, message)
    return send_message(message_group_uuid=group, sender=sender, message=message)


def create_conversation(sender: User, other: User, message: str) -> SentMessage:
    """Two group rows and the first message in one transaction."""
    group = str(uuid.uuid4())

    def plan() -> tuple[SentMessage, list[Write]]:
        sent = new_message(group, sender, message)
        rows = [
            {
                "pk": {"S": f"GRP#{owner['uuid']}"},
                "sk": {"S": sent["created_at"]},
                "message_group_uuid": {"S": group},
                "message": {"S": message},
                **copies(partner),
            }
            for owner, partner in ((sender, other), (other, sender))
        ]
        return sent, [*map(put, rows), put_message(sent, sender)]

    return write(plan)


def find_conversation(user_uuid: str, other_uuid: str) -> str | None:
    """The uuid of the conversation between the two, or None."""
    for item in newest(f"GRP#{user_uuid}"):
        if item["user_uuid"] == other_uuid:
            return str(item["message_group_uuid"])
    return None


def members(message_group_uuid: str, user_uuid: str) -> list[Item]:
    """The group rows of a conversation, oldest first. UnknownGroup; NotAMember unless one of them is the user's."""
    for pause in (0.05, 0.0):
        rows = group_rows(message_group_uuid)
        if len({row["pk"]["S"] for row in rows}) == 2:
            break
        time.sleep(pause)  # on AWS the index follows the table a moment later: a row on the move can be out of sight
    if not rows:
        raise UnknownGroup
    if all(row["pk"]["S"] != f"GRP#{user_uuid}" for row in rows):
        raise NotAMember
    return rows


def group_rows(message_group_uuid: str) -> list[Item]:
    """The group rows of a conversation, oldest first."""
    return query(
        IndexName=INDEX,
        KeyConditionExpression="message_group_uuid = :group",
        ExpressionAttributeValues={":group": {"S": message_group_uuid}},
    )


def newest(pk: str, before: str | None = None, limit: int | None = None) -> list[dict[str, Any]]:
    """Plain items under one key, newest first: all, or `limit` of those whose `sk` is less than `before`."""
    condition, values = "pk = :pk", {":pk": {"S": pk}}
    if before is not None:
        condition, values[":before"] = "pk = :pk AND sk < :before", {"S": before}
    items = query(
        limit,
        KeyConditionExpression=condition,
        ExpressionAttributeValues=values,
        ScanIndexForward=False,
        ConsistentRead=True,  # what was just sent is there
    )
    return [plain(item) for item in items]


def query(limit: int | None = None, **request: Any) -> list[Item]:
    """The items that a Query finds, `limit` items at most.

    DynamoDB answers 1 MB at a time; the paginator asks for the rest.
    """
    paginator = dynamodb().get_paginator("query")
    pages = paginator.paginate(
        TableName=settings().table, PaginationConfig={"MaxItems": limit, "PageSize": limit}, **request
    )
    return patiently(lambda: [item for page in pages for item in page["Items"]])


def line(item: dict[str, Any], identity: str) -> Message:
    """A plain item as the list shows it."""
    return {
        "uuid": identity,
        "display_name": item["user_display_name"],
        "handle": item["user_handle"],
        "message": item["message"],
        "created_at": item["sk"],
    }


def new_message(group: str, sender: User, text: str, after: str = "") -> SentMessage:
    """A message from now, or from a microsecond after `after` when the clock has not got there yet."""
    created_at = datetime.now(UTC).isoformat(timespec="microseconds")
    if created_at <= after:
        later = datetime.fromisoformat(after).astimezone(UTC) + timedelta(microseconds=1)
        created_at = later.isoformat(timespec="microseconds")
    return {
        "uuid": str(uuid.uuid4()),
        "display_name": sender["display_name"],
        "handle": sender["handle"],
        "message": text,
        "created_at": created_at,
        "message_group_uuid": group,
    }


def put_message(sent: SentMessage, sender: User) -> Write:
    """The write that stores a new message."""
    return put(
        {
            "pk": {"S": f"MSG#{sent['message_group_uuid']}"},
            "sk": {"S": sent["created_at"]},
            "message_uuid": {"S": sent["uuid"]},
            "message": {"S": sent["message"]},
            **copies(sender),
        }
    )


def copies(user: User) -> Item:
    """Return what an item repeats of a person, because DynamoDB has no join."""
    return {
        "user_uuid": {"S": user["uuid"]},
        "user_display_name": {"S": user["display_name"]},
        "user_handle": {"S": user["handle"]},
    }


def put(item: Item) -> Write:
    """Put an item where none is."""
    return {"Put": {"TableName": settings().table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}}


def delete(item: Item) -> Write:
    """Delete an item that must still be there."""
    key = {"pk": item["pk"], "sk": item["sk"]}
    return {"Delete": {"TableName": settings().table, "Key": key, "ConditionExpression": "attribute_exists(pk)"}}


def write(plan: Callable[[], tuple[SentMessage, list[Write]]]) -> SentMessage:
    """Make a plan and write it in one transaction; when someone else was faster, plan again. Busy after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    pause = 0.01
    while True:
        sent, writes = plan()
        try:
            patiently(functools.partial(dynamodb().transact_write_items, TransactItems=writes))
            return sent
        except ClientError as error:
            reasons = {reason["Code"] for reason in error.response.get("CancellationReasons", [])}
            if not reasons or reasons - RETRY_REASONS:
                raise
        if time.monotonic() > deadline:
            raise Busy
        time.sleep(random.uniform(0, pause))
        pause = min(2 * pause, 0.5)
