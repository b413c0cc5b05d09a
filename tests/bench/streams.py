"""From a message's HTTP request until the function has moved both group rows: median and worst, printed.

python tests/bench/streams.py [--messages 50]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.e2e.test_stream_workers import CONVERSATION, rows, with_worker
from tests.support import ProjectDir, unwind_on_sigterm

WANTED_MS = 300.0
PATIENCE_S = 20.0
WARM = 3


class Rows:
    """The two group rows, read by one connection: a devenv command for each look would be slower than the function."""

    def __init__(self, project: ProjectDir) -> None:
        from devenv.core.model import DynamoTarget
        from devenv.stores.dynamodb.client import Dynamo

        env = project.env()
        self.dynamodb = Dynamo(
            DynamoTarget(
                env["AWS_ENDPOINT_URL_DYNAMODB"],
                env["AWS_REGION"],
                env["AWS_ACCESS_KEY_ID"],
                env["AWS_SECRET_ACCESS_KEY"],
            )
        )

    def times(self, group: str) -> list[str]:
        """The time of each row of a conversation."""
        request = {
            "TableName": "cruddur-messages",
            "IndexName": "message-group-sk-index",
            "KeyConditionExpression": "message_group_uuid = :g",
            "ExpressionAttributeValues": {":g": {"S": group}},
        }
        return [item["sk"]["S"] for item in self.dynamodb.call("Query", request)["Items"]]


def measure(project: ProjectDir, messages: int) -> list[float]:
    """Milliseconds from sending the request to both moved rows, of each message."""
    look = Rows(project)
    url, token = project.env()["BACKEND_URL"], project.ok("env", "--token", "ines").out.strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    found = []
    for number in range(messages + WARM):
        body = json.dumps({"message": f"message {number}", "message_group_uuid": CONVERSATION}).encode()
        request = urllib.request.Request(f"{url}/api/messages", body, headers)
        began = time.monotonic()
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            sent = json.load(answer)
        while look.times(sent["message_group_uuid"]) != [sent["created_at"]] * 2:
            if time.monotonic() - began > PATIENCE_S:
                raise SystemExit(f"not moved within {PATIENCE_S:g} s: {rows(project)}")
            time.sleep(0.005)
        if number >= WARM:
            found.append((time.monotonic() - began) * 1000)
    return found


def main() -> None:
    """Start the project, measure, print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--messages", type=int, default=50)
    given = arguments.parse_args()
    unwind_on_sigterm()
    with tempfile.TemporaryDirectory() as folder:
        project = with_worker(Path(folder) / "streams")
        try:
            project.ok("up", timeout=240)
            found = sorted(measure(project, given.messages))
        finally:
            project.remove()
    median = statistics.median(found)
    most = found[int(len(found) * 0.95)]
    print(f"{len(found)} messages: median {median:.0f} ms, 95 % within {most:.0f} ms, worst {found[-1]:.0f} ms")
    print(f"median / {WANTED_MS:g} ms wanted = {median / WANTED_MS:.2f}")


if __name__ == "__main__":
    main()
