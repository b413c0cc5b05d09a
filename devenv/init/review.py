"""What is wrong, or will be, in the queries that were found: seen in the code alone, with its file and line. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from devenv.init.code import Code, Query

UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
YEAR = re.compile(r"\byear\b|\bnow\b|\btoday\b|^20\d\d\b", re.IGNORECASE)


def review(code: Iterable[Code]) -> list[str]:
    """Sentences, each beginning with `file:line`. Of scripts a hard-coded id is no fault: they are for trying out."""
    return [
        f"{query.function.file}:{query.line}: {text}"
        for each in code
        for query in each.queries
        for text in faults(query)
    ]


def faults(query: Query) -> Iterator[str]:
    """What is wrong with one query."""
    for name in query.unset:
        yield f"the expression uses {name}, which has no value: DynamoDB refuses the query"
    if query.limit and not query.pages and query.operation == "Query":
        yield f"Limit {query.limit} without a further page: the list ends after {query.limit} items"
    if query.narrowed and query.narrowed_by and YEAR.search(query.narrowed_by):
        yield f"begins_with({query.narrowed}, {query.narrowed_by}) follows the clock: older items are never read"
    if query.function.name:
        for attribute, template in query.key.items():
            if UUID.search(template):
                yield f"the id in {attribute} is written into the code"
