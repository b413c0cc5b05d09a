"""`devenv policy`: policies that keep tables from being deleted, data in its regions, and a role to its work.

Three documents, from the declared tables and access patterns. Nothing is sent to AWS.

Decided by AWS's documentation (Service Authorization Reference, Actions for DynamoDB; Organizations, SCP examples):
- What deletes a table is DeleteTable, and DeleteTableReplica where it is a replica; DeleteBackup takes away what one
  would restore it from. UpdateTable has no condition key for deletion protection, so it could only be denied as a
  whole, which also stops new indexes. It need not be: who has taken the protection away still is denied DeleteTable.
  `lock` denies it, with the other calls that undo protection (UpdateContinuousBackups, UpdateTimeToLive).
- An explicit Deny wins over every Allow, so that `*` for account and region makes it stronger. An Allow names both.
- aws:RequestedRegion is the region whose endpoint is called. Global services answer in us-east-1 wherever one is.
- Service control policies grant nothing, and bind neither the management account nor service-linked roles; the latter
  make replicas, so with one region allowed the request for a replica is denied itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from devenv.config.schema import Loaded, Pattern, Settings
from devenv.core.errors import Exit, UsageError
from devenv.core.model import Report
from devenv.host.state import write_out

Name = Literal["deny-deletion", "organisation", "application"]
NAMES: Final[tuple[Name, ...]] = ("deny-deletion", "organisation", "application")
VERSION: Final = "2012-10-17"
ANY: Final = "*"
DELETION: Final = ("dynamodb:DeleteTable", "dynamodb:DeleteTableReplica")
BACKUPS: Final = ("dynamodb:DeleteBackup",)
UNDOING: Final = ("dynamodb:UpdateTable", "dynamodb:UpdateContinuousBackups", "dynamodb:UpdateTimeToLive")
REPLICAS: Final = ("dynamodb:CreateTableReplica", "dynamodb:CreateGlobalTable", "dynamodb:UpdateGlobalTable")
CREATION: Final = (
    "dynamodb:CreateTable",
    "dynamodb:ImportTable",
    "dynamodb:RestoreTableFromBackup",
    "dynamodb:RestoreTableToPointInTime",
)
WRITES: Final = (
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
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
MOST: Final[Mapping[Name, int]] = {"deny-deletion": 6144, "organisation": 5120, "application": 6144}
ACCOUNT: Final = re.compile(r"\d{12}")
REGION: Final = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
TABLE: Final = re.compile(r"[A-Za-z0-9_.*-]{3,255}|\*")
# With a name of asterisks alone, everybody would be left alone.
PRINCIPAL: Final = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}|\*):(role|user)/(?=[/*]*[\w+=,.@-])[\w+=,.@/*-]+")


@dataclass(frozen=True)
class Wish:
    """What the policies are about. `admins` are ARNs of roles that the denials leave alone.

    `account` None: not given. `writes`: the application writes too. `lock`: deny also what undoes protection.
    """

    tables: tuple[str, ...]
    regions: tuple[str, ...] = ()
    account: str | None = None
    admins: tuple[str, ...] = ()
    writes: bool = False
    lock: bool = False

    @property
    def partition(self) -> str:
        """`aws`, or that of China or of the US government where the regions are theirs."""
        first = self.regions[0] if self.regions else ""
        return "aws-cn" if first.startswith("cn-") else "aws-us-gov" if first.startswith("us-gov-") else "aws"

    def arn(self, region: str, account: str, resource: str) -> str:
        """The ARN of something of DynamoDB."""
        return f"arn:{self.partition}:dynamodb:{region}:{account}:{resource}"


@dataclass(frozen=True)
class Policy:
    """One document, what it is, where it is attached, and what it does not do."""

    name: Name
    kind: str
    title: str
    document: Mapping[str, Any]
    attach: str
    notes: tuple[str, ...] = ()


def make_report(loaded: Loaded, wish: Wish, only: str | None) -> Report:
    """The policies of this project. UsageError when the one that was asked for cannot be made."""
    check_wish(wish)
    if only is not None and only not in NAMES:
        raise UsageError(f"there is no policy {only!r}", hint=f"one of: {', '.join(NAMES)}")
    made: list[Policy] = []
    missing: list[dict[str, str]] = []
    for name in NAMES if only is None else [n for n in NAMES if n == only]:
        try:
            policy = make(name, loaded.settings, wish)
            check_size(policy)
            made.append(policy)
        except UsageError as error:
            if only is not None:
                raise
            missing.append({"name": name, "reason": error.what, "hint": error.hint or ""})
    body = {
        "policies": [
            {
                "name": policy.name,
                "kind": policy.kind,
                "title": policy.title,
                "attach": policy.attach,
                "notes": list(policy.notes),
                "characters": characters(policy.document),
                "document": policy.document,
            }
            for policy in made
        ],
        "missing": missing,
        "written": [],
    }
    return Report("policy", loaded.settings.project.name, Exit.DONE, body)


def make(name: Name, settings: Settings, wish: Wish) -> Policy:
    """One policy. UsageError names what must be given for it."""
    if name == "deny-deletion":
        return deny_deletion(wish)
    if name == "organisation":
        return organisation(wish)
    return application(settings.patterns, wish)


def check_wish(wish: Wish) -> None:
    """UsageError for what cannot be a part of an ARN: a policy with a wrong one is accepted, and protects nothing."""
    if wish.account is not None and not ACCOUNT.fullmatch(wish.account):
        raise UsageError(
            f"{wish.account!r} is no AWS account", detail="it must be 12 digits", hint="--account 12 digits"
        )
    for value, form, what, hint in (
        *((region, REGION, "region", "--region eu-central-1") for region in wish.regions),
        *((table, TABLE, "table name", "devenv ddb list-tables") for table in wish.tables),
        *((each, PRINCIPAL, "ARN of a role", "--admin arn:aws:iam::123456789012:role/NAME") for each in wish.admins),
    ):
        if not form.fullmatch(value):
            raise UsageError(f"{value!r} is no {what}", hint=hint)
    if not wish.tables:
        raise UsageError("there is no table to protect", hint="declare one in [steps.schema-load], or add --table NAME")


def declared_tables(loaded: Loaded) -> tuple[str, ...]:
    """Every table that the steps' files, the entities or the patterns name."""
    from devenv.steps.registry import STEPS

    (schema_load,) = [step for step in STEPS if step.name == "schema-load"]
    definitions = schema_load.read(loaded.settings, loaded.root).content or ()
    settings = loaded.settings
    named = [definition.table for definition in definitions]
    named += [entity.table for entity in settings.entities.values()]
    named += [pattern.table for pattern in settings.patterns.values() if pattern.table]
    return tuple(dict.fromkeys(named))


def deny_deletion(wish: Wish) -> Policy:
    """What keeps an identity from deleting the tables, whatever else it may do."""
    account = wish.account or ANY
    notes = ["a Deny wins over every Allow; attach it to groups and roles, not to single users"]
    if not wish.lock:
        notes.append(
            "UpdateTable stays possible (no condition key tells what it changes): deletion protection can be taken"
            " away, DeleteTable is denied all the same; --lock denies it too"
        )
    if wish.account is None:
        notes.append("without --account it holds for the tables of this name in every account")
    return Policy(
        name="deny-deletion",
        kind="identity-based policy, or permissions boundary",
        title="deny the deletion of tables and backups",
        document=document(*denials(wish, account)),
        attach="aws iam create-policy --policy-name deny-table-deletion --policy-document file://FILE",
        notes=tuple(notes),
    )


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


def organisation(wish: Wish) -> Policy:
    """What a whole organisation may not do: delete the tables, and work outside of the regions. UsageError without."""
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
        "it grants nothing: FullAWSAccess stays attached beside it",
        "it binds neither the organisation's management account nor service-linked roles",
        "try it on one account first; add the global services that you use to NotAction",
    ]
    if len(wish.regions) == 1:
        statements.append(deny("DenyReplicas", REPLICAS, [ANY], wish.admins))
    else:
        notes.append("replicas (global tables) may be made; DynamoDB itself makes them, so keep to the listed regions")
    if wish.admins:
        tables = [arn for table in wish.tables for arn in table_arns(wish, table, ANY)]
        statements.append(deny("DenyTableCreation", CREATION, tables, wish.admins))
    else:
        notes.append("--admin ROLE_ARN: only that role may create and delete these tables")
    return Policy(
        name="organisation",
        kind="service control policy (AWS Organizations)",
        title=f"deny the deletion of tables, and every region but {', '.join(wish.regions)}",
        document=document(*statements),
        attach="aws organizations create-policy --type SERVICE_CONTROL_POLICY --name protect-tables"
        " --description 'tables stay, in their regions' --content file://FILE",
        notes=tuple(notes),
    )


def application(patterns: Mapping[str, Pattern], wish: Wish) -> Policy:
    """The least that the application's role needs for the declared patterns. UsageError when it cannot be said."""
    if wish.account is None or not wish.regions:
        raise UsageError(
            "the application's policy names the tables by their full ARN",
            detail="an Allow for every account and region would be more than the application needs",
            hint="add --account (12 digits) and --region NAME",
        )
    wanted: dict[str, dict[str, None]] = {}
    for pattern in patterns.values():
        if pattern.table is None or not is_meant(pattern.table, wish.tables):
            continue
        resource = f"table/{pattern.table}" + (f"/index/{pattern.index}" if pattern.index else "")
        wanted.setdefault(resource, {})[f"dynamodb:{pattern.kind}"] = None
    if not wanted:
        raise UsageError(
            "no access pattern reads these tables, so what the application needs is not known",
            hint="declare [patterns.NAME] in devenv.toml",
        )
    if wish.writes:
        for table in dict.fromkeys(resource.split("/")[1] for resource in wanted):
            wanted.setdefault(f"table/{table}", {}).update(dict.fromkeys(WRITES))
    statements = [
        {
            "Sid": f"{sid(resource)}{number}",
            "Effect": "Allow",
            "Action": list(actions),
            "Resource": [wish.arn(region, wish.account, resource) for region in wish.regions],
        }
        for number, (resource, actions) in enumerate(wanted.items(), 1)
    ]
    notes = ["attach it to the role that the application runs as (an instance's, a task's, a function's), to no user"]
    if not wish.writes:
        notes.append("patterns declare what is read; --writes allows the application to write items too")
    return Policy(
        name="application",
        kind="identity-based policy of a role",
        title="allow what the declared access patterns need, and no more",
        document=document(*statements),
        attach="aws iam put-role-policy --role-name ROLE --policy-name tables --policy-document file://FILE",
        notes=tuple(notes),
    )


def is_meant(table: str, tables: Sequence[str]) -> bool:
    """Whether a declared table is one of those that the policies are about, which may have `*` in their names."""
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


def characters(document: Mapping[str, Any]) -> int:
    """The length that AWS counts: without blanks between."""
    return len(json.dumps(document, separators=(",", ":")))


def check_size(policy: Policy) -> None:
    """UsageError for a document that AWS would refuse."""
    if (size := characters(policy.document)) > MOST[policy.name]:
        raise UsageError(
            f"the policy {policy.name} has {size} characters, AWS takes {MOST[policy.name]}",
            hint="name fewer tables with --table, or a common beginning: --table 'shop-*'",
        )


def files_of(report: Report, only: str | None, out: Path) -> dict[Path, str]:
    """Path -> content: one policy into the file `out`, all of them into files of the folder `out`."""
    policies = report.body["policies"]
    if only is not None:
        return {out: as_text(policies[0]["document"])}
    if out.exists() and not out.is_dir():
        raise UsageError(
            f"{out} is a file, and there are {len(policies)} policies", hint=f"devenv policy NAME --out {out}"
        )
    return {out / f"{policy['name']}.json": as_text(policy["document"]) for policy in policies}


def as_text(document: Any) -> str:
    """A document as a file holds it."""
    return json.dumps(document, indent=2) + "\n"


def write_files(files: Mapping[Path, str]) -> None:
    """Write them. UsageError when one cannot be written."""
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{path} cannot be written", detail=str(error)) from None
        write_out(path, text)
