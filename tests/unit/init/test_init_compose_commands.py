"""The command of a compose file's or Dockerfile's application, with its variables filled in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import made

ROWS = {"db/schema.sql": "CREATE TABLE boats (id int PRIMARY KEY);"}
COMPOSE = """
services:
  db: {{image: "postgres:16"}}
  harbour-api:
    build: ./harbour
    {command}
    environment: {{DATABASE_URL: "postgres://me:x@db:5432/harbour"}}
    ports: ["${{APP_PORT:-5055}}:${{APP_PORT:-5055}}"]
"""


@pytest.mark.parametrize(
    ("line", "env", "port"),
    [
        ("command: gunicorn -b 0.0.0.0:${APP_PORT:-5055} harbour.wsgi:app", "", 5055),
        ("command: gunicorn -b 0.0.0.0:${APP_PORT-5055} harbour.wsgi:app", "APP_PORT=6066\n", 6066),
        ("command: [gunicorn, -b, '0.0.0.0:$APP_PORT', 'harbour.wsgi:app']", "", 5055),
    ],
)
def test_a_port_in_a_command_is_the_variables_value_or_its_default(
    tmp_path: Path, line: str, env: str, port: int
) -> None:
    text = COMPOSE.format(command=line)
    settings, _ = made(tmp_path, {**ROWS, "docker-compose.yml": text, ".env": env, "harbour/wsgi.py": ""})
    assert settings.backend is not None
    assert settings.backend.command == ["{python}", "-m", "gunicorn", "-b", "127.0.0.1:{port}", "harbour.wsgi:app"]
    assert settings.backend.port == port


@pytest.mark.parametrize("env", ["ENV PORT=7007\n", "ENV PORT 7007\n", ""])
def test_a_port_in_a_dockerfile_is_filled_in(tmp_path: Path, env: str) -> None:
    docker = f"FROM python:3.11\n{env}CMD gunicorn --bind 0.0.0.0:${{PORT:-7007}} wsgi:app\n"
    text = COMPOSE.format(command="").replace('    ports: ["${APP_PORT:-5055}:${APP_PORT:-5055}"]\n', "")
    settings, _ = made(tmp_path, {**ROWS, "compose.yaml": text, "harbour/Dockerfile": docker})
    assert settings.backend is not None
    assert settings.backend.command == ["{python}", "-m", "gunicorn", "--bind", "127.0.0.1:{port}", "wsgi:app"]


def test_a_text_of_a_private_file_is_not_copied_into_a_command(tmp_path: Path) -> None:
    text = COMPOSE.format(command="command: harbour-server --mode ${MODE:-quiet} --pier ${PIER} --port 5055")
    settings, _ = made(tmp_path, {**ROWS, "compose.yaml": text, ".env": "PIER=north-quay\nMODE=loud\n"})
    assert settings.backend is not None
    words = ["harbour-server", "--mode", "quiet", "--pier", "${PIER}", "--port", "{port}"]
    assert settings.backend.command == words


@pytest.mark.parametrize("image", ["redis:7", "bitnami/valkey:8.0", "docker.io/library/rabbitmq@sha256:0123"])
def test_a_ready_made_server_is_no_application(tmp_path: Path, image: str) -> None:
    text = f"""
services:
  db: {{image: "postgres:16"}}
  app-cache:
    image: {image}
    command: [some-server, "--requirepass hidden1"]
    environment: {{POSTGRES_USER: me, DYNAMO_ENDPOINT: "http://dynamo:8000"}}
  quay:
    build: ./harbour
    command: gunicorn -b 0.0.0.0:5055 harbour.wsgi:app
    environment: {{DATABASE_URL: "postgres://me:x@db:5432/harbour"}}
"""
    settings, _ = made(tmp_path, {**ROWS, "compose.yaml": text, "harbour/wsgi.py": ""})
    assert settings.backend is not None
    assert settings.backend.command[2] == "gunicorn"
    assert "hidden1" not in (tmp_path / "devenv.toml").read_text("utf-8")


def test_the_command_of_a_migrators_container_is_no_application(tmp_path: Path) -> None:
    text = """
services:
  db: {image: "postgres:16"}
  schema:
    image: migrate/migrate
    command: up
    environment: {DATABASE_URL: "postgres://me:x@db:5432/harbour"}
"""
    package = """{"scripts": {"local": "sls offline start --httpPort 4400 --stage local"},
        "devDependencies": {"serverless": "3", "serverless-offline": "13"}}"""
    settings, _ = made(tmp_path, {**ROWS, "compose.yaml": text, "package.json": package})
    assert settings.backend is not None
    words = ["npx", "--no-install", "sls", "offline", "start", "--stage", "local", "--httpPort", "{port}"]
    assert settings.backend.command == words
    assert settings.backend.port == 4400


def test_only_the_last_part_of_a_containers_command_is_the_server(tmp_path: Path) -> None:
    line = 'command: bash -c "mkdir -p tmp && bundle install && bin/rails db:create db:migrate && bin/rails s -p 5055"'
    settings, _ = made(tmp_path, {**ROWS, "compose.yaml": COMPOSE.format(command=line)})
    assert settings.backend is not None
    assert settings.backend.command == ["bin/rails", "s", "-p", "{port}"]
    said = "The container first runs `mkdir -p tmp; bin/rails db:create db:migrate`; this command leaves that out."
    assert said in " ".join((tmp_path / "devenv.toml").read_text().replace("#", " ").split())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("until nc -z db 5432; do sleep 1; done && node app.js", ["node", "app.js"]),
        ("./wait-for-it.sh db:5432 -- node app.js", ["node", "app.js"]),
        ("export A=1 && node app.js", ["bash", "-c", "export A=1 && node app.js"]),
        ("cd src && node app.js", ["bash", "-c", "cd src && node app.js"]),
    ],
)
def test_what_a_shell_does_before_the_server(tmp_path: Path, line: str, words: list[str]) -> None:
    text = COMPOSE.format(command=f"command: [bash, -c, '{line}']")
    settings, _ = made(tmp_path, {**ROWS, "compose.yaml": text, "harbour/app.js": ""})
    assert settings.backend is not None
    assert settings.backend.command == words
