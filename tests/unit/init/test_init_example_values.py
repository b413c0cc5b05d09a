"""Values of variables that are no values for this machine: placeholders, profiles, addresses of other services."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.init.example_values import with_wanted
from devenv.init.survey import survey
from tests.unit.init.test_init_kinds import COMPOSE, MAKE, made

SETTINGS = """
from pydantic import Field
from pydantic_settings import BaseSettings
import boto3

class Settings(BaseSettings):
    parcels_table: str = Field(default="parcels-local")

settings = Settings()

def get(parcel_id):
    table = boto3.resource("dynamodb").Table(settings.parcels_table)
    return table.get_item(Key={"parcel_id": parcel_id})
"""
SCRIPT = """#!/bin/sh
TABLE="${PARCELS_TABLE:-parcels-local}"
aws dynamodb create-table --table-name "$TABLE" \\
  --attribute-definitions AttributeName=parcel_id,AttributeType=S \\
  --key-schema AttributeName=parcel_id,KeyType=HASH --billing-mode PAY_PER_REQUEST
"""
LOCALSTACK = """
services:
  db: {image: "postgres:16", environment: {POSTGRES_DB: depot}}
  aws: {image: "localstack/localstack", ports: ["4567:4566"], environment: {SERVICES: "dynamodb,s3,sqs"}}
  api:
    build: .
    environment:
      DATABASE_URL: postgres://a:b@db/depot
      DDB_ENDPOINT_URL: http://aws:4566
      S3_ENDPOINT_URL: http://aws:4566
      LABELS_QUEUE_ENDPOINT_URL: http://localhost:4567
      EVENTS_DYNAMODB_ENDPOINT: http://aws:4566
"""


@pytest.mark.parametrize(
    "value",
    ["your-parcels-table", "your_table", "changeme", "change-me", "xxx", "<table>", "...", "REPLACE_ME"],
)
def test_a_placeholder_is_no_name_of_a_table(tmp_path: Path, value: str) -> None:
    files = {"docker-compose.yml": COMPOSE, "db/a.sql": MAKE, "app/main.py": SETTINGS, "scripts/tables.sh": SCRIPT}
    settings, _ = made(tmp_path, {**files, ".env.example": f"PARCELS_TABLE={value}\n"})
    assert [table.table for table in survey(tmp_path).tables] == ["parcels-local"]
    assert settings.env.get("PARCELS_TABLE") in (None, "parcels-local")
    assert value not in (tmp_path / "devenv.toml").read_text()


def test_a_real_value_stays_beside_a_placeholder_of_another_file() -> None:
    assert with_wanted({"A": "real"}, {"A": "changeme", "B": "your-b", "C": "yours"}) == {
        "A": "real",
        "B": "",
        "C": "yours",
    }


def test_another_service_of_aws_is_not_sent_to_dynamodb(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, {"docker-compose.yml": LOCALSTACK, "db/a.sql": MAKE})
    assert settings.env == {"DDB_ENDPOINT_URL": "{dynamodb_url}", "EVENTS_DYNAMODB_ENDPOINT": "{dynamodb_url}"}
    text = (tmp_path / "devenv.toml").read_text()
    assert "S3_ENDPOINT_URL (http://aws:4566) is left out" in text
    assert "LABELS_QUEUE_ENDPOINT_URL (http://localhost:4567) is left out" in text


def test_a_profile_of_the_machine_is_not_copied(tmp_path: Path) -> None:
    files = {"docker-compose.yml": COMPOSE, "db/a.sql": MAKE, ".env.example": "AWS_PROFILE=default\nLEVEL=info\n"}
    settings, _ = made(tmp_path, files)
    assert settings.env == {"LEVEL": "info"}
    assert "AWS_PROFILE is left out" in (tmp_path / "devenv.toml").read_text()


ENGINE = """
from pydantic_settings import BaseSettings
from sqlalchemy.ext.asyncio import create_async_engine

class Settings(BaseSettings):
    depot_database_url: str = "postgresql+asyncpg://me:x@localhost:5432/depot"

settings = Settings()

def build(url):
    return create_async_engine(url)

engine = build(settings.depot_database_url)
"""


def test_the_driver_in_the_default_of_a_setting_is_kept(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, {"docker-compose.yml": COMPOSE, "db/a.sql": MAKE, "app/main.py": ENGINE})
    assert settings.env == {"DEPOT_DATABASE_URL": "postgresql+asyncpg://{postgres_url}"}
    assert settings.postgres.database == "depot"
