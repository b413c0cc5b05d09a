"""One side of `snapshot diff`: a snapshot or the present data, read in the order of its keys, and never changed."""

from __future__ import annotations

import signal
import socket
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from devenv.core.errors import DevenvError, StoreError, UsageError
from devenv.core.model import POSTGRES, PostgresTarget
from devenv.engines.embedded import dynamodb_file
from devenv.host import file_clone as copies
from devenv.host import processes
from devenv.snapshots.item_backup import copies_of, read_tables
from devenv.snapshots.manifest import CLUSTER, ITEMS, LEFT_OUT, Manifest
from devenv.snapshots.save import store_file
from devenv.stack import Stack

if TYPE_CHECKING:
    from devenv.stores.postgres.catalog import Table
    from devenv.stores.postgres.client import Connection

PATIENCE_S: Final = 60.0
PAGE: Final = 2000


@dataclass
class Side:
    """Both stores at one point. `items` maps each DynamoDB table of `file` to the names of its keys."""

    connection: Connection
    file: Path | None
    items: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def catalog(self) -> dict[str, Table]:
        """The tables of Postgres by title."""
        from devenv.stores.postgres.catalog import read_catalog

        return {table.title: table for table in read_catalog(self.connection).tables}

    def tables(self) -> set[str]:
        """The titles of the tables of Postgres."""
        return set(self.catalog)

    def key(self, title: str) -> tuple[str, ...]:
        """The primary key of a table; nothing without one."""
        table = self.catalog.get(title)
        constraints = table.constraints if table else ()
        return next((tuple(each.columns) for each in constraints if each.kind == "primary"), ())

    def rows(self, title: str) -> Iterator[tuple[list[str] | str, str]]:
        """(key as text, row as JSON), in the order of the key; without a key the row is its own."""
        from psycopg import sql

        table = self.catalog.get(title)
        if table is None:
            return
        place = sql.Identifier(table.schema, table.name)
        names = self.key(title)
        row: sql.Composable = sql.SQL('to_jsonb(t)::text COLLATE "C"')
        fields = [sql.SQL('t.{}::text COLLATE "C"').format(sql.Identifier(name)) for name in names]
        parts: list[sql.Composable] = [*fields] or [row]
        query = sql.SQL("SELECT ARRAY[{key}], {row} FROM {place} t ORDER BY {order}").format(
            key=sql.SQL(", ").join(parts), row=row, place=place, order=sql.SQL(", ").join(parts)
        )
        # Named: the server keeps the rows, and gives them in pages.
        with self.connection.cursor("devenv_diff") as cursor:
            cursor.itersize = PAGE
            cursor.execute(query)
            # The "C" collation compares bytes of UTF-8, which is the order of Python's code points.
            yield from cursor

    def item_differences(self, other: Side, table: str) -> Iterator[tuple[bytes | None, bytes | None]]:
        """(item here, item there) as DynamoDB JSON, of every key whose bytes differ; None: not on that side."""
        here, there = table in self.items, table in other.items
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as joined:
            for name, side in (("a", self), ("b", other)):
                address = f"{side.file.resolve().as_uri()}?mode=ro" if side.file else ":memory:"
                joined.execute(f"ATTACH ? AS {name}", [address]) if side.file else None
            name = '"' + table.replace('"', '""') + '"'
            same = "a.hashKey IS b.hashKey AND a.rangeKey IS b.rangeKey"
            if here and there:
                yield from joined.execute(
                    f"SELECT a.ObjectJSON, b.ObjectJSON FROM a.{name} a JOIN b.{name} b ON {same}"  # noqa: S608 - quoted
                    " WHERE a.ObjectJSON <> b.ObjectJSON"
                )
            for mine, yours, wanted in (("a", "b", here), ("b", "a", there)):
                if not wanted:
                    continue
                missing = f"SELECT 1 FROM {yours}.{name} {yours} WHERE {same}"  # noqa: S608 - quoted
                lacks = f"WHERE NOT EXISTS ({missing})" if here and there else ""
                query = f"SELECT {mine}.ObjectJSON FROM {mine}.{name} {mine} {lacks}"  # noqa: S608 - quoted
                for (item,) in joined.execute(query):
                    yield (item, None) if mine == "a" else (None, item)


@contextmanager
def open_snapshot(stack: Stack, place: Path, manifest: Manifest, work: Path) -> Iterator[Side]:
    """A snapshot to read from; copies lie below `work`. DevenvError for one that cannot be opened."""
    with ExitStack() as opened:
        if manifest.form == "files":
            target = opened.enter_context(serving(stack, place, work))
        else:
            target = replace(live(stack), database=manifest.database or "")
        connection = opened.enter_context(reading(target))
        file = opened.enter_context(items_file(place / copies_of(stack).part, place / ITEMS, work))
        yield Side(connection, file, tables_in(file))


@contextmanager
def open_now(stack: Stack, work: Path) -> Iterator[Side]:
    """The present data; copies lie below `work`. UsageError while Postgres does not run."""
    with ExitStack() as opened:
        connection = opened.enter_context(reading(live(stack)))
        if stack.engine.files:
            store = store_file(stack)
            file: Path | None = store if store.exists() else None
        else:
            copies_of(stack).copy_to(work / "items")
            file = opened.enter_context(items_file(work / "items", work / "none", work))
        yield Side(connection, file, tables_in(file))


def live(stack: Stack) -> PostgresTarget:
    """The project's own server. UsageError while it does not run."""
    if not stack.engine.runs(POSTGRES):
        raise UsageError("postgres does not run, so the current data cannot be compared", hint="devenv up")
    return stack.engine.targets().postgres


@contextmanager
def reading(target: PostgresTarget) -> Iterator[Connection]:
    """A connection that cannot write, in one transaction: one point in time."""
    from devenv.stores.postgres.reader import reading as open_reader

    with open_reader(target) as connection:
        connection.execute("SELECT set_config('TimeZone', 'UTC', false), set_config('extra_float_digits', '3', false)")
        connection.execute("SELECT set_config('DateStyle', 'ISO', false), set_config('bytea_output', 'hex', false)")
        connection.commit()
        yield connection


@contextmanager
def serving(stack: Stack, place: Path, work: Path) -> Iterator[PostgresTarget]:
    """A server on a copy of a snapshot's cluster, below `work`; ended with the block."""
    from devenv.engines.embedded import postgres
    from devenv.engines.embedded.engine import EmbeddedEngine

    engine = stack.engine
    if not isinstance(engine, EmbeddedEngine):
        raise UsageError("a copy of data files opens on engine embedded only", hint="devenv up --engine embedded")
    account = engine.account()
    binaries = postgres.find_binaries(stack.settings.postgres.source, engine.cache, account)
    postgres.check_version(place / CLUSTER, binaries)
    folder = Path(tempfile.mkdtemp(dir=work))
    folder.chmod(0o711)
    server = None
    try:
        copies.copy_tree(place / CLUSTER, folder / CLUSTER, account, LEFT_OUT.__contains__)
        with socket.socket() as chosen:
            chosen.bind(("127.0.0.1", 0))
            port = int(chosen.getsockname()[1])
        command = postgres.serve_command(binaries, folder / CLUSTER, port)
        # An index over a function would have it run, as the table's owner, by whoever looks after the tables.
        command += ["-c", "fsync=off", "-c", "autovacuum=off"]
        server = processes.spawn(
            command, log=folder / "log", cwd=engine.home, env=engine.service_environment(), account=account
        )
        target = replace(engine.targets().postgres, port=port, password=password_of(place))
        wait_for(target, server.poll, folder / "log")
        yield target
    finally:
        if server is not None and server.poll() is None:
            server.send_signal(signal.SIGINT)
            server.wait(PATIENCE_S)


def password_of(place: Path) -> str:
    """The password of a snapshot's cluster."""
    try:
        return str(msgspec.json.decode((place / "secrets.json").read_bytes())["password"])
    except (OSError, msgspec.DecodeError, KeyError, TypeError) as error:
        raise DevenvError(f"{place / 'secrets.json'} cannot be read", detail=str(error)) from None


def wait_for(target: PostgresTarget, ended: Any, log: Path) -> None:
    """Return when the server answers. DevenvError with the end of its log if it does not."""
    from devenv.stores.postgres.client import probe

    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            probe(target)
            return
        except StoreError as error:
            if ended() is not None or time.monotonic() > end:
                lines = log.read_text("utf-8", "replace").splitlines()
                raise DevenvError(
                    "the snapshot's copy of Postgres did not start", detail="\n".join(lines[-10:]) or error.detail
                ) from None
            time.sleep(0.05)


@contextmanager
def items_file(file: Path, other: Path, work: Path) -> Iterator[Path | None]:
    """The items as an SQLite file as DynamoDB Local has it: the file itself, or one made of JSON lines below `work`."""
    found = next((each for each in (file, other) if each.exists()), None)
    if found is None or is_sqlite(found):
        yield found
        return
    with tempfile.TemporaryDirectory(dir=work) as name:
        made = Path(name) / "items.sqlite"
        write_items(found, made)
        yield made


def is_sqlite(file: Path) -> bool:
    """Return True if a file is an SQLite database."""
    with file.open("rb") as content:
        return content.read(16) == b"SQLite format 3\0"


def write_items(lines: Path, target: Path) -> None:
    """Make an SQLite file of a file of JSON lines, with what `tables_in` and the comparison read."""
    with closing(sqlite3.connect(target, isolation_level=None)) as made:
        made.execute("PRAGMA synchronous = OFF")
        made.execute("CREATE TABLE dm (TableName TEXT PRIMARY KEY, TableInfo BLOB)")
        for head, items in read_tables(lines):
            names = keys_of(head.request)
            unique = [{"DynamoDBAttribute": {"AttributeName": name}} for name in names]
            made.execute("INSERT INTO dm VALUES (?, ?)", [head.table, msgspec.json.encode({"UniqueIndexes": unique})])
            name = '"' + head.table.replace('"', '""') + '"'
            made.execute(f"CREATE TABLE {name} (hashKey, rangeKey, ObjectJSON BLOB, PRIMARY KEY (hashKey, rangeKey))")
            made.execute("BEGIN")
            made.executemany(
                f"INSERT INTO {name} VALUES (?, ?, ?)",  # noqa: S608 - quoted
                (
                    (*(msgspec.json.encode(item.get(each)) for each in names), *[None] * (2 - len(names)), raw(item))
                    for item in items
                ),
            )
            made.execute("COMMIT")


def raw(item: Mapping[str, Any]) -> bytes:
    """An item as bytes, its attributes in one order."""
    return msgspec.json.encode(item, order="sorted")


def keys_of(described: Mapping[str, Any]) -> tuple[str, ...]:
    """The key attributes of a CreateTable request, partition key first."""
    schema = sorted(described["KeySchema"], key=lambda key: key["KeyType"] != "HASH")
    return tuple(key["AttributeName"] for key in schema)


def tables_in(file: Path | None) -> dict[str, tuple[str, ...]]:
    """Table -> its key attributes, of an SQLite file as DynamoDB Local has it."""
    if file is None:
        return {}
    with (
        dynamodb_file.translated(file),
        closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as opened,
    ):
        rows = opened.execute("SELECT TableName, TableInfo FROM dm ORDER BY 1").fetchall()
    found = {}
    for name, info in rows:
        unique = msgspec.json.decode(info)["UniqueIndexes"]
        found[name] = tuple(each["DynamoDBAttribute"]["AttributeName"] for each in unique)
    return found
