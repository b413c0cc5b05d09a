"""The policy `organisation`: actions denied to a whole organisation.

Decided by AWS's documentation (Organizations, SCP examples):
- aws:RequestedRegion is the region whose endpoint is called. Global services answer in us-east-1 wherever one is.
- Service control policies grant nothing, and bind neither the management account nor service-linked roles; the latter
  make replicas, so with one region allowed the request for a replica is denied itself.
"""

from __future__ import annotations

from typing import Final

from devenv.core.errors import UsageError
from devenv.policy.documents import Maker, Policy, PolicySource, denials, deny, document, except_admins, table_arns
from devenv.policy.wish import ANY, Wish

REPLICAS: Final = ("dynamodb:CreateTableReplica", "dynamodb:CreateGlobalTable", "dynamodb:UpdateGlobalTable")
CREATION: Final = (
    "dynamodb:CreateTable",
    "dynamodb:ImportTable",
    "dynamodb:RestoreTableFromBackup",
    "dynamodb:RestoreTableToPointInTime",
)
# Services with one endpoint for all regions, and calls that tools need before a region is chosen.
GLOBAL: Final = (
    "account:*",
    "aws-marketplace:*",
    "billing:*",
    "budgets:*",
    "ce:*",
    "cloudfront:*",
    "cur:*",
    "ec2:DescribeRegions",
    "globalaccelerator:*",
    "health:*",
    "iam:*",
    "networkmanager:*",
    "organizations:*",
    "pricing:*",
    "route53:*",
    "route53domains:*",
    "s3:GetAccountPublicAccessBlock",
    "s3:ListAllMyBuckets",
    "s3:PutAccountPublicAccessBlock",
    "shield:*",
    "sts:*",
    "support:*",
    "tag:GetResources",
    "trustedadvisor:*",
    "waf:*",
    "wellarchitected:*",
)
# Characters, without blanks, that AWS takes: of a service control policy, of a managed policy.


def organisation(_: PolicySource, wish: Wish) -> Policy:
    """Deny to a whole organisation: delete the tables, and work outside of the regions. UsageError without."""
    if not wish.regions:
        raise UsageError(
            "the organisation's policy needs the regions that the data may live in",
            hint='add --region NAME, or [safety] regions = ["…"] to devenv.toml',
        )
    statements = list(denials(wish, ANY))
    statements.append(
        {
            "Sid": "DenyOtherRegions",
            "Effect": "Deny",
            "NotAction": list(GLOBAL),
            "Resource": ANY,
            "Condition": {
                "StringNotEquals": {"aws:RequestedRegion": list(wish.regions)},
                **except_admins(wish.admins),
            },
        }
    )
    notes = [
        "it grants nothing: keep FullAWSAccess attached, too",
        "it binds neither the organisation's management account nor service-linked roles",
        "test it on one account first; add the global services that you use to NotAction",
    ]
    if len(wish.regions) == 1:
        statements.append(deny("DenyReplicas", REPLICAS, [ANY], wish.admins))
    else:
        notes.append(
            "replicas (global tables) are not denied, because DynamoDB itself makes them: choose listed regions only"
        )
    if wish.admins:
        tables = [arn for table in wish.tables for arn in table_arns(wish, table, ANY)]
        statements.append(deny("DenyTableCreation", CREATION, tables, wish.admins))
    else:
        notes.append("--admin ROLE_ARN: only that role may create and delete these tables")
    return Policy(
        name="organisation",
        kind="service control policy (AWS Organizations)",
        title=f"deny the deletion of tables, and every region but {', '.join(wish.regions)}",
        explain=(
            "No account of the organisation can delete the tables, nor use a service in a region that is not listed."
            " It grants nothing and does not bind the management account."
        ),
        document=document(*statements),
        attach="aws organizations create-policy --type SERVICE_CONTROL_POLICY --name protect-tables"
        " --description 'tables stay, in their regions' --content file://FILE",
        notes=tuple(notes),
    )


MAKER: Final = Maker("organisation", organisation, limit=5120)
