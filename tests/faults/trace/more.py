"""Faults that no collection lists, and pairs of faults."""

from __future__ import annotations

import uuid

from tests.faults.trace.bench import Bench
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
        names=("DATABASE_URL",),
    ),
    Fault(
        "the global endpoint leads elsewhere",
        0,
        "environment",
        "wrong_endpoint",
        lambda b: b.with_variables("AWS_ENDPOINT_URL_DYNAMODB", AWS_ENDPOINT_URL="http://127.0.0.1:9"),
        names=("127.0.0.1:9",),
    ),
    Fault("Postgres hangs", 0, "services", "unreachable", pause("postgres"), names=("Postgres",)),
    Fault("the application was killed", 0, "services", "unreachable", kill("backend"), names=("the application",)),
    Fault("no message text", 0, "dynamodb", "missing_attribute", lacking("message"), names=("`message`", "MSG#")),
    Fault(
        "an unknown author",
        0,
        "cross-store",
        "orphan",
        lambda b: b.change(b.messages()[-2], user_uuid=str(uuid.uuid4()), user_handle="ghost"),
        names=("user_uuid", "ghost"),
    ),
    Fault("a row names its owner", 0, "dynamodb", "foreign_member", own_id, names=("GRP#", "user_uuid")),
    Fault(
        "not a uuid at all",
        0,
        "dynamodb",
        "malformed_id",
        with_value("message_uuid", "message 17"),
        names=("message_uuid", "message 17"),
    ),
    Fault(
        "declared: another conversation",
        0,
        "pattern",
        "wrong_key",
        declared(
            MESSAGES.replace("{message_group_uuid}", OTHER_GROUP),
            ('newest(f"MSG#{message_group_uuid}", before, limit)', f'newest("MSG#{OTHER_GROUP}", before, limit)'),
        ),
        names=("8a2f6b0e-6c0d-4e8a-bb62-0f9d3c5b1e77",),
    ),
    Fault(
        "declared: a window",
        0,
        "pattern",
        "narrowed",
        declared(MESSAGES + '\nsort = { greater = "2023-06-10" }', WINDOW),
        names=("sk", "2023-06-10"),
    ),
    Fault("a window", 0, "library", "wrong_query", code("messages.py", WINDOW), names=("sk", "2023-06-10")),
    Fault(
        "the id in capitals",
        0,
        "library",
        "wrong_query",
        code("messages.py", ('newest(f"MSG#{message_group_uuid}"', 'newest(f"MSG#{message_group_uuid.upper()}"')),
        names=("{capitals}",),
    ),
    Fault(
        "a refused query, swallowed",
        0,
        "library",
        "wrong_query",
        code("messages.py", SWALLOWED_INDEX),
        names=("by-group",),
    ),
    Fault(
        "leaves out one's own",
        0,
        "library",
        "items_lost",
        library(RETURN[:-1] + ' if item["user_handle"] != "ines"]'),
        names=("list_messages", "Ines Halvorsen"),
    ),
    Fault(
        "a map instead of a list",
        0,
        "library",
        "field_changed",
        library(RETURN.replace("return [", 'return {item["message_uuid"]: ').replace("reversed(items)]", "items}")),
        names=("list_messages",),
    ),
    Fault(
        "cuts the texts",
        0,
        "library",
        "field_changed",
        code("messages.py", ('"message": item["message"],', '"message": item["message"][:20],')),
        names=("list_messages", "message"),
    ),
    Fault("everything twice", 0, "library", "items_added", library(RETURN + " * 2"), names=("list_messages",)),
    Fault("made up", 0, "library", "wrong_query", code("messages.py", (BODY, MADE_UP)), names=("list_messages",)),
    Fault(
        "ends the process", 0, "services", "unreachable", library("    import sys\n    sys.exit(3)"), names=("backend",)
    ),
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
        names=("list_messages",),
    ),
    Fault("no content", 0, "http", "status", route("    return Response(status_code=204)"), names=("204",)),
    Fault("null", 0, "http", "status", route("    return None")),
    Fault(
        "sent to the login page",
        0,
        "http",
        "status",
        route('    return Response(status_code=302, headers={"Location": "/login"})'),
        names=("302",),
    ),
    Fault(
        "epoch seconds",
        0,
        "http",
        "body_changed",
        route(PAGE.replace("return page", 'return [{**line, "created_at": 1687640222} for line in page]')),
        names=("created_at",),
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
        names=("400", "page is missing"),
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
        names=("401", "token"),
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
    Fault(
        "the newest is left out",
        0,
        "http",
        "items_lost",
        route(PAGE.replace("return page", "return page[:-1]")),
        names=("newest",),
    ),
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
