"""How the application starts, in which folder, on which port, and with which health path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import made

# Of `[backend]`, where nothing names one.
USUAL = 4567
ROWS = {"db/schema.sql": "CREATE TABLE skippers (id int PRIMARY KEY);"}
FLASK = "from flask import Flask\napp = Flask(__name__)\n@app.get('/probe')\ndef probe():\n    return 'ok'\n"
AIOHTTP = """
from aiohttp import web
from ferry.routes import routes
app = web.Application()
app.add_routes(routes)
if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=8181)
"""
SINATRA = "get '/ok' do\n  'ok'\nend\nget '/skippers/:id' do\nend\n"
GEMS = "gem 'sinatra'\ngem 'aws-sdk-dynamodb'\n"
ARGUMENTS = """
import argparse
from ferry.web import application
parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=8099)
make_server("", parser.parse_args().port, application).serve_forever()
"""
GO = """package main

import ("flag"; "fmt"; "net/http")

func main() {
	port := flag.Int("port", 7412, "the port")
	flag.Parse()
	http.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {})
	http.ListenAndServe(fmt.Sprintf(":%d", *port), nil)
}
"""
NODE = "const app = require('express')();\napp.get('/ok', (q, r) => r.send('ok'));\napp.listen(config.get('port'));\n"


@pytest.mark.parametrize(
    ("files", "command", "folder", "port", "health"),
    [
        (
            {"ferry/__init__.py": "", "ferry/routes.py": "", "ferry/server.py": AIOHTTP},
            ["{python}", "-m", "ferry.server"],
            None,
            8181,
            None,
        ),
        (
            {"svc/ferry/__init__.py": "", "svc/ferry/web.py": "", "svc/ferry/__main__.py": ARGUMENTS},
            ["{python}", "-m", "ferry", "--port", "{port}"],
            "svc",
            8099,
            None,
        ),
        (
            {"ferry/web.py": "", "Procfile": "web: gunicorn ferry.web:app --bind 0.0.0.0:$PORT\n"},
            ["{python}", "-m", "gunicorn", "ferry.web:app", "--bind", "127.0.0.1:{port}"],
            None,
            None,
            None,
        ),
        (
            {"api/Gemfile": GEMS + "gem 'puma'\n", "api/config.ru": "run Ferry", "api/ferry.rb": SINATRA},
            ["bundle", "exec", "puma", "-b", "tcp://127.0.0.1:{port}"],
            "api",
            None,
            "/ok",
        ),
        (
            {"Gemfile": GEMS, "config.ru": "run Ferry", "ferry.rb": SINATRA},
            ["bundle", "exec", "rackup", "--host", "127.0.0.1", "--port", "{port}"],
            None,
            None,
            "/ok",
        ),
        (
            {"Gemfile": GEMS, "app.rb": f"require 'sinatra'\n{SINATRA}"},
            ["bundle", "exec", "ruby", "app.rb", "-o", "127.0.0.1", "-p", "{port}"],
            None,
            None,
            "/ok",
        ),
        (
            {"server/go.mod": "module ferry\n", "server/cmd/api/main.go": GO},
            ["go", "run", "./cmd/api", "-port", "{port}"],
            "server",
            7412,
            "/ok",
        ),
        (
            {
                "api/package.json": json.dumps(
                    {"scripts": {"start": "node index.js"}, "dependencies": {"express": "4"}}
                ),
                "api/index.js": NODE,
                "api/config/default.json": '{"port": 6123}',
            },
            ["node", "index.js"],
            "api",
            6123,
            "/ok",
        ),
    ],
)
def test_the_command_its_folder_its_port_and_its_health(
    tmp_path: Path, files: dict[str, str], command: list[str], folder: str | None, port: int | None, health: str | None
) -> None:
    settings, _ = made(tmp_path, {**ROWS, **files})
    backend = settings.backend
    assert backend is not None
    assert (backend.command, backend.folder, backend.port, backend.health) == (
        command,
        folder or ".",
        port or USUAL,
        health,
    )


SERVICE = """
services:
  db: {{image: "postgres:16"}}
  ferry-api:
    environment: {{DATABASE_URL: "postgres://me:x@db/ferry"}}
    ports: ["8400:8400"]
    {more}
"""


@pytest.mark.parametrize(
    ("more", "docker"),
    [
        (
            "build: {context: ., dockerfile: backend/Dockerfile}",
            {"backend/Dockerfile": "FROM python\nWORKDIR /srv\nCOPY backend/ .\nCMD flask --app app run -p 8400\n"},
        ),
        (
            "build: {context: ., dockerfile: docker/api.Dockerfile}",
            {
                "docker/api.Dockerfile": "FROM python AS a\nWORKDIR /x\nFROM a\nCOPY . /srv\nWORKDIR /srv/backend\n"
                "CMD flask --app app run -p 8400\n"
            },
        ),
        (
            "image: python:3.11\n    volumes: ['./backend:/srv:ro']\n    working_dir: /srv\n"
            "    command: sh -c 'pip install -r requirements.txt && flask --app app run -p 8400'",
            {},
        ),
    ],
)
def test_an_application_in_a_subfolder_runs_there(tmp_path: Path, more: str, docker: dict[str, str]) -> None:
    files = {**ROWS, "compose.yaml": SERVICE.format(more=more), "backend/app.py": FLASK, **docker}
    backend = made(tmp_path, files)[0].backend
    assert backend is not None
    assert backend.command == ["{python}", "-m", "flask", "--app", "app", "run", "-p", "{port}"]
    assert (backend.folder, backend.port, backend.health) == ("backend", 8400, "/probe")


SPRING = (
    "<project><artifactId>spring-boot-starter-web</artifactId><artifactId>spring-boot-starter-actuator</artifactId>"
)


@pytest.mark.parametrize(
    ("files", "health"),
    [
        ({"api.py": FLASK, "admin/index.js": "const a = express();\na.get('/healthz', f);\n"}, "/healthz"),
        ({"api/app.py": FLASK, "admin/index.js": "const a = express();\na.get('/healthz', f);\n"}, "/probe"),
        ({"app.py": "from fastapi import FastAPI\napp = FastAPI()\n"}, "/docs"),
        ({"app.py": "from fastapi import FastAPI\napp = FastAPI(docs_url=None)\n"}, None),
        ({"pom.xml": SPRING, "src/main/resources/application.yml": "{}"}, "/actuator/health"),
        (
            {
                "pom.xml": SPRING,
                "src/main/resources/application.properties": "management.endpoints.web.base-path=/manage\n",
            },
            "/manage/health",
        ),
        ({"pom.xml": SPRING, "src/main/resources/application.properties": "management.server.port=9001\n"}, None),
    ],
)
def test_the_health_path_is_a_route_of_the_application_itself(
    tmp_path: Path, files: dict[str, str], health: str | None
) -> None:
    backend = made(tmp_path, {**ROWS, **files})[0].backend
    assert backend is not None
    assert backend.health == health


def test_a_program_with_routes_that_nothing_starts_is_listed(tmp_path: Path) -> None:
    _, body = made(tmp_path, {**ROWS, "lib/routes.js": "router.get('/skippers', list);\nconst r = express();"})
    assert [each for each in body["undeclared"] if each.startswith("[backend]: lib/routes.js:1 serves /skippers")]
