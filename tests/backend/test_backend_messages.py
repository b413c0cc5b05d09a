"""Conversations over HTTP: who sees what, in which order, and what a sent message leaves in the table."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.backend.conftest import Backend, Person, Seeded

TELESCOPE = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
KEYS = {"uuid", "display_name", "handle", "message", "created_at"}


def read_pages(client: httpx.Client, path: str) -> list[list[dict[str, str]]]:
    """All pages of a list, following its Link header."""
    pages = []
    while True:
        answer = client.get(path)
        assert answer.status_code == 200
        pages.append(answer.json())
        if "next" not in answer.links:
            return pages
        path = answer.links["next"]["url"]


def start(backend: Backend, sender: Person, other: Person, text: str = "hello") -> str:
    """A new conversation between two people; its uuid."""
    with backend.client(sender) as client:
        answer = client.post("/api/messages", json={"handle": other.handle, "message": text})
    assert answer.status_code == 200
    return str(answer.json()["message_group_uuid"])


def check_group(seeded: Seeded, group: str, one: Person, two: Person) -> list[dict[str, str]]:
    """Exactly two group rows, each of the other person, both showing the newest message. Gives the messages."""
    messages = seeded.items(pk=f"MSG#{group}")
    expected = {
        f"GRP#{owner.uuid}": {
            "pk": f"GRP#{owner.uuid}",
            "sk": messages[-1]["sk"],
            "message_group_uuid": group,
            "message": messages[-1]["message"],
            "user_uuid": other.uuid,
            "user_display_name": other.display_name,
            "user_handle": other.handle,
        }
        for owner, other in ((one, two), (two, one))
    }
    rows = seeded.items(message_group_uuid=group)
    assert len(rows) == 2
    assert {row["pk"]: row for row in rows} == expected
    return messages


def test_conversations_are_listed_newest_first_with_the_other_person(backend: Backend, seeded: Seeded) -> None:
    with backend.client(seeded.person("jonas")) as client:
        answer = client.get("/api/message_groups")
    assert answer.status_code == 200
    assert answer.json() == [
        {
            "uuid": "94c08be3-17fa-4e26-a5d9-c3b6e0271f88",
            "display_name": "Mei Santangelo",
            "handle": "mei",
            "message": "I heard it from the flat upstairs. Same again next week?",
            "created_at": "2023-06-15T22:41:32.000000+00:00",
        }
    ]


def test_someone_without_conversations_gets_an_empty_list(backend: Backend, seeded: Seeded) -> None:
    with backend.client(seeded.person("tove")) as client:
        answer = client.get("/api/message_groups")
    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize("handle", ["ines", "rafael"])
@pytest.mark.parametrize("limit", [7, 50, 100])
def test_pages_hold_every_message_once_in_order(backend: Backend, seeded: Seeded, handle: str, limit: int) -> None:
    with backend.client(seeded.person(handle)) as client:
        pages = read_pages(client, f"/api/messages/{TELESCOPE}?limit={limit}")
    stored = seeded.items(pk=f"MSG#{TELESCOPE}")
    assert len(stored) == 127
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    read = [message for page in reversed(pages) for message in page]
    assert [message["uuid"] for message in read] == [item["message_uuid"] for item in stored]
    assert all(message.keys() == KEYS for message in read)


def test_the_first_page_is_the_newest_and_before_gives_older(backend: Backend, seeded: Seeded) -> None:
    with backend.client(seeded.person("ines")) as client:
        newest = client.get(f"/api/messages/{TELESCOPE}").json()
        older = client.get(f"/api/messages/{TELESCOPE}", params={"before": newest[0]["created_at"], "limit": 1}).json()
    assert len(newest) == 50
    assert newest[-1]["created_at"] == "2023-06-24T20:57:02.000000+00:00"
    assert newest[-1]["handle"] == "rafael"
    assert older[0]["created_at"] < newest[0]["created_at"]


def test_a_full_last_page_has_no_next(backend: Backend, seeded: Seeded) -> None:
    with backend.client(seeded.person("priya")) as client:
        answer = client.get("/api/messages/2e94a6c1-d05f-4b73-8c1a-7f60b3d8e952?limit=9")
    assert len(answer.json()) == 9
    assert "next" not in answer.links


def test_conversations_are_paged(backend: Backend, seeded: Seeded) -> None:
    me = seeded.new_person()
    groups = [start(backend, me, seeded.new_person()) for _ in range(5)]
    with backend.client(me) as client:
        pages = read_pages(client, "/api/message_groups?limit=2")
    assert [[line["uuid"] for line in page] for page in pages] == [groups[4:2:-1], groups[2:0:-1], groups[:1]]


def test_an_upper_case_uuid_is_the_same_conversation(backend: Backend, seeded: Seeded) -> None:
    with backend.client(seeded.person("ines")) as client:
        assert len(client.get(f"/api/messages/{TELESCOPE.upper()}").json()) == 50


def test_a_stranger_may_neither_read_nor_write(backend: Backend, seeded: Seeded) -> None:
    with backend.client(seeded.person("tove")) as client:
        read = client.get(f"/api/messages/{TELESCOPE}")
        written = client.post("/api/messages", json={"message_group_uuid": TELESCOPE, "message": "hello"})
    reason = {"reason": "you are not a member of this conversation", "details": []}
    assert (read.status_code, read.json()) == (403, reason)
    assert (written.status_code, written.json()) == (403, reason)
    assert len(seeded.items(pk=f"MSG#{TELESCOPE}")) == 127


def test_an_unknown_conversation_is_not_found(backend: Backend, seeded: Seeded) -> None:
    group = str(uuid.uuid4())
    with backend.client(seeded.person("ines")) as client:
        read = client.get(f"/api/messages/{group}")
        written = client.post("/api/messages", json={"message_group_uuid": group, "message": "hello"})
    assert (read.status_code, written.status_code) == (404, 404)
    assert seeded.items(pk=f"MSG#{group}") == []


@pytest.mark.parametrize(
    "group", ["not-a-uuid", "%00", "5ae290ed-55d1-47a0-bc6d-fe2bc270039", "9" * 5000, "%F0%9F%94%AD"]
)
def test_what_is_not_a_uuid_is_refused(backend: Backend, seeded: Seeded, group: str) -> None:
    with backend.client(seeded.person("ines")) as client:
        answer = client.get(f"/api/messages/{group}")
    assert answer.status_code == 400
    assert answer.json()["details"][0].startswith("path.message_group_uuid: ")


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=many", "before=", f"before={'9' * 65}"])
@pytest.mark.parametrize("path", ["/api/message_groups", f"/api/messages/{TELESCOPE}"])
def test_a_page_that_cannot_be_is_refused(backend: Backend, seeded: Seeded, path: str, query: str) -> None:
    with backend.client(seeded.person("ines")) as client:
        assert client.get(f"{path}?{query}").status_code == 400


def test_starting_stores_both_group_rows_and_the_message(backend: Backend, seeded: Seeded) -> None:
    one, two = seeded.new_person(), seeded.new_person()
    with backend.client(one) as client:
        sent = client.post("/api/messages", json={"handle": two.handle, "message": "hello"}).json()
    assert sent.keys() == KEYS | {"message_group_uuid"}
    assert (sent["handle"], sent["display_name"], sent["message"]) == (one.handle, one.display_name, "hello")
    assert check_group(seeded, sent["message_group_uuid"], one, two) == [
        {
            "pk": f"MSG#{sent['message_group_uuid']}",
            "sk": sent["created_at"],
            "message_uuid": sent["uuid"],
            "message": "hello",
            "user_uuid": one.uuid,
            "user_display_name": one.display_name,
            "user_handle": one.handle,
        }
    ]


def test_starting_again_from_either_side_is_the_same_conversation(backend: Backend, seeded: Seeded) -> None:
    one, two = seeded.new_person(), seeded.new_person()
    group = start(backend, one, two, "first")
    assert start(backend, one, two, "second") == group
    assert start(backend, two, one, "third") == group
    messages = check_group(seeded, group, one, two)
    assert [message["message"] for message in messages] == ["first", "second", "third"]


def test_ten_starts_at_once_make_one_conversation(backend: Backend, seeded: Seeded) -> None:
    one, two = seeded.new_person(), seeded.new_person()
    with ThreadPoolExecutor(10) as pool:
        groups = set(pool.map(lambda number: start(backend, *((one, two) if number % 2 else (two, one))), range(10)))
    assert len(groups) == 1
    assert len(check_group(seeded, groups.pop(), one, two)) == 10


def test_a_sent_message_appears_at_once(backend: Backend, seeded: Seeded) -> None:
    one, two = seeded.new_person(), seeded.new_person()
    group = start(backend, one, two)
    with backend.client(two) as client:
        text = "emoji 🔭, line\nbreak, „quotes“ and a\u0301ccents"
        sent = client.post("/api/messages", json={"message_group_uuid": group, "message": text}).json()
        listed = client.get(f"/api/messages/{group}").json()[-1]
        assert listed == {name: sent[name] for name in KEYS}
        assert listed["message"] == text
        first = client.get("/api/message_groups").json()[0]
    assert first == {
        "uuid": group,
        "display_name": one.display_name,
        "handle": one.handle,
        "message": text,
        "created_at": sent["created_at"],
    }
    check_group(seeded, group, one, two)


def test_twenty_senders_at_once_lose_nothing(backend: Backend, seeded: Seeded) -> None:
    one, two = seeded.new_person(), seeded.new_person()
    group = start(backend, one, two, "0")

    def send(number: int) -> int:
        with backend.client(one if number % 2 else two) as client:
            body = {"message_group_uuid": group, "message": str(number)}
            return client.post("/api/messages", json=body).status_code

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(send, range(1, 41))) == [200] * 40
    messages = check_group(seeded, group, one, two)
    assert sorted(int(message["message"]) for message in messages) == list(range(41))
    assert len({message["sk"] for message in messages}) == 41
    assert len({message["message_uuid"] for message in messages}) == 41


def test_a_message_is_newer_than_one_from_the_future(backend: Backend, seeded: Seeded) -> None:
    one, two = seeded.new_person(), seeded.new_person()
    group = start(backend, one, two)
    for row in seeded.items(message_group_uuid=group):
        key = {name: {"S": row[name]} for name in ("pk", "sk")}
        seeded.dynamodb().delete_item(TableName=seeded.table, Key=key)
        seeded.put({**row, "sk": "2099-12-31T23:59:59.999999+00:00"})
    with backend.client(one) as client:
        body = {"message_group_uuid": group, "message": "later"}
        assert client.post("/api/messages", json=body).json()["created_at"] == "2100-01-01T00:00:00.000000+00:00"
    check_group(seeded, group, one, two)


BODIES: list[tuple[object, str]] = [
    ({"message": ""}, "body.message: must not be blank"),
    ({"message": " \n\t\u2003"}, "body.message: must not be blank"),
    ({"message": "a\x00b"}, "body.message: must not contain a null character"),
    ({"message": "x" * 1025}, "body.message: String should have at most 1024 characters"),
    ({"message": 1}, "body.message: Input should be a valid string"),
    ({}, "body.message: Field required"),
    ({"message": "x", "handle": "a\x00b"}, "body.handle: must not contain a null character"),
    ({"message": "x", "handle": "mei"}, "body: give either message_group_uuid or handle"),
    ({"message": "x", "message_group_uuid": None}, "body: give either message_group_uuid or handle"),
    ({"message": "x", "message_group_uuid": "9" * 100_000}, "body.message_group_uuid: Input should be a valid UUID"),
    ([], "body: Input should be a valid dictionary"),
]


@pytest.mark.parametrize(("body", "reason"), BODIES, ids=[reason for _, reason in BODIES])
def test_a_body_that_is_not_acceptable_is_refused_with_the_reason(
    backend: Backend, seeded: Seeded, body: object, reason: str
) -> None:
    with backend.client(seeded.person("ines")) as client:
        if isinstance(body, dict):
            body = {"message_group_uuid": TELESCOPE, **body}
        answer = client.post("/api/messages", json=body)
    assert answer.status_code == 422
    assert answer.json()["details"][0].startswith(reason)
    assert len(seeded.items(pk=f"MSG#{TELESCOPE}")) == 127


def test_a_message_may_have_1024_characters(backend: Backend, seeded: Seeded) -> None:
    one, two = seeded.new_person(), seeded.new_person()
    group = start(backend, one, two, "🔭" * 1024)
    assert check_group(seeded, group, one, two)[0]["message"] == "🔭" * 1024


@pytest.mark.parametrize("raw", [rb'{"message": "\ud800", "handle": "mei"}', rb'{"message": "x", "handle": "\udfff"}'])
def test_text_that_utf8_cannot_hold_is_refused(backend: Backend, seeded: Seeded, raw: bytes) -> None:
    with backend.client(seeded.person("ines")) as client:
        answer = client.post("/api/messages", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "raw", [b"", b"{", b'{"message": "x"', b"\xff\xfe", b"[" * 100_000, b'{"message": ' + b"9" * 5000 + b"}"]
)
def test_json_that_cannot_be_read_is_refused(backend: Backend, seeded: Seeded, raw: bytes) -> None:
    with backend.client(seeded.person("ines")) as client:
        answer = client.post("/api/messages", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["reason"]


@pytest.mark.parametrize(
    ("handle", "reason"),
    [("nobody", "no user has this handle"), ("ines", "this handle is your own")],
)
def test_a_message_to_no_one_is_refused(backend: Backend, seeded: Seeded, handle: str, reason: str) -> None:
    with backend.client(seeded.person("ines")) as client:
        answer = client.post("/api/messages", json={"handle": handle, "message": "hello"})
    assert (answer.status_code, answer.json()["reason"]) == (422, reason)


def test_one_half_of_a_pair_with_many_conversations_is_found(backend: Backend, seeded: Seeded) -> None:
    me, first = seeded.new_person(), seeded.new_person()
    group = start(backend, me, first)
    for _ in range(3):
        start(backend, me, seeded.new_person())
    assert start(backend, me, first) == group


def test_nothing_is_written_when_a_store_is_down(start_backend: Callable[..., Backend], seeded: Seeded) -> None:
    broken = start_backend(AWS_ENDPOINT_URL_DYNAMODB="http://127.0.0.1:9")
    with broken.client(seeded.person("ines")) as client:
        answer = client.post("/api/messages", json={"message_group_uuid": TELESCOPE, "message": "hello"})
    assert answer.status_code == 503
    assert len(seeded.items(pk=f"MSG#{TELESCOPE}")) == 127
