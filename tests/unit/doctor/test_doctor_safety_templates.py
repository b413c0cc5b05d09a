"""doctor's SAF004 and SAF010-SAF013 on CloudFormation, SAM and Terraform files: seeded faults found, sound ones quiet.

Every fault is a change of a sound template, so that what is found is the change and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from devenv.aws.documents import concerns, table_arn
from devenv.aws.files import read_templates
from devenv.doctor.runner import diagnose
from tests.unit.doctor.template_support import (
    CLOUDFORMATION,
    CODES,
    DEMANDS,
    SAM,
    TERRAFORM,
    block,
    change,
    rows,
    shown,
    without,
)
from tests.unit.doctor.test_doctor_safety import context

SOUND: dict[str, dict[str, str]] = {
    "CloudFormation": {"template.yaml": CLOUDFORMATION},
    "SAM": {"template.yaml": SAM},
    "Terraform": {"main.tf": TERRAFORM},
    "Terraform in several files": {
        "infra/tables.tf": TERRAFORM[: TERRAFORM.index('resource "aws_cloudtrail"')],
        "infra/rest.tf": TERRAFORM[TERRAFORM.index('resource "aws_cloudtrail"') :],
    },
    "two templates": {
        "tables.yaml": without(CLOUDFORMATION, "Uploader"),
        "people.yaml": 'Resources:\n  Uploader: {Type: "AWS::IAM::User", Properties: {UserName: up}}\n',
    },
    "basic selectors for all tables": {
        "template.yaml": CLOUDFORMATION[: CLOUDFORMATION.index("      AdvancedEventSelectors")]
        + "      EventSelectors:\n        - ReadWriteType: All\n"
        + "          DataResources: [{Type: 'AWS::DynamoDB::Table', Values: ['arn:aws:dynamodb']}]\n"
        + CLOUDFORMATION[CLOUDFORMATION.index("  Vpc:") :]
    },
    "the table by its name": {
        "template.yaml": CLOUDFORMATION.replace(
            "[!GetAtt Letters.Arn]", "['arn:aws:dynamodb:eu-central-1:123456789012:table/letters']"
        ).replace("- !GetAtt Letters.Arn", "- arn:aws:dynamodb:eu-central-1:123456789012:table/letters")
    },
    "another VPC's endpoint for other tables": {
        "template.yaml": CLOUDFORMATION
        + "  Other:\n    Type: AWS::EC2::VPCEndpoint\n    Properties:\n"
        + "      ServiceName: com.amazonaws.eu-central-1.dynamodb\n      RouteTableIds: [rtb-1]\n"
        + "      PolicyDocument: {Statement: [{Effect: Allow, Action: 'dynamodb:*', "
        + "Resource: 'arn:aws:dynamodb:eu-central-1:123456789012:table/invoices'}]}\n"
    },
    "a provider for certificates elsewhere": {
        "main.tf": TERRAFORM + 'provider "aws" {\n  alias  = "us"\n  region = "us-east-1"\n}\n'
    },
    "a developer of other tables": {
        "template.yaml": CLOUDFORMATION.replace(
            'Action: "s3:*", Resource: "*"',
            'Action: "dynamodb:*", Resource: "arn:aws:dynamodb:*:*:table/scratch-*"',
        )
    },
}


@pytest.mark.parametrize("files", SOUND.values(), ids=SOUND.keys())
def test_a_sound_setup_is_quiet(tmp_path: Path, files: dict[str, str]) -> None:
    found = rows(tmp_path, files)
    assert shown(found) == {}
    assert all("the AWS account was not read" in found[code]["evidence"] for code in CODES if code != "SAF004")


YAML_FAULTS: dict[str, tuple[str, Callable[[str], str], str]] = {
    "a replica elsewhere": (
        "SAF004",
        change("- Region: eu-central-1", "- Region: eu-central-1\n        - Region: us-east-1"),
        "a replica of template.yaml: Letters is in us-east-1",
    ),
    "logging stopped": ("SAF010", change("IsLogging: true", "IsLogging: false"), "logging is switched off"),
    "management events only": (
        "SAF010",
        lambda text: (
            text[: text.index("        - FieldSelectors:\n            - {Field: eventCategory, Equals: [Data]}")]
            + text[text.index("  Vpc:") :]
        ),
        "log management events only",
    ),
    "another table's events": (
        "SAF010",
        change("[!GetAtt Letters.Arn]", "['arn:aws:dynamodb:eu-central-1:1:table/letters-old']"),
        "table letters in eu-central-1: data events not logged",
    ),
    "writes only": (
        "SAF010",
        change("Equals: [Data]}\n", "Equals: [Data]}\n            - {Field: readOnly, Equals: ['false']}\n"),
        "table letters in eu-central-1: GetItem, BatchGetItem, Query, Scan and 1 more not logged",
    ),
    "one event left out": (
        "SAF010",
        change("Equals: [Data]}\n", "Equals: [Data]}\n            - {Field: eventName, NotEquals: [Scan]}\n"),
        "table letters in eu-central-1: Scan not logged",
    ),
    "no gateway endpoint": ("SAF011", lambda text: without(text, "Gateway"), "no gateway endpoint for DynamoDB"),
    "the default policy": (
        "SAF011",
        lambda text: (
            text[: text.index("      PolicyDocument:\n        Statement:\n          - Effect: Allow\n            Pr")]
            + text[text.index("  Interface:") :]
        ),
        "has the default policy",
    ),
    "a policy for all tables": (
        "SAF011",
        change("- !GetAtt Letters.Arn", "- arn:aws:dynamodb:eu-central-1:123456789012:table/*"),
        "its policy allows requests to arn:aws:dynamodb:eu-central-1:123456789012:table/*",
    ),
    "no route table": ("SAF011", change("      RouteTableIds: [!Ref Routes]\n", ""), "has no route table"),
    "a policy for another table": (
        "SAF011",
        lambda text: text.replace("- !GetAtt Letters.Arn", "- arn:aws:dynamodb:*:*:table/old").replace(
            "table/${Letters}/index", "table/old/index"
        ),
        "the policy allows no requests to table `letters`",
    ),
    "a user with a table": (
        "SAF012",
        change('Action: "s3:*", Resource: "*"', 'Action: ["dynamodb:Get*"], Resource: !GetAtt Letters.Arn'),
        "(user) may GetItem on table letters",
    ),
    "an administrator": (
        "SAF012",
        change(
            "      Policies:\n",
            "      ManagedPolicyArns: ['arn:aws:iam::aws:policy/AdministratorAccess']\n      Policies:\n",
        ),
        "(user) may GetItem, BatchGetItem, Query and more on table letters",
    ),
    "a group with everything": (
        "SAF012",
        lambda text: (
            text
            + "  Policy:\n    Type: AWS::IAM::ManagedPolicy\n    Properties:\n      Groups: [developers]\n"
            + "      PolicyDocument: {Statement: {Effect: Allow, NotAction: 'iam:*', Resource: '*'}}\n"
        ),
        "(group developers) (group) may GetItem",
    ),
    "an access key": (
        "SAF012",
        lambda text: (
            text.replace('Action: "s3:*"', 'Action: "*"')
            + "  Key: {Type: 'AWS::IAM::AccessKey', Properties: {UserName: !Ref Uploader}}\n"
        ),
        "(user, with 1 access key) may",
    ),
    "no interface endpoint": ("SAF013", lambda text: without(text, "Interface"), "no interface endpoint"),
    "a public line": (
        "SAF013",
        change(
            'Type: "AWS::EC2::VPNConnection", Properties: {Type: ipsec.1}',
            "Type: AWS::DirectConnect::PublicVirtualInterface",
        ),
        "provides no private connection",
    ),
}

TERRAFORM_FAULTS: dict[str, tuple[str, Callable[[str], str], str]] = {
    "the provider's region": (
        "SAF004",
        change('default = "eu-central-1"', 'default = "us-west-2"'),
        "main.tf: aws_dynamodb_table.letters is in us-west-2",
    ),
    "a replica elsewhere": (
        "SAF004",
        change('replica { region_name = "eu-central-1" }', 'replica { region_name = "sa-east-1" }'),
        "a replica of main.tf: aws_dynamodb_table.letters is in sa-east-1",
    ),
    "logging stopped": ("SAF010", change("enable_logging        = true", "enable_logging = false"), "switched off"),
    "reads only": (
        "SAF010",
        change('read_write_type = "All"', 'read_write_type = "ReadOnly"'),
        "table letters in eu-central-1: PutItem, UpdateItem, DeleteItem, BatchWriteItem and 4 more not logged",
    ),
    "the default policy": (
        "SAF011",
        change("  policy          = data.aws_iam_policy_document.gateway.json\n", ""),
        "has the default policy",
    ),
    "a policy for everything": (
        "SAF011",
        change(
            'resources = [aws_dynamodb_table.letters.arn, "${aws_dynamodb_table.letters.arn}/index/*"]',
            'resources = ["*"]',
        ),
        "its policy allows requests to *",
    ),
    "no route table": ("SAF011", change("[aws_route_table.main.id]", "[]"), "has no route table"),
    "an attached policy": (
        "SAF012",
        lambda text: (
            text
            + 'resource "aws_iam_user_policy_attachment" "a" {\n  user = aws_iam_user.uploader.name\n'
            + '  policy_arn = "arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess"\n}\n'
        ),
        "(user) may GetItem",
    ),
    "a group's policy": (
        "SAF012",
        lambda text: (
            text
            + 'resource "aws_iam_group_policy" "g" {\n  group = "developers"\n  policy = <<EOF\n'
            + '{"Statement": [{"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}]}\nEOF\n}\n'
        ),
        "(group developers) (group) may GetItem",
    ),
    "another region's table": (
        "SAF010",
        change("values = [aws_dynamodb_table.letters.arn]", 'values = ["arn:aws:dynamodb:us-east-1:1:table/letters"]'),
        "table letters in eu-central-1: data events not logged",
    ),
    "no interface endpoint": (
        "SAF013",
        lambda text: block(text, 'resource "aws_vpc_endpoint" "interface"'),
        "no interface endpoint",
    ),
}


@pytest.mark.parametrize(("code", "fault", "told"), YAML_FAULTS.values(), ids=YAML_FAULTS.keys())
@pytest.mark.parametrize("sound", [CLOUDFORMATION, SAM], ids=["CloudFormation", "SAM"])
def test_a_fault_in_a_template_is_found(
    tmp_path: Path, sound: str, code: str, fault: Callable[[str], str], told: str
) -> None:
    found = rows(tmp_path, {"template.yaml": fault(sound)})
    assert list(shown(found)) == [code], shown(found)
    assert found[code]["status"] == "fail"
    assert told in found[code]["evidence"]


@pytest.mark.parametrize(("code", "fault", "told"), TERRAFORM_FAULTS.values(), ids=TERRAFORM_FAULTS.keys())
def test_a_fault_in_terraform_is_found(tmp_path: Path, code: str, fault: Callable[[str], str], told: str) -> None:
    found = rows(tmp_path, {"main.tf": fault(TERRAFORM)})
    assert list(shown(found)) == [code], shown(found)
    assert found[code]["status"] == "fail"
    assert told in found[code]["evidence"]


def test_where_no_one_can_look_it_is_not_verified(tmp_path: Path) -> None:
    found = rows(tmp_path, {"README.md": "no templates"})
    assert {code: row["status"] for code, row in found.items()} == {"SAF004": "ok", **dict.fromkeys(CODES[1:], "error")}
    assert "the AWS account was not read, and no template has a trail" in found["SAF010"]["evidence"]
    assert found["SAF010"]["fix"]["command"] == "devenv doctor --only safety --allow-remote"


def test_without_the_demand_nothing_is_looked_for(tmp_path: Path) -> None:
    off = {"cloudtrail": False, "vpc_endpoint": False, "no_users": False, "private_path": False}
    found = rows(tmp_path, {"template.yaml": YAML_FAULTS["an administrator"][1](CLOUDFORMATION)}, **off)
    assert {row["status"] for code, row in found.items() if code != "SAF004"} == {"skip"}


def test_writes_alone_can_be_required(tmp_path: Path) -> None:
    text = YAML_FAULTS["writes only"][1](CLOUDFORMATION)
    assert rows(tmp_path, {"template.yaml": text}, cloudtrail="writes")["SAF010"]["status"] == "ok"


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("Default: letters}", "Default: ''}", "SAF010"),
        ("IsLogging: true", "IsLogging: !Ref Logging", "SAF010"),
        ("- !GetAtt Letters.Arn\n", "- !ImportValue TableArn\n", "SAF011"),
        ('Action: "s3:*", Resource: "*"', 'Action: "dynamodb:*", Resource: !ImportValue Arn', "SAF012"),
        (
            "      Policies:\n",
            "      ManagedPolicyArns: ['arn:aws:iam::123456789012:policy/x']\n      Policies:\n",
            "SAF012",
        ),
    ],
)
def test_what_a_template_computes_is_not_verified(tmp_path: Path, before: str, after: str, code: str) -> None:
    found = rows(tmp_path, {"template.yaml": change(before, after)(CLOUDFORMATION)})
    assert found[code]["status"] == "error", found[code]
    assert found[code]["evidence"].startswith("not verified: ")


def test_a_trail_that_reaches_another_region_only(tmp_path: Path) -> None:
    text = TERRAFORM.replace("is_multi_region_trail = true", "provider = aws.far")
    text += 'provider "aws" {\n  alias  = "far"\n  region = "eu-central-2"\n}\n'
    found = rows(tmp_path, {"main.tf": text}, regions=["eu-central-1"])
    assert shown(found) == {"SAF010": "fail: main.tf: table letters in eu-central-1: data events not logged"}


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("main.tf", 'module "network" {\n  source = "terraform-aws-modules/vpc/aws"\n}\n'),
        ("template.yaml", "  Network: {Type: 'AWS::CloudFormation::Stack', Properties: {TemplateURL: x}}\n"),
    ],
)
def test_what_a_module_may_hold_is_not_missed(tmp_path: Path, name: str, more: str) -> None:
    if name == "main.tf":
        text = block(
            block(TERRAFORM, 'resource "aws_vpc_endpoint" "interface"'), 'resource "aws_vpc_endpoint" "gateway"'
        )
    else:
        text = without(without(CLOUDFORMATION, "Interface"), "Gateway")
    found = rows(tmp_path, {name: text + more})
    assert [found[code]["status"] for code in ("SAF011", "SAF013")] == ["error", "error"]
    assert "may hold one" in found["SAF011"]["evidence"]
    assert [found[code]["status"] for code in ("SAF010", "SAF012")] == ["ok", "ok"]


def test_a_name_that_matches_nothing_is_reported(tmp_path: Path) -> None:
    found = rows(tmp_path, {"template.yaml": CLOUDFORMATION}, templates=["infra/*.yaml"])
    assert found["SAF012"]["evidence"] == "not verified: [safety] templates: no file matches infra/*.yaml"


@pytest.mark.parametrize(
    ("pattern", "partition", "meets"),
    [
        ("arn:aws:dynamodb:*", "aws", True),
        ("arn:aws-cn:dynamodb:*:*:table/letters", "aws-cn", True),
        ("*", "aws", True),
        ("arn:aws:dynamodb:*:*:table/letters-*", "aws", False),
        ("arn:aws:dynamodb:*:*:table/l?tters", "aws", True),
        ("arn:aws:s3:::*", "aws", False),
        ("arn:aws:dynamodb:eu-*:*:table/*", "aws", True),
    ],
)
def test_a_resource_pattern_meets_a_table(pattern: str, partition: str, meets: bool) -> None:
    assert concerns({"Resource": pattern}, table_arn("letters")) is meets
    assert concerns({"Resource": pattern}, table_arn("letters", "eu-central-1", "1", partition)) is meets


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("template.yaml", "Resources:\n  A: {Type: AWS::EC2::VPC\n"),
        ("template.json", '{"Resources": {"A": {"Type": "AWS::EC2::VPC"'),
        ("main.tf", 'resource "aws_vpc" "x" {'),
        ("bomb.yaml", "Resources: &a {Type: AWS::X, Properties: [" + "&b [" * 80 + "]" * 80 + "]}"),
    ],
)
def test_a_broken_template_is_not_verified(tmp_path: Path, name: str, text: str) -> None:
    found = rows(tmp_path, {"sound.yaml": CLOUDFORMATION, name: text})
    assert name in found["SAF012"]["evidence"]
    assert {row["status"] for row in found.values()} == {"error"}


def test_only_the_named_templates_are_read(tmp_path: Path) -> None:
    files = {"infra/a.yaml": CLOUDFORMATION, "examples/b.yaml": YAML_FAULTS["an administrator"][1](CLOUDFORMATION)}
    assert rows(tmp_path, files)["SAF012"]["status"] == "fail"
    assert shown(rows(tmp_path, files, templates=["infra/*"])) == {}


@pytest.mark.parametrize(
    ("endpoint", "status"),
    [
        ("https://dynamodb.eu-central-1.amazonaws.com", "fail"),
        # A private name, but of no endpoint that there is: without an address no more can be said.
        ("https://vpce-0a1b-2c3d.dynamodb.eu-central-1.vpce.amazonaws.com", "error"),
        ("https://10.1.2.3", "ok"),
        ("https://52.94.5.6", "fail"),
        ("http://127.0.0.1:8000", "ok"),
        ("https://no-such-host.invalid", "error"),
    ],
)
def test_no_endpoint_variable_holds_a_public_name(tmp_path: Path, endpoint: str, status: str) -> None:
    (tmp_path / "template.yaml").write_text(CLOUDFORMATION)
    made = context(DEMANDS, root=tmp_path, read_templates=partial(read_templates, tmp_path, ()))
    made = replace(made, shell={"PATH": "", "AWS_ENDPOINT_URL_DYNAMODB": endpoint})
    (found,) = [each for each in diagnose(made, only=["SAF013"]).body["checks"] if each["code"] == "SAF013"]
    assert found["status"] == status, found
