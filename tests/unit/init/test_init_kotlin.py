"""`devenv init` on services in Kotlin: controller, service, its interface, repository; indexes named by constants."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import made

ITEM = """package farm
@DynamoDbBean
data class Harvest(
    @get:DynamoDbPartitionKey
    @get:DynamoDbAttribute("field_id")
    var fieldId: String = "",
    @get:DynamoDbSortKey
    var pickedAt: String = "",
    @get:DynamoDbSecondaryPartitionKey(indexNames = [BY_CROP])
    var crop: String = "",
    @get:DynamoDbSecondarySortKey(indexNames = [BY_CROP])
    var weighedAt: String = "",
) {
    companion object {
        const val TABLE_NAME = "harvests"
        const val BY_CROP = "crop-index"
    }
}
"""
CONTROLLER = """package farm
@RestController
@RequestMapping("/api/harvests")
class HarvestController(private val service: HarvestService) {
    @GetMapping("/field/{fieldId}")
    fun ofField(@PathVariable fieldId: String): List<Harvest> = service.listOfField(fieldId)

    @GetMapping("/crop/{crop}")
    fun ofCrop(@PathVariable crop: String): ResponseEntity<List<Harvest>> {
        return ResponseEntity.ok(service.listOfCrop(crop))
    }

    @GetMapping
    fun one(@RequestParam fieldId: String, @RequestParam("pickedAt") pickedAt: String): Harvest? =
        service.one(fieldId, pickedAt)

    @GetMapping("/weather/{fieldId}")
    fun weather(@PathVariable fieldId: String): Weather = stations.listOfField(fieldId)
}
"""
SERVICE = """package farm
interface HarvestService {
    fun listOfField(fieldId: String): List<Harvest>
    fun listOfCrop(crop: String): List<Harvest>
    fun one(fieldId: String, pickedAt: String): Harvest?
}
@Service
class HarvestServiceOfStore(private val repository: HarvestRepository) : HarvestService {
    override fun listOfField(fieldId: String) = repository.findByField(fieldId)
    override fun listOfCrop(crop: String): List<Harvest> { return repository.findByCrop(crop) }
    override fun one(fieldId: String, pickedAt: String): Harvest? = repository.findOne(fieldId, pickedAt)
}
"""
REPOSITORY = """package farm
@Repository
class DynamoHarvestRepository(client: DynamoDbEnhancedClient) : HarvestRepository {
    private val table = client.table(Harvest.TABLE_NAME, TableSchema.fromBean(Harvest::class.java))

    override fun findByField(fieldId: String): List<Harvest> {
        val condition = QueryConditional.keyEqualTo(Key.builder().partitionValue(fieldId).build())
        return table.query(condition).items().toList()
    }

    override fun findByCrop(crop: String): List<Harvest> {
        val key = Key.builder().partitionValue(crop).build()
        return table.index(Harvest.BY_CROP)
            .query { it.queryConditional(QueryConditional.keyEqualTo(key)).scanIndexForward(false) }
            .flatMap { it.items() }
    }

    override fun findOne(fieldId: String, pickedAt: String): Harvest? =
        table.getItem(Key.builder().partitionValue(fieldId).sortValue(pickedAt).build())
}
"""
FARM = {
    "build.gradle.kts": 'plugins { id("org.springframework.boot") }\nimplementation("software.amazon.awssdk:dynamodb")',
    "src/main/kotlin/Harvest.kt": ITEM,
    "src/main/kotlin/Controller.kt": CONTROLLER,
    "src/main/kotlin/Service.kt": SERVICE,
    "src/main/kotlin/Contract.kt": "interface HarvestRepository { fun findByField(fieldId: String): List<Harvest> }",
    "src/main/kotlin/Store.kt": REPOSITORY,
    "schema.sql": "CREATE TABLE t (id int PRIMARY KEY);",
}
TICKET = """package x;
@DynamoDBTable(tableName = "tickets")
public class Ticket {
  @DynamoDBHashKey private String id;
  @DynamoDBIndexHashKey(globalSecondaryIndexName = Indexes.SHOW, attributeName = "show_id") private String showId;
  @DynamoDBIndexRangeKey(globalSecondaryIndexName = Indexes.SHOW) private Long soldAt;
}
"""


def test_routes_reach_their_queries_through_services_and_interfaces(tmp_path: Path) -> None:
    settings, body = made(tmp_path, FARM)
    request = json.loads((tmp_path / "seeds/dynamodb/tables/harvests.json").read_text())
    assert [index["IndexName"] for index in request["GlobalSecondaryIndexes"]] == ["crop-index"]
    paths = {name: trace.request.path for name, trace in settings.trace.items() if trace.request}
    assert paths == {
        "by_field": "/api/harvests/field/{fieldId}",
        "by_crop": "/api/harvests/crop/{crop}",
        "one": "/api/harvests?fieldId={fieldId}&pickedAt={pickedAt}",
    }
    assert settings.patterns["by_crop"].index == "crop-index"
    assert settings.patterns["one"].key == {"field_id": "{fieldId}", "pickedAt": "{pickedAt}"}
    # A function of the same name on an object of another class reaches nothing.
    assert any("/api/harvests/weather/{fieldId}" in str(line) for line in body["unused"])


def test_an_index_that_a_field_holds(tmp_path: Path) -> None:
    text = REPOSITORY.replace("table.index(Harvest.BY_CROP)", "byCrop").replace(
        "\n\n    override fun findByField",
        "\n    private val byCrop = table.index(Harvest.BY_CROP)\n\n    override fun findByField",
    )
    settings, _ = made(tmp_path, {**FARM, "src/main/kotlin/Store.kt": text})
    assert settings.patterns["by_crop"].index == "crop-index"


@pytest.mark.parametrize("owner", ["public final class Indexes", "interface Indexes"])
def test_indexes_of_the_first_sdk_by_constants(tmp_path: Path, owner: str) -> None:
    constant = f'package x;\n{owner} {{ public static final String SHOW = "show-index"; }}\n'
    files = {"pom.xml": "<artifactId>aws-java-sdk-dynamodb</artifactId>", "src/main/java/x/Ticket.java": TICKET}
    made(tmp_path, {**files, "src/main/java/x/Indexes.java": constant, "schema.sql": FARM["schema.sql"]})
    request = json.loads((tmp_path / "seeds/dynamodb/tables/tickets.json").read_text())
    (index,) = request["GlobalSecondaryIndexes"]
    assert [part["AttributeName"] for part in index["KeySchema"]] == ["show_id", "soldAt"]
    assert index["IndexName"] == "show-index"
