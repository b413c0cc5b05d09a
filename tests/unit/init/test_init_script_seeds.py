"""Rows that seeds of JavaScript and Ruby insert, the tables that programs make, and the types that TypeScript tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devenv.init.survey import survey
from tests.unit.init.test_init import write
from tests.unit.init.test_init_kinds import made

ID = "8f5b2c1a-0d5f-4a6e-9d2e-6b1f0c7a4e21"
KNEX = f"exports.seed = async (knex) => {{ await knex('shows').insert([{{ id: '{ID}', act: 'Owls' }}]); }};"
DRIZZLE = f"await db.insert(shows).values([{{ id: '{ID}', stageName: 'Owls' }}]).onConflictDoNothing();"
TABLE_TS = "export const shows = pgTable('shows', { id: uuid('id').primaryKey(), stageName: text('act').notNull() });"
PRISMA = (
    f"await prisma.show.create({{ data: {{ id: '{ID}', name: 'Owls', tickets: {{ create: [{{ code: 'L-1' }}] }} }} }});"
)
SCHEMA = """
model Show {
  id   String @id @db.Uuid
  name String @map("act")
  tickets Ticket[]
  @@map("shows")
}
model Ticket {
  code String @id
  show Show @relation(fields: [showId], references: [id])
  showId String @map("show_id")
  @@map("tickets")
}
"""
QUERY = f"const s = {{ id: '{ID}' }};\nawait ds.query(`INSERT INTO shows (id, act) VALUES ($1, $2)`, [s.id, 'Owls']);"
RAILS = "create_table :shows, id: :uuid do |t|\n  t.string :act\nend\n"
BULK = f"up: (q) => q.bulkInsert('shows', [{{ id: '{ID}', act: 'Owls' }}])"


@pytest.mark.parametrize(
    ("files", "more"),
    [
        ({"seeds/01.js": KNEX}, {}),
        ({"seed/index.ts": DRIZZLE, "src/schema.ts": TABLE_TS}, {}),
        ({"prisma/seed.ts": PRISMA, "prisma/schema.prisma": SCHEMA}, {("tickets", "code"): ("L-1",)}),
        ({"src/seed.ts": QUERY}, {}),
        ({"seeders/1-seed.js": BULK}, {}),
        (
            {"db/seeds.rb": f'Show.create!([\n  {{ id: "{ID}", act: "Owls" }},\n])\n', "db/migrate/1_a.rb": RAILS},
            {},
        ),
    ],
)
def test_the_rows_of_a_seed_are_known_by_column(
    tmp_path: Path, files: dict[str, str], more: dict[tuple[str, str], tuple[str, ...]]
) -> None:
    extra = {"config/application.rb": ""} if "db/seeds.rb" in files else {}
    columns = survey(write(tmp_path, {**files, **extra, "db/schema.sql": "CREATE TABLE x (id int);"})).values.columns
    assert columns[("shows", "id")] == (ID,)
    assert columns[("shows", "act")] == ("Owls",)
    assert {place: columns[place] for place in more} == more


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("src/schema.ts", TABLE_TS.replace("text('act')", "text('act').unique()")),
        (
            "prisma/schema.prisma",
            'model Show {\n  id String @id\n  name String @unique @map("act")\n  @@map("shows")\n}\n',
        ),
        ("src/migrations/1-Init.ts", 'await q.query(`CREATE TABLE "shows" ("id" uuid PRIMARY KEY, act text UNIQUE)`)'),
        (
            "migrations/1-a.js",
            "q.createTable('shows', { id: { type: S.UUID, primaryKey: true }, act: { type: S.TEXT, unique: true } })",
        ),
    ],
)
def test_a_table_that_a_program_makes_has_its_keys(tmp_path: Path, file: str, text: str) -> None:
    (table,) = survey(write(tmp_path, {file: text})).rows
    assert table.name == "shows"
    assert {each.name: (each.primary, each.unique) for each in table.columns} == {
        "id": (True, True),
        "act": (False, True),
    }


REQUEST = {
    "TableName": "plays",
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
    ],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
}
WRITE = """
export interface Review { stars: number; open: boolean; tags: string[] }
export async function add(who: string, position: number, r: Review) {
  await doc.send(new PutCommand({ TableName: 'plays', Item: {
    pk: `LISTENER#${who}`, sk: `EP#${position}`, position, stars: r.stars, open: r.open, tags: r.tags,
    length: who.length, at: Date.now(), price: Number(who),
  } }));
}
"""


def test_attributes_have_the_types_that_typescript_tells(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, {"t.json": json.dumps(REQUEST), "src/add.ts": WRITE})
    (entity,) = settings.entities.values()
    numbers = {name for name, kind in entity.attributes.items() if kind == "number"}
    assert numbers >= {"stars", "length", "at", "price"}
    assert (entity.attributes["open"], entity.attributes["tags"]) == ("boolean", "list")


def test_items_in_a_folder_of_tests_are_not_loaded_and_those_of_testdata_seed_are(tmp_path: Path) -> None:
    item = json.dumps([{"pk": "A", "sk": "B"}])
    files = {"t.json": json.dumps(REQUEST), "test/fixtures/plays.json": item, "testdata/seed/plays.json": item}
    settings, body = made(tmp_path, files)
    assert settings.steps.seed.files == ["testdata/seed/plays.json"]
    assert "test/fixtures/plays.json: has items, but is not loaded: the file is in a folder of tests" in body["unused"]


LIST = """
const view = (raw) => { const i = unmarshall(raw); return { episode: i.sk.slice(3), device: i.device }; };
exports.playsOf = async (who, device) => {
  const query = { TableName: 'plays', KeyConditionExpression: 'pk = :p',
    ExpressionAttributeValues: { ':p': `L#${who}` } };
  if (device) { query.FilterExpression = 'device = :d'; }
  return (await doc.send(new QueryCommand(query))).Items.map(view);
};
"""
ROUTE = """
const { playsOf } = require('./plays');
app.get('/plays/:who', async (req, res) => {
  const plays = await playsOf(req.params.who, req.query.device);
  res.json(plays.map((p) => ({ ...p, title: 'x' })));
});
"""


def test_a_function_with_a_view_and_an_argument_that_it_tests_is_traced(tmp_path: Path) -> None:
    items = json.dumps([{"pk": "L#7", "sk": "EP#1", "device": "car"}, {"pk": "L#7", "sk": "EP#2", "device": "car"}])
    package = json.dumps({"scripts": {"start": "node app.js"}, "dependencies": {"express": "4"}})
    files = {"t.json": json.dumps(REQUEST), "plays.json": items, "plays.js": LIST, "app.js": ROUTE}
    settings, _ = made(tmp_path, {**files, "package.json": package})
    trace = settings.trace["plays_of"]
    assert trace.request is not None
    assert trace.request.path == "/plays/{who}"
    assert trace.ids["library"] == trace.ids["http"] == "episode"
    assert trace.fields == {"device": "device"}
