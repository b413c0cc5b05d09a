"""init reads compose files, Dockerfiles and variables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devenv.init.compose import read_compose, read_dotenv
from devenv.init.draft import Drafter
from devenv.init.survey import survey
from tests.unit.init.test_init import TABLE, drafted, write

# --- compose files and variables


def test_a_compose_file() -> None:
    text = """
services:
  api:
    build: {context: ./api}
    command: ["python", "-m", "uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8080", "--reload"]
    environment:
      - DB=postgresql://me:${PASSWORD:-pw}@db:5432/shop
      - DYNAMO=http://dynamo:8000
      - TOKEN=${TOKEN}
    ports: ["127.0.0.1:9000:8080"]
  db:
    image: public.ecr.aws/docker/library/postgres:16
    environment: {POSTGRES_DB: shop, POSTGRES_USER: me, POSTGRES_PASSWORD: 1}
    ports: [{target: 5432, published: "5544"}]
  dynamo:
    image: amazon/dynamodb-local
    ports: ["${PORT}:8000"]
"""
    found = read_compose("compose.yaml", text, {"PORT": "8123"})
    assert found is not None
    assert found.postgres is not None
    assert found.dynamodb is not None
    assert found.application is not None
    assert (found.postgres.port(), found.dynamodb.port(), found.application.port()) == (5544, 8123, 9000)
    assert found.application.environment["DB"] == "postgresql://me:pw@db:5432/shop"
    assert found.application.environment["TOKEN"] is None


def test_addresses_are_filled_in_and_secrets_left_out(tmp_path: Path) -> None:
    compose = """
services:
  api:
    build: .
    command: uvicorn main:app --host 0.0.0.0 --port 8080
    ports: ["8080:8080"]
    environment:
      DB: postgresql://me:hunter2@db:5432/shop
      DYNAMO: http://dynamo:8000
      API_SECRET: hunter2
      STAGE: dev
      FROM_ENV: "${STAGE_NAME}"
  db: {image: "postgres:16"}
  dynamo: {image: amazon/dynamodb-local}
"""
    private = "STRIPE=hunter2\nexport COLOR='blue' \nORDERS=orders\nSTAGE_NAME=hunter2\n"
    shared = "SIZE=large\nDB_PASS=hunter2\nCACHE=redis://:hunter2@cache:6379\n"
    files = {"compose.yaml": compose, ".env": private, ".env.example": shared, "t.json": json.dumps(TABLE)}
    write(tmp_path, files)
    settings = drafted(tmp_path)
    assert settings.env == {
        "SIZE": "large",
        "DB_PASS": "{postgres_password}",
        "ORDERS": "orders",
        "DB": "{postgres_url}",
        "DYNAMO": "{dynamodb_url}",
        "STAGE": "dev",
    }
    assert settings.postgres.database == "shop"
    assert settings.backend is not None
    assert settings.backend.command[:3] == ["{python}", "-m", "uvicorn"]
    assert settings.backend.command[-4:] == ["--host", "127.0.0.1", "--port", "{port}"]
    text = Drafter(survey(tmp_path), "x").draft().text.replace("\n# ", " ")
    assert "hunter2" not in text
    assert "private or unknown: CACHE, STRIPE, COLOR, STAGE_NAME, API_SECRET, FROM_ENV." in text


@pytest.mark.parametrize(
    ("dockerfile", "command"),
    [
        (
            'FROM x\nCMD ["python3", "-m", "flask", "run", "--port=4567"]\n',
            ["{python}", "-m", "flask", "run", "--port={port}"],
        ),
        ("FROM x\nCMD echo no\nCMD flask run \\\n  --host 0.0.0.0 -p 4567\n", None),
        ("FROM x\nCMD echo 'unclosed\n", []),
        ("FROM x\n", []),
    ],
)
def test_the_command_of_a_dockerfile(tmp_path: Path, dockerfile: str, command: list[str] | None) -> None:
    compose = 'services: {backend: {build: "./api", ports: ["4567:4567"]}, db: {image: postgres}}'
    write(tmp_path, {"docker-compose.yml": compose, "api/Dockerfile": dockerfile})
    backend = drafted(tmp_path).backend
    assert backend is not None
    wanted = ["{python}", "-m", "flask", "run", "--host", "127.0.0.1", "-p", "{port}"] if command is None else command
    assert (backend.command, backend.folder, backend.port) == (wanted, "api", 4567)
    asked = " ".join(Drafter(survey(tmp_path), "x").draft().edits)
    assert ("Which command starts the application" in asked) is (wanted == [])


def test_values_that_cannot_be_settings_are_left_out(tmp_path: Path) -> None:
    compose = """
services:
  api: {build: ., command: "run 'unclosed", environment: {A: "postgresql://[bad", B: "postgresql://x@h/y"}}
  db: {image: postgres, ports: ["99999:5432"], environment: {POSTGRES_DB: NAME}}
""".replace("NAME", "n" * 99)
    write(tmp_path, {"compose.yml": compose})
    settings = drafted(tmp_path)
    assert (settings.postgres.port, settings.postgres.database) == (5432, "n" * 63)


def test_a_dotenv_file() -> None:
    assert read_dotenv("# no\nA=1\nexport B = 'two words'\nno line\nC=\n") == {"A": "1", "B": "two words", "C": ""}
