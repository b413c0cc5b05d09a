"""How `init` follows functions of Go and JavaScript that only put a key together."""

from __future__ import annotations

import pytest

from devenv.init.code import Query
from devenv.init.golang_code import read_go
from devenv.init.javascript_code import read_scripts

GO = """
package store
import "github.com/aws/aws-sdk-go-v2/service/dynamodb"
func (s *Store) Orders(customerID string) {
	s.ddb.Query(ctx, &dynamodb.QueryInput{
		TableName: aws.String("shop"),
		KeyConditionExpression: aws.String("pk = :pk"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":pk": &types.AttributeValueMemberS{Value: CALL},
		},
	})
}
"""
GET = """
package store
import "github.com/aws/aws-sdk-go-v2/service/dynamodb"
func (s *Store) Order(orderID string) {
	s.ddb.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("shop"), Key: orderKey(orderID)})
}
func orderKey(id string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: "ORDER#" + id},
		"sk": &types.AttributeValueMemberS{Value: "META"},
	}
}
"""


def go_queries(store: str, keys: str) -> tuple[Query, ...]:
    texts = {"store/store.go": store, "keys/keys.go": f"package keys\n{keys}"}
    return read_go(texts, {}, frozenset(("pk", "sk")))["store/store.go"].code.queries


@pytest.mark.parametrize(
    ("call", "keys"),
    [
        ("customerPK(customerID)", 'func customerPK(id string) string { return "CUSTOMER#" + id }'),
        ("customerPK(customerID)", 'func customerPK(id string) string { return fmt.Sprintf("CUSTOMER#%s", id) }'),
        ("keys.Customer(customerID)", 'func Customer(id string) string {\n\treturn "CUSTOMER#" + id\n}'),
        ("pk(customerID)", 'const prefix = "CUSTOMER#"\nfunc pk(id string) string { return prefix + id }'),
    ],
)
def test_a_key_of_a_function_of_go(call: str, keys: str) -> None:
    (query,) = go_queries(GO.replace("CALL", call), keys)
    assert query.key == {"pk": "CUSTOMER#{customerID}"}


def test_two_functions_of_one_name_are_no_key() -> None:
    keys = 'func pk(id string) string { return "A#" + id }\nfunc (t T) pk(id string) string { return "B#" + id }'
    (query,) = go_queries(GO.replace("CALL", "pk(customerID)"), keys)
    assert query.key == {}


def test_a_whole_key_of_a_function_of_go() -> None:
    (query,) = go_queries(GET, "")
    assert query.key == {"pk": "ORDER#{orderID}", "sk": "META"}


def test_a_prefix_of_another_file_in_javascript() -> None:
    texts = {
        "prefixes.js": "const PREFIX = 'ORDER#';\nmodule.exports = { PREFIX };",
        "store.js": """
const { PREFIX } = require('./prefixes');
const orderKey = (id) => PREFIX + id;
const order = (orderId) => ddb.send(new GetCommand({ TableName: 'shop', Key: { pk: orderKey(orderId) } }));
""",
    }
    files, _ = read_scripts(texts, {}, frozenset(("pk",)))
    (query,) = files["store.js"].code.queries
    assert query.key == {"pk": "ORDER#{orderId}"}
