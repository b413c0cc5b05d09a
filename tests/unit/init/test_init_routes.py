"""init makes subjects of the routes of an application's code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from devenv.init.asked_routes import fill_path
from devenv.init.routes import Route, read_routes
from devenv.init.survey import survey
from tests.unit.init.test_init import write
from tests.unit.init.test_init_kinds import COMPOSE, REQUEST, made

# --- code: routes become subjects

EXPRESS = {
    "package.json": '{"scripts": {"start": "node src/server.js"}, "dependencies": {"express": "4", "knex": "3"}}',
    "knexfile.js": "module.exports = { client: 'pg' };",
    "migrations/001_users.js": """
exports.up = (knex) => knex.schema.createTable('users', (t) => {
  t.uuid('id').primary().defaultTo(knex.fn.uuid());
  t.string('handle').notNullable().unique();
  t.string('display_name').notNullable();
});
exports.down = (knex) => knex.schema.dropTable('users');
""",
    "src/config.js": "module.exports = { table: process.env.CHAT_TABLE || 'chat' };",
    "src/server.js": """
const express = require('express');
const messages = require('./routes/messages');
const app = express();
app.get('/health', (req, res) => res.json({ ok: true }));
app.use('/api', messages);
app.listen(process.env.PORT || 3000);
""",
    "src/routes/messages.js": """
const { Router } = require('express');
const { listMessages } = require('../store');
const router = Router();
router.get('/rooms/:room/messages', async (req, res, next) => {
  try { res.json(await listMessages(req.params.room)); } catch (error) { next(error); }
});
module.exports = router;
""",
    "src/store.js": """
const { QueryCommand, PutCommand } = require('@aws-sdk/lib-dynamodb');
const { table } = require('./config');
async function listMessages(roomId, limit = 50) {
  const answer = await doc.send(new QueryCommand({
    TableName: table, Limit: limit, ScanIndexForward: false,
    KeyConditionExpression: '#pk = :pk', ExpressionAttributeNames: { '#pk': 'pk' },
    ExpressionAttributeValues: { ':pk': `ROOM#${roomId}` },
  }));
  return answer.Items.map((item) => ({ id: item.messageId, text: item.text, at: item.sk, by: item.userHandle }));
}
async function createMessage(roomId, userId, userHandle, text) {
  await doc.send(new PutCommand({ TableName: table, Item: {
    pk: `ROOM#${roomId}`, sk: new Date().toISOString(), messageId: randomUUID(), text, userId, userHandle } }));
}
module.exports = { listMessages, createMessage };
""",
    "scripts/seed.js": """
const ROOM = '0b5e3c1a-6c1d-4a58-9a37-2f5f6d0f6b11';
const people = [{ handle: 'ola', display_name: 'Ola' }];
""",
    "scripts/tables.js": """
const table = process.env.CHAT_TABLE || 'chat';
client.send(new CreateTableCommand({ TableName: table, BillingMode: 'PAY_PER_REQUEST',
  AttributeDefinitions: ['pk', 'sk'].map((n) => n),
}));
""",
    "infra/chat.json": '{"TableName": "chat", "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"},'
    ' {"AttributeName": "sk", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"},'
    ' {"AttributeName": "sk", "KeyType": "RANGE"}]}',
}  # fmt: skip


def test_express_with_knex_becomes_a_subject(tmp_path: Path) -> None:
    settings, body = made(tmp_path, EXPRESS)
    assert settings.backend is not None
    assert (settings.backend.command, settings.backend.env) == (["node", "src/server.js"], {"PORT": "{port}"})
    assert settings.backend.health == "/health"
    (entity,) = settings.entities.values()
    assert (entity.match, entity.attributes["messageId"]) == ({"pk": "ROOM#{roomId}"}, "string")
    (link,) = settings.links
    assert (link.source, link.to, link.copies) == (
        "dynamodb:chat.userId",
        "postgres:users.id",
        {"userHandle": "handle"},
    )
    trace = settings.trace["messages"]
    assert trace.request is not None
    assert trace.library is not None
    assert trace.request.path == "/api/rooms/{roomId}/messages"
    assert trace.ids == {"dynamodb": "messageId", "library": "id", "http": "id"}
    assert (trace.sorted_by, trace.order) == ("at", "newest first")
    assert trace.library.command[:2] == ["node", "-e"]
    assert "import('./src/store.js')" in trace.library.command[2]
    assert trace.library.command[3:] == ["{roomId}"]
    assert "devenv trace messages 0b5e3c1a-6c1d-4a58-9a37-2f5f6d0f6b11 --user ola" in body["lines"]
    assert any(each.startswith("scripts/tables.js:3: CreateTableCommand") for each in body["unused"])


NEST = {
    "docker-compose.yml": COMPOSE,
    "package.json": '{"dependencies": {"@nestjs/core": "10"}, "devDependencies": {"typescript": "5"}}',
    "infra/things.json": REQUEST.replace("things", "rooms"),
    "src/main.ts": "app.setGlobalPrefix('v1');",
    "src/rooms.controller.ts": """
@Controller('rooms')
export class RoomsController {
  constructor(private readonly rooms: RoomsService) {}
  @Get(':id/lines')
  async lines(@Param('id') id: string): Promise<Line[]> {
    return this.rooms.findLines(id);
  }
}
""",
    "src/rooms.service.ts": """
@Injectable()
export class RoomsService {
  async findLines(id: string): Promise<Line[]> {
    const { Items } = await this.client.send(new QueryCommand({
      TableName: 'rooms', KeyConditionExpression: 'id = :id', ExpressionAttributeValues: { ':id': { S: id } } }));
    return Items.map((item) => ({ room: item.id.S, text: item.text.S }));
  }
  async add(id: string, text: string) {
    await this.client.send(new PutItemCommand({ TableName: 'rooms', Item: { id: { S: id }, text: { S: text } } }));
  }
}
""",
}


def test_nestjs_routes_carry_their_prefixes(tmp_path: Path) -> None:
    write(tmp_path, NEST)
    (route,) = (route for code in survey(tmp_path).code for route in code.routes)
    assert (route.path, route.parameters, "findLines" in route.calls) == ("/v1/rooms/{id}/lines", ("id",), True)
    (query,) = (query for code in survey(tmp_path).code for query in code.queries)
    assert (query.function.name, query.table, query.key) == ("RoomsService.findLines", "rooms", {"id": "{id}"})


FASTAPI = {
    "alembic.ini": "[alembic]\nscript_location = migrations\n",
    "migrations/env.py": "import alembic\n",
    "migrations/versions/001_users.py": """
revision = "001"
down_revision = None
def upgrade():
    op.create_table("users", sa.Column("id", sa.UUID(), nullable=False), sa.Column("handle", sa.Text(), unique=True),
                    sa.PrimaryKeyConstraint("id"))
""",
    "infra/notes.json": REQUEST.replace("things", "notes"),
    "app/__init__.py": "",
    "app/main.py": """
from fastapi import FastAPI
from app import notes
app = FastAPI()
app.include_router(notes.router, prefix="/api")
""",
    "app/notes.py": """
import boto3
from fastapi import APIRouter
router = APIRouter(prefix="/notes")
table = boto3.resource("dynamodb").Table("notes")

def put_note(user_id, text):
    table.put_item(Item={"id": user_id, "text": text})

async def list_notes(user_id: str):
    found = table.query(KeyConditionExpression=Key("id").eq(user_id))
    return found["Items"]

@router.get("/{handle}")
async def notes_of(handle: str):
    return await list_notes(await id_of(handle))
""",
}


def test_fastapi_with_alembic_and_mounted_routers(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, FASTAPI)
    assert settings.steps.setup.migrations == "alembic"
    assert settings.person is not None
    assert (settings.person.table, settings.person.id, settings.person.name) == ("public.users", "id", "handle")
    assert settings.backend is not None
    assert settings.backend.command == ["{python}", "-m", "uvicorn", "app.main:app", "--port", "{port}"]
    assert settings.backend.health == "/docs"
    trace = settings.trace["notes"]
    assert trace.request is not None
    assert trace.library is not None
    assert trace.request.path == "/api/notes/{person.handle}"
    assert trace.library.function == "app.notes:list_notes"


def test_an_answer_that_spreads_each_item_shows_all_its_fields() -> None:
    text = """
@app.get("/members/<member_id>/history")
def history(member_id):
    rows = for_member(member_id)
    return jsonify([{**r, "title": "x"} for r in rows])

@app.get("/cooks/<cook_id>")
def cooks(cook_id):
    items = by_cook(cook_id)
    return jsonify({"cooks": [int(i["cook"]) for i in items]})
"""
    spread, plain = read_routes("app.py", ast.parse(text))
    assert spread.answers == {}
    assert plain.answers == {"by_cook": {}}
    assert "by_cook" not in plain.wraps


def test_a_route_that_picks_the_fields_of_one_thing() -> None:
    """Values in another type are the same fields; those of another thing are not its own."""
    text = """
@app.get("/beds/<bed_id>/harvests/<day>")
def one(bed_id, day):
    found = store.harvest(bed_id, day)
    owner = store.grower(found["grower_id"])
    return jsonify(day=day, kilos=float(found["kilos"]), grower=owner["name"])

@app.get("/beds/<bed_id>/readings")
def many(bed_id):
    return jsonify(readings=[{"at": r["taken_at"], "celsius": float(r["celsius"])} for r in store.readings(bed_id)])

@app.get("/things/<id>")
def whole(id):
    thing = store.thing(id)
    return {**thing, "label": thing["name"]}
"""
    one, many, whole = read_routes("app.py", ast.parse(text))
    assert one.answers["harvest"] == {"day": "day", "kilos": "kilos"}
    assert many.answers["readings"] == {"at": "taken_at", "celsius": "celsius"}
    assert whole.answers == {}


def test_a_route_whose_parameters_do_not_lead_to_the_key_is_printed(tmp_path: Path) -> None:
    app = """
from flask import Flask
from boto3.dynamodb.conditions import Key
import boto3
app = Flask(__name__)
table = boto3.resource("dynamodb").Table("things")

def list_loans(member_id):
    return table.query(KeyConditionExpression=Key("id").eq(f"MEMBER#{member_id}"))["Items"]

def add_loan(member_id):
    table.put_item(Item={"id": f"MEMBER#{member_id}", "note": "x"})

@app.get("/cards/<card>/<week>/loans")
def show(card, week):
    return list_loans(find_member(card, week))
"""
    _, body = made(tmp_path, {"docker-compose.yml": COMPOSE, "app.py": app, "things.json": REQUEST})
    [line] = [each for each in body["undeclared"] if "/cards/{card}/{week}/loans" in each]
    assert "calls list_loans" in line


@pytest.mark.parametrize(
    ("parameter", "place", "path"),
    [
        ("permit_id", "{plate}", None),
        ("permitId", "{plate}", None),
        ("plate", "{plate}", "/cars/{plate}/crossings"),
        ("plate_id", "{plate}", "/cars/{plate}/crossings"),
        ("id", "{plate}", "/cars/{plate}/crossings"),
        ("car", "{plate}", "/cars/{plate}/crossings"),
    ],
)
def test_a_route_by_the_id_of_something_else_is_not_filled_in(parameter: str, place: str, path: str | None) -> None:
    """The handler looks up the plate of a permit: a request with the plate for its id is another one."""
    route = Route("app.py", 1, f"/cars/{{{parameter}}}/crossings", (parameter,))
    assert fill_path(route, {place.strip("{}"): place}, None) == path


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('return {"nick": n, "rides": [{"at": r["at"]} for r in found["Items"]]}', "rides"),
        (
            'items = found.get("Items", [])\n    every = [r["at"] for r in items]\n    return jsonify(rides=every)',
            "rides",
        ),
        ('return JsonResponse({"rides": found["Items"], "more": False})', "rides"),
        ('return {"rides": found["Items"], "again": found["Items"]}', None),
        ('return found["Items"]', None),
        ('return {"rides": others(found)}', None),
    ],
)
def test_the_field_of_a_list_that_the_route_itself_asks_for(body: str, field: str | None) -> None:
    text = f"@app.route('/riders/<rider>/rides')\ndef rides(rider):\n    found = table.query(K)\n    {body}\n"
    (route,) = read_routes("app.py", ast.parse(text))
    assert route.wraps.get("rides") == field
