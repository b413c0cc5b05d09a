"""Queries of JavaScript that go through a function which gets their key."""

from __future__ import annotations

import pytest

from devenv.init.code import Code
from devenv.init.javascript_code import read_scripts

STORE = """
const orderKey = (id) => `ORDER#${id}`;
async function byPrefix(pk, prefix) {
  const out = await ddb.send(new QueryCommand({
    TableName: 'shop', KeyConditionExpression: 'pk = :pk and begins_with(sk, :p)',
    ExpressionAttributeValues: { ':pk': pk, ':p': prefix },
  }));
  return out.Items ?? [];
}
async function one({ pk, sk }) {
  const params = { TableName: 'shop', Key: { pk, sk } };
  const out = await ddb.send(new GetCommand(params));
  return out.Item ?? null;
}
module.exports = { orderKey, byPrefix, one };
"""


def read(text: str, store: str = STORE) -> dict[str, Code]:
    files, _ = read_scripts({"store.js": store, "orders.js": text}, {}, frozenset(("pk", "sk")))
    return {name: each.code for name, each in files.items()}


def test_a_query_through_a_helper_of_another_file() -> None:
    found = read("const linesOf = async (orderId) => byPrefix(orderKey(orderId), 'LINE#');")
    (query,) = found["orders.js"].queries
    assert (query.function.name, query.table, query.key) == ("linesOf", "shop", {"pk": "ORDER#{orderId}"})
    assert (query.narrowed, query.begins, query.function.whole) == ("sk", "LINE#", True)
    assert query.function in found["orders.js"].functions
    assert [each.function.name for each in found["store.js"].queries] == ["one"]


def test_a_get_through_a_method_whose_argument_is_taken_apart() -> None:
    found = read("async function order(orderId) { return db.one({ pk: `ORDER#${orderId}`, sk: 'META' }); }")
    (query,) = found["orders.js"].queries
    assert (query.operation, query.key) == ("GetItem", {"pk": "ORDER#{orderId}", "sk": "META"})


@pytest.mark.parametrize(
    "text", ["const f = (req) => byPrefix(req.params.id, 'LINE#');", "const f = () => other(orderKey(1));"]
)
def test_a_call_without_a_key_leaves_the_query_where_it_is(text: str) -> None:
    found = read(text)
    assert found["orders.js"].queries == ()
    assert [each.function.name for each in found["store.js"].queries] == ["byPrefix", "one"]


def test_of_two_helpers_with_one_name_none_is_followed() -> None:
    found = read("const linesOf = (id) => byPrefix(orderKey(id), 'LINE#');\n" + STORE)
    assert "linesOf" not in {each.function.name for each in found["orders.js"].queries}


@pytest.mark.parametrize("key", ["{ pk: orderKey(id), sk: 'META' }", "{ pk: given.id, sk: given.kind }"])
def test_the_parts_of_a_request_are_no_fields_of_the_answer(key: str) -> None:
    found = read(
        "async function order(id, given) {\n"
        f"  const out = await ddb.send(new GetCommand({{ TableName: config.table, Key: {key} }}));\n"
        "  return out.Item ?? null;\n}"
    )
    (query,) = found["orders.js"].queries
    assert (dict(query.function.results), query.function.whole) == ({}, True)
