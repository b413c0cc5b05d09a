"""What holds for every route: tokens, people and activities, CORS, the access log, health."""

from __future__ import annotations

import base64
import json
import re
import socketserver
from collections.abc import Callable
from threading import Thread
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.backend.conftest import Backend, Person, Seeded

ORIGIN = {"Origin": "http://localhost:3000"}
TELESCOPE = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
NOWHERE = {
    "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9",
    "DATABASE_URL": "postgresql://nobody:secretword@127.0.0.1:9/none",
}


def unsigned(person: Person) -> str:
    """A token that names `none` as its algorithm, so that nobody had to sign it."""
    parts = ({"alg": "none", "typ": "JWT"}, {"sub": person.cognito_user_id, "exp": 4_000_000_000})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda backend, ines: None, "there is no bearer token"),
        (lambda backend, ines: "Basic aW5lczppbmVz", "there is no bearer token"),
        (lambda backend, ines: "Bearer garbage", "the token is not valid: Not enough segments"),
        (lambda backend, ines: "Bearer ä.ö.ü".encode("latin-1"), "the token is not valid: "),
        (
            lambda backend, ines: f"Bearer {backend.token(ines, seconds=-1)}",
            "the token is not valid: Signature has expired",
        ),
        (
            lambda backend, ines: f"Bearer {backend.token(ines, key='k' * 64)}",
            "the token is not valid: Signature verification failed",
        ),
        (
            lambda backend, ines: f"Bearer {unsigned(ines)}",
            "the token is not valid: The specified alg value is not allowed",
        ),
    ],
    ids=["missing", "basic", "garbage", "not ascii", "expired", "wrong key", "alg none"],
)
@pytest.mark.parametrize("path", ["/api/message_groups", f"/api/messages/{TELESCOPE}"])
def test_without_a_good_token_it_is_401(
    backend: Backend, seeded: Seeded, path: str, make: Callable[[Backend, Person], str | bytes | None], reason: str
) -> None:
    header = make(backend, seeded.person("ines"))
    with backend.client() as client:
        answer = client.get(path, headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer.json()["reason"].startswith(reason)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_of_no_one_or_of_two_people_is_401(backend: Backend, seeded: Seeded) -> None:
    one, two = seeded.new_person(), seeded.new_person()
    seeded.sql(
        "UPDATE users SET cognito_user_id = %(id)s WHERE handle = %(handle)s", id=two.cognito_user_id, handle=one.handle
    )
    for person in (one, two):
        with backend.client(person) as client:
            answer = client.get("/api/message_groups")
        assert answer.status_code == 401
        assert answer.json()["reason"] == "the token's sub is not the sign-in id of exactly one person"


def test_posting_needs_a_token(backend: Backend) -> None:
    with backend.client() as client:
        answer = client.post("/api/messages", json={"handle": "mei", "message": "hello"})
    assert answer.status_code == 401


def test_a_person_is_found_by_handle(backend: Backend, seeded: Seeded) -> None:
    mei = seeded.person("mei")
    with backend.client() as client:
        answer = client.get("/api/users/@mei/short")
    assert answer.status_code == 200
    assert answer.json() == {"uuid": mei.uuid, "handle": "mei", "display_name": "Mei Santangelo"}


@pytest.mark.parametrize("handle", ["nobody", "MEI", "%00", "%F0%9F%94%AD", "%ff", "m" * 5000, "' OR true --"])
def test_an_unknown_person_is_not_found(backend: Backend, handle: str) -> None:
    with backend.client() as client:
        answer = client.get(f"/api/users/@{handle}/short")
    assert (answer.status_code, answer.json()["reason"]) == (404, "no user has this handle")


def test_activities_are_listed_newest_first_and_paged(backend: Backend) -> None:
    with backend.client() as client:
        everything = client.get("/api/activities/home").json()
        path, read = "/api/activities/home?limit=3", []
        while path:
            answer = client.get(path)
            read += answer.json()
            path = answer.links.get("next", {}).get("url")
    assert len(everything) == 8
    assert [each["created_at"] for each in everything] == sorted(
        (each["created_at"] for each in everything), reverse=True
    )
    assert read == everything
    assert everything[0] == {
        "uuid": "b19f3ec8-5d02-4a76-97e4-0c82f6d1b308",
        "display_name": "Ines Halvorsen",
        "handle": "ines",
        "message": "First light tonight: craters so sharp I forgot to breathe. Thank you, flea market.",
        "replies_count": 0,
        "reposts_count": 4,
        "likes_count": 31,
        "reply_to_activity_uuid": None,
        "expires_at": "2033-06-24T22:10:08.000000+00:00",
        "created_at": "2023-06-24T22:10:08.000000+00:00",
    }


def test_an_expired_activity_is_not_listed(backend: Backend, seeded: Seeded) -> None:
    person = seeded.new_person()
    seeded.sql(
        "INSERT INTO activities (user_uuid, message, expires_at) VALUES (%(uuid)s, 'gone', now() - interval '1 s')",
        uuid=person.uuid,
    )
    with backend.client() as client:
        assert person.handle not in {each["handle"] for each in client.get("/api/activities/home").json()}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/message_groups", 200),
        ("GET", "/api/messages/nonsense", 400),
        ("GET", "/api/messages/00000000-0000-4000-8000-000000000000", 404),
        ("POST", "/api/messages", 422),
        ("GET", "/no/such/route", 404),
        ("DELETE", "/api/messages", 405),
    ],
)
def test_every_answer_carries_cors_headers(
    backend: Backend, seeded: Seeded, method: str, path: str, status: int
) -> None:
    with backend.client(seeded.person("ines")) as client:
        answer = client.request(method, path, headers=ORIGIN)
    assert answer.status_code == status
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


def test_a_preflight_allows_the_token(backend: Backend) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    with backend.client() as client:
        answer = client.options("/api/messages", headers={**ORIGIN, **asked})
        refused = client.options("/api/messages", headers={"Origin": "http://evil.example.com", **asked})
    assert answer.status_code == 200
    assert "authorization" in answer.headers["Access-Control-Allow-Headers"].lower()
    assert refused.status_code == 400
    assert "Access-Control-Allow-Origin" not in refused.headers


def test_a_crash_is_json_with_cors_headers_and_a_traceback_in_the_log(
    start_backend: Callable[..., Backend], seeded: Seeded
) -> None:
    backend = start_backend()
    me = seeded.new_person()
    seeded.put({"pk": f"GRP#{me.uuid}", "sk": "2023-01-01T00:00:00.000000+00:00", "message": "half an item"})
    with backend.client(me) as client:
        answer = client.get("/api/message_groups", headers=ORIGIN)
    assert answer.status_code == 500
    assert answer.json() == {"reason": "the application failed (KeyError), its log says where", "details": []}
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
    assert "KeyError: 'message_group_uuid'" in backend.errors.read_text()
    assert " GET /api/message_groups 500 " in backend.log.read_text()


def test_each_request_is_one_line_in_the_log(start_backend: Callable[..., Backend], seeded: Seeded) -> None:
    backend = start_backend()
    with backend.client(seeded.person("ines")) as client:
        client.get("/api/message_groups?limit=1")
        client.get("/api/messages/nonsense")
        client.get("/a%0Ab%20%C3%A9")
        client.options("/api/messages", headers={**ORIGIN, "Access-Control-Request-Method": "POST"})
    line = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 ([A-Z]+ \S+ \d{3}) \d+\.\d+ms$")
    matches = [line.match(text) for text in backend.log.read_text().splitlines()]
    assert [match and match[1] for match in matches if not match or "openapi.json" not in match[1]] == [
        "GET /api/message_groups 200",
        "GET /api/messages/nonsense 400",
        "GET /a%0Ab%20%C3%A9 404",
        "OPTIONS /api/messages 200",
    ]


def test_health_is_200_when_both_stores_answer(backend: Backend) -> None:
    with backend.client() as client:
        answer = client.get("/api/health-check")
    assert (answer.status_code, answer.json()) == (200, {"postgres": "ok", "dynamodb": "ok"})


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"DATABASE_URL": NOWHERE["DATABASE_URL"]}, ["postgres"]),
        ({"AWS_ENDPOINT_URL_DYNAMODB": NOWHERE["AWS_ENDPOINT_URL_DYNAMODB"]}, ["dynamodb"]),
        ({"DDB_MESSAGE_TABLE": "no-such-table"}, ["dynamodb"]),
        (NOWHERE, ["postgres", "dynamodb"]),
    ],
    ids=["postgres", "dynamodb", "table", "both"],
)
def test_the_application_starts_and_says_which_store_is_missing(
    start_backend: Callable[..., Backend], changed: dict[str, str], names: list[str]
) -> None:
    with start_backend(**changed).client() as client:
        answer = client.get("/api/health-check", headers=ORIGIN)
    assert answer.status_code == 503
    assert [detail.split(":")[0] for detail in answer.json()["details"]] == names
    assert "secretword" not in answer.text
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


@pytest.mark.parametrize("words", [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", None])
@pytest.mark.matrix(3)
def test_health_is_503_when_something_else_answers_or_nothing_ever(
    start_backend: Callable[..., Backend], words: bytes | None
) -> None:
    class Impostor(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            if words:
                self.request.sendall(words)
            else:
                self.request.recv(65536)  # until the other side gives up

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Impostor) as server:
        Thread(target=server.serve_forever).start()
        address = f"127.0.0.1:{server.server_address[1]}"
        backend = start_backend(
            AWS_ENDPOINT_URL_DYNAMODB=f"http://{address}", DATABASE_URL=f"postgresql://a:b@{address}/c"
        )
        with backend.client() as client:
            health = client.get("/api/health-check")
        server.shutdown()
    assert health.status_code == 503
    assert [detail.split(":")[0] for detail in health.json()["details"]] == ["postgres", "dynamodb"]


def test_routes_answer_503_while_postgres_is_down(start_backend: Callable[..., Backend], seeded: Seeded) -> None:
    backend = start_backend(DATABASE_URL=NOWHERE["DATABASE_URL"])
    with backend.client(seeded.person("ines")) as client:
        for path in ("/api/message_groups", "/api/users/@ines/short", "/api/activities/home"):
            assert client.get(path).status_code == 503
    assert "OperationalError: connection failed" in backend.errors.read_text()
