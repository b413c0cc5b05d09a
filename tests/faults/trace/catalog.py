"""Faults that real teams hit, each injectable, with the layer and the class that should be named.

`row` is the number in the collection of faults that the issue names; `changed` replaces "the API's answers changed"
where what is wrong is that they did not.
"""

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
    """One fault. `user` is whom the trace is asked for (None: its first member)."""

    name: str
    row: int
    layer: str
    kind: str
    inject: Callable[[Bench], None]
    user: str | None = "ines"
    changed: Callable[[Bench, Answers, Answers], bool] | None = None
    subject: tuple[str, ...] = ("conversation", GROUP)

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


FAULTS: tuple[Fault, ...] = (
    # environment
    Fault("endpoint unset", 1, "environment", "unset", lambda b: b.with_variables("AWS_ENDPOINT_URL_DYNAMODB")),
    Fault(
        "wrong port",
        2,
        "environment",
        "wrong_endpoint",
        lambda b: b.with_variables(AWS_ENDPOINT_URL_DYNAMODB="http://127.0.0.1:9"),
    ),
    Fault(
        "a container's name",
        2,
        "environment",
        "wrong_endpoint",
        lambda b: b.with_variables(AWS_ENDPOINT_URL_DYNAMODB="http://dynamodb-local:8000"),
    ),
    Fault(
        "no port",
        3,
        "environment",
        "malformed",
        lambda b: b.with_variables(AWS_ENDPOINT_URL_DYNAMODB="http://127.0.0.1"),
    ),
    Fault(
        "a path behind it",
        3,
        "environment",
        "malformed",
        lambda b: b.with_variables(AWS_ENDPOINT_URL_DYNAMODB=f"http://127.0.0.1:{port_of(b)}/shell"),
    ),
    Fault("two databases", 4, "environment", "wrong_database", other_database),
    Fault("settings edited, table", 5, "environment", "stale_process", stale_table),
    Fault("settings edited, endpoint", 5, "environment", "stale_process", stale_endpoint),
    Fault(
        "table misspelt in the process",
        7,
        "environment",
        "wrong_table",
        lambda b: b.with_variables(DDB_MESSAGE_TABLE="cruddur-message"),
    ),
    Fault("table misspelt in the settings", 7, "environment", "wrong_table", misspelt_everywhere),
    Fault(
        "no credentials",
        8,
        "environment",
        "unset",
        lambda b: b.with_variables("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ),
    Fault("a .env file decides", 1, "environment", "wrong_endpoint", dotenv),
    Fault("the address is in the code", 2, "environment", "wrong_endpoint", hard_coded),
    # services
    Fault("DynamoDB killed", 10, "services", "unreachable", kill("dynamodb")),
    Fault("Postgres killed", 10, "services", "unreachable", kill("postgres")),
    Fault("DynamoDB hangs", 11, "services", "unreachable", pause("dynamodb")),
    Fault("no table", 13, "services", "missing_table", drop_table),
    Fault("no index", 13, "services", "schema_drift", remake_table(GlobalSecondaryIndexes=[])),
    Fault(
        "the index has other keys",
        14,
        "services",
        "schema_drift",
        remake_table(
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "message-group-sk-index",
                    "KeySchema": [{"AttributeName": "sk", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ]
        ),
    ),
    Fault("a column is missing", 15, "services", "schema_drift", rename_column),
    Fault("a column has another type", 15, "services", "schema_drift", integer_column),
    # postgres
    Fault("one user missing", 16, "postgres", "missing_row", remove_user("ines")),
    Fault("handle in capitals", 17, "postgres", "near_miss", set_user("ines", handle="Ines"), changed=nobody_known),
    Fault("handle with a blank", 17, "postgres", "near_miss", set_user("ines", handle="ines "), changed=nobody_known),
    Fault("sign-in id is MOCK", 18, "postgres", "placeholder", set_user("ines", cognito_user_id="MOCK")),
    Fault("sign-in id twice", 18, "postgres", "ambiguous_row", same_sign_in),
    Fault("role without rights", 18, "postgres", "denied", poor_role),
    # cross-store
    Fault("all uuids new", 19, "cross-store", "mismatched_id", new_uuids),
    Fault("all uuids new, nobody named", 19, "cross-store", "mismatched_id", new_uuids, user=None),
    Fault("one uuid new", 20, "cross-store", "mismatched_id", new_uuid("ines")),
    Fault("the other's uuid new", 20, "cross-store", "mismatched_id", new_uuid("rafael")),
    Fault(
        "display name changed",
        21,
        "cross-store",
        "stale_copy",
        set_user("rafael", display_name="Rafa Okoro"),
        changed=old_name,
    ),
    Fault("handle changed", 21, "cross-store", "stale_copy", set_user("rafael", handle="rafa"), changed=old_name),
    Fault("the other was deleted", 22, "cross-store", "orphan", remove_user("rafael")),
    # dynamodb
    Fault("seeded twice", 23, "dynamodb", "duplicate", seeded_twice),
    Fault("one message twice", 23, "dynamodb", "duplicate", one_twice),
    Fault("dated in the future", 24, "dynamodb", "future_time", in_the_future, changed=not_last),
    Fault("mixed time formats", 25, "dynamodb", "mixed_time_format", naive_times),
    Fault("rows lag behind", 26, "dynamodb", "stale_preview", lagging_rows),
    Fault("rows lag behind, the list", 26, "dynamodb", "stale_preview", lagging_rows, subject=("conversations",)),
    Fault(
        "a template's blank",
        27,
        "dynamodb",
        "placeholder",
        with_value("user_uuid", "MY_USER_UUID"),
        changed=lambda *_: True,
    ),
    Fault("a blank in the message's id", 27, "dynamodb", "placeholder", with_value("message_uuid", "{{message_uuid}}")),
    Fault("no user_handle", 28, "dynamodb", "missing_attribute", lacking("user_handle")),
    Fault("no message_uuid", 28, "dynamodb", "missing_attribute", lacking("message_uuid")),
    Fault("a number for an id", 28, "dynamodb", "wrong_type", with_value("message_uuid", {"N": "17"})),
    Fault("prefix in small letters", 32, "dynamodb", "malformed_key", rekey(str.lower)),
    Fault("uuid in capitals", 32, "dynamodb", "malformed_key", rekey(lambda pk: pk.upper())),
    Fault("uuid in braces", 32, "dynamodb", "malformed_key", rekey(lambda pk: pk.replace("#", "#{") + "}")),
    Fault("half a group", 26, "dynamodb", "half_group", half),
    Fault("a stranger's message", 26, "dynamodb", "foreign_member", by_a_stranger),
    Fault("nothing stored", 32, "dynamodb", "missing_item", all_gone),
    Fault("stored under another uuid", 32, "dynamodb", "missing_item", other_group),
    Fault("newest message lost", 26, "dynamodb", "missing_item", newest_lost),
    # pattern: declared so, and the application does so
    Fault(
        "declared: year", 29, "pattern", "narrowed", declared(MESSAGES + '\nsort = { begins_with = "{year}" }', YEAR)
    ),
    Fault("declared: limit", 30, "pattern", "truncated", declared(MESSAGES + "\nlimit = 20\npaged = false", LIMIT)),
    Fault("declared: prefix", 31, "pattern", "wrong_key", declared(MESSAGES.replace("MSG#", "GRP#"), PREFIX)),
    Fault(
        "declared: index",
        33,
        "pattern",
        "wrong_index",
        declared(
            BY_INDEX,
            WRONG_INDEX,
        ),
    ),
    Fault(
        "declared: scan",
        33,
        "pattern",
        "scan",
        declared(MESSAGES.replace('order = "newest first"\noperation = "query"', 'operation = "Scan"'), SCAN),
        changed=dearer,
    ),
    Fault(
        "declared: filter",
        33,
        "pattern",
        "filtered",
        declared(MESSAGES + '\nfilter = "user_handle = :me"\nvalues = { ":me" = "ines" }', FILTER, FILTER_VALUES),
    ),
    Fault("declared: order", 36, "pattern", "reordered", declared(MESSAGES.replace("newest", "oldest"), FORWARD)),
    # library: only the application does so
    Fault("year", 29, "library", "wrong_query", code("messages.py", YEAR)),
    Fault("limit", 30, "library", "wrong_query", code("messages.py", LIMIT)),
    Fault("prefix", 31, "library", "wrong_query", code("messages.py", PREFIX)),
    Fault("index", 33, "library", "wrong_query", code("messages.py", WRONG_INDEX)),
    Fault("scan", 33, "library", "wrong_query", code("messages.py", SCAN), changed=dearer),
    Fault("filter", 33, "library", "wrong_query", code("messages.py", FILTER, FILTER_VALUES)),
    Fault(
        "membership asks another index",
        33,
        "library",
        "wrong_query",
        code("messages.py", ('INDEX = "message-group-sk-index"', 'INDEX = "group-index"')),
    ),
    Fault("forgets to return", 34, "library", "nothing_returned", library(RETURN.replace("return", "_ ="))),
    Fault(
        "drops a field",
        35,
        "library",
        "field_changed",
        code("messages.py", ('        "handle": item["user_handle"],\n', "")),
    ),
    Fault(
        "renames a field",
        35,
        "library",
        "field_changed",
        code("messages.py", ('"created_at": item["sk"]', '"createdAt": item["sk"]')),
    ),
    Fault(
        "the sender's uuid",
        35,
        "library",
        "field_changed",
        library(RETURN.replace('item["message_uuid"]', 'item["user_uuid"]')),
    ),
    Fault(
        "sorts by name",
        36,
        "library",
        "reordered",
        library(RETURN.replace("reversed(items)", 'sorted(items, key=lambda i: i["message"])')),
    ),
    Fault("does not reverse", 36, "library", "reordered", library(RETURN.replace("reversed(items)", "items"))),
    Fault("reads another table", 37, "library", "wrong_query", older_copy, changed=absent),
    Fault("fails", 34, "library", "error", library("    raise TypeError(\"'NoneType' object is not subscriptable\")")),
    Fault(
        "loses the last ones",
        35,
        "library",
        "items_lost",
        library(RETURN.replace("reversed(items)", "reversed(items[5:])")),
    ),
    Fault("never ends", 34, "library", "timed_out", library("    time.sleep(3600)\n" + RETURN)),
    # http
    Fault(
        "route takes the handle",
        38,
        "http",
        "status",
        route(
            FOUND.replace("=group,", '=me["handle"],')
            + '\n    if not found:\n        raise HTTPException(404, "no such conversation")',
            FOUND,
        ),
    ),
    Fault(
        "route takes the handle, empty",
        38,
        "http",
        "items_lost",
        route(FOUND.replace("=group,", '=me["handle"],'), FOUND),
    ),
    Fault("error answered as success", 39, "http", "status", route(SWALLOWED)),
    Fault("error answered as nothing", 39, "http", "status", route("    return Response(status_code=200)")),
    Fault(
        "no member check",
        40,
        "http",
        "open_to_strangers",
        code("app.py", ('    messages.require_member(message_group_uuid=group, user_uuid=me["uuid"])\n', "")),
    ),
    Fault(
        "no token needed",
        40,
        "http",
        "open_to_strangers",
        code(
            "app.py",
            (
                '    raise HTTPException(401, reason, {"WWW-Authenticate": "Bearer"})',
                '    return users.find_by_handle(handle="ines") or {}',
            ),
        ),
    ),
    Fault(
        "errors without CORS headers",
        41,
        "http",
        "cors",
        code("web.py", BARE_ERRORS),
    ),
    Fault(
        "no CORS headers",
        41,
        "http",
        "cors",
        lambda b: (
            b.configure(
                ('env = { CORS_ORIGINS = "http://localhost:3000,', 'env = { CORS_ORIGINS = "http://localhost:4000,')
            ),
            b.restart(),
        ),
    ),  # type: ignore[func-returns-value]
    Fault(
        "token counts as expired",
        42,
        "http",
        "not_authorised",
        code(
            "auth.py", ('    return str(claims["sub"])', '    raise jwt.ExpiredSignatureError("Signature has expired")')
        ),
    ),
    Fault("500 behind the library", 39, "http", "status", route('    raise KeyError("cursor")')),
    Fault(
        "HTML",
        39,
        "http",
        "not_json",
        route('    return Response("<html><body>Welcome</body></html>", media_type="text/html")'),
    ),
    Fault("wrapped", 35, "http", "body_changed", route('    return {"data": found}')),
    Fault(
        "renamed in the route",
        35,
        "http",
        "body_changed",
        route(PAGE.replace("return page", 'return [{**line, "message": line["message"][:10]} for line in page]')),
    ),
    Fault("page without a next one", 30, "http", "items_lost", route("    return found[-limit:]")),
    Fault("reversed in the route", 36, "http", "body_changed", route(PAGE.replace("return page", "return page[::-1]"))),
    Fault("hangs", 39, "http", "timed_out", route("    import time\n    time.sleep(3600)")),
)
