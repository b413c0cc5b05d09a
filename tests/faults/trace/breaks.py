"""Ways to break one thing of a healthy project, for the faults of catalog.py."""

from __future__ import annotations

import os
import re
import signal
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.faults.trace.bench import GROUP, TABLE, Bench

Answers = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """One fault. `user` is whom the trace is asked for (None: its first member).

    `names`: words that the verdict must contain, the object of the fault (a table, column, attribute, index, key, row
    or statement); `{messages[125]}` is the uuid of a message by its number, see `Bench.words`. Empty: it has none.
    """

    name: str
    row: int
    layer: str
    kind: str
    inject: Callable[[Bench], None]
    user: str | None = "ines"
    changed: Callable[[Bench, Answers, Answers], bool] | None = None
    subject: tuple[str, ...] = ("conversation", GROUP)
    names: tuple[str, ...] = ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """The words behind `devenv trace`."""
        return (*self.subject, *(("--user", self.user) if self.user else ()))


def port_of(bench: Bench) -> str:
    return bench.env["AWS_ENDPOINT_URL_DYNAMODB"].rpartition(":")[2]


# --- environment ---


def other_database(bench: Bench) -> None:
    with bench.connect() as connection:
        connection.autocommit = True
        connection.execute("DROP DATABASE IF EXISTS elsewhere")
        connection.execute("CREATE DATABASE elsewhere TEMPLATE template0")
    schema = (bench.project.path / "seeds/postgres/schema.sql").read_text("utf-8")
    with bench.connect("elsewhere") as connection:
        connection.execute(schema.encode())
    bench.with_variables(DATABASE_URL=bench.env["DATABASE_URL"].replace("/cruddur", "/elsewhere"))


def stale_table(bench: Bench) -> None:
    bench.configure(('DDB_MESSAGE_TABLE = "cruddur-messages"', 'DDB_MESSAGE_TABLE = "cruddur-messages-2"'))
    bench.restart()
    bench.configure(('DDB_MESSAGE_TABLE = "cruddur-messages-2"', 'DDB_MESSAGE_TABLE = "cruddur-messages"'))


def stale_endpoint(bench: Bench) -> None:
    bench.with_variables(AWS_ENDPOINT_URL_DYNAMODB="http://127.0.0.1:9")
    bench.configure(('AWS_ENDPOINT_URL_DYNAMODB = "http://127.0.0.1:9", ', ""))


def dotenv(bench: Bench) -> None:
    bench.patch(
        "settings.py",
        (
            "REQUIRED = (",
            'os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = "http://127.0.0.1:9"  # as load_dotenv does\nREQUIRED = (',
        ),
    )
    bench.restart()


def hard_coded(bench: Bench) -> None:
    bench.patch(
        "stores.py",
        (
            'boto3.client("dynamodb", config=config)',
            'boto3.client("dynamodb", config=config, endpoint_url="http://127.0.0.1:9")',
        ),
    )
    bench.restart()


def misspelt_everywhere(bench: Bench) -> None:
    bench.configure(('DDB_MESSAGE_TABLE = "cruddur-messages"', 'DDB_MESSAGE_TABLE = "cruddur-mesages"'))
    bench.restart()


# --- services ---


def kill(service: str) -> Callable[[Bench], None]:
    def inject(bench: Bench) -> None:
        for pid in bench.pids(service):
            os.kill(pid, signal.SIGKILL)
        bench.undo.append(lambda: bench.project.ok("up"))

    return inject


def pause(service: str) -> Callable[[Bench], None]:
    def inject(bench: Bench) -> None:
        pids = bench.pids(service)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        bench.undo.append(lambda: [os.kill(pid, signal.SIGCONT) for pid in pids])

    return inject


def remake_table(**changes: Any) -> Callable[[Bench], None]:
    """The table made anew from another definition, with all its items."""

    def inject(bench: Bench) -> None:
        request = {name: bench.table[name] for name in ("TableName", "KeySchema", "AttributeDefinitions")}
        index = [
            {n: i[n] for n in ("IndexName", "KeySchema", "Projection")} for i in bench.table["GlobalSecondaryIndexes"]
        ]
        right = {**request, "GlobalSecondaryIndexes": index, "BillingMode": "PAY_PER_REQUEST"}
        wrong = {**right, **changes}
        if not wrong["GlobalSecondaryIndexes"]:
            del wrong["GlobalSecondaryIndexes"]
        names = {
            key["AttributeName"]
            for part in (wrong, *wrong.get("GlobalSecondaryIndexes", ()))
            for key in part["KeySchema"]
        }
        wrong["AttributeDefinitions"] = [d for d in wrong["AttributeDefinitions"] if d["AttributeName"] in names]
        replace_table(bench, wrong)
        bench.undo.append(lambda: replace_table(bench, right))

    return inject


def replace_table(bench: Bench, request: dict[str, Any] | None) -> None:
    with bench.dynamodb() as dynamodb:
        if TABLE in dynamodb.call("ListTables")["TableNames"]:
            dynamodb.call("DeleteTable", {"TableName": TABLE})
        if request is not None:
            dynamodb.call("CreateTable", request)
    if request is not None:
        bench.put(*bench.items)


def drop_table(bench: Bench) -> None:
    index = [{n: i[n] for n in ("IndexName", "KeySchema", "Projection")} for i in bench.table["GlobalSecondaryIndexes"]]
    request = {name: bench.table[name] for name in ("TableName", "KeySchema", "AttributeDefinitions")}
    right = {**request, "GlobalSecondaryIndexes": index, "BillingMode": "PAY_PER_REQUEST"}
    replace_table(bench, None)
    bench.undo.append(lambda: replace_table(bench, right))


def rename_column(bench: Bench) -> None:
    bench.sql("ALTER TABLE users RENAME COLUMN handle TO nick")
    bench.undo.append(lambda: bench.sql("ALTER TABLE users RENAME COLUMN nick TO handle"))


def integer_column(bench: Bench) -> None:
    bench.sql("ALTER TABLE users ALTER COLUMN cognito_user_id TYPE integer USING 7")
    bench.undo.append(
        lambda: bench.sql("ALTER TABLE users ALTER COLUMN cognito_user_id TYPE text USING cognito_user_id::text")
    )


# --- postgres ---


def remove_user(handle: str) -> Callable[[Bench], None]:
    return lambda bench: bench.free_sql("DELETE FROM users WHERE handle = %s", handle)


def set_user(who: str, **values: str) -> Callable[[Bench], None]:
    def inject(bench: Bench) -> None:
        for column, text in values.items():
            bench.free_sql(f"UPDATE users SET {column} = %s WHERE handle = %s", text, who)

    return inject


def same_sign_in(bench: Bench) -> None:
    bench.sql("UPDATE users SET cognito_user_id = %s WHERE handle = 'tove'", bench.sign_ins["ines"])


def poor_role(bench: Bench) -> None:
    bench.sql("DROP ROLE IF EXISTS visitor")
    bench.sql("CREATE ROLE visitor LOGIN PASSWORD 'visitorpassword'")
    url = re.sub(r"//[^@]*@", "//visitor:visitorpassword@", bench.env["DATABASE_URL"])
    bench.undo.append(lambda: bench.sql("DROP ROLE visitor"))
    bench.with_variables(DATABASE_URL=url)


def nobody_known(bench: Bench, before: Answers, after: Answers) -> bool:
    return after["user"] != before["user"]


# --- dynamodb ---


def seeded_twice(bench: Bench) -> None:
    for item in bench.messages():
        moment = datetime.fromisoformat(item["sk"]["S"]) + timedelta(milliseconds=400)
        again = {
            **item,
            "sk": {"S": moment.isoformat(timespec="microseconds")},
            "message_uuid": {"S": str(uuid.uuid4())},
        }
        bench.put(again)


def one_twice(bench: Bench) -> None:
    item = bench.messages()[50]
    bench.put({**item, "sk": {"S": item["sk"]["S"].replace(".000000", ".500000")}})


def in_the_future(bench: Bench) -> None:
    for item in bench.messages()[-3:]:
        bench.change(item, sk=item["sk"]["S"].replace("2023-", "2093-"))
    bench.ask("/api/messages", "ines", {"message": "is this the newest?", "message_group_uuid": GROUP})


def not_last(bench: Bench, before: Answers, after: Answers) -> bool:
    return after["member"]["body"][-1]["message"] != "is this the newest?"


def naive_times(bench: Bench) -> None:
    for item in bench.messages()[-6:-1:2]:
        moment = datetime.fromisoformat(item["sk"]["S"]) + timedelta(hours=2)
        bench.change(item, sk=moment.strftime("%Y-%m-%dT%H:%M:%S+02:00"))


def lagging_rows(bench: Bench) -> None:
    old = bench.messages()[-4]
    for row in bench.group_rows():
        bench.change(row, sk=old["sk"], message=old["message"])


def lacking(attribute: str, place: int = -2) -> Callable[[Bench], None]:
    return lambda bench: bench.change(bench.messages()[place], **{attribute: None})


def with_value(attribute: str, value: Any, place: int = -2) -> Callable[[Bench], None]:
    return lambda bench: bench.change(bench.messages()[place], **{attribute: value})


def rekey(change: Callable[[str], str], number: int = 5) -> Callable[[Bench], None]:
    def inject(bench: Bench) -> None:
        for item in bench.messages()[-number:]:
            bench.change(item, pk=change(item["pk"]["S"]))

    return inject


def half(bench: Bench) -> None:
    bench.delete(next(row for row in bench.group_rows() if row["pk"]["S"].endswith(bench.uuid("ines"))))


def by_a_stranger(bench: Bench) -> None:
    bench.change(
        bench.messages()[-2], user_uuid=bench.uuid("mei"), user_handle="mei", user_display_name="Mei Santangelo"
    )


def all_gone(bench: Bench) -> None:
    bench.delete(*bench.messages(), *bench.group_rows())


def other_group(bench: Bench) -> None:
    for item in bench.messages():
        bench.change(item, pk="MSG#0c5f7a1e-8f0b-4d7e-9a53-51d2c06f3b11")


def newest_lost(bench: Bench) -> None:
    bench.delete(bench.messages()[-1])


# --- cross-store ---


def new_uuids(bench: Bench) -> None:
    bench.free_sql("UPDATE users SET uuid = gen_random_uuid()")


def new_uuid(handle: str) -> Callable[[Bench], None]:
    return lambda bench: bench.free_sql("UPDATE users SET uuid = gen_random_uuid() WHERE handle = %s", handle)


def old_name(bench: Bench, before: Answers, after: Answers) -> bool:
    now = dict(bench.sql("SELECT handle, display_name FROM users"))
    return any(now.get(line["handle"]) != line["display_name"] for line in after["member"]["body"])


# --- pattern, and the same in the application only ---

QUERY = """\
    items = query(
        limit,
        KeyConditionExpression=condition,
        ExpressionAttributeValues=values,
"""
YEAR = (
    QUERY,
    """\
    if pk.startswith("MSG#") and before is None:
        condition += " AND begins_with(sk, :year)"
        values[":year"] = {"S": str(datetime.now(UTC).year)}
"""
    + QUERY,
)
LIMIT = (
    '    return patiently(lambda: [item for page in pages for item in page["Items"]])',
    '    return list(dynamodb().query(TableName=settings().table, Limit=20, **request)["Items"])',
)
PREFIX = ('newest(f"MSG#{message_group_uuid}", before, limit)', 'newest(f"GRP#{message_group_uuid}", before, limit)')
WRONG_INDEX = (
    QUERY,
    """\
    if pk.startswith("MSG#"):
        found = query(
            limit,
            IndexName=INDEX,
            KeyConditionExpression="message_group_uuid = :group",
            ExpressionAttributeValues={":group": {"S": pk[4:]}},
            ScanIndexForward=False,
        )
        return [plain(item) for item in found if "message_uuid" in item]
"""
    + QUERY,
)
SCAN = (
    QUERY,
    """\
    if pk.startswith("MSG#") and before is None:
        pages = dynamodb().get_paginator("scan").paginate(
            TableName=settings().table, FilterExpression="pk = :pk", ExpressionAttributeValues=values
        )
        found = [plain(item) for page in pages for item in page["Items"]]
        return sorted(found, key=lambda item: item["sk"], reverse=True)[:limit]
"""
    + QUERY,
)
FILTER = (
    "        ConsistentRead=True,  # what was just sent is there",
    '        **({"FilterExpression": "user_handle = :me"} if pk.startswith("MSG#") else {}),',
)
FILTER_VALUES = (QUERY, '    if pk.startswith("MSG#"):\n        values[":me"] = {"S": "ines"}\n' + QUERY)
FORWARD = ("ScanIndexForward=False", 'ScanIndexForward=pk.startswith("MSG#")')
MESSAGES = 'key = { pk = "MSG#{message_group_uuid}" }\norder = "newest first"\noperation = "query"'


def code(file: str, *changes: tuple[str, str]) -> Callable[[Bench], None]:
    """The application's code changed."""

    def inject(bench: Bench) -> None:
        bench.patch(file, *changes)
        bench.restart()

    return inject


def declared(replacement: str, *changes: tuple[str, str]) -> Callable[[Bench], None]:
    """The same mistake in the declared pattern and in the application."""

    def inject(bench: Bench) -> None:
        bench.configure((MESSAGES, replacement))
        bench.patch("messages.py", *changes)
        bench.restart()

    return inject


def dearer(bench: Bench, before: Answers, after: Answers) -> bool:
    """A Scan reads the whole table; the answer may be the same."""
    return len(bench.scan()) > len(bench.messages())


def older_copy(bench: Bench) -> None:
    """The application reads a second table, which was a copy once; then somebody sends."""
    index = [{n: i[n] for n in ("IndexName", "KeySchema", "Projection")} for i in bench.table["GlobalSecondaryIndexes"]]
    request = {name: bench.table[name] for name in ("KeySchema", "AttributeDefinitions")}
    name = "cruddur-messages-old"
    with bench.dynamodb() as dynamodb:
        create = {**request, "TableName": name, "GlobalSecondaryIndexes": index, "BillingMode": "PAY_PER_REQUEST"}
        dynamodb.call("CreateTable", create)
    bench.put(*bench.items, table=name)

    def drop() -> None:
        with bench.dynamodb() as dynamodb:
            dynamodb.call("DeleteTable", {"TableName": name})

    bench.undo.append(drop)
    bench.patch(
        "messages.py", ("TableName=settings().table, PaginationConfig", f'TableName="{name}", PaginationConfig')
    )
    bench.patch(
        "messages.py",
        (
            'TableName="cruddur-messages-old", PaginationConfig',
            'TableName=settings().table if "IndexName" in request else "cruddur-messages-old", PaginationConfig',
        ),
    )
    bench.restart()
    bench.ask("/api/messages", "ines", {"message": "does this one appear?", "message_group_uuid": GROUP})


def absent(bench: Bench, before: Answers, after: Answers) -> bool:
    return after["member"]["body"][-1]["message"] != "does this one appear?"


RETURN = '    return [line(item, item["message_uuid"]) for item in reversed(items)]'
PAGE = """\
    page = found[-limit:]
    if len(found) > limit:
        link_older(request, response, page[0]["created_at"], limit)
    return page"""
FOUND = "    found = messages.list_messages(message_group_uuid=group, before=before, limit=limit + 1)"
SWALLOWED = """\
    try:
        raise RuntimeError("no such thing")
    except Exception:
        import logging

        logging.getLogger("uvicorn.error").exception("listing failed")
        return []"""
BARE_ERRORS = (
    "                sys.stdout.flush()",
    """\
                sys.stdout.flush()
                if message["status"] >= 400:
                    kept = [pair for pair in message["headers"] if not pair[0].lower().startswith(b"access-control")]
                    message["headers"] = kept""",
)
BY_INDEX = """\
index = "message-group-sk-index"
key = { message_group_uuid = "{message_group_uuid}" }
order = "newest first\""""


def library(new: str) -> Callable[[Bench], None]:
    return code("messages.py", (RETURN, new))


def route(new: str, old: str = PAGE) -> Callable[[Bench], None]:
    return code(
        "app.py",
        (old, new),
        ('-> list[messages.Message]:\n    """The newest messages', '-> Any:\n    """The newest messages'),
    )
