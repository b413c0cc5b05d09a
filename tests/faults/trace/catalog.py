"""Faults that real teams hit, each injectable, with the layer and the class that should be named.

`row` is the number in the collection of faults that the issue names; `changed` replaces "the API's answers changed"
where what is wrong is that they did not."""

from __future__ import annotations

from tests.faults.trace.breaks import (
    BARE_ERRORS,
    BY_INDEX,
    FILTER,
    FILTER_VALUES,
    FORWARD,
    FOUND,
    LIMIT,
    MESSAGES,
    PAGE,
    PREFIX,
    RETURN,
    SCAN,
    SWALLOWED,
    WRONG_INDEX,
    YEAR,
    Fault,
    absent,
    code,
    dearer,
    declared,
    library,
    older_copy,
    route,
)
from tests.faults.trace.stored import STORED

SERVED: tuple[Fault, ...] = (
    # pattern: declared so, and the application does so
    Fault(
        "declared: year",
        29,
        "pattern",
        "narrowed",
        declared(MESSAGES + '\nsort = { begins_with = "{year}" }', YEAR),
        names=("sk",),
    ),
    Fault(
        "declared: limit",
        30,
        "pattern",
        "truncated",
        declared(MESSAGES + "\nlimit = 20\npaged = false", LIMIT),
        names=("20",),
    ),
    Fault(
        "declared: prefix",
        31,
        "pattern",
        "wrong_key",
        declared(MESSAGES.replace("MSG#", "GRP#"), PREFIX),
        names=("GRP#",),
    ),
    Fault(
        "declared: index",
        33,
        "pattern",
        "wrong_index",
        declared(
            BY_INDEX,
            WRONG_INDEX,
        ),
        names=("message-group-sk-index",),
    ),
    Fault(
        "declared: scan",
        33,
        "pattern",
        "scan",
        declared(MESSAGES.replace('order = "newest first"\noperation = "query"', 'operation = "Scan"'), SCAN),
        changed=dearer,
        names=("Scan",),
    ),
    Fault(
        "declared: filter",
        33,
        "pattern",
        "filtered",
        declared(MESSAGES + '\nfilter = "user_handle = :me"\nvalues = { ":me" = "ines" }', FILTER, FILTER_VALUES),
        names=("user_handle",),
    ),
    Fault(
        "declared: order",
        36,
        "pattern",
        "reordered",
        declared(MESSAGES.replace("newest", "oldest"), FORWARD),
        names=("oldest first",),
    ),
    # library: only the application does so
    Fault("year", 29, "library", "wrong_query", code("messages.py", YEAR), names=("list_messages", "sk")),
    Fault("limit", 30, "library", "wrong_query", code("messages.py", LIMIT), names=("list_messages", "20")),
    Fault("prefix", 31, "library", "wrong_query", code("messages.py", PREFIX), names=("list_messages", "GRP#")),
    Fault(
        "index",
        33,
        "library",
        "wrong_query",
        code("messages.py", WRONG_INDEX),
        names=("list_messages", "message-group-sk-index"),
    ),
    Fault(
        "scan", 33, "library", "wrong_query", code("messages.py", SCAN), changed=dearer, names=("list_messages", "Scan")
    ),
    Fault(
        "filter",
        33,
        "library",
        "wrong_query",
        code("messages.py", FILTER, FILTER_VALUES),
        names=("list_messages", "user_handle"),
    ),
    Fault(
        "membership asks another index",
        33,
        "library",
        "wrong_query",
        code("messages.py", ('INDEX = "message-group-sk-index"', 'INDEX = "group-index"')),
        names=("require_member", "group-index"),
    ),
    Fault(
        "forgets to return",
        34,
        "library",
        "nothing_returned",
        library(RETURN.replace("return", "_ =")),
        names=("list_messages",),
    ),
    Fault(
        "drops a field",
        35,
        "library",
        "field_changed",
        code("messages.py", ('        "handle": item["user_handle"],\n', "")),
        names=("list_messages", "handle"),
    ),
    Fault(
        "renames a field",
        35,
        "library",
        "field_changed",
        code("messages.py", ('"created_at": item["sk"]', '"createdAt": item["sk"]')),
        names=("list_messages", "created_at"),
    ),
    Fault(
        "the sender's uuid",
        35,
        "library",
        "field_changed",
        library(RETURN.replace('item["message_uuid"]', 'item["user_uuid"]')),
        names=("list_messages", "uuid"),
    ),
    Fault(
        "sorts by name",
        36,
        "library",
        "reordered",
        library(RETURN.replace("reversed(items)", 'sorted(items, key=lambda i: i["message"])')),
        names=("list_messages",),
    ),
    Fault(
        "does not reverse",
        36,
        "library",
        "reordered",
        library(RETURN.replace("reversed(items)", "items")),
        names=("list_messages",),
    ),
    Fault(
        "reads another table", 37, "library", "wrong_query", older_copy, changed=absent, names=("cruddur-messages-old",)
    ),
    Fault(
        "fails",
        34,
        "library",
        "error",
        library("    raise TypeError(\"'NoneType' object is not subscriptable\")"),
        names=("list_messages", "TypeError"),
    ),
    Fault(
        "loses the last ones",
        35,
        "library",
        "items_lost",
        library(RETURN.replace("reversed(items)", "reversed(items[5:])")),
        names=("list_messages", "newest 5"),
    ),
    Fault(
        "never ends", 34, "library", "timed_out", library("    time.sleep(3600)\n" + RETURN), names=("list_messages",)
    ),
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
        names=("404",),
    ),
    Fault(
        "route takes the handle, empty",
        38,
        "http",
        "items_lost",
        route(FOUND.replace("=group,", '=me["handle"],'), FOUND),
        names=("0 of",),
    ),
    Fault("error answered as success", 39, "http", "status", route(SWALLOWED), names=("200",)),
    Fault(
        "error answered as nothing", 39, "http", "status", route("    return Response(status_code=200)"), names=("200",)
    ),
    Fault(
        "no member check",
        40,
        "http",
        "open_to_strangers",
        code("app.py", ('    messages.require_member(message_group_uuid=group, user_uuid=me["uuid"])\n', "")),
        names=("not a member",),
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
        names=("token",),
    ),
    Fault(
        "errors without CORS headers",
        41,
        "http",
        "cors",
        code("web.py", BARE_ERRORS),
        names=("Access-Control-Allow-Origin",),
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
        names=("Access-Control-Allow-Origin",),
    ),  # type: ignore[func-returns-value]
    Fault(
        "token counts as expired",
        42,
        "http",
        "not_authorised",
        code(
            "auth.py", ('    return str(claims["sub"])', '    raise jwt.ExpiredSignatureError("Signature has expired")')
        ),
        names=("401", "expired"),
    ),
    Fault(
        "500 behind the library", 39, "http", "status", route('    raise KeyError("cursor")'), names=("500", "KeyError")
    ),
    Fault(
        "HTML",
        39,
        "http",
        "not_json",
        route('    return Response("<html><body>Welcome</body></html>", media_type="text/html")'),
        names=("text/html",),
    ),
    Fault("wrapped", 35, "http", "body_changed", route('    return {"data": found}'), names=("data",)),
    Fault(
        "renamed in the route",
        35,
        "http",
        "body_changed",
        route(PAGE.replace("return page", 'return [{**line, "message": line["message"][:10]} for line in page]')),
        names=("message",),
    ),
    Fault("page without a next one", 30, "http", "items_lost", route("    return found[-limit:]"), names=("Link",)),
    Fault(
        "reversed in the route",
        36,
        "http",
        "body_changed",
        route(PAGE.replace("return page", "return page[::-1]")),
        names=("revers",),
    ),
    Fault("hangs", 39, "http", "timed_out", route("    import time\n    time.sleep(3600)")),
)

FAULTS = (*STORED, *SERVED)
