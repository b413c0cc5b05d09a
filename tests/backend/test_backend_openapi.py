"""The OpenAPI document, and the application driven by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode, checks

if TYPE_CHECKING:
    from tests.backend.conftest import Backend, Seeded

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
        case.call_and_validate(headers=headers, excluded_checks=NOT_OURS)

    keeps_to_its_document()
