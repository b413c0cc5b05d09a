"""Call functions of an application in its own interpreter, and report the requests that they sent to the stores.

Not a part of devenv's process: the application's interpreter runs this file by its path, so it may import nothing but
the standard library. Orders are JSON on stdin, one a line: first {"folder": …, "limit": bytes, "started": epoch
seconds, "load": module, "clock": null or the moment that its clock shows}, then {"function": "module:name",
"arguments": {…}} for each call, until stdin is closed; so the application can be loaded while the arguments are still
being found out. What happens is told on file descriptor argv[1], one JSON object a line, as it happens, so that even a
call that never returns has told what it waited for:

    {"event": "asked", "number": 1, "service": "dynamodb", "operation": "Query", "request": {…}, "url": …, …}
    {"event": "answered", "number": 1, "items": […], "count": 3, "scanned": 3, "more": false, "error": null, …}
    {"event": "ended", "call": 0, "outcome": "returned|raised|exited|unstarted|unreadable", "value": …, …}
    {"event": "left", "environ": {name: value | null}, "newest": [file, epoch seconds]}
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import enum
import functools
import hashlib
import importlib
import importlib.abc
import importlib.util
import inspect
import itertools
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

MANY = 100_000
READS = {
    "Query": "Items",
    "Scan": "Items",
    "ExecuteStatement": "Items",
    "GetItem": "Item",
    "BatchGetItem": "Responses",
    "TransactGetItems": "Responses",
}


class Teller:
    """Writes events. Calls may come from several threads."""

    def __init__(self) -> None:
        self.file: Any = None
        self.guard = threading.Lock()
        self.numbers = itertools.count(1)

    def open(self, descriptor: int) -> None:
        """Write to this file descriptor from now on."""
        self.file = os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace")

    def tell(self, **event: Any) -> None:
        with self.guard:
            self.file.write(json.dumps(event, default=fallback) + "\n")
            self.file.flush()


TELLER = Teller()
LAST = threading.local()  # `signed`: with which region and key this thread's last request was signed


def fallback(value: Any) -> Any:
    """Return what JSON does not know, in what is told of requests and answers."""
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    return str(value)


# --- what is asked of the stores ---


class Hooks(importlib.abc.MetaPathFinder):
    """Runs an action on a module right after it was loaded, whoever imports it and when."""

    def __init__(self, actions: dict[str, Callable[[Any], None]]) -> None:
        self.actions = actions

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The module's spec with a loader that runs the action; None for all other modules."""
        action = self.actions.pop(name, None)
        if action is None:
            return None
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            load(module)
            action(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def watch_endpoint(module: Any) -> None:
    """Every request of botocore and aiobotocore to DynamoDB, as it goes over the wire."""
    send = module.Endpoint.make_request

    @functools.wraps(send)
    def make_request(self: Any, operation_model: Any, request_dict: Any) -> Any:
        if operation_model.service_model.service_name != "dynamodb":
            return send(self, operation_model, request_dict)
        number = next(TELLER.numbers)
        tell_asked(number, operation_model.name, request_dict)
        LAST.signed = None
        try:
            answer = send(self, operation_model, request_dict)
        except BaseException as error:
            tell_failed(number, error)
            raise
        if inspect.isawaitable(answer):
            return tell_awaited(number, operation_model.name, answer)
        tell_answered(number, operation_model.name, answer[1])
        return answer

    module.Endpoint.make_request = make_request


def watch_auth(module: Any) -> None:
    """With which region and key a request is signed; of the key only a hash is told."""
    sign = module.SigV4Auth.add_auth

    @functools.wraps(sign)
    def add_auth(self: Any, request: Any) -> Any:
        if self.credentials is not None:
            key = hashlib.sha256(str(self.credentials.access_key).encode()).hexdigest()
            LAST.signed = {"region": self._region_name, "key": key}
        return sign(self, request)

    module.SigV4Auth.add_auth = add_auth


def tell_asked(number: int, operation: str, request: Any) -> None:
    body = request.get("body") or b"{}"
    try:
        content = json.loads(body)
    except (TypeError, ValueError):
        content = None
    region = (request.get("context") or {}).get("client_region")
    where = {"url": request.get("url"), "region": region, "place": place_of_caller()}
    TELLER.tell(event="asked", number=number, service="dynamodb", operation=operation, request=content, **where)


def tell_answered(number: int, operation: str, answer: Any) -> None:
    """DynamoDB's answer: the items of a read, or the error."""
    error = answer.get("Error") or {}
    items = answer.get(READS.get(operation, ""))
    if operation == "GetItem":
        items = [items] if items else []
    elif operation == "BatchGetItem":
        items = [item for table in (items or {}).values() for item in table]
    elif operation == "TransactGetItems":
        items = [one["Item"] for one in items or () if one.get("Item")]
    TELLER.tell(
        event="answered",
        number=number,
        items=items,
        count=answer.get("Count", None if items is None else len(items)),
        scanned=answer.get("ScannedCount"),
        more=bool(answer.get("LastEvaluatedKey") or answer.get("NextToken") or answer.get("UnprocessedKeys")),
        error=error.get("Code"),
        detail=error.get("Message"),
        signed=getattr(LAST, "signed", None),
    )


def tell_failed(number: int, error: BaseException) -> None:
    """A request that got no answer."""
    signed = getattr(LAST, "signed", None)
    TELLER.tell(event="answered", number=number, error=type(error).__name__, detail=str(error), signed=signed)


async def tell_awaited(number: int, operation: str, answer: Any) -> Any:
    """The answer to an asynchronous request, which is passed on."""
    try:
        done = await answer
    except BaseException as error:
        tell_failed(number, error)
        raise
    tell_answered(number, operation, done[1])
    return done


def wrap(execute: Any) -> Any:
    """A cursor's `execute` that tells what it is given."""

    @functools.wraps(execute)
    def observed(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        number = tell_statement(self, query, place_of_cursor)
        try:
            done = execute(self, query, *args, **kwargs)
        except BaseException as error:
            tell_rows(number, None, error)
            raise
        tell_rows(number, self.rowcount)
        return done

    return observed


def wrap_async(execute: Any, place: Callable[[Any], dict[str, Any]], count: Callable[[Any, Any], Any]) -> Any:
    """The same for a coroutine. `count` gives the number of rows from the object and the result."""

    @functools.wraps(execute)
    async def observed(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        number = tell_statement(self, query, place)
        try:
            done = await execute(self, query, *args, **kwargs)
        except BaseException as error:
            tell_rows(number, None, error)
            raise
        tell_rows(number, count(self, done))
        return done

    return observed


def tell_statement(cursor: Any, query: Any, place: Callable[[Any], dict[str, Any]]) -> int:
    """A statement to Postgres, without its parameters; its number."""
    number = next(TELLER.numbers)
    text = query.decode("utf-8", "replace") if isinstance(query, bytes) else query
    if not isinstance(text, str):
        text = text.as_string(cursor) if hasattr(text, "as_string") else str(text)
    try:
        where = place(cursor)
    except Exception:  # noqa: BLE001 - watching must not break what is watched
        where = {}
    place_ = place_of_caller()
    TELLER.tell(event="asked", number=number, service="postgres", operation="SQL", request=text, place=place_, **where)
    return number


def place_of_caller() -> str | None:
    """`file:line` of the application's own code that is calling, relative to its folder."""
    here = os.getcwd() + os.sep
    frame: Any = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if "site-packages" not in name and name != __file__ and not name.startswith(("<", sys.base_prefix)):
            return f"{name[len(here) :] if name.startswith(here) else name}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def tell_rows(number: int, count: Any, error: BaseException | None = None) -> None:
    """How a statement ended."""
    if error is None:
        TELLER.tell(event="answered", number=number, count=count if isinstance(count, int) else None, error=None)
        return
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or type(error).__name__
    TELLER.tell(event="answered", number=number, error=code, detail=str(error))


def place_of_cursor(cursor: Any) -> dict[str, Any]:
    """Return where a cursor of psycopg is connected to."""
    info = cursor.connection.info
    where = {"host": info.host, "port": info.port, "database": info.dbname, "user": info.user}
    return {**where, "search_path": info.parameter_status("search_path"), "options": getattr(info, "options", None)}


def watch_psycopg(module: Any) -> None:
    module.Cursor.execute = wrap(module.Cursor.execute)


def watch_psycopg_async(module: Any) -> None:
    """psycopg 3, asynchronous."""
    kind = module.AsyncCursor
    kind.execute = wrap_async(kind.execute, place_of_cursor, lambda cursor, _: cursor.rowcount)


def watch_psycopg2(module: Any) -> None:
    """psycopg 2, whose classes are not to be changed: connections and cursors are made of subclasses."""
    connect = module.connect
    kinds: dict[Any, Any] = {}

    def observed_cursor(kind: Any) -> Any:
        if kind not in kinds:
            kinds[kind] = type(kind.__name__, (kind,), {"execute": wrap(kind.execute)})
        return kinds[kind]

    def observed_connection(kind: Any) -> Any:
        def cursor(self: Any, *args: Any, **kwargs: Any) -> Any:
            wanted = kwargs.get("cursor_factory") or self.cursor_factory or module.extensions.cursor
            kwargs["cursor_factory"] = observed_cursor(wanted)
            return kind.cursor(self, *args, **kwargs)

        return type(kind.__name__, (kind,), {"cursor": cursor})

    @functools.wraps(connect)
    def observed(*args: Any, **kwargs: Any) -> Any:
        wanted = kwargs.get("connection_factory") or module.extensions.connection
        kwargs["connection_factory"] = observed_connection(wanted)
        return connect(*args, **kwargs)

    module.connect = observed


def watch_asyncpg(module: Any) -> None:
    def place(connection: Any) -> dict[str, Any]:
        address, parameters = connection._addr, connection._params
        host, port = address if isinstance(address, tuple) else (address, 5432)
        return {"host": host, "port": port, "database": parameters.database, "user": parameters.user}

    for name in ("fetch", "fetchrow", "fetchval", "execute"):
        execute = getattr(module.Connection, name)
        observed = wrap_async(execute, place, lambda _, done: len(done) if isinstance(done, list) else None)
        setattr(module.Connection, name, observed)


HOOKS: dict[str, Callable[[Any], None]] = {
    "botocore.endpoint": watch_endpoint,
    "botocore.auth": watch_auth,
    "psycopg.cursor": watch_psycopg,
    "psycopg.cursor_async": watch_psycopg_async,
    "psycopg2": watch_psycopg2,
    "asyncpg.connection": watch_asyncpg,
}


# --- what is called ---


def find(path: str) -> Any:
    """`package.module:name.name`; a name with `()` behind it is called."""
    module, _, names = path.partition(":")
    found: Any = importlib.import_module(module)
    for name in filter(None, names.split(".")):
        found = make(getattr(found, name[:-2])) if name.endswith("()") else getattr(found, name)
    return found


def make(maker: Any) -> Any:
    """Call a function or class without arguments. TypeError (`missing a required argument`) before it runs."""
    with contextlib.suppress(ValueError):  # Some that are written in C have no signature.
        inspect.signature(maker).bind()
    return maker()


def argument(value: Any) -> Any:
    """An argument; `{"call": "module:function"}` is what that function returns."""
    is_call = isinstance(value, dict) and set(value) == {"call"}
    return complete(find(value["call"])()) if is_call else value


def complete(value: Any) -> Any:
    """A result that is awaited, and drained when it is a generator."""
    if inspect.isasyncgen(value):
        return asyncio.run(drain(value))
    if inspect.isawaitable(value):
        return asyncio.run(wait_for(value))
    if inspect.isgenerator(value):
        return list(itertools.islice(value, MANY))
    return value


async def drain(values: Any) -> list[Any]:
    """All of an asynchronous generator."""
    return [value async for value in values]


async def wait_for(value: Any) -> Any:
    """Return what is awaited."""
    return await value


class Unreadable(Exception):
    """A value that is no data."""


def as_data(value: Any, depth: int = 0) -> Any:
    """A value as JSON can hold it. Unreadable for what is no data: a function, an object without fields, a cycle."""
    value = value.value if isinstance(value, enum.Enum) else value
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if depth > 20:
        raise Unreadable("it is nested too deeply")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if type(value).__name__ in ("Decimal", "UUID"):
        return str(value)
    if (isinstance(value, (list, tuple, set, frozenset)) and not hasattr(value, "_asdict")) or inspect.isgenerator(
        value
    ):
        return [as_data(part, depth + 1) for part in itertools.islice(value, MANY)]
    return {str(name): as_data(part, depth + 1) for name, part in fields_of(value).items()}


def fields_of(value: Any) -> dict[Any, Any]:
    """The fields of a mapping, a row, a dataclass, a model, or any object that has some."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if not isinstance(value, type):
        for name in ("model_dump", "_asdict"):
            if callable(getattr(value, name, None)):
                return dict(getattr(value, name)())
    if hasattr(value, "keys") and hasattr(value, "__getitem__"):
        return {name: value[name] for name in value.keys()}  # noqa: SIM118 - a row may be no dict
    found = {name: part for name, part in getattr(value, "__dict__", {}).items() if name[:1] != "_"}
    if not found or callable(value):
        raise Unreadable(f"an object of type {type(value).__name__}")
    return found


def call(number: int, order: dict[str, Any], limit: int) -> None:
    """One call, and how it ended."""
    began = time.perf_counter()
    stage = "unstarted"
    ended: dict[str, Any] = {}
    try:
        function = find(order["function"])
        arguments = {name: argument(value) for name, value in order.get("arguments", {}).items()}
        stage = "raised"
        TELLER.tell(event="called", call=number)
        value = complete(function(**arguments))
        stage = "unreadable"
        data = as_data(value)
        text = json.dumps(data)
        if len(text) > limit:
            raise Unreadable(f"more than {limit} bytes")
        ended = {"outcome": "returned", "value": data, "type": type(value).__name__}
    except SystemExit as error:
        ended = {"outcome": "exited", "error": "SystemExit", "detail": str(error.code), "where": place_of(error)}
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is what we are asked to tell
        ended = {
            "outcome": stage,
            "error": type(error).__name__,
            "detail": str(error),
            "where": place_of(error),
            "code": getattr(error, "response", {}).get("Error", {}).get("Code") if hasattr(error, "response") else None,
        }
    TELLER.tell(event="ended", call=number, ms=(time.perf_counter() - began) * 1000, **ended)


def place_of(error: BaseException) -> str | None:
    """`file:line in function` of the innermost frame of the application's own code, relative to its folder."""
    here = os.getcwd() + os.sep
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if os.path.abspath(f.filename) != os.path.abspath(__file__)]
    mine = [f for f in own if f.filename.startswith(here) and "site-packages" not in f.filename] or [
        f for f in own if "site-packages" not in f.filename and not f.filename.startswith(("<", sys.base_prefix))
    ]
    if not mine:
        return None
    last = mine[-1]
    name = last.filename[len(here) :] if last.filename.startswith(here) else last.filename
    return f"{name}:{last.lineno} in {last.name}"


def beside(name: str) -> Any:
    """A file of this folder, as a module that no import finds."""
    spec = importlib.util.spec_from_file_location(name, os.path.join(os.path.dirname(__file__), f"{name}.py"))
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - the file is there
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Read the order, watch, call, tell."""
    TELLER.open(int(sys.argv[1]))
    orders = os.fdopen(os.dup(0), encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    order = json.loads(orders.readline())
    os.chdir(order["folder"])
    sys.path[0] = order["folder"]
    sys.argv = [""]
    surroundings = beside("surroundings")
    before = dict(os.environ)
    if order.get("clock"):
        surroundings.set_clock(order["clock"])
    sys.meta_path.insert(0, Hooks(dict(HOOKS)))
    try:
        importlib.import_module(order["load"])
    except BaseException as error:  # noqa: BLE001 - the call meets it again, and tells
        TELLER.tell(event="unloaded", detail=str(error))
    for number, line in enumerate(orders):
        call(number, json.loads(line), order["limit"])
    changed = {n: os.environ.get(n) for n in {*before, *os.environ} if before.get(n) != os.environ.get(n)}
    TELLER.tell(event="left", environ=changed, newest=surroundings.newest_source(order["started"], __file__))
    sys.stdout.flush()
    os._exit(0)  # threads and pools of the application would keep the process alive


if __name__ == "__main__":
    main()
