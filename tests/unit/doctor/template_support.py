"""Sound templates of an AWS account, and what doctor says of changed ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from devenv.aws.files import read_templates
from devenv.doctor.runner import diagnose
from tests.unit.doctor.test_doctor_safety import context

DEMANDS = {
    "regions": ["eu-central-1"],
    "cloudtrail": True,
    "vpc_endpoint": True,
    "no_users": True,
    "private_path": True,
}
CODES = ("SAF004", "SAF010", "SAF011", "SAF012", "SAF013")

CLOUDFORMATION = """\
AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Table: {Type: String, Default: letters}
Resources:
  Letters:
    Type: AWS::DynamoDB::GlobalTable
    Properties:
      TableName: !Ref Table
      Replicas:
        - Region: eu-central-1
  Trail:
    Type: AWS::CloudTrail::Trail
    Properties:
      IsLogging: true
      IsMultiRegionTrail: true
      AdvancedEventSelectors:
        - FieldSelectors:
            - {Field: eventCategory, Equals: [Management]}
        - FieldSelectors:
            - {Field: eventCategory, Equals: [Data]}
            - {Field: resources.type, Equals: ["AWS::DynamoDB::Table"]}
            - {Field: resources.ARN, Equals: [!GetAtt Letters.Arn]}
  Vpc: {Type: "AWS::EC2::VPC", Properties: {CidrBlock: 10.0.0.0/16}}
  Gateway:
    Type: AWS::EC2::VPCEndpoint
    Properties:
      ServiceName: !Sub com.amazonaws.${AWS::Region}.dynamodb
      RouteTableIds: [!Ref Routes]
      PolicyDocument:
        Statement:
          - Effect: Allow
            Principal: "*"
            Action: ["dynamodb:Query", "dynamodb:GetItem", "dynamodb:PutItem"]
            Resource:
              - !GetAtt Letters.Arn
              - !Sub "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${Letters}/index/*"
  Interface:
    Type: AWS::EC2::VPCEndpoint
    Properties:
      VpcEndpointType: Interface
      ServiceName: !Join [".", [com.amazonaws, !Ref "AWS::Region", dynamodb]]
  Vpn: {Type: "AWS::EC2::VPNConnection", Properties: {Type: ipsec.1}}
  Uploader:
    Type: AWS::IAM::User
    Properties:
      Policies:
        - PolicyName: files
          PolicyDocument: {Statement: [{Effect: Allow, Action: "s3:*", Resource: "*"}]}
"""

SAM = (
    CLOUDFORMATION.replace('AWSTemplateFormatVersion: "2010-09-09"', "Transform: AWS::Serverless-2016-10-31")
    + """\
  Function:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      Policies:
        - DynamoDBCrudPolicy: {TableName: !Ref Letters}
"""
)

TERRAFORM = """\
variable "region" {
  default = "eu-central-1"
}

provider "aws" {
  region = var.region
}

locals {
  table = "letters" # as in the application
}

resource "aws_dynamodb_table" "letters" {
  name     = local.table
  hash_key = "pk"

  attribute {
    name = "pk"
    type = "S"
  }
  replica { region_name = "eu-central-1" }
}

resource "aws_cloudtrail" "trail" {
  name                  = "trail"
  s3_bucket_name        = aws_s3_bucket.logs.id
  enable_logging        = true
  is_multi_region_trail = true

  event_selector {
    read_write_type = "All"
    data_resource {
      type   = "AWS::DynamoDB::Table"
      values = [aws_dynamodb_table.letters.arn]
    }
  }
}

resource "aws_vpc" "main" { cidr_block = "10.0.0.0/16" }

data "aws_iam_policy_document" "gateway" {
  statement {
    actions   = ["dynamodb:Query", "dynamodb:GetItem"]
    resources = [aws_dynamodb_table.letters.arn, "${aws_dynamodb_table.letters.arn}/index/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
  }
}

resource "aws_vpc_endpoint" "gateway" {
  vpc_id          = aws_vpc.main.id
  service_name    = "com.amazonaws.${var.region}.dynamodb"
  route_table_ids = [aws_route_table.main.id]
  policy          = data.aws_iam_policy_document.gateway.json
}

resource "aws_vpc_endpoint" "interface" {
  vpc_id            = aws_vpc.main.id
  service_name      = "com.amazonaws.${var.region}.dynamodb"
  vpc_endpoint_type = "Interface"
}

resource "aws_dx_private_virtual_interface" "office" {
  connection_id = "dxcon-1"
}

resource "aws_iam_user" "uploader" { name = "uploader" }

resource "aws_iam_user_policy" "files" {
  user   = aws_iam_user.uploader.name
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "s3:*", Resource = "*" }]
  })
}
"""


def rows(root: Path, files: Mapping[str, str], **safety: Any) -> dict[str, dict[str, Any]]:
    """Code -> row, of a project with these files."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    demands = {**DEMANDS, **safety}
    made = context(demands, root=root, read_templates=partial(read_templates, root, demands.get("templates", ())))
    return {each["code"]: each for each in diagnose(made, only=CODES).body["checks"]}


def shown(found: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {code: f"{row['status']}: {row['evidence']}" for code, row in found.items() if row["status"] != "ok"}


def without(text: str, name: str) -> str:
    """A CloudFormation template without one resource."""
    lines = text.splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if line.startswith(f"  {name}:"))
    end = next((number for number in range(at + 1, len(lines)) if lines[number][2:3].strip()), len(lines))
    return "".join(lines[:at] + lines[end:])


def block(text: str, head: str) -> str:
    """A Terraform file without the block that begins with `head`."""
    at = text.index(head)
    rest = text[at:]
    end = rest.index("\n}\n") + 3 if "\n" in rest[: rest.index("}") + 1] else rest.index("\n") + 1
    return text[:at] + rest[end:]


def change(before: str, after: str) -> Callable[[str], str]:
    def changed(text: str) -> str:
        assert before in text
        return text.replace(before, after)

    return changed
