"""Doctor, Trace, Requests, Patterns and Stack of the live page, on the reference project and real faults in it."""

from __future__ import annotations

import html
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from devenv.stores.dynamodb.client import Dynamo
from tests.support import ProjectDir, reference_project
from tests.ui import LivePage, live_page

TABLE = "cruddur-messages"
CONVERSATION = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
STALE = "00000000-1111-4222-8333-444444444444"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProjectDir]:
    made = reference_project(tmp_path_factory.mktemp("ui") / "project")
    try:
        made.ok("up", "--tap")
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def page(project: ProjectDir) -> Iterator[LivePage]:
    with live_page(project, "--write") as found:
        yield found


@pytest.fixture(scope="module")
def store(project: ProjectDir) -> Iterator[Dynamo]:
    with project.dynamodb() as opened:
        yield opened


def messages(store: Dynamo) -> list[dict[str, Any]]:
    values = {":h": {"S": f"MSG#{CONVERSATION}"}}
    request = {"TableName": TABLE, "KeyConditionExpression": "pk = :h", "ExpressionAttributeValues": values}
    return list(store.call("Query", request)["Items"])


def diagnose(page: LivePage) -> dict[str, Any]:
    """Run all checks, follow them to their end, and return the document."""
    page.do("/doctor/run")
    stream = re.search(r'data-stream="(/stream/doctor/[^"]*)"', page.ask("/doctor").text)
    if stream:
        targets = [part["target"] for part in page.events(stream[1])]
        assert targets[-1] == "verdict"
        assert len({target for target in targets if target.startswith("check-")}) > 50
    return page.json("/doctor")


def trace(page: LivePage, **fields: str) -> dict[str, Any]:
    run = page.do("/trace/ask", **fields)
    stream = re.search(r'data-stream="(/stream/trace/[^"]*)"', page.ask(run).text)
    if stream:
        *layers, last = page.events(stream[1])
        assert last == {"target": "", "how": "go", "html": run}
        assert {part["target"] for part in layers} >= {"layer-line-dynamodb", "layer-line-http"}
    return page.json(run)


def test_a_stale_id_shows_on_every_page_is_fixed_and_the_fix_undone(
    page: LivePage, project: ProjectDir, store: Dynamo
) -> None:
    assert diagnose(page)["verdict"] == "healthy"
    before = messages(store)[3]
    broken = {**before, "user_uuid": {"S": STALE}}
    store.call("PutItem", {"TableName": TABLE, "Item": broken})

    # Data, and the way from the id to the row that was meant.
    text = page.ask(f"/data?items={TABLE}&hash=MSG%23{CONVERSATION}").text
    assert "mismatched_id" in text
    right = before["user_uuid"]["S"]
    assert re.search(rf'<a class="id" href="[^"]*{right}[^"]*">{STALE}</a>', text)
    # Doctor.
    [found] = [check for check in diagnose(page)["checks"] if check["status"] == "fail"]
    assert found["code"] == "XST002"
    # Trace.
    verdict = trace(page, subject="conversation", **{"p.message_group_uuid": CONVERSATION})["verdict"]
    assert (verdict["status"], verdict["layer"], verdict["class"]) == ("diverged", "cross-store", "mismatched_id")
    assert project.json("trace", "conversation", CONVERSATION)["verdict"]["class"] == "mismatched_id"

    # The fix: before and after, then done, then undone.
    fix = page.do("/doctor/plan/XST002")
    [write] = page.finish(fix)["plan"]["writes"]
    assert write["changes"] == [{"attribute": "user_uuid", "before": STALE, "after": right}]
    assert messages(store)[3] == broken, "nothing is written before it was agreed to"
    assert f"<del>{STALE}</del>" in page.ask(fix).text
    page.do(f"{fix}/apply")
    assert finished(page, fix, "applied")["applied"] == 1
    assert 'Fix XST002</a><span class="why">applied ' in page.ask("/doctor").text
    assert messages(store)[3] == before
    assert diagnose(page)["verdict"] == "healthy"
    page.do(f"{fix}/undo")
    assert finished(page, fix, "undone")["applied"] == 1
    assert 'Fix XST002</a><span class="why">undone ' in page.ask("/doctor").text
    assert messages(store)[3] == broken
    store.call("PutItem", {"TableName": TABLE, "Item": before})


def finished(page: LivePage, fix: str, task: str) -> dict[str, Any]:
    """The document of a fix's task, when it has ended."""
    stream = re.search(r'data-stream="(/stream/then/[^"]*)"', page.ask(fix).text)
    if stream:
        list(page.events(stream[1].replace("&amp;", "&")))
    found = page.json(fix)[task]
    assert isinstance(found, dict)
    return found


def test_a_fix_needs_write_and_a_check_that_exists(page: LivePage, project: ProjectDir) -> None:
    assert page.ask("/doctor/plan/NO001", "POST", {}).status == 400
    assert page.ask("/doctor/fix/nothing/apply", "POST", {}).status == 400


def test_a_trace_has_an_address_a_history_and_completion(page: LivePage) -> None:
    document = trace(page, subject="conversation", user="ines", **{"p.message_group_uuid": CONVERSATION})
    assert document["schema"] == "devenv.trace/1"
    assert document["verdict"]["status"] == "ok"
    # As on the Data page: keys, and what people wrote.
    [dynamodb] = [layer for layer in document["layers"] if layer["name"] == "dynamodb"]
    text = page.ask(f"/trace/conversation/{CONVERSATION}?user=ines").text
    assert f"<td>MSG#{CONVERSATION} 2023-" in text
    assert dynamodb["entries"][0]["fields"]["message"] in html.unescape(text)
    assert "there is no bearer token" in text
    assert page.json(f"/trace/conversation/{CONVERSATION}?user=ines")["started"] == document["started"]
    fresh = page.ask(f"/trace/conversation/{CONVERSATION}?user=mei").text
    assert "Trace it" in fresh
    nowhere = {"subject": "conversation", "p.message_group_uuid": STALE}
    unknown = trace(page, **nowhere)
    assert (unknown["exit_code"], unknown["verdict"]["class"]) == (1, "missing_item")
    assert '<span class="chip warn">not found</span>' in page.ask("/trace").text
    trace(page, subject="conversation", user="ines", **{"p.message_group_uuid": CONVERSATION})
    assert page.json("/trace")["history"][0]["verdict"] == "ok"
    values = page.json("/trace/complete?subject=conversation&name=message_group_uuid")["values"]
    assert CONVERSATION in [each["value"] for each in values]
    assert [each["value"] for each in page.json("/trace/complete?subject=conversation&name=user&user=i")["values"]] == [
        "ines"
    ]
    for fields in (
        {"subject": "nothing"},
        {"subject": "conversation", "p.message_group_uuid": "no uuid"},
        {"subject": "conversation", "p.message_group_uuid": "--html=/tmp/x"},
    ):
        assert page.ask("/trace/ask", "POST", fields).status == 400
    assert page.ask("/trace/nothing/at/all").status == 400


def test_requests_come_live_with_their_calls_and_lead_to_their_trace(page: LivePage, project: ProjectDir) -> None:
    url = project.env()["BACKEND_URL"]
    token = project.ok("env", "--token", "ines").out.strip()
    address = f"{url}/api/messages/{CONVERSATION}?limit=3"
    parts = page.events("/stream/requests")
    next(parts)
    asked = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(asked, timeout=20) as answer:
        answer.read()
    shown = next(part["html"] for part in parts if CONVERSATION in part["html"])
    parts.close()
    assert "DynamoDB" in shown
    assert f'href="/trace/conversation/{CONVERSATION}"' in shown
    assert token not in page.ask("/requests").text
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{url}/api/messages/{CONVERSATION}?%3Cscript%3E=1", timeout=20)
    end = time.monotonic() + 10
    while page.json("/requests")["requests"][0]["status"] != 401:
        assert time.monotonic() < end, "the refused request was not recorded"
    assert page.ask("/requests").text.count("<script") == 2


def test_patterns_are_run_on_real_parameters(page: LivePage) -> None:
    page.do("/patterns/run")
    for _ in range(200):
        found = page.json("/patterns")
        if found["check"] and found["matrix"]:
            break
    assert found["check"]["verdict"] == "ok" or not found["check"]["exit_code"]
    assert {row["pattern"] for row in found["matrix"]["patterns"]} == {"messages", "conversations", "members"}
    one = page.json("/patterns/messages")
    assert one["count"] == 127
    assert page.ask("/patterns/nothing").status == 400


def test_a_change_says_what_would_be_lost_and_is_the_command_that_one_types(
    page: LivePage, project: ProjectDir, store: Dynamo
) -> None:
    foreign = {"pk": {"S": "OWN#1"}, "sk": {"S": "1"}}
    store.call("PutItem", {"TableName": TABLE, "Item": foreign})
    asked = page.json("/confirm/seed")
    assert asked["losses"]
    assert asked["command"] == ["devenv", "seed", "-y"]
    job = page.do("/do/snapshot-save", name="before-it")
    found = page.finish(job)
    assert found["document"]["saved"]["name"] == "before-it"
    assert [each["name"] for each in page.json("/")["snapshots"]] == ["before-it"]
    assert page.finish(page.do("/do/reset"))["state"] == "done"
    assert "Item" not in store.call("GetItem", {"TableName": TABLE, "Key": foreign})
    assert page.finish(page.do("/do/snapshot-restore", name="before-it"))["state"] == "done"
    assert "Item" in store.call("GetItem", {"TableName": TABLE, "Key": foreign})
    store.call("DeleteItem", {"TableName": TABLE, "Key": foreign})
    assert page.finish(page.do("/do/snapshot-restore", name="nothing"))["state"] == "failed"


def test_several_tabs_and_the_command_line_at_once(page: LivePage, project: ProjectDir) -> None:
    jobs = [page.do("/do/up") for _ in range(2)]
    assert project.devenv("up").code == 0
    assert {page.finish(job)["state"] for job in jobs} == {"done"}
    assert {service["state"] for service in page.json("/")["services"]} == {"running"}


def test_one_service_is_restarted_and_stopped(page: LivePage, project: ProjectDir) -> None:
    def backend() -> dict[str, Any]:
        return next(each for each in page.json("/")["services"] if each["name"] == "backend")

    before = backend()["pid"]
    assert page.finish(page.do("/do/restart-service", name="backend"))["state"] == "done"
    assert backend()["pid"] != before
    assert page.finish(page.do("/do/stop-service", name="backend"))["state"] == "done"
    assert backend()["state"] == "stopped"
    assert page.finish(page.do("/do/start-service", name="backend"))["state"] == "done"
    assert backend()["state"] == "running"
    assert page.finish(page.do("/do/stop-service", name="nothing"))["state"] == "failed"
    assert page.finish(page.do("/do/stop"))["state"] == "done"
    assert {each["state"] for each in page.json("/")["services"] if each["name"] != "tap"} == {"stopped"}
    assert page.finish(page.do("/do/up"))["state"] == "done"


@pytest.mark.long
def test_a_trace_under_stress_lists_each_condition(page: LivePage) -> None:
    fields = {"subject": "conversation", "p.message_group_uuid": CONVERSATION, "user": "ines", "stress": "1"}
    run = page.do("/trace/ask", **fields)
    stream = re.search(r'data-stream="(/stream/trace/[^"]*)"', page.ask(run).text)
    assert stream
    assert list(page.events(stream[1], 200))[-1]["how"] == "go"
    conditions = page.json(run)["stress"]["conditions"]
    text = page.ask(run).text
    assert conditions
    assert not [each["name"] for each in conditions if f"<b>{each['name']}</b>" not in text]


@pytest.mark.long
def test_the_ledger_of_seeds_knows_what_a_fix_wrote(page: LivePage, project: ProjectDir) -> None:
    """Else the next `seed` would take the fixed items for changed by hand, and ask before it loads them again."""
    # What the tests before changed by hand is as it was seeded.
    project.ok("seed", "-y")
    with psycopg.connect(project.env()["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        [person] = connection.execute("SELECT uuid FROM users ORDER BY handle LIMIT 1").fetchall()
        now = connection.execute("UPDATE users SET uuid = gen_random_uuid() WHERE uuid = %s RETURNING uuid", person)
        connection.execute("UPDATE activities SET user_uuid = %s WHERE user_uuid = %s", (*now.fetchall()[0], *person))
    fix = page.do("/doctor/plan/XST002")
    assert page.finish(fix)["plan"]["writes"]
    page.do(f"{fix}/apply")
    assert finished(page, fix, "applied")["applied"] > 10
    project.ok("seed")
