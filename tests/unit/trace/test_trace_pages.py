"""The pages of an answer: followed on a real server, and judged by what was sent for each."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import asdict

from devenv.config.trace import TraceRequest
from devenv.trace.answers import Form
from devenv.trace.judge.fault import LayerFinding
from devenv.trace.judge.pages import gap_text
from devenv.trace.judge.verdict import judge
from devenv.trace.layers.http import ask_later, ask_pages
from devenv.trace.layers.pages import Ask, exposes_link, own_address
from devenv.trace.observation import Answer, DeclaredIds, Entry, NextPage, Subject
from tests.unit.trace.judged import STORED, SUBJECT, with_member

FORMS = (Form("", "id", {"at": "at"}),)
SHOWN = [{"id": one.id, "at": one.fields["at"]} for one in STORED]
# What a test answers to a request: status, media type, body, Link.
Reply = tuple[int, str, str, str | None]


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[str | None, str], Reply]], str]]:
    """A server whose answers are those of a function of `before` and the server's address."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Callable[[str | None, str], Reply]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                before = parse_qs(urlsplit(self.path).query).get("before", [None])[0]
                status, media, body, link = answer(before, f"http://{self.headers['Host']}")
                self.send_response(status)
                self.send_header("Content-Type", media)
                self.send_header("Content-Length", str(len(body.encode())))
                self.send_header("Link", '</style.css>; rel="preload"')
                if link is not None:
                    self.send_header("Link", f'<{link}>; rel="next"')
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: Any) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def page(before: str | None, size: int = 2) -> list[dict[str, Any]]:
    """The newest entries before a moment, oldest first."""
    return [one for one in SHOWN if before is None or (one["at"] or "") < before][-size:]


def reply(entries: Sequence[dict[str, Any]], link: str | None) -> Reply:
    return 200, "application/json", json.dumps(entries), link


def sound(before: str | None, _: str) -> Reply:
    entries = page(before)
    more = bool(entries) and entries[0] != SHOWN[0]
    return reply(entries, f"/a?before={entries[0]['at']}" if more else None)


@pytest.mark.parametrize(("path", "who"), [("/a", {"stranger"}), ("/a?key={token}", set())])
def test_others_ask_for_the_second_page_unless_its_address_has_the_members_token(
    serve: Any, path: str, who: set[str]
) -> None:
    url = serve(sound)
    member = asked(url)
    declared = TraceRequest(path, seconds=5.0)
    asks = {"member": Ask("GET", f"{url}/a", {}), "stranger": Ask("GET", f"{url}/a", {"X": "other"})}
    with ThreadPoolExecutor(2) as pool:
        later = ask_later(pool, declared, FORMS, asks, member)
    assert later.keys() == who
    assert all([entry.id for entry in answer.entries or ()] == ["m2", "m3"] for answer in later.values())


@pytest.mark.parametrize(
    ("headers", "exposed"),
    [
        ({}, False),
        ({"access-control-expose-headers": "X-Total, link"}, True),
        ({"access-control-expose-headers": "X-Link"}, False),
        ({"access-control-expose-headers": "*"}, True),
        ({"access-control-expose-headers": "*", "access-control-allow-credentials": "true"}, False),
    ],
)
def test_a_link_that_a_page_of_another_origin_may_read(headers: dict[str, str], exposed: bool) -> None:
    assert exposes_link(headers) == exposed


def test_a_link_matters_to_browsers_only_where_pages_are_found_by_it(serve: Any) -> None:
    url = serve(sound)
    assert [asked(url).exposed, asked(url, next={"before": "at"}).exposed] == [False, None]
    found = judged(SUBJECT, replace(asked(url), entries=STORED, cors=SUBJECT.origin))
    assert (found.kind, "cannot read the Link header" in found.summary) == ("cors", True)


@pytest.mark.parametrize("who", ["stranger", "anonymous"])
def test_a_second_page_that_is_open_to_others(who: str) -> None:
    second = NextPage(2, "/a?before=3", "Link", {"before": "3"}, LAST)
    seen = with_member(following=(second,), pages=2)
    open_ = replace(seen, http=replace(seen.http, later={who: Answer(200, entries=STORED[:2])}))
    first = judge(SUBJECT, open_).first
    assert first is not None
    assert (first.kind, "for the next page (/a?before=3), with 2 entries" in first.summary) == (
        "open_to_strangers",
        True,
    )
    for status, kind in ((401 if who == "anonymous" else 403, None), (500, "status")):
        found = judge(SUBJECT, replace(seen, http=replace(seen.http, later={who: Answer(status)}))).first
        assert (found.kind if found else None) == kind


def asked(url: str, **changes: Any) -> Answer:
    declared = TraceRequest("/a", order="oldest first", seconds=5.0, **changes)
    trace = SimpleNamespace(sorted_by="at", order="newest first")
    inquiry: Any = SimpleNamespace(question=SimpleNamespace(trace=trace))
    return ask_pages(inquiry, declared, FORMS, Ask("GET", f"{url}/a", {}))


def test_all_pages_of_a_sound_answer_are_read(serve: Any) -> None:
    found = asked(serve(sound))
    assert [entry.id for entry in found.entries or ()] == [one.id for one in STORED]
    assert (found.pages, found.more, [one.trouble for one in found.following]) == (3, False, [None, None])
    assert [dict(one.sent) for one in found.following] == [{"before": SHOWN[3]["at"]}, {"before": SHOWN[1]["at"]}]
    assert [one.after.id for one in found.following if one.after] == ["m4", "m2"]


def test_a_link_to_another_name_of_this_machine_is_followed_at_the_same_address(serve: Any) -> None:
    def local(before: str | None, host: str) -> Reply:
        status, media, body, link = sound(before, host)
        return status, media, body, link and f"{host.replace('127.0.0.1', 'localhost')}{link}"

    assert asked(serve(local)).pages == 3


@pytest.mark.parametrize(
    ("link", "same"),
    [
        ("?before=1", "http://127.0.0.1:80/a?before=1"),
        ("http://localhost/b#c", "http://127.0.0.1:80/b"),
        ("http://localhost:81/b", None),
        ("https://127.0.0.1/b", None),
        ("//evil.example/b", None),
        ("http://127.0.0.1.evil.example/b", None),
        ("http://127.0.0.1:80@evil.example/b", None),
        ("http://[::bad/b", None),
    ],
)
def test_a_link_never_leads_to_another_host(link: str, same: str | None) -> None:
    assert own_address("http://127.0.0.1:80/a?before=2", link) == same


@pytest.mark.parametrize(
    ("second", "kind", "trouble"),
    [
        ((404, "application/json", '{"detail": "Not Found"}', None), "status", "answers 404"),
        ((500, "text/plain", "Internal Server Error", None), "status", "answers 500"),
        ((403, "application/json", "{}", None), "not_authorised", "answers 403"),
        ((200, "text/html", "<html>", None), "not_json", "answers 200 as text/html"),
        ((200, "text/plain", "[]", None), "not_json", "answers 200 as text/plain"),
        ((200, "application/json", "", None), "status", "answers 200 without a list"),
        (
            (200, "application/json", '{"data": []}', None),
            "body_changed",
            "a map, not a list; its field `data` is a list",
        ),
    ],
    ids=["404", "500", "403", "HTML", "text", "empty", "map"],
)
def test_a_page_that_is_announced_and_is_none(serve: Any, second: Reply, kind: str, trouble: str) -> None:
    found = asked(serve(lambda before, host: sound(before, host) if before is None else second))
    last = found.following[-1]
    assert (found.pages, found.more, last.kind, last.number) == (1, True, kind, 2)
    assert trouble in (last.trouble or "")
    assert last.url == f"/a?before={SHOWN[3]['at']}"
    finding = judged(SUBJECT, replace(found, entries=STORED[3:], cors=SUBJECT.origin))
    assert finding.kind == kind
    assert finding.summary.startswith(f"the Link of page 1 leads to {last.url}, which answers {second[0]}")
    assert finding.summary.endswith("3 entries are unreachable")
    assert finding.subjects == ("m1", "m2", "m3")


def test_links_that_lead_back_or_away_are_not_followed(serve: Any) -> None:
    def itself(before: str | None, _: str) -> Reply:
        return reply(page(before), f"/a?before={before or SHOWN[3]['at']}")

    back = asked(serve(itself)).following
    assert [(one.number, one.kind, one.trouble) for one in back] == [
        (2, "status", None),
        (3, "cursor", "is that page itself: the pages never end"),
    ]
    away = asked(serve(lambda before, _: reply(page(before), "http://backend.internal:8080/a?before=1")))
    last = away.following[-1]
    assert (last.kind, last.url) == ("cursor", "http://backend.internal:8080/a?before=1")
    assert "another host" in (last.trouble or "")
    assert "was not requested" in (last.trouble or "")


def test_an_empty_page_that_names_the_next_one_is_not_the_last(serve: Any) -> None:
    def filtered(before: str | None, host: str) -> Reply:
        return reply([], "/a?before=9999") if before is None else sound(before, host)

    assert len(asked(serve(filtered)).entries or ()) == 5


def test_what_answers_behind_the_last_entry_is_no_fault_where_nothing_announced_it(serve: Any) -> None:
    def unlinked(before: str | None, host: str) -> Reply:
        status, media, body, _ = sound(before, host)
        return (status, media, body, None) if page(before) else (404, "application/json", "{}", None)

    found = asked(serve(unlinked), next={"before": "at"})
    assert (found.pages, found.following[-1].status) == (3, 404)
    whole = replace(found, entries=STORED, cors=SUBJECT.origin)
    assert whole.exposed is None
    assert judge(SUBJECT, with_member(**fields(whole))).first is None
    less = judged(SUBJECT, replace(whole, entries=STORED[1:]))
    assert (less.kind, "1 entry is unreachable" in less.summary) == ("status", True)


def fields(answer: Answer) -> dict[str, Any]:
    return asdict(answer)


def judged(subject: Subject, answer: Answer) -> LayerFinding:
    """The first finding about an answer to a member."""
    first = judge(subject, with_member(**fields(answer))).first
    assert first is not None
    assert first.layer == "http"
    return first


NAMED = replace(SUBJECT, ids={"": DeclaredIds("ids", {"http": "uuid"})})
LAST = STORED[3]


def turned(sent: str, repeated: tuple[str, ...] = (), entries: tuple[Entry, ...] = STORED, **more: Any) -> LayerFinding:
    """Two pages: entries 4 and 5, then what was asked for with `before` = `sent`."""
    second = NextPage(2, f"/a?before={sent}", "Link", {"before": sent}, LAST, repeated)
    answer = Answer(200, entries=entries, cors=SUBJECT.origin, pages=2, following=(second,), repeated=repeated, **more)
    return judged(NAMED, answer)


def test_entries_on_two_pages_are_named_with_what_was_sent() -> None:
    found = turned(LAST.fields["at"] or "", ("m4",))
    assert (found.kind, found.summary) == ("cursor", "1 entry on more than one page (page 2): m4")
    assert found.cause == (
        "the Link of page 1 sends `before` = 2023-06-04T10:00:00Z, the `at` of the last entry m4; "
        "page 2 must begin after that entry, but begins with it"
    )
    whole = turned(LAST.fields["at"] or "", tuple(one.id or "" for one in STORED))
    assert whole.cause == (
        "the Link of page 1 sends `before` = 2023-06-04T10:00:00Z, the `at` of the last entry m4; page 2 has exactly "
        "the entries of page 1: the route ignores `before`, or a cache leaves it out of its key"
    )
    many = turned(LAST.fields["at"] or "", ("m4", "m5", "m6", "m7", "m8"))
    assert many.summary == "5 entries on more than one page (page 2): m4, m5, m6 and 2 more"
    pages = tuple(NextPage(number, f"/?{number}", repeated=("m4",)) for number in range(2, 9))
    endless = with_member(repeated=("m4",), following=pages)
    assert "(pages 2, 3, 4, …)" in (judge(SUBJECT, endless).first or many).summary


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ("m4", "`before` = m4, the `uuid` of the last entry; pages are sorted by `at`"),
        ("ada", "`before` = ada, the `by` of the last entry; pages are sorted by `at`"),
        (STORED[4].fields["at"], "the `at` of the entry m5; it should be that of the last entry m4"),
        ("2023-06-04", "not the `at` of the last entry m4, which is 2023-06-04T10:00:00Z"),
    ],
)
def test_a_cursor_that_is_not_that_of_the_last_entry_is_recognised(sent: str, says: str) -> None:
    assert says in (turned(sent, ("m4", "m5")).cause or "")


def test_entries_between_two_pages_are_named_with_the_entry_before_them() -> None:
    at = [one.fields["at"] or "" for one in STORED]
    less = (*STORED[:2], *STORED[3:])
    spans = ((at[3], at[4]), (at[0], at[1]))
    skipped = turned(at[2], (), less, spans=spans)
    assert skipped.summary == "the API returns 4 of 5: 1 entry between pages 1 and 2 missing, after the entry m4"
    told = gap_text(Answer(200, following=(NextPage(2, "/", after=STORED[3]),)), {1: 1, 2: 2, 3: 1})
    assert told == "1 entry between pages 1 and 2 missing, after the entry m4; and 3 between 2 other pairs of pages"
    assert "the `at` of the entry m3 (which is on no page); it should be that of the last entry m4" in (
        skipped.cause or ""
    )
    far = turned(at[3], (), less, spans=spans)
    assert "the `at` of the last entry m4; page 2 skips entries after it" in (far.cause or "")
    other = turned(at[3], (), less, spans=spans, more=True)
    assert (other.kind, "in the opposite order" in (other.cause or "")) == ("cursor", True)


def test_another_header_with_the_next_page_is_named() -> None:
    found = judged(SUBJECT, Answer(200, entries=STORED[3:], cors=SUBJECT.origin, unread="x-link"))
    assert "the next page is named in the header x-link, not in Link" in (found.cause or "")
