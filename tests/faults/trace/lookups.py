"""Faults of the application's own lookup of who asks, of its pages, and of answers."""

from __future__ import annotations

from collections.abc import Callable
from urllib.request import Request, urlopen

from tests.faults.trace.answers import cursor, nobody, plain, sent_otherwise, stranger
from tests.faults.trace.bench import GROUP, Bench
from tests.faults.trace.breaks import Answers, Fault, code

LOOKUP = "SELECT uuid::text, handle, display_name FROM public.users WHERE cognito_user_id = %(value)s"
CONNECTED = '        options="-c TimeZone=UTC -c statement_timeout=5s",\n'
LISTED = '    items = newest(f"MSG#{message_group_uuid}", before, limit)\n'


def not_in_utf_8(bench: Bench, before: Answers, after: Answers) -> bool:
    """Return True if the answer is not what a browser reads: Python's JSON finds the encoding out by itself."""
    headers = {"Authorization": f"Bearer {bench.token('ines')}"}
    url = f"{bench.env['BACKEND_URL'].rstrip('/')}/api/messages/{GROUP}"
    with urlopen(Request(url, headers=headers), timeout=6) as response:
        return bool(response.read()[:1] != b"[")


def looked_up(statement: str) -> Callable[[Bench], None]:
    """The lookup by the sign-in id is another statement."""
    return code("users.py", (LOOKUP, statement))


def listed(*lines: str) -> Callable[[Bench], None]:
    """The messages are found in another way."""
    return code("messages.py", (LISTED, "".join(f"    {line}\n" for line in lines)))


def other_schema(bench: Bench) -> None:
    """A copy of the people from last year, with other ids, lies before the present one in the search path."""
    bench.sql("CREATE SCHEMA archive")
    bench.undo.append(lambda: bench.sql("DROP SCHEMA archive CASCADE"))
    bench.sql("CREATE TABLE archive.users AS SELECT * FROM public.users")
    bench.sql("UPDATE archive.users SET uuid = gen_random_uuid()")
    bench.patch("users.py", ("FROM public.users", "FROM users"))
    bench.patch("stores.py", (CONNECTED, CONNECTED.replace("5s", "5s -c search_path=archive,public")))
    bench.restart()


def other_database(bench: Bench) -> None:
    """The code names a database that has the tables, but not these people."""
    with bench.connect() as connection:
        connection.autocommit = True
        connection.execute("DROP DATABASE IF EXISTS elsewhere")
        connection.execute("CREATE DATABASE elsewhere TEMPLATE template0")
    with bench.connect("elsewhere") as connection:
        connection.execute((bench.project.path / "seeds/postgres/schema.sql").read_bytes())
    bench.patch("stores.py", (CONNECTED, f'{CONNECTED}        dbname="elsewhere",\n'))
    bench.restart()


def blind_role(bench: Bench) -> None:
    """The code takes on a role that a row-level policy shows no people."""
    for statement in (
        "CREATE ROLE blind",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO blind",
        "ALTER TABLE public.users ENABLE ROW LEVEL SECURITY",
    ):
        bench.sql(statement)
    bench.undo.append(lambda: (bench.sql("DROP OWNED BY blind"), bench.sql("DROP ROLE blind")))
    bench.undo.append(lambda: bench.sql("ALTER TABLE public.users DISABLE ROW LEVEL SECURITY"))
    bench.patch("stores.py", (CONNECTED, CONNECTED.replace("5s", "5s -c role=blind")))
    bench.restart()


def lookup(name: str, statement: str, *names: str) -> Fault:
    """A fault of the lookup's statement."""
    return Fault(name, 41, "library", "wrong_row", looked_up(statement), names=("find_by_sign_in", *names))


def page(name: str, *lines: str, names: tuple[str, ...] = ("list_messages", "limit")) -> Fault:
    """A fault that shows only where a page is asked for."""
    return Fault(name, 42, "library", "wrong_page", listed(*lines), names=names)


ALL = 'items = newest(f"MSG#{message_group_uuid}", before, limit)'
LOOKUPS: tuple[Fault, ...] = (
    lookup("looked up by another column", LOOKUP.replace("cognito_user_id =", "handle ="), "handle ="),
    lookup(
        "the first row is taken",
        LOOKUP.replace("WHERE cognito_user_id = %(value)s", "ORDER BY handle DESC LIMIT 1"),
        "ORDER BY handle",
    ),
    lookup(
        "the handle is taken for the id",
        LOOKUP.replace("uuid::text, handle", "handle AS uuid, uuid::text AS handle"),
        "uuid",
    ),
    lookup("looked up in capitals", LOOKUP.replace("= %(value)s", "= upper(%(value)s)"), "upper("),
    lookup(
        "looked up by its beginning",
        LOOKUP.replace("cognito_user_id = %(value)s", "starts_with(cognito_user_id, left(%(value)s, 0))"),
        "starts_with(",
    ),
    lookup("an id of its own", LOOKUP.replace("uuid::text", "md5(uuid::text)::uuid::text AS uuid"), "uuid"),
    Fault(
        "more than one row is wanted",
        41,
        "library",
        "wrong_row",
        code("users.py", ("if len(rows) == 1 else None", "if len(rows) > 1 else None")),
        names=("find_by_sign_in",),
    ),
    Fault("people of another schema", 41, "library", "wrong_row", other_schema, names=("find_by_sign_in", "archive")),
    Fault("a role that sees nobody", 41, "library", "wrong_row", blind_role, names=("find_by_sign_in", "blind")),
    Fault(
        "the database is in the code",
        41,
        "environment",
        "wrong_database",
        other_database,
        names=("elsewhere", "cruddur"),
    ),
    page(
        "a page takes the oldest", ALL, "if limit:", '    items = newest(f"MSG#{message_group_uuid}", before)[-limit:]'
    ),
    page("a page is one too short", ALL, "if limit:", "    items = items[: limit - 1]"),
    page("a page is ten at most", ALL, "if limit:", "    items = items[:10]"),
    page(
        "a page begins behind the newest",
        ALL,
        "if limit:",
        '    items = newest(f"MSG#{message_group_uuid}", before, limit + 1)[1:]',
    ),
    page("a page is sorted by its text", ALL, "if limit:", '    items.sort(key=lambda item: item["message"])'),
    page(
        "a page leaves every second out",
        ALL,
        "if limit:",
        '    items = newest(f"MSG#{message_group_uuid}", before)[::2][:limit]',
    ),
    Fault(
        "a page fails",
        42,
        "library",
        "error",
        listed("limit = limit and limit.size", ALL),
        names=("list_messages", "'size'"),
    ),
    Fault(
        "the cursor is ignored",
        30,
        "http",
        "cursor",
        code(
            "app.py",
            (
                "before=before, limit=limit + 1)\n    page = found[-limit:]",
                "limit=limit + 1)\n    page = found[-limit:]",
            ),
        ),
        changed=lambda bench, before, after: True,
        names=("before",),
    ),
    cursor("pages overlap by a half", 'page[25]["created_at"]'),
    Fault(
        "JSON in UTF-16",
        39,
        "http",
        "not_json",
        plain("body.decode().encode('utf-16')"),
        changed=not_in_utf_8,
        names=("UTF-8",),
    ),
    Fault(
        "said to be deflated",
        39,
        "http",
        "not_json",
        plain(headers=', "Content-Encoding": "deflate"'),
        changed=sent_otherwise,
        names=("deflate",),
    ),
    Fault(
        "a stranger gets an error as success",
        40,
        "http",
        "status",
        stranger('return {"detail": "not yours"}'),
        names=("200", "not a member"),
    ),
    Fault(
        "nobody gets 404",
        40,
        "http",
        "status",
        nobody('raise HTTPException(404, "there is nothing")'),
        names=("404", "without a token"),
    ),
)
