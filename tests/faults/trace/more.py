"""Faults that no collection lists, pairs of faults, and healthy controls."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.faults.trace.bench import GROUP, Bench
from tests.faults.trace.breaks import (
    FOUND,
    MESSAGES,
    PAGE,
    QUERY,
    RETURN,
    Fault,
    code,
    declared,
    kill,
    lacking,
    library,
    pause,
    route,
    with_value,
)
from tests.faults.trace.catalog import FAULTS

WINDOW = (
    QUERY,
    """\
    if pk.startswith("MSG#") and before is None:
        condition += " AND sk > :since"
        values[":since"] = {"S": "2023-06-10"}
"""
    + QUERY,
)
BODY = '    items = newest(f"MSG#{message_group_uuid}", before, limit)\n' + RETURN
SWALLOWED_INDEX = (
    BODY,
    """\
    try:
        found = query(limit, IndexName="by-group", KeyConditionExpression="message_group_uuid = :group",
                      ExpressionAttributeValues={":group": {"S": message_group_uuid}})
    except ClientError:
        return []
    return [line(plain(item), plain(item)["message_uuid"]) for item in found]""",
)
MADE_UP = """\
    return [
        {"uuid": "1", "display_name": "A", "handle": "a", "message": "hi", "created_at": "2023-06-01T00:00:00+00:00"}
    ]"""
OTHER_GROUP = "8a2f6b0e-6c0d-4e8a-bb62-0f9d3c5b1e77"


def own_id(bench: Bench) -> None:
    row = next(row for row in bench.group_rows() if row["pk"]["S"].endswith(bench.uuid("ines")))
    bench.change(row, user_uuid=bench.uuid("ines"), user_handle="ines", user_display_name="Ines Halvorsen")


UNSEEN: tuple[Fault, ...] = (
    Fault(
        "a malformed database url",
        0,
        "environment",
        "malformed",
        lambda b: b.with_variables(DATABASE_URL="postgresql://postgres@127.0.0.1:abc/cruddur"),
    ),
    Fault(
        "the global endpoint leads elsewhere",
        0,
        "environment",
        "wrong_endpoint",
        lambda b: b.with_variables("AWS_ENDPOINT_URL_DYNAMODB", AWS_ENDPOINT_URL="http://127.0.0.1:9"),
    ),
    Fault("Postgres hangs", 0, "services", "unreachable", pause("postgres")),
    Fault("the application was killed", 0, "services", "unreachable", kill("backend")),
    Fault("no message text", 0, "dynamodb", "missing_attribute", lacking("message")),
    Fault(
        "an unknown author",
        0,
        "cross-store",
        "orphan",
        lambda b: b.change(b.messages()[-2], user_uuid=str(uuid.uuid4()), user_handle="ghost"),
    ),
    Fault("a row names its owner", 0, "dynamodb", "foreign_member", own_id),
    Fault("not a uuid at all", 0, "dynamodb", "malformed_id", with_value("message_uuid", "message 17")),
    Fault(
        "declared: another conversation",
        0,
        "pattern",
        "wrong_key",
        declared(
            MESSAGES.replace("{message_group_uuid}", OTHER_GROUP),
            ('newest(f"MSG#{message_group_uuid}", before, limit)', f'newest("MSG#{OTHER_GROUP}", before, limit)'),
        ),
    ),
    Fault(
        "declared: a window",
        0,
        "pattern",
        "narrowed",
        declared(MESSAGES + '\nsort = { greater = "2023-06-10" }', WINDOW),
    ),
    Fault("a window", 0, "library", "wrong_query", code("messages.py", WINDOW)),
    Fault(
        "the id in capitals",
        0,
        "library",
        "wrong_query",
        code("messages.py", ('newest(f"MSG#{message_group_uuid}"', 'newest(f"MSG#{message_group_uuid.upper()}"')),
    ),
    Fault("a refused query, swallowed", 0, "library", "wrong_query", code("messages.py", SWALLOWED_INDEX)),
    Fault(
        "leaves out one's own", 0, "library", "items_lost", library(RETURN[:-1] + ' if item["user_handle"] != "ines"]')
    ),
    Fault(
        "a map instead of a list",
        0,
        "library",
        "field_changed",
        library(RETURN.replace("return [", 'return {item["message_uuid"]: ').replace("reversed(items)]", "items}")),
    ),
    Fault(
        "cuts the texts",
        0,
        "library",
        "field_changed",
        code("messages.py", ('"message": item["message"],', '"message": item["message"][:20],')),
    ),
    Fault("everything twice", 0, "library", "items_added", library(RETURN + " * 2")),
    Fault(
        "made up",
        0,
        "library",
        "wrong_query",
        code("messages.py", (BODY, MADE_UP)),
    ),
    Fault("ends the process", 0, "services", "unreachable", library("    import sys\n    sys.exit(3)")),
    Fault(
        "an old name of the function",
        0,
        "library",
        "error",
        lambda b: (
            b.patch("messages.py", ("def list_messages(", "def read_messages(")),
            b.patch("app.py", ("messages.list_messages(", "messages.read_messagez(")),
            b.restart(),
        ),
    ),
    Fault("no content", 0, "http", "status", route("    return Response(status_code=204)")),
    Fault("null", 0, "http", "status", route("    return None")),
    Fault(
        "sent to the login page",
        0,
        "http",
        "status",
        route('    return Response(status_code=302, headers={"Location": "/login"})'),
    ),
    Fault(
        "epoch seconds",
        0,
        "http",
        "body_changed",
        route(PAGE.replace("return page", 'return [{**line, "created_at": 1687640222} for line in page]')),
    ),
    Fault(
        "one more parameter",
        0,
        "http",
        "status",
        code(
            "app.py",
            (
                '"""The newest messages of a conversation',
                'if "page" not in request.query_params:\n        raise HTTPException(400, "page is missing")\n'
                '    """The newest messages of a conversation',
            ),
        ),
    ),
    Fault(
        "another header for the token",
        0,
        "http",
        "not_authorised",
        code(
            "app.py",
            ("HTTPBearer(auto_error=False)", 'HTTPBearer(auto_error=False, scheme_name="x")'),
            ("    if credentials is not None:", '    if credentials is not None and credentials.scheme == "Token":'),
        ),
    ),
    Fault(
        "the route shows another conversation",
        0,
        "http",
        "body_changed",
        route(
            FOUND.replace("=group,", f'="{OTHER_GROUP}",') + "\n    found = found or [line for line in "
            'messages.list_messages(message_group_uuid=group) if False] or [dict(uuid="x", display_name="x", '
            'handle="x", message="x", created_at="2023-01-01T00:00:00+00:00")]',
            FOUND,
        ),
    ),
    Fault("the newest is left out", 0, "http", "items_lost", route(PAGE.replace("return page", "return page[:-1]"))),
)


# --- pairs ---


def named(name: str) -> Fault:
    """A fault by its name."""
    return next(fault for fault in (*FAULTS, *UNSEEN) if fault.name == name)


def both(first: str, second: str) -> tuple[Fault, Fault]:
    """Two faults at once, the earlier layer first."""
    return named(first), named(second)


PAIRS: tuple[tuple[Fault, Fault], ...] = (
    both("display name changed", "year"),
    both("seeded twice", "limit"),
    both("rows lag behind", "drops a field"),
    both("mixed time formats", "no member check"),
    both("prefix in small letters", "sorts by name"),
    both("a stranger's message", "display name changed"),
    both("one message twice", "errors without CORS headers"),
    both("newest message lost", "forgets to return"),
    both("the other was deleted", "limit"),
    both("the other's uuid new", "cuts the texts"),
    both("wrong port", "year"),
    both("endpoint unset", "limit"),
    both("table misspelt in the process", "drops a field"),
    both("declared: year", "no member check"),
    both("declared: limit", "errors without CORS headers"),
    both("year", "errors without CORS headers"),
    both("cuts the texts", "no token needed"),
    both("does not reverse", "no member check"),
    both("a number for an id", "renamed in the route"),
    both("display name changed", "epoch seconds"),
)


# --- controls ---


@dataclass(frozen=True)
class Control:
    """A healthy variation: nothing may be reported."""

    name: str
    arrange: Callable[[Bench], None]
    arguments: tuple[str, ...] = ("conversation", GROUP, "--user", "ines")


def moment(days: int, ms: int = 0) -> str:
    return (datetime(2023, 6, 1, tzinfo=UTC) + timedelta(days=days, milliseconds=ms)).isoformat(timespec="microseconds")


def empty(bench: Bench) -> None:
    bench.delete(*bench.messages())


def used(bench: Bench) -> None:
    for text in ("one", "two"):
        bench.ask("/api/messages", "rafael", {"message": text, "message_group_uuid": GROUP})


def very_long(bench: Bench) -> None:
    like = bench.messages()[0]
    bench.put(
        *(
            {
                **like,
                "sk": {"S": f"2023-05-0{1 + n // 250}T10:{n // 60 % 60:02}:{n % 60:02}.{n:06}+00:00"},
                "message_uuid": {"S": str(uuid.uuid4())},
                "message": {"S": f"{n} " + "x" * 1000},
            }
            for n in range(1500)
        )
    )


def odd_words(bench: Bench) -> None:
    words = ["None", "{{handle}}", "MY_USER_UUID", "a\nb\tc", "\u202eright to left", "🤖 ünï", "' OR 1=1 --", "null"]
    for item, text in zip(bench.messages()[3:], words, strict=False):
        bench.change(item, message=text)


def surroundings(bench: Bench) -> None:
    for item in bench.messages()[5:9]:
        bench.change(item, reactions={"L": [{"S": "thumbs up"}]}, edited={"BOOL": True})
    bench.put({"pk": {"S": "SETTINGS#ines"}, "sk": {"S": "theme"}, "value": {"S": "dark"}})
    bench.sql("ALTER TABLE users ADD COLUMN bio text DEFAULT 'MOCK'")
    bench.undo.append(lambda: bench.sql("ALTER TABLE users DROP COLUMN bio"))


def expired(bench: Bench) -> None:
    bench.configure(
        (
            '[entities.message]\ntable = "cruddur-messages"',
            '[entities.message]\nttl = "expires"\ntable = "cruddur-messages"',
        )
    )
    for item in bench.messages()[10:14]:
        bench.change(item, expires={"N": "1690000000"})


def rich_role(bench: Bench) -> None:
    for statement in (
        "DROP ROLE IF EXISTS helper",
        "CREATE ROLE helper LOGIN PASSWORD 'helperpassword'",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO helper",
    ):
        bench.sql(statement)
    head, _, tail = bench.env["DATABASE_URL"].partition("@")
    bench.undo.append(lambda: (bench.sql("DROP OWNED BY helper"), bench.sql("DROP ROLE helper")))
    bench.with_variables(DATABASE_URL=f"{head.partition('//')[0]}//helper:helperpassword@{tail}")


def renamed_everywhere(bench: Bench) -> None:
    bench.sql("UPDATE users SET display_name = 'Rafa O.' WHERE handle = 'rafael'")
    for item in bench.scan():
        if item.get("user_handle", {}).get("S") == "rafael":
            bench.change(item, user_display_name="Rafa O.")


def just_written(bench: Bench) -> None:
    """A message of this moment: its group's rows follow a second later."""
    rows, now = bench.group_rows(), datetime.now(UTC).isoformat(timespec="microseconds")
    bench.put(
        {**bench.messages()[-1], "sk": {"S": now}, "message_uuid": {"S": str(uuid.uuid4())}, "message": {"S": "now"}}
    )

    def follow() -> None:
        for row in rows:
            bench.change(row, sk=now, message="now")

    late = threading.Timer(1.0, follow)
    late.start()
    bench.undo.append(lambda: late.join(10))


def over_the_year(bench: Bench) -> None:
    """Two messages a microsecond apart, one of each year, between the others."""
    like = bench.messages()[0]
    bench.delete(*[item for item in bench.messages() if item["sk"]["S"] < "2023-01"])
    for sk in ("2022-12-31T23:59:59.999999+00:00", "2023-01-01T00:00:00.000000+00:00"):
        bench.put({**like, "sk": {"S": sk}, "message_uuid": {"S": str(uuid.uuid4())}})


def one_message(bench: Bench) -> None:
    bench.delete(*bench.messages()[:-1])


def large_message(bench: Bench) -> None:
    bench.change(bench.messages()[2], message="word " * 60_000)


def same_words(bench: Bench) -> None:
    for item in bench.messages()[:4]:
        bench.change(item, message="yes")


def rows_moved(bench: Bench) -> None:
    """Every row is written anew, as an UPDATE does: they then stand in another order."""
    bench.sql("UPDATE users SET email = email")
    bench.sql("UPDATE users SET email = email WHERE handle = 'ines'")


def busy(bench: Bench) -> None:
    """Somebody else writes messages of another conversation all the time."""
    stop = threading.Event()
    other = "94c08be3-17fa-4e26-a5d9-c3b6e0271f88"
    like = bench.messages(other)[0]

    def write() -> None:
        number = 0
        while not stop.wait(0.02):
            number += 1
            sk = f"2023-06-01T10:00:{number // 1000 % 60:02}.{number % 1000:06}+00:00"
            bench.put({**like, "sk": {"S": sk}, "message_uuid": {"S": str(uuid.uuid4())}})

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    bench.undo.append(lambda: (stop.set(), writer.join(10)))


RESOURCE = (
    QUERY,
    """\
    if pk.startswith("MSG#"):
        import boto3
        from boto3.dynamodb.conditions import Key

        rule = Key("pk").eq(pk) if before is None else Key("pk").eq(pk) & Key("sk").lt(before)
        table, found, more = boto3.resource("dynamodb").Table(settings().table), [], {}
        while True:
            page = table.query(KeyConditionExpression=rule, ScanIndexForward=True, **more)
            found += page["Items"]
            if "LastEvaluatedKey" not in page:
                return found[::-1][:limit]
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
"""
    + QUERY,
)
PARTIQL = (
    QUERY,
    """\
    if pk.startswith("MSG#") and before is None:
        statement = f'SELECT * FROM "{settings().table}" WHERE pk = ?'
        found = dynamodb().execute_statement(Statement=statement, Parameters=[{"S": pk}])["Items"]
        return sorted(map(plain, found), key=lambda item: item["sk"], reverse=True)[:limit]
"""
    + QUERY,
)
ASYNC = (
    ("def list_messages(", "def list_messages_now("),
    (
        "def require_member(",
        """\
async def list_messages(**given: Any) -> list[Message]:
    return list_messages_now(**given)


def require_member(""",
    ),
)

CONTROLS: tuple[Control, ...] = (
    Control("as seeded", lambda _: None),
    Control("the list of conversations", lambda _: None, ("conversations", "--user", "ines")),
    Control("nobody named", lambda _: None, ("conversation", GROUP)),
    Control("in braces and capitals", lambda _: None, ("conversation", "{" + GROUP.upper() + "}", "--user", "@ines")),
    Control("somebody without conversations", lambda _: None, ("conversations", "--user", "tove")),
    Control("empty", empty),
    Control("used", used),
    Control("the list, used", used, ("conversations", "--user", "rafael")),
    Control("1,500 more, 1.5 MB", very_long),
    Control("odd words", odd_words),
    Control("other attributes, items and columns", surroundings),
    Control("expired items", expired),
    Control("another role", rich_role),
    Control(
        "another name for the address",
        lambda b: b.with_variables(
            AWS_ENDPOINT_URL_DYNAMODB=b.env["AWS_ENDPOINT_URL_DYNAMODB"].replace("127.0.0.1", "localhost")
        ),
    ),
    Control(
        "another region, shared tables",
        lambda b: b.with_variables(AWS_REGION="eu-west-1", AWS_DEFAULT_REGION="eu-west-1"),
    ),
    Control("renamed in both stores", renamed_everywhere),
    Control("a write under way", just_written),
    Control("small pages", code("app.py", ("PAGE = 50", "PAGE = 10"))),
    Control("another interface to the same query", code("messages.py", RESOURCE)),
    Control("PartiQL", code("messages.py", PARTIQL)),
    Control(
        "an asynchronous function",
        lambda b: (
            b.patch("messages.py", *ASYNC),
            b.patch("app.py", ("messages.list_messages(", "messages.list_messages_now(")),
            b.restart(),
        ),
    ),  # type: ignore[arg-type, return-value]
    Control("as the other member", lambda _: None, ("conversation", GROUP, "--user", "rafael")),
    Control("the list of the other member", lambda _: None, ("conversations", "--user", "rafael")),
    Control("another conversation", lambda _: None, ("conversation", "94c08be3-17fa-4e26-a5d9-c3b6e0271f88")),
    Control("over the turn of a year", over_the_year),
    Control("a single message", one_message),
    Control("a message of 300 KB", large_message),
    Control("the same words four times", same_words),
    Control("rows in another order", rows_moved),
    Control("a busy writer", busy),
)
