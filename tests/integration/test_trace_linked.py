"""A function that resolves names from Postgres: what it answers is held against the rows that links lead to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devenv.stores.dynamodb.client import typed_item
from tests.support import ProjectDir, empty_project

SETTINGS = """
[project]
name = "library"

[steps.setup]
files = ["people.sql"]

[entities.loan]
table = "loans"
match = { pk = "TOOL#{tool}" }

[entities.loan.attributes]
tool = "string"
sk = "string"
borrower = "uuid?"

[[links]]
from = "dynamodb:loans.borrower"
to = "postgres:people.id"

[patterns.loans]
table = "loans"
key = { pk = "TOOL#{tool}" }

[trace.loans]
params = { tool = "string" }
pattern = "loans"
entity = "loan"
where = { tool = "{tool}" }
ids = { dynamodb = "sk", library = "no" }
fields = { who = "borrower.full_name", since = "borrower.joined" }

[trace.loans.library]
function = "loans:list_loans"
arguments = { tool = "{tool}" }
items = "tool.loans"
fields = { who = "borrower" }
"""
ADA, BO = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
SQL = f"""
CREATE TABLE people (id uuid PRIMARY KEY, full_name text NOT NULL, town text, joined timestamptz, suspended bool,
                     badge text UNIQUE);
CREATE TABLE tools (name text PRIMARY KEY);
INSERT INTO tools VALUES ('drill'), ('hammer');
INSERT INTO people VALUES ('{ADA}', 'Ada Ash', 'Aarhus', '2024-05-01T10:00:00Z', false, 'B-1'),
                          ('{BO}', 'Bo Birk', NULL, NULL, false, 'B-2');
"""
CODE = """
import os, boto3, psycopg

def list_loans(tool):
    dynamodb = boto3.client("dynamodb", endpoint_url=os.environ["AWS_ENDPOINT_URL_DYNAMODB"])
    items = dynamodb.query(TableName="loans", KeyConditionExpression="pk = :p",
                           ExpressionAttributeValues={":p": {"S": f"TOOL#{tool}"}})["Items"]
    ids = [item["borrower"]["S"] for item in items if "borrower" in item]
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        rows = connection.execute("SELECT id, full_name, joined FROM people WHERE id = ANY(%s::uuid[])", (ids,))
        people = {str(row[0]): row[1:] for row in rows}
    return {"tool": {"loans": [
        {"no": item["sk"]["S"], **person(people, item.get("borrower", {}).get("S"))} for item in items
    ]}}

def person(people, borrower):
    name, joined = people.get(borrower, ("unknown" if borrower else None, None))
    return {"borrower": name, "since": joined and joined.isoformat()}
"""
TABLE = {
    "TableName": "loans",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
    "BillingMode": "PAY_PER_REQUEST",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    project = empty_project(tmp_path_factory.mktemp("linked") / "library", SETTINGS)
    (project.path / "people.sql").write_text(SQL)
    (project.path / "loans.py").write_text(CODE)
    try:
        project.ok("up")
        with project.dynamodb() as dynamodb:
            dynamodb.call("CreateTable", TABLE)
        yield project
    finally:
        project.remove()


@pytest.fixture
def loans(served: ProjectDir) -> ProjectDir:
    """The project with its settings and code as they were."""
    (served.path / "devenv.toml").write_text(SETTINGS)
    (served.path / "loans.py").write_text(CODE)
    return served


def write(project: ProjectDir, **borrowers: str | None) -> None:
    """Loans of the drill; None: the item has no borrower."""
    items = [
        {"pk": "TOOL#drill", "sk": number, **({"borrower": borrower} if borrower else {})}
        for number, borrower in borrowers.items()
    ]
    with project.dynamodb() as dynamodb:
        dynamodb.write_batch("loans", [{"PutRequest": {"Item": typed_item(item)}} for item in items])


def test_a_wrong_name_is_named_at_the_function_with_both_values_and_the_column(loans: ProjectDir) -> None:
    write(loans, one=ADA, two=BO, three=None)
    document = loans.json("trace", "loans", "drill")
    assert (document["verdict"]["status"], document["exit_code"]) == ("ok", 0), document["verdict"]
    fields = {entry["id"]: entry["fields"] for entry in document["layers"][-2]["entries"]}
    assert fields["three"] == {"who": None, "since": None}

    code = loans.path / "loans.py"
    code.write_text(CODE.replace("WHERE id", "WHERE suspended AND id"))
    verdict = loans.json("trace", "loans", "drill")["verdict"]
    assert (verdict["layer"], verdict["class"]) == ("library", "field_changed")
    assert "`who` of one is `unknown`, public.people.full_name is `Ada Ash`" in verdict["summary"]
    assert "returned 0 rows" in verdict["cause"]

    code.write_text(CODE.replace("id, full_name, joined", "id, town, joined"))
    told = loans.devenv("trace", "loans", "drill")
    assert told.code == 1
    said = " ".join(told.out.replace("│", " ").split())
    assert "`who` of one is `Aarhus`, public.people.full_name is `Ada Ash`" in said
    assert "diverged at library: field_changed" in said

    # An id without a row is one fault, of the item: the name that stands in its place is none.
    code.write_text(CODE)
    write(loans, one="33333333-3333-4333-8333-333333333333")
    verdict = loans.json("trace", "loans", "drill")["verdict"]
    assert (verdict["layer"], verdict["class"], verdict["also"]) == ("cross-store", "orphan", [])

    # A column that is not there is a mistake of devenv.toml, and until it is corrected nothing was compared.
    write(loans, one=ADA)
    toml = loans.path / "devenv.toml"
    toml.write_text(SETTINGS.replace("borrower.full_name", "borrower.fullname"))
    verdict = loans.json("trace", "loans", "drill")["verdict"]
    assert verdict["status"] == "not_verified"
    assert "`who` is not compared: public.people has no column `fullname`" in verdict["summary"]
    assert "did you mean `full_name`?" in loans.devenv("config", "check", "--live").err


def test_an_id_without_a_row_gets_the_similar_one_as_advice(loans: ProjectDir) -> None:
    write(loans, one=ADA, two=BO, three=None)
    declared = 'sql = "SELECT name FROM tools WHERE name = %(tool)s"'
    toml = SETTINGS.replace('pattern = "loans"\nentity', f'pattern = "loans"\n{declared}\nentity')
    (loans.path / "devenv.toml").write_text(toml)
    verdict = loans.json("trace", "loans", "drills")["verdict"]
    assert (verdict["layer"], verdict["class"]) == ("postgres", "missing_row")
    assert (verdict["fix"]["text"], verdict["fix"]["command"]) == ("trace the similar id", "devenv trace loans drill")
    assert {other["fix"]["command"] for other in verdict["also"]} == {"devenv trace loans drill"}
    # Its row is there, and something else of the SQL leaves it out: it was not deleted.
    (loans.path / "devenv.toml").write_text(toml.replace("name = %(tool)s", "name = %(tool)s AND name > 'x'"))
    verdict = loans.json("trace", "loans", "drill")["verdict"]
    assert (verdict["class"], verdict["fix"]["text"]) == ("missing_row", "correct `sql` in devenv.toml")
    assert verdict["cause"] == "its row is there, so another condition of the SQL excludes it"
    (loans.path / "devenv.toml").write_text(toml)
    # A row that setup loaded, and that is gone, can be restored: nothing else is.
    loans.ok("db", "--write", "DELETE FROM tools WHERE name = 'drill'")
    verdict = loans.json("trace", "loans", "drill")["verdict"]
    assert (verdict["class"], verdict["fix"]["command"]) == ("missing_row", "devenv up --restore-seeds")


@pytest.mark.long
def test_an_orphan_whose_row_has_another_id_is_corrected_and_not_deleted(loans: ProjectDir) -> None:
    """A row was deleted and inserted again; what is unique in it is on the items, but no natural key is declared."""
    new, gone = "44444444-4444-4444-8444-444444444444", "55555555-5555-4555-8555-555555555555"
    items = [("one", ADA, "B-1"), ("two", BO, "B-2"), ("three", BO, "B-2"), ("four", gone, "B-9")]
    with loans.dynamodb() as dynamodb:
        puts = [{"pk": "TOOL#drill", "sk": sk, "borrower": id, "badge": badge} for sk, id, badge in items]
        dynamodb.write_batch("loans", [{"PutRequest": {"Item": typed_item(item)}} for item in puts])
    loans.ok("db", "--write", f"UPDATE people SET id = '{new}' WHERE id = '{BO}'")
    try:
        words = f"the row with `badge` = 'B-2' has another id: {new}"
        advice = 'declare natural_key = { badge = "badge" } in [[links]] loans.borrower in devenv.toml'
        checks = {row["code"]: row for row in loans.json("doctor")["checks"]}
        assert words in checks["XST001"]["evidence"], checks["XST001"]
        assert "1 of 2 ids: either these rows were recreated" in checks["XST001"]["cause"]
        assert advice in checks["XST001"]["fix"]["text"]
        assert checks["XST001"]["fix"]["command"] is None

        verdict = loans.json("trace", "loans", "drill")["verdict"]
        assert (verdict["layer"], verdict["class"]) == ("cross-store", "orphan")
        assert words in verdict["summary"]
        assert advice in verdict["fix"]["text"]

        plan = loans.path / "plan.jsonl"
        verified = loans.json("verify", "--plan", str(plan))
        assert verified["findings"] == {"orphan": 3}
        assert verified["recreated"] == {
            "ids": 2,
            "declare": ['natural_key = { badge = "badge" } in [[links]] loans.borrower'],
        }
        # The one whose row is nowhere is still planned to be deleted.
        assert (verified["plan"]["writes"], verified["plan"]["loss"]) == (1, 1)
        assert BO not in plan.read_text()
        assert "2 orphans have their rows under another id: declare natural_key" in loans.devenv("verify").out

        toml = loans.path / "devenv.toml"
        declared = 'to = "postgres:people.id"\nnatural_key = { badge = "badge" }'
        toml.write_text(SETTINGS.replace('to = "postgres:people.id"', declared))
        loans.devenv("doctor", "--fix")
        with loans.dynamodb() as dynamodb:
            found = {item["sk"]["S"]: item["borrower"]["S"] for item in dynamodb.scan("loans")}
        assert found == {"one": ADA, "two": new, "three": new, "four": gone}
    finally:
        loans.ok("db", "--write", f"UPDATE people SET id = '{BO}' WHERE id = '{new}'")
        with loans.dynamodb() as dynamodb:
            dynamodb.call("DeleteItem", {"TableName": "loans", "Key": typed_item({"pk": "TOOL#drill", "sk": "four"})})
