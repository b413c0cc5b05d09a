"""Queries of Go through a function of the project; the person that a route names by a handle."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.init.test_init_kinds import made

REQUEST = {
    "TableName": "shop",
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
}
REPO = """package store

import (
	"context"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

type Repo struct{ db *dynamodb.Client }

func (r *Repo) byKey(ctx context.Context, pk string) ([]map[string]types.AttributeValue, error) {
	out, err := r.db.Query(ctx, &dynamodb.QueryInput{
		TableName:              aws.String("shop"),
		KeyConditionExpression: aws.String("pk = :pk"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":pk": &types.AttributeValueMemberS{Value: pk},
		},
	})
	if err != nil {
		return nil, err
	}
	return out.Items, nil
}

func (r *Repo) OrdersOf(ctx context.Context, customerID string) ([]map[string]types.AttributeValue, error) {
	return r.byKey(ctx, "CUSTOMER#"+customerID)
}
"""
MAIN = """package main

import "net/http"

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /customers/{customerID}/orders", func(w http.ResponseWriter, q *http.Request) {
		orders, _ := repo.OrdersOf(q.Context(), q.PathValue("customerID"))
		write(w, orders)
	})
	http.ListenAndServe(":8080", mux)
}
"""


def test_a_query_through_a_helper_of_go_is_that_of_its_caller(tmp_path: Path) -> None:
    items = [{"pk": "CUSTOMER#7", "sk": "ORDER#1", "total": 3}, {"pk": "CUSTOMER#7", "sk": "ORDER#2", "total": 4}]
    files = {"go.mod": "module x\n", "store/repo.go": REPO, "main.go": MAIN}
    settings, _ = made(tmp_path, {**files, "t.json": json.dumps(REQUEST), "items.json": json.dumps({"shop": items})})
    assert {name: each.key for name, each in settings.patterns.items()} == {
        "orders_of": {"pk": "CUSTOMER#{customerID}"}
    }
    assert settings.backend is not None
    assert settings.backend.port == 8080


PLAYS = """
exports.playsOf = async (listenerId) => (await doc.send(new QueryCommand({
  TableName: 'shop', KeyConditionExpression: 'pk = :p', ExpressionAttributeValues: { ':p': `LISTENER#${listenerId}` },
}))).Items;
"""
WREN = "d2a6a4de-2f1b-4c37-8f7b-6f0c1a9e7711"
SEED = (
    f"const wren = '{WREN}';"
    + """
const play = (who, guid) => ({ PutRequest: { Item: { pk: `LISTENER#${who}`, sk: `EP#${guid}`, device: 'car' } } });
doc.send(new BatchWriteCommand({ RequestItems: { shop: [play(wren, 'a'), play(wren, 'b')] } }));
"""
)
APP = """
const { playsOf } = require('./plays');
app.get('/@:handle/plays', async (req, res) => {
  const listener = await db('listeners').where({ handle: req.params.handle }).first();
  const plays = await playsOf(listener.id);
  res.json(plays);
});
"""


def test_a_table_that_a_route_names_by_a_handle_is_the_person(tmp_path: Path) -> None:
    sql = "CREATE TABLE listeners (id uuid PRIMARY KEY, handle text UNIQUE);"
    sql += f"\nINSERT INTO listeners VALUES ('{WREN}', 'w');"
    package = json.dumps({"scripts": {"start": "node app.js"}, "dependencies": {"express": "4"}})
    files = {"t.json": json.dumps(REQUEST), "db/s.sql": sql, "seed.js": SEED, "plays.js": PLAYS, "app.js": APP}
    settings, _ = made(tmp_path, {**files, "package.json": package})
    assert settings.person is not None
    assert (settings.person.table, settings.person.id, settings.person.name) == ("public.listeners", "id", "handle")
    assert settings.patterns["plays_of"].key == {"pk": "LISTENER#{person.id}"}
    request = settings.trace["plays_of"].request
    assert request is not None
    assert request.path == "/@{person.handle}/plays"
