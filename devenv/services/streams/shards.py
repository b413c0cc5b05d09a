"""Reading a table's stream: its shards, parents before children, each from where the worker stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from devenv.core.errors import StoreError
from devenv.services.streams.position import LastRecord
from devenv.stores.dynamodb.client import Dynamo

API: Final = "DynamoDBStreams_20120810"
RECORDS: Final = 1000  # the most that GetRecords returns
GONE: Final = ("ResourceNotFoundException", "TrimmedDataAccessException")
EXPIRED: Final = "ExpiredIteratorException"


class StreamClient(Dynamo):
    """The client of the other API that DynamoDB Local has at the same address."""

    api = API


@dataclass
class Shard:
    """One shard under way. `iterator` is None at its end."""

    id: str
    parent: str | None
    last: LastRecord
    iterator: str | None = None
    opened: bool = False


@dataclass
class ShardReader:
    """Records of one stream. `notes` gets what a person should know, such as records that are gone."""

    client: StreamClient
    stream: str
    known: Mapping[str, LastRecord]
    notes: list[str] = field(default_factory=list)
    shards: dict[str, Shard] = field(default_factory=dict)

    def refresh(self) -> None:
        """Look for new shards. StoreError (ResourceNotFoundException) when the stream is gone."""
        request: dict[str, Any] = {"StreamArn": self.stream}
        while True:
            found = self.client.call("DescribeStream", request)["StreamDescription"]
            for shard in found.get("Shards", ()):
                name = shard["ShardId"]
                if name not in self.shards:
                    self.shards[name] = Shard(name, shard.get("ParentShardId"), self.known.get(name, LastRecord()))
            cursor = found.get("LastEvaluatedShardId")
            if not cursor:
                return
            if request.get("ExclusiveStartShardId") == cursor:
                raise StoreError(f"the stream {self.stream} lists the same shard again and again")
            request["ExclusiveStartShardId"] = cursor

    def ready(self) -> Iterator[Shard]:
        """The shards that can be read now: not ended, and with a parent that is, or that is not there any more."""
        for shard in self.shards.values():
            parent = self.shards.get(shard.parent or "")
            if not shard.last.done and (parent is None or parent.last.done):
                yield shard

    def read(self, shard: Shard) -> list[dict[str, Any]]:
        """The next records of a shard, oldest first; none when there are none yet. At its end `iterator` is None."""
        if not shard.opened:
            self.open(shard)
        if shard.iterator is None:
            return []
        try:
            page = self.client.call("GetRecords", {"ShardIterator": shard.iterator, "Limit": RECORDS})
        except StoreError as error:
            if error.code != EXPIRED:
                raise
            # An iterator lives 15 minutes; the position does not expire.
            self.open(shard)
            return []
        shard.iterator = page.get("NextShardIterator")
        return list(page.get("Records", ()))

    def open(self, shard: Shard) -> None:
        """Find the place behind the last record that was handled."""
        shard.opened = True
        sequence = shard.last.sequence
        if not sequence:
            shard.iterator = self.iterator(shard, "TRIM_HORIZON")
            return
        try:
            at = self.iterator(shard, "AT_SEQUENCE_NUMBER", sequence)
            found = self.client.call("GetRecords", {"ShardIterator": at, "Limit": 1}).get("Records", [])
        except StoreError as error:
            if not error.reached or error.code not in (*GONE, "ValidationException"):
                raise
            if error.code == "TrimmedDataAccessException":
                self.notes.append("records older than 24 hours are gone from the stream")
                shard.iterator = self.iterator(shard, "TRIM_HORIZON")
                return
            found = []
        if found and found[0].get("eventID") == shard.last.event:
            shard.iterator = self.iterator(shard, "AFTER_SEQUENCE_NUMBER", sequence)
        else:
            self.notes.append("the data was replaced (restore or reset): continuing at the stream's end")
            shard.iterator = self.iterator(shard, "LATEST")

    def iterator(self, shard: Shard, kind: str, sequence: str | None = None) -> str:
        """An iterator of a shard."""
        request = {"StreamArn": self.stream, "ShardId": shard.id, "ShardIteratorType": kind}
        if sequence is not None:
            request["SequenceNumber"] = sequence
        return str(self.client.call("GetShardIterator", request)["ShardIterator"])


def lambda_record(record: Mapping[str, Any], stream: str, region: str) -> dict[str, Any]:
    """A record as Lambda gives it to a function: GetRecords' own form, with the stream's ARN."""
    return {**record, "awsRegion": region, "eventSourceARN": stream}
