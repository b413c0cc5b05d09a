"""Lists of objects that no client of DynamoDB gets: rows that an ORM inserts, and what a handler answers with. Pure."""

from __future__ import annotations

from typing import Final

from devenv.core.late import late
from devenv.init.javascript import JsScript

# Who writes items names the store, or hands an item to a function that puts it.
WRITES_ITEMS: Final = late(r"(?i:dynamo|\bddb|marshall)|\b[pP]ut\w*\(|\bItem\b|[bB]atchWrite|[tT]ransactWrite")
# Calls by which an ORM or a query builder inserts rows into Postgres.
INSERTS: Final = late(
    r"\bgetRepository\(|@InjectRepository\(|\b[Dd]ataSource\b|\bprisma\.\w+\.(?:create|upsert)|\.(?:bulkCreate|createMany)\("
    r"|\bqueryInterface\.bulkInsert\(|\bknex\("
)
# Routes, and functions behind a gateway, which answer.
ANSWERS: Final = late(
    r"\b(?:app|router|server|fastify)\.(?:get|post|use)\(|@(?:Controller|Get|Post)\(|\bstatusCode\b|\bNextResponse\b"
)


def has_plain_lists(text: str) -> bool:
    """Return True for a file whose lists of objects are rows or answers: it names no DynamoDB, and shows what else."""
    return not WRITES_ITEMS.search(text) and bool(INSERTS.search(text) or ANSWERS.search(text))


def is_in_list(script: JsScript, at: int) -> bool:
    """Return True if the brace at a token begins an element of a list."""
    around = [first for first, last in script.partners.items() if first < at < last]
    return bool(around) and script.word(max(around)) == "["
