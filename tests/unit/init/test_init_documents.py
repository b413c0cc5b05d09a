"""`devenv init` reads how documents start the application, PHP, and which extensions a server must have."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.init.documents import documented_port
from devenv.init.php_code import read_php, template_of
from tests.unit.init.test_init_kinds import made

SQL = "CREATE TABLE a (id int PRIMARY KEY);"
LISTENS = r"""<?php
namespace Guide;
final class Listens
{
    private const TABLE = 'GuideListens';
    public function ofDevice(string $imei): array
    {
        return $this->items([
            'TableName' => self::TABLE,
            'KeyConditionExpression' => '#d = :d AND begins_with(StartedAt, :y)',
            'ExpressionAttributeNames' => ['#d' => 'Device'],
            'ExpressionAttributeValues' => [':d' => ['S' => 'DEV#' . $imei], ':y' => ['S' => '2024']],
            'ScanIndexForward' => false,
            'Limit' => 5,
        ]);
    }
    private function items(array $query): array
    {
        return $this->db->query($query)['Items'];
    }
}
"""
INDEX = r"""<?php
$app->get('/alive', fn ($q, $r) => $json($r, ['alive' => true]));
$app->get('/devices/{imei:[0-9]{15}}/tour', function (Request $q, Response $r, array $args) use ($json) {
    $tour = (new Listens(Config::dynamo()))->ofDevice($args['imei']);
    $stops = [];
    foreach ($tour as $stop) {
        $stops[] = ['at' => $stop['StartedAt'], 'seconds' => $stop['Seconds'], 'room' => $row['label']];
    }
    return $json($r, $stops);
});
"""


@pytest.mark.parametrize(
    ("text", "program", "port"),
    [
        ("run:\n\tuvicorn shop.main:app --host 127.0.0.1 --port 8080 --reload\n", "uvicorn", 8080),
        ("    python manage.py runserver 0.0.0.0:9000\n", "runserver", 9000),
        ("web: flask --app shop run -p 5005\n", "flask", 5005),
        ("uvicorn shop:app\n\nPort 8000 is taken.\n", "uvicorn", None),
    ],
)
def test_the_port_of_a_command_in_a_document(text: str, program: str, port: int | None) -> None:
    assert documented_port({"README.md": text}, program) == port


def test_a_port_of_the_makefile_is_the_backends(tmp_path: Path) -> None:
    app = "from fastapi import FastAPI\napp = FastAPI()\n@app.get('/ping')\ndef ping(): ...\n"
    files = {
        "db.sql": SQL,
        "shop/__init__.py": "",
        "shop/main.py": app,
        "Makefile": "run:\n\tuvicorn shop.main:app --port 8077\n",
    }
    settings, _ = made(tmp_path, files)
    assert settings.backend is not None
    assert (settings.backend.port, settings.backend.health) == (8077, "/ping")


def test_a_package_that_the_readme_starts_is_the_backend(tmp_path: Path) -> None:
    program = 'if path == "/ready":\n    pass\nmake_server(HOST, PORT, app).serve_forever()\n'
    files = {
        "db.sql": SQL,
        "README.txt": "  createdb practice\n  python -m desk\n  python -m pytest\n",
        "desk/__main__.py": program,
        "desk/desk.ini": "[http]\nport = 8765\n",
    }
    settings, _ = made(tmp_path, files)
    assert settings.backend is not None
    assert settings.backend.command == ["{python}", "-m", "desk"]
    assert (settings.backend.port, settings.backend.health) == (8765, "/ready")
    assert settings.postgres is not None
    assert settings.postgres.database == "practice"


@pytest.mark.parametrize(
    ("files", "command", "port"),
    [
        ({"composer.json": '{"scripts": {"serve": "php -S 127.0.0.1:8088 -t web"}}'}, ["-S", "-t", "web"], 8088),
        ({"composer.json": "{}", "public/index.php": "<?php\n"}, ["-S", "-t", "public"], None),
        ({"composer.json": "{}", "artisan": "#!/usr/bin/env php\n"}, ["artisan", "serve", "--host", "--port"], None),
    ],
)
def test_phps_server_is_the_backend(
    tmp_path: Path, files: dict[str, str], command: list[str], port: int | None
) -> None:
    settings, _ = made(tmp_path, {"db.sql": SQL, **files})
    assert settings.backend is not None
    assert settings.backend.command[0] == "php"
    assert [word for word in settings.backend.command[1:] if "127.0.0.1" not in word and word != "{port}"] == command
    assert any("{port}" in word for word in settings.backend.command)
    assert port is None or settings.backend.port == port


def test_queries_and_routes_of_php() -> None:
    listens, index = read_php({"src/Listens.php": LISTENS, "public/index.php": INDEX, "tests/x.php": LISTENS}, [])
    (query,) = listens.queries
    assert (query.table, query.key, query.function.name) == ("GuideListens", {"Device": "DEV#{imei}"}, "ofDevice")
    assert (query.narrowed, query.begins, query.forward, query.limit) == ("StartedAt", "2024", False, 5)
    alive, tour = index.routes
    assert (alive.path, tour.path, tour.parameters) == ("/alive", "/devices/{imei}/tour", ("imei",))
    assert "ofDevice" in tour.calls
    assert tour.answers == {"ofDevice": {"at": "StartedAt", "seconds": "Seconds"}}


@pytest.mark.parametrize(
    ("expression", "template"),
    [
        ("'USER#' . $id", "USER#{id}"),
        ('"USER#$id"', "USER#{id}"),
        ('"USER#{$id}#X"', "USER#{id}#X"),
        ("(string) $id", "{id}"),
        ("self::KIND . $id", "K#{id}"),
        ("strtoupper($id)", None),
    ],
)
def test_texts_that_php_puts_together(expression: str, template: str | None) -> None:
    assert template_of(expression, {"KIND": "K#"}) == template


def test_controllers_of_laravel_are_found_by_their_class() -> None:
    routes = "<?php\nRoute::get('/notes/{id}', [NoteController::class, 'show']);\n"
    method = "    public function show(string $id)\n    {\n        return $this->notes->find($id);\n    }\n"
    controller = f"<?php\nclass NoteController\n{{\n{method}}}\n"
    (code,) = read_php({"routes/api.php": routes, "app/NoteController.php": controller}, [])
    (route,) = code.routes
    assert (route.path, route.file, route.line) == ("/api/notes/{id}", "app/NoteController.php", 4)
    assert "find" in route.calls


@pytest.mark.parametrize(
    "files",
    [
        {"db/1.sql": f"CREATE EXTENSION postgis;\n{SQL}"},
        {"db/migrations/V1__a.sql": f"CREATE EXTENSION IF NOT EXISTS postgis;\n{SQL}"},
        {
            "db.sql": SQL,
            "alembic/versions/1.py": 'revision = "1"\nop.execute("CREATE EXTENSION IF NOT EXISTS postgis")\n',
        },
    ],
)
def test_an_extension_that_is_missing_is_asked_about_with_the_ways_out(tmp_path: Path, files: dict[str, str]) -> None:
    compose = "services: {db: {image: 'postgis/postgis:16-3.4'}}"
    settings, body = made(tmp_path, {"docker-compose.yml": compose, **files})
    assert settings.postgres is not None
    assert settings.postgres.source == "wheel"
    (edit,) = [each for each in body["edits"] if "postgis" in each]
    assert 'source = "system"' in edit
    assert 'image = "postgis/postgis:16-3.4"' in edit


def test_an_image_whose_extension_nothing_creates_is_noted(tmp_path: Path) -> None:
    compose = "services: {db: {image: 'pgvector/pgvector:pg16'}}"
    made(tmp_path, {"docker-compose.yml": compose, "db.sql": f"-- CREATE EXTENSION vector;\n{SQL}"})
    assert "no file creates the extension vector" in " ".join((tmp_path / "devenv.toml").read_text().split("\n# "))


def test_environ_that_is_imported_is_that_of_os(tmp_path: Path) -> None:
    code = """\
from os import environ
import psycopg
CONNINFO = environ.get("PRACTICE_DB") or "dbname=practice"
def app(start):
    return psycopg.connect(CONNINFO)
"""
    wsgi = 'import os\ndef app(environ, start):\n    return environ["PATH_INFO"], os.getenv("DESK_DB")\n'
    settings, _ = made(tmp_path, {"db.sql": SQL, "desk/db.py": code, "desk/wsgi.py": wsgi})
    assert settings.env["PRACTICE_DB"] == "{postgres_url}"
    assert "PATH_INFO" not in (tmp_path / "devenv.toml").read_text()


def test_the_fields_that_a_function_shows_are_no_item(tmp_path: Path) -> None:
    code = """\
import boto3
from boto3.dynamodb.conditions import Key
def stays(guest):
    found = boto3.resource("dynamodb").Table("stays").query(KeyConditionExpression=Key("guest").eq(guest))["Items"]
    return [{"room": f"{i['hotel']}/{i['no']}", "nights": i["nights"], "paid": str(i["paid"])} for i in found]
"""
    tables = "".join(
        f"aws dynamodb create-table --table-name {name} --billing-mode PAY_PER_REQUEST --attribute-definitions"
        f" AttributeName={key},AttributeType=S --key-schema AttributeName={key},KeyType=HASH\n"
        for name, key in (("stays", "guest"), ("locks", "room"))
    )
    settings, _ = made(tmp_path, {"db.sql": SQL, "app/stays.py": code, "tables.sh": tables})
    assert "locks" not in [entity.table for entity in settings.entities.values()]
