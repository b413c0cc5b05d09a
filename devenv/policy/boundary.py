"""The policy `boundary`: the maximum permissions of both roles, whatever else is attached to them.

Decided by AWS's documentation (IAM, permissions boundaries; DynamoDB, encryption at rest):
- A boundary grants nothing: what a role may do is what both its policies and its boundary allow.
- With a key of the customer's, DynamoDB uses the key in the caller's name: the boundary must leave that possible, by
  way of DynamoDB only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from devenv.policy.documents import ITEMS, Maker, Policy, PolicySource, denials, document, item_resources
from devenv.policy.wish import ANY, Wish, require_place

KEY_USE: Final = ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*")


def boundary(project: PolicySource, wish: Wish) -> Policy:
    """Items of these tables and the application's log, and never an administration of tables."""
    account = require_place(wish, "a boundary for every account and region would limit almost nothing")
    statements: list[dict[str, Any]] = [
        {
            "Sid": "AllowItemsOfTheseTables",
            "Effect": "Allow",
            "Action": list(ITEMS),
            "Resource": item_resources(wish),
        },
        {
            "Sid": "AllowOwnLog",
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": [f"arn:{wish.partition}:logs:{region}:{account}:log-group:*" for region in wish.regions],
        },
    ]
    safety = project.settings.safety
    if safety is not None and safety.encryption_at_rest == "customer-managed":
        statements.append(
            {
                "Sid": "AllowKeyByDynamoDB",
                "Effect": "Allow",
                "Action": list(KEY_USE),
                "Resource": [f"arn:{wish.partition}:kms:{region}:{account}:key/*" for region in wish.regions],
                "Condition": {
                    "StringEquals": {"kms:ViaService": [f"dynamodb.{region}.amazonaws.com" for region in wish.regions]}
                },
            }
        )
    # Without exceptions: an administrator does not work as the application.
    statements += denials(replace(wish, admins=(), lock=True), ANY)
    return Policy(
        name="boundary",
        kind="permissions boundary",
        title="the most that the application and a person can have",
        explain=(
            "With this boundary, a role can at most read and write items of these tables and"
            " write its log. It cannot delete or change tables, or extend its own rights."
        ),
        document=document(*statements),
        attach="aws iam create-policy --policy-name tables-boundary --policy-document file://FILE",
        notes=(
            "it grants nothing: attach `application` to the application's role, `person` to a person's",
            "add the other services that the application uses (a queue, a bucket), or they are denied",
        ),
    )


MAKER: Final = Maker("boundary", boundary, limit=6144, group="roles")
