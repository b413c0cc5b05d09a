"""IAM policy documents, read as far as the checks need: what a statement allows, and on which tables.

Conditions are left out of account: an Allow with one counts as an Allow, a Deny with one as none. Both err on the
side of a finding.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from devenv.aws.surroundings import Document, is_open

READS: Final = (
    "dynamodb:GetItem",
    "dynamodb:BatchGetItem",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:PartiQLSelect",
)
WRITES: Final = (
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PartiQLDelete",
)
ADMINISTRATION: Final = ("dynamodb:CreateTable", "dynamodb:UpdateTable", "dynamodb:DeleteTable")
TOUCHING: Final = (*READS, *WRITES, *ADMINISTRATION)
# AWS's own policies that allow items to be read or written; others that are not listed are not known.
GRANTING: Final = frozenset(
    [
        "AdministratorAccess",
        "PowerUserAccess",
        "ReadOnlyAccess",
        "DatabaseAdministrator",
        "SystemAdministrator",
        "AmazonDynamoDBFullAccess",
        "AmazonDynamoDBFullAccess_v2",
        "AmazonDynamoDBFullAccesswithDataPipeline",
        "AmazonDynamoDBReadOnlyAccess",
    ]
)
HARMLESS: Final = frozenset(["IAMUserChangePassword", "IAMSelfManageServiceSpecificCredentials", "Billing"])
ALLOW_ALL: Final[Document] = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def as_document(value: Any) -> Document | None:
    """A policy document of a mapping or a JSON text; None for anything else."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return value if isinstance(value, Mapping) and "Statement" in value else None


def statements(document: Document) -> Iterator[Mapping[str, Any]]:
    """The statements of a document, which may be one alone."""
    for each in as_list(document.get("Statement")):
        if isinstance(each, Mapping):
            yield each


def as_list(value: Any) -> Sequence[Any]:
    """A value that IAM lets stand alone or in a list, as a list."""
    return value if isinstance(value, list | tuple) else [] if value is None else [value]


def matches(pattern: str, text: str) -> bool:
    """Return True if an IAM pattern (`*`, `?`) matches the whole text, which may have `*` for what is not known."""
    if any(is_open(each) for each in (pattern, text)):
        return False
    return bool(wild(pattern).fullmatch(text)) or ("*" in text and arn_meets(pattern, text))


def wild(pattern: str) -> re.Pattern[str]:
    """An IAM pattern as a regular expression. Actions are compared without case."""
    return re.compile("".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern), re.IGNORECASE)


def arn_meets(pattern: str, arn: str) -> bool:
    """The same part by part, where a `*` alone in partition, region or account of either side meets anything."""
    left, right = pattern.split(":", 5), arn.split(":", 5)
    if left[-1] == "*":
        left += ["*"] * (6 - len(left))
    if len(left) < 6 or len(right) < 6:
        return False
    return all("*" in (a, b) or wild(a).fullmatch(b) for a, b in zip(left[:5], right[:5], strict=True)) and bool(
        wild(left[5]).fullmatch(right[5])
    )


def acts(statement: Mapping[str, Any], action: str) -> bool:
    if "NotAction" in statement:
        return not any(matches(str(each), action) for each in as_list(statement["NotAction"]))
    return any(matches(str(each), action) for each in as_list(statement.get("Action")))


def concerns(statement: Mapping[str, Any], arn: str) -> bool:
    """Return True if the statement is about the resource."""
    if "NotResource" in statement:
        return not any(matches(str(each), arn) for each in as_list(statement["NotResource"]))
    return any(matches(str(each), arn) for each in as_list(statement.get("Resource")))


def allowed(documents: Iterable[Document], actions: Iterable[str], arn: str) -> tuple[str, ...]:
    """The actions that the documents together allow on a resource."""
    every = [each for document in documents for each in statements(document)]
    found = []
    for action in actions:
        fitting = [each for each in every if acts(each, action) and concerns(each, arn)]
        denied = any(each.get("Effect") == "Deny" and not each.get("Condition") for each in fitting)
        if not denied and any(each.get("Effect") == "Allow" for each in fitting):
            found.append(action)
    return tuple(found)


def resources(document: Document, actions: Iterable[str]) -> Iterator[str]:
    """The resource patterns of Allow statements about any of the actions; `*` for what a NotResource leaves open."""
    wanted = tuple(actions)
    for each in statements(document):
        if each.get("Effect") == "Allow" and any(acts(each, action) for action in wanted):
            yield from ["*"] if "NotResource" in each else map(str, as_list(each.get("Resource")))


def table_of(pattern: str) -> str | None:
    """The table in a resource pattern, with its wildcards; None for what is no table's (`*`)."""
    _, found, rest = pattern.partition(":table/")
    return rest.split("/")[0] if found else None


def table_arn(table: str, region: str = "*", account: str = "*", partition: str = "*") -> str:
    return f"arn:{partition}:dynamodb:{region}:{account}:table/{table}"


def open_texts(value: Any) -> Iterator[str]:
    """Every text in a document that could not be worked out."""
    if isinstance(value, Mapping):
        for part in value.values():
            yield from open_texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from open_texts(part)
    elif is_open(value):
        yield value
