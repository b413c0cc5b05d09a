"""A function of JavaScript that its expression names again is one function."""

from __future__ import annotations

from pathlib import Path

from tests.unit.init.test_init_kinds import made
from tests.unit.init.test_init_plain_tables import FILES

SCRIPT = """\
const { QueryCommand } = require('@aws-sdk/lib-dynamodb');
exports.ordersOf = async function ordersOf(customer) {
  return ddb.send(new QueryCommand({ TableName: 'orders', KeyConditionExpression: 'customer_id = :c',
    ExpressionAttributeValues: { ':c': customer } }));
};
"""


def test_a_function_expression_with_the_name_that_it_is_given(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, {**FILES, "package.json": '{"name": "x"}', "orders.js": SCRIPT})
    assert [pattern.key for pattern in settings.patterns.values()] == [{"customer_id": "{person.id}"}]
