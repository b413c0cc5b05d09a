"""Tables that JavaScript declares by the CDK, SST, dynamodb-toolbox, dynamoose and ElectroDB."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devenv.init.survey import survey
from tests.unit.init.test_init import write
from tests.unit.init.test_init_kinds import made

CDK = """
import { AttributeType, StreamViewType, ProjectionType, Table } from 'aws-cdk-lib/aws-dynamodb';
export class S extends Stack { constructor(scope, id) { super(scope, id);
  const plays = new Table(this, 'PlaysTable', {
    tableName: 'Plays',
    partitionKey: { name: 'pk', type: AttributeType.STRING },
    sortKey: { name: 'at', type: AttributeType.NUMBER },
    stream: StreamViewType.NEW_IMAGE, timeToLiveAttribute: 'gone',
  });
  plays.addGlobalSecondaryIndex({ indexName: 'by-at', partitionKey: { name: 'sk', type: AttributeType.STRING },
    projectionType: ProjectionType.KEYS_ONLY });
} }
"""
SCHEMA = """
import * as dynamodb from "aws-cdk-lib/aws-dynamodb";
new dynamodb.TableV2(this, "T", { tableName: "Plays", partitionKey: { name: "pk", type: dynamodb.AttributeType.STRING },
  globalSecondaryIndexes: [{ indexName: "gsi", partitionKey: { name: "x", type: dynamodb.AttributeType.NUMBER } }] });
"""
SST = """
const t = new sst.aws.Dynamo("Plays", { fields: { pk: "string", at: "number" },
  primaryIndex: { hashKey: "pk", rangeKey: "at" }, globalIndexes: { gsi: { hashKey: "at" } } });
"""
TOOLBOX = """
import { Table } from 'dynamodb-toolbox/table';
export const T = new Table({ name: 'Plays', partitionKey: { name: 'pk', type: 'string' },
  sortKey: { name: 'at', type: 'number' },
  indexes: { lsi: { type: 'local', sortKey: { name: 'n', type: 'number' } } } });
"""
DYNAMOOSE = """
import dynamoose from "dynamoose";
const schema = new dynamoose.Schema({ pk: { type: String, hashKey: true }, at: { type: Number, rangeKey: true },
  who: { type: String, index: { name: "gsi", type: "global" } } });
export const Play = dynamoose.model("Plays", schema);
"""


def key(request: Any) -> str:
    """The key of a table or an index, with types."""
    return " ".join(part["AttributeName"] for part in request["KeySchema"])


@pytest.mark.parametrize(
    ("text", "shown", "types"),
    [
        (CDK, {"": "pk at", "by-at": "sk"}, {"pk": "S", "at": "N", "sk": "S"}),
        (SCHEMA, {"": "pk", "gsi": "x"}, {"pk": "S", "x": "N"}),
        (SST, {"": "pk at", "gsi": "at"}, {"pk": "S", "at": "N"}),
        (TOOLBOX, {"": "pk at", "lsi": "pk n"}, {"pk": "S", "at": "N", "n": "N"}),
        (DYNAMOOSE, {"": "pk at", "gsi": "who"}, {"pk": "S", "at": "N", "who": "S"}),
    ],
)
def test_a_table_of_a_construct_or_a_model_is_read(
    tmp_path: Path, text: str, shown: dict[str, str], types: dict[str, str]
) -> None:
    (table,) = survey(write(tmp_path, {"infra/stack.ts": text})).tables
    request = table.request
    indexes = [*request.get("GlobalSecondaryIndexes", ()), *request.get("LocalSecondaryIndexes", ())]
    assert table.table == "Plays"
    assert {"": key(request), **{each["IndexName"]: key(each) for each in indexes}} == shown
    assert {each["AttributeName"]: each["AttributeType"] for each in request["AttributeDefinitions"]} == types


def test_a_stream_a_ttl_and_a_projection_of_the_cdk_are_carried_over(tmp_path: Path) -> None:
    (table,) = survey(write(tmp_path, {"infra/stack.ts": CDK})).tables
    assert table.request["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    assert table.request["TimeToLiveSpecification"] == {"Enabled": True, "AttributeName": "gone"}
    assert table.request["GlobalSecondaryIndexes"][0]["Projection"] == {"ProjectionType": "KEYS_ONLY"}


@pytest.mark.parametrize(
    ("option", "tags", "lost"),
    [
        ("tags: [{ key: 'team', value: 'stage' }]", [{"Key": "team", "Value": "stage"}], ()),
        ("tags: teamTags()", None, ("tags",)),
        ("pointInTimeRecovery: true", None, ("pointInTimeRecovery",)),
        ("pointInTimeRecovery: false", None, ()),
        ("encryption: TableEncryption.AWS_MANAGED", None, ("encryption",)),
        ("encryption: TableEncryption.DEFAULT", None, ()),
        ("replicas: [{ region: 'eu-west-1' }]", None, ("replicas",)),
    ],
)
def test_an_option_of_the_cdk_is_carried_over_or_named(
    tmp_path: Path, option: str, tags: list[dict[str, str]] | None, lost: tuple[str, ...]
) -> None:
    text = CDK.replace("partitionKey:", f"{option}, partitionKey:")
    (table,) = survey(write(tmp_path, {"infra/stack.ts": text})).tables
    assert table.request.get("Tags") == tags
    assert table.dropped == lost


def test_a_construct_whose_key_is_computed_is_named(tmp_path: Path) -> None:
    text = CDK.replace("partitionKey: { name: 'pk', type: AttributeType.STRING }", "partitionKey: keys.pk")
    _, body = made(tmp_path, {"infra/stack.ts": text, "db/schema.sql": "CREATE TABLE t (id int PRIMARY KEY);"})
    assert any("infra/stack.ts:4: a table definition in the CDK" in sentence for sentence in body["unused"])


ELECTRO = """
import { Entity } from 'electrodb';
export const table = process.env.SCANS ?? 'doors';
export const Scan = new Entity({
  model: { entity: 'scan', version: '1', service: 'doorlist' },
  attributes: {
    showId: { type: 'string', required: true }, code: { type: 'string', required: true },
    gate: { type: ['north', 'south'] as const, default: 'north' }, count: { type: 'number', required: true },
    by: { type: 'string' },
  },
  indexes: {
    main: { pk: { field: 'pk', composite: ['showId'], casing: 'none' }, sk: { field: 'sk', composite: ['code'] } },
    byGate: { index: 'gsi1', pk: { field: 'gp', composite: ['gate'] }, sk: { field: 'gs', composite: ['code'] } },
  },
}, { client, table });
"""
LIST = """
import { Scan } from '../model';
export async function scansOf(showId: string) {
  const { data } = await Scan.query.main({ showId }).go();
  return data;
}
export const one = async (showId, code) => (await Scan.get({ showId, code }).go()).data;
"""


def test_an_entity_of_electrodb_gives_its_table_kind_and_queries(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, {"src/model.ts": ELECTRO, "src/lib/list.ts": LIST})
    entity = settings.entities["scan"]
    assert entity.table == "doors"
    assert entity.match == {"pk": "$doorlist#showId_{showId}", "sk": "$scan_1#code_{code}"}
    assert entity.attributes["count"] == "number"
    assert entity.attributes["by"] == "string?"
    pattern = settings.patterns["scans_of"]
    assert (pattern.key, pattern.operation) == ({"pk": "$doorlist#showId_{showId}"}, "Query")
    assert settings.patterns["one"].key == {"pk": "$doorlist#showId_{showId}", "sk": "$scan_1#code_{code}"}
    request = json.loads((tmp_path / settings.steps.schema_load.files[0]).read_text())
    assert [each["IndexName"] for each in request["GlobalSecondaryIndexes"]] == ["gsi1"]


def test_attribute_definitions_by_a_map_over_a_list_are_read(tmp_path: Path) -> None:
    text = """
import { CreateTableCommand } from '@aws-sdk/client-dynamodb';
client.send(new CreateTableCommand({
  TableName: 'doors', BillingMode: 'PAY_PER_REQUEST',
  AttributeDefinitions: ['pk', 'sk'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' as const })),
  KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }, { AttributeName: 'sk', KeyType: 'RANGE' }],
}));
"""
    (table,) = survey(write(tmp_path, {"create.ts": text})).tables
    assert [each["AttributeName"] for each in table.request["AttributeDefinitions"]] == ["pk", "sk"]
