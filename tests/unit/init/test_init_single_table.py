"""`devenv init` on small projects with one table of DynamoDB for several kinds of items, and Postgres beside it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from devenv.config.schema import Settings
from tests.unit.init.test_init_kinds import made

KEYS = '"KeySchema": [{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}]'
TYPES = '{"AttributeName": "PK", "AttributeType": "S"}, {"AttributeName": "SK", "AttributeType": "S"}'
TABLE = f'{{"TableName": "shop", "AttributeDefinitions": [{TYPES}], {KEYS}, "BillingMode": "PAY_PER_REQUEST"}}'
ADA, TEA = "6f1b7a3e-2c1d-4d55-9c0a-1f1d2a3b4c01", "9a7d1c10-0000-4000-8000-000000000001"
ORDER = "b4c7d000-1111-4111-8111-000000000001"
SQL = f"""\
CREATE TABLE users (id uuid PRIMARY KEY, email text NOT NULL UNIQUE);
CREATE TABLE products (id uuid PRIMARY KEY, title text);
INSERT INTO users (id, email) VALUES ('{ADA}', 'ada@example.com');
INSERT INTO products (id, title) VALUES ('{TEA}', 'Tea');
"""
ITEMS = f"""\
{{"table": "shop", "items": [
 {{"PK": "USER#{ADA}", "SK": "PROFILE", "email": "ada@example.com", "points": 7}},
 {{"PK": "USER#{ADA}", "SK": "ORDER#2024-05-01#1001", "number": "1001", "total": 18, "paid": true}},
 {{"PK": "ORDER#{ORDER}", "SK": "ITEM#{TEA}", "quantity": 2}}
]}}
"""
APP = """\
import os, uuid
import boto3
from boto3.dynamodb.conditions import Key
from flask import Flask, jsonify

app = Flask(__name__)
table = boto3.resource("dynamodb").Table(os.environ.get("TABLE_NAME", "shop"))

def list_orders(user_id):
    found = table.query(KeyConditionExpression=Key("PK").eq(f"USER#{user_id}") & Key("SK").begins_with("ORDER#"))
    return [{"id": item["id"], "total": int(item["total"])} for item in found["Items"]]

def list_items(order_id):
    found = table.query(KeyConditionExpression=Key("PK").eq(f"ORDER#{order_id}"))
    return [{"product": i["SK"].removeprefix("ITEM#"), "quantity": i["quantity"]} for i in found["Items"]]

def place_order(user_id, lines):
    order_id = str(uuid.uuid4())
    table.put_item(Item={"PK": f"USER#{user_id}", "SK": f"ORDER#{order_id}", "id": order_id, "total": sum(lines)})
    for line in lines:
        table.put_item(Item={"PK": f"ORDER#{order_id}", "SK": f"ITEM#{line['product_id']}", "quantity": line["n"]})

@app.get("/users/<user_id>/orders")
def orders(user_id):
    return jsonify(list_orders(user_id))

@app.get("/orders/<order_id>/items")
def items(order_id):
    return jsonify(list_items(order_id))
"""
FILES = {"db/schema.sql": SQL, "dynamodb/table.json": TABLE}


def links(settings: Settings) -> dict[str, str]:
    return {link.source.removeprefix("dynamodb:"): link.to.removeprefix("postgres:") for link in settings.links}


def test_kinds_differ_by_the_whole_key(tmp_path: Path) -> None:
    settings, body = made(tmp_path, {**FILES, "app.py": APP})
    matches = {name: entity.match for name, entity in settings.entities.items()}
    assert matches == {
        "order": {"PK": "USER#{user_id}", "SK": "ORDER#{order_id}"},
        "item": {"PK": "ORDER#{order_id}", "SK": "ITEM#{product_id}"},
    }
    assert links(settings) == {"shop.PK[USER#{}]": "users.id", "shop.SK[ITEM#{}]": "products.id"}
    assert settings.patterns["orders"].entities == ["order"]
    assert settings.patterns["orders"].sort == {"begins_with": "ORDER#"}
    assert body["edits"] == []


def test_both_lists_can_be_traced(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, {**FILES, "app.py": APP})
    orders, items = settings.trace["orders"], settings.trace["items"]
    assert orders.ids == {"dynamodb": "id", "library": "id", "http": "id"}
    assert orders.fields == {"total": "total"}
    assert items.ids == {"dynamodb": "product_id", "library": "product", "http": "product"}
    assert items.library is not None
    assert (items.library.function, items.library.arguments) == ("app:list_items", {"order_id": "{order_id}"})
    assert items.request is not None
    assert items.request.path == "/orders/{order_id}/items"


def test_a_value_of_an_unknown_type_is_left_out_and_one_of_the_seeds_is_known(tmp_path: Path) -> None:
    settings, _ = made(tmp_path / "a", {**FILES, "app.py": APP})
    assert "quantity" not in settings.entities["item"].attributes
    settings, _ = made(tmp_path / "b", {**FILES, "app.py": APP, "dynamodb/seed.json": ITEMS})
    assert settings.entities["item"].attributes["quantity"] == "number"


def test_seeds_alone_give_kinds_and_links(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, {**FILES, "dynamodb/seed.json": ITEMS}, yes=False)
    kinds = {name: (entity.match["PK"], entity.match["SK"]) for name, entity in settings.entities.items()}
    assert kinds == {
        "profile": ("USER#{user_id}", "PROFILE"),
        "order": ("USER#{user_id}", "ORDER#{order_at}#{number}"),
        "item": ("ORDER#{order_id}", "ITEM#{item_id}"),
    }
    # The item's name says nothing of products: its values do.
    assert links(settings) == {"shop.PK[USER#{}]": "users.id", "shop.SK[ITEM#{}]": "products.id"}
    assert settings.entities["order"].attributes["paid"] == "boolean"


def test_a_row_that_a_seed_asks_for_is_a_link(tmp_path: Path) -> None:
    asked = ITEMS.replace(ADA, "${users[email=ada@example.com].id}")
    settings, _ = made(tmp_path, {**FILES, "dynamodb/seed.json": asked}, yes=False)
    assert links(settings)["shop.PK[USER#{}]"] == "users.id"


@pytest.mark.parametrize(
    ("imported", "pk"),
    [
        ("from keys import user_pk", "user_pk(user_id)"),
        ("import keys", "keys.user_pk(user_id)"),
        ("from keys import Keys", "Keys.user(user_id)"),
        ("", '"USER#{}".format(user_id)'),
        ("", '"USER#%s" % user_id'),
        ("", '"#".join(["USER", user_id])'),
        ('PREFIX = "USER#"', "PREFIX + user_id"),
    ],
)
def test_keys_that_are_put_together_in_other_ways(tmp_path: Path, imported: str, pk: str) -> None:
    keys = 'def user_pk(user):\n    """The key."""\n    return f"USER#{user}"\n\nclass Keys:\n    @staticmethod\n'
    keys += '    def user(who):\n        return f"USER#{who}"\n'
    app = APP.replace('f"USER#{user_id}"', pk).replace("import boto3\n", f"import boto3\n{imported}\n", 1)
    settings, _ = made(tmp_path, {**FILES, "app.py": app, "keys.py": keys})
    assert settings.entities["order"].match["PK"] == "USER#{user_id}"
    assert settings.patterns["orders"].key == {"PK": "USER#{person.id}"}


@pytest.mark.parametrize("put", ['self.table.put_item(Item={"PK"', 'get_table().put_item(Item={"PK"'])
def test_a_table_that_the_code_gets_from_elsewhere(tmp_path: Path, put: str) -> None:
    app = APP.replace('table.put_item(Item={"PK"', put).replace("found = table.", "found = get_table().")
    settings, _ = made(tmp_path, {**FILES, "app.py": app})
    assert set(settings.trace) == {"orders", "items"}


def test_an_application_that_a_function_of_a_package_makes(tmp_path: Path) -> None:
    app = APP.replace("app = Flask(__name__)\n", "from flask import Blueprint\napp = Blueprint('a', __name__)\n")
    init = "from flask import Flask\nfrom shop.api import app as api\n\ndef create_app():\n    made = Flask(__name__)\n"
    init += "    made.register_blueprint(api)\n    return made\n"
    settings, _ = made(tmp_path, {**FILES, "backend/shop/api.py": app, "backend/shop/__init__.py": init})
    assert settings.backend is not None
    assert settings.backend.command[3:5] == ["--app", "shop:create_app"]
    assert settings.backend.folder == "backend"


def test_fields_that_a_second_function_makes(tmp_path: Path) -> None:
    app = APP.replace('{"id": item["id"], "total": int(item["total"])} for', "shown(item) for")
    app += '\ndef shown(item):\n    return {"no": item["id"], "total": item["total"]}\n'
    settings, _ = made(tmp_path, {**FILES, "app.py": app})
    assert settings.trace["orders"].ids["library"] == "no"


def test_what_is_not_understood_is_a_sketch_with_the_names_that_are_there(tmp_path: Path) -> None:
    app = "import boto3\ntable = boto3.resource('dynamodb').Table('shop')\n\ndef save(user_id, **rest):\n"
    app += "    table.put_item(Item=dict(PK=f'USER#{user_id}', **rest))\n"
    made(tmp_path, {**FILES, "app.py": app})
    text = (tmp_path / "devenv.toml").read_text()
    assert "# (Keys that the code puts together: USER#{user_id} (app.py:5). It is not clear which items" in text
    lines = text[text.index("# [patterns.SUBJECT]") :].partition("\n\n")[0]
    sketch: dict[str, Any] = tomllib.loads(lines.replace("# ", "", 1).replace("\n# ", "\n"))
    assert sketch["patterns"]["SUBJECT"] == {"table": "shop", "key": {"PK": "USER#{user_id}"}}
    assert sketch["entities"]["SUBJECT"]["match"] == {"PK": "USER#{user_id}"}
    assert sketch["trace"]["SUBJECT"]["where"] == {"user_id": "{user_id}"}


def test_a_query_of_several_kinds_says_what_to_declare(tmp_path: Path) -> None:
    app = APP.replace(' & Key("SK").begins_with("ORDER#")', "")
    app += '\ndef keep(user_id):\n    table.put_item(Item={"PK": f"USER#{user_id}", "SK": "PROFILE", "note": "n"})\n'
    settings, _ = made(tmp_path, {**FILES, "app.py": app})
    assert settings.patterns["orders"].entities == ["order", "profile"]
    assert "orders" not in settings.trace
    text = (tmp_path / "devenv.toml").read_text()
    assert "# Not traced: [patterns.orders] (app.py:10) returns several kinds of items (order, profile)." in text


REPO = """\
import boto3
from boto3.dynamodb.conditions import Key

class Repo:
    def __init__(self):
        self.table = boto3.resource("dynamodb").Table("shop")

    @staticmethod
    def key(member_id):
        return f"MEMBER#{member_id}"

    def book(self, member_id, username, course_id, at):
        self.table.put_item(Item={"PK": self.key(member_id), "SK": f"BOOKING#{at}#{course_id}",
                                  "course_id": course_id, "username": username})

    def bookings(self, member_id):
        key = self.key(member_id)
        page = self.table.query(KeyConditionExpression=Key("PK").eq(key) & Key("SK").begins_with("BOOKING#"))
        return [{"course": item["course_id"]} for item in page["Items"]]
"""
WEB = """\
from flask import Flask, jsonify
from gym.repo import Repo

app = Flask(__name__)
repo = Repo()

@app.get("/members/<member_id>/bookings")
def bookings(member_id):
    return jsonify(bookings=repo.bookings(member_id))
"""
GYM = """\
CREATE TABLE members (member_id uuid PRIMARY KEY, username text UNIQUE);
CREATE TABLE courses (course_id uuid PRIMARY KEY);
"""


@pytest.fixture
def gym(tmp_path: Path) -> Settings:
    seed = "import os\nfrom gym.repo import Repo\n\nos.getenv('X')\nRepo().book('a', 'b', 'c', 'd')\n"
    files = {"t.json": TABLE, "db.sql": GYM, "gym/__init__.py": "", "gym/repo.py": REPO, "gym/web.py": WEB}
    return made(tmp_path, {**files, "scripts/seed.py": seed})[0]


def test_a_method_is_called_on_an_object(gym: Settings) -> None:
    trace = gym.trace["bookings"]
    assert trace.library is not None
    assert trace.library.function == "gym.repo:Repo().bookings"


def test_the_place_of_a_list_in_jsonify(gym: Settings) -> None:
    request = gym.trace["bookings"].request
    assert request is not None
    assert (request.path, request.items) == ("/members/{person.member_id}/bookings", "bookings")


def test_one_of_several_places_of_a_key_is_linked_by_its_attribute(gym: Settings) -> None:
    """A link's template has one place: `BOOKING#{}#{}` would take the time for an id."""
    assert links(gym) == {"shop.PK[MEMBER#{}]": "members.member_id", "shop.course_id": "courses.course_id"}
    (member,) = (link for link in gym.links if link.to.endswith("member_id"))
    assert member.natural_key == member.copies == {"username": "username"}


def test_a_seed_that_imports_the_project_runs_as_a_module(gym: Settings) -> None:
    assert gym.steps.seed.command == ["{python}", "-m", "scripts.seed"]


@pytest.mark.parametrize("sk", ["'b4c7d000-1111-4111-8111-000000000001'", "'2024-05-01'", "'1'", "ROOM"])
def test_a_sort_key_that_is_a_value_tells_no_kind(tmp_path: Path, sk: str) -> None:
    app = "import boto3\ntable = boto3.resource('dynamodb').Table('shop')\n"
    app += "ROOM = 'b4c7d000-1111-4111-8111-000000000001'\n"
    app += f"\ndef enter(user_id, at):\n    table.put_item(Item={{'PK': f'USER#{{user_id}}', 'SK': {sk}, 'at': at}})\n"
    settings, _ = made(tmp_path, {**FILES, "app.py": app})
    assert [entity.match for entity in settings.entities.values()] == [{"PK": "USER#{user_id}"}]


def test_a_seed_that_sets_its_path_runs_as_a_file(tmp_path: Path) -> None:
    seed = "import sys\nsys.path.insert(0, '.')\nfrom gym.repo import Repo\nRepo().table.put_item(Item={})\n"
    files = {"t.json": TABLE, "gym/__init__.py": "", "gym/repo.py": REPO, "scripts/seed.py": seed}
    assert made(tmp_path, files)[0].steps.seed.command == ["{python}", "scripts/seed.py"]
