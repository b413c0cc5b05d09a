"""`devenv init` reads tables that Java, C# and PHP make by a request in their code, with names from settings."""

from __future__ import annotations

from typing import Any

import pytest

from devenv.init.code_names import CodeNames
from devenv.init.request_tables import request_tables

BUILDER = """\
class Tables {
    static final String LANE = "lane";
    void make() {
        CreateTableRequest request = CreateTableRequest.builder().tableName("rolls")
            .keySchema(
                KeySchemaElement.builder().attributeName("player").keyType(KeyType.HASH).build(),
                KeySchemaElement.builder().attributeName("at").keyType(KeyType.RANGE).build())
            .attributeDefinitions(
                AttributeDefinition.builder().attributeName("player").attributeType(ScalarAttributeType.S).build(),
                AttributeDefinition.builder().attributeName("at").attributeType(ScalarAttributeType.N).build(),
                AttributeDefinition.builder().attributeName(LANE).attributeType(ScalarAttributeType.S).build())
            .globalSecondaryIndexes(GlobalSecondaryIndex.builder().indexName("by-lane")
                .keySchema(KeySchemaElement.builder().attributeName(LANE).keyType(KeyType.HASH).build())
                .projection(Projection.builder().projectionType(ProjectionType.KEYS_ONLY).build()).build())
            .build();
    }
}
"""
LAMBDA = """\
class Start {
    void run() {
        String table = props.getDynamodb().getTableName();
        client.createTable(r -> r.tableName(table)
            .keySchema(KeySchemaElement.builder().attributeName("player").keyType(KeyType.HASH).build())
            .attributeDefinitions(
                AttributeDefinition.builder().attributeName("player").attributeType(ScalarAttributeType.S).build()));
    }
}
"""
SHARP = """\
var request = new CreateTableRequest
{
    TableName = config!.RollTable,
    AttributeDefinitions = new List<AttributeDefinition>
        { new("player", ScalarAttributeType.S), new("at", ScalarAttributeType.N) },
    KeySchema = new List<KeySchemaElement> { new("player", KeyType.HASH), new("at", KeyType.RANGE) },
};
"""
PHP = """\
<?php
$client->createTable(['TableName' => 'rolls',
    'KeySchema' => [
        ['AttributeName' => 'player', 'KeyType' => 'HASH'], ['AttributeName' => 'at', 'KeyType' => 'RANGE']],
    'GlobalSecondaryIndexes' => [
        ['KeySchema' => [['AttributeName' => 'lane', 'KeyType' => 'HASH']], 'IndexName' => 'by-lane',
         'Projection' => ['ProjectionType' => 'ALL']],
        ['IndexName' => 'by-at', 'KeySchema' => [['AttributeName' => 'at', 'KeyType' => 'HASH']],
         'Projection' => ['ProjectionType' => 'KEYS_ONLY']],
    ],
    'AttributeDefinitions' => [['AttributeName' => 'player', 'AttributeType' => 'S'],
        ['AttributeName' => 'at', 'AttributeType' => 'N'], ['AttributeName' => 'lane', 'AttributeType' => 'S']]]);
"""


def read(**texts: str) -> tuple[dict[str, Any], dict[str, int]]:
    named = {name.replace("__", "/").replace("_dot_", "."): text for name, text in texts.items()}
    tables, unclear = request_tables(named, CodeNames(named, {}))
    return ({**tables[0].request} if tables else {}), unclear


def test_a_builder_of_java_with_an_index_and_a_constant() -> None:
    request, unclear = read(Tables_dot_java=BUILDER)
    assert [part["AttributeName"] for part in request["KeySchema"]] == ["player", "at"]
    (index,) = request["GlobalSecondaryIndexes"]
    assert (index["IndexName"], index["KeySchema"][0]["AttributeName"]) == ("by-lane", "lane")
    assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    assert not unclear


@pytest.mark.parametrize("setting", ["fun.dynamodb.table-name=rolls", "fun.dynamodb.tableName=${ROLLS:rolls}"])
def test_a_lambda_whose_table_is_named_by_a_setting_of_spring(setting: str) -> None:
    request, _ = read(Start_dot_java=LAMBDA, application_dot_properties=f"{setting}\nfun.sqs.table=no\n")
    assert request["TableName"] == "rolls"
    assert request["KeySchema"] == [{"AttributeName": "player", "KeyType": "HASH"}]


def test_an_initializer_of_c_sharp_named_by_appsettings() -> None:
    request, _ = read(Start_dot_cs=SHARP, appsettings_dot_json='{"Tables": {"RollTable": "rolls"}}')
    assert (request["TableName"], len(request["AttributeDefinitions"])) == ("rolls", 2)


def test_an_array_of_php_with_two_indexes() -> None:
    request, _ = read(make_dot_php=PHP)
    indexes = {each["IndexName"]: each["KeySchema"][0]["AttributeName"] for each in request["GlobalSecondaryIndexes"]}
    assert indexes == {"by-lane": "lane", "by-at": "at"}


@pytest.mark.parametrize(
    "text",
    [
        LAMBDA,  # No settings file says the name.
        BUILDER.replace('attributeName("at").keyType', "attributeName(sortKey()).keyType"),
        BUILDER.replace('.attributeName("at").attributeType(ScalarAttributeType.N)', ""),
    ],
)
def test_a_request_with_a_part_that_is_computed_is_none(text: str) -> None:
    request, unclear = read(T_dot_java=text)
    assert request == {}
    assert unclear == {"T.java": 1}
