"""Records of one hash partition held against each other: ids against rows, values and groups against themselves.

Why own partitions: `tests/bench/verify.py --skip 12 --join 3000000` on two busy cores, writing both sides down
included, took 13 s and 51 MB so, 9 s with temporary tables in Postgres, and 18 s and 260 MB with DuckDB kept to 150 MB
and one thread. Postgres would be a little faster, but it is the store that is looked at: it may be a copy of staging,
and filling its disk and evicting its cache is no way to look. The same partitions also find repeated values and broken
groups, are the checkpoint, and are joined by all workers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final
from zlib import crc32

from devenv.config.schema import Group
from devenv.core.value import Value
from devenv.verify.candidate_filter import ODD, group_channels, link_channel, unique_channel
from devenv.verify.run import ROWS, Run, segment_name
from devenv.verify.spill import RECORD, Sealed, read_records

# More records than this are not held at once: the partition is read in several passes, each taking a share of the keys.
PASS_RECORDS: Final = 200_000
HEAD: Final = RECORD.size - 4
Place = tuple[int, int]
Finder = Callable[["Share"], set[bytes]]


class Candidate(Value, frozen=True):
    """A record that could not be confirmed: records of `channel` about `key` (16 bytes), at (task, item number)."""

    channel: str
    key: bytes
    places: tuple[Place, ...]


class Partition:
    """One partition of all spills of a run."""

    def __init__(self, run: Run, segments: Sequence[Sealed], rows: Sealed, number: int) -> None:
        self.run = run
        self.number = number
        self.spills = [*((segment_name(n), n, sealed) for n, sealed in enumerate(segments)), (ROWS, -1, rows)]

    def size(self, channel: str) -> int:
        """The number of records of a channel."""
        blocks = (block for _, _, sealed in self.spills for block in sealed.blocks(channel, self.number))
        return sum(length for _, length in blocks) // RECORD.size

    def blocks(self, channel: str, *, rows: bool = False) -> Iterator[tuple[int, list[bytes]]]:
        """(task, records) of a channel, of the items or of the rows."""
        for name, task, sealed in self.spills:
            if (name == ROWS) is rows and (blocks := sealed.blocks(channel, self.number)):
                for content in read_records(self.run.folder, name, blocks):
                    yield task, [content[at : at + RECORD.size] for at in range(0, len(content), RECORD.size)]

    def candidates(self) -> Iterator[Candidate]:
        """Everything of this partition that must be looked at again, each id's records together."""
        plan = self.run.links()
        channels = [ODD, *(link_channel(n) for n in range(len(plan.edges)))]
        channels += [unique_channel(kind.table, name) for kind in plan.kinds for name in kind.unique]
        for channel in dict.fromkeys(channels):
            finder = find_all if channel == ODD else find_lost if channel.startswith("link:") else find_repeated
            yield from self.in_passes(channel, (channel,), finder)
        for number, group in enumerate(plan.groups):
            rows, entries = group_channels(number)

            def broken(part: Share, group: Group = group, rows: str = rows, entries: str = entries) -> set[bytes]:
                return find_broken(part, group, rows, entries)

            yield from self.in_passes(rows, (rows, entries), broken)

    def in_passes(self, name: str, channels: Sequence[str], find: Finder) -> Iterator[Candidate]:
        """The candidates among the records of these channels, a share of the keys at a time."""
        passes = -(-sum(map(self.size, channels)) // PASS_RECORDS)
        for turn in range(passes):
            share = Share(self, channels, turn, passes)
            heads = find(share)
            if not heads:
                continue
            found: dict[bytes, list[Place]] = {}
            for channel in channels:
                for task, records in share.items(channel):
                    for record in records:
                        if record[:16] in heads or record[:HEAD] in heads:
                            found.setdefault(record[:16], []).append((task, int.from_bytes(record[HEAD:], "big")))
            for key, places in found.items():
                yield Candidate(name, key, tuple(places))


class Share(Value, frozen=True):
    """Those records of a partition's channels whose key falls to one of several passes."""

    partition: Partition
    channels: Sequence[str]
    turn: int
    passes: int

    def items(self, channel: str | None = None) -> Iterator[tuple[int, list[bytes]]]:
        """(task, records) of items."""
        yield from map(self.mine, self.partition.blocks(channel or self.channels[0]))

    def rows(self) -> Iterator[tuple[int, list[bytes]]]:
        yield from map(self.mine, self.partition.blocks(self.channels[0], rows=True))

    def mine(self, block: tuple[int, list[bytes]]) -> tuple[int, list[bytes]]:
        """The block without records of other passes."""
        if self.passes == 1:
            return block
        # Another start value than the partitions' own hash, which is the same for all of these keys.
        return block[0], [record for record in block[1] if crc32(record[:16], 1) % self.passes == self.turn]


def find_all(share: Share) -> set[bytes]:
    """Every key."""
    return {record[:16] for _, records in share.items() for record in records}


def find_lost(share: Share) -> set[bytes]:
    """Key and value of the ids that no row has with these copies."""
    known = {record[:HEAD] for _, records in share.rows() for record in records}
    lost: set[bytes] = set()
    for _, records in share.items():
        heads = {record[:HEAD] for record in records}
        if not known.issuperset(heads):
            lost |= heads - known
    return lost


def find_repeated(share: Share) -> set[bytes]:
    """The keys that occur more than once."""
    seen: set[bytes] = set()
    repeated: set[bytes] = set()
    for _, records in share.items():
        keys = [record[:16] for record in records]
        fresh = set(keys)
        if len(fresh) < len(keys) or not seen.isdisjoint(fresh):
            for key in keys:
                if key in seen:
                    repeated.add(key)
                seen.add(key)
        else:
            seen |= fresh
    return repeated


def find_broken(share: Share, group: Group, rows: str, entries: str) -> set[bytes]:
    """The groups whose rows are not as many as they should be, do not mirror each other, or are not there at all."""
    found: dict[bytes, list[int]] = {}
    for _, records in share.items(rows):
        for record in records:
            found.setdefault(record[:16], []).append(int.from_bytes(record[16:HEAD], "big"))
    broken = {key for key, values in found.items() if not is_whole(group, values)}
    for _, records in share.items(entries):
        broken.update(record[:16] for record in records if record[:16] not in found)
    return broken


def is_whole(group: Group, values: Sequence[int]) -> bool:
    """Return True if these values of a group's rows (see `row_value`) are those of a whole group."""
    if len(values) != group.size:
        return False
    if group.owner and group.other:
        return sum(values) % (1 << 64) == 0
    return not group.owner or len(set(values)) == len(values)
