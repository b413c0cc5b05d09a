"""Records what devenv wrote, in one SQLite file beside the stores: how each step stands, each item, each row's id.

Postgres needs no ledger: what setup wrote is recorded inside the database, in the same transaction. DynamoDB has no
transaction over a whole seed, so an intent is written here before the store is touched, and settled afterwards.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import msgspec

from devenv.core.errors import DevenvError
from devenv.host.writing import open_new
from devenv.steps.stamps import FileStamp

Item = dict[str, Any]

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS marks (step TEXT PRIMARY KEY, hash TEXT, state TEXT, reason TEXT);
CREATE TABLE IF NOT EXISTS tables (name TEXT PRIMARY KEY, identity TEXT, emptying INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS items (
    "table" TEXT, key BLOB, written BLOB, intent BLOB, PRIMARY KEY ("table", key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ids (
    target TEXT, natural TEXT, id TEXT, PRIMARY KEY (target, natural, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS prints (target TEXT PRIMARY KEY, fingerprint TEXT);
CREATE TABLE IF NOT EXISTS files (
    name TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode TEXT, digest TEXT);
CREATE TABLE IF NOT EXISTS parsed (step TEXT PRIMARY KEY, key TEXT, opened BLOB, hash TEXT);
CREATE TABLE IF NOT EXISTS descriptions (name TEXT PRIMARY KEY, definition TEXT, description BLOB);
CREATE TABLE IF NOT EXISTS answers (
    relation TEXT, "where" TEXT, value TEXT, "column" TEXT, answer TEXT,
    PRIMARY KEY (relation, "where", value, "column")) WITHOUT ROWID;
"""
encode: Final = msgspec.json.Encoder(order="sorted").encode
decode: Final[Callable[[bytes], Any]] = msgspec.json.decode


# Keys in one question, and entries in one answer.
ASKED: Final = 500
PAGE: Final = 2_000


def dump(item: Item | None) -> bytes | None:
    return None if item is None else encode(item)


class LastRun(msgspec.Struct, frozen=True):
    """How a step's last run ended, and with which inputs. One that is still `running` has been killed."""

    hash: str
    state: Literal["running", "done", "failed"]
    reason: str


class ParsedFiles(msgspec.Struct, frozen=True):
    """The hash of a step's inputs, for exactly these files: `key` is a digest of their contents and of the settings.

    `opened`: the digest of each file that they looked for by themselves, by name; "" for one that is not there.
    """

    key: str
    opened: dict[str, str]
    hash: str


class LedgerItem(msgspec.Struct, frozen=True):
    """One item in the ledger. `written`: as last written by devenv; `intent`: what was about to be written.

    None in `written`: nothing yet. None in `intent`: nothing is under way; `{}`: it was about to be deleted.
    """

    key: bytes
    written: Item | None
    intent: Item | None


class Ledger:
    """The open file; a context manager. With `create=False` a missing file is an empty ledger in memory."""

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self._path = path
        with self._translated():
            if create:
                path.parent.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileExistsError):
                    open_new(path).close()
            self._db = sqlite3.connect(path if create or path.exists() else ":memory:", isolation_level=None)
            try:
                self._db.executescript(SCHEMA)
            except sqlite3.Error:
                self._db.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise DevenvError(
                f"the ledger {self._path} cannot be used",
                detail=str(error),
                hint=f"fix the cause; or remove {self._path}, then run `devenv seed`",
            ) from None

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """All changes in the block, or none."""
        with self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                # SQLite itself rolls back on a full disk; to ask again would hide the reason.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, query: str, *parameters: Any) -> list[Any]:
        with self._translated():
            return self._db.execute(query, parameters).fetchall()

    def _run(self, query: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with self._translated():
            self._db.executemany(query, rows)

    def mark(self, step: str) -> LastRun | None:
        """Return how the last run of `step` ended; None before the first."""
        rows = self._rows("SELECT hash, state, reason FROM marks WHERE step = ?", step)
        return LastRun(*rows[0]) if rows else None

    def set_mark(self, step: str, hash: str, state: Literal["running", "done", "failed"], reason: str) -> None:
        """Remember how a run of `step` ended, or that it began."""
        self._run("INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?)", [(step, hash, state, reason)])

    def identity(self, table: str) -> str | None:
        """Which incarnation of `table` the items are about; None when none was written."""
        rows = self._rows("SELECT identity FROM tables WHERE name = ?", table)
        return rows[0][0] if rows else None

    def set_identity(self, table: str, identity: str) -> None:
        """Know `table` under another identity: the same items, in a copy of the store."""
        self._run("UPDATE tables SET identity = ? WHERE name = ?", [(identity, table)])

    def forget(self, table: str, identity: str) -> None:
        """Begin anew with another incarnation of `table`: it holds nothing of ours."""
        with self.at_once():
            self._db.execute('DELETE FROM items WHERE "table" = ?', (table,))
            self._db.execute("INSERT OR REPLACE INTO tables (name, identity) VALUES (?, ?)", (table, identity))

    def emptying(self, table: str) -> bool:
        """Return True if the table's items were about to be removed, all of them."""
        return bool(self._rows("SELECT 1 FROM tables WHERE name = ? AND emptying", table))

    def set_emptying(self, table: str) -> None:
        """Remember that every item of `table` is about to be removed; `forget` ends it."""
        self._run("INSERT OR IGNORE INTO tables (name, identity) VALUES (?, '')", [(table,)])
        self._run("UPDATE tables SET emptying = 1 WHERE name = ?", [(table,)])

    def tables(self) -> list[str]:
        """Every table with items of ours."""
        # Asked for DISTINCT tables, SQLite reads every item.
        query = (
            'WITH RECURSIVE found(name) AS (SELECT min("table") FROM items UNION ALL'
            ' SELECT (SELECT min("table") FROM items WHERE "table" > name) FROM found WHERE name IS NOT NULL)'
            " SELECT name FROM found WHERE name IS NOT NULL"
        )
        return [row[0] for row in self._rows(query)]

    def counts(self) -> dict[str, int]:
        """Table -> how many items it holds by our hand."""
        return dict(self._rows('SELECT "table", count(*) FROM items WHERE written IS NOT NULL GROUP BY 1'))

    def count(self, most: int | None) -> int:
        """How many items all tables hold by our hand, counted up to `most` and no further."""
        query = "SELECT count(*) FROM (SELECT 1 FROM items WHERE written IS NOT NULL LIMIT ?)"
        return int(self._rows(query, -1 if most is None else most)[0][0])

    def description(self, table: str, definition: str) -> dict[str, Any] | None:
        """Return what DynamoDB said of a table when it had this definition; None if that was never kept."""
        query = "SELECT description FROM descriptions WHERE name = ? AND definition = ?"
        rows = self._rows(query, table, definition)
        return decode(rows[0][0]) if rows else None

    def keep_description(self, table: str, definition: str, description: Mapping[str, Any]) -> None:
        """Keep what DynamoDB says of a table as long as it has this definition."""
        self._run("INSERT OR REPLACE INTO descriptions VALUES (?, ?, ?)", [(table, definition, encode(description))])

    def entry(self, table: str, key: bytes) -> LedgerItem | None:
        """One item; None when devenv never wrote one under this key."""
        rows = self._rows('SELECT written, intent FROM items WHERE "table" = ? AND key = ?', table, key)
        return LedgerItem(key, *(None if blob is None else decode(blob) for blob in rows[0])) if rows else None

    def known_tables(self) -> list[str]:
        """Every table that seed has prepared."""
        return [row[0] for row in self._rows("SELECT name FROM tables WHERE identity <> '' ORDER BY 1")]

    def stamps(self) -> dict[str, FileStamp]:
        """File -> the stamp of the files that were loaded last."""
        rows = self._rows("SELECT name, size, mtime_ns, ctime_ns, inode, digest FROM files")
        return {
            name: FileStamp(size, mtime, ctime, int(inode), digest) for name, size, mtime, ctime, inode, digest in rows
        }

    def set_stamps(self, stamps: Mapping[str, FileStamp]) -> None:
        """Remember files that were loaded, beside those of other steps."""
        self._run(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)",
            ((n, s.size, s.mtime_ns, s.ctime_ns, str(s.inode), s.digest) for n, s in stamps.items()),
        )

    def parsed(self, step: str) -> ParsedFiles | None:
        """Return what is remembered of a step's files; None if they were never parsed."""
        rows = self._rows("SELECT key, opened, hash FROM parsed WHERE step = ?", step)
        return ParsedFiles(rows[0][0], decode(rows[0][1]), rows[0][2]) if rows else None

    def set_parsed(self, step: str, parsed: ParsedFiles) -> None:
        """Remember the hash of a step's files, so that they need not be parsed for it."""
        row = (step, parsed.key, encode(parsed.opened), parsed.hash)
        self._run("INSERT OR REPLACE INTO parsed VALUES (?, ?, ?, ?)", [row])

    def has_entries(self, table: str) -> bool:
        """Return True if there is an entry of the table."""
        return bool(self._rows('SELECT 1 FROM items WHERE "table" = ? LIMIT 1', table))

    def entries_of(self, table: str, keys: Sequence[bytes]) -> dict[bytes, LedgerItem]:
        """The entries of these keys of one table."""
        found: dict[bytes, LedgerItem] = {}
        for rows in self._asked(table, keys):
            found |= entries_from(rows)
        return found

    def written_forms(self, table: str, keys: Sequence[bytes]) -> dict[bytes, tuple[bytes | None, bytes | None]]:
        """Of these keys of one table what was written and what was about to be, both as `encode` gives it."""
        found: dict[bytes, tuple[bytes | None, bytes | None]] = {}
        for rows in self._asked(table, keys):
            found |= {key: (written, intent) for key, written, intent in rows}
        return found

    def _asked(self, table: str, keys: Sequence[bytes]) -> Iterator[list[Any]]:
        """The rows of these keys of one table, ASKED keys at a time."""
        for start in range(0, len(keys), ASKED):
            part = keys[start : start + ASKED]
            marks = ",".join("?" * len(part))
            query = f'SELECT key, written, intent FROM items WHERE "table" = ? AND key IN ({marks})'  # noqa: S608
            yield self._rows(query, table, *part)

    def pages(self, table: str) -> Iterator[dict[bytes, LedgerItem]]:
        """The entries of one table, PAGE of them at a time, by key. They may be changed meanwhile."""
        last = b""
        query = 'SELECT key, written, intent FROM items WHERE "table" = ? AND key > ? ORDER BY key LIMIT ?'
        while rows := self._rows(query, table, last, PAGE):
            yield entries_from(rows)
            last = rows[-1][0]

    def begin_wanted(self) -> None:
        """Remember from now on which keys are wanted (`want`), until the file is closed."""
        with self._translated():
            self._db.execute("PRAGMA temp_store = FILE")
            self._db.execute(
                'CREATE TEMP TABLE wanted ("table" TEXT, key BLOB, PRIMARY KEY ("table", key)) WITHOUT ROWID'
            )

    def want(self, table: str, keys: Iterable[bytes]) -> None:
        """Note that these keys are wanted."""
        with self.at_once():
            self._run("INSERT OR IGNORE INTO wanted VALUES (?, ?)", ((table, key) for key in keys))

    def unwanted(self, table: str) -> Iterator[dict[bytes, LedgerItem]]:
        """The entries of one table whose keys were not wanted, PAGE of them at a time."""
        last = b""
        query = (
            'SELECT key, written, intent FROM items i WHERE "table" = ? AND key > ? AND NOT EXISTS'
            ' (SELECT 1 FROM wanted w WHERE w."table" = i."table" AND w.key = i.key) ORDER BY key LIMIT ?'
        )
        while rows := self._rows(query, table, last, PAGE):
            yield entries_from(rows)
            last = rows[-1][0]

    def entries(self, table: str) -> dict[bytes, LedgerItem]:
        """The entries of one table, by key."""
        return entries_from(self._rows('SELECT key, written, intent FROM items WHERE "table" = ?', table))

    def intend(self, table: str, intents: Mapping[bytes, Item]) -> None:
        """Before writing: what each key is about to hold (`{}`: nothing)."""
        with self.at_once():
            self._run(
                "INSERT INTO items VALUES (?, ?, NULL, ?) ON CONFLICT DO UPDATE SET intent = excluded.intent",
                ((table, key, encode(item)) for key, item in intents.items()),
            )

    def settle(self, table: str, items: Mapping[bytes, Item | None]) -> None:
        """After writing: what each key holds now by our hand; None takes the entry out."""
        with self.at_once():
            self._run(
                "INSERT OR REPLACE INTO items VALUES (?, ?, ?, NULL)",
                ((table, key, encode(item)) for key, item in items.items() if item is not None),
            )
            self._run(
                'DELETE FROM items WHERE "table" = ? AND key = ?',
                ((table, key) for key, item in items.items() if item is None),
            )

    def move(self, table: str, moves: Mapping[bytes, LedgerItem]) -> None:
        """Replace entries, by their old keys, with others; all at once."""
        with self.at_once():
            self._run('DELETE FROM items WHERE "table" = ? AND key = ?', [(table, key) for key in moves])
            self._run(
                "INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?)",
                [(table, entry.key, dump(entry.written), dump(entry.intent)) for entry in moves.values()],
            )

    def ids(self, target: str) -> dict[str, set[str]]:
        """Natural key -> every id that items may still hold for it: one, except in the midst of a follow."""
        found: dict[str, set[str]] = {}
        for natural, id in self._rows("SELECT natural, id FROM ids WHERE target = ?", target):
            found.setdefault(natural, set()).add(id)
        return found

    def add_ids(self, target: str, ids: Iterable[tuple[str, str]]) -> None:
        """Remember further ids (natural key, id), beside those that the natural keys had before."""
        with self.at_once():
            self._run("INSERT OR IGNORE INTO ids VALUES (?, ?, ?)", ((target, *pair) for pair in ids))

    def fingerprint(self, target: str) -> str | None:
        """The fingerprint of the rows that the ids were read from."""
        rows = self._rows("SELECT fingerprint FROM prints WHERE target = ?", target)
        return rows[0][0] if rows else None

    def set_ids(self, target: str, ids: Iterable[tuple[str, str]], fingerprint: str) -> None:
        """Remember these ids (natural key, id) and no others, and the fingerprint of the rows they come from."""
        with self.at_once():
            self._run("INSERT OR REPLACE INTO prints VALUES (?, ?)", [(target, fingerprint)])
            self._run("DELETE FROM ids WHERE target = ?", [(target,)])
            self._run("INSERT OR IGNORE INTO ids VALUES (?, ?, ?)", ((target, *pair) for pair in ids))

    def answers(self) -> dict[tuple[str, str, str, str], str]:
        """(relation, column asked by, its value, column) -> what the last run's references resolved to."""
        return {tuple(row[:4]): row[4] for row in self._rows("SELECT * FROM answers")}

    def set_answers(self, answers: Mapping[tuple[str, str, str, str], str]) -> None:
        """Remember what the references resolved to."""
        with self.at_once():
            self._run("DELETE FROM answers", [()])
            self._run("INSERT INTO answers VALUES (?, ?, ?, ?, ?)", ((*key, answer) for key, answer in answers.items()))


def entries_from(rows: Iterable[Any]) -> dict[bytes, LedgerItem]:
    """Entries by key, from the rows of the file."""
    return {
        key: LedgerItem(key, written and decode(written), intent and decode(intent)) for key, written, intent in rows
    }
