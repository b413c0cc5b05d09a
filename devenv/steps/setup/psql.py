"""SQL files as psql reads them: its commands, its variables, included files, COPY … FROM stdin. Pure but for includes.

What has no meaning for a project's database is left out and listed, line by line (psql_commands.py); texts that a file
prints are listed too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Final

import msgspec
from msgspec.structs import replace

from devenv.core.errors import UsageError
from devenv.core.late import late
from devenv.core.plural import number_of
from devenv.steps.setup.psql_commands import DONE, ENDS, PRINTED, PRINTS, UTF8, first_command, why_left_out
from devenv.steps.setup.sql import CopyRows, Lines, Statement, count_blocks, next_token, refuse

INCLUDES: Final = {"i": False, "include": False, "ir": True, "include_relative": True}
TRUE: Final = ("1", "on", "true", "yes", "t", "y")
END_OF_ROWS: Final = late(r"^\\\.\r?$", re.MULTILINE)
# Not `\copy (SELECT … FROM t) TO 'file'`, which writes one.
COPY: Final = late(
    r"\\copy\s+(?P<target>[^\s(].*?)\s+from\s+(?P<source>'[^']*'|\S+)(?P<rest>.*)$", re.IGNORECASE | re.DOTALL
)
# COPY of the server's: what it fills, the file, its options.
SERVER_COPY: Final = late(
    r"COPY\s+(?P<target>(?:\w+|\"[^\"]+\")(?:\s*\.\s*(?:\w+|\"[^\"]+\"))?\s*(?:\([^()]*\))?)\s*FROM\s+"
    r"(?:E(?='[^'\\]*'))?'(?P<source>(?:[^']|'')+)'(?P<rest>.*)$",
    re.IGNORECASE | re.DOTALL,
)
CONCURRENTLY: Final = late(r"((?:CREATE(?:\s+UNIQUE)?|DROP)\s+INDEX\s+)CONCURRENTLY\s+", re.IGNORECASE)
DEPTH: Final = 20
SHOWN: Final = 3

# The text of a file of the project, by name; None when there is none.
Open = Callable[[str], str | None]
# (folder of a container, folder or file of the project).
Mounts = Sequence[tuple[str, str]]


class LeftOut(msgspec.Struct, frozen=True):
    """A line that is not run: where it is, what it is, and why."""

    place: str
    what: str
    why: str


class PsqlReader(msgspec.Struct):
    """The files of one step, one after the other, as one psql would read them.

    `find` opens files that others include; without it they count as left out. `included` are their names, `seal` their
    texts: what the step makes depends on them too. `mounts` are folders of containers, with those of the project that
    compose files mount there; `find_rows` opens only files that lie in the project, links followed.
    """

    database: str | None = None
    find: Open | None = None
    left_out: list[LeftOut] = msgspec.field(default_factory=list)
    included: set[str] = msgspec.field(default_factory=set)
    seal: bytes = b""
    mounts: Mounts = ()
    find_rows: Open | None = None

    def read(self, text: str, file: str) -> tuple[Statement, ...]:
        """The statements of one file of the step. UsageError names `file:line` of what cannot be run."""
        session = FileSession(self, {"DBNAME": self.database} if self.database else {})
        session.read(text, file)
        return tuple(replace(each, origin=file) for each in session.found)

    def open(self, name: str, beside: str, relative: bool, place: str) -> tuple[str, str]:
        """(name, text) of a file that one of the files names. UsageError when the project has no such file."""
        folder = PurePosixPath(beside).parent
        path = PurePosixPath(name)
        # Absolute names are those inside a container, where all files lie together.
        near = (
            [folder / path.name] if path.is_absolute() else [folder / path, path] if relative else [path, folder / path]
        )
        plain = [found for each in near if (found := flatten(each))]
        return self.open_first(plain, self.find, f"{place}: {name}", "correct its name, or remove the line")

    def open_first(self, names: Sequence[str], find: Open | None, what: str, hint: str) -> tuple[str, str]:
        """(name, text) of the first of these that the project has. UsageError when it has none."""
        for name in names if find else ():
            text = find(name) if find else None
            if text is not None:
                self.included.add(name)
                encoded = text.encode()
                self.seal += b"%d:" % len(encoded) + encoded
                return name, text
        raise UsageError(
            f"{what} is not a file of the project", detail=f"looked for {', '.join(names) or 'none'}", hint=hint
        )


class FileSession(msgspec.Struct):
    """One file, with those that it includes."""

    reader: PsqlReader
    variables: dict[str, str]
    found: list[Statement] = msgspec.field(default_factory=list)
    depth: int = 0
    # One entry for each \\if that is open: whether its branch is read, and whether one was already.
    branches: list[tuple[bool, bool]] = msgspec.field(default_factory=list)

    def read(self, text: str, file: str) -> None:
        """Add the file's statements to `found`."""
        lines = Lines(text, file)
        buffer = Buffer(file)
        at = 0
        while token := next_token(text, at, lines):
            kind, start, at = token
            if kind == "meta":
                buffer.cut(text, start)
                command, rest, length = first_command(text[start:at])
                at = start + length
                if command == "q" and self.active:
                    return
                if command in ENDS:
                    self.finish(buffer, text, start, command, rest, lines.place(start))
                elif command == "copy" and self.active:
                    at = self.copy(text, start, at, lines, file)
                elif command in ("r", "reset") and self.active:
                    buffer = Buffer(file)
                else:
                    self.command(command, rest, file, lines.place(start))
                buffer.skip(at)
            elif kind == "end" and buffer.depth <= 0 and buffer.blocks == 0:
                rows = "COPY" in buffer.words[:1] and {"FROM", "STDIN"} <= set(buffer.words)
                block = None
                if rows:
                    block, at = read_rows(text, at, lines, file)
                self.end(buffer, text, start, rows=block)
                buffer.skip(at)
            elif kind == "var":
                value = self.value(text[start:at])
                buffer.start(start, lines)
                if value is not None:
                    buffer.put(text, start, at, value)
            else:
                buffer.start(start, lines)
                buffer.note(kind, text[start:at])
        self.end(buffer, text, len(text))

    @property
    def active(self) -> bool:
        """True if the present branch of every \\if is read."""
        return all(branch for branch, _ in self.branches)

    def finish(self, buffer: Buffer, text: str, stop: int, command: str, rest: str, place: str) -> None:
        """Take the statement that a command ends."""
        self.end(buffer, text, stop, command)
        if self.active and command in ("g", "gx") and rest and not rest.startswith("("):
            why = "devenv runs no program for it" if rest.startswith("|") else "devenv writes no files for it"
            self.leave_out(place, f"\\{command} {rest}", why)

    def end(
        self, buffer: Buffer, text: str, stop: int, command: str | None = None, rows: CopyRows | None = None
    ) -> None:
        """Take the statement that ends at `stop`; `command`: the one of psql that ends it."""
        statement = buffer.statement(text, stop)
        words = buffer.words[:]
        buffer.clear()
        if statement is None or not self.active:
            return
        refuse(statement, words)
        if why := ENDS.get(command or "") or reason(words, self.reader.database):
            self.leave_out(statement.place, statement.excerpt, why)
        else:
            plain = CONCURRENTLY.sub(r"\1", statement.text, count=1)
            if words[:1] == ["COPY"] and self.reader.find_rows and (copied := SERVER_COPY.match(plain)):
                plain, rows = self.server_copy(copied, statement)
            self.found.append(replace(statement, text=plain, rows=rows))

    def server_copy(self, found: re.Match[str], statement: Statement) -> tuple[str, CopyRows]:
        """COPY … FROM 'FILE' as \\copy, so the server opens no file. UsageError if the project has no such file."""
        source = found["source"].replace("''", "'")
        name, content = self.reader.open_first(
            places_of_rows(source, statement.file, self.reader.mounts),
            self.reader.find_rows,
            f"{statement.place}: {source}, which COPY reads,",
            "put the file into the project, beside the SQL file, or remove the line",
        )
        return f"COPY {found['target'].strip()} FROM STDIN{found['rest']}", CopyRows(name, 1, content)

    def leave_out(self, place: str, what: str, why: str) -> None:
        """List a line that is not run."""
        self.reader.left_out.append(LeftOut(place, what, why))

    def value(self, reference: str) -> str | None:
        """Return what `:name`, `:'name'`, `:"name"` or `:{?name}` stands for; None when there is no such variable."""
        name = reference.strip(":'\"{}?")
        if reference.startswith(":{"):
            return "TRUE" if name in self.variables else "FALSE"
        if name not in self.variables:
            return None
        value = self.variables[name]
        if reference[1] == "'":
            return "'" + value.replace("'", "''") + "'"
        return '"' + value.replace('"', '""') + '"' if reference[1] == '"' else value

    def words(self, rest: str) -> list[str]:
        """The arguments of a command, with variables filled in and quotes taken away."""
        filled = re.sub(r":(?:\w+|'\w+'|\"\w+\"|\{\?\w+\})", lambda found: self.value(found[0]) or found[0], rest)
        found = re.findall(r"'((?:[^']|'')*)'|\"([^\"]*)\"|(\S+)", filled)
        return [single.replace("''", "'") or double or plain for single, double, plain in found]

    def command(self, command: str, rest: str, file: str, place: str) -> None:
        """Carry a command out, refuse it (UsageError), or list it as left out."""
        if command in ("if", "elif", "else", "endif"):
            self.branch(command, self.words(rest), place)
        elif not self.active or DONE.fullmatch(command):
            return
        elif "`" in rest and command in ("set", *PRINTS):
            self.leave_out(place, f"\\{command} {rest}", "devenv runs no program for it")
        elif command in PRINTS:
            words = self.words(rest)
            self.leave_out(place, " ".join(words[1:] if words[:1] == ["-n"] else words), PRINTED)
        elif command == "set":
            name, *values = self.words(rest) or [""]
            if name:
                self.variables[name] = "".join(values)
            else:
                self.leave_out(place, "\\set", "it only prints information")
        elif command == "unset":
            self.variables.pop(rest, None)
        elif command in INCLUDES:
            self.include(self.words(rest), INCLUDES[command], file, place)
        elif command in ("c", "connect"):
            self.connect(self.words(rest), f"\\{command} {rest}".strip(), place)
        elif command in ("bind", "bind_named"):
            raise UsageError(
                f"{place}: \\{command} gives a statement its parameters, which devenv does not do",
                hint="write the values into the statement",
            )
        elif command != "encoding" or rest.strip("'\"").upper().replace("-", "") not in UTF8:
            self.leave_out(place, f"\\{command} {rest}".strip(), why_left_out(command))

    def include(self, words: Sequence[str], relative: bool, file: str, place: str) -> None:
        """\\i and \\ir."""
        if not words or self.reader.find is None:
            return self.leave_out(place, "\\i", "it does not name a file")
        if self.depth >= DEPTH:
            raise UsageError(f"{place}: files include one another in a cycle", hint="remove the line")
        name, text = self.reader.open(words[0], file, relative, place)
        self.depth += 1
        self.read(text, name)
        self.depth -= 1
        return None

    def connect(self, words: Sequence[str], shown: str, place: str) -> None:
        """\\connect: everything runs in the project's database, whatever it is called there."""
        here = self.reader.database
        there = re.sub(r"^.*[/=]", "", words[0]).split("?")[0] if words else "-"
        if here is not None and there not in ("-", here):
            self.leave_out(place, shown, f"the statements after it run in the project's database {here}")

    def branch(self, command: str, words: Sequence[str], place: str) -> None:
        """\\if and its kin."""
        true = bool(words) and words[0].lower() in TRUE
        if command == "if":
            self.branches.append((true, true))
            return None
        if not self.branches:
            return self.leave_out(place, f"\\{command}", "there is no \\if before it")
        _, taken = self.branches.pop()
        if command != "endif":
            now = not taken and (command == "else" or true)
            self.branches.append((now, taken or now))
        return None

    def copy(self, text: str, start: int, stop: int, lines: Lines, file: str) -> int:
        """\\copy … FROM a file of the project, or the lines that follow. Where the rest of the text begins."""
        place, shown = lines.place(start), text[start:stop].strip()
        found = COPY.match(shown.rstrip(";"))
        if found is None or found["source"].lower() == "program":
            self.leave_out(place, shown, "only \\copy … FROM a file is possible")
            return stop
        rest = f" {found['rest'].strip()}" if found["rest"].strip() else ""
        statement = f"COPY {found['target']} FROM STDIN{rest}"
        source = found["source"].strip("'")
        if source.lower() in ("stdin", "pstdin"):
            rows, stop = read_rows(text, stop, lines, file)
        elif self.reader.find is None:
            return stop
        else:
            name, content = self.reader.open(source, file, False, place)
            rows = CopyRows(name, 1, content)
        self.found.append(Statement(file, lines.number(start), statement, rows=rows))
        return stop


class Buffer:
    """A statement as it is being read: pieces of the text, with values of variables between them."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self._pieces: list[str] = []
        self._from = 0
        self._line: int | None = None
        self.words: list[str] = []
        self.depth = self.blocks = 0

    def start(self, at: int, lines: Lines) -> None:
        """A token of the statement begins at `at`."""
        if self._line is None:
            self._line, self._from = lines.number(at), at

    def note(self, kind: str, token: str) -> None:
        """Count parentheses and blocks, in which a semicolon ends nothing."""
        self.depth += (kind == "open") - (kind == "close")
        if kind == "word":
            self.words.append(token.upper())
            self.blocks = count_blocks(self.words, self.blocks)

    def put(self, text: str, start: int, stop: int, value: str) -> None:
        self._pieces += [text[self._from : start], value]
        self._from = stop

    def cut(self, text: str, start: int) -> None:
        """Something that does not belong to the statement begins at `start`."""
        if self._line is not None:
            self._pieces.append(text[self._from : start])
            self._from = start

    def skip(self, at: int) -> None:
        """It ends at `at`."""
        self._from = at

    def statement(self, text: str, stop: int) -> Statement | None:
        """The statement that ends at `stop`; None when there is nothing."""
        if self._line is None:
            return None
        whole = "".join([*self._pieces, text[min(self._from, stop) : stop]]).rstrip()
        return Statement(self._file, self._line, whole, self._file) if whole else None


def read_rows(text: str, at: int, lines: Lines, file: str) -> tuple[CopyRows, int]:
    """The rows behind a COPY … FROM stdin that ends at `at`, up to `\\.`; and where the text continues."""
    newline = text.find("\n", at)
    begin = len(text) if newline < 0 else newline + 1
    end = END_OF_ROWS.search(text, begin)
    stop, after = (end.start(), end.end()) if end else (len(text), len(text))
    return CopyRows(file, lines.number(begin), text[begin:stop]), after


def places_of_rows(source: str, beside: str, mounts: Mounts) -> list[str]:
    """The files of a project that the name of a file in a container can mean, the most likely first.

    That is the one that is mounted there; else one with the end of its path, beside the SQL file or in the project.
    """
    path, folder = PurePosixPath(source), PurePosixPath(beside).parent
    places: list[PurePosixPath] = []
    if not path.is_absolute():
        places = [folder / path, path]
    for target, own in mounts if path.is_absolute() else ():
        if path.is_relative_to(target):
            places.append(PurePosixPath(own) / path.relative_to(target))
    if path.is_absolute():
        ends = [PurePosixPath(*path.parts[start:]) for start in range(1, len(path.parts))]
        places += [each for end in ends for each in (folder / end, end)]
    return list(dict.fromkeys(found for each in places if (found := flatten(each))))


def reason(words: Sequence[str], database: str | None) -> str | None:
    """Why a statement is left out; None when it is run."""
    first, second = [*words, "", ""][:2]
    if first in ("BEGIN", "COMMIT", "END") or (first, second) == ("START", "TRANSACTION"):
        return "devenv runs all files in one transaction"
    if first in ("CREATE", "DROP") and second == "DATABASE":
        return f"devenv makes the project's database{f' {database}' if database else ''} itself"
    if first in ("CREATE", "DROP", "ALTER") and second == "TABLESPACE":
        return "tablespaces belong to the server"
    return None


def split_statements(text: str, file: str) -> tuple[Statement, ...]:
    """The statements of one file, without what it includes. UsageError as in `Reader.read`."""
    return PsqlReader().read(text, file)


def flatten(path: PurePosixPath) -> str:
    """A path inside the project without `.` and `..`; "" when it leads out of it."""
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            if not parts:
                return ""
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def list_left_out(left_out: Sequence[LeftOut]) -> tuple[str, ...]:
    """One sentence for each reason, with the first places; one with the texts that the files print."""
    groups: dict[str, list[LeftOut]] = {}
    for each in left_out:
        groups.setdefault(each.why, []).append(each)
    sentences = []
    for why, lines in groups.items():
        shown = "; ".join(f"{one.place} {one.what[:60]}" for one in lines[:SHOWN])
        more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
        said = "psql prints" if why == PRINTED else f"{number_of(len(lines), 'line')} left out ({why})"
        sentences.append(f"{said}: {shown}{more}")
    return tuple(sentences)
