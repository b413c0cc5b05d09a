"""`devenv init` finds the prefixes of routes that settings, constants and configuration give."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.init.survey import survey
from tests.unit.init.test_init import write
from tests.unit.init.test_init_kinds import made

ROUTER = """\
import boto3
from fastapi import APIRouter
router = APIRouter({own})
@router.get("/notes/{{note_id}}")
def note(note_id):
    return boto3.resource("dynamodb").Table("notes")
"""
SETTINGS = """\
from pydantic_settings import BaseSettings
class Settings(BaseSettings):
    api_prefix: str = "/api/v3"
    dynamodb_url: str = "http://localhost:8000"
settings = Settings()
"""
CONFIG = """\
import os
class Config:
    URL_PREFIX = "/v2"
    MADE = os.environ.get("PREFIX", "/made")
"""


def paths(root: Path, files: dict[str, str]) -> list[str]:
    return [route.path for code in survey(write(root, files)).code for route in code.routes]


@pytest.mark.parametrize(
    ("main", "own", "path"),
    [
        ("app.include_router(notes.router, prefix=settings.api_prefix)", "", "/api/v3/notes/{note_id}"),
        ('app.include_router(notes.router, prefix=f"{settings.api_prefix}/x")', "", "/api/v3/x/notes/{note_id}"),
        ('app.include_router(notes.router, prefix=settings.api_prefix + "/y")', "", "/api/v3/y/notes/{note_id}"),
        ("app.include_router(notes.router)", 'prefix="/own"', "/own/notes/{note_id}"),
        ("app.include_router(notes.router, prefix=Config.URL_PREFIX)", "", "/v2/notes/{note_id}"),
        ("app.include_router(notes.router, prefix=Config.MADE)", "", "/made/notes/{note_id}"),
        ("PREFIX = '/const'\napp.include_router(notes.router, prefix=PREFIX)", "", "/const/notes/{note_id}"),
    ],
)
def test_prefixes_of_fastapi(tmp_path: Path, main: str, own: str, path: str) -> None:
    head = (
        "from fastapi import FastAPI\nfrom . import notes\nfrom .settings import settings\nfrom .config import Config\n"
    )
    files = {
        "shop/main.py": f"{head}app = FastAPI()\n{main}\n",
        "shop/notes.py": ROUTER.format(own=own),
        "shop/settings.py": SETTINGS,
        "shop/config.py": CONFIG,
    }
    assert paths(tmp_path, files) == [path]


def test_a_blueprints_prefix_from_the_configuration(tmp_path: Path) -> None:
    files = {
        "shop/__init__.py": "from flask import Flask\nfrom .notes import bp\ndef create_app():\n"
        "    app = Flask(__name__)\n"
        '    app.config.from_object("shop.config.Config")\n'
        '    app.register_blueprint(bp, url_prefix=app.config["URL_PREFIX"])\n    return app\n',
        "shop/notes.py": 'from flask import Blueprint\nbp = Blueprint("notes", __name__)\n'
        '@bp.get("/notes/<note_id>")\ndef note(note_id): ...\n',
        "shop/config.py": CONFIG,
    }
    assert paths(tmp_path, files) == ["/v2/notes/{note_id}"]


def test_a_prefix_that_is_computed_gives_none(tmp_path: Path) -> None:
    files = {
        "main.py": "from fastapi import FastAPI\nimport notes\napp = FastAPI()\n"
        "app.include_router(notes.router, prefix=prefix_for(app))\n",
        "notes.py": ROUTER.format(own=""),
    }
    assert paths(tmp_path, files) == ["/notes/{note_id}"]


HANDLER = """\
import os
import boto3
from boto3.dynamodb.conditions import Key
class Config:
    TABLE = "sent"
def handler(event, _):
    for a in event["all"]:
        boto3.resource("dynamodb").Table("sent").put_item(Item={"code": a["code"], "at": a["at"], "apptNo": a["no"]})
def sent_to(code):
    return boto3.resource("dynamodb").Table(Config.TABLE).query(KeyConditionExpression=Key("code").eq(code))["Items"]
"""


def test_a_handlers_items_are_called_after_their_table_and_typed_by_the_seeds(tmp_path: Path) -> None:
    table = (
        "aws dynamodb create-table --table-name sent --billing-mode PAY_PER_REQUEST --attribute-definitions"
        " AttributeName=code,AttributeType=S AttributeName=at,AttributeType=S --key-schema"
        " AttributeName=code,KeyType=HASH AttributeName=at,KeyType=RANGE\n"
    )
    app = "from flask import Flask\napp = Flask(__name__)\n@app.get('/ready')\ndef ready(): ...\n"
    files = {
        "db.sql": "CREATE TABLE a (id int PRIMARY KEY);",
        "tables.sh": table,
        "app.py": app,
        "sent/mail.py": HANDLER,
        "seeds/sent.json": '{"table": "sent", "items": [{"code": "P1", "at": "x", "apptNo": 7001}]}',
    }
    settings, body = made(tmp_path, files)
    (entity,) = settings.entities
    assert entity == "sent"
    assert settings.entities[entity].attributes["apptNo"] == "number"
    assert settings.patterns["sent_to"].table == "sent"
    assert any(each.startswith("[trace.sent_to.request]: no route that calls sent_to") for each in body["undeclared"])
