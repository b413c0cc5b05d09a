"""`devenv init` reads the tables that classes of items declare in Java, Kotlin and C#."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devenv.init.class_tables import class_tables
from tests.unit.init.test_init_kinds import made

BEAN = """\
@DynamoDbBean
@Data
public class Haul {
    public static final String TABLE = "hauls";
    private UUID boatId;
    private Instant landedAt;
    @Getter(onMethod_ = {@DynamoDbSecondaryPartitionKey(indexNames = {"by-quay"})})
    private String quay;
    private Long weight;
    private List<String> crew;
    private transient String shown;
    @DynamoDbPartitionKey
    @DynamoDbAttribute("boat_id")
    public UUID getBoatId() { return boatId; }
    @DynamoDbSortKey
    public Instant getLandedAt() { return landedAt; }
}
"""
BINDS = "class Config { DynamoDbTable<Haul> t(C c) { return c.table(NAME, TableSchema.fromBean(Haul.class)); } }\n"
FIRST = """\
@DynamoDBTable(tableName = "hauls")
public class Haul {
    @DynamoDBHashKey(attributeName = "boat_id") private UUID boatId;
    @DynamoDBRangeKey private Date landedAt;
    @DynamoDBIndexHashKey(globalSecondaryIndexName = "by-quay") private String quay;
    @DynamoDBAttribute private long weight;
    @DynamoDBIgnore private String shown;
}
"""
KOTLIN = """\
@DynamoDbBean
data class Haul(
    @get:DynamoDbPartitionKey @get:DynamoDbAttribute("boat_id") var boatId: UUID? = null,
    @get:DynamoDbSortKey var landedAt: Instant? = null,
    @get:DynamoDbSecondaryPartitionKey(indexNames = ["by-quay"]) var quay: String = "",
    var weight: Long = 0,
)
"""
SHARP = """\
[DynamoDBTable("hauls")]
public class Haul
{
    [DynamoDBHashKey("boat_id")]
    public Guid BoatId { get; set; }
    [DynamoDBRangeKey(AttributeName = "landedAt")]
    public DateTime LandedAt { get; set; }
    [DynamoDBGlobalSecondaryIndexHashKey("by-quay", AttributeName = "quay")]
    public string Quay { get; set; }
    [DynamoDBProperty("weight")]
    public int? Weight { get; set; }
}
"""


@pytest.mark.parametrize(
    "texts",
    [
        {"src/main/java/a/Haul.java": BEAN, "src/main/java/a/C.java": BINDS.replace("NAME", '"hauls"')},
        {"src/main/java/a/Haul.java": BEAN, "src/main/java/a/C.java": BINDS.replace("NAME", "Haul.TABLE")},
        {"a/Haul.java": FIRST},
        {"a/Haul.kt": KOTLIN, "a/C.kt": 'val t = c.table("hauls", TableSchema.fromBean(Haul::class.java))\n'},
        {"Haul.cs": SHARP},
    ],
)
def test_the_table_of_a_class_with_its_index_and_the_types_of_its_items(texts: dict[str, str]) -> None:
    found = class_tables(texts, {})
    (table,) = found.tables
    request: dict[str, Any] = dict(table.request)
    assert request["TableName"] == "hauls"
    assert [part["AttributeName"] for part in request["KeySchema"]] == ["boat_id", "landedAt"]
    if "transient" not in next(iter(texts.values())):
        (index,) = request["GlobalSecondaryIndexes"]
        assert (index["IndexName"], index["KeySchema"][0]["AttributeName"]) == ("by-quay", "quay")
    ((shape,),) = [code.shapes for code in found.code.values()]
    types = {name: each.type for name, each in shape.attributes.items()}
    assert types["boat_id"] == "uuid"
    assert types["landedAt"] == "time"
    assert types["weight"] == "number?"
    assert "shown" not in types


@pytest.mark.parametrize(
    ("head", "settings", "variables", "name"),
    [
        ('@Value("${fleet.table}") private String NAME;', "fleet.table=${HAULS:hauls_dev}", {}, "hauls_dev"),
        ('@Value("${fleet.table}") private String NAME;', "fleet.table=${HAULS:hauls_dev}", {"HAULS": "mine"}, "mine"),
        ('@Value("${fleet.other:spare}") private String NAME;', "", {}, "spare"),
        ('private static final String NAME = "plain";', "", {}, "plain"),
    ],
)
def test_a_name_of_a_setting_or_a_constant(head: str, settings: str, variables: dict[str, str], name: str) -> None:
    texts = {
        "src/main/java/a/Haul.java": BEAN,
        "src/main/java/a/Config.java": head + BINDS,
        "src/main/resources/application.properties": settings,
    }
    (table,) = class_tables(texts, variables).tables
    assert table.table == name


def test_a_computed_name_gives_no_table_and_is_listed(tmp_path: Path) -> None:
    files = {
        "src/main/java/a/Haul.java": BEAN,
        "src/main/java/a/C.java": BINDS.replace("NAME", "prefix() + names.get()"),
    }
    settings, body = made(tmp_path, {"db.sql": "CREATE TABLE boats (id uuid PRIMARY KEY);", **files})
    assert settings.steps.schema_load.files == []
    assert any(each.startswith("src/main/java/a/Haul.java:1: a table definition in Java") for each in body["unused"])


def test_the_class_becomes_an_entity_that_is_linked(tmp_path: Path) -> None:
    files = {"Haul.cs": SHARP, "db.sql": "CREATE TABLE boats (id uuid PRIMARY KEY, name text);"}
    settings, body = made(tmp_path, files)
    assert settings.entities["haul"].attributes["quay"] == "string?"
    assert [(link.source, link.to) for link in settings.links] == [("dynamodb:hauls.boat_id", "postgres:boats.id")]
    assert not [each for each in body["unused"] if "Haul.cs" in each]
