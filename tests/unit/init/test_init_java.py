"""`devenv init` reads Java and Kotlin: beans and queries of the AWS SDK v2, routes of Spring."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devenv.init.java_code import arguments, beans_in, parameter, read_java, template_of
from devenv.init.tables import Found
from tests.unit.init.test_init_kinds import made

REQUEST = {
    "TableName": "scans",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in ("parcelNo", "at", "depot")],
    "KeySchema": [{"AttributeName": "parcelNo", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-depot",
            "KeySchema": [{"AttributeName": "depot", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}
BEAN = """\
@DynamoDbBean
public class Scan {
    private String parcelNo;
    @DynamoDbPartitionKey
    public String getParcelNo() { return parcelNo; }
    @DynamoDbSortKey
    @DynamoDbSecondarySortKey(indexNames = "by-depot")
    @DynamoDbAttribute("at")
    public String getScannedAt() { return scannedAt; }
    @DynamoDbSecondaryPartitionKey(indexNames = {"by-depot"})
    public String getDepot() { return depot; }
    public Integer getBelt() { return belt; }
}
"""
KOTLIN_BEAN = """\
@DynamoDbBean
data class Scan(
    @get:DynamoDbPartitionKey var parcelNo: String = "",
    @get:DynamoDbSortKey @get:DynamoDbAttribute("at") var scannedAt: String = "",
)
"""
REPOSITORY = """\
@Repository
public class ScanRepository {
    private static final String PREFIX = "P#";
    private final DynamoDbTable<Scan> scans;

    public List<Scan> ofParcel(@NonNull String parcelNo) {
        return scans.query(r -> r.queryConditional(QueryConditional.sortBeginsWith(
            Key.builder().partitionValue(PREFIX + parcelNo).sortValue("2024").build()))
            .scanIndexForward(false).limit(9)).items().stream().toList();
    }

    public List<Scan> ofDepot(String depot) {
        return scans.index("by-depot").query(QueryConditional.keyEqualTo(Key.builder().partitionValue(depot).build()))
            .stream().toList();
    }

    public Scan one(String parcelNo, String at) {
        return scans.getItem(Key.builder().partitionValue(parcelNo).sortValue(at).build());
    }
}
"""
LOW_LEVEL = """\
public class Scans {
    private static final String TABLE = "scans";
    public List<Map<String, AttributeValue>> ofDepot(String depot) {
        QueryRequest request = QueryRequest.builder().tableName(TABLE).indexName("by-depot")
            .keyConditionExpression("#d = :d AND begins_with(at, :y)")
            .expressionAttributeNames(Map.of("#d", "depot"))
            .expressionAttributeValues(Map.of(":d", AttributeValue.builder().s(depot).build(),
                ":y", AttributeValue.fromS("2024")))
            .build();
        return client.query(request).items();
    }
}
"""
CONTROLLER = """\
@RestController
@RequestMapping(path = "/parcels")
public class ParcelController {
    @GetMapping("/{parcelNo:[A-Z0-9]+}/scans")
    public List<Map<String, Object>> list(@PathVariable String parcelNo, @RequestParam("q") String q) {
        return repository.ofParcel(parcelNo).stream()
            .map(s -> Map.<String, Object>of("time", s.getAt(), "belt", s.getBelt(), "city", city(s)))
            .toList();
    }
    @GetMapping
    public List<String> all() { return List.of(); }
}
"""


def found(**more: object) -> list[Found]:
    return [Found("t.json", 1, {**REQUEST, **more})]


@pytest.mark.parametrize("text", [BEAN, KOTLIN_BEAN])
def test_the_key_of_a_bean(text: str) -> None:
    ((name, bean),) = beans_in(text)
    assert (name, bean.partition, bean.sort) == ("Scan", "parcelNo", "at")


def test_queries_of_the_enhanced_client() -> None:
    (code,) = read_java(
        {"src/main/java/a/ScanRepository.java": REPOSITORY, "src/main/java/a/Scan.java": BEAN}, found(), []
    )
    parcel, depot, one = code.queries
    assert (parcel.table, parcel.key, parcel.function.name) == ("scans", {"parcelNo": "P#{parcelNo}"}, "ofParcel")
    assert (parcel.narrowed, parcel.begins, parcel.forward, parcel.limit) == ("at", "2024", False, 9)
    assert (depot.index, depot.key, depot.forward) == ("by-depot", {"depot": "{depot}"}, None)
    assert (one.operation, one.key) == ("GetItem", {"parcelNo": "{parcelNo}", "at": "{at}"})
    assert parcel.function.parameters == ("parcelNo",)


def test_a_request_with_a_builder() -> None:
    (code,) = read_java({"src/main/java/a/Scans.java": LOW_LEVEL}, found(), [])
    (query,) = code.queries
    assert (query.table, query.index, query.key) == ("scans", "by-depot", {"depot": "{depot}"})
    assert (query.narrowed, query.begins) == ("at", "2024")


def test_routes_below_class_and_context_path() -> None:
    (code,) = read_java({"src/main/java/a/ParcelController.java": CONTROLLER}, [], [], "/tracking")
    scans, plain = code.routes
    assert (scans.path, plain.path) == ("/tracking/parcels/{parcelNo}/scans", "/tracking/parcels")
    assert scans.answers["ofParcel"] == {"time": "at", "belt": "belt"}


@pytest.mark.parametrize(("file", "count"), [("src/test/java/a/C.java", 0), ("src/main/java/test/fleet/C.java", 1)])
def test_java_of_tests_is_not_read(file: str, count: int) -> None:
    assert len([*read_java({file: CONTROLLER}, [], [])]) == count


@pytest.mark.parametrize(
    ("expression", "template"),
    [
        ('"P#" + no', "P#{no}"),
        ('"P#$no"', "P#{no}"),
        ("String.valueOf(no)", "{no}"),
        ("PREFIX + no", "X#{no}"),
        ("hash(no)", None),
    ],
)
def test_texts_that_java_puts_together(expression: str, template: str | None) -> None:
    assert template_of(expression, {"PREFIX": "X#"}) == template


def test_parameters_with_annotations_and_of_kotlin() -> None:
    assert [*map(parameter, arguments('@PathVariable("id") String note, Map<String, Long> all, count: Int'))] == [
        "note",
        "all",
        "count",
    ]


def test_a_spring_project_gets_a_trace_without_an_edit(tmp_path: Path) -> None:
    place = "src/main/java/a"
    items = [{"parcelNo": "P#7", "at": "2024-01-02T03:04:05Z", "depot": "HAM", "belt": 4}]
    files = {
        "pom.xml": "<artifactId>spring-boot-starter-web</artifactId>",
        "src/main/resources/application.yml": "server: {port: 8085, servlet: {context-path: /tracking}}\n",
        "db.sql": "CREATE TABLE a (id int PRIMARY KEY);",
        "tables/scans.json": json.dumps(REQUEST),
        "seeds/scans.json": json.dumps({"table": "scans", "items": items}),
        f"{place}/Scan.java": BEAN,
        f"{place}/ScanRepository.java": REPOSITORY,
        f"{place}/ParcelController.java": CONTROLLER,
    }
    settings, body = made(tmp_path, files)
    trace = settings.trace["of_parcel"]
    assert trace.request is not None
    assert trace.request.path == "/tracking/parcels/{parcelNo}/scans"
    assert trace.library is None
    assert not [each for each in body["unused"] if "Scan.java" in each]
    assert [each for each in body["unused"] if "route /tracking/parcels (Spring): no query" in each]
