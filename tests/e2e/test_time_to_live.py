"""Items that expire, on a real DynamoDB Local: doctor says what will vanish, trace tells expired from lost."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import ProjectDir, reference_project

CONVERSATION = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
TABLE = "cruddur-messages"


class Expiring:
    """The reference project, whose messages expire by `expires`."""

    def __init__(self, project: ProjectDir) -> None:
        self.project = project
        self.dynamodb = project.dynamodb()

    def message(self, group: str, end: str | int | None = None) -> dict[str, Any]:
        """Write a message of a conversation; its key."""
        key = {"pk": {"S": f"MSG#{group}"}, "sk": {"S": "2026-01-05T10:00:00.000000+00:00"}}
        words = {name: {"S": "x"} for name in ("message", "user_display_name", "user_handle")}
        item = {**key, **words, "message_uuid": {"S": str(uuid.uuid4())}, "user_uuid": {"S": str(uuid.uuid4())}}
        if end is not None:
            item["expires"] = {"S": end} if isinstance(end, str) else {"N": str(end)}
        self.dynamodb.call("PutItem", {"TableName": TABLE, "Item": item})
        return key

    def delete(self, key: dict[str, Any]) -> None:
        self.dynamodb.call("DeleteItem", {"TableName": TABLE, "Key": key})

    def trace(self, group: str) -> dict[str, Any]:
        """The layer `dynamodb` of a trace."""
        document = self.project.json("trace", "conversation", group, "--user", "ines")
        return next(layer for layer in document["layers"] if layer["name"] == "dynamodb")

    def check(self) -> dict[str, Any]:
        document = self.project.json("doctor", "--only", "DAT016")
        return next(one for one in document["checks"] if one["code"] == "DAT016")


@pytest.fixture(scope="module")
def expiring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Expiring]:
    project = reference_project(tmp_path_factory.mktemp("expiring"))
    [table] = (project.path / "seeds/dynamodb/tables").glob("*.json")
    definition = json.loads(table.read_text())
    definition["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    definition["TimeToLiveSpecification"] = {"AttributeName": "expires", "Enabled": True}
    table.write_text(json.dumps(definition))
    settings = project.path / "devenv.toml"
    settings.write_text(settings.read_text().replace("[entities.message]\n", '[entities.message]\nttl = "expires"\n'))
    try:
        project.ok("up", "--no-backend", timeout=240)
        made = Expiring(project)
        with made.dynamodb:
            yield made
    finally:
        project.remove()


def test_doctor_counts_what_will_vanish_and_names_what_never_will(expiring: Expiring) -> None:
    found = expiring.check()
    assert (found["status"], "0 items of cruddur-messages will vanish" in found["evidence"]) == ("ok", True), found
    now = int(time.time())
    group = str(uuid.uuid4())
    soon = expiring.message(group, now + 1800)
    today = expiring.message(str(uuid.uuid4()), now + 20 * 3600)
    found = expiring.check()
    assert found["status"] == "ok"
    assert "1 item of cruddur-messages will vanish within an hour, 2 within a day (`expires`)" in found["evidence"]
    wrong = expiring.message(str(uuid.uuid4()), now * 1000)
    found = expiring.check()
    assert found["status"] == "warn"
    assert f"{wrong['pk']['S']} {wrong['sk']['S']} never expires: `expires` is in milliseconds" in found["evidence"]
    for key in (soon, today, wrong):
        expiring.delete(key)


def test_a_time_to_live_that_the_table_does_not_have_is_named(expiring: Expiring) -> None:
    specification = {"AttributeName": "expires", "Enabled": False}
    expiring.dynamodb.call("UpdateTimeToLive", {"TableName": TABLE, "TimeToLiveSpecification": specification})
    found = expiring.check()
    assert found["status"] == "warn"
    assert "[entities.message] ttl is `expires`, and no item of the table expires" in found["evidence"]
    # What the definition declares, schema-load sets.
    expiring.project.ok("up", "--no-backend")
    assert expiring.check()["status"] == "ok"


def test_a_deleted_newest_entry_is_lost_though_entries_may_expire(expiring: Expiring) -> None:
    found = expiring.dynamodb.scan(TABLE)
    newest = max((one for one in found if one["pk"]["S"] == f"MSG#{CONVERSATION}"), key=lambda one: one["sk"]["S"])
    expiring.delete({name: newest[name] for name in ("pk", "sk")})
    layer = expiring.trace(CONVERSATION)
    [one] = [one for one in layer["findings"] if one["class"] == "missing_item"]
    assert "an entry that was deleted, and did not expire" in one["summary"]
    assert one["fix"]["command"] == "devenv up --restore-seeds"
    expiring.project.ok("up", "--no-backend", "--restore-seeds")
    assert expiring.trace(CONVERSATION)["findings"] == []


def test_a_trace_knows_expired_from_deleted(expiring: Expiring) -> None:
    # DynamoDB Local may have deleted the expired one by now, or not: it counts as gone.
    old, lost = str(uuid.uuid4()), str(uuid.uuid4())
    expiring.message(old, int(time.time()) - 1)
    expiring.delete(expiring.message(lost, int(time.time()) + 1800))
    layer = expiring.trace(lost)
    assert [one["class"] for one in layer["findings"]] == ["missing_item"]
    assert "1 was deleted by a program, not because of the time to live" in layer["findings"][0]["cause"]
    layer = expiring.trace(old)
    assert [one["class"] for one in layer["findings"]] == ["expired"], layer["findings"]
    assert layer["findings"][0]["cause"].startswith("1 expired by `expires`, the last at ")
