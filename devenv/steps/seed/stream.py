"""Seed files of any size, also `.gz`, a piece at a time: what is held at once does not grow with the file.

Small files are read as a whole (forms.py). Of a large one, what decides about all its items (whether they are in
DynamoDB's JSON, the table that they fit) is judged by its first piece.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from devenv.config.schema import SeedFile
from devenv.core.errors import UsageError
from devenv.steps.seed import forms
from devenv.steps.seed.documents import DECODER, read_json
from devenv.steps.seed.format import Document, SeedDocuments, are_typed
from devenv.steps.seed.formats import csv_rows, requests
from devenv.steps.stamps import CHUNK, is_small
from devenv.steps.step import UNPACKED_BYTES, SourceFile, read_text

PIECE: Final = 1_000
# No item is larger than 400 KB, nor its JSON than this.
VALUE_CHARACTERS: Final = 8_000_000


class SeedPath(msgspec.Struct, frozen=True):
    """One seed file: its name as the user knows it, and where it is."""

    name: str
    path: Path

    @property
    def is_small(self) -> bool:
        """True if it is read as a whole."""
        return is_small(self.path)

    @property
    def text(self) -> str:
        """The whole text. UsageError."""
        return read_text(self.path, self.name)


def documents(file: SourceFile | SeedPath, mapping: Mapping[str, SeedFile], left_out: list[str]) -> Iterator[Document]:
    """Yield what a file holds, in documents of at most PIECE items if it is large. UsageError."""
    if isinstance(file, SourceFile) or file.is_small:
        read = forms.read_file(SourceFile(file.name, file.text), mapping)
        left_out += read.left_out
        yield from read.documents
        return
    rule = forms.find_rule(file.name, mapping)
    if file.name.endswith(csv_rows.FORMAT.endings):
        with opened(file) as lines:
            rows = csv_rows.csv_rows(file.name, (line for _, line in lines), rule)
            while piece := list(islice(rows, PIECE)):
                yield Document(rule.table if rule else None, piece)
        return
    with opened(file) as lines:
        _, head = next(lines, (1, ""))
        _, following = next(lines, (2, ""))
    if file.name.endswith(forms.LINES) or forms.is_lines(head + following):
        found = lines_of(file)
    else:
        found = JsonText(file).documents()
    for read in found:
        left_out += read.left_out
        for document in read.documents:
            document.table = document.table or (rule.table if rule else None)
            yield document


def lines_of(file: SeedPath) -> Iterator[SeedDocuments]:
    """Yield what JSON lines hold, PIECE lines at a time."""
    with opened(file) as lines:
        while piece := list(islice(lines, PIECE)):
            read = SeedDocuments()
            for number, line in piece:
                if line.strip():
                    tree = read_json(SourceFile(f"{file.name}:{number}", line))
                    forms.read_tree(tree, file.name, read, whole=False)
            yield read


@contextmanager
def opened(file: SeedPath) -> Iterator[Iterator[tuple[int, str]]]:
    """The numbered lines of a file, with their ends. UsageError for what cannot be read or is no text."""
    number = 0

    def lines(text: io.TextIOWrapper) -> Iterator[tuple[int, str]]:
        nonlocal number
        while line := text.readline(VALUE_CHARACTERS):
            number += 1
            if "\0" in line:
                raise UsageError(f"{file.name}:{number} holds a NUL character", hint="save the file as UTF-8 text")
            yield number, line.replace("\r\n", "\n")

    try:
        with binary(file) as content, io.TextIOWrapper(content, "utf-8-sig", newline="\n") as text:
            yield lines(text)
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{file.name} cannot be read", detail=getattr(error, "strerror", None) or str(error)) from None
    except UnicodeDecodeError as error:
        place = f"{file.name} is not UTF-8, near line {number + 1}"
        raise UsageError(place, detail=str(error)[:200], hint="save the file as UTF-8") from None


@contextmanager
def binary(file: SeedPath) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked. OSError also when it unpacks to more than a seed file may have."""
    with file.path.open("rb") as packed:
        if not file.name.endswith(".gz"):
            yield packed
            return
        with gzip.open(packed) as content:
            yield Unpacked(content)  # type: ignore[misc]


class Unpacked(io.BufferedIOBase):
    """The unpacked content of a .gz file, up to UNPACKED_BYTES. OSError beyond."""

    def __init__(self, content: gzip.GzipFile) -> None:
        super().__init__()
        self._content = content
        self._read = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def read1(self, size: int = -1) -> bytes:
        """Read some bytes."""
        return self.read(size)

    def read(self, size: int | None = -1) -> bytes:
        """Read some bytes."""
        found = self._content.read(CHUNK if size is None or size < 0 else size)
        self._read += len(found)
        if self._read > UNPACKED_BYTES:
            raise OSError(f"it unpacks to more than {UNPACKED_BYTES >> 20} MB")
        return found


class JsonText:
    """A large JSON text, whose arrays are read element by element."""

    def __init__(self, file: SeedPath) -> None:
        self.file = file
        self.text = ""
        self.at = 0
        self.line = 1
        self.more: Callable[[], str] = lambda: ""

    def documents(self) -> Iterator[SeedDocuments]:
        """Yield what the text holds. UsageError for what is in no known form."""
        table: str | None = None
        read, number = SeedDocuments(), 0
        group: tuple[str, ...] = ()
        typed: bool | None = None
        with self.reading():
            for path, value in self.walk(()):
                if path == ("table",) and isinstance(value, str):
                    table = value
                    continue
                if path[:1] == ("LastEvaluatedKey",):
                    said = f"{self.file.name} is one page of a longer answer: the next pages are not in the file"
                    read.left_out = list(dict.fromkeys([*read.left_out, said]))
                    continue
                if path in (("Count",), ("ScannedCount",)) or path[:1] == ("ConsumedCapacity",):
                    continue
                if path != group or number == PIECE:
                    yield from self.settled(read, typed)
                    typed = read.documents[-1].typed if path == group and read.documents else None
                    read, number, group = SeedDocuments(), 0, path
                if path == ("items",):
                    table = table or self.find_table()
                self.add(read, path, value, table)
                number += 1
            yield from self.settled(read, typed)

    def settled(self, read: SeedDocuments, typed: bool | None) -> Iterator[SeedDocuments]:
        """Yield the piece with what its first piece, or it itself, says of its items."""
        for document in read.documents:
            if document.typed is False and document.items:
                document.typed = are_typed(document.items) if typed is None else typed
        if read.documents or read.left_out:
            yield read

    def add(self, read: SeedDocuments, path: tuple[str, ...], value: Any, table: str | None) -> None:
        """Add one element of an array, or one value."""
        name = self.file.name
        match path:
            case ("items",) | ("Items",) | ():
                if path == () and isinstance(value, dict) and requests.is_request(value):
                    requests.read_write(value, name, read)
                else:
                    read.add(table if path == ("items",) else None, value, False)
            case ("RequestItems", each) | (each,) if isinstance(value, dict) and requests.is_batch([value]):
                requests.read_batch({each: [value]}, name, read)
            case ("TransactItems",):
                requests.read_write(value, name, read)
            case _:
                raise forms.not_a_seed_file(name)

    def find_table(self) -> str:
        """The table that stands behind the items. UsageError."""
        again = JsonText(self.file)
        with again.reading():
            for path, value in again.walk(()):
                if path == ("table",) and isinstance(value, str):
                    return value
        raise UsageError(
            f'{self.file.name} has "items" and no "table"', hint='write it as {"table": "…", "items": […]}'
        )

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Open the file."""
        with opened(self.file) as lines:
            self.more = lambda: "".join(line for _, line in take_characters(lines, CHUNK))
            yield

    def walk(self, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        """(path, value) of every element of an array up to two objects deep, and of every other value there."""
        sign = self.peek()
        if sign == "[":
            yield from ((path, value) for value in self.elements())
        elif sign == "{" and len(path) < 2:
            self.at += 1
            if self.peek() == "}":
                self.at += 1
            else:
                while True:
                    key = self.value()
                    if not isinstance(key, str) or self.peek() != ":":
                        raise self.wrong("expected a name and a colon")
                    self.at += 1
                    yield from self.walk((*path, key))
                    if self.ends("}"):
                        break
        else:
            yield path, self.value()
        if not path and self.peek():
            raise self.wrong("there is text after the value")

    def elements(self) -> Iterator[Any]:
        """Yield the elements of an array."""
        self.at += 1
        if self.peek() == "]":
            self.at += 1
            return
        while True:
            yield self.value()
            if self.ends("]"):
                return

    def ends(self, closing: str) -> bool:
        """Go behind a comma (False) or the closing sign (True). UsageError for anything else."""
        sign = self.peek()
        if sign not in (",", closing):
            raise self.wrong(f"expected a comma or {closing}")
        self.at += 1
        return sign == closing

    def peek(self) -> str:
        """The next sign behind blanks; empty at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in " \t\n\r":
                self.at += 1
            if self.at < len(self.text) or not self.fill():
                return self.text[self.at : self.at + 1]

    def value(self) -> Any:
        """The next value, whole. UsageError names its line."""
        self.peek()
        while True:
            try:
                value, end = DECODER.raw_decode(self.text, self.at)
                if end < len(self.text) or not self.fill():
                    self.at = end
                    return value
                # A number may go on in what was just read.
                continue
            except json.JSONDecodeError as error:
                if len(self.text) - self.at > VALUE_CHARACTERS or not self.fill():
                    raise self.wrong(error.msg, error.pos) from None
            except ValueError as error:
                raise UsageError(f"{self.file.name}: {error}", hint=f"correct {self.file.name}") from None
            except RecursionError:
                raise UsageError(f"{self.file.name} is nested too deeply", hint=f"correct {self.file.name}") from None

    def fill(self) -> bool:
        """Let go of what was read and read on; False at the end of the file."""
        fresh = self.more()
        if not fresh:
            return False
        self.line += self.text.count("\n", 0, self.at)
        self.text, self.at = self.text[self.at :] + fresh, 0
        return True

    def wrong(self, what: str, at: int | None = None) -> UsageError:
        """The error for what is no JSON, with its line."""
        line = self.line + self.text.count("\n", 0, self.at if at is None else at)
        return UsageError(f"{self.file.name}:{line} is not valid JSON", detail=what, hint=f"correct {self.file.name}")


def take_characters(lines: Iterator[tuple[int, str]], size: int) -> Iterator[tuple[int, str]]:
    """Yield lines until they have `size` characters."""
    while size > 0 and (line := next(lines, None)) is not None:
        size -= len(line[1])
        yield line
