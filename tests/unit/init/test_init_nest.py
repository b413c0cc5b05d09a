"""`devenv init` on NestJS: fields of classes, TypeORM's entities, tables that a function with parameters makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import made

PACKAGE = '{"scripts": {"start": "nest start"}, "dependencies": {"@nestjs/core": "10", "typeorm": "0.3", "pg": "8"}}'
ENTITY = """import { Entity, Column, PrimaryGeneratedColumn } from 'typeorm';
@Entity('hives')
export class Hive {
  @PrimaryGeneratedColumn('uuid') id: string;
  @Column({ unique: true }) label: string;
}
"""
MODULE = "TypeOrmModule.forRoot({ type: 'postgres',\n  synchronize: true });\n"
SERVICE = """import { DynamoDBDocumentClient, QueryCommand, GetCommand } from '@aws-sdk/lib-dynamodb';
export class EventsService {
  FIELD
  async forHive(hive_id: string) {
    const out = await this.doc.send(new QueryCommand({ TableName: this.table, KeyConditionExpression: 'hive_id = :h',
      ExpressionAttributeValues: { ':h': hive_id } }));
    return out.Items;
  }
  async one(hive_id: string, at: string) {
    const out = await this.doc.send(new GetCommand({ TableName: this.table, Key: { hive_id, at } }));
    return out.Item;
  }
  async add(hive_id: string, at: string) {
    await this.doc.send(new PutCommand({ TableName: this.table, Item: { hive_id, at } }));
  }
}
"""
CONTROLLER = """import { Controller, Get, Param, Query } from '@nestjs/common';
@Controller('events')
export class EventsController {
  constructor(private readonly events: EventsService) {}
  @Get()
  list(@Query('hive_id') hive_id: string) { return this.events.forHive(hive_id); }
  @Get(':hive_id/:at')
  one(@Param('hive_id') hive_id: string, @Param('at') at: string) { return this.events.one(hive_id, at); }
}
"""
TABLES = """import { DynamoDBClient, CreateTableCommand } from '@aws-sdk/client-dynamodb';
const KEYS = [{ AttributeName: 'hive_id', KeyType: 'HASH' }, { AttributeName: 'at', KeyType: 'RANGE' }];
const ATTRIBUTES = [{ AttributeName: 'hive_id', AttributeType: 'S' }, { AttributeName: 'at', AttributeType: 'S' }];
async function createTable(name: string, keySchema: any[], attributeDefinitions: any[], indexes?: any[]) {
  await client.send(new CreateTableCommand({ TableName: name, KeySchema: keySchema,
    AttributeDefinitions: attributeDefinitions, GlobalSecondaryIndexes: indexes, BillingMode: 'PAY_PER_REQUEST' }));
}
createTable(process.env.EVENTS_TABLE, KEYS, ATTRIBUTES);
createTable('keepers', KEYS.slice(0, 1), ATTRIBUTES);
"""
ID = "{ AttributeName: 'id'"
FILES = {
    "package.json": PACKAGE,
    ".env.example": "EVENTS_TABLE=hive-events\n",
    "src/hive.entity.ts": ENTITY,
    "src/app.module.ts": MODULE,
    "src/events.controller.ts": CONTROLLER,
    "scripts/tables.ts": TABLES.replace(
        "KEYS.slice(0, 1), ATTRIBUTES", f"[{ID}, KeyType: 'HASH' }}], [{ID}, AttributeType: 'S' }}]"
    ),
}


@pytest.mark.parametrize(
    "field",
    [
        "private readonly table = process.env.EVENTS_TABLE;",
        "private table: string;\n  constructor() { \n    this.table = process.env.EVENTS_TABLE || 'hive-events';\n  }",
        "constructor(private config: ConfigService) {\n    this.table = this.config.get<string>('EVENTS_TABLE');\n  }",
    ],
)
def test_a_table_that_a_field_names_is_traced_from_both_routes(tmp_path: Path, field: str) -> None:
    settings, body = made(tmp_path, {**FILES, "src/events.service.ts": SERVICE.replace("FIELD", field)})
    assert sorted(settings.steps.schema_load.files) == [
        "seeds/dynamodb/tables/hive-events.json",
        "seeds/dynamodb/tables/keepers.json",
    ]
    paths = {name: trace.request.path for name, trace in settings.trace.items() if trace.request}
    assert paths == {"for_hive": "/events?hive_id={hive_id}", "one": "/events/{hive_id}/{at}"}
    assert [(link.source, link.to) for link in settings.links] == [
        ("dynamodb:hive-events.hive_id", "postgres:hives.id")
    ]
    assert any("src/app.module.ts:2: TypeORM (synchronize) makes the tables" in str(line) for line in body["unused"])


def test_a_call_of_the_function_that_is_computed_is_listed(tmp_path: Path) -> None:
    _, body = made(tmp_path, {**FILES, "scripts/tables.ts": TABLES})
    said = [str(line) for line in body["unused"] if "whose request is computed" in str(line)]
    assert len(said) == 1
    assert "scripts/tables.ts:5" in said[0]
    assert (tmp_path / "seeds/dynamodb/tables/hive-events.json").exists()


def test_a_field_with_two_values_is_none(tmp_path: Path) -> None:
    field = "private table = 'a';\n  other() {\n    this.table = 'b';\n  }"
    settings, _ = made(tmp_path, {**FILES, "src/events.service.ts": SERVICE.replace("FIELD", field)})
    assert not settings.patterns


@pytest.mark.parametrize(
    ("given", "said"),
    [("synchronize: false", ""), ("synchronize: isLocal", " where `isLocal` holds")],
)
def test_synchronize_with_its_condition(tmp_path: Path, given: str, said: str) -> None:
    module = MODULE.replace("synchronize: true", given)
    _, body = made(tmp_path, {"schema.sql": "CREATE TABLE t (id int);", "src/app.module.ts": module})
    lines = [str(line) for line in body["unused"] if "TypeORM" in str(line)]
    assert len(lines) == bool(said)
    assert all(f"application starts{said}:" in line for line in lines)
