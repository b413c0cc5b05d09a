"""`devenv init` reads queries for items of declared classes: DynamoDBContext, DynamoDBMapper, Spring Data."""

from __future__ import annotations

from pathlib import Path

from devenv.init.class_tables import class_tables
from devenv.init.code import Query
from devenv.init.dotnet import read_dotnet
from devenv.init.java_code import read_java
from tests.unit.init.test_init_class_tables import FIRST, KOTLIN, SHARP
from tests.unit.init.test_init_kinds import made

CONTEXT = """\
public class HaulStore {
    public async Task<List<Haul>> OfBoat(Guid boatId) {
        var config = new DynamoDBOperationConfig { BackwardQuery = true };
        return await _context.QueryAsync<Haul>(boatId, new DynamoDBOperationConfig { BackwardQuery = true })
            .GetRemainingAsync();
    }
    public Task<List<Haul>> AtQuay(string quay) =>
        _context.QueryAsync<Haul>(quay, new DynamoDBOperationConfig { IndexName = "by-quay" }).GetRemainingAsync();
    public Task<Haul> One(Guid boatId, DateTime at) => _context.LoadAsync<Haul>(boatId, at);
    public Task<Crew> Other(Guid id) => _context.LoadAsync<Crew>(id);
}
"""
CONTROLLER = """\
[ApiController]
[Route("boats")]
public class BoatsController : ControllerBase {
    [HttpGet("{boatId:guid}/hauls")]
    public async Task<IActionResult> Hauls(Guid boatId) => Ok(await _store.OfBoat(boatId));
    [HttpGet("/quays/{quay}")]
    public async Task<IActionResult> Quay(string quay) { return Ok(await _store.AtQuay(quay)); }
}
"""
MAPPER = """\
public class HaulDao {
    public List<Haul> ofBoat(UUID boatId) {
        Map<String, AttributeValue> values = new HashMap<>();
        values.put(":b", new AttributeValue().withS(boatId.toString()));
        return mapper.query(Haul.class, new DynamoDBQueryExpression<Haul>()
            .withKeyConditionExpression("boat_id = :b").withExpressionAttributeValues(values)
            .withScanIndexForward(false).withLimit(5));
    }
    public List<Haul> atQuay(String quay) {
        Haul key = new Haul();
        key.setQuay(quay);
        return mapper.query(Haul.class,
            new DynamoDBQueryExpression<Haul>().withHashKeyValues(key).withIndexName("by-quay"));
    }
    public Haul one(UUID boatId, Date at) { return mapper.load(Haul.class, boatId, at); }
}
"""
REPOSITORY = """\
public interface HaulRepository extends PagingAndSortingRepository<Haul, HaulId> {
    List<Haul> findByQuayOrderByLandedAtDesc(@Param("quay") String quay);
    List<Haul> findByWeight(long weight);
}
"""
SHORT = """\
class Hauls(client: DynamoDbEnhancedClient) {
    private val table: DynamoDbTable<Haul> = client.table("hauls", TableSchema.fromBean(Haul::class.java))
    fun ofBoat(boatId: String): List<Haul> =
        table.query(QueryConditional.keyEqualTo { it.partitionValue(boatId) }).items().toList()
    fun other() = 1
}
@RestController
class Api(private val hauls: Hauls) {
    @GetMapping("/boats/{boatId}/hauls")
    fun list(@PathVariable boatId: String) = hauls.ofBoat(boatId)
    @GetMapping("/boats")
    fun all() = other()
}
"""


def by_name(queries: list[Query]) -> dict[str, Query]:
    return {query.function.name: query for query in queries}


def test_the_context_of_c_sharp() -> None:
    classes = class_tables({"Haul.cs": SHARP}, {}).classes
    (code,) = read_dotnet({"HaulStore.cs": CONTEXT}, [], classes)
    found = by_name([*code.queries])
    assert found.keys() == {"OfBoat", "AtQuay", "One"}
    boat, quay, one = found["OfBoat"], found["AtQuay"], found["One"]
    assert (boat.table, boat.key, boat.forward) == ("hauls", {"boat_id": "{boatId}"}, False)
    assert (quay.index, quay.key) == ("by-quay", {"quay": "{quay}"})
    assert (one.operation, one.key) == ("GetItem", {"boat_id": "{boatId}", "landedAt": "{at}"})
    # As ASP.NET writes the class.
    assert boat.function.results["boatId"] == "boat_id"


def test_a_route_from_the_root_and_the_trace_of_c_sharp(tmp_path: Path) -> None:
    files = {
        "db.sql": "CREATE TABLE boats (id uuid PRIMARY KEY, name text);",
        "Haul.cs": SHARP,
        "HaulStore.cs": CONTEXT,
        "BoatsController.cs": CONTROLLER,
        "Fleet.csproj": '<Project Sdk="Microsoft.NET.Sdk.Web"></Project>',
    }
    settings, _ = made(tmp_path, files)
    paths = {name: trace.request.path for name, trace in settings.trace.items() if trace.request}
    assert paths == {"of_boat": "/boats/{boatId}/hauls", "at_quay": "/quays/{quay}"}
    assert settings.trace["at_quay"].fields["weight"] == "weight"


def test_the_mapper_and_the_repository_of_java() -> None:
    texts = {"a/Haul.java": FIRST, "a/HaulDao.java": MAPPER, "a/HaulRepository.java": REPOSITORY}
    found = by_name([q for code in read_java(texts, [], [], "", class_tables(texts, {}).classes) for q in code.queries])
    boat, quay, named = found["ofBoat"], found["atQuay"], found["findByQuayOrderByLandedAtDesc"]
    assert (boat.table, boat.key, boat.forward, boat.limit) == ("hauls", {"boat_id": "{boatId}"}, False, 5)
    assert (quay.index, quay.key) == ("by-quay", {"quay": "{quay}"})
    assert (named.index, named.key, named.forward) == ("by-quay", {"quay": "{quay}"}, False)
    assert found["one"].key == {"boat_id": "{boatId}", "landedAt": "{at}"}
    assert "findByWeight" not in found


def test_functions_of_kotlin_that_are_one_expression() -> None:
    texts = {"a/Haul.kt": KOTLIN, "a/Hauls.kt": SHORT}
    (code,) = read_java(texts, [], [], "", class_tables(texts, {}).classes)
    (query,) = code.queries
    assert (query.function.name, query.table, query.key) == ("ofBoat", "hauls", {"boat_id": "{boatId}"})
    assert [("ofBoat" in route.calls, route.path) for route in code.routes] == [
        (True, "/boats/{boatId}/hauls"),
        (False, "/boats"),
    ]
