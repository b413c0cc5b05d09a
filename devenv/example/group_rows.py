"""The second way to keep group rows right: a function on the table's stream, as AWS Lambda runs it.

With `GROUP_ROWS=stream` the application stores a message only; this moves the conversation's two group rows to the
newest message's time and gives them its text, once a batch. It may get a record twice, or an older one after a newer
one: a row that has a later message stays.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from devenv.example.cache import forget
from devenv.example.messages import Item, delete, group_rows, put
from devenv.example.stores import dynamodb

ATTEMPTS = 20


def handler(event: dict[str, Any], context: object) -> None:
    """Lambda's signature. `event`: records of the stream with new images."""
    newest: dict[str, Item] = {}
    for record in event["Records"]:
        if record["eventName"] == "INSERT" and record["dynamodb"]["Keys"]["pk"]["S"].startswith("MSG#"):
            message = record["dynamodb"]["NewImage"]
            before = newest.get(message["pk"]["S"], message)
            newest[message["pk"]["S"]] = max(before, message, key=lambda one: one["sk"]["S"])
    for message in newest.values():
        move(message)


def move(message: Item) -> None:
    """Move the rows of one message's conversation, each unless it has a later message. ClientError after ATTEMPTS."""
    group = message["pk"]["S"].removeprefix("MSG#")
    for attempt in range(ATTEMPTS):
        change = {"sk": message["sk"], "message": message["message"]}
        behind = [row for row in group_rows(group) if row["sk"]["S"] < message["sk"]["S"]]
        if not behind:
            return
        try:
            dynamodb().transact_write_items(
                TransactItems=[write for row in behind for write in (delete(row), put({**row, **change}))]
            )
            forget(partial(list, behind))
            return
        except ClientError as error:
            # Another message moved them meanwhile: look where they are now.
            if "TransactionCanceled" not in error.response["Error"]["Code"] or attempt == ATTEMPTS - 1:
                raise
