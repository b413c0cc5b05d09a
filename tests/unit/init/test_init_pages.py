"""`devenv init` on routes whose answer cannot be compared: HTML, lists of plain values; and fields that items have."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

from devenv.init.javascript_answers import is_page, read_answer
from devenv.init.routes import read_routes
from tests.unit.init.test_init_kinds import made
from tests.unit.init.test_init_single_table import TABLE

STORE = """\
import boto3
from boto3.dynamodb.conditions import Key

table = boto3.resource("dynamodb").Table("shop")

def moves(game_id):
    return table.query(KeyConditionExpression=Key("PK").eq(f"GAME#{game_id}") & Key("SK").begins_with("MOVE#"))["Items"]

def add(game_id, move_id, day):
    table.put_item(Item={"PK": f"GAME#{game_id}", "SK": f"MOVE#{move_id}", "move_id": move_id, "square": "e4"})
"""
APP = """\
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
import store
app = FastAPI()

@app.get("/games/{game_id}", response_class=HTMLResponse)
def page(game_id: str):
    return show(store.moves(game_id))
"""
API = """
@app.get("/api/games/{game_id}/moves")
def api(game_id: str):
    return {"moves": store.moves(game_id)}
"""
FILES = {"table.json": TABLE, "db/games.sql": "CREATE TABLE games (id text PRIMARY KEY);", "store.py": STORE}


def test_a_route_that_answers_with_html_is_not_compared(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, {**FILES, "main.py": APP})
    trace = settings.trace["moves"]
    assert (trace.request, "http" in trace.ids) == (None, False)
    assert "answers with HTML, which is not compared: no [trace.moves.request]" in " ".join(
        (tmp_path / "devenv.toml").read_text().replace("\n# ", " ").split()
    )


def test_of_two_routes_the_one_that_answers_with_json_is_traced(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, {**FILES, "main.py": APP + API})
    request = settings.trace["moves"].request
    assert request is not None
    assert (request.path, request.items) == ("/api/games/{game_id}/moves", "moves")


@pytest.mark.parametrize(
    ("body", "page"),
    [
        ("return templates.TemplateResponse(request, 'x.html', {})", True),
        ("return render_template('x.html', rows=rows())", True),
        ("return HTMLResponse(text)", True),
        ("return jsonify(rows()) if wants_json() else render_template('x.html')", False),
        ("return rows()", False),
    ],
)
def test_pages_of_python(body: str, page: bool) -> None:
    (route,) = read_routes("a.py", ast.parse(f"@app.get('/x')\ndef x():\n    {body}\n"))
    assert route.page is page


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("res.send(`<!doctype html><h1>${rows.length}</h1>`)", True),
        ("res.send(\n  '<ul></ul>')", True),
        ("if (!row) return res.status(404).json({ error: 'none' }); res.render('game', { row })", True),
        ("return reply.view('game.ejs', { row })", True),
        ("return c.html(view(row))", True),
        ("res.type('html').send(view(row))", True),
        ("if (req.accepts('html')) return res.render('game', { row }); res.json({ row })", False),
        ("res.json(rows)", False),
        ("res.send(rows)", False),
    ],
)
def test_pages_of_javascript(text: str, page: bool) -> None:
    assert is_page(text) is page


@pytest.mark.parametrize(
    "shown", ["moves.map(m => m.square)", "moves.map((m) => m.square)", "moves.filter(m => m.ok)", "moves.length"]
)
def test_an_answer_of_plain_values_or_some_items_has_no_ids(shown: str) -> None:
    text = "const [game, moves] = await Promise.all([store.game(id), store.movesOf(id, { all: f(1) })]);"
    text += f"\n res.json({{ moves: {shown} }})"
    assert read_answer(text)[1] == {"movesOf": {}}


def test_what_is_waited_for_at_once_is_known_by_its_place() -> None:
    text = "const [game, moves] = await Promise.all([game(id), movesOf(id)]); res.json({ moves, n: game.name })"
    assert read_answer(text)[0]["movesOf"] == "moves"


def test_a_key_that_is_a_constant_is_no_field(tmp_path: Path) -> None:
    """The items of an index have their own hash key as their id: two may have the same sort key in the index."""
    table = TABLE.replace(
        '"AttributeDefinitions": [',
        '"AttributeDefinitions": [{"AttributeName": "G1", "AttributeType": "S"},'
        ' {"AttributeName": "G2", "AttributeType": "S"}, ',
    ).replace(
        '"BillingMode"',
        '"GlobalSecondaryIndexes": [{"IndexName": "by-hall", "KeySchema": [{"AttributeName": "G1", "KeyType": "HASH"},'
        ' {"AttributeName": "G2", "KeyType": "RANGE"}], "Projection": {"ProjectionType": "ALL"}}], "BillingMode"',
    )
    store = STORE.replace(
        'f"GAME#{game_id}") & Key("SK").begins_with("MOVE#")', 'f"HALL#{hall}") & Key("G2").begins_with("GAME#")'
    ).replace('KeyConditionExpression=Key("PK")', 'IndexName="by-hall", KeyConditionExpression=Key("G1")')
    store = store.replace("def moves(game_id)", "def games(hall)")
    a = store.index("def add")
    store = store[:a] + (
        "def add(no, hall, day):\n    table.put_item(Item={'PK': f'GAME#{no}', 'SK': 'META', 'title': 'x',"
        " 'G1': f'HALL#{hall}', 'G2': f'GAME#{day}'})\n"
    )
    settings, _ = made(tmp_path, {**FILES, "table.json": table, "store.py": store})
    assert tomllib.loads((tmp_path / "devenv.toml").read_text())["patterns"]["games"]["index"] == "by-hall"
    assert settings.patterns["games"].sort == {"begins_with": "GAME#"}
    trace = settings.trace["games"]
    assert "SK" not in trace.fields
    assert dict(trace.ids) == {"dynamodb": "GAME#{no}", "library": "PK"}
