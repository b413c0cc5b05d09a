"""`devenv ddb get|query|put|delete|export|import` on the running reference project."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ProjectDir, reference_project

TABLE = "cruddur-messages"
GROUP = "MSG#5ae290ed-55d1-47a0-bc6d-fe2bc2700399"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    project = reference_project(tmp_path_factory.mktemp("items"))
    project.ok("up", "--no-backend")
    yield project
    project.remove()


def query(project: ProjectDir, *words: str) -> list[dict[str, dict[str, str]]]:
    items: list[dict[str, dict[str, str]]] = project.json("ddb", "query", TABLE, f"pk={GROUP}", *words)["items"]
    return items


def test_query_returns_a_partition_in_the_order_of_the_sort_key(running: ProjectDir) -> None:
    items = query(running, "--limit", "500")
    assert len(items) == 127
    times = [item["sk"]["S"] for item in items]
    assert times == sorted(times)
    newest = query(running, "--limit", "3", "--newest")
    assert [item["sk"]["S"] for item in newest] == times[:-4:-1]


def test_query_narrows_the_sort_key(running: ProjectDir) -> None:
    times = [item["sk"]["S"] for item in query(running, "--limit", "500")]
    day = times[40][:10]
    assert [item["sk"]["S"] for item in query(running, "--begins-with", day, "--limit", "500")] == [
        time for time in times if time.startswith(day)
    ]
    found = query(running, "--between", times[10], times[20])
    assert [item["sk"]["S"] for item in found] == times[10:21]
    assert [item["sk"]["S"] for item in query(running, f"sk={times[5]}")] == [times[5]]


def test_a_fraction_is_a_number_in_json(running: ProjectDir) -> None:
    item = '{"pk": "PLACE#1", "sk": "1", "lat": 53.5, "at": {"deep": [0.25]}, "no": 7}'
    running.ok("ddb", "put", TABLE, item, "--write")
    try:
        (shown,) = json.loads(running.ok("ddb", "query", TABLE, "pk=PLACE#1", "--format", "json").out)
        assert (shown["lat"], shown["at"], shown["no"]) == (53.5, {"deep": [0.25]}, 7)
    finally:
        running.ok("ddb", "delete", TABLE, "pk=PLACE#1", "sk=1", "--write")


def test_query_uses_an_index(running: ProjectDir) -> None:
    words = ("ddb", "query", TABLE, f"message_group_uuid={GROUP[4:]}", "--index", "message-group-sk-index")
    assert len(running.json(*words)["items"]) == 2


def test_get_shows_the_keys_first_and_an_absent_item_is_an_error(running: ProjectDir) -> None:
    first = query(running, "--limit", "1")[0]
    document = running.json("ddb", "get", TABLE, f"pk={GROUP}", f"sk={first['sk']['S']}")
    assert document["columns"][:2] == ["pk", "sk"]
    assert document["items"] == [first]
    absent = running.devenv("ddb", "get", TABLE, f"pk={GROUP}", "sk=1999", "--json")
    assert (absent.code, absent.document["exit_code"], absent.document["items"]) == (1, 1, [])
    assert "no item" in absent.document["error"]["what"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("get", TABLE, f"pk={GROUP}"), "also has `sk`"),
        (("get", TABLE, "id=1"), "is not one of the keys"),
        (("query", TABLE, "sk=1"), "a Query needs the partition key: pk"),
        (("query", TABLE, "pk=1", "--index", "none"), "has no index none"),
        (("query", TABLE, "pk=1", "sk=2", "--begins-with", "3"), "give the sort key once"),
        (("get", "no-such-table", "pk=1"), "ResourceNotFoundException"),
    ],
)
def test_what_is_typed_wrongly_is_refused_with_the_next_command(
    running: ProjectDir, words: tuple[str, ...], said: str
) -> None:
    ran = running.devenv("ddb", *words, "--json")
    assert ran.code != 0
    assert said in ran.document["error"]["what"]
    assert ran.document["error"]["hint"] or "once" in said


def test_put_and_delete_are_conditional_and_need_write(running: ProjectDir) -> None:
    item = json.dumps({"pk": "T#1", "sk": "a", "number": 12345678901234567890.5, "list": [1, None, True]})
    refused = running.devenv("ddb", "put", TABLE, item, "--json")
    assert (refused.code, refused.document["error"]["hint"]) == (2, "add --write")
    running.ok("ddb", "put", TABLE, item, "--write")
    stored = running.json("ddb", "get", TABLE, "pk=T#1", "sk=a")["items"][0]
    assert stored["list"] == {"L": [{"N": "1"}, {"NULL": True}, {"BOOL": True}]}
    again = running.devenv("ddb", "put", TABLE, '{"pk": {"S": "T#1"}, "sk": {"S": "a"}}', "--write", "--json")
    assert (again.code, again.document["error"]["what"]) == (1, f"table {TABLE} has an item with this key")
    assert running.json("ddb", "get", TABLE, "pk=T#1", "sk=a")["items"] == [stored]
    running.ok("ddb", "put", TABLE, '{"pk": {"S": "T#1"}, "sk": {"S": "a"}}', "--write", "--replace")
    assert running.json("ddb", "get", TABLE, "pk=T#1", "sk=a")["items"] == [{"pk": {"S": "T#1"}, "sk": {"S": "a"}}]
    assert running.devenv("ddb", "delete", TABLE, "pk=T#1", "sk=a").code == 2
    running.ok("ddb", "delete", TABLE, "pk=T#1", "sk=a", "--write")
    gone = running.devenv("ddb", "delete", TABLE, "pk=T#1", "sk=a", "--write", "--json")
    assert (gone.code, gone.document["error"]["what"]) == (1, f"table {TABLE} has no item with this key")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"pk": "a"}', '{"pk": 1.5e999, "sk": "a"}', "{}", '"text"'])
def test_what_is_no_item_is_refused(running: ProjectDir, text: str) -> None:
    assert running.devenv("ddb", "put", TABLE, text, "--write").code in (1, 2, 3)
    assert "Traceback" not in running.devenv("ddb", "put", TABLE, text, "--write").all


def test_an_export_can_be_imported_again(running: ProjectDir, tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl"
    running.ok("ddb", "export", TABLE, str(file))
    lines = sorted(file.read_text("utf-8").splitlines())
    assert len(lines) == 162
    assert file.stat().st_mode & 0o777 == 0o600
    assert running.devenv("ddb", "export", TABLE, str(file)).code == 2
    first = json.loads(lines[0])["Item"]
    running.ok("ddb", "delete", TABLE, f"pk={first['pk']['S']}", f"sk={first['sk']['S']}", "--write")
    running.ok("ddb", "import", TABLE, str(file), "--write")
    printed = running.ok("ddb", "export", TABLE)
    assert sorted(printed.out.splitlines()) == lines


def test_a_file_with_a_wrong_line_imports_nothing(running: ProjectDir, tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl"
    file.write_text('{"pk": "T#2", "sk": "a"}\n{"pk": "T#2"}\n')
    ran = running.devenv("ddb", "import", TABLE, str(file), "--write", "--json")
    assert (ran.code, ran.document["error"]["what"]) == (2, f"{file}:2: the item has no `sk`")
    assert running.json("ddb", "query", TABLE, "pk=T#2")["items"] == []


def test_rows_are_printed_for_programs(running: ProjectDir) -> None:
    lines = running.ok("ddb", "query", TABLE, f"pk={GROUP}", "--limit", "3", "--format", "jsonl").out.splitlines()
    assert [json.loads(line)["pk"] for line in lines] == [GROUP] * 3
    rows = json.loads(running.ok("db", "SELECT handle, NULL AS none FROM users ORDER BY 1", "--format", "json").out)
    assert rows[0] == {"handle": "ines", "none": None}
    text = running.ok("db", "SELECT 'a,\"b' AS a, NULL AS b, true AS c, 1 AS a", "--format", "csv").out
    assert text == 'a,b,c,a\n"a,""b",,true,1\n'
    twice = json.loads(running.ok("db", "SELECT 1 AS a, 2 AS a", "--format", "jsonl").out)
    assert twice == {"a": 1, "a_2": 2}


def test_each_kind_of_items_has_its_own_attributes(running: ProjectDir) -> None:
    kinds = [json.loads(line) for line in running.ok("ddb", "scan", TABLE, "--format", "jsonl").out.splitlines()]
    assert {frozenset(kind) for kind in kinds} >= {frozenset(kinds[0])}
    assert len({frozenset(kind) for kind in kinds}) == 2
    assert all(list(kind)[:2] == ["pk", "sk"] for kind in kinds)
    shown = running.ok("ddb", "scan", TABLE, "--limit", "200").out
    group = next(block for block in shown.split("-[ ") if "GRP#" in block)
    assert "message_uuid" not in group.split("MSG#")[0]
    selected = running.json("ddb", "sql", f"SELECT * FROM \"{TABLE}\" WHERE pk = '{GROUP}'", "--limit", "2")
    assert selected["columns"][:2] == ["pk", "sk"]


def test_the_tables_of_postgres_are_listed_and_described(running: ProjectDir) -> None:
    listed = running.json("db", "--tables")
    rows = {row[0]: dict(zip(listed["columns"], row, strict=True)) for row in listed["rows"]}
    assert rows["users"]["rows"] == 6
    assert rows["users"]["key"] == "uuid"
    described = running.json("db", "--describe", "activities")
    columns = {row[0]: dict(zip(described["columns"], row, strict=True)) for row in described["rows"]}
    assert columns["user_uuid"]["key"] == "→ users.uuid"
    assert columns["uuid"] == {
        "column": "uuid",
        "type": "uuid",
        "null": "no",
        "default": "gen_random_uuid()",
        "key": "key",
    }
    assert any("primary" in line for line in described["details"])
    assert "→ users.uuid" in running.ok("db", "--describe", "public.activities").out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--describe", "nope"], "there is no table `nope`"),
        (["--tables", "SELECT 1"], "give one of these"),
        (["UPDATE users SET handle = 'x'"], ": this connection is read-only"),
    ],
)
def test_what_db_refuses_as_input_exits_2(running: ProjectDir, words: list[str], told: str) -> None:
    ran = running.devenv("db", *words)
    assert ran.code == 2
    assert told in ran.err
