"""The input of the policies: tables, regions, account, and exempt roles."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from devenv.core.errors import UsageError

ANY: Final = "*"
Compute = Literal["ecs-tasks", "lambda", "ec2"]
ACCOUNT: Final = re.compile(r"\d{12}")
REGION: Final = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
TABLE: Final = re.compile(r"[A-Za-z0-9_.*-]{3,255}|\*")
# With a name of asterisks alone, everybody would be left alone.
PRINCIPAL: Final = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}|\*):(role|user)/(?=[/*]*[\w+=,.@-])[\w+=,.@/*-]+")
POOL: Final = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+:[0-9a-f-]{36}")


@dataclass(frozen=True)
class Wish:
    """The subject of the policies. `admins` are ARNs of roles that the denials leave alone.

    `account` None: not given. `writes`: the application writes too. `lock`: deny also what undoes protection.
    `compute`: the service that the application runs on. `pool`: the id of the Cognito identity pool.
    """

    tables: tuple[str, ...]
    regions: tuple[str, ...] = ()
    account: str | None = None
    admins: tuple[str, ...] = ()
    writes: bool = False
    lock: bool = False
    compute: Compute = "ecs-tasks"
    pool: str | None = None

    @property
    def partition(self) -> str:
        """`aws`, or that of China or of the US government where the regions are theirs."""
        first = self.regions[0] if self.regions else ""
        return "aws-cn" if first.startswith("cn-") else "aws-us-gov" if first.startswith("us-gov-") else "aws"

    def arn(self, region: str, account: str, resource: str) -> str:
        """The ARN of something of DynamoDB."""
        return f"arn:{self.partition}:dynamodb:{region}:{account}:{resource}"

    def in_regions(self, *resources: str) -> list[str]:
        """The full ARNs of things of DynamoDB, in every region. Call only with an account."""
        return [self.arn(region, self.account or ANY, each) for each in resources for region in self.regions]


def check_wish(wish: Wish) -> None:
    """UsageError for what cannot be a part of an ARN: a policy with a wrong one is accepted, and protects nothing."""
    if wish.account is not None and not ACCOUNT.fullmatch(wish.account):
        raise UsageError(
            f"{wish.account!r} is not an AWS account id", detail="it must be 12 digits", hint="--account 12 digits"
        )
    for value, form, what, hint in (
        *((region, REGION, "region", "--region eu-central-1") for region in wish.regions),
        *((table, TABLE, "table name", "devenv ddb list-tables") for table in wish.tables),
        *((each, PRINCIPAL, "ARN of a role", "--admin arn:aws:iam::123456789012:role/NAME") for each in wish.admins),
    ):
        if not form.fullmatch(value):
            raise UsageError(f"{value!r} is no {what}", hint=hint)
    if wish.pool is not None and not POOL.fullmatch(wish.pool):
        raise UsageError(f"{wish.pool!r} is not an identity pool id", hint="aws cognito-identity list-identity-pools")
    if not wish.tables:
        raise UsageError("there is no table to protect", hint="declare one in [steps.schema-load], or add --table NAME")


def require_place(wish: Wish, why: str) -> str:
    """The account. UsageError without it or without a region: an Allow must name both."""
    if wish.account is None or not wish.regions:
        raise UsageError(
            "this policy names the tables by their full ARN",
            detail=why,
            hint="add --account (12 digits) and --region NAME",
        )
    return wish.account
