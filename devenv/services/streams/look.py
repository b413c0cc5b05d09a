"""Where a worker's stream is now, beside where the worker is. Reads only."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from devenv.core.errors import StoreError
from devenv.core.model import DynamoTarget
from devenv.services.streams.judge import WorkerObservation
from devenv.services.streams.position import LastRecord, Position
from devenv.services.streams.shards import ShardReader, StreamClient
from devenv.stores.dynamodb.client import Dynamo

PATIENCE_S: Final = 2.0
POLL_S: Final = 0.05


def look_at_worker(
    target: DynamoTarget, name: str, table: str, state: str, position: Callable[[], Position | None]
) -> WorkerObservation:
    """Look at one worker; a running one is given PATIENCE_S to handle what it has. StoreError."""
    described = describe(target, table)
    spec = (described or {}).get("StreamSpecification", {})
    stream = (described or {}).get("LatestStreamArn") if spec.get("StreamEnabled") else None
    known = position()
    if stream is None or state != "running":
        return WorkerObservation(name, table, state, stream, described is not None, known)
    end = time.monotonic() + PATIENCE_S
    behind = count_behind(target, stream, known)
    while behind and not (known and known.stopped) and time.monotonic() < end:
        time.sleep(POLL_S)
        known = position()
        behind = count_behind(target, stream, known)
    return WorkerObservation(name, table, state, stream, True, known, behind, PATIENCE_S)


def describe(target: DynamoTarget, table: str) -> dict[str, Any] | None:
    """DescribeTable's answer; None when there is no such table. StoreError."""
    with Dynamo(target) as dynamo:
        try:
            found: dict[str, Any] = dynamo.call("DescribeTable", {"TableName": table})["Table"]
        except StoreError as error:
            if error.code != "ResourceNotFoundException":
                raise
            return None
    return found


def count_behind(target: DynamoTarget, stream: str, known: Position | None) -> int:
    """How many records of a stream come behind a position, counted up to 1,000 a shard. StoreError."""
    position = known if known is not None and known.stream == stream else Position()
    with StreamClient(target) as client:
        reader = ShardReader(client, stream, position.shards)
        reader.refresh()
        return sum(len(reader.read(shard)) for shard in list(reader.ready()))


def end_of_stream(target: DynamoTarget, table: str) -> Position:
    """A position behind every record that a table's stream has; an empty one without a stream. StoreError."""
    described = describe(target, table) or {}
    stream = described.get("LatestStreamArn")
    if not stream or not described.get("StreamSpecification", {}).get("StreamEnabled"):
        return Position()
    found = Position(stream=stream)
    with StreamClient(target) as client:
        reader = ShardReader(client, stream, {})
        reader.refresh()
        for shard in reader.shards.values():
            while records := reader.read(shard):
                last = records[-1]
                found.shards[shard.id] = LastRecord(last["dynamodb"]["SequenceNumber"], last.get("eventID", ""))
    return found
