"""A connection to Postgres as calls: simple and extended queries, pipelines, portals, COPY, errors. Pure."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from devenv.capture.tap.http import Unparsed
from devenv.capture.tap.masks import TOKEN, mask_secrets, mask_sql, traceparent_of
from devenv.capture.tap.pgsettings import SessionSettings
from devenv.capture.tap.pgwire import (
    BACKEND,
    BACKEND_DATA,
    CANCEL_REQUEST,
    FRONTEND,
    FRONTEND_DATA,
    Stream,
    columns_of,
    fields_of,
    numbers_at,
    startup,
    text_at,
    type_names,
)
from devenv.capture.tap.records import Owner, WireCall

STATEMENT_CHARS: Final = 8000
DETAIL_CHARS: Final = 500
# Prepared statements and portals of a connection that are remembered, also when an application leaks them.
NAMES: Final = 5000
STATES: Final = {ord("I"): "idle", ord("T"): "in transaction", ord("E"): "failed transaction"}
ROW: Final = ord("D")
Kind = Literal["query", "parse", "bind", "describe", "execute", "close", "sync", "function"]


@dataclass
class PreparedStatement:
    """A statement with what is known of it."""

    sql: str
    types: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(slots=True)
class Portal:
    """A bound statement. `digest` stands for its values."""

    prepared: PreparedStatement
    count: int = 0
    digest: str = ""
    size: int = 0
    columns: tuple[str, ...] = ()


@dataclass(slots=True)
class Pending:
    """A message of the client that the server has not answered to its end."""

    kind: Kind
    started: float
    prepared: PreparedStatement | None = None
    portal: Portal | None = None
    owner: Owner = field(default_factory=Owner)
    name: str = ""
    before: PreparedStatement | None = None
    rows: int = 0
    tagged: int | None = None
    tags: int = 0
    columns: tuple[str, ...] = ()
    error: str | None = None
    detail: str | None = None
    answer_size: int = 0
    copied: Literal["in", "out"] | None = None
    copy_ended: bool = False
    ignored: bool = False
    transaction: str | None = None


class PostgresConversation:
    """A connection to Postgres. `told` gets each call; `owner` is asked, when one begins, whose it is."""

    def __init__(
        self,
        told: Callable[[WireCall], None],
        owner: Callable[[str | None], Owner],
        *,
        contents: bool,
        salt: bytes,
        connection: int,
    ) -> None:
        self.told, self.owner = told, owner
        self.contents, self.salt, self.connection = contents, salt, connection
        self.client = Stream(FRONTEND, FRONTEND_DATA)
        self.server = Stream(BACKEND, BACKEND_DATA)
        self.hello: bytearray | None = bytearray()
        self.statements: dict[str, PreparedStatement] = {}
        self.portals: dict[str, Portal] = {}
        self.pending: deque[Pending] = deque()
        self.skipping = False
        self.copying = False
        self.cancels = False
        self.status = ord("I")
        self.keeper: Owner | None = None
        self.last = Owner()
        self.settings = SessionSettings()

    # --- the client ---

    def sent(self, data: bytes, now: float) -> None:
        """Bytes from the client, without what the gate answered."""
        if self.hello is not None:
            self.hello += data
            if not (rest := self.read_hello()):
                return
            data = rest
        for kind, body, size, _ in self.client.feed(data):
            self.read_client(kind, body, size, now)

    def read_hello(self) -> bytes:
        """Read the startup packet; what comes behind it."""
        held = self.hello or bytearray()
        if len(held) < 8:
            return b""
        length = int.from_bytes(held[:4], "big")
        if not 8 <= length <= 10_000:
            raise Unparsed("not a Postgres startup packet")
        if len(held) < length:
            return b""
        code, parameters = startup(bytes(held[4:length]))
        if code == CANCEL_REQUEST:
            self.cancels = True
        elif code >> 16 != 3:
            raise Unparsed(f"protocol {code >> 16}.{code & 0xFFFF}")
        self.settings.start(parameters)
        self.hello = None
        return bytes(held[length:])

    def read_client(self, kind: int, body: bytes, size: int, now: float) -> None:
        letter = chr(kind)
        if letter in "dcfHXp":
            if letter in "cf":
                self.end_copy()
            return
        if letter == "S":
            if not self.copying:
                self.skipping = False
                self.pending.append(Pending("sync", now))
            return
        if self.skipping:
            return
        self.pending.append(READERS[letter](self, body, size, now))

    def end_copy(self) -> None:
        """The client has sent all data of a COPY, which the server may not have begun yet."""
        self.copying = False
        for one in reversed(self.pending):
            if one.kind in ("query", "execute"):
                one.copy_ended = True
                return
            one.ignored = True

    def read_query(self, body: bytes, size: int, now: float) -> Pending:
        """A simple query, of one or several statements."""
        prepared = PreparedStatement(text_at(body, 0)[0])
        portal = Portal(prepared, digest=self.digest(body), size=size)
        return self.begin("query", now, prepared, portal)

    def read_parse(self, body: bytes, size: int, now: float) -> Pending:
        """A statement that is prepared."""
        name, place = text_at(body, 0)
        sql, place = text_at(body, place)
        numbers, _ = numbers_at(body, place, 4)
        prepared = PreparedStatement(sql, type_names(numbers))
        before = self.statements.get(name)
        remember(self.statements, name, prepared)
        return Pending("parse", now, prepared, name=name, before=before)

    def read_bind(self, body: bytes, size: int, now: float) -> Pending:
        """Values for a prepared statement."""
        name, place = text_at(body, 0)
        statement, place = text_at(body, place)
        _, place = numbers_at(body, place, 2)
        count = int.from_bytes(body[place : place + 2], "big")
        prepared = self.statements.get(statement) or PreparedStatement("(prepared before the tap saw it)")
        portal = Portal(prepared, count, self.digest(prepared.sql.encode() + body[place:]), size, prepared.columns)
        remember(self.portals, name, portal)
        return Pending("bind", now, prepared, portal)

    def read_describe(self, body: bytes, size: int, now: float) -> Pending:
        """A question for the types of a statement or portal."""
        name, _ = text_at(body, 1)
        if body[:1] == b"S":
            return Pending("describe", now, self.statements.get(name))
        portal = self.portals.get(name)
        return Pending("describe", now, portal.prepared if portal else None, portal)

    def read_execute(self, body: bytes, size: int, now: float) -> Pending:
        """The execution of a portal, or its continuation."""
        name, _ = text_at(body, 0)
        portal = self.portals.get(name) or Portal(PreparedStatement("(bound before the tap saw it)"))
        return self.begin("execute", now, portal.prepared, portal)

    def read_close(self, body: bytes, size: int, now: float) -> Pending:
        """The end of a statement or portal."""
        name, _ = text_at(body, 1)
        if body[:1] == b"S":
            self.statements.pop(name, None)
        else:
            self.portals.pop(name, None)
        return Pending("close", now)

    def read_function(self, body: bytes, size: int, now: float) -> Pending:
        """A call of a function by its number, as large objects are read."""
        prepared = PreparedStatement(f"(function {int.from_bytes(body[:4], 'big')} by its number)")
        return self.begin("function", now, prepared, Portal(prepared, size=size))

    def begin(self, kind: Kind, now: float, prepared: PreparedStatement, portal: Portal) -> Pending:
        """Return what becomes a call."""
        traceparent = traceparent_of(prepared.sql)
        owner = self.owner(traceparent)
        if traceparent is None and self.status != ord("I") and self.keeper is not None:
            owner = joined(self.keeper, owner)
        self.last = owner
        return Pending(kind, now, prepared, portal, owner)

    def digest(self, values: bytes) -> str:
        """Return what stands for values that are not kept."""
        return hashlib.blake2b(values, key=self.salt, digest_size=8).hexdigest()

    # --- the server ---

    def received(self, data: bytes, now: float) -> None:
        """Bytes from the server."""
        if self.cancels:
            return
        for kind, body, size, count in self.server.feed(data):
            first = self.pending[0] if self.pending else None
            if kind == ROW:
                if first is not None:
                    first.rows += count
                    first.answer_size += size
            else:
                self.read_server(chr(kind), body, size, first, now)

    def read_server(self, letter: str, body: bytes, size: int, first: Pending | None, now: float) -> None:
        """One message of the server that is no row, or copied data. The most frequent ones come first."""
        if letter == "Z":
            self.ready(body, now)
        elif letter == "S":
            name, place = text_at(body, 0)
            self.settings.report(name, text_at(body, place)[0])
        elif first is None:
            return
        elif letter in "CIsV":
            self.complete(first, letter, text_at(body, 0)[0], now)
        elif letter == "T":
            self.describe(first, columns_of(body))
        elif letter in "123n":
            if letter != "n" or first.kind == "describe":
                self.pending.popleft()
        elif letter == "E":
            self.fail(first, fields_of(body), now)
        elif letter == "d":
            first.answer_size += size
        elif letter in "GHW":
            self.begin_copy(first, letter)
        elif letter == "t" and first.prepared is not None:
            numbers, _ = numbers_at(body, 0, 4)
            first.prepared.types = type_names(numbers)

    def begin_copy(self, first: Pending, letter: str) -> None:
        """COPY begins. While data is copied in, the server takes no notice of Sync, so neither does this."""
        first.copied = "out" if letter == "H" else "in"
        if letter == "H":
            return
        # A client may send all of the data before the server says that it is ready for it.
        self.copying = not first.copy_ended
        while len(self.pending) > 1 and self.pending[1].kind == "sync":
            if first.copy_ended and not self.pending[1].ignored:
                break
            del self.pending[1]

    def describe(self, first: Pending, columns: tuple[str, ...]) -> None:
        """Columns of what comes."""
        if first.kind == "describe":
            if first.portal is not None:
                first.portal.columns = columns
            if first.prepared is not None:
                first.prepared.columns = columns
            self.pending.popleft()
        else:
            first.columns = columns

    def complete(self, first: Pending, letter: str, tag: str, now: float) -> None:
        """A statement ended well."""
        if letter == "C":
            first.tags += 1
            last = tag.rpartition(" ")[2]
            first.tagged = (first.tagged or 0) + int(last) if last.isdecimal() else first.tagged
            if first.prepared is not None and tag.startswith(("SET", "RESET", "DISCARD", "ROLLBACK")):
                sql = first.prepared.sql
                self.settings.completed(tag, nth_statement(sql, first.tags) if first.kind == "query" else sql)
        if first.kind in ("execute", "function") and letter != "V":
            self.pending.popleft()
            self.tell(first, now, more=letter == "s")

    def fail(self, first: Pending, fields: dict[str, str], now: float) -> None:
        """A statement was refused, and with it what the client sent up to the next Sync."""
        first.error = fields.get("C", "?????")
        first.detail = words_of(fields, contents=self.contents)
        self.copying = False
        if first.kind in ("query", "function"):
            return
        if first.kind == "parse" and self.statements.get(first.name) is first.prepared:
            if first.before is None:
                self.statements.pop(first.name, None)
            else:
                self.statements[first.name] = first.before
        if first.kind == "sync":
            # What was deferred to the end of the implicit transaction: a constraint, mostly.
            first.prepared = PreparedStatement("(end of the implicit transaction)")
            first.owner = self.last
            self.tell(first, now)
            return
        self.pending.popleft()
        if first.prepared is not None:
            if first.kind != "execute":
                first.owner = self.owner(traceparent_of(first.prepared.sql))
            self.tell(first, now)
        while self.pending and self.pending[0].kind != "sync":
            self.pending.popleft()
        self.skipping = not self.pending

    def ready(self, body: bytes, now: float) -> None:
        """The server is ready for the next query: the first pending query or Sync has ended."""
        before, self.status = self.status, body[0] if body else ord("I")
        if self.pending and self.pending[0].kind in ("query", "sync", "function"):
            first = self.pending.popleft()
            if first.kind != "sync":
                self.tell(first, now, state=before)
        if self.status == ord("I"):
            self.keeper = None
            self.settings.ended()
        elif before == ord("I"):
            self.keeper = self.last
            self.settings.began()

    def tell(self, done: Pending, now: float, *, more: bool = False, state: int | None = None) -> None:
        """One call, with its end."""
        prepared, portal = done.prepared, done.portal
        sql = prepared.sql[:STATEMENT_CHARS] if prepared else ""
        types = prepared.types if prepared else ()
        count = portal.count if portal else 0
        rows = done.rows if done.rows or done.columns or more else done.tagged
        self.told(
            WireCall(
                "postgres",
                "COPY" if done.copied else "SQL",
                done.started,
                (now - done.started) * 1000,
                self.connection,
                statement=mask_secrets(sql) if self.contents else mask_sql(sql),
                digest=portal.digest if portal else None,
                parameters=(types + ("unspecified",) * count)[: max(count, len(types))] if count else (),
                rows=None if done.error else rows,
                columns=done.columns or (portal.columns if portal else ()),
                more=more,
                error=done.error,
                detail=done.detail,
                database=self.settings.database,
                search_path=self.settings.get("search_path"),
                role=self.settings.role,
                transaction=STATES.get(self.status if state is None else state),
                traceparent=traceparent_of(prepared.sql) if prepared else None,
                bytes_sent=portal.size if portal else 0,
                bytes_received=done.answer_size,
                owner=done.owner,
            )
        )

    def close(self, now: float) -> None:
        """The connection ended; what had no answer is told as such."""
        for one in self.pending:
            if one.kind in ("query", "execute", "function") and not self.cancels:
                one.error = one.error or "no response"
                self.tell(one, now)
        self.pending.clear()


READERS: Final = {
    "Q": PostgresConversation.read_query,
    "P": PostgresConversation.read_parse,
    "B": PostgresConversation.read_bind,
    "D": PostgresConversation.read_describe,
    "E": PostgresConversation.read_execute,
    "C": PostgresConversation.read_close,
    "F": PostgresConversation.read_function,
}


def joined(first: Owner, now: Owner) -> Owner:
    """The owner of a statement in a transaction that `first` began.

    It may end after the response, and one that was left open may be continued by another request: then it is shared.
    """
    both = tuple(dict.fromkeys((*first.requests, *now.requests)))
    if len(both) > 1:
        return Owner("shared", both)
    return now if now.requests else first


def remember(
    known: dict[str, PreparedStatement] | dict[str, Portal], name: str, value: PreparedStatement | Portal
) -> None:
    """Remember under a name, and forget the oldest of too many."""
    known.pop(name, None)
    if len(known) >= NAMES:
        del known[next(iter(known))]
    known[name] = value  # type: ignore[assignment]


def nth_statement(sql: str, number: int) -> str:
    """One statement of several, counted from 1 without empty ones."""
    bare = TOKEN.sub(lambda found: " " if found.lastgroup == "comment" else found[0].replace(";", "\0"), sql)
    parts = [part for part in bare.split(";") if part.strip()]
    return parts[number - 1].replace("\0", ";") if number <= len(parts) else ""


def words_of(fields: dict[str, str], *, contents: bool) -> str | None:
    """The words of an error. Those that may repeat values are told only with contents; names are told in any case."""
    code, words = fields.get("C", ""), fields.get("M", "")
    if contents:
        return (words + (f" ({fields['D']})" if fields.get("D") else ""))[:DETAIL_CHARS] or None
    if code.startswith(("42", "3D", "3F", "28", "53", "57", "08", "25", "26")):
        return words[:DETAIL_CHARS] or None
    names = [
        f"{what} {fields[key]}" for key, what in (("t", "table"), ("c", "column"), ("n", "constraint")) if key in fields
    ]
    return ", ".join(names)[:DETAIL_CHARS] or None
