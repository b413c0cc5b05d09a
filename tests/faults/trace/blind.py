"""Faults written from the description of the trace alone, before its code was read."""

from __future__ import annotations

from tests.faults.trace.answers import plain, remembering, second_page
from tests.faults.trace.bench import Bench
from tests.faults.trace.breaks import PAGE, Answers, Fault, code, route
from tests.faults.trace.lookups import ALL, LOOKUP, looked_up, page
from tests.faults.trace.running import always

READS = "                return connection.execute(query, values).fetchall()"
LOCAL = """\
    from datetime import datetime, timedelta, timezone
    page = found[-limit:]
    if len(found) > limit:
        first = datetime.fromisoformat(page[0]["created_at"]).astimezone(timezone(timedelta(hours=2)))
        link_older(request, response, first.isoformat(timespec="microseconds"), limit)
    return page"""
LAST = PAGE.replace("if len(found) > limit:", "if len(found) > limit and before is None:")


def auditor(bench: Bench) -> None:
    """The code takes on a role that may read the handles and nothing else."""
    bench.sql("CREATE ROLE auditor")
    bench.sql("GRANT SELECT (handle) ON public.users TO auditor")
    bench.undo.append(lambda: (bench.sql("DROP OWNED BY auditor"), bench.sql("DROP ROLE auditor")))
    bench.patch("stores.py", (READS, f'                connection.execute("SET ROLE auditor")\n{READS}'))
    bench.restart()


def one_page_more(bench: Bench, before: Answers, after: Answers) -> bool:
    """Return True if the second page names no third one."""
    return not bench.ask(second_page(bench).partition("<")[2].partition(">")[0], "ines")["link"]


BLIND: tuple[Fault, ...] = (
    Fault(
        "a column of the lookup is misspelt",
        0,
        "library",
        "wrong_query",
        looked_up(LOOKUP.replace("cognito_user_id", "cognito_userid")),
        names=("find_by_sign_in", "cognito_userid"),
    ),
    Fault("a role that may not read a column", 0, "library", "wrong_query", auditor, names=("auditor", "users")),
    Fault(
        "the handle is taken for the display name",
        0,
        "library",
        "wrong_row",
        looked_up(LOOKUP.replace(" display_name FROM", " handle AS display_name FROM")),
        changed=always,
        names=("find_by_sign_in", "display_name"),
    ),
    Fault(
        "only those who joined later are found",
        0,
        "library",
        "wrong_row",
        looked_up(f"{LOOKUP} AND created_at > now()"),
        names=("find_by_sign_in", "created_at > now()"),
    ),
    Fault(
        "the second page says that it is the last",
        0,
        "http",
        "items_lost",
        route(LAST),
        changed=one_page_more,
        names=("Link", "page 2"),
    ),
    Fault(
        "the cursor is a local time",
        0,
        "http",
        "cursor",
        remembering(route(LOCAL)),
        changed=always,
        names=("before", "+02:00"),
    ),
    page(
        "a page is fifty at most",
        "limit = limit and min(limit, 50)",
        ALL,
        names=("list_messages", "limit", "51"),
    ),
    Fault("the body is cut", 0, "http", "not_json", plain("body[: len(body) // 2]"), names=("JSON",)),
    Fault(
        "a request without a token is sent to a login page",
        0,
        "http",
        "status",
        code(
            "app.py",
            (
                '    raise HTTPException(401, reason, {"WWW-Authenticate": "Bearer"})',
                '    raise HTTPException(302, reason, {"Location": "/login"})',
            ),
        ),
        names=("302", "token"),
    ),
)
