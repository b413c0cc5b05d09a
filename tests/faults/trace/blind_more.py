"""Faults of servers, pools, pages and lookups, written with layer and object before the trace's code was read.

Three expectations of a layer were wrong. A replica that a variable of the process names is seen in that variable, so
`environment` is right and not `library`. A table or a role that the server takes from its own `.env` is in no variable
of the process: it first shows in the answer, so `http` is right and not `environment`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from tests.faults.trace.bench import GROUP, TABLE, Bench
from tests.faults.trace.breaks import PAGE, Answers, Fault, code
from tests.faults.trace.lookups import LOOKUP
from tests.faults.trace.pool import Pool
from tests.faults.trace.running import always

ALIEN = "11111111-2222-4333-8444-555555555555"
DOTENV = (
    "PAGE = 50\n",
    'PAGE = 50\nfor line in pathlib.Path(__file__).with_name(".env").read_text().splitlines():\n'
    '    os.environ.update([line.split("=", 1)])\n',
)
PATHS = ("import os\n", "import os\nimport pathlib\n")
CACHED = ("def find_by_sign_in", "@functools.lru_cache(maxsize=1024)\ndef find_by_sign_in")
PATIENT = """\
    for last in (False, True):
        connection = postgres()
        try:
            with connection:
                return connection.execute(query, values).fetchall()
        except psycopg.OperationalError:
            if last or not connection.broken:
                raise
    raise AssertionError  # the second round returns or raises
"""
KEPT = """\
    global _connection
    if _connection is None or _connection.closed:
        _connection = postgres()
"""
SHARED = ("def read(", "_connection: psycopg.Connection[DictRow] | None = None\n\n\ndef read(")
ABORTED = (PATIENT, f"{KEPT}    return _connection.execute(query, values).fetchall()\n")
PREPARED = (
    PATIENT,
    f"{KEPT}    with _connection.transaction():\n        return _connection.execute(query, values).fetchall()\n",
)
ONCE = '    found = list({(each["handle"], each["message"]): each for each in found}.values())\n'
NAMES = """\
    for each in found:
        sender = users.find_by_handle(handle=each["handle"])
        each["display_name"] = sender["display_name"] if sender else each["display_name"]
"""
DEADLINE = (
    "        return await call_next(request)\n",
    "        return await asyncio.wait_for(call_next(request), 0.3)\n"
    '    except TimeoutError:\n        return problem(504, "the application took too long")\n',
)
CACHE = '''

class PageCache:
    """Answers of GET for ten minutes, per path and person."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.kept: dict[tuple[str, bytes], list[Message]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        who = dict(scope.get("headers", [])).get(b"authorization", b"")
        if scope["type"] != "http" or scope["method"] != "GET" or not who:
            return await self.app(scope, receive, send)
        key = (scope["path"], who)
        kept = self.kept.get(key, [])
        if not kept:

            async def keep(message: Message) -> None:
                kept.append(message)

            await self.app(scope, receive, keep)
            if kept[0]["status"] == 200:
                self.kept[key] = kept
        for message in kept:
            await send(message)


class AccessLog:'''


def old_view(bench: Bench) -> None:
    """The lookup reads a materialized view from before the sign-in ids were moved."""
    bench.sql("UPDATE users SET cognito_user_id = 'old-pool' WHERE handle = 'ines'")
    bench.sql("CREATE MATERIALIZED VIEW user_directory AS SELECT * FROM users")
    bench.undo.append(lambda: bench.sql("DROP MATERIALIZED VIEW user_directory"))
    bench.sql("UPDATE users SET cognito_user_id = %s WHERE handle = 'ines'", bench.sign_ins["ines"])
    code("users.py", (LOOKUP, LOOKUP.replace("public.users", "public.user_directory")))(bench)


def kept_nobody(bench: Bench) -> None:
    """The process keeps that nobody has this sign-in id; the row is corrected afterwards."""
    code("users.py", CACHED, ("from typing", "import functools\nfrom typing"))(bench)
    bench.sql("UPDATE users SET cognito_user_id = 'pending' WHERE handle = 'ines'")
    assert bench.ask(f"/api/messages/{GROUP}", "ines")["status"] == 401
    bench.sql("UPDATE users SET cognito_user_id = %s WHERE handle = 'ines'", bench.sign_ins["ines"])


def old_replica(bench: Bench) -> None:
    """Reads go to a replica that stopped before the people got new ids."""
    with bench.connect("postgres") as connection:
        connection.autocommit = True
        connection.execute("CREATE DATABASE cruddur_replica TEMPLATE cruddur")
    bench.undo.append(lambda: dropped(bench))
    with bench.connect("cruddur_replica") as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE users SET uuid = %s WHERE handle = 'ines'", [ALIEN])
    bench.patch(
        "stores.py",
        ("import functools\n", "import functools\nimport os\n"),
        ("def postgres() ->", "def postgres(url: str | None = None) ->"),
        ("        settings().database_url,\n", "        url or settings().database_url,\n"),
        (
            "        connection = postgres()\n",
            '        connection = postgres(os.environ.get("DATABASE_REPLICA_URL"))\n',
        ),
    )
    bench.with_variables(DATABASE_REPLICA_URL=bench.env["DATABASE_URL"].replace("/cruddur", "/cruddur_replica"))


def dropped(bench: Bench) -> None:
    """The replica is deleted."""
    with bench.connect("postgres") as connection:
        connection.autocommit = True
        connection.execute("DROP DATABASE cruddur_replica WITH (FORCE)")


def own_file(bench: Bench, text: str) -> None:
    """The server loads a file over its variables; functions that are imported alone do not."""
    file = bench.project.path / "chat" / ".env"
    file.write_text(text)
    bench.undo.append(file.unlink)
    code("app.py", PATHS, DOTENV)(bench)


def old_table(bench: Bench) -> None:
    """The server's own file names an older copy of the table."""
    name = f"{TABLE}-2023"
    index = [{n: i[n] for n in ("IndexName", "KeySchema", "Projection")} for i in bench.table["GlobalSecondaryIndexes"]]
    parts = {part: bench.table[part] for part in ("KeySchema", "AttributeDefinitions")}
    newest = [item["sk"] for item in bench.messages()[-5:]]
    with bench.dynamodb() as dynamodb:
        request = {**parts, "TableName": name, "GlobalSecondaryIndexes": index, "BillingMode": "PAY_PER_REQUEST"}
        dynamodb.call("CreateTable", request)
    bench.undo.append(lambda: deleted(bench, name))
    bench.put(*[i for i in bench.items if i["pk"]["S"] != f"MSG#{GROUP}" or i["sk"] not in newest], table=name)
    own_file(bench, f"DDB_MESSAGE_TABLE={name}\n")


def deleted(bench: Bench, table: str) -> None:
    with bench.dynamodb() as dynamodb:
        dynamodb.call("DeleteTable", {"TableName": table})


def blind_role(bench: Bench) -> None:
    """The server's own file has a role for which the people's table has no policy."""
    bench.sql("CREATE ROLE app_ro LOGIN PASSWORD 'readonlypassword'")
    bench.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO app_ro")
    bench.sql("ALTER TABLE users ENABLE ROW LEVEL SECURITY")
    bench.undo.append(lambda: (bench.sql("DROP OWNED BY app_ro"), bench.sql("DROP ROLE app_ro")))
    bench.undo.append(lambda: bench.sql("ALTER TABLE users DISABLE ROW LEVEL SECURITY"))
    own_file(bench, re.sub("//[^@]*@", "//app_ro:readonlypassword@", f"DATABASE_URL={bench.env['DATABASE_URL']}\n"))


def sent_twice(bench: Bench) -> None:
    """The route hides messages that were sent twice before it asks whether there are more."""
    item = bench.messages()[-10]
    twice = {"S": item["sk"]["S"].replace(".000000", ".412000")}
    bench.put({**item, "sk": twice, "message_uuid": {"S": "d0b1e000-0000-4000-8000-000000000001"}})
    code("app.py", (PAGE, ONCE + PAGE))(bench)


def page_cache(bench: Bench) -> None:
    """The server keeps answers by path and person, without the query."""
    bench.patch("web.py", ("\n\nclass AccessLog:", CACHE))
    imported = ("import AccessLog, Api,", "import AccessLog, Api, PageCache,")
    code("app.py", imported, ("            api,\n", "            PageCache(api),\n"))(bench)


def old_process(bench: Bench) -> None:
    """The correction comes with the time that the file had elsewhere, and the server is not restarted."""
    file = bench.project.path / "chat" / "messages.py"
    right = file.read_text("utf-8")
    code("messages.py", ('"display_name": item["user_display_name"]', '"display_name": item["user_handle"]'))(bench)
    file.write_text(right, "utf-8")
    os.utime(file, (1_700_000_000, 1_700_000_000))


def aborted(bench: Bench) -> None:
    """A statement on the one connection times out, and its transaction is never rolled back."""
    code("stores.py", ABORTED, SHARED)(bench)
    with bench.connect() as connection:
        connection.execute("LOCK TABLE activities")
        assert bench.ask("/api/activities/home", "ines")["status"] != 200


def slow_names(bench: Bench) -> None:
    """The route reads the sender of each message by itself, and the server has a deadline."""
    bench.patch("web.py", DEADLINE, ("import json\n", "import asyncio\nimport json\n"))
    code("app.py", (PAGE, NAMES + PAGE))(bench)


def through(pool: Callable[[int], Pool]) -> Callable[[Bench], None]:
    """The application's connections go through a pool."""

    def inject(bench: Bench) -> None:
        made = pool(int(bench.env["PGPORT"]))
        bench.undo.append(made.close)
        url = bench.env["DATABASE_URL"].replace(f":{bench.env['PGPORT']}/", f":{made.port}/")
        bench.with_variables(DATABASE_URL=url)

    return inject


def other_tenant(bench: Bench) -> None:
    """The pool gives a session whose search path another service has set."""
    bench.sql("CREATE SCHEMA tenant_b")
    bench.undo.append(lambda: bench.sql("DROP SCHEMA tenant_b CASCADE"))
    bench.sql("CREATE TABLE tenant_b.users AS SELECT * FROM public.users")
    bench.sql("UPDATE tenant_b.users SET uuid = %s WHERE handle = 'ines'", ALIEN)
    bench.patch("users.py", (LOOKUP, LOOKUP.replace("public.users", "users")))
    through(lambda port: Pool(port, "SET search_path TO tenant_b, public"))(bench)


def forgotten_statement(bench: Bench) -> None:
    """The pool discards prepared statements after each transaction; the server keeps its connection.

    By default psycopg prepares the sixth time, and one of seven requests fails; here it is one of three.
    """
    often = ("        connect_timeout=3,\n", "        connect_timeout=3,\n        prepare_threshold=1,\n")
    bench.patch("stores.py", PREPARED, SHARED, often)
    through(lambda port: Pool(port, "DISCARD ALL", after_each=True))(bench)


def refused(bench: Bench, before: Answers, after: Answers) -> bool:
    """Return True if one of some requests fails."""
    return any(bench.ask(f"/api/messages/{GROUP}", "ines")["status"] == 500 for _ in range(9))


def by_link(name: str, kind: str, inject: Callable[[Bench], None], *names: str) -> Fault:
    """A fault that shows behind the first page."""
    return Fault(name, 0, "http", kind, inject, changed=always, names=names)


def link(before: str) -> Callable[[Bench], None]:
    """The next page begins elsewhere."""
    call = "link_older(request, response, "
    return code("app.py", (f'{call}page[0]["created_at"]', call + before))


BLIND_MORE: tuple[Fault, ...] = (
    Fault("a view that no one refreshes", 0, "library", "wrong_row", old_view, names=("user_directory",)),
    Fault(
        "a replica of yesterday",
        0,
        "environment",
        "wrong_database",
        old_replica,
        names=("DATABASE_REPLICA_URL", "cruddur_replica"),
    ),
    by_link("a cursor copied from another route", "cursor", link('page[0]["uuid"]'), "`before` =", "the `uuid` of"),
    by_link("a cursor from the entry that is not shown", "cursor", link('found[0]["created_at"]'), "{messages[76]}"),
    by_link("sent twice, shown once", "items_lost", sent_twice, "ends after 50", "the first page"),
    by_link("a cache without the query", "cursor", page_cache, "page 2 has exactly the entries of page 1", "before"),
    Fault("a file with an old time", 0, "http", "body_changed", old_process, names=("display_name",)),
    Fault("an aborted transaction", 0, "http", "status", aborted, names=("InFailedSqlTransaction", "chat/stores.py:")),
    Fault("another tenant's search path", 0, "library", "wrong_row", other_tenant, names=("tenant_b.users",)),
    Fault(
        "a pool that forgets statements",
        0,
        "http",
        "status",
        forgotten_statement,
        changed=refused,
        names=("InvalidSqlStatementName",),
    ),
)
# Their objects are seen only where the running application's own reads are recorded.
BLIND_TAPPED: tuple[Fault, ...] = (
    Fault("nobody is remembered", 0, "http", "not_authorised", kept_nobody, names=("find_by_sign_in",)),
    Fault("a table of the server's own file", 0, "http", "items_lost", old_table, names=(f"{TABLE}-2023",)),
    Fault(
        "a name read for each message",
        0,
        "http",
        "status",
        slow_names,
        names=("504", "FROM public.users WHERE handle"),
    ),
)
# Not yet: a role that the server's own file names, past the tap. Layer right, object not.
BLIND_MISSED: tuple[Fault, ...] = (
    Fault("a role of the server's own file", 0, "http", "not_authorised", blind_role, names=("app_ro",)),
)
