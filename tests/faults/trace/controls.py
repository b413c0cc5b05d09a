"""Healthy variations of the reference project: nothing may be reported of them."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.faults.trace.bench import GROUP, Bench
from tests.faults.trace.breaks import QUERY, code

CLIENT = 'boto3.client("dynamodb", config=config)'
OWN_KEY = CLIENT.replace("=config)", '=config, aws_access_key_id="AKIAOTHER", aws_secret_access_key="othersecret")')
ABROAD = CLIENT.replace("=config)", '=config, region_name="us-west-2")')


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


# Connections that stay open between requests, without a look whether they still work: the default of most pools.
POOL = (
    """\
    return psycopg.connect(
        settings""",
    """\
    return POOL.pop() if POOL else Kept.connect(
        settings""",
)
KEPT = (
    "def read(",
    """\
POOL: list[Any] = []


class Kept(psycopg.Connection[DictRow]):
    def __exit__(self, kind: Any, *_: Any) -> None:
        if self.broken:
            return
        self.rollback() if kind else self.commit()
        POOL.append(self)


def read(""",
)


def ended_connections(bench: Bench) -> None:
    """The sessions of the application's pool are ended, as a restart of the server ends them."""
    bench.patch("stores.py", POOL, KEPT, ("if last or not connection.broken:", "if True:"))
    bench.patch("web.py", ("    **dict.fromkeys(UNAVAILABLE,", "    **dict.fromkeys((),"))
    bench.restart()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: bench.ask(f"/api/messages/{GROUP}", "ines"), range(12)))
    where = "usename = current_user AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    assert len(bench.sql(f"SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE {where}")) > 1


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
    Control("the region is in the code, shared tables", code("stores.py", (CLIENT, ABROAD))),
    Control("the key is in the code, shared tables", code("stores.py", (CLIENT, OWN_KEY))),
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
    Control("connections that were ended", ended_connections),
)
