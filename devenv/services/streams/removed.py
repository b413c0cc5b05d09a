"""The items whose removal a table's stream still tells of. Reads only."""

from __future__ import annotations

from typing import Final

from devenv.core.errors import StoreError
from devenv.core.model import DynamoTarget
from devenv.links.expiry import RemovedRecord
from devenv.services.streams.look import describe
from devenv.services.streams.shards import ShardReader, StreamClient

PAGES: Final = 20  # of 1,000 records each
SERVICE: Final = "dynamodb.amazonaws.com"


def read_removed(target: DynamoTarget, table: str) -> list[RemovedRecord]:
    """The items removed in the last 24 hours, oldest first; none without a stream, or when it cannot be read."""
    try:
        described = describe(target, table) or {}
        stream = described.get("LatestStreamArn")
        if not stream or not described.get("StreamSpecification", {}).get("StreamEnabled"):
            return []
        found = []
        with StreamClient(target) as client:
            reader = ShardReader(client, stream, {})
            reader.refresh()
            for shard in list(reader.shards.values()):
                for _ in range(PAGES):
                    records = reader.read(shard)
                    if not records:
                        break
                    found += records
    except StoreError:
        return []
    return [
        RemovedRecord(
            record["dynamodb"].get("OldImage") or record["dynamodb"]["Keys"],
            SERVICE in (record.get("userIdentity") or {}).values(),
        )
        for record in found
        if record["eventName"] == "REMOVE"
    ]
