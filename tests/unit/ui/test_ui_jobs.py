"""Jobs that are not kept any more, fixes in words, and texts that keep their times in one piece."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from devenv.core.errors import UsageError
from devenv.ui import job_page, trace_page
from devenv.ui.doctor_page import standing
from devenv.ui.guard import Door
from devenv.ui.jobs import KEPT, Jobs, PageJob
from devenv.ui.site import PageOptions, Site
from devenv.ui.trace_page import LISTED
from devenv.ui.view import parted, place, render, whole

TOML = """
[project]
name = "letters"

[trace.letter]
title = "one letter"
params = { letter_uuid = "uuid" }
sql = "SELECT 1"
"""
LETTER = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "devenv.toml").write_text(TOML, "utf-8")
    jobs = Jobs(tmp_path, [], os.environ)
    return Site(tmp_path, "letters", PageOptions(), Door(1, "token", "session"), jobs, os.environ)


def run(jobs: Jobs, kind: str, *words: str) -> PageJob:
    """A job of a process that says nothing, when it has ended."""
    job = jobs._start(kind, [sys.executable, "-I", "-S", "-c", ""], words, {"title": " ".join(words[1:])})
    end = time.monotonic() + 10
    while job.ended is None:
        assert time.monotonic() < end
        time.sleep(0.002)
    return job


def asked(job: str) -> Request:
    return Request({"type": "http", "path_params": {"job": job}, "query_string": b"", "headers": []})


def shown(site: Site, template: str, values: Any) -> str:
    frame = {"title": "", "navigation": (), "path": "", "json_address": "", "command": "", "write": False}
    return render(template, {**frame, **values})


def test_an_address_that_has_expired_says_so_and_asks_again(site: Site) -> None:
    plain = run(site.jobs, "trace", "trace", "letter", LETTER, "--user", "ines")
    stressed = run(site.jobs, "trace", "trace", "letter", LETTER, "--stress")
    other = run(site.jobs, "stack", "up")
    for _ in range(KEPT):
        last = run(site.jobs, "trace", "trace", "letter", LETTER)
    page = trace_page.show_run(site, asked(plain.id))
    text = shown(site, page.template, page.values)
    assert page.status == 410
    assert page.words == ("trace", "letter", LETTER, "--user", "ines")
    assert "This address has expired" in text
    for field in (
        'name="subject" value="letter"',
        f'name="p.letter_uuid" value="{LETTER}"',
        'name="user" value="ines"',
    ):
        assert field in text
    assert "Trace it again</button>" in text
    assert 'name="stress"' not in text
    again = trace_page.show_run(site, asked(stressed.id))
    assert 'name="stress" value="1"' in shown(site, again.template, again.values)
    for lost in (other.id, "never-there"):
        with pytest.raises(UsageError, match="this address has expired"):
            job_page.found(site, asked(lost))

    # What the page lists can still be opened, and is bounded.
    listed = trace_page.history(site)
    assert len(listed) == LISTED
    assert listed[0]["href"] == f"/trace/run/{last.id}"
    assert all(site.jobs.get(each["href"].rpartition("/")[2]) for each in listed)


def test_a_run_that_ends_while_its_page_is_made_is_shown_as_running(site: Site) -> None:
    """Else neither its layers nor an error are there to be shown."""
    job = PageJob("run", "trace", ("trace", "letter", LETTER), {"title": f"letter {LETTER}"})
    page = trace_page.page_of(site, job)
    job.document, job.ended = {"layers": [], "verdict": {}}, time.time()
    assert 'data-stream="/stream/trace/run"' in shown(site, page.template, page.values)


def condition(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "title": f"{name} of all", "status": "not_run", "text": text}


def test_conditions_that_one_reason_kept_from_running_are_one_line() -> None:
    job = PageJob("run", "trace", ("trace",), {})
    same = [condition(name, "not run: the trace is not healthy") for name in ("slow", "conflict")]
    job.document = {"stress": {"conditions": same}}
    [one] = trace_page.tried(job)
    assert (one["name"], one["text"]) == ("2 conditions", "not run: the trace is not healthy")
    job.document = {"stress": {"conditions": [*same, condition("new-year", "not run: no function")]}}
    assert len(trace_page.tried(job)) == 3


def ended(code: int | None, **about: str) -> PageJob:
    document = None if code else {"applied": 1}
    moment = None if code is None else time.time()
    return PageJob("job", "repair", (), about, document=document, code=code, ended=moment)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([], "planned"),
        ([ended(0, task="apply")], "applied"),
        ([ended(None, task="apply")], "being applied"),
        ([ended(0, task="undo"), ended(0, task="apply")], "undone"),
        ([ended(0, task="apply"), ended(0, task="undo"), ended(0, task="apply")], "applied"),
        ([ended(1, task="apply")], "not applied"),
    ],
)
def test_a_fix_stands_as_what_was_done_last(steps: list[PageJob], words: str) -> None:
    assert standing(ended(0), steps).split(" 0 ms")[0].startswith(words)
    assert standing(ended(None), []) == "being planned"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("2023-06-12T17:10:20.000000+00:00", ["2023-06-12T", "17:10:20.000000+00:00"]),
        ("2023-06-12 17:10:20+00:00", ["2023-06-12 ", "17:10:20+00:00"]),
        ("postgresql://ann@127.0.0.1:31580/letters", ["postgresql://ann@127.0.0.1:31580/"]),
        (LETTER, []),
        ("<script>1999-01-01</script>", ["1999-01-01"]),
    ],
)
def test_times_and_addresses_stay_in_one_piece(text: str, html: list[str]) -> None:
    found = str(whole(text))
    assert [part.partition("</span>")[0] for part in found.split('<span class="whole">')[1:]] == html
    assert "<script>" not in found
    bare = found.replace('<span class="whole">', "").replace("</span>", "").replace("<wbr>", "")
    assert bare.replace("&lt;", "<").replace("&gt;", ">") == text


def test_a_column_leads_to_its_table_and_an_id_to_a_search() -> None:
    assert place("public.activities.reposts_count") == "/data?table=public.activities"
    assert place("https://a.b.c") == "/data/find?value=https%3A%2F%2Fa.b.c"
    assert place(LETTER) == f"/data/find?value={LETTER}"


def test_a_name_may_break_behind_an_underscore() -> None:
    assert str(parted("user_display_name")) == "user_<wbr>display_<wbr>name"
    assert "<b>" not in str(parted("a_<b>"))
