"""`devenv init` reads .NET: the web project, its settings, routes and queries of C#."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devenv.init.dotnet import read_dotnet, template_of
from tests.unit.init.test_init_kinds import made

REQUEST = {
    "TableName": "visits",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
}
STORE = """\
public class VisitStore
{
    private const string Table = "visits";

    public async Task<List<Visit>> OfPatient(string patientId, int take = 10)
    {
        var answer = await _client.QueryAsync(new QueryRequest
        {
            TableName = Table,
            KeyConditionExpression = "#p = :p AND begins_with(sk, :v)",
            ExpressionAttributeNames = new Dictionary<string, string> { ["#p"] = "pk" },
            ExpressionAttributeValues = new Dictionary<string, AttributeValue>
            {
                [":p"] = new AttributeValue { S = $"PATIENT#{patientId}" },
                { ":v", new AttributeValue("VISIT#") },
            },
            ScanIndexForward = false,
            Limit = 10,
        });
        if (answer.Items.Count == 0) { return []; }
        return answer.Items.Select(ToVisit).ToList();
    }
}
"""
PROGRAM = """\
var url = Environment.GetEnvironmentVariable("CLINIC_QUEUE");
app.MapHealthChecks("/healthz");
var api = app.MapGroup("/api");
var v1 = api.MapGroup("/v1");
v1.MapGet("/patients/{patientId:guid}/visits", async (string patientId, VisitStore store) =>
    Results.Ok(await store.OfPatient(patientId)));
"""
CONTROLLER = """\
[ApiController]
[Route("api/[controller]")]
public class NotesController : ControllerBase
{
    [HttpGet("{id:int}")]
    public async Task<ActionResult> Get(int id)
    {
        return Ok(await _notes.Find(id));
    }

    [HttpGet]
    public IActionResult All() => Ok(_notes.All());
}
"""
SETTINGS = """\
{
  // of this machine
  "ConnectionStrings": { "Main": "Host=localhost;Port=5433;Database=clinic;Username=c;Password=c" },
  "AWS": { "ServiceURL": "http://localhost:8000" },
  "Logging": { "Level": "Information" }
}
"""


def test_a_web_project_is_the_backend_and_its_settings_are_variables(tmp_path: Path) -> None:
    files = {
        "db.sql": "CREATE TABLE patients (id uuid PRIMARY KEY);",
        "src/Clinic/Clinic.csproj": '<Project Sdk="Microsoft.NET.Sdk.Web"></Project>',
        "src/Clinic/Program.cs": PROGRAM,
        "src/Clinic/VisitStore.cs": STORE,
        "src/Clinic/appsettings.json": SETTINGS,
        "src/Clinic/Properties/launchSettings.json": json.dumps(
            {"profiles": {"http": {"applicationUrl": "http://localhost:5081"}}}
        ),
        "tables/visits.json": json.dumps(REQUEST),
        "seeds/visits.json": json.dumps({"table": "visits", "items": [{"pk": "PATIENT#7", "sk": "VISIT#1"}]}),
    }
    settings, _ = made(tmp_path, files)
    backend = settings.backend
    assert backend is not None
    assert backend.command == ["dotnet", "run", "--no-launch-profile", "--urls", "http://127.0.0.1:{port}"]
    assert (backend.folder, backend.port, backend.health) == ("src/Clinic", 5081, "/healthz")
    assert settings.env["ConnectionStrings__Main"] == (
        "Host={postgres_host};Port={postgres_port};Database={postgres_database};Username={postgres_user}"
        ";Password={postgres_password}"
    )
    assert settings.env["AWS__ServiceURL"] == "{dynamodb_url}"
    assert settings.postgres is not None
    assert settings.postgres.database == "clinic"
    trace = settings.trace["of_patient"]
    assert trace.request is not None
    assert trace.request.path == "/api/v1/patients/{patientId}/visits"


def test_queries_of_c_sharp() -> None:
    (code,) = read_dotnet({"src/VisitStore.cs": STORE, "Clinic.Tests/VisitStore.cs": STORE}, [])
    (query,) = code.queries
    assert (query.table, query.key, query.function.name) == ("visits", {"pk": "PATIENT#{patientId}"}, "OfPatient")
    assert (query.narrowed, query.begins, query.forward, query.limit) == ("sk", "VISIT#", False, 10)
    assert query.function.parameters == ("patientId", "take")


def test_routes_of_groups_and_controllers() -> None:
    program, controller = read_dotnet({"Program.cs": PROGRAM, "Controllers/NotesController.cs": CONTROLLER}, [])
    assert [each.path for each in program.routes] == ["/api/v1/patients/{patientId}/visits", "/healthz"]
    assert "OfPatient" in program.routes[0].calls
    assert program.variables == {"CLINIC_QUEUE": 1}
    assert [(each.path, "Find" in each.calls) for each in controller.routes] == [
        ("/api/notes/{id}", True),
        ("/api/notes", False),
    ]


@pytest.mark.parametrize(
    ("expression", "template"),
    [('$"P#{id}"', "P#{id}"), ('"P#" + id', "P#{id}"), ("id.ToString()", "{id}"), ("Key(id)", None)],
)
def test_texts_that_c_sharp_puts_together(expression: str, template: str | None) -> None:
    assert template_of(expression, {}) == template


def test_migrations_of_entity_framework_are_listed(tmp_path: Path) -> None:
    files = {
        "db.sql": "CREATE TABLE a (id int PRIMARY KEY);",
        "Data/Migrations/20240101120000_Init.cs": "public partial class Init : Migration { }\n",
        "Data/Migrations/20240101120000_Init.Designer.cs": "partial class Init { }\n",
    }
    _, body = made(tmp_path, files)
    assert any(each.startswith("Data/Migrations: has migrations of Entity Framework") for each in body["unused"])
