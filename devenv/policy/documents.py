"""Policy documents: the record of a policy, and the parts that several policies share.

Decided by AWS's documentation (Service Authorization Reference, Actions for DynamoDB):
- What deletes a table is DeleteTable, and DeleteTableReplica where it is a replica; DeleteBackup takes away what one
  would restore it from. UpdateTable has no condition key for deletion protection, so it could only be denied as a
  whole, which also stops new indexes. It need not be: whoever removed the protection is still denied DeleteTable.
  `lock` denies it, with the other calls that undo protection (UpdateContinuousBackups, UpdateTimeToLive).
- An explicit Deny wins over every Allow, so that `*` for account and region makes it stronger. An Allow names both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from devenv.config.schema import Settings
from devenv.core.errors import UsageError
from devenv.policy.wish import ANY, Wish

VERSION: Final = "2012-10-17"
DELETION: Final = ("dynamodb:DeleteTable", "dynamodb:DeleteTableReplica")
BACKUPS: Final = ("dynamodb:DeleteBackup",)
UNDOING: Final = ("dynamodb:UpdateTable", "dynamodb:UpdateContinuousBackups", "dynamodb:UpdateTimeToLive")
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
    "dynamodb:ConditionCheckItem",
)
PARTIQL_WRITES: Final = ("dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate", "dynamodb:PartiQLDelete")
# What an application does with items. DescribeTable tells it how a table is made, and changes nothing.
ITEMS: Final = (*READS, *WRITES, *PARTIQL_WRITES, "dynamodb:DescribeTable")


@dataclass(frozen=True)
class Policy:
    """One document, what it is, where it is attached, and what it does not do. `explain` is two sentences."""

    name: str
    kind: str
    title: str
    explain: str
    document: Any
    attach: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PolicySource:
    """The source of the policies. `tables` are the declared CreateTable requests by table name."""

    settings: Settings
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def hash_key(self, table: str, index: str | None) -> str | None:
        """The partition key of a table or an index; None when no definition says it."""
        request = self.tables.get(table, {})
        keyed = [request] if index is None else []
        for section in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
            keyed += [each for each in request.get(section) or () if each["IndexName"] == index]
        keys = [part for each in keyed for part in each.get("KeySchema", ()) if part["KeyType"] == "HASH"]
        return str(keys[0]["AttributeName"]) if keys else None


@dataclass(frozen=True)
class Maker:
    """One kind of policy. `limit`: the characters that AWS takes (None: no limit worth a check).

    `group`: the word that asks for it together with others. `make` raises UsageError for what must be given.
    """

    name: str
    make: Callable[[PolicySource, Wish], Policy]
    limit: int | None = None
    group: str | None = None


def denials(wish: Wish, account: str) -> Iterator[dict[str, Any]]:
    """The statements that deny the deletion of tables and backups, in every region."""
    tables = [arn for table in wish.tables for arn in table_arns(wish, table, account)]
    backups = [wish.arn(ANY, account, f"table/{table}/backup/*") for table in wish.tables]
    yield deny("DenyTableDeletion", DELETION, tables, wish.admins)
    yield deny("DenyBackupDeletion", BACKUPS, backups, wish.admins)
    if wish.lock:
        yield deny("DenyUndoingProtection", UNDOING, tables, wish.admins)


def table_arns(wish: Wish, table: str, account: str) -> tuple[str, str]:
    """A table and its indexes, in every region."""
    return wish.arn(ANY, account, f"table/{table}"), wish.arn(ANY, account, f"table/{table}/index/*")


def item_resources(wish: Wish) -> list[str]:
    """The tables and all their indexes, by full ARN in the regions."""
    return wish.in_regions(*(each for table in wish.tables for each in (f"table/{table}", f"table/{table}/index/*")))


def is_meant(table: str, tables: Sequence[str]) -> bool:
    """Return True for a declared table that the policies are about; the names in `tables` may have `*`."""
    return any(re.fullmatch(re.escape(name).replace(r"\*", ".*"), table) for name in tables)


def sid(resource: str) -> str:
    """A statement's id, of letters and digits only, as IAM wants it."""
    words = re.findall(r"[A-Za-z0-9]+", resource)
    return "Allow" + "".join(word[:1].upper() + word[1:] for word in words)


def deny(sid_: str, actions: Sequence[str], resources: Sequence[str], admins: Sequence[str]) -> dict[str, Any]:
    """A statement that denies, to all but the admins."""
    statement = {"Sid": sid_, "Effect": "Deny", "Action": list(actions), "Resource": list(resources)}
    condition = except_admins(admins)
    return {**statement, "Condition": condition} if condition else statement


def except_admins(admins: Sequence[str]) -> dict[str, Any]:
    """The condition that leaves these roles alone; empty without any."""
    return {"ArnNotLike": {"aws:PrincipalArn": list(admins)}} if admins else {}


def document(*statements: Mapping[str, Any]) -> dict[str, Any]:
    """A policy document."""
    return {"Version": VERSION, "Statement": list(statements)}


def characters(document: Any) -> int:
    """The length that AWS counts: without blanks between."""
    return len(json.dumps(document, separators=(",", ":")))


def check_size(policy: Policy, limit: int | None) -> None:
    """UsageError for a document that AWS would refuse."""
    if limit is not None and (size := characters(policy.document)) > limit:
        raise UsageError(
            f"the policy {policy.name} has {size} characters; AWS allows {limit}",
            hint="name fewer tables with --table, or a common prefix: --table 'shop-*'",
        )


def as_text(document: Any) -> str:
    """A document as a file holds it."""
    return json.dumps(document, indent=2) + "\n"
