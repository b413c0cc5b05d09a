"""The loop of a stream worker: read, leave out, call, remember.

At least once, as in Lambda: the position moves when a batch is at an end, so a killed worker repeats its last batch and
loses none. A clean stop (SIGTERM) waits for the batch under way. Records of one item keep their order, as they are in
one shard, and a shard has one batch at a time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from devenv.config.filters import fits
from devenv.core.errors import StoreError
from devenv.core.model import DynamoTarget
from devenv.core.plural import number_of
from devenv.host.writing import open_append
from devenv.services.streams import position as positions
from devenv.services.streams.handler import HandlerOutcome, HandlerProcess, HandlerProgram
from devenv.services.streams.loops import Depths
from devenv.services.streams.position import HandlerError, LastRecord, Position
from devenv.services.streams.refused import AGAIN, read_batches
from devenv.services.streams.shards import GONE, Shard, ShardReader, StreamClient, lambda_record
from devenv.services.streams.store import watch_store
from devenv.steps.ledger import Ledger
from devenv.steps.seed.items import key_of, normal_item

POLL_S: Final = 0.1
REFRESH_S: Final = 2.0
RETRY_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
READY: Final = "waiting for records"


class StreamSettings(msgspec.Struct, frozen=True):
    """The settings of a worker, as JSON in a file of its own. Access keys are in its environment, not here.

    `ledger` is the file by which records of seeded items are told from others; empty with `on_seed`. `failed_file` is
    empty when refused records are to be dropped.
    """

    name: str
    table: str
    endpoint: str
    region: str
    folder: str
    state_file: str
    failed_file: str = ""
    ledger: str = ""
    file: str = ""
    function: str = ""
    interpreter: str = ""
    command: list[str] = []
    filters: list[dict[str, Any]] = []
    size: int = 100
    window_s: float = 0.0
    retries: int = 2
    timeout_s: float = 3.0


class Worker:
    """One worker. `run` returns when `stop` was called."""

    def __init__(self, settings: StreamSettings, environ: Mapping[str, str]) -> None:
        self.settings = settings
        self.environ = environ
        self.state_file = Path(settings.state_file)
        self.position = positions.read(self.state_file) or Position()
        self.stopping = False
        self.said = ""
        self.buffers: dict[str, list[dict[str, Any]]] = {}
        self.began: dict[str, float] = {}  # when the oldest record of a shard's buffer was read
        self.depths = Depths(settings.table, ())
        self.handler: HandlerProcess | None = None

    def stop(self) -> None:
        """End after the batch under way."""
        self.stopping = True

    def say(self, text: str) -> None:
        """One line of the log; the same one is not repeated."""
        if text != self.said:
            self.said = text
            print(f"[devenv] {text}", flush=True)  # noqa: T201 - a worker's log is its stdout

    def target(self) -> DynamoTarget:
        """The store, with the keys of the environment."""
        return DynamoTarget(
            endpoint=self.settings.endpoint,
            region=self.settings.region,
            access_key=self.environ.get("AWS_ACCESS_KEY_ID", ""),
            secret_key=self.environ.get("AWS_SECRET_ACCESS_KEY", ""),
        )

    def run(self) -> None:
        """Follow the table's stream until `stop`; wait for a store, a table or a stream that is not there."""
        try:
            while not self.stopping:
                try:
                    with StreamClient(self.target()) as client:
                        self.follow(client)
                except StoreError as error:
                    self.say(f"waiting: {error}" + (f" ({error.detail})" if error.detail else ""))
                    self.sleep(0.5)
        finally:
            if self.handler is not None:
                self.handler.close()

    def sleep(self, seconds: float) -> None:
        """Wait, but not beyond a stop."""
        end = time.monotonic() + seconds
        while not self.stopping and time.monotonic() < end:
            time.sleep(min(POLL_S, max(0.0, end - time.monotonic())))

    def find_stream(self) -> tuple[str, tuple[str, ...]] | None:
        """The table's stream and key attributes; None, with the reason said, when it has none."""
        from devenv.stores.dynamodb.client import Dynamo

        with Dynamo(self.target()) as dynamo:
            try:
                table = dynamo.call("DescribeTable", {"TableName": self.settings.table})["Table"]
            except StoreError as error:
                if error.code != "ResourceNotFoundException":
                    raise
                self.say(f"waiting: there is no table {self.settings.table}")
                return None
        if not table.get("StreamSpecification", {}).get("StreamEnabled") or not table.get("LatestStreamArn"):
            self.say(f"waiting: table {self.settings.table} has no stream (StreamSpecification in its definition)")
            return None
        return table["LatestStreamArn"], tuple(key["AttributeName"] for key in table["KeySchema"])

    def table_keys(self) -> tuple[str, ...]:
        """The key attributes of the table. StoreError."""
        from devenv.stores.dynamodb.client import Dynamo

        with Dynamo(self.target()) as dynamo:
            table = dynamo.call("DescribeTable", {"TableName": self.settings.table})["Table"]
        return tuple(key["AttributeName"] for key in table["KeySchema"])

    def follow(self, client: StreamClient) -> None:
        """Read one stream until it is another one, or `stop`."""
        found = self.find_stream()
        if found is None:
            self.sleep(0.5)
            return
        stream, keys = found
        if stream != self.position.stream:
            if self.position.stream:
                self.say(f"the table was recreated: continuing with the stream {stream}")
            self.position.stream, self.position.shards = stream, {}
            self.save()
        self.buffers, self.began = {}, {}
        self.depths = Depths(self.settings.table, keys, tells=self.tells())
        self.handler = self.handler or HandlerProcess(self.call(stream))
        self.give_again()
        reader = ShardReader(client, stream, self.position.shards)
        self.say(READY)
        refreshed = 0.0
        while not self.stopping:
            try:
                if time.monotonic() - refreshed > REFRESH_S:
                    found = self.find_stream()
                    if found is None or found[0] != stream:
                        return
                    reader.refresh()
                    refreshed = time.monotonic()
                busy = [self.advance(reader, shard, keys) for shard in list(reader.ready())]
            except StoreError as error:
                if error.code in GONE:
                    return
                raise
            for note in reader.notes:
                self.say(note)
            reader.notes.clear()
            if not any(busy):
                self.sleep(POLL_S)

    def tells(self) -> bool:
        """Return True if the interpreter tells what the function writes."""
        return not self.settings.command and self.settings.file.endswith(".py")

    def call(self, stream: str) -> HandlerProgram:
        """The arguments of the handler's process."""
        settings = self.settings
        return HandlerProgram(
            folder=Path(settings.folder),
            environ=self.environ,
            timeout_s=settings.timeout_s,
            name=settings.name,
            arn=f"arn:aws:lambda:{settings.region}:000000000000:function:{settings.name}",
            file=settings.file,
            function=settings.function,
            interpreter=settings.interpreter,
            command=tuple(settings.command),
        )

    def advance(self, reader: ShardReader, shard: Shard, keys: tuple[str, ...]) -> bool:
        """Read a shard once, and call the function when a batch is full or old enough. True: there may be more."""
        buffer = self.buffers.setdefault(shard.id, [])
        read: list[dict[str, Any]] = []
        if len(buffer) < self.settings.size:
            read = reader.read(shard)
            if read:
                self.take(shard, read, buffer, keys)
                self.began.setdefault(shard.id, time.monotonic())
        if not buffer:
            if shard.opened and shard.iterator is None and not read:
                self.reached(shard, None)
            return bool(read)
        waited = time.monotonic() - self.began[shard.id]
        if len(buffer) < self.settings.size and waited < self.settings.window_s and shard.iterator is not None:
            return False
        batch = buffer[: self.settings.size]
        handled = self.handle(batch)
        if handled:
            self.position.lag_s = round(time.monotonic() - self.began[shard.id], 3)
            del buffer[:handled]
            self.reached(shard, batch[handled - 1])
        if not buffer:
            del self.began[shard.id]
        return True

    def take(
        self, shard: Shard, records: Sequence[dict[str, Any]], buffer: list[dict[str, Any]], keys: tuple[str, ...]
    ) -> None:
        """Put into the buffer what the function is to get; where it is empty, the position passes over the rest."""
        seeded = self.seeded(records, keys)
        for number, record in enumerate(records):
            if number in seeded:
                self.position.seeded += 1
            elif fits(record, self.settings.filters):
                buffer.append(lambda_record(record, self.position.stream, self.settings.region))
                continue
            else:
                self.position.filtered += 1
            if not buffer:
                shard.last = LastRecord(record["dynamodb"]["SequenceNumber"], record.get("eventID", ""))
        if not buffer:
            self.position.shards[shard.id] = shard.last
            self.save()

    def seeded(self, records: Sequence[Mapping[str, Any]], keys: tuple[str, ...]) -> set[int]:
        """Which records tell of what devenv's own seed step wrote: the ledger has the same item under that key."""
        if not self.settings.ledger:
            return set()
        found = set()
        with Ledger(Path(self.settings.ledger), create=False) as ledger:
            for number, record in enumerate(records):
                told = record["dynamodb"]
                entry = ledger.entry(self.settings.table, key_of(told["Keys"], keys))
                if entry is None:
                    continue
                image = told.get("NewImage")
                if image is None and record["eventName"] != "REMOVE":
                    continue  # a view without images does not tell what was written
                new = None if image is None else normal_item(image)
                if (new is None and entry.intent == {}) or (new is not None and new in (entry.written, entry.intent)):
                    found.add(number)
        return found

    def handle(self, batch: list[dict[str, Any]]) -> int:
        """Call the function, again when it fails. The number of records, from the first, that need no more work."""
        position = self.position
        if position.stopped:
            self.say(position.stopped)
            self.sleep(REFRESH_S)
            return 0
        position.waiting = sum(map(len, self.buffers.values()))
        depth = self.depths.of(batch, time.monotonic())
        if depth >= self.depths.deepest:
            position.stopped = (
                f"stopped: the function triggers itself again and again ({depth} calls in a row, each caused by what"
                f" the call before it wrote into {self.settings.table}); correct it, then: devenv restart"
                f" {self.settings.name}"
            )
            self.note_error(position.stopped, None)
            self.save()
            return 0
        outcome = HandlerOutcome()
        left = batch
        for attempt in range(self.settings.retries + 1):
            ended = watch_store(self.settings.endpoint)
            outcome = self.once(left, depth)
            lost = ended() and outcome.error is not None
            done = completed(outcome, left)
            if done and outcome.error is None:
                self.count(left[:done])
                left = left[done:]
            if not left:
                self.save()
                return len(batch)
            position.errors += 1
            self.note_error(outcome.error or "it returned batchItemFailures", outcome.place)
            self.save()
            if lost:
                self.say("the store ended during the call: the function gets these records again")
                self.sleep(RETRY_S[0])
            if lost or self.stopping:
                return len(batch) - len(left)
            if attempt < self.settings.retries:
                self.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
        self.refuse(left, outcome)
        self.save()
        return len(batch)

    def once(self, records: list[dict[str, Any]], depth: int) -> HandlerOutcome:
        """One call."""
        assert self.handler is not None  # noqa: S101 - made when the stream was found
        self.position.batches += 1
        outcome = self.handler.invoke({"Records": records})
        self.depths.called(outcome.wrote, depth, records, time.monotonic())
        return outcome

    def count(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Count records that were handled."""
        self.position.handled += len(records)
        self.position.last = datetime.now(UTC).isoformat(timespec="milliseconds")

    def note_error(self, message: str, place: str | None) -> None:
        """Remember a failure, and put it into the log."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.position.error = HandlerError(message, at, place)
        print(f"[devenv] the function failed{f' at {place}' if place else ''}: {message}", flush=True)  # noqa: T201

    def refuse(self, records: Sequence[Mapping[str, Any]], outcome: HandlerOutcome) -> None:
        """Give up on records: into the file of refused ones, or away."""
        self.position.failed += len(records)
        where = "dropped"
        if self.settings.failed_file:
            line = {
                "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "error": outcome.error,
                "place": outcome.place,
                "records": records,
            }
            with open_append(Path(self.settings.failed_file)) as file:
                file.write(json.dumps(line).encode() + b"\n")
            where = f"kept in {self.settings.failed_file}"
        count = number_of(len(records), "record")
        print(f"[devenv] {count} refused after {self.settings.retries + 1} attempts, {where}", flush=True)  # noqa: T201

    def give_again(self) -> None:
        """Give the function the refused records that `devenv restart NAME --refused` put aside."""
        file = Path(self.settings.failed_file + AGAIN)
        if not self.settings.failed_file or not file.exists():
            return
        for records in read_batches(file):
            outcome = self.once(records, 0)
            done = completed(outcome, records)
            self.count(records[:done])
            self.position.failed = max(0, self.position.failed - len(records))
            if records[done:]:
                self.note_error(outcome.error or "it returned batchItemFailures", outcome.place)
                self.refuse(records[done:], outcome)
            self.save()
        file.unlink()

    def reached(self, shard: Shard, record: Mapping[str, Any] | None) -> None:
        """All records up to this one are at an end; None: the shard is."""
        if record is None:
            shard.last = LastRecord(shard.last.sequence, shard.last.event, done=True)
        else:
            shard.last = LastRecord(record["dynamodb"]["SequenceNumber"], record.get("eventID", ""))
        self.position.shards[shard.id] = shard.last
        self.position.waiting = sum(map(len, self.buffers.values()))
        self.save()

    def save(self) -> None:
        """Write the position; a full disk stops nothing but the memory of it, and is said."""
        try:
            positions.write(self.state_file, self.position)
        except OSError as error:
            self.say(f"the position cannot be saved, so records will come again: {error.strerror}")


def completed(outcome: HandlerOutcome, records: Sequence[Mapping[str, Any]]) -> int:
    """How many records, from the first, are at an end: Lambda's `batchItemFailures` names those that are not."""
    if outcome.error is not None:
        return 0
    failures = outcome.result.get("batchItemFailures") if isinstance(outcome.result, dict) else None
    if not failures or not isinstance(failures, list):
        return len(records)
    named = {failure.get("itemIdentifier") for failure in failures if isinstance(failure, dict)}
    places = [place for place, record in enumerate(records) if record["dynamodb"]["SequenceNumber"] in named]
    # An identifier that is none of the batch fails the whole batch.
    return min(places, default=0)
