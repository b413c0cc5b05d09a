"""`devenv init` on items that are put together of parts: `**key(…)`, `{**base, …}`, `...base`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import made
from tests.unit.init.test_init_plain_tables import table

HEAD = """\
import boto3
from boto3.dynamodb.conditions import Key
table = boto3.resource("dynamodb").Table("shop")
"""
KEYS = """\
def tenant_key(tenant_id):
    return {"pk": f"TENANT#{tenant_id}"}

class Keys:
    @staticmethod
    def product(tenant_id, product_id):
        \"\"\"The whole key.\"\"\"
        sort = f"PRODUCT#{product_id}"
        return {**tenant_key(tenant_id), "sk": sort}
"""
LITERAL = """\
def put(tenant_id, product_id, name):
    common = dict(kind="product", name=name)
"""
LIST = """
def products(tenant_id):
    found = table.query(
        KeyConditionExpression=Key("pk").eq(tenant_key(tenant_id)["pk"]) & Key("sk").begins_with("PRODUCT#"))
    return [{"id": i["product_id"], "name": i["name"]} for i in found["Items"]]

def one(tenant_id, product_id):
    return table.get_item(Key=Keys.product(tenant_id, product_id))
"""
WAYS = {
    "function": "table.put_item(Item={**Keys.product(tenant_id, product_id), **common, 'product_id': product_id})",
    "dict": "table.put_item(Item=dict(Keys.product(tenant_id, product_id), product_id=product_id, **common))",
    "or": "table.put_item(Item=Keys.product(tenant_id, product_id) | common | {'product_id': product_id})",
    "name": "key = Keys.product(tenant_id, product_id)\n    item = {**key, 'product_id': product_id, **common}\n"
    "    table.put_item(Item=item)",
    "unknown": "table.put_item(Item={**Keys.product(tenant_id, product_id), 'product_id': product_id, **common,"
    " **more()})",
}


@pytest.mark.parametrize("way", WAYS)
def test_spreads_of_python(tmp_path: Path, way: str) -> None:
    app = f"{HEAD}{KEYS}{LITERAL}    {WAYS[way]}\n{LIST}"
    settings, _ = made(tmp_path, {"t.json": table("shop", "pk", "sk"), "app.py": app})
    assert {name: entity.match for name, entity in settings.entities.items()} == {
        "product": {"pk": "TENANT#{tenant_id}", "sk": "PRODUCT#{product_id}"}
    }
    assert {"product_id", "kind", "name"} <= set(settings.entities["product"].attributes)
    assert settings.trace["products"].ids["dynamodb"] == "product_id"
    # A whole key that a function makes is that of the get_item, too.
    assert settings.patterns["one"].key == {"pk": "TENANT#{tenant_id}", "sk": "PRODUCT#{product_id}"}


def test_items_that_a_script_spreads_are_read(tmp_path: Path) -> None:
    sql = "CREATE TABLE stores (id uuid PRIMARY KEY, slug text UNIQUE);\n"
    sql += "INSERT INTO stores (id, slug) VALUES ('aaaaaaaa-0000-4000-8000-000000000001', 'acme');\n"
    seed = f"""{HEAD}{KEYS}
for n in ("1", "2"):
    table.put_item(Item={{**Keys.product("aaaaaaaa-0000-4000-8000-000000000001", n), "name": n}})
"""
    settings, _ = made(tmp_path, {"t.json": table("shop", "pk", "sk"), "a.sql": sql, "bin/seed.py": seed})
    # Its name says nothing of stores: the ids of the items do.
    assert [(link.source, link.to) for link in settings.links] == [
        ("dynamodb:shop.pk[TENANT#{}]", "postgres:stores.id")
    ]


@pytest.mark.parametrize(
    "base",
    [
        "const base = (roomId: string, authorId: string) => ({ pk: roomPk(roomId), roomId, authorId, v: 1 });",
        "function base(roomId: string, authorId: string) {\n  const pk = roomPk(roomId);\n"
        "  return { pk, roomId, authorId, v: 1 };\n}",
    ],
    ids=["arrow", "function"],
)
def test_spreads_of_typescript(tmp_path: Path, base: str) -> None:
    script = f"""\
import {{ PutCommand }} from '@aws-sdk/lib-dynamodb';
const roomPk = (roomId: string) => `ROOM#${{roomId}}`;
{base}
export async function post(roomId: string, authorId: string, messageId: string, text: string) {{
  const extra = {{ text, draft: false }};
  await db.send(new PutCommand({{
    TableName: 'shop', Item: {{ ...base(roomId, authorId), sk: `MSG#${{messageId}}`, ...extra }},
  }}));
}}
"""
    settings, _ = made(tmp_path, {"t.json": table("shop", "pk", "sk"), "post.ts": script})
    assert {name: entity.match for name, entity in settings.entities.items()} == {
        "msg": {"pk": "ROOM#{roomId}", "sk": "MSG#{messageId}"}
    }
    assert {"roomId", "authorId", "v", "text", "draft"} <= set(settings.entities["msg"].attributes)


def test_two_functions_of_one_name_are_not_followed(tmp_path: Path) -> None:
    app = f'{HEAD}def put(x):\n    table.put_item(Item={{**key(x), "sk": "A#1", "name": "n", "at": "x"}})\n'
    files = {"a.py": 'boto3 = 1\ndef key(x):\n    return {"pk": f"A#{x}"}\n', "app.py": app}
    files |= {"b.py": 'boto3 = 1\ndef key(x):\n    return {"pk": f"B#{x}"}\n', "t.json": table("shop", "pk", "sk")}
    settings, _ = made(tmp_path, files)
    assert settings.entities == {}
