"""How `init` reads Go: its values, queries, items, routes and commands, and what it lists as not understood."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from devenv.init.code import Code
from devenv.init.golang import GoParser, parse_go
from devenv.init.golang_code import GoFile, go_run, read_go
from devenv.init.source import Scope, template_of, value_of
from devenv.init.survey import survey

SDK = 'import "github.com/aws/aws-sdk-go-v2/service/dynamodb"\n'


def read(text: str, keys: tuple[str, ...] = ("pk", "sk")) -> GoFile:
    return read_go({"a/main.go": f"package main\n{SDK}{text}"}, {"SET": "given"}, frozenset(keys))["a/main.go"]


def code(text: str) -> Code:
    return read(text).code


def expression(text: str) -> ast.expr:
    script = parse_go(text)
    assert script is not None
    return GoParser(script, {}).expression(0)[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a\\"b"', 'a"b'),
        ("`a\\b`", "a\\b"),
        ("aws.Int32(12)", 12),
        ("aws.Bool(true)", True),
        ('[]string{`a`, "b"}', ["a", "b"]),
        ('map[string]string{"#s": "state"}', {"#s": "state"}),
        ("types.KeyTypeHash", "HASH"),
        ("types.BillingModePayPerRequest", "PAY_PER_REQUEST"),
        ('&types.AttributeValueMemberN{Value: "1"}', {"N": "1"}),
        ('os.Getenv("SET")', "given"),
        ('getEnvOr("OTHER", "default")', "default"),
    ],
)
def test_values(text: str, value: object) -> None:
    assert value_of(expression(text), Scope({}, {"SET": "given"})) == value


@pytest.mark.parametrize(
    "text", ['"SITE#" + siteID', 'fmt.Sprintf("SITE#%s", siteID)', 'fmt.Sprintf("SITE#%v", site.siteID.String())']
)
def test_texts_that_are_put_together(text: str) -> None:
    assert template_of(expression(text), Scope({})) == "SITE#{siteID}"


def test_a_query_with_its_values_in_a_variable() -> None:
    (query,) = code(
        """
func List(ctx context.Context, db *dynamodb.Client, orgID, userID string, limit int32) ([]Thing, error) {
	values := map[string]types.AttributeValue{
		":pk": &types.AttributeValueMemberS{Value: fmt.Sprintf("ORG#%s", orgID)},
		":sk": &types.AttributeValueMemberS{Value: "USER#"},
	}
	out, err := db.Query(ctx, &dynamodb.QueryInput{
		TableName: aws.String(os.Getenv("SET")), IndexName: aws.String("by-org"),
		KeyConditionExpression: aws.String("#p = :pk AND begins_with(sk, :sk)"),
		ExpressionAttributeNames: map[string]string{"#p": "pk"},
		ExpressionAttributeValues: values, ScanIndexForward: aws.Bool(false), Limit: aws.Int32(20),
	})
"""
        "}\n"
    ).queries
    assert (query.function.name, query.function.parameters) == ("List", ("orgID", "userID", "limit"))
    assert (query.table, query.index, query.key) == ("given", "by-org", {"pk": "ORG#{orgID}"})
    assert (query.narrowed, query.narrowed_by, query.forward, query.limit) == ("sk", "'USER#'", False, 20)
    assert not query.pages


def test_a_get_item_and_a_table_that_a_struct_names() -> None:
    text = """
func New() *Store { return &Store{table: os.Getenv("SET")} }
func (s *Store) Get(ctx context.Context, id string) (*Thing, error) {
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.table,
		Key: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: id}},
	})
}
"""
    (query,) = code(text).queries
    assert (query.operation, query.function.name) == ("GetItem", "Store.Get")
    assert (query.table, query.key) == ("given", {"pk": "{id}"})


def test_items_of_structs_and_of_maps() -> None:
    found = code(
        """
type Thing struct {
	PK   string `dynamodbav:"pk" json:"-"`
	SK   string `dynamodbav:"sk,omitempty" json:"at"`
	Size int    `json:"size" dynamodbav:"size"`
}
func Put(org string) { save(Thing{PK: "ORG#" + org, SK: time.Now().Format(time.RFC3339), Size: 3}) }
func Raw(org string) {
	c.PutItem(ctx, &dynamodb.PutItemInput{Item: map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: "RAW#" + org},
		"sk": &types.AttributeValueMemberS{Value: "x"},
		"ok": &types.AttributeValueMemberBOOL{Value: true},
	}})
}
func List(org string) ([]Thing, error) { return nil, nil }
"""
    )
    shapes = {s.function.name: {n: (a.type, a.template) for n, a in s.attributes.items()} for s in found.shapes}
    assert (shapes["Put"]["pk"], shapes["Put"]["size"]) == (("string", "ORG#{org}"), ("number", None))
    assert shapes["Put"]["sk"][0] == "time"
    assert shapes["Raw"]["pk"] == ("string", "RAW#{org}")
    assert shapes["Raw"]["ok"] == ("boolean", None)
    (listing,) = [each for each in found.functions if each.name == "List"]
    assert listing.results == {"at": "sk", "size": "size"}


def test_a_table_and_one_that_is_computed() -> None:
    found = read(
        """
func Make() {
	c.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: aws.String("things"), BillingMode: types.BillingModePayPerRequest,
		KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS},
		},
	})
	c.CreateTable(ctx, &dynamodb.CreateTableInput{TableName: aws.String(name), KeySchema: schemaOf(name)})
}
"""
    )
    (table,) = found.tables
    assert table.request["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    assert table.request["AttributeDefinitions"] == [{"AttributeName": "pk", "AttributeType": "S"}]
    assert len(found.unclear) == 1


ROUTES = """
import "net/http"
func routes() {
	mux.HandleFunc("GET /things/{id}", show)
	mux.HandleFunc("POST /things", create)
	mux.HandleFunc("/old/", old)
	mux.HandleFunc("/search", func(w http.ResponseWriter, r *http.Request) { find(r.URL.Query().Get("word")) })
	mux.HandleFunc(prefix+"/x", show)
	r.Route("/api", func(r chi.Router) { r.Get("/orgs/{orgID:[a-z]+}", show) })
	v1 := engine.Group("/v1")
	v1.GET("/users/:userID", show)
	g.HandleFunc("/gone", show).Methods("DELETE")
}
func old(w http.ResponseWriter, r *http.Request) {
	thingID := strings.TrimPrefix(r.URL.Path, "/old/")
	things, err := List(r.Context(), thingID)
	reply(w, map[string]any{"data": things})
}
func show(w http.ResponseWriter, r *http.Request) { List(r.Context(), "") }
"""


def test_routes() -> None:
    found = read(ROUTES)
    routes = {route.path: route for route in found.code.routes}
    assert set(routes) == {"/things/{id}", "/old/{thingID}", "/search", "/api/orgs/{orgID}", "/v1/users/{userID}"}
    assert routes["/old/{thingID}"].wraps["List"] == "data"
    assert "List" in routes["/things/{id}"].calls
    assert routes["/search"].asked == ("word",)
    assert [line for line in found.unread if "route" in line] == [
        "a/main.go:10: a route whose path is computed: declare [trace.*]"
    ]


def test_a_query_that_is_computed_is_listed() -> None:
    found = read("func f() { c.Query(ctx, &dynamodb.QueryInput{KeyConditionExpression: expr.KeyCondition()}) }")
    assert found.unread == ("a/main.go:3: a QueryInput whose key is computed",)


@pytest.mark.parametrize(
    ("main", "words"),
    [
        ('if os.Args[1] == "list" { show(List(ctx, os.Args[2])) }', ("list", "{0}")),
        ('switch os.Args[1] { case "add": add(); case "list": show(List(ctx, flag.Arg(1))) }', ("list", "{0}")),
        ("show(List(ctx, os.Args[1]))", ("{0}",)),
    ],
)
def test_a_command_that_prints_an_answer(main: str, words: tuple[str, ...]) -> None:
    assert read(f"func main() {{ {main} }}\n").commands["List"] == words


def test_where_a_program_runs() -> None:
    assert go_run("main.go", [""]) == ("", ["go", "run", "."])
    assert go_run("api/cmd/server/main.go", ["", "api"]) == ("api", ["go", "run", "./cmd/server"])


def test_a_file_that_is_no_go_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    broken = "package x\nfunc ( { [ \nvar = := (((\n" + "&dynamodb.QueryInput{" * 80 + "`unclosed"
    (tmp_path / "broken.go").write_text(broken)
    (tmp_path / "x_test.go").write_text('package x\nfunc f() { os.Getenv("ONLY_IN_A_TEST") }\n')
    found = survey(tmp_path)
    assert "ONLY_IN_A_TEST" not in {name for each in found.code for name in each.variables}
