"""`devenv init` on code whose queries go through a function that gets their key."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.config.schema import Settings
from tests.unit.init.test_init_kinds import made
from tests.unit.init.test_init_single_table import TABLE

STORE = """\
import boto3
from boto3.dynamodb.conditions import Key

def table():
    return boto3.resource("dynamodb").Table("shop")

def vet_key(vet_id):
    return f"VET#{vet_id}"

def query_prefix(pk, prefix=None, *, newest_first=False):
    condition = Key("PK").eq(pk)
    if prefix:
        condition = condition & Key("SK").begins_with(prefix)
    request = {"KeyConditionExpression": condition, "ScanIndexForward": not newest_first}
    return table().query(**request)["Items"]

def read_index(index, attribute, value):
    return table().query(IndexName=index, KeyConditionExpression=Key(attribute).eq(value))["Items"]

def read_one(pk, sk):
    return table().get_item(Key={"PK": pk, "SK": sk}).get("Item")

def visits_of_pet(pet_id):
    return table().query(KeyConditionExpression=Key("PK").eq(f"PET#{pet_id}"))["Items"]

def put(item):
    table().put_item(Item=item)
"""
VETS = """\
import store
from store import query_prefix, vet_key

def shifts(vet_id):
    return query_prefix(vet_key(vet_id), "SHIFT#", newest_first=True)

def all_of(vet_id):
    return store.query_prefix(store.vet_key(vet_id))

def profile(vet_id):
    return store.read_one(f"VET#{vet_id}", "PROFILE") or {"name": "nobody"}

def in_room(room):
    return store.read_index("by-room", "room", room)

def anything(pk):
    return store.query_prefix(pk)

def visits(pet_id):
    return store.visits_of_pet(pet_id)

def add(vet_id, day, room):
    store.put({"PK": vet_key(vet_id), "SK": f"SHIFT#{day}", "room": room, "day": day})
    store.put({"PK": vet_key(vet_id), "SK": "PROFILE", "name": "x"})
"""
INDEX = (
    '"GlobalSecondaryIndexes": [{"IndexName": "by-room", "KeySchema": [{"AttributeName": "room", "KeyType": "HASH"}],'
    ' "Projection": {"ProjectionType": "ALL"}}], "BillingMode"'
)
ROOM = '"AttributeDefinitions": [{"AttributeName": "room", "AttributeType": "S"}, '
SQL = "CREATE TABLE vets (id uuid PRIMARY KEY, email text UNIQUE);"


@pytest.fixture
def clinic(tmp_path: Path) -> Settings:
    request = TABLE.replace('"BillingMode"', INDEX).replace('"AttributeDefinitions": [', ROOM)
    return made(tmp_path, {"table.json": request, "db/vets.sql": SQL, "store.py": STORE, "vets.py": VETS})[0]


def test_each_caller_that_spells_a_key_out_has_a_pattern_and_the_helper_none(clinic: Settings) -> None:
    keys = {name: dict(each.key) for name, each in clinic.patterns.items()}
    assert keys == {
        "shifts": {"PK": "VET#{person.id}"},
        "all_of": {"PK": "VET#{person.id}"},
        "profile": {"PK": "VET#{person.id}", "SK": "PROFILE"},
        "in_room": {"room": "{room}"},
        # A function that puts the key together itself is no helper, whoever calls it.
        "visits_of_pet": {"PK": "PET#{pet_id}"},
    }


def test_what_else_the_helper_is_given_is_part_of_the_pattern(clinic: Settings) -> None:
    shifts, everything = clinic.patterns["shifts"], clinic.patterns["all_of"]
    # The branch of a parameter that was left out is not taken.
    assert [shifts.sort, everything.sort] == [{"begins_with": "SHIFT#"}, {}]
    assert shifts.entities == ["shift"]
    assert [str(shifts.order), str(everything.order)] == ["descending", "ascending"]
    assert clinic.patterns["in_room"].index == "by-room"
    assert clinic.patterns["profile"].operation == "get"


def test_the_caller_is_the_function_that_trace_calls(clinic: Settings) -> None:
    library = clinic.trace["shifts"].library
    assert library is not None
    assert (library.function, library.arguments) == ("vets:shifts", {"vet_id": "{person.id}"})


def test_two_functions_of_one_name_are_not_taken_for_each_other(tmp_path: Path) -> None:
    other = STORE.replace("def table", "def other_table").replace("table()", "other_table()")
    files = {"table.json": TABLE, "db/vets.sql": SQL, "store.py": STORE, "more.py": other, "vets.py": VETS}
    settings, _ = made(tmp_path, files)
    assert "shifts" not in settings.patterns


def test_a_package_below_src_is_imported_from_there(tmp_path: Path) -> None:
    files = {
        "src/clinic/store.py": STORE,
        "src/clinic/vets.py": VETS.replace("import store\n", "from . import store\n"),
    }
    settings, _ = made(tmp_path, {"table.json": TABLE, "db/vets.sql": SQL, **files})
    library = settings.trace["shifts"].library
    assert library is not None
    assert (library.folder, library.function) == ("src", "clinic.vets:shifts")


ROUTES = """\
from fastapi import FastAPI
import vets
app = FastAPI()

@app.get("/vets/{vet_id}/profile")
def show(vet_id: str):
    return vets.profile(vet_id)
"""


def test_one_item_by_its_key_is_traced_where_a_route_asks_for_it(tmp_path: Path) -> None:
    """It may have no id of its own: the key says which it is."""
    store = {"table.json": TABLE, "db/vets.sql": SQL, "store.py": STORE, "vets.py": VETS}
    settings, _ = made(tmp_path, {**store, "main.py": ROUTES})
    trace = settings.trace["profile"]
    assert (trace.entity, trace.where) == ("profile", {"vet_id": "{person.id}"})
    assert trace.ids == {"dynamodb": "VET#{vet_id}", "library": "PK", "http": "PK"}
    assert dict(trace.fields) == {"name": "name"}
    other, _ = made(tmp_path / "other", store)
    assert "profile" not in other.trace


def test_a_field_that_is_called_id_is_the_id_whatever_the_key_is_made_of(tmp_path: Path) -> None:
    picked = """
def picked(vet_id):
    found = store.query_prefix(vet_key(vet_id), "CALL#")
    return [{"id": item["ticket_id"], "at": item["at"]} for item in found]

def call(vet_id, at, ticket_id):
    store.put({"PK": vet_key(vet_id), "SK": f"CALL#{at}", "ticket_id": ticket_id, "at": at})
"""
    files = {"table.json": TABLE, "db/vets.sql": SQL, "store.py": STORE, "vets.py": VETS + picked}
    settings, _ = made(tmp_path, files)
    assert settings.trace["picked"].ids == {"dynamodb": "ticket_id", "library": "id"}


PAGES = """\
import boto3
from boto3.dynamodb.conditions import Key

table = boto3.resource("dynamodb").Table("shop")

def _all(**query):
    items = []
    while True:
        page = table.query(**query)
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            return items
        query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

def shifts(vet_id):
    return _all(
        KeyConditionExpression=Key("PK").eq(f"VET#{vet_id}") & Key("SK").begins_with("SHIFT#"), ScanIndexForward=False
    )

def add(vet_id, day):
    table.put_item(Item={"PK": f"VET#{vet_id}", "SK": f"SHIFT#{day}", "room": "x"})
"""
PAGINATED = """\
_all(**query):
    for page in pages.paginate(**query):
        yield from page["Items"]

def _other(**query):"""
GIVEN = 'KeyConditionExpression=Key("PK").eq(f"VET#{vet_id}") & Key("SK").begins_with("SHIFT#"), ScanIndexForward=False'


@pytest.mark.parametrize(
    "store",
    [
        PAGES,
        # A dict as a parameter.
        PAGES.replace("_all(**query)", "_all(query)").replace(GIVEN, f"dict({GIVEN})"),
        PAGES.replace("_all(**query)", "_all(query=None)").replace(GIVEN, f"query=dict({GIVEN})"),
        # What the helper adds to it.
        PAGES.replace("    items = []", '    query.setdefault("ConsistentRead", True)\n    items = []'),
        PAGES.replace(", ScanIndexForward=False", "").replace(
            "    items = []", "    query['ScanIndexForward'] = False"
        ),
        PAGES.replace(", ScanIndexForward=False", "").replace(
            "    items = []", "    query.update(ScanIndexForward=False)"
        ),
        PAGES.replace("**query)\n        items", '**{**query, "Limit": 100})\n        items'),
        # One function for a page, another for all of them.
        PAGES.replace("table.query(**query)", "_page(**query)").replace(
            "def _all", "def _page(**given):\n    return table.query(**given)\n\ndef _all"
        ),
        # An own parameter before the rest.
        PAGES.replace("_all(**query)", "_all(most, **query)").replace("_all(\n        ", "_all(5, "),
        # A generator over a paginator.
        PAGES.replace("table.query", "table.other").replace("_all(**query):", PAGINATED),
    ],
    ids=["rest", "dict", "by name", "setdefault", "entry", "update", "spread", "two levels", "and more", "paginator"],
)
def test_a_request_that_a_helper_takes_as_a_whole(tmp_path: Path, store: str) -> None:
    settings, _ = made(tmp_path, {"table.json": TABLE, "db/vets.sql": SQL, "store.py": store})
    assert list(settings.patterns) == ["shifts"]
    pattern = settings.patterns["shifts"]
    assert (dict(pattern.key), pattern.sort) == ({"PK": "VET#{person.id}"}, {"begins_with": "SHIFT#"})
    assert str(pattern.order) == "descending"
    library = settings.trace["shifts"].library
    assert library is not None
    assert library.function == "store:shifts"


def test_a_method_of_a_base_class_in_another_file(tmp_path: Path) -> None:
    base = """
class Repository:
    def __init__(self):
        self.table = boto3.resource("dynamodb").Table("shop")

    def all(self, **query):
        return self.table.query(**query)["Items"]
"""
    own = """
from base import Repository

class Shifts(Repository):
    def of(self, vet_id):
        return self.all(KeyConditionExpression=Key("PK").eq(f"VET#{vet_id}"))
"""
    settings, _ = made(tmp_path, {"table.json": TABLE, "db/vets.sql": SQL, "base.py": base, "shifts.py": own})
    assert [dict(each.key) for each in settings.patterns.values()] == [{"PK": "VET#{vet_id}"}]


def test_each_file_has_its_own_helper_of_the_same_name(tmp_path: Path) -> None:
    other = PAGES.replace("shifts", "rounds").replace("VET#", "ROUND#").replace("vet_id", "round_id")
    files = {"table.json": TABLE, "db/vets.sql": SQL, "store.py": PAGES, "rounds.py": other}
    settings, _ = made(tmp_path, files)
    assert {"shifts", "rounds"} <= set(settings.patterns)


def test_a_request_that_no_call_spells_out_is_listed(tmp_path: Path) -> None:
    store = PAGES[: PAGES.index("def shifts")] + "def shifts(asked):\n    return _all(**asked.as_request())\n"
    files = {"table.json": TABLE, "db/vets.sql": SQL, "store.py": store}
    _, body = made(tmp_path, files)
    (said,) = [each for each in body["undeclared"] if each.startswith("store.py:9: ")]
    assert "_all sends a request that it gets as an argument, and devenv found no call with a literal key" in said
    _, followed = made(tmp_path / "b", {**files, "store.py": PAGES})
    assert not [each for each in followed["undeclared"] if each.startswith("store.py:")]
