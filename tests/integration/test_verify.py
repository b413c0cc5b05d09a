"""verify on real stores: what it finds, what it proves, and above all when it must not say that all is well."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from devenv.core.errors import DevenvError, Exit
from devenv.core.model import PostgresTarget
from devenv.links.facts import Facts
from devenv.links.judge import VERIFY_NAMES
from devenv.stores.dynamodb.client import plain
from devenv.verify.context import Context
from devenv.verify.recheck import class_name
from tests.conftest import Stores
from tests.integration.doctor_support import messaging, orders
from tests.integration.verify_support import Compared, Heard, Proxy, compared, proxied
from tests.support import dice

CLASSES = {"orphan", "mismatched_id", "stale_copy", "missing_member", "duplicate", "malformed_id"}
assert {"missing_member", "malformed_id"} == set(VERIFY_NAMES.values())


@pytest.fixture(scope="module")
def letters_project(stores: Stores) -> Iterator[Any]:
    with messaging((stores.postgres, stores.dynamodb)) as made:
        yield made, made.items(), made.sql("SELECT * FROM users")


@pytest.fixture
def letters(letters_project: Any, tmp_path: Path) -> Iterator[Compared]:
    """The messaging project as it was loaded; whatever a test does to it is taken back."""
    project, items, rows = letters_project
    made = compared(project, tmp_path)
    yield made
    made.restore(items)
    project.sql("DELETE FROM users")
    for row in rows:
        project.sql("INSERT INTO users VALUES (%s, %s, %s, %s, %s, %s)", *row)


@pytest.fixture
def shop(stores: Stores, tmp_path: Path) -> Iterator[Compared]:
    with orders((stores.postgres, stores.dynamodb)) as made:
        yield compared(made, tmp_path)


def judged(made: Compared) -> Counter[str]:
    """Classes as the small-scale judge counts them, with everything in memory."""
    counts = Counter(class_name(fault) for fault in Facts(made.project.context).judgement().faults)
    return Counter({name: count for name, count in counts.items() if name in CLASSES})


def first(made: Compared, prefix: str = "MSG#") -> dict[str, Any]:
    return min(made.project.items(pk=prefix), key=lambda item: (item["sk"]["S"], item["pk"]["S"]))


# --- what is found


def test_stores_that_agree_are_consistent_and_the_coverage_says_why(letters: Compared) -> None:
    report = letters.verify()
    assert (report.exit_code, report.body["verdict"], report.body["findings"]) == (0, "consistent", {})
    coverage = report.body["coverage"]
    assert (coverage["segments"], coverage["segments_finished"], coverage["caps_hit"]) == (1, 1, [])
    assert (coverage["items_scanned"], coverage["rows_read"]) == (21, 4)


def test_a_key_with_another_id_than_its_attribute_is_malformed(letters: Compared) -> None:
    """Both ids name a row: no link sees it, in either command."""
    row = min(letters.project.items(pk="GRP#"), key=lambda item: item["pk"]["S"])
    owner, other = row["pk"]["S"].removeprefix("GRP#"), row["user_uuid"]["S"]
    letters.project.put({**row, "owner_uuid": {"S": owner.upper()}})
    assert letters.verify().body["verdict"] == "consistent"
    letters.project.put({**row, "owner_uuid": {"S": other}})
    report = letters.verify()
    assert (report.exit_code, report.body["findings"]) == (1, {"malformed_id": 1})
    [example] = report.body["examples"]["malformed_id"]
    assert f"`owner_uuid` is {other}, but `pk` (GRP#{{owner_uuid}}) contains {owner}" in example["note"]
    checks = letters.project.doctor().body["checks"]
    [found] = [check for check in checks if check["status"] == "fail"]
    assert (found["code"], found["fix"]["command"].startswith('devenv ddb sql "SELECT')) == ("DAT002", True), found


@pytest.mark.parametrize("gone", [("links",), ("entities", "links", "groups")], ids="-".join)
def test_without_links_nothing_is_consistent(letters: Compared, gone: tuple[str, ...]) -> None:
    """An item that names no row is there, and no link says so."""
    letters.project.sql("DELETE FROM users WHERE handle = 'bo'")
    settings = letters.project.context.settings
    bare = msgspec.structs.replace(settings, **{name: type(getattr(settings, name))() for name in gone})
    report = replace(letters, context=replace(letters.context, settings=bare)).verify()
    assert (report.exit_code, report.body["verdict"]) == (3, "not_verified")
    assert "no links between the stores are declared" in report.body["reasons"][0]
    alone = msgspec.structs.replace(bare, project=msgspec.structs.replace(bare.project, cross_store=False))
    if "entities" not in gone:
        report = replace(letters, context=replace(letters.context, settings=alone)).verify()
        assert (report.exit_code, report.body["verdict"]) == (0, "consistent")


def test_many_segments_and_workers_and_the_sdk_read_the_same(letters: Compared) -> None:
    for options in ({"segments": 7, "workers": 3}, {"reader": "sdk"}):
        report = letters.verify(**options)
        assert (report.body["verdict"], report.body["coverage"]["items_scanned"]) == ("consistent", 21)


def test_a_large_table_is_read_in_segments_of_a_page_and_a_cap_ends_in_one_of_them(letters: Compared) -> None:
    like = first(letters)
    for number in range(3):
        at = {"S": f"2024-03-01T00:00:0{number}.000000+00:00"}
        letters.project.put(
            {**like, "sk": at, "message_uuid": {"S": str(uuid.uuid4())}, "message": {"S": "x" * 390_000}}
        )
    coverage = letters.verify().body["coverage"]
    assert (coverage["segments"], coverage["segments_finished"], coverage["items_scanned"]) == (3, 3, 24)
    body = not_verified(letters, "stopped", max_items=1)
    assert 0 <= body["coverage"]["segments_finished"] < 3


def user_deleted(made: Compared) -> str:
    made.project.sql("DELETE FROM users WHERE handle = 'bo'")
    return "orphan"


def user_made_again(made: Compared) -> str:
    made.project.sql("UPDATE users SET uuid = gen_random_uuid() WHERE handle = 'bo'")
    return "mismatched_id"


def user_renamed(made: Compared) -> str:
    made.project.sql("UPDATE users SET display_name = 'Bo Harbour' WHERE handle = 'bo'")
    return "stale_copy"


def blank_copy(made: Compared) -> str:
    made.project.change(first(made), user_display_name="MY_DISPLAY_NAME")
    return "stale_copy"


def row_deleted(made: Compared) -> str:
    made.project.delete(first(made, "GRP#"))
    return "missing_member"


def both_rows_deleted(made: Compared) -> str:
    group = first(made)["pk"]["S"].removeprefix("MSG#")
    for item in made.project.items(message_group_uuid=group):
        made.project.delete(item)
    return "missing_member"


def row_twice(made: Compared) -> str:
    made.project.put({**first(made, "GRP#"), "sk": {"S": "2020-01-01T00:00:00.000000+00:00"}})
    return "duplicate"


def message_twice(made: Compared) -> str:
    made.project.put({**first(made), "sk": {"S": "2020-01-01T00:00:00.000000+00:00"}})
    return "duplicate"


def id_no_uuid(made: Compared) -> str:
    made.project.change(first(made), user_uuid="7")
    return "malformed_id"


def id_in_capitals(made: Compared) -> str:
    made.project.change(first(made), message_uuid=str(uuid.uuid4()).upper())
    return "malformed_id"


def id_missing(made: Compared) -> str:
    made.project.change(first(made), user_uuid=None)
    return "malformed_id"


def blank_id(made: Compared) -> str:
    made.project.change(first(made), user_uuid="MY_USER_UUID")
    return "malformed_id"


def blank_in_key(made: Compared) -> str:
    made.project.put({**first(made), "pk": {"S": "MSG#undefined"}, "message_uuid": {"S": str(uuid.uuid4())}})
    return "malformed_id"


def key_in_lower_case(made: Compared) -> str:
    made.project.change(first(made), pk=first(made)["pk"]["S"].lower())
    return "malformed_id"


DAMAGES: list[Callable[[Compared], str]] = [
    *(user_deleted, user_made_again, user_renamed, blank_copy, row_deleted, both_rows_deleted, row_twice),
    *(message_twice, id_no_uuid, id_in_capitals, id_missing, blank_id, blank_in_key, key_in_lower_case),
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.matrix(4)
def test_a_difference_is_found_in_its_class_and_counted_as_doctor_counts_it(
    letters: Compared, damage: Callable[[Compared], str]
) -> None:
    name = damage(letters)
    report = letters.verify()
    assert (report.exit_code, report.body["verdict"]) == (1, "inconsistent")
    assert name in report.body["findings"]
    assert report.body["findings"] == judged(letters)
    lines = [json.loads(line) for line in Path(report.body["findings_file"]).read_text().splitlines()]
    assert Counter(line["class"] for line in lines) == report.body["findings"]
    assert all(line["note"] for line in lines)


@pytest.mark.parametrize("seed", range(4))
def test_several_differences_at_once_are_found_as_doctor_finds_them(letters: Compared, seed: int) -> None:
    for damage in dice(f"differences {seed}").sample(DAMAGES[:8], 3):
        damage(letters)
    report = letters.verify(segments=3)
    assert report.body["findings"] == judged(letters)


def test_items_past_their_ttl_are_no_orphans(letters: Compared) -> None:
    gone = {
        **plain(first(letters)),
        "sk": "x",
        "user_uuid": "MY_USER_UUID",
        "message_uuid": "?",
        "expires": 1_700_000_000,
    }
    letters.project.put(gone)
    report = letters.verify()
    assert (report.body["verdict"], report.body["coverage"]["items_expired"]) == ("consistent", 1)


def test_numbers_as_ids_and_links_without_groups(shop: Compared) -> None:
    assert shop.verify().body["verdict"] == "consistent"
    shop.project.sql("DELETE FROM shop.customers WHERE id = 1001")
    shop.project.sql("UPDATE shop.products SET label = 'Apples' WHERE sku = 'apple'")
    report = shop.verify()
    assert report.body["findings"] == judged(shop) == {"orphan": 1, "stale_copy": 1}
    assert report.body["examples"]["orphan"][0]["ids"] == ["1001"]


# --- when nothing is proven


def split_pages(proxy: Proxy, size: int = 4) -> None:
    """Make every page small, so that a segment has several."""
    proxy.before = lambda operation, request: {**request, "Limit": size} if operation == "Scan" else request


def not_verified(made: Compared, word: str, **options: Any) -> dict[str, Any]:
    report = made.verify(**options)
    assert (report.exit_code, report.body["verdict"]) == (3, "not_verified")
    assert word in " ".join(report.body["reasons"])
    return dict(report.body)


def workers() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "devenv.verify.worker" in p.cmdline()]


def test_a_worker_that_dies_proves_nothing(letters: Compared) -> None:
    with proxied(letters.context.targets.dynamodb) as proxy:

        def before(operation: str, request: dict[str, Any]) -> dict[str, Any]:
            if operation == "Scan" and request["Segment"] == 1:
                for worker in workers():
                    worker.kill()
            return request

        proxy.before = before
        body = not_verified(letters.through(proxy), "a worker died (killed by signal 9)", segments=4, workers=1)
    assert body["coverage"]["segments_finished"] < 4
    assert workers() == []


def test_an_end_that_is_none_is_read_on_from(letters: Compared) -> None:
    with proxied(letters.context.targets.dynamodb) as proxy:
        split_pages(proxy)
        proxy.after = lambda operation, request, answer: without_more(answer) if operation == "Scan" else answer
        report = letters.through(proxy).verify()
    assert (report.body["verdict"], report.body["coverage"]["items_scanned"]) == ("consistent", 21)


def test_a_segment_that_returns_early_proves_nothing(letters: Compared) -> None:
    with proxied(letters.context.targets.dynamodb) as proxy:
        split_pages(proxy)

        def after(operation: str, request: dict[str, Any], answer: bytes) -> bytes:
            if operation == "Scan" and "ExclusiveStartKey" in request and request.get("Select") != "COUNT":
                return b'{"Items": [], "Count": 0, "ScannedCount": 0}'
            return answer if request.get("Select") == "COUNT" or operation != "Scan" else without_more(answer)

        proxy.after = after
        not_verified(letters.through(proxy), "4 items of")


def without_more(answer: bytes) -> bytes:
    return json.dumps({name: v for name, v in json.loads(answer).items() if name != "LastEvaluatedKey"}).encode()


@pytest.mark.parametrize("cut", ["bytes", "items"])
def test_a_page_that_is_cut_proves_nothing(letters: Compared, cut: str) -> None:
    with proxied(letters.context.targets.dynamodb) as proxy:

        def after(operation: str, request: dict[str, Any], answer: bytes) -> bytes:
            if operation != "Scan":
                return answer
            page = json.loads(answer)
            return answer[:-40] if cut == "bytes" else json.dumps({**page, "Items": page["Items"][1:]}).encode()

        proxy.after = after
        not_verified(letters.through(proxy), "a page of table")


def test_a_scan_that_is_capped_proves_nothing_but_what_it_finds_counts(letters: Compared) -> None:
    coverage = not_verified(letters, "stopped", max_items=5)["coverage"]
    assert (coverage["caps_hit"], coverage["items_scanned"]) == ([letters.project.table], 21), "the page is read whole"
    user_renamed(letters)
    report = letters.verify(max_items=20)
    assert (report.exit_code, report.body["verdict"]) == (1, "inconsistent")


def test_a_table_with_another_key_proves_nothing(letters: Compared) -> None:
    table = letters.project.table
    declared = {**letters.context.tables[table], "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}
    other = Context(letters.context.settings, letters.context.targets, letters.context.folder, {table: declared})
    not_verified(Compared(letters.project, other), "is not the declared one")


def test_a_table_without_any_declared_kind_of_item_proves_nothing(letters: Compared) -> None:
    letters.restore([])
    letters.project.put({"pk": "CONFIG", "sk": "theme", "value": "dark"})
    not_verified(letters, "is of a declared kind")


@pytest.mark.parametrize("side", ["items", "rows"])
def test_an_empty_side_proves_nothing(letters: Compared, side: str) -> None:
    if side == "items":
        letters.restore([])
    else:
        letters.project.sql("DELETE FROM users")
    body = not_verified(letters, f"has no {side}")
    assert body["findings"] == {}


def test_a_store_that_stops_half_way_proves_nothing(letters: Compared) -> None:
    with proxied(letters.context.targets.dynamodb) as proxy:
        seen: list[str] = []

        def before(operation: str, request: dict[str, Any]) -> dict[str, Any] | None:
            seen.append(operation)
            return None if seen.count("Scan") > 3 else {**request, "Limit": 4} if operation == "Scan" else request

        proxy.before = before
        body = not_verified(letters.through(proxy), "got no answer")
    assert body["error"]["hint"]


def test_stores_that_do_not_answer_are_not_verified(letters: Compared) -> None:
    targets = letters.context.targets
    silent = PostgresTarget("127.0.0.1", 1, "postgres", "x")
    other = Context(
        letters.context.settings,
        type(targets).of(silent, targets.dynamodb),
        letters.context.folder,
        letters.context.tables,
    )
    assert not_verified(Compared(letters.project, other), "does not answer")["error"]["hint"] == "devenv up"


def killed_half_way(made: Compared) -> int:
    """Run verify in another process, kill it with SIGKILL in its sixth segment of eight."""
    with proxied(made.context.targets.dynamodb) as proxy:
        reached, go_on = threading.Event(), threading.Event()

        def before(operation: str, request: dict[str, Any]) -> dict[str, Any]:
            if operation == "Scan" and request["Segment"] == 5:
                reached.set()
                go_on.wait(30)
            return request

        proxy.before = before
        # The checkpoint belongs to an endpoint, so the child must see the same one later.
        child = made.through(proxy).child("verify")
        assert reached.wait(30)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        go_on.set()
        proxy.before = lambda operation, request: request
        time.sleep(0.2)
        report = made.through(proxy).verify(segments=8, workers=1)
    made.report = report  # type: ignore[attr-defined]
    return int(report.body["coverage"]["segments_resumed"])


def test_a_killed_run_resumes_and_still_finds_what_was_read_before(letters: Compared) -> None:
    user_renamed(letters)
    assert killed_half_way(letters) == 5
    report = letters.report  # type: ignore[attr-defined]
    assert report.body["findings"] == judged(letters)
    assert report.body["coverage"]["segments_finished"] == 8


def test_a_killed_run_resumes_to_consistent_only_with_all_segments(letters: Compared) -> None:
    assert killed_half_way(letters) == 5
    coverage = letters.report.body["coverage"]  # type: ignore[attr-defined]
    assert letters.report.body["verdict"] == "consistent"  # type: ignore[attr-defined]
    assert (coverage["segments_finished"], coverage["items_scanned"]) == (8, 21)


def test_damaged_parts_of_a_checkpoint_are_read_again(letters: Compared) -> None:
    folder = letters.context.folder / "verify"
    with proxied(letters.context.targets.dynamodb) as proxy:
        proxy.before = lambda operation, request: None if request.get("Segment") == 3 else request
        through = letters.through(proxy)
        assert through.verify(segments=4, workers=1).body["verdict"] == "not_verified"
        spills = sorted(folder.glob("segment-*.keys"))
        largest = max(spills, key=lambda path: path.stat().st_size)
        largest.write_bytes(largest.read_bytes()[:-1])
        proxy.before = lambda operation, request: request
        report = through.verify(segments=4, workers=1)
    assert (report.body["verdict"], report.body["coverage"]["segments_resumed"]) == ("consistent", 2)
    assert [path.name for path in folder.iterdir() if path.name.startswith("segment")] == []


def test_other_settings_start_again_and_say_so(letters: Compared) -> None:
    with proxied(letters.context.targets.dynamodb) as proxy:
        proxy.before = lambda operation, request: None if request.get("Segment") == 3 else request
        through = letters.through(proxy)
        through.verify(segments=4, workers=1)
        proxy.before = lambda operation, request: request
        report = through.verify(segments=5, workers=1)
    assert report.body["coverage"]["segments_resumed"] == 0
    assert letters.watch.said == [
        "an unfinished comparison had other settings or other stores: starting again",
    ]


class Interrupted(Heard):
    """Ctrl-C when a phase begins."""

    def __init__(self, phase: str) -> None:
        super().__init__()
        self.phase = phase

    def begin(self, target: str, text: str) -> None:
        if target == self.phase:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(("phase", "kept"), [("scan", 0), ("rows", 4), ("join", 4), ("confirm", 4)])
def test_ctrl_c_keeps_what_was_read_and_says_so(letters: Compared, phase: str, kept: int) -> None:
    user_renamed(letters)
    with pytest.raises(DevenvError) as caught:
        replace(letters, watch=Interrupted(phase)).verify(segments=4)
    assert caught.value.exit_code == Exit.INTERRUPTED
    assert caught.value.detail == f"{kept} of 4 segments read and kept"
    assert caught.value.failure.hint == "run the same command again: it continues where it stopped"
    assert workers() == []
    report = letters.verify(segments=4)
    assert report.body["coverage"]["segments_resumed"] == kept
    assert report.body["findings"] == judged(letters)


def test_a_second_comparison_at_once_is_refused(letters: Compared) -> None:
    class Second(Heard):
        def begin(self, target: str, text: str) -> None:
            with pytest.raises(DevenvError) as caught:
                letters.verify()
            assert caught.value.exit_code == Exit.LOCKED
            assert caught.value.failure.hint == "wait for it to end, then: devenv verify"
            self.say("refused")

    first_one = replace(letters, watch=Second())
    assert first_one.verify().body["verdict"] == "consistent"
    assert "refused" in first_one.watch.said
