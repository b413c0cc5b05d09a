"""Query both stores: SQL, table scans, PartiQL. Read-only unless writing is requested."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import islice
from typing import Any, NoReturn

from devenv.core.errors import DevenvError, Exit, StoreError, UsageError
from devenv.core.late import late
from devenv.core.model import Report
from devenv.core.plural import number_of
from devenv.core.portable import portable
from devenv.stack import Stack
from devenv.stores.dynamodb.client import Dynamo, plain, read_only, verb
from devenv.stores.dynamodb.key_schema import place_of
from devenv.stores.dynamodb.partiql import Amount, UnreadableStatement, amount_of, parse, statement_hint

START_HINT = "devenv up"
# With a list of attributes, DynamoDB Local fails on this order; DynamoDB does not.
DESCENDING = late(r"\bORDER\s+BY\b[^']*\bDESC\b", re.IGNORECASE)
NEWEST = (
    "DynamoDB Local cannot sort in descending order if SELECT names attributes: write SELECT *, or use devenv ddb query"
    " … --newest"
)
# A statement that somebody typed and waits for may take longer than one of a file.
TYPED_S = 30.0


def open_shell(stack: Stack, write: bool) -> NoReturn:
    """Become psql, connected to the project's database. DevenvError (10) when there is no psql."""
    from devenv.engines.embedded.postgres import find_binaries

    if write:
        stack.engine.permit(None)
    elif not stack.engine.starts:
        # A shell cannot be kept from BEGIN READ WRITE.
        try:
            stack.engine.permit(None)
        except UsageError as error:
            raise UsageError(
                "an SQL shell could write to that store, so it was not opened",
                detail=error.what,
                hint='pass one statement instead: devenv db "select 1"',
            ) from None
    try:
        packaged = find_binaries(stack.settings.postgres.source, stack.engine.cache, None).program("psql")
    except DevenvError:
        # Without an own PostgreSQL, on another engine: the system's psql does.
        packaged = ""
    program = packaged if os.path.exists(packaged) else shutil.which("psql")
    if program is None:
        raise DevenvError(
            "there is no psql on this machine",
            exit_code=Exit.MISSING,
            hint='pass one statement instead: devenv db "select 1"',
        )
    target = stack.postgres()
    own = {name: value for name, value in stack.environ.items() if not name.startswith("PG")}
    environment = {**own, **stack.environment()}
    if not write:
        if stack.engine.starts:
            from devenv.stores.postgres.reader import as_reader

            reader = as_reader(target)
            environment |= {"PGUSER": reader.user, "PGPASSWORD": reader.password}
        environment["PGOPTIONS"] = "-c default_transaction_read_only=on"
        sys.stderr.write("read-only; devenv db --write allows changes\n")
    sys.stdout.flush()
    # It looks for its own folder by this name, which is not on PATH where the package has it.
    os.execve(program, [program, "--set=PROMPT1=%/%R%# ", "-P", "expanded=auto"], environment)  # noqa: S606


def run_sql(stack: Stack, sql: str, write: bool) -> Report:
    """One SQL statement against the project's database; its rows, or how many it changed."""
    from devenv.stores.postgres import client as postgres
    from devenv.stores.postgres.loader import as_writer
    from devenv.stores.postgres.reader import READ_ONLY, asking

    if write:
        stack.engine.permit(None)
    target = stack.postgres()
    try:
        if write:
            answer = postgres.write(as_writer(target), sql)
        else:
            with asking(target, limit_s=TYPED_S) as each:
                answer = each.ask(sql, as_text=True)
    except StoreError as error:
        hint = START_HINT if not error.reached else sql_hint(error, write)
        if error.code == READ_ONLY and not write:
            # Refused before anything was written: a mistake in what was typed.
            raise UsageError(error.what, detail=error.detail, hint=hint) from None
        raise error.with_hint(hint) from None
    summary = f"({number_of(len(answer.rows), 'row')})" if answer.columns else answer.status
    return rows_report(stack, "db", answer.columns, answer.rows, summary)


def sql_hint(error: StoreError, write: bool) -> str:
    """The next command after a refused statement, in a shell that may do as much (`write`)."""
    shell = "devenv db --write" if write else "devenv db"
    if "multiple commands" in f"{error.what} {error.detail}":
        return f"{shell}  (opens a shell, which accepts several statements; without the shell, pass one at a time)"
    hints = {
        "25006": 'devenv db --write "…"',
        "42501": 'devenv db --write "…"',
        "57014": 'devenv db --write "…"  (has no limit)',
        "3D000": START_HINT,
        "42P01": 'devenv db "select * from information_schema.tables"',
    }
    return hints.get(error.code or "", f"{shell}  (opens a shell, in which you can try statements)")


def list_tables(stack: Stack) -> Report:
    """Every table with its keys, indexes and DynamoDB's own count (an estimate, on AWS)."""
    rows = []
    with opened(stack) as dynamodb:
        for page in dynamodb.pages("ListTables", {}):
            for name in page["TableNames"]:
                table = dynamodb.call("DescribeTable", {"TableName": name})["Table"]
                indexes = [
                    i["IndexName"] for kind in ("Global", "Local") for i in table.get(f"{kind}SecondaryIndexes", [])
                ]
                keys = ", ".join(key["AttributeName"] for key in table["KeySchema"])
                rows.append([name, keys, ", ".join(indexes), table["ItemCount"], table["TableStatus"]])
    return rows_report(stack, "ddb", ["table", "keys", "indexes", "items", "status"], rows, count(rows, "table"))


def scan(stack: Stack, table: str, limit: int) -> Report:
    """The first `limit` items of a table, in the table's own order."""
    with opened(stack) as dynamodb:
        first = names_of(dynamodb.call("DescribeTable", {"TableName": table})["Table"])
        items = list(islice(dynamodb.scan(table), limit + 1))
    more = f"; there are more: --limit {limit * 10}" if len(items) > limit else ""
    return items_report(stack, items[:limit], more, first=first)


def key_names(dynamodb: Dynamo, statement: str) -> list[str]:
    """The keys of the table that a SELECT reads; none where it cannot be told."""
    try:
        return names_of(dynamodb.call("DescribeTable", {"TableName": parse(statement).table})["Table"])
    except (UnreadableStatement, StoreError):
        return []


def names_of(described: Mapping[str, Any]) -> list[str]:
    """The key attributes of a table, partition key first."""
    return [key["AttributeName"] for key in sorted(described["KeySchema"], key=lambda key: key["KeyType"] != "HASH")]


def run_partiql(
    stack: Stack, statement: str, write: bool, limit: int, scan: bool = False, dry_run: bool = False
) -> Report:
    """One PartiQL statement; the first `limit` items of its answer, and what it amounts to.

    UsageError for a SELECT that reads a whole table, unless `scan`. `dry_run` only tells what it amounts to.
    """
    if not write and verb(statement) != "SELECT":
        raise UsageError("only SELECT is allowed without --write", hint='devenv ddb sql --write "…"')
    if write:
        stack.engine.permit(None)
    items: list[Mapping[str, Any]] = []
    body: dict[str, Any] = {"Statement": statement, "ReturnConsumedCapacity": "TOTAL"}
    pages = 0
    units: float | None = None
    with opened(stack, write=write) as dynamodb:
        amount = judge_statement(dynamodb, statement, scan or dry_run) if verb(statement) == "SELECT" else None
        first = [] if amount is None or dry_run else key_names(dynamodb, statement)
        while len(items) <= limit and not dry_run:
            answer = ask(dynamodb, body)
            pages += 1
            if capacity := answer.get("ConsumedCapacity"):
                units = (units or 0.0) + float(capacity["CapacityUnits"])
            items += answer.get("Items", [])
            if not answer.get("NextToken"):
                break
            body["NextToken"] = answer["NextToken"]
    if not items and amount is None:
        return rows_report(stack, "ddb", [], [], "not run" if dry_run else "done")
    more = f"; there are more: --limit {limit * 10}" if len(items) > limit else ""
    report = items_report(stack, items[:limit], more, first=first)
    told = {"amounts_to": None if amount is None else asdict(amount), "requests": pages, "read_units_local": units}
    notes = [] if amount is None else [f"amounts to {amount_words(amount)}"]
    summary = {"summary": "not run"} if dry_run else {}
    return replace(report, body={**report.body, **told, **summary, "notes": notes})


def ask(dynamodb: Dynamo, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Run one statement. StoreError, with what to write instead where that is known."""
    try:
        return dynamodb.call("ExecuteStatement", body)
    except StoreError as error:
        if error.code == "InternalFailure" and DESCENDING.search(body["Statement"]):
            error.with_hint(NEWEST)
        if error.reached and (hint := statement_hint(body["Statement"])):
            error.with_hint(hint)
        raise


def judge_statement(
    dynamodb: Dynamo,
    statement: str,
    scan: bool,
    describe: Callable[[str, str], Mapping[str, Any]] | None = None,
) -> Amount:
    """Return what a SELECT amounts to. UsageError when that is a Scan and it was not asked for (`scan`).

    `describe` (of a table, for an index) takes the place of DescribeTable.
    What cannot be read is shown to DynamoDB with a limit of one item, for its own words about it; then it is refused.
    """
    try:
        select = parse(statement)
    except UnreadableStatement as error:
        if not scan:
            ask(dynamodb, {"Statement": statement, "Limit": 1})
            raise UsageError(
                "this statement may read a whole table, so it was not run",
                detail=f"devenv cannot determine its operation: {error}",
                hint=statement_hint(statement) or 'devenv ddb sql --scan "…"',
            ) from None
        return Amount("Scan", f"devenv cannot determine its operation: {error}")
    if describe is None:
        table = dynamodb.call("DescribeTable", {"TableName": select.table})["Table"]
    else:
        table = describe(select.table, select.index or "")
    place = place_of(table, select.index)
    if place is None:
        raise UsageError(f"table {select.table} has no index {select.index}", hint="devenv ddb list-tables")
    amount = amount_of(select, place)
    if amount.operation == "Scan" and not scan:
        raise UsageError(
            "this statement reads a whole table (a Scan), so it was not run",
            detail=f"{amount.reason}; only `{place.hash} = …` or `{place.hash} IN […]` leads to a Query",
            hint=statement_hint(statement) or 'devenv ddb sql --scan "…"',
        )
    return amount


def amount_words(amount: Amount) -> str:
    what = {"GetItem": "key", "Query": "partition"}.get(amount.operation)
    of = "" if what is None or amount.reads is None else f" of {number_of(amount.reads, what)}"
    text = f"a {amount.operation}{of}: {amount.reason}"
    if amount.narrowed and amount.operation == "Query":
        text += ", and narrows the sort key"
    if amount.filtered and amount.operation != "Scan":
        text += f"; {', '.join(amount.filtered)} only filter{'s' if len(amount.filtered) == 1 else ''} what was read"
    return text


class opened:
    """The project's DynamoDB for a `with` block, for reading unless `write`; its errors get the next command."""

    def __init__(self, stack: Stack, *, write: bool = False) -> None:
        target = stack.dynamodb()
        self._dynamodb = Dynamo(target if write else read_only(target))

    def __enter__(self) -> Dynamo:
        return self._dynamodb

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._dynamodb.close()
        if isinstance(error, StoreError):
            error.with_hint(ddb_hint(error) if error.reached else START_HINT)


def ddb_hint(error: StoreError) -> str:
    """The next command after a refused request. PartiQL takes a hyphen for a minus unless the name is quoted."""
    if error.code == "ValidationException" and "ExecuteStatement" in error.what:
        return (
            """quote table names: devenv ddb sql 'SELECT * FROM "my-table"'; there is no count(*) or join in PartiQL"""
        )
    return "devenv ddb list-tables"


def items_report(stack: Stack, items: Sequence[Mapping[str, Any]], more: str, *, first: Sequence[str] = ()) -> Report:
    """Items as rows: every attribute that occurs is a column, those of `first` (the keys) before the others.

    Rows are for reading: a missing attribute is null in them, as NULL is. `items` has them in DynamoDB's own JSON.
    """
    found = dict.fromkeys(name for item in items for name in item)
    columns = [name for name in first if name in found] + [name for name in found if name not in first]
    values = map(plain, items)
    rows = [[item.get(name) for name in columns] for item in values]
    report = rows_report(stack, "ddb", columns, rows, count(rows, "item") + more, fractions=True)
    return replace(report, body={**report.body, "items": list(items)})


def count(rows: Sequence[object], noun: str) -> str:
    """`(1 item)`, `(2 items)`."""
    return f"({number_of(len(rows), noun)})"


def rows_report(
    stack: Stack,
    command: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    summary: str,
    *,
    fractions: bool = False,
) -> Report:
    """A report of rows, with values that JSON can carry."""
    carried = [[portable(value, fractions=fractions) for value in row] for row in rows]
    body = {"columns": list(columns), "rows": carried, "summary": summary}
    return Report(command, stack.settings.project.name, Exit.DONE, body)
