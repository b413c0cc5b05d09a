"""The role that a session acts as: the one its options take on, not the one it signed in with."""

from __future__ import annotations

import pytest

from devenv.capture import requests


@pytest.mark.parametrize(
    ("options", "role", "session"),
    [
        (None, "ada", "as ada"),
        ("-c TimeZone=UTC -c statement_timeout=5s", "ada", "as ada"),
        ("-c role=reader -c TimeZone=UTC", "reader", "as role reader (login ada)"),
        ("--role=reader", "reader", "as role reader (login ada)"),
        ("-c role=none", "ada", "as ada"),
    ],
)
def test_the_role_is_the_one_taken_on(options: str | None, role: str, session: str) -> None:
    asked = {"event": "asked", "number": 1, "service": "postgres", "operation": "SQL", "request": "SELECT 1"}
    (sent,) = requests.read_events([{**asked, "user": "ada", "options": options}])
    call = requests.describe([sent])
    assert (call.role, call.session) == (role, session)
