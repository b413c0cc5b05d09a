"""Faults of the running process: what it keeps between requests, and what a request changes by being sent."""

from __future__ import annotations

from tests.faults.trace.bench import GROUP, Bench
from tests.faults.trace.breaks import Answers, Fault, code

NEWEST = "def newest("
LISTED = "    found = messages.list_messages("
MOVES = """\
    for row in messages.group_rows(group):
        if row["pk"]["S"] == f"GRP#{me['uuid']}":
            at = messages.datetime.now(messages.UTC).isoformat(timespec="microseconds")
            moved = messages.put({**row, "sk": {"S": at}})
            stores.dynamodb().transact_write_items(TransactItems=[messages.delete(row), moved])
"""
RENAMES = """\
    with stores.postgres() as connection:
        query = "UPDATE public.users SET display_name = md5(random()::text) WHERE uuid = %s"
        connection.execute(query, [me["uuid"]])
"""
SETTLES = """\
    with stores.postgres() as connection:
        connection.execute("UPDATE public.users SET display_name = upper(handle) WHERE uuid = %s", [me["uuid"]])
"""


def always(bench: Bench, before: Answers, after: Answers) -> bool:
    """What is wrong does not show in an answer to this request alone."""
    return True


def kept_answer(bench: Bench) -> None:
    """The process keeps what it read, and a message is sent right before the trace."""
    code("messages.py", (NEWEST, f"@functools.cache\n{NEWEST}"))(bench)
    bench.ask(f"/api/messages/{GROUP}", "ines")
    sent = bench.ask("/api/messages", "rafael", {"message_group_uuid": GROUP, "message": "a moment ago"})
    assert sent["status"] == 200, sent


def settled_write(bench: Bench) -> None:
    """The first request makes the copies old; the later ones, the trace's own too, write what is there already."""
    code("app.py", (LISTED, SETTLES + LISTED))(bench)
    bench.ask(f"/api/messages/{GROUP}", "ines")


def first(name: str, lines: str, *names: str) -> Fault:
    """A write before the route answers."""
    inject = code("app.py", (LISTED, lines + LISTED))
    return Fault(name, 44, "http", "request_writes", inject, changed=always, names=names)


RUNNING: tuple[Fault, ...] = (
    Fault("an answer is kept", 43, "http", "items_lost", kept_answer, changed=always, names=("newest",)),
    first("reading moves a group row", MOVES, "GRP#", "sk"),
    first("reading renames the reader", RENAMES, "users", "display_name"),
    Fault(
        "reading writes what is there",
        44,
        "http",
        "request_writes",
        settled_write,
        changed=always,
        names=("users", "display_name"),
    ),
)
