"""The OpenAPI document, and the application driven by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks

if TYPE_CHECKING:
    from tests.backend.conftest import Backend, Seeded

# No request of these tests takes a tenth of it; one that hangs would never end.
ANSWER_S = 20
ERRORS = {
    "GET /api/message_groups": {"400", "401", "503"},
    "GET /api/messages/{message_group_uuid}": {"400", "401", "403", "404", "503"},
    "POST /api/messages": {"400", "401", "403", "404", "422", "503"},
    "GET /api/users/@{handle}/short": {"404", "503"},
    "GET /api/activities/home": {"400", "503"},
    "GET /api/health-check": {"503"},
}

NOT_OURS = [
    checks.positive_data_acceptance,  # no schema can say which handles and conversations exist
    checks.negative_data_rejection,  # a parameter given twice counts once, the last time
]


@pytest.fixture(autouse=True)
def nothing_failed(backend: Backend) -> Iterator[None]:
    """Whatever was asked: the application wrote no traceback, nor that anything failed."""
    before = len(backend.errors.read_bytes())
    yield
    written = backend.errors.read_bytes()[before:].decode()
    assert "Traceback" not in written, written[-3000:]
    assert " failed" not in written, written[-3000:]


def test_the_document_declares_every_route_and_status(backend: Backend) -> None:
    with backend.client() as client:
        document = client.get("/openapi.json").json()
    declared = {
        f"{method.upper()} {path}": set(operation["responses"]) - {"200"}
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert declared == ERRORS


@pytest.mark.parametrize(
    ("method", "path", "values"),
    [
        ("GET", "/api/message_groups", {}),
        ("GET", "/api/messages/{message_group_uuid}", {"message_group_uuid": "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"}),
        ("GET", "/api/users/@{handle}/short", {"handle": "mei"}),
        ("GET", "/api/activities/home", {}),
        ("GET", "/api/health-check", {}),
    ],
)
def test_real_answers_are_as_declared(
    backend: Backend, seeded: Seeded, method: str, path: str, values: dict[str, str]
) -> None:
    operation = schemathesis.openapi.from_url(f"{backend.url}/openapi.json")[path][method]
    with backend.client(seeded.person("ines")) as client:
        answer = client.request(method, path.format(**values))
    assert answer.status_code == 200
    operation.validate_response(answer)


@pytest.mark.long
@pytest.mark.parametrize(
    ("route", "mode"),
    [
        (route, mode)
        for route, statuses in ERRORS.items()
        for mode in GenerationMode
        if mode.is_positive or "400" in statuses  # the others accept any request there is
    ],
)
def test_no_request_makes_the_application_break_its_word(
    backend: Backend, seeded: Seeded, route: str, mode: GenerationMode
) -> None:
    method, path = route.split()
    operation = schemathesis.openapi.from_url(f"{backend.url}/openapi.json")[path][method]
    headers = {"Authorization": f"Bearer {backend.token(seeded.person('tove'))}"}

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def keeps_to_its_document(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=headers, excluded_checks=NOT_OURS, timeout=ANSWER_S)

    keeps_to_its_document()


MESSAGES = st.text(max_size=30) | st.sampled_from(
    [
        "x" * 1024,
        "x" * 1025,
        "\U0001f600" * 1024,
        "",
        " ",
        "\x00",
        "\ud800",
        "\u2028",
        "null",
        "${users[handle=ines].uuid}",
        "'",
    ]
)


@pytest.mark.long
def test_what_was_sent_is_what_is_read(backend: Backend, seeded: Seeded) -> None:
    """A message of any text is refused and nothing is stored, or both members read exactly that text."""
    one, other = seeded.new_person(), seeded.new_person()
    with backend.client(one) as sender, backend.client(other) as reader:
        first = sender.post("/api/messages", json={"message": "hello", "handle": other.handle})
        group = first.json()["message_group_uuid"]

        def texts(client: httpx.Client) -> dict[str, str]:
            answer = client.get(f"/api/messages/{group}", params={"limit": 100})
            assert answer.status_code == 200
            return {each["uuid"]: each["message"] for each in answer.json()}

        @given(text=MESSAGES)
        @settings(
            max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
        )
        def is_read(text: str) -> None:
            before = texts(sender)
            body = json.dumps({"message": text, "message_group_uuid": group})
            sent = sender.post("/api/messages", content=body, headers={"Content-Type": "application/json"})
            acceptable = bool(text.strip()) and len(text) <= 1024 and not {"\x00", "\ud800"} & set(text)
            assert sent.status_code == (200 if acceptable else 422), (text, sent.text)
            found = texts(reader)
            assert found == texts(sender)
            new = {uuid: message for uuid, message in found.items() if uuid not in before}
            assert new == ({sent.json()["uuid"]: text} if acceptable else {})

        is_read()
