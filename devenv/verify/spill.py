"""Files of fixed-size records, by channel and hash partition: what is too much for memory, and a checkpoint.

A record is 28 bytes: what it is about (16: a uuid as it is, any other id as a digest), a value (8), and which item of
its segment it came from (4). A spill is one file of blocks and an index of them; it counts only once it is sealed,
which names sizes and checksums. Keys of items lie in a file of their own, to be looked up by item number.
"""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from devenv.host.writing import open_over, write_private
from devenv.links.values import CANONICAL_UUID, canonical

RECORD: Final = struct.Struct("16s8s4s")
NOTHING: Final = bytes(8)
# 28 bytes take about 70 in memory while they wait.
FLUSH_RECORDS: Final = 100_000
# Keys are encoded this many together: one lookup decodes no more.
BLOCK_KEYS: Final = 64
CHUNK_BYTES: Final = 1 << 20

Block = tuple[int, int]


class Flush(msgspec.Struct, frozen=True):
    """A part of a spill that was written at once: blocks by channel, then by partition, one behind the other.

    `offsets` are where each block begins, and where the last one ends: 8 bytes each, in the machine's order.
    """

    channels: list[str]
    offsets: bytes

    def block(self, channel: str, partition: int) -> Block:
        """(offset, length) of one block; of length 0 where there is none."""
        if channel not in self.channels:
            return 0, 0
        offsets = memoryview(self.offsets).cast("Q")
        at = self.channels.index(channel) * (len(offsets) // len(self.channels)) + partition
        return offsets[at], offsets[at + 1] - offsets[at]


class Sealed(msgspec.Struct, frozen=True):
    """One finished spill: `files` maps a file's name to (size, crc32)."""

    files: dict[str, tuple[int, int]]
    flushes: list[Flush]
    facts: dict[str, Any] = {}

    def blocks(self, channel: str, partition: int) -> list[Block]:
        """The blocks of one partition of a channel that hold something."""
        return [block for flush in self.flushes if (block := flush.block(channel, partition))[1]]


def key_of(text: str) -> bytes:
    """16 bytes for an id in any spelling: the uuid itself, or a digest of its canonical text."""
    known = text if CANONICAL_UUID.fullmatch(text) else canonical(text)
    if CANONICAL_UUID.fullmatch(known):
        return bytes.fromhex(known.replace("-", ""))
    return blake2b(known.encode(errors="surrogatepass"), digest_size=16).digest()


def digest(value: Any) -> bytes:
    """8 bytes for any JSON value."""
    return blake2b(msgspec.json.encode(value), digest_size=8).digest()


class Checked:
    """A new file that knows its size and checksum. One of the same name is left to whoever still writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.crc = 0
        self._file: IO[bytes] = open_over(path)

    def write(self, content: bytes) -> int:
        """Append; the offset that `content` got."""
        self._file.write(content)
        self.crc = zlib.crc32(content, self.crc)
        self.size += len(content)
        return self.size - len(content)

    def close(self) -> tuple[int, int]:
        """(size, crc32) of the whole, which is on the disk now. OSError when a later comparison took the name over."""
        self._file.flush()
        os.fsync(self._file.fileno())
        mine = os.fstat(self._file.fileno())
        self._file.close()
        if not os.path.samestat(mine, self.path.stat()):
            raise FileExistsError(f"{self.path} belongs to a later comparison")
        return self.size, self.crc


class Spill:
    """Records on their way to disk. Memory is bounded: whenever there are FLUSH_RECORDS of them, they are written."""

    def __init__(self, folder: Path, name: str, partitions: int) -> None:
        self.folder = folder
        self.name = name
        self.partitions = partitions
        self._file = Checked(folder / f"{name}.records")
        self._parts: dict[str, list[list[bytes]]] = {}
        self._flushes: list[Flush] = []
        self._held = 0

    def parts(self, channel: str) -> list[list[bytes]]:
        """The lists, one per partition, to which records of `channel` are appended."""
        found = self._parts.get(channel)
        if found is None:
            found = self._parts[channel] = [[] for _ in range(self.partitions)]
        return found

    def added(self, records: int) -> None:
        """Tell that this many records were appended."""
        self._held += records
        if self._held > FLUSH_RECORDS:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        offsets = array("Q", [self._file.size])
        for parts in self._parts.values():
            for records in parts:
                if records:
                    self._file.write(b"".join(records))
                    records.clear()
                offsets.append(self._file.size)
        self._flushes.append(Flush(list(self._parts), offsets.tobytes()))
        self._held = 0

    def seal(self, facts: dict[str, Any], *more: Checked) -> Sealed:
        """Finish: from now on the spill counts. `more` are further files of it."""
        self.flush()
        files = {file.path.name: file.close() for file in (self._file, *more)}
        sealed = Sealed(files, self._flushes, facts)
        write_private(self.folder / f"{self.name}.json", msgspec.json.encode(sealed))
        return sealed


def read_sealed(folder: Path, name: str) -> Sealed | None:
    """A spill that was sealed and is whole; None for one that is missing, unfinished or damaged."""
    try:
        sealed = msgspec.json.decode((folder / f"{name}.json").read_bytes(), type=Sealed)
        for file, wanted in sealed.files.items():
            if checksum(folder / file) != wanted:
                return None
    except (OSError, msgspec.DecodeError):
        return None
    return sealed


def checksum(path: Path) -> tuple[int, int]:
    """(size, crc32) of a file. OSError."""
    size = crc = 0
    with path.open("rb") as file:
        while part := file.read(CHUNK_BYTES):
            size += len(part)
            crc = zlib.crc32(part, crc)
    return size, crc


def read_records(folder: Path, name: str, blocks: Sequence[Block]) -> Iterator[bytes]:
    """The content of blocks of `<name>.records`, each a whole number of records. OSError; EOFError for a short file."""
    with (folder / f"{name}.records").open("rb") as file:
        for offset, length in blocks:
            file.seek(offset)
            content = file.read(length)
            if len(content) != length:
                raise EOFError(f"{file.name} ends within a block")
            yield content


class KeyWriter:
    """Keys of a segment's items, in the order of the items."""

    def __init__(self, folder: Path, name: str, width: int) -> None:
        self.file = Checked(folder / f"{name}.keys")
        self.offsets = Checked(folder / f"{name}.offsets")
        self._columns: list[list[Any]] = [[] for _ in range(width)]

    def add(self, columns: Sequence[list[Any]]) -> None:
        """The keys of further items, one list per key attribute."""
        for mine, theirs in zip(self._columns, columns, strict=True):
            mine += theirs
        while len(self._columns[0]) >= BLOCK_KEYS:
            self._write()

    def _write(self) -> None:
        block = [column[:BLOCK_KEYS] for column in self._columns]
        self.offsets.write(struct.pack("=Q", self.file.write(msgspec.json.encode(block))))
        for column in self._columns:
            del column[:BLOCK_KEYS]

    def finish(self) -> tuple[Checked, Checked]:
        """The two files, complete but not closed."""
        if self._columns and self._columns[0]:
            self._write()
        self.offsets.write(struct.pack("=Q", self.file.size))
        return self.file, self.offsets


def read_keys(folder: Path, name: str, positions: Sequence[int]) -> dict[int, list[Any]]:
    """Item number -> its key's values, for these items of one segment."""
    found: dict[int, list[Any]] = {}
    with (folder / f"{name}.keys").open("rb") as keys, (folder / f"{name}.offsets").open("rb") as offsets:
        last = -1
        block: list[list[Any]] = []
        for position in sorted(set(positions)):
            number, place = divmod(position, BLOCK_KEYS)
            if number != last:
                offsets.seek(8 * number)
                bounds = array("Q", offsets.read(16))
                keys.seek(bounds[0])
                last, block = number, msgspec.json.decode(keys.read(bounds[1] - bounds[0]))
            found[position] = [column[place] for column in block]
    return found
