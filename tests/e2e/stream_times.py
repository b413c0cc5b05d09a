"""How long a stream worker's function takes to move the rows of a message that is sent over HTTP."""

from __future__ import annotations

import json
import time
import urllib.request

from tests.support import ProjectDir

CONVERSATION = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
WANTED_MS = 300.0
PATIENCE_S = 20.0
WARM = 3


class Rows:
    """The two group rows, read by one connection: a devenv command for each look would be slower than the function."""

    def __init__(self, project: ProjectDir) -> None:
        self.dynamodb = project.dynamodb()

    def times(self, group: str) -> list[str]:
        """The time of each row of a conversation."""
        request = {
            "TableName": "cruddur-messages",
            "IndexName": "message-group-sk-index",
            "KeyConditionExpression": "message_group_uuid = :g",
            "ExpressionAttributeValues": {":g": {"S": group}},
        }
        return [item["sk"]["S"] for item in self.dynamodb.call("Query", request)["Items"]]


def measure(project: ProjectDir, messages: int) -> list[tuple[float, float]]:
    """Milliseconds from sending the request, and from its answer, to both moved rows, of each message."""
    look = Rows(project)
    try:
        return follow(look, project, messages)
    finally:
        look.dynamodb.close()


def follow(look: Rows, project: ProjectDir, messages: int) -> list[tuple[float, float]]:
    """Send one message after the other, and look at the rows until they are moved."""
    url, token = project.env()["BACKEND_URL"], project.ok("env", "--token", "ines").out.strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    found: list[tuple[float, float]] = []
    for number in range(messages + WARM):
        body = json.dumps({"message": f"message {number}", "message_group_uuid": CONVERSATION}).encode()
        request = urllib.request.Request(f"{url}/api/messages", body, headers)
        began = time.monotonic()
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            sent = json.load(answer)
        answered = time.monotonic()
        while look.times(sent["message_group_uuid"]) != [sent["created_at"]] * 2:
            if time.monotonic() - began > PATIENCE_S:
                raise AssertionError(f"not moved within {PATIENCE_S:g} s")
            time.sleep(0.005)
        if number >= WARM:
            now = time.monotonic()
            found.append(((now - began) * 1000, (now - answered) * 1000))
    return found
