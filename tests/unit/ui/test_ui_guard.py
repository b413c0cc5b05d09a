"""Who may ask the page: judged from a request's headers alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from devenv.ui.guard import Door, PageRequest, content_length, judge, read_request, without_token

DOOR = Door(4321, "the-token", "the-session")
OWN = PageRequest("GET", "127.0.0.1:4321", session="the-session", site="same-origin")
FORM = replace(OWN, method="POST", origin="http://127.0.0.1:4321")


def status(asked: PageRequest) -> int:
    refusal = judge(DOOR, asked)
    return refusal.status if refusal else 200


@pytest.mark.parametrize(
    "asked",
    [
        OWN,
        FORM,
        replace(OWN, host="localhost:4321"),
        replace(OWN, site="none", mode="navigate"),
        replace(OWN, session=None, token="the-token"),
        replace(OWN, site=None, origin=None),
    ],
)
def test_the_pages_own_requests_pass(asked: PageRequest) -> None:
    assert status(asked) == 200


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (replace(OWN, host="evil.example"), 421),
        (replace(OWN, host="evil.example:4321"), 421),
        (replace(OWN, host="127.0.0.1"), 421),
        (replace(OWN, host="127.0.0.1:4322"), 421),
        (replace(OWN, host=""), 421),
        (replace(OWN, host="localhost:4321", origin="http://127.0.0.1:4321"), 403),
        (replace(OWN, origin="http://evil.example"), 403),
        (replace(OWN, origin="null"), 403),
        (replace(OWN, origin="https://127.0.0.1:4321"), 403),
        (replace(OWN, origin="http://127.0.0.1:9999"), 403),
        (replace(OWN, site="cross-site", mode="cors"), 403),
        (replace(OWN, site="same-site", mode="no-cors"), 403),
        (replace(FORM, site="cross-site", mode="navigate"), 403),
        (replace(FORM, origin=None), 403),
        (replace(FORM, origin="http://evil.example"), 403),
        (replace(FORM, session=None, token="the-token"), 401),
        (replace(OWN, session=None), 401),
        (replace(OWN, session=""), 401),
        (replace(OWN, session="the-token"), 401),
        (replace(OWN, session="the-sessio"), 401),
        (replace(OWN, session=None, token="the-session"), 401),
        (replace(OWN, session=None, token="\udc80"), 401),
        (replace(OWN, method="DELETE"), 405),
        (replace(OWN, method="OPTIONS"), 405),
    ],
)
def test_every_other_request_is_refused(asked: PageRequest, expected: int) -> None:
    assert status(asked) == expected


def scope(query: str = "", *headers: tuple[str, str], path: str = "/") -> dict[str, object]:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return {
        "method": "GET",
        "headers": raw,
        "query_string": query.encode(),
        "path": path,
        "raw_path": path.encode(),
    }


def test_a_header_that_is_there_twice_counts_as_a_wrong_one() -> None:
    asked = read_request(DOOR, scope("", ("host", "127.0.0.1:4321"), ("host", "127.0.0.1:4321")))
    assert asked.host == ""
    assert read_request(DOOR, scope("", ("host", "127.0.0.1:4321"))).host == "127.0.0.1:4321"


def test_the_cookie_is_of_this_pages_port() -> None:
    other = scope("", ("cookie", "devenv_ui_4322=x; a=b"))
    mine = scope("token=t", ("cookie", "devenv_ui_4322=x; devenv_ui_4321=mine"))
    assert read_request(DOOR, other).session is None
    assert (read_request(DOOR, mine).session, read_request(DOOR, mine).token) == ("mine", "t")
    assert read_request(DOOR, scope("", ("cookie", "\x00;;=\xff"))).session is None


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/", "token=t", "/"),
        ("/trace/conversation/5ae2", "token=t&user=ines", "/trace/conversation/5ae2?user=ines"),
        ("//evil.example/", "token=t", "/evil.example/"),
        ("/\\evil.example", "token=t&next=//x", "/evil.example?next=%2F%2Fx"),
        ("/a%2Fb", "token=t", "/a%2Fb"),
    ],
)
def test_the_way_in_leads_to_this_page_without_the_token(path: str, query: str, expected: str) -> None:
    assert without_token(scope(query, path=path)) == expected


def test_a_body_of_unknown_length_is_too_long() -> None:
    assert content_length(scope("", ("content-length", "12"))) == 12
    assert content_length(scope()) == 0
    assert content_length(scope("", ("transfer-encoding", "chunked"))) > 65_536
    assert content_length(scope("", ("content-length", "-1"))) > 65_536
