"""What a PartiQL statement amounts to, told from its text and the keys; and requests as statements."""

from __future__ import annotations

from typing import Any

import pytest

from devenv.stores.dynamodb.key_schema import Place
from devenv.stores.dynamodb.partiql import UnreadableStatement, amount_of, parse, statement_hint, statement_of

ORDERS = Place("Orders", None, "table", "OrderID")
CHATS = Place("my-chats", None, "table", "pk", "sk")
INDEX = Place("my-chats", "by-day", "global", "day", "sk")


# DynamoDB Developer Guide, ql-reference.select.html: these do not scan, and these do.
@pytest.mark.parametrize(
    ("statement", "operation"),
    [
        ('SELECT * FROM "Orders" WHERE OrderID = 100', "GetItem"),
        ("SELECT * FROM \"Orders\" WHERE OrderID = 100 and Address='some address'", "GetItem"),
        ('SELECT * FROM "Orders" WHERE OrderID = 100 or OrderID = 200', "GetItem"),
        ('SELECT * FROM "Orders" WHERE OrderID IN [100, 300, 234]', "GetItem"),
        ('SELECT * FROM "Orders" WHERE OrderID > 1', "Scan"),
        ("SELECT * FROM \"Orders\" WHERE Address='some address'", "Scan"),
        ("SELECT * FROM \"Orders\" WHERE OrderID = 100 OR Address='some address'", "Scan"),
        ('SELECT * FROM "Orders"', "Scan"),
    ],
)
def test_the_documentation_s_statements(statement: str, operation: str) -> None:
    assert amount_of(parse(statement), ORDERS).operation == operation


@pytest.mark.parametrize(
    ("where", "operation", "reads", "narrowed"),
    [
        ("pk = 'a'", "Query", 1, False),
        ("\"pk\" = 'a' AND \"sk\" = 'b'", "GetItem", 1, True),
        ("pk = 'a' AND begins_with(sk, '2023')", "Query", 1, True),
        ("pk = 'a' AND sk BETWEEN '1' AND '2'", "Query", 1, True),
        ("(sk >= '1' AND (pk = 'a'))", "Query", 1, True),
        ("pk = 'it''s' AND NOT sk = 'b'", "Query", 1, False),
        ("pk = 'a' AND contains(sk, 'b')", "Query", 1, False),
        ("pk IN ['a', 'b', 'c']", "Query", 3, False),
        ("pk IN ('a', 'b') AND sk = '1'", "GetItem", 2, True),
        ("(pk = 'a' AND sk = '1') OR (pk = 'b' AND sk = '2')", "GetItem", 2, True),
        ("(pk = 'a' AND sk = '1') OR (pk = 'b' AND sk > '2')", "Query", 2, False),
        ("pk = 'a' AND (sk = '1' OR message = 'x')", "Query", 1, False),
        ("pk = 'a' AND info.tags[0] = 'x' AND size(message) > 3", "Query", 1, False),
        ("pk = 'a' AND pk <> 'b' -- and that is all", "Query", 1, False),
        ("pk BETWEEN 'a' AND 'b'", "Scan", None, False),
        ("begins_with(pk, 'a')", "Scan", None, False),
        ("NOT pk = 'a'", "Scan", None, False),
        ("pk NOT IN ['a']", "Scan", None, False),
        ("pk = 'a' OR sk = '1'", "Scan", None, False),
        ("pk = sk", "Scan", None, False),
        ("'a' = pk", "Scan", None, False),
        ("\"PK\" = 'a'", "Scan", None, False),
        ("info.pk = 'a'", "Scan", None, False),
        ("pk IS NOT MISSING", "Scan", None, False),
        ("message = 'pk = ''a'''", "Scan", None, False),
    ],
)
def test_what_a_condition_amounts_to(where: str, operation: str, reads: int | None, narrowed: bool) -> None:
    amount = amount_of(parse(f'SELECT * FROM "my-chats" WHERE {where}'), CHATS)
    assert (amount.operation, amount.reads, amount.narrowed and operation != "Scan") == (operation, reads, narrowed)


def test_an_index_is_never_a_get_item() -> None:
    select = parse("SELECT pk FROM \"my-chats\".\"by-day\" WHERE day = 'x' AND sk = 'y' ORDER BY sk DESC")
    assert (select.table, select.index) == ("my-chats", "by-day")
    assert amount_of(select, INDEX).operation == "Query"
    assert amount_of(parse('SELECT * FROM "my-chats"."by-day" WHERE pk = \'x\''), INDEX).operation == "Scan"


def test_a_table_s_name_and_an_alias_stand_before_attributes() -> None:
    assert amount_of(parse("SELECT c.pk FROM chats AS c WHERE c.pk = 'x'"), CHATS).operation == "Query"
    assert amount_of(parse("SELECT * FROM chats WHERE chats.pk = 'x'"), CHATS).operation == "Query"


def test_what_is_filtered_is_named() -> None:
    amount = amount_of(parse("SELECT * FROM t WHERE pk = 'a' AND done = true AND contains(title, 'x')"), CHATS)
    assert amount.filtered == ("done", "title")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM my-chats",
        "SELECT *",
        "SELECT * FROM t WHERE",
        "SELECT * FROM t WHERE pk = 'a' GROUP BY x",
        "a ; b",
    ],
)
def test_what_is_not_understood_is_not_guessed(statement: str) -> None:
    with pytest.raises(UnreadableStatement):
        parse(statement)


@pytest.mark.parametrize(
    ("request_", "order_by", "statement"),
    [
        (
            {
                "TableName": "my-chats",
                "KeyConditionExpression": "#n0 = :v0 AND begins_with(#n1, :v1)",
                "FilterExpression": "(attribute_exists(title) AND #s IN (:a, :b))",
                "ExpressionAttributeNames": {"#n0": "pk", "#n1": "sk", "#s": "status"},
                "ExpressionAttributeValues": {
                    ":v0": {"S": "it's"},
                    ":v1": {"S": "2023"},
                    ":a": {"N": "1"},
                    ":b": {"BOOL": True},
                },
                "ScanIndexForward": False,
            },
            "sk",
            "SELECT * FROM \"my-chats\" WHERE \"pk\" = 'it''s' AND begins_with(\"sk\", '2023') AND "
            '("title" IS NOT MISSING AND "status" IN [1, true]) ORDER BY "sk" DESC',
        ),
        (
            {"TableName": "t", "Key": {"id": {"N": "5"}}, "ProjectionExpression": "#n0",
             "ExpressionAttributeNames": {"#n0": "name"}},
            None,
            'SELECT "name" FROM "t" WHERE "id" = 5',
        ),
        ({"TableName": "t", "IndexName": "i"}, None, 'SELECT * FROM "t"."i"'),
    ],
)  # fmt: skip
def test_a_request_as_a_statement(request_: dict[str, Any], order_by: str | None, statement: str) -> None:
    assert statement_of(request_, order_by) == statement


def test_a_semicolon_at_the_end_is_no_word() -> None:
    assert parse("SELECT * FROM things WHERE id = 'a' ; ") == parse("SELECT * FROM things WHERE id = 'a'")


@pytest.mark.parametrize(
    ("statement", "hint"),
    [
        ('SELECT * FROM things WHERE id = "a"', "single quotes"),
        ('SELECT * FROM things WHERE id IN ["a", "b"]', "single quotes"),
        ("SELECT * FROM things WHERE id = 'a' LIMIT 5", "--limit 5"),
        ("SELECT * FROM things WHERE id LIKE 'a%'", "begins_with"),
        ("SELECT * FROM things WHERE id = ?", "write the value itself"),
        ("SELECT * FROM things WHERE id = :id", "write the value itself"),
        ("SELECT * FROM things WHERE id = %s AND n = 1", "write the value itself"),
        ("SELECT count(*) FROM things WHERE id = 'a'", "PartiQL has no count("),
        ("SELECT DISTINCT n FROM things WHERE id = 'a'", "no DISTINCT"),
        ("SELECT n FROM things WHERE id = 'a' GROUP BY n", "no GROUP BY"),
        ("SELECT * FROM a JOIN b ON a.id = b.id", "no JOIN"),
        ("SELECT * FROM things WHERE id = 'a' OFFSET 20", "no OFFSET"),
        ("SELECT n AS number FROM things WHERE id = 'a'", "leave AS out"),
        ("SELECT * FROM things WHERE group = 'a'", 'quote it, "group"'),
        ("SELECT * FROM things WHERE id ILIKE 'a%'", "begins_with"),
        ("SELECT id, size FROM things WHERE id = 'a'", 'quote it, "size"'),
        ("SELECT Name FROM things", 'quote it, "Name"'),
        ("SELECT \"size\", t.status FROM things t WHERE id = 'a LIKE ? LIMIT 1'", None),
        ("SELECT * FROM \"my-table\" WHERE id = 'a'", None),
    ],
)
def test_what_is_sql_and_not_partiql_has_a_hint(statement: str, hint: str | None) -> None:
    found = statement_hint(statement)
    assert (found is None) if hint is None else (hint in str(found))
