"""Go: conditions that the SDK's package builds, structs that become items, guregu/dynamo."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devenv.init.code import Code
from devenv.init.golang_code import GoFile, read_go
from tests.unit.init.test_init_kinds import made

SDK = 'import "github.com/aws/aws-sdk-go-v2/service/dynamodb"\n'
QUERY = """
func Of(ctx context.Context, boatID, day string) ([]Trip, error) {
	%s
	expr, err := expression.NewBuilder().WithKeyCondition(cond).Build()
	out, err := db.Query(ctx, &dynamodb.QueryInput{
		TableName: aws.String("trips"), KeyConditionExpression: expr.KeyCondition(),
		ExpressionAttributeNames: expr.Names(), ExpressionAttributeValues: expr.Values(),
	})
}
"""


def read(text: str, keys: tuple[str, ...] = ("pk", "sk"), head: str = SDK) -> GoFile:
    return read_go({"a/main.go": f"package main\n{head}{text}"}, {}, frozenset(keys))["a/main.go"]


def code(text: str, keys: tuple[str, ...] = ("pk", "sk")) -> Code:
    return read(text, keys).code


@pytest.mark.parametrize(
    ("condition", "key", "narrowed", "begins"),
    [
        (
            'cond := expression.Key("pk").Equal(expression.Value("BOAT#" + boatID))',
            {"pk": "BOAT#{boatID}"},
            None,
            "",
        ),
        (
            'cond := expression.KeyAnd(expression.KeyEqual(expression.Key("pk"), expression.Value(boatID)),\n'
            '\t\texpression.KeyBeginsWith(expression.Key("sk"), "DAY#" + day))',
            {"pk": "{boatID}"},
            "sk",
            "DAY#{day}",
        ),
        (
            'own := expression.Key("pk")\n'
            '\tcond := own.Equal(expression.Value(boatID)).\n\t\tAnd(expression.Key("sk").'
            "Equal(expression.Value(day)))",
            {"pk": "{boatID}", "sk": "{day}"},
            None,
            "",
        ),
    ],
)
def test_a_key_condition_that_is_built(condition: str, key: dict[str, str], narrowed: str | None, begins: str) -> None:
    found = read(QUERY % condition)
    (query,) = found.code.queries
    assert (query.table, query.key, query.narrowed, query.begins) == ("trips", key, narrowed, begins)
    assert found.unread == ()


def test_a_condition_that_a_caller_builds_is_listed() -> None:
    found = read(QUERY % "log(boatID)")
    assert [query.key for query in found.code.queries] in ([], [{}])
    assert found.unread == ("a/main.go:7: a QueryInput whose key is computed",)


def test_a_struct_that_is_marshalled_is_an_item_with_what_is_added_to_it() -> None:
    (shape,) = code(
        """
type Base struct {
	CreatedAt time.Time `dynamodbav:"created_at"`
}
type Kind string
type Trip struct {
	Base
	BoatID string   `dynamodbav:"boat_id" json:"boatId"`
	Kind   Kind     `dynamodbav:"kind"`
	Miles  *float64 `dynamodbav:"miles,omitempty"`
	Ports  []string `dynamodbav:"ports"`
	Seats  []string `dynamodbav:"seats,stringset"`
	Gone   int64    `dynamodbav:"gone,unixtime"`
	Notes  string   `dynamodbav:"-"`
}
func (s *Store) Save(ctx context.Context, trip *Trip) error {
	item, err := attributevalue.MarshalMap(trip)
	item["pk"] = &types.AttributeValueMemberS{Value: "BOAT#" + trip.BoatID}
	item["sk"] = &types.AttributeValueMemberS{Value: fmt.Sprintf("TRIP#%s", trip.ID)}
	_, err = s.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("trips"), Item: item})
	return err
}
"""
    ).shapes
    assert shape.function.name == "Trip"
    assert {name: each.type for name, each in shape.attributes.items()} == {
        "created_at": "time",
        "boat_id": "string",
        "kind": "string",
        "miles": "number",
        "ports": "list",
        "seats": "set",
        "gone": "number",
        "pk": "string",
        "sk": "string",
    }
    assert (shape.attributes["pk"].template, shape.attributes["sk"].template) == ("BOAT#{BoatID}", "TRIP#{ID}")


def test_keys_that_are_fields_are_what_the_function_gives_them() -> None:
    (shape,) = code(
        """
type row struct {
	PK string `dynamodbav:"pk"`
	SK string `dynamodbav:"sk"`
	Name string `dynamodbav:"name"`
}
func Save(boatID, name string) {
	var r row
	r.PK = "BOAT#" + boatID
	r.SK = "META"
	item, _ := attributevalue.MarshalMap(r)
}
"""
    ).shapes
    assert {name: each.template for name, each in shape.attributes.items()} == {
        "pk": "BOAT#{boatID}",
        "sk": "META",
        "name": "{name}",
    }


def test_the_first_version_of_the_sdk() -> None:
    found = read(
        """
type Trip struct {
	BoatID string `json:"boatId"`
	Day    string `json:"day"`
	Crew   int
}
func Make() {
	svc.CreateTable(&dynamodb.CreateTableInput{
		TableName: aws.String("trips"), BillingMode: aws.String(dynamodb.BillingModePayPerRequest),
		KeySchema: []*dynamodb.KeySchemaElement{
			{AttributeName: aws.String("boatId"), KeyType: aws.String(dynamodb.KeyTypeHash)},
		},
		AttributeDefinitions: []*dynamodb.AttributeDefinition{
			{AttributeName: aws.String("boatId"), AttributeType: aws.String(dynamodb.ScalarAttributeTypeS)},
		},
	})
}
func Save(trip Trip) { item, _ := dynamodbattribute.MarshalMap(trip) }
func Of(boatID string) (trips []Trip, err error) {
	err = svc.QueryPages(&dynamodb.QueryInput{
		TableName: aws.String("trips"), KeyConditionExpression: aws.String("boatId = :b"),
		ExpressionAttributeValues: map[string]*dynamodb.AttributeValue{":b": {S: aws.String(boatID)}},
	}, func(page *dynamodb.QueryOutput, last bool) bool { return true })
	return
}
""",
        ("boatId",),
        'import "github.com/aws/aws-sdk-go/service/dynamodb"\n',
    )
    assert [table.request["KeySchema"] for table in found.tables] == [[{"AttributeName": "boatId", "KeyType": "HASH"}]]
    (shape,) = found.code.shapes
    assert [*shape.attributes] == ["boatId", "day", "Crew"]
    (query,) = found.code.queries
    assert (query.key, query.pages, query.function.results) == (
        {"boatId": "{boatID}"},
        True,
        {"boatId": "boatId", "day": "day", "Crew": "Crew"},
    )


GUREGU = """package main

import (
	"net/http"
	"github.com/gin-gonic/gin"
	"github.com/guregu/dynamo/v2"
)

type Trip struct {
	BoatID string `dynamo:"boat_id,hash" json:"boat_id"`
	Day    string `dynamo:"day,range" json:"day"`
	Port   string `dynamo:"port" index:"by-port,hash" json:"port"`
}

func (r *Repo) TripsOf(boatID string) ([]Trip, error) {
	var trips []Trip
	err := r.trips.Get("boat_id", boatID).Range("day", dynamo.BeginsWith, "2026-").
		Order(dynamo.Descending).All(ctx, &trips)
	return trips, err
}

func (r *Repo) OfPort(port string) (trips []Trip, err error) {
	err = db.Table("trips").Get("port", port).Index("by-port").All(ctx, &trips)
	return
}

func (r *Repo) One(boatID, day string) (trip Trip, err error) {
	err = r.trips.Get("boat_id", boatID).Range("day", dynamo.Equal, day).One(ctx, &trip)
	return
}

func (r *Repo) Add(trip Trip) error { return r.trips.Put(trip).Run(ctx) }

func main() {
	db.CreateTable("trips", Trip{}).Run(ctx)
	repo := &Repo{trips: db.Table("trips")}
	router := gin.Default()
	router.GET("/boats/:boat/trips", func(c *gin.Context) {
		trips, err := repo.TripsOf(c.Param("boat"))
		c.JSON(http.StatusOK, gin.H{"trips": trips})
	})
	router.Run(":4120")
}
"""


def test_guregu_dynamo(tmp_path: Path) -> None:
    sql = "CREATE TABLE boats (id text PRIMARY KEY, feet int); INSERT INTO boats VALUES ('b-1', 12);"
    settings, report = made(tmp_path, {"db.sql": sql, "go.mod": "module boats\n", "main.go": GUREGU})
    (request,) = [json.loads(path.read_text()) for path in tmp_path.rglob("tables/*.json")]
    assert [part["AttributeName"] for part in request["KeySchema"]] == ["boat_id", "day"]
    assert [index["IndexName"] for index in request["GlobalSecondaryIndexes"]] == ["by-port"]
    assert set(settings.entities["trip"].attributes) == {"boat_id", "day", "port"}
    assert [(link.source, link.to) for link in settings.links] == [("dynamodb:trips.boat_id", "postgres:boats.id")], (
        report
    )
    patterns = settings.patterns
    assert (patterns["trips_of"].key, patterns["trips_of"].order) == ({"boat_id": "{boatID}"}, "descending")
    assert (patterns["of_port"].index, patterns["of_port"].key) == ("by-port", {"port": "{port}"})
    request_ = settings.trace["trips_of"].request
    assert request_ is not None
    assert (request_.path, request_.items) == ("/boats/{boatID}/trips", "trips")
