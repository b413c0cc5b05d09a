"""The Data page on real stores: pages by key, filters that say what they amount to, ids that lead across, all types."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
import pytest

from tests.support import ProjectDir, reference_project
from tests.ui import LivePage, live_page

TABLE = "cruddur-messages"
HOSTILE = (
    "<script>window.owned=1</script>",
    "javascript:window.owned=1",
    "'\"><img src=x onerror=window.owned=1>",
    "\u202eab",
)
EVERY_TYPE: dict[str, dict[str, Any]] = {
    "pk": {"S": "ODD#1"},
    "sk": {"S": "2023"},
    "a_string": {"S": HOSTILE[0]},
    "a_link": {"S": HOSTILE[1]},
    "a_quote": {"S": HOSTILE[2]},
    "a_turn": {"S": HOSTILE[3]},
    "empty": {"S": ""},
    "number": {"N": "12345678901234567890123456789012345678"},
    "binary": {"B": "AAECAwQFBgcICQoL/////w=="},
    "flag": {"BOOL": False},
    "nothing": {"NULL": True},
    "list": {"L": [{"S": "x"}, {"M": {"deep": {"L": [{"N": "1"}]}}}]},
    "map": {"M": {HOSTILE[0]: {"S": HOSTILE[0]}}},
    "strings": {"SS": ["a", "b"]},
    "numbers": {"NS": ["1", "2"]},
    "binaries": {"BS": ["AAE=", "AAI="]},
    HOSTILE[0]: {"S": "a name"},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    made = reference_project(tmp_path_factory.mktemp("ui") / "project")
    try:
        made.ok("up", "--no-backend")
        with psycopg.connect(made.env()["DATABASE_URL"], autocommit=True) as connection:
            connection.execute("CREATE TABLE many (id int PRIMARY KEY, word text, odd text)")
            connection.execute("INSERT INTO many SELECT n, 'w' || n, NULL FROM generate_series(1, 20000) n")
            connection.execute("ANALYZE many")
            connection.execute("CREATE TABLE keyless (word text)")
            connection.execute("INSERT INTO keyless SELECT 'k' || n FROM generate_series(1, 120) n")
            connection.execute("CREATE TABLE hostile (id serial PRIMARY KEY, word text, raw bytea, tree jsonb)")
            for text in HOSTILE:
                connection.execute(
                    "INSERT INTO hostile (word, raw, tree) VALUES (%s, %s, %s)",
                    (text, b"\0\xff", json.dumps({text: text})),
                )
            connection.execute("INSERT INTO hostile (word) VALUES (repeat('x', 5000000))")
            connection.execute('CREATE TABLE "<b>odd</b>" (id int)')
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def page(project: ProjectDir) -> Iterator[LivePage]:
    with live_page(project) as found:
        yield found


def data(page: LivePage, **address: str) -> dict[str, Any]:
    return page.json(f"/data?{urlencode(address)}")


def links(page: LivePage, **address: str) -> list[str]:
    """Every address that the page leads to."""
    text = page.ask(f"/data?{urlencode(address)}").text
    return [html.unescape(found) for found in re.findall(r'href="([^"]*)"', text)]


def test_both_lists_have_counts(page: LivePage) -> None:
    found = data(page)
    rows = {each["table"]: (each["rows"], each["about"]) for each in found["postgres"]["tables"]}
    assert rows["public.users"] == (6, False)
    assert rows["public.many"] == (20_000, True)
    assert {each["table"]: each["items"] for each in found["dynamodb"]["tables"]} == {TABLE: 162}
    assert not [name for name in rows if name.startswith("devenv.")]


def test_rows_come_by_key_page_by_page_and_none_is_left_out(page: LivePage) -> None:
    for table, key, count in (("public.keyless", "word", 120), ("public.many", "id", 150)):
        seen: list[str] = []
        address = f"/data?table={table}"
        while address and len(seen) < count:
            seen += [row[key] for row in page.json(address)["postgres"]["rows"]]
            found = re.search(r'href="([^"]*)">Next page', page.ask(address).text)
            address = html.unescape(found[1]) if found else ""
        assert len(seen) == len(set(seen)) == count
    assert seen == [str(number) for number in range(1, 151)]


def test_a_condition_says_what_it_amounts_to_and_asks_before_it_reads_a_large_table(page: LivePage) -> None:
    amount = page.ask(f"/data/amount?table=public.many&where={quote('id = 7')}").text
    assert "Index Scan of `many` by index `many_pkey`" in amount
    found = data(page, table="public.many", where="id = 7")["postgres"]
    assert [row["word"] for row in found["rows"]] == ["w7"]
    asked = data(page, table="public.many", where="word = 'w7'")["postgres"]
    assert asked == {"asks": "reads the whole table `many` (about 20,000 rows)"}
    agreed = data(page, table="public.many", where="word = 'w7'", lread="1")["postgres"]
    assert [row["id"] for row in agreed["rows"]] == ["7"]
    assert len(data(page, table="public.users", where="handle <> 'ines' -- all others")["postgres"]["rows"]) == 5


@pytest.mark.parametrize(
    "where",
    [
        "true); DELETE FROM users; --",
        "id IN (DELETE FROM many RETURNING id)",
        "true) UNION ALL SELECT usename, passwd, '' FROM pg_shadow --",
        "/* open",
        "handle =",
    ],
)
def test_a_condition_cannot_write_or_leave_its_place(page: LivePage, project: ProjectDir, where: str) -> None:
    answer = page.ask(f"/data?{urlencode({'table': 'public.users', 'where': where, 'lread': '1'})}")
    assert answer.status == 200
    assert "refused" in answer.text or "not run" in answer.text
    assert data(page)["postgres"]["tables"][-1]["rows"] == 6


def test_an_id_leads_to_its_row_and_the_row_to_all_items_that_name_it(page: LivePage) -> None:
    items = data(page, items=TABLE)["dynamodb"]["items"]
    message = next(item for item in items if item["pk"]["S"].startswith("MSG#"))
    user = message["user_uuid"]["S"]
    row = {"table": "public.users", "row": json.dumps({"uuid": user})}
    assert f"/data?{urlencode({'items': TABLE, **row})}" in links(page, items=TABLE)
    [found] = data(page, **row)["postgres"]["rows"]
    assert found["handle"] == message["user_handle"]["S"]
    back = links(page, **row)
    query = next(each for each in back if "hash=GRP" in each).removesuffix("#right")
    owned = page.json(query)["dynamodb"]["items"]
    assert owned
    assert {item["pk"]["S"] for item in owned} == {f"GRP#{user}"}
    scan = next(each for each in back if "&value=" in each).removesuffix("#right")
    assert page.json(scan)["dynamodb"] == {"asks": f"This reads the whole table {TABLE} (a Scan of about 162 items)"}
    found_items = page.json(scan + "&read=1")["dynamodb"]
    assert any(item.get("user_uuid", {}).get("S") == user for item in found_items["items"])
    assert "162 read" in found_items["operation"]
    conversation = message["pk"]["S"].removeprefix("MSG#")
    assert f"/trace/conversation/{conversation}" in links(page, items=TABLE)


def test_what_is_wrong_is_marked_where_it_stands(page: LivePage, project: ProjectDir) -> None:
    items = data(page, items=TABLE)["dynamodb"]["items"]
    message = next(item for item in items if item["pk"]["S"].startswith("MSG#"))
    key = {name: message[name] for name in ("pk", "sk")}
    changes = (
        ("user_uuid", {"S": "00000000-1111-4222-8333-444444444444"}, "mismatched_id"),
        ("user_display_name", {"S": "Somebody Else"}, "stale_copy"),
    )
    with project.dynamodb() as store:
        for name, value, kind in changes:
            store.call("PutItem", {"TableName": TABLE, "Item": {**message, name: value}})
            found = data(page, items=TABLE, hash=message["pk"]["S"])["dynamodb"]["marks"]
            assert [(each["item"], name in each["marks"]) for each in found] == [(key, True)]
            assert found[0]["marks"][name][0]["kind"] == kind
        orphan = {**message, "user_uuid": changes[0][1], "user_handle": {"S": "gone"}}
        store.call("PutItem", {"TableName": TABLE, "Item": orphan})
        found = data(page, items=TABLE, hash=message["pk"]["S"])["dynamodb"]["marks"]
        assert found[0]["marks"]["user_uuid"][0]["kind"] == "orphan"
        store.call("PutItem", {"TableName": TABLE, "Item": message})
    assert data(page, items=TABLE, hash=message["pk"]["S"])["dynamodb"]["marks"] == []
    url = project.env()["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        made = "INSERT INTO users (display_name, handle, email, cognito_user_id) VALUES ('x', 'INES ', 'x@x', 'x-sub')"
        connection.execute(made)
        try:
            kinds = {
                mark["kind"] for row in data(page, table="public.users")["postgres"]["marks"] for mark in row["marks"]
            }
            assert kinds == {"near_miss"}
        finally:
            connection.execute("DELETE FROM users WHERE handle = 'INES '")


def test_partiql_says_what_it_amounts_to_and_a_scan_asks(page: LivePage) -> None:
    items = data(page, items=TABLE)["dynamodb"]["items"]
    by_key = f"SELECT * FROM \"{TABLE}\" WHERE pk = '{items[0]['pk']['S']}'"
    assert "a Query of 1 partition" in page.ask(f"/data/amount?{urlencode({'partiql': by_key})}").text
    assert data(page, items=TABLE, partiql=by_key)["dynamodb"]["items"]
    whole = f"SELECT * FROM \"{TABLE}\" WHERE message = 'x'"
    assert "reads a whole table (a Scan)" in data(page, items=TABLE, partiql=whole)["dynamodb"]["asks"]
    assert data(page, items=TABLE, partiql=whole, read="1")["dynamodb"]["items"] == []
    deletes = f"DELETE FROM \"{TABLE}\" WHERE pk = 'x' AND sk = 'y'"
    assert "only reads" in data(page, items=TABLE, partiql=deletes)["dynamodb"]["error"]


def test_a_query_is_narrowed_by_the_sort_key_and_paged(page: LivePage) -> None:
    conversation = max(
        (item["pk"]["S"] for item in data(page, items=TABLE)["dynamodb"]["items"]), key=lambda pk: pk.startswith("MSG#")
    )
    whole = data(page, items=TABLE, hash=conversation)["dynamodb"]["items"]
    times = [item["sk"]["S"] for item in whole]
    assert times == sorted(times)
    newest = data(page, items=TABLE, hash=conversation, newest="1")["dynamodb"]["items"]
    assert [item["sk"]["S"] for item in newest] == times[::-1]
    one = data(page, items=TABLE, hash=conversation, sort=times[0])["dynamodb"]["items"]
    begins = data(page, items=TABLE, hash=conversation, sort=times[0][:16], how="begins")["dynamodb"]["items"]
    between = data(page, items=TABLE, hash=conversation, sort=times[0], upto=times[1], how="between")["dynamodb"][
        "items"
    ]
    assert ([item["sk"]["S"] for item in one], [item["sk"]["S"] for item in between]) == (times[:1], times[:2])
    assert times[0] in [item["sk"]["S"] for item in begins]


def test_all_ten_types_are_shown_and_nothing_of_them_is_code(page: LivePage, project: ProjectDir) -> None:
    with project.dynamodb() as store:
        store.call("PutItem", {"TableName": TABLE, "Item": EVERY_TYPE})
        try:
            found = data(page, items=TABLE, hash="ODD#1")["dynamodb"]
            assert found["items"] == [EVERY_TYPE]
            text = page.ask(f"/data?{urlencode({'items': TABLE, 'hash': 'ODD#1'})}").text
        finally:
            store.call("DeleteItem", {"TableName": TABLE, "Key": {name: EVERY_TYPE[name] for name in ("pk", "sk")}})
    harmless(text)
    shown = re.sub(r"<[^>]*>", " ", text)
    for words in (
        "12345678901234567890123456789012345678",
        "16 bytes",
        "00 01 02 03",
        "false",
        "null",
        "empty text",
        "deep",
    ):
        assert words in shown, words
    for kind in ("list", "map", "string set", "number set", "binary set", "binary"):
        assert f'<span class="type">{kind}</span>' in text


def harmless(text: str) -> None:
    assert text.count("<script") == text.count('<script src="/static/') == 2
    assert "<img" not in text
    assert 'href="javascript' not in text.lower()
    assert "\u202e" not in text


def test_hostile_and_long_rows_are_only_text(page: LivePage) -> None:
    answer = page.ask("/data?table=public.hostile")
    harmless(answer.text)
    assert len(answer.body) < 100_000, "a long value is cut in a list"
    rows = data(page, table="public.hostile")["postgres"]["rows"]
    assert rows[0]["raw"] == "\\x00ff"
    one = page.ask(f"/data?{urlencode({'table': 'public.hostile', 'row': json.dumps({'id': '5'})})}")
    assert 200_000 < len(one.body) < 1_000_000
    harmless(page.ask("/data").text)
    harmless(page.ask(f"/data?{urlencode({'table': 'public.<b>odd</b>'})}").text)


@pytest.mark.parametrize(
    "address",
    [
        {"table": "public.nothing"},
        {"table": "pg_catalog.pg_authid'--"},
        {"table": "public.users", "row": "{}"},
        {"table": "public.users", "row": "[1]"},
        {"table": "public.users", "row": '{"nothing": "x"}'},
        {"table": "public.users", "after": "x"},
        {"table": "public.users", "after": '["a", "b"]'},
        {"items": "nothing"},
        {"items": TABLE, "item": "x"},
        {"items": TABLE, "item": "e30"},
        {"items": TABLE, "start": "!!!"},
        {"items": TABLE, "index": "nothing", "hash": "x"},
        {"items": "../x"},
    ],
)
def test_an_address_that_is_wrong_says_so_and_shows_the_other_side(page: LivePage, address: dict[str, str]) -> None:
    answer = page.ask(f"/data?{urlencode(address)}")
    assert answer.status == 200
    assert 'class="failure"' in answer.text
    other = "dynamodb" if "table" in address else "postgres"
    assert data(page, **address)[other]["tables"]


def test_an_id_of_which_nothing_is_declared_is_found_by_key_or_after_asking(page: LivePage) -> None:
    items = data(page, items=TABLE)["dynamodb"]["items"]
    message = next(item for item in items if item["pk"]["S"].startswith("MSG#"))
    user, identity = message["user_uuid"]["S"], message["message_uuid"]["S"]
    places = page.json(f"/data/find?value={user}")["places"]
    assert {each["words"] for each in places} == {"public.users.uuid", f"{TABLE} GRP#{user}"}
    assert page.json(f"/data/find?value={identity}")["places"] == []
    scans = page.ask(f"/data/find?value={identity}").text
    assert f"/data?items={TABLE}&amp;value={identity}" in scans
    [found] = data(page, items=TABLE, value=identity, read="1")["dynamodb"]["items"]
    assert found == message
