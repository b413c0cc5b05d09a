"""Every policy that `devenv policy` writes, by at least twenty requests each: what it allows, and what it denies.

The documents are those that the command writes for the reference project. The evaluator is policy_support's; for the
event selectors of `trail`, which no evaluator knows, it is `logs` below, written from CloudTrail's documentation apart
from devenv's own (devenv/aws/trails.py), and the two must agree.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import pytest

from devenv.aws.surroundings import Trail
from devenv.aws.trails import fits, unlogged
from tests.integration.moto_support import ACCOUNT, REGION, Moto, server
from tests.integration.policy_support import ALLOW_ALL, Simulate, request, simulate
from tests.support import ProjectDir, reference_project

__all__ = ["server", "simulate"]
TABLE, INDEX = "cruddur-messages", "message-group-sk-index"
STRANGER = "999999999999"
POOL = f"{REGION}:11111111-2222-4333-8444-555555555555"
OTHER_POOL = f"{REGION}:99999999-2222-4333-8444-555555555555"
APP, ADMIN = (f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("app", "table-admin"))
MINE, YOURS = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399", "a1f4f0b0-0000-4000-8000-000000000001"
YES, NO, NEVER = "Allowed", "ImplicitlyDenied", "ExplicitlyDenied"
Case = tuple[str, str, dict[str, Any]]
OPEN = {**ALLOW_ALL, "Statement": [{**ALLOW_ALL["Statement"][0], "Principal": "*"}]}


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Name -> document, as the command writes them."""
    project: ProjectDir = reference_project(tmp_path_factory.mktemp("policies") / "project")
    options = ["--region", REGION, "--account", ACCOUNT, "--pool", POOL, "--lock", "--admin", ADMIN]
    return json.loads(project.ok("policy", *options, "--format", "json").out)


def arn(rest: str = TABLE, region: str = REGION, account: str = ACCOUNT) -> str:
    return f"arn:aws:dynamodb:{region}:{account}:table/{rest}"


def where(region: str = REGION, account: str = ACCOUNT, **more: Any) -> dict[str, Any]:
    return {"aws:RequestedRegion": region, "aws:PrincipalAccount": account, "aws:PrincipalArn": APP, **more}


def judge(simulate: Simulate, cases: Sequence[Case]) -> None:
    """Every request has the expected result. At least twenty of them, both ways."""
    assert len({name for name, _, _ in cases}) == len(cases) >= 20
    assert {expected == YES for _, expected, _ in cases} == {True, False}
    found = simulate([asked for _, _, asked in cases])
    wrong = [(name, result) for (name, expected, _), result in zip(cases, found, strict=True) if result != expected]
    assert wrong == []


ITEM_READS = ("GetItem", "BatchGetItem", "Query", "Scan", "PartiQLSelect")
ITEM_WRITES = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "ConditionCheckItem", "PartiQLInsert")
ADMINISTRATION = ("CreateTable", "UpdateTable", "DeleteTable", "UpdateTimeToLive", "UpdateContinuousBackups")


# --- application


def test_application(documents: dict[str, Any], simulate: Simulate) -> None:
    own = [documents["application"]]

    def case(name: str, expected: str, action: str, resource: str, **context: Any) -> Case:
        return name, expected, request(f"dynamodb:{action}", resource, APP, where(**context), own=own)

    cases = [
        case("its table", YES, "Query", arn()),
        case("its index", YES, "Query", arn(f"{TABLE}/index/{INDEX}")),
        case("another index", NO, "Query", arn(f"{TABLE}/index/other")),
        case("another table", NO, "Query", arn("scratch")),
        case("a longer name", NO, "Query", arn(f"{TABLE}-old")),
        case("another region", NO, "Query", arn(region="us-east-1"), region="us-east-1"),
        case("another account", NO, "Query", arn(account=STRANGER)),
        case("a scan of the index", NO, "Scan", arn(f"{TABLE}/index/{INDEX}")),
        *(case(f"{action}, which no pattern has", NO, action, arn()) for action in ITEM_READS if action != "Query"),
        *(case(f"{action}, without --writes", NO, action, arn()) for action in ITEM_WRITES),
        *(case(f"{action} of the table", NO, action, arn()) for action in ADMINISTRATION),
        case("the list of tables", NO, "ListTables", "*"),
    ]
    judge(simulate, cases)


def test_application_that_writes(simulate: Simulate, tmp_path: Any) -> None:
    project = reference_project(tmp_path / "project")
    options = ["--region", REGION, "--account", ACCOUNT, "--writes", "--format", "json"]
    own = [json.loads(project.ok("policy", "application", *options).out)]
    writes = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "ConditionCheckItem")
    cases = []
    for action in (*ITEM_READS, *writes, *ADMINISTRATION):
        for name, resource in (("its table", arn()), ("another table", arn("scratch"))):
            expected = YES if name == "its table" and action in ("Query", *writes) else NO
            cases.append(
                (f"{action}, {name}", expected, request(f"dynamodb:{action}", resource, APP, where(), own=own))
            )
    judge(simulate, cases)


# --- deny-deletion, organisation


def test_deny_deletion(documents: dict[str, Any], simulate: Simulate) -> None:
    own = [ALLOW_ALL, documents["deny-deletion"]]

    def case(name: str, expected: str, action: str, resource: str, who: str = APP) -> Case:
        context = {**where(), "aws:PrincipalArn": who}
        return name, expected, request(f"dynamodb:{action}", resource, who, context, own=own)

    denied = ("DeleteTable", "DeleteTableReplica", "UpdateTable", "UpdateTimeToLive", "UpdateContinuousBackups")
    backup = f"{TABLE}/backup/01489602797149-73d8d5bc"
    cases = [
        *(case(f"{action} by the application", NEVER, action, arn()) for action in denied),
        *(case(f"{action} by the admin", YES, action, arn(), ADMIN) for action in denied),
        *(case(f"{action} of another table", YES, action, arn("scratch")) for action in denied),
        *(case(f"{action} of a longer name", YES, action, arn(f"{TABLE}-old")) for action in denied[:2]),
        case("DeleteTable elsewhere", NEVER, "DeleteTable", arn(region="us-east-1")),
        case("DeleteBackup", NEVER, "DeleteBackup", arn(backup)),
        case("DeleteBackup by the admin", YES, "DeleteBackup", arn(backup), ADMIN),
        case("DeleteBackup of another", YES, "DeleteBackup", arn("scratch/backup/01489602797149-73d8d5bc")),
        *(case(f"{action}, items stay usable", YES, action, arn()) for action in ("Query", "PutItem", "DeleteItem")),
    ]
    judge(simulate, cases)


def test_organisation(documents: dict[str, Any], simulate: Simulate) -> None:
    scp = documents["organisation"]

    def case(name: str, expected: str, action: str, resource: str, region: str = REGION, who: str = APP) -> Case:
        context = {**where(region), "aws:PrincipalArn": who}
        return name, expected, request(action, resource, who, context, own=[ALLOW_ALL], organisation=[scp])

    made = ("CreateTable", "RestoreTableFromBackup", "RestoreTableToPointInTime")
    cases = [
        *(case(f"{each} here", YES, f"dynamodb:{each}", arn()) for each in ("Query", "PutItem", "DescribeTable")),
        *(
            case(f"{each} in {region}", NEVER, f"dynamodb:{each}", arn(region=region), region)
            for each, region in product(("Query", "PutItem", "DeleteTable"), ("us-east-1", "eu-west-1"))
        ),
        case("an instance elsewhere", NEVER, "ec2:DescribeInstances", "*", "us-east-1"),
        case("an instance here", YES, "ec2:DescribeInstances", "*"),
        case("a global service", YES, "iam:ListUsers", "*", "us-east-1"),
        case("who am I", YES, "sts:GetCallerIdentity", "*", "us-east-1"),
        case("DeleteTable", NEVER, "dynamodb:DeleteTable", arn()),
        case("DeleteTable by the admin", YES, "dynamodb:DeleteTable", arn(), who=ADMIN),
        case("the admin elsewhere", YES, "dynamodb:Query", arn(region="us-east-1"), "us-east-1", ADMIN),
        case("a replica", NEVER, "dynamodb:CreateTableReplica", arn()),
        *(case(f"{each} by a developer", NEVER, f"dynamodb:{each}", arn()) for each in made[:1]),
        *(case(f"{each} by the admin", YES, f"dynamodb:{each}", arn(), who=ADMIN) for each in made[:1]),
        case("another table made", YES, "dynamodb:CreateTable", arn("scratch")),
    ]
    judge(simulate, cases)


# --- trust


def test_compute_trust(documents: dict[str, Any], simulate: Simulate) -> None:
    trust = documents["compute-trust"]

    def case(name: str, expected: str, who: str, action: str = "sts:AssumeRole", account: str = ACCOUNT) -> Case:
        context = {"aws:SourceAccount": account} if account else {}
        return name, expected, request(action, APP, who, context, trust=trust)

    services = ("ec2", "lambda", "ecs", "eks", "states", "glue", "codebuild", "apigateway", "events", "ssm", "batch")
    people = ("user/dev", "user/admin", "role/admin", "role/app", "role/other")
    cases = [
        case("a task", YES, "ecs-tasks.amazonaws.com"),
        case("a task of another account", NO, "ecs-tasks.amazonaws.com", account=STRANGER),
        case("a task of nobody", NO, "ecs-tasks.amazonaws.com", account=""),
        *(case(f"the service {name}", NO, f"{name}.amazonaws.com") for name in services),
        *(case(f"{name} of this account", NO, f"arn:aws:iam::{ACCOUNT}:{name}") for name in people),
        *(case(f"{name} of another account", NO, f"arn:aws:iam::{STRANGER}:{name}") for name in people[:3]),
        case("a task by web identity", NO, "ecs-tasks.amazonaws.com", "sts:AssumeRoleWithWebIdentity"),
    ]
    judge(simulate, cases)


@pytest.mark.parametrize("compute", ["lambda", "ec2"])
def test_compute_trust_of_other_services(compute: str, simulate: Simulate, tmp_path: Any) -> None:
    project = reference_project(tmp_path / "project")
    options = ["--region", REGION, "--account", ACCOUNT, "--compute", compute, "--format", "json"]
    trust = json.loads(project.ok("policy", "compute-trust", *options).out)
    asked = [
        request("sts:AssumeRole", APP, f"{name}.amazonaws.com", {}, trust=trust)
        for name in ("ecs-tasks", "lambda", "ec2")
    ]
    assert simulate(asked) == [YES if name == compute else NO for name in ("ecs-tasks", "lambda", "ec2")]


def test_person_trust(documents: dict[str, Any], simulate: Simulate) -> None:
    trust = documents["person-trust"]
    cognito = "cognito-identity.amazonaws.com"
    web = "sts:AssumeRoleWithWebIdentity"

    def case(name: str, expected: str, action: str, who: str = cognito, pool: str | None = POOL, amr: Any = "") -> Case:
        signed_in = ["authenticated", f"cognito-idp.{REGION}.amazonaws.com/x"]
        context: dict[str, Any] = {} if amr is None else {f"{cognito}:amr": amr or signed_in}
        if pool:
            context[f"{cognito}:aud"] = pool
        return name, expected, request(action, APP, who, context, trust=trust)

    others = ("accounts.google.com", "graph.facebook.com", "www.amazon.com", "ecs-tasks.amazonaws.com")
    people = ("user/dev", "user/admin", "role/admin", "role/app")
    cases = [
        case("who signed in", YES, web),
        case("who signed in by another way", YES, web, amr=["authenticated", "accounts.google.com"]),
        case("a guest", NO, web, amr=["unauthenticated"]),
        case("a word that begins so", NO, web, amr=["authenticated-not"]),
        case("nobody", NO, web, amr=None),
        case("another pool", NO, web, pool=OTHER_POOL),
        case("another pool's guest", NO, web, pool=OTHER_POOL, amr=["unauthenticated"]),
        case("no pool", NO, web, pool=None),
        *(case(f"by {who}", NO, web, who) for who in others),
        *(case(f"{who} of this account", NO, web, f"arn:aws:iam::{ACCOUNT}:{who}") for who in people),
        *(case(f"{who} of another account", NO, web, f"arn:aws:iam::{STRANGER}:{who}") for who in people),
        case("AssumeRole", NO, "sts:AssumeRole", amr=None),
        case("AssumeRoleWithSAML", NO, "sts:AssumeRoleWithSAML", amr=None),
    ]
    # The evaluator's data knows no Cognito keys for TagSession, and would deny AWS's own documented example, whose
    # form this is: one statement for both actions.
    assert trust["Statement"][0]["Action"] == [web, "sts:TagSession"]
    judge(simulate, cases)


# --- person: leading keys


def test_person(documents: dict[str, Any], simulate: Simulate) -> None:
    own = [documents["person"]]

    def case(
        name: str,
        expected: str,
        keys: Sequence[str] | None,
        *,
        action: str = "Query",
        resource: str = "",
        tag: str | None = MINE,
    ) -> Case:
        context = where()
        if keys is not None:
            context["dynamodb:LeadingKeys"] = list(keys)
        if tag is not None:
            context["aws:PrincipalTag/uuid"] = tag
        return name, expected, request(f"dynamodb:{action}", resource or arn(), APP, context, own=own)

    mine, yours = f"GRP#{MINE}", f"GRP#{YOURS}"
    cases = [
        case("my conversations", YES, [mine]),
        case("yours, as you", YES, [yours], tag=YOURS),
        case("yours", NO, [yours]),
        case("mine and yours", NO, [mine, yours]),
        case("mine without a tag", NO, [mine], tag=None),
        case("mine by another tag", NO, [mine], tag=YOURS),
        case("no key at all", NO, None),
        case("an empty list of keys", NO, []),
        case("a beginning", NO, ["GRP#"]),
        case("an empty tag", NO, [mine], tag=""),
        case("a tag of a wildcard", NO, [mine], tag="*"),
        case("a key of a wildcard", NO, ["GRP#*"]),
        case("a longer key", NO, [f"{mine}x"]),
        case("messages of a conversation", NO, ["MSG#5ae290ed-55d1-47a0-bc6d-fe2bc2700399"]),
        case("my uuid as a message", NO, [f"MSG#{MINE}"]),
        case("my uuid alone", NO, [MINE]),
        case("in another case", NO, [mine.lower()]),
        *(
            case(f"{each} of mine", NO, [mine], action=each)
            for each in ("Scan", "GetItem", "BatchGetItem", "PartiQLSelect")
        ),
        *(case(f"{each} of mine, too", NO, [mine], action=each) for each in ("PutItem", "UpdateItem", "DeleteItem")),
        case("by the index", NO, [mine], resource=arn(f"{TABLE}/index/{INDEX}")),
        case("another table", NO, [mine], resource=arn("scratch")),
        case("another region", NO, [mine], resource=arn(region="us-east-1")),
        case("the table deleted", NO, None, action="DeleteTable"),
    ]
    judge(simulate, cases)


# --- boundary


def test_boundary(documents: dict[str, Any], simulate: Simulate) -> None:
    """With a policy that allows everything: what is left is what the boundary lets be."""
    boundary = documents["boundary"]

    def case(name: str, expected: str, action: str, resource: str) -> Case:
        return name, expected, request(action, resource, APP, where(), own=[ALLOW_ALL], boundary=boundary)

    items = (*ITEM_READS, *ITEM_WRITES, "DescribeTable")
    log = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/app:log-stream:one"
    undoing = ("UpdateTable", "DeleteTable", "UpdateTimeToLive", "UpdateContinuousBackups", "DeleteTableReplica")
    cases = [
        *(case(f"{action}", YES, f"dynamodb:{action}", arn()) for action in items),
        case("the index", YES, "dynamodb:Query", arn(f"{TABLE}/index/{INDEX}")),
        case("its log", YES, "logs:PutLogEvents", log),
        *(case(f"{action} of another table", NO, f"dynamodb:{action}", arn("scratch")) for action in items[:6]),
        *(case(f"{action} of the table", NEVER, f"dynamodb:{action}", arn()) for action in undoing),
        case("another region", NO, "dynamodb:Query", arn(region="us-east-1")),
        case("another account's log", NO, "logs:PutLogEvents", log.replace(ACCOUNT, STRANGER)),
        case("a backup", NEVER, "dynamodb:DeleteBackup", arn(f"{TABLE}/backup/01489602797149-73d8d5bc")),
        case("a new table", NO, "dynamodb:CreateTable", arn("scratch")),
        case("more for itself", NO, "iam:PutRolePolicy", APP),
        case("another boundary", NO, "iam:DeleteRolePermissionsBoundary", APP),
        case("another role", NO, "sts:AssumeRole", ADMIN),
        case("a bucket", NO, "s3:GetObject", "arn:aws:s3:::files/x"),
        case("a key", NO, "kms:Decrypt", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0a1b"),
    ]
    judge(simulate, cases)


def test_boundary_alone_grants_nothing(documents: dict[str, Any], simulate: Simulate) -> None:
    boundary = documents["boundary"]
    asked = [request("dynamodb:Query", arn(), APP, where(), own=own, boundary=boundary) for own in ([], [ALLOW_ALL])]
    assert simulate(asked) == [NO, YES]


def test_boundary_leaves_a_customers_key_to_dynamodb(simulate: Simulate, tmp_path: Any) -> None:
    project = reference_project(tmp_path / "project")
    file = project.path / "devenv.toml"
    file.write_text(file.read_text() + '\n[safety]\nencryption_at_rest = "customer-managed"\n')
    options = ["--region", REGION, "--account", ACCOUNT, "--format", "json"]
    boundary = json.loads(project.ok("policy", "boundary", *options).out)
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0a1b"
    root = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    delegated = {**ALLOW_ALL, "Statement": [{**ALLOW_ALL["Statement"][0], "Principal": root}]}
    asked = [
        request("kms:Decrypt", key, APP, {**where(), **via}, own=[ALLOW_ALL], boundary=boundary, trust=delegated)
        for via in ({"kms:ViaService": f"dynamodb.{REGION}.amazonaws.com"}, {"kms:ViaService": "s3.amazonaws.com"}, {})
    ]
    assert simulate(asked) == [YES, NO, NO]


# --- endpoint


def test_endpoint(documents: dict[str, Any], simulate: Simulate) -> None:
    """With a policy that allows everything: what is left is what the endpoint lets through."""
    endpoint = documents["endpoint"]

    def case(name: str, expected: str, action: str, resource: str, account: str = ACCOUNT) -> Case:
        who = f"arn:aws:iam::{account}:role/app"
        context = {**where(account=account), "aws:PrincipalArn": who, "aws:SourceVpce": "vpce-1"}
        # A table of another account would itself allow: what is asked here is the endpoint.
        trust = None if account == ACCOUNT else OPEN
        made = request(f"dynamodb:{action}", resource, who, context, own=[ALLOW_ALL], endpoint=endpoint, trust=trust)
        return name, expected, made

    items = (*ITEM_READS, *ITEM_WRITES, "DescribeTable")
    cases = [
        *(case(f"{action}", YES, action, arn()) for action in items),
        case("the index", YES, "Query", arn(f"{TABLE}/index/{INDEX}")),
        case("discovery", YES, "DescribeEndpoints", "*"),
        *(case(f"{action} of another table", NO, action, arn("scratch")) for action in items[:4]),
        *(case(f"{action}", NO, action, arn()) for action in ADMINISTRATION),
        *(case(f"{action} with another account's keys", NO, action, arn(), STRANGER) for action in items[:3]),
        case("another region", NO, "Query", arn(region="us-east-1")),
        case("a longer name", NO, "Query", arn(f"{TABLE}-copy")),
        case("another account's table", NO, "PutItem", arn(account=STRANGER)),
        case("the list of tables", NO, "ListTables", "*"),
        case("a backup", NO, "DeleteBackup", arn(f"{TABLE}/backup/01489602797149-73d8d5bc")),
    ]
    judge(simulate, cases)


# --- trail


def logs(selectors: Sequence[Mapping[str, Any]], event: Mapping[str, str]) -> bool:
    """CloudTrail's own rule, in its simplest words: any selector, every field, any value that begins or equals."""

    def takes(field: Mapping[str, Any]) -> bool:
        value = event[field["Field"]]
        return value in field.get("Equals", ()) or value.startswith(tuple(field.get("StartsWith", ["\0"])))

    return any(all(takes(field) for field in selector["FieldSelectors"]) for selector in selectors)


def event(name: str, resource: str, *, category: str = "Data", kind: str = "AWS::DynamoDB::Table") -> dict[str, str]:
    read_only = name.startswith(("Get", "BatchGet", "Query", "Scan", "TransactGet", "Describe", "List"))
    return {
        "eventCategory": category,
        "resources.type": kind,
        "resources.ARN": resource,
        "eventName": name,
        "readOnly": str(read_only).lower(),
        "eventSource": "dynamodb.amazonaws.com",
    }


def events() -> Iterator[tuple[str, bool, dict[str, str]]]:
    """(name, whether it is logged, event)."""
    reads = ("GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems")
    writes = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems", "ExecuteStatement")
    for name in (*reads, *writes):
        yield f"{name} of the table", True, event(name, arn())
        yield f"{name} of another table", False, event(name, arn("scratch"))
    yield "a longer name", False, event("Query", arn(f"{TABLE}-old"))
    yield "another region", False, event("Query", arn(region="us-east-1"))
    yield "another account", False, event("Query", arn(account=STRANGER))
    yield "a bucket", False, event("GetObject", "arn:aws:s3:::files/x", kind="AWS::S3::Object")
    yield "management", True, event("DeleteTable", arn(), category="Management")
    yield "insight", False, event("Query", arn(), category="Insight")


def test_trail(documents: dict[str, Any]) -> None:
    selectors = documents["trail"]
    cases = list(events())
    assert len(cases) >= 20
    assert [name for name, logged, each in cases if logs(selectors, each) is not logged] == []
    # devenv's own evaluation, by which doctor judges trails, gives the same.
    own = [name for name, logged, each in cases if any(fits(part, each) for part in selectors) is not logged]
    assert own == []
    trail = Trail("trail", logging=True, multi_region=True, selectors=tuple(selectors))
    assert unlogged([trail], arn(), reads=True) == ((), False)


def test_trail_of_writes(tmp_path: Any) -> None:
    project = reference_project(tmp_path / "project")
    file = project.path / "devenv.toml"
    file.write_text(file.read_text() + '\n[safety]\ncloudtrail = "writes"\n')
    options = ["--region", REGION, "--account", ACCOUNT, "--format", "json"]
    selectors = json.loads(project.ok("policy", "trail", *options).out)
    logged = {each["eventName"] for _, _, each in events() if each["eventCategory"] == "Data" and logs(selectors, each)}
    assert logged == {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems", "ExecuteStatement"}


def test_the_price_of_the_trail_is_reported(tmp_path: Any) -> None:
    project = reference_project(tmp_path / "project")
    told = project.ok("policy", "trail", "--region", REGION, "--account", ACCOUNT).out
    # 20 requests a second are declared: 51.84 million events a month of thirty days.
    assert "about 51.84 USD a month at the declared rates" in told


def test_aws_takes_the_selectors_and_the_endpoint_policy(documents: dict[str, Any], server: Moto) -> None:
    """moto checks their form as the service does."""
    server.post("/moto-api/reset")
    server.client("s3").create_bucket(Bucket="logs", CreateBucketConfiguration={"LocationConstraint": REGION})
    trail = server.client("cloudtrail")
    trail.create_trail(Name="trail", S3BucketName="logs")
    trail.put_event_selectors(TrailName="trail", AdvancedEventSelectors=documents["trail"])
    assert trail.get_event_selectors(TrailName="trail")["AdvancedEventSelectors"] == documents["trail"]
    iam = server.client("iam")
    for name in ("compute-trust", "person-trust"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(documents[name]))
    boundary = iam.create_policy(PolicyName="tables-boundary", PolicyDocument=json.dumps(documents["boundary"]))
    iam.put_role_permissions_boundary(RoleName="compute-trust", PermissionsBoundary=boundary["Policy"]["Arn"])
    iam.put_role_policy(RoleName="person-trust", PolicyName="own", PolicyDocument=json.dumps(documents["person"]))
