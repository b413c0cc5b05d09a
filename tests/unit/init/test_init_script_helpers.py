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
    own = "const linesOf = (id) => byPrefix(orderKey(id), 'LINE#');"
    files, _ = read_scripts({"a.js": STORE, "b.js": STORE, "orders.js": own}, {}, frozenset(("pk", "sk")))
    assert files["orders.js"].code.queries == ()


@pytest.mark.parametrize("key", ["{ pk: orderKey(id), sk: 'META' }", "{ pk: given.id, sk: given.kind }"])
def test_the_parts_of_a_request_are_no_fields_of_the_answer(key: str) -> None:
    found = read(
        "async function order(id, given) {\n"
        f"  const out = await ddb.send(new GetCommand({{ TableName: config.table, Key: {key} }}));\n"
        "  return out.Item ?? null;\n}"
    )
    (query,) = found["orders.js"].queries
    assert (dict(query.function.results), query.function.whole) == ({}, True)


PAGES = """
const TABLE = process.env.PARCELS ?? 'parcels';
async function everyPage(input) {
  const out = [];
  let ExclusiveStartKey;
  do {
    const page = await doc.send(new QueryCommand({ ...input, TableName: TABLE, ExclusiveStartKey }));
    out.push(...page.Items);
    ExclusiveStartKey = page.LastEvaluatedKey;
  } while (ExclusiveStartKey);
  return out;
}
"""
SCANS = """
const scans = (parcel) => everyPage({
  IndexName: 'by-depot', KeyConditionExpression: 'pk = :p AND begins_with(sk, :s)',
  ExpressionAttributeValues: { ':p': `PARCEL#${parcel}`, ':s': 'SCAN#' }, ScanIndexForward: false,
});
"""


@pytest.mark.parametrize(
    "store",
    [
        PAGES,
        PAGES.replace(
            "{ ...input, TableName: TABLE, ExclusiveStartKey }", "Object.assign({}, input, { TableName: TABLE })"
        ),
        PAGES.replace("new QueryCommand({ ...input, TableName: TABLE, ExclusiveStartKey })", "new QueryCommand(input)"),
        PAGES.replace("const page =", "const sent = { TableName: TABLE, ...input };\n const page =").replace(
            "{ ...input, TableName: TABLE, ExclusiveStartKey }", "sent"
        ),
        # One function asks for a page, another for all of them.
        PAGES.replace("everyPage", "onePage")
        + "async function everyPage(input) { let at; return onePage({ ...input, ExclusiveStartKey: at }); }",
    ],
    ids=["spread", "assign", "whole", "named", "two levels"],
)
def test_a_request_that_a_helper_takes_as_a_whole(store: str) -> None:
    found = read(SCANS, store)
    (query,) = found["orders.js"].queries
    assert (query.function.name, dict(query.key), query.begins) == ("scans", {"pk": "PARCEL#{parcel}"}, "SCAN#")
    assert (query.index, query.forward, query.pages) == ("by-depot", False, True)
    assert query.function.whole
    assert found["store.js"].queries == ()


def test_a_helper_knows_the_table_that_its_own_file_names() -> None:
    (query,) = read(SCANS, PAGES)["orders.js"].queries
    assert query.table == "parcels"


def test_an_attribute_that_a_helper_is_given_by_its_name() -> None:
    store = """
    async function byIndex(index, attribute, value) {
      return (await doc.send(new QueryCommand({ TableName: 'parcels', IndexName: index,
        KeyConditionExpression: '#k = :v', ExpressionAttributeNames: { '#k': attribute },
        ExpressionAttributeValues: { ':v': value } }))).Items;
    }"""
    (query,) = read("const inDepot = (depot) => byIndex('by-depot', 'depot', depot);", store)["orders.js"].queries
    assert (query.index, dict(query.key), query.table) == ("by-depot", {"depot": "{depot}"}, "parcels")


BASE = """
export abstract class Repository<T> {
  constructor(protected readonly doc: DynamoDBDocumentClient, protected readonly table: string) {}
  protected async queryAll<R>(input: Omit<QueryCommandInput, 'TableName'>): Promise<R[]> {
    const out: R[] = [];
    let key: Record<string, unknown> | undefined;
    do {
      const page = await this.doc.send(new QueryCommand({ ...input, TableName: this.table, ExclusiveStartKey: key }));
      out.push(...((page.Items ?? []) as R[]));
      key = page.LastEvaluatedKey;
    } while (key);
    return out;
  }
}
"""
DERIVED = """
export class ParcelRepository extends Repository<Parcel> {
  async scansOf(parcelId: string): Promise<Scan[]> {
    return this.queryAll<Scan>({
      KeyConditionExpression: 'pk = :p', ExpressionAttributeValues: { ':p': `PARCEL#${parcelId}` },
    });
  }
}
"""


def test_a_method_of_a_base_class_in_another_file() -> None:
    files, _ = read_scripts({"base.ts": BASE, "parcels.ts": DERIVED}, {}, frozenset(("pk", "sk")))
    (query,) = files["parcels.ts"].code.queries
    assert (query.function.name, dict(query.key)) == ("ParcelRepository.scansOf", {"pk": "PARCEL#{parcelId}"})
    assert files["base.ts"].code.queries == ()


def test_each_file_has_its_own_helper_of_the_same_name() -> None:
    other = PAGES.replace("'parcels'", "'depots'").replace("PARCELS", "DEPOTS")
    mine = "const doors = (id) => everyPage({ KeyConditionExpression: 'pk = :p',\n"
    mine += " ExpressionAttributeValues: { ':p': `DEPOT#${id}` } });"
    found = read(other + mine, PAGES + SCANS)
    assert {q.function.name: q.table for code in found.values() for q in code.queries} == {
        "doors": "depots",
        "scans": "parcels",
    }


def test_a_request_that_no_call_spells_out_is_listed() -> None:
    found = read("const anything = (req) => everyPage(req.body);", PAGES + "const rows = (sql) => pool.query(sql);")
    (said,) = found["store.js"].unfollowed
    assert said.startswith(
        "store.js:7: everyPage sends a request that it gets as an argument, and devenv found no call"
    )
    assert read(SCANS, PAGES)["store.js"].unfollowed == ()
