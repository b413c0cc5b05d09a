"""verify without stores: when coverage proves something, records on disk, the join, merged repairs, the text form."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from devenv.config.schema import Group
from devenv.core.model import Report
from devenv.render.progress import draw_bar
from devenv.render.verify_text import repair_text, verify_text
from devenv.stores.dynamodb.client import typed_item
from devenv.verify.candidate_filter import Sieve, Tally, all_uuids, keys_of, row_value
from devenv.verify.comparison import progress_text
from devenv.verify.join import is_whole
from devenv.verify.plan import merge
from devenv.verify.recheck import fill, key_bytes
from devenv.verify.repair import Write
from devenv.verify.spill import RECORD, KeyWriter, Spill, key_of, read_keys, read_records, read_sealed
from devenv.verify.tasks import MAX_SEGMENTS, MAX_TASKS, plan_tasks
from devenv.verify.verdict import Coverage, TableCoverage, judge_coverage, list_not_compared
from tests.shapes import PLAN, TABLE, World

# --- what proves something

TABLE_READ = TableCoverage(
    table="t",
    segments=4,
    finished=4,
    capped=0,
    items=1000,
    known=900,
    expired=1,
    keys=("pk", "sk"),
    declared_keys=("pk", "sk"),
    counted=1000,
)
ROWS = {"link:0": {"target": "public.users.uuid", "rows": 5}}


def reasons(table: TableCoverage = TABLE_READ, rows: Any = ROWS, problems: Sequence[str] = ()) -> tuple[str, ...]:
    return judge_coverage(Coverage((table,), rows, tuple(problems)))


def test_everything_read_is_a_proof() -> None:
    assert reasons() == ()


def test_what_is_not_compared_is_said() -> None:
    assert list(list_not_compared(Coverage((TABLE_READ,), ROWS), ["t", "audit"])) == [
        "table `audit`: no entity and no link of devenv.toml names it",
        "100 items of table `t`: of no declared kind",
        "1 item of table `t`: expired, but not deleted yet",
    ]
    whole = msgspec.structs.replace(TABLE_READ, known=1000, expired=0)
    assert list(list_not_compared(Coverage((whole,), ROWS), ["t"])) == []
    half = msgspec.structs.replace(whole, ids={"owner": 1000, "reply": 0})
    assert list(list_not_compared(Coverage((half,), ROWS), ["t"])) == [
        "link `reply` finds no id in any item of table `t`"
    ]
    assert reasons(half) == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"finished": 3}, "1 of 4 segments of table `t` did not end"),
        ({"capped": 1, "finished": 3}, "the scan of table `t` stopped at the given number of items"),
        ({"counted": 1011}, "1,000 items of table `t` read, but the table has 1,011"),
        ({"ids": {"owner": 0}}, "link `owner` finds no id in any item of table `t`"),
        ({"known": 0}, "none of 1,000 items of table `t` is of a declared kind"),
        ({"items": 0, "known": 0, "counted": 0}, "table `t` has no items"),
        ({"keys": ("id",)}, "table `t` is not the declared one: its key is id; declared: pk, sk"),
    ],
)
def test_each_gap_in_the_coverage_is_a_reason(change: dict[str, Any], reason: str) -> None:
    assert reasons(msgspec.structs.replace(TABLE_READ, **change)) == (reason,)


def test_few_items_moved_by_writers_are_no_gap_and_an_undeclared_table_none_either() -> None:
    assert reasons(msgspec.structs.replace(TABLE_READ, counted=1009, declared_keys=None)) == ()


def test_no_rows_and_problems_are_reasons() -> None:
    assert reasons(rows={"link:0": {"target": "public.users.uuid", "rows": 0}}) == ("public.users.uuid has no rows",)
    assert reasons(problems=["scan of part 3: a worker died"]) == ("scan of part 3: a worker died",)


# --- ids


def test_every_spelling_of_a_uuid_is_the_same_16_bytes() -> None:
    one = uuid.uuid4()
    spellings = [str(one), str(one).upper(), f"{{{one}}}", one.hex]
    assert {key_of(text) for text in spellings} == {one.bytes}
    assert key_of("7") != key_of("07")


def test_a_column_of_uuids_is_converted_at_once_and_others_one_by_one() -> None:
    ids = [uuid.uuid4() for _ in range(3)]
    assert keys_of([str(one) for one in ids]) == [one.bytes for one in ids]
    assert keys_of([str(ids[0]), None, "x"]) == [ids[0].bytes, None, key_of("x")]


def test_texts_that_only_together_look_like_uuids_are_not_uuids() -> None:
    joined = str(uuid.uuid4()) + str(uuid.uuid4())
    assert not all_uuids([joined[:35], joined[35:]])
    assert all_uuids([joined[:36], joined[36:]])
    assert not all_uuids([joined[:36], None])


# --- groups

PAIR = Group(name="g", rows="r", id="id", size=2, owner="owner", other="other")


def whole(group: Group, *rows: tuple[str, str]) -> bool:
    return is_whole(group, [int.from_bytes(row_value(group, *row), "big") for row in rows])


def test_mirrored_rows_cancel_out_and_a_row_that_occurs_twice_does_not() -> None:
    assert whole(PAIR, ("a", "b"), ("b", "a"))
    for rows in ([("a", "b")], [("a", "b"), ("a", "b")], [("a", "b"), ("b", "c")], [("a", "b"), ("b", "a")] * 2):
        assert not whole(PAIR, *rows)


def test_groups_without_mirror_need_as_many_owners() -> None:
    three = msgspec.structs.replace(PAIR, size=3, other=None)
    assert whole(three, ("a", ""), ("b", ""), ("c", ""))
    assert not whole(three, ("a", ""), ("b", ""), ("b", ""))


# --- on disk


def test_records_come_back_by_channel_and_partition_whatever_was_flushed_between(tmp_path: Path) -> None:
    spill = Spill(tmp_path, "s", 3)
    rng = random.Random(1)
    wanted: dict[tuple[str, int], bytes] = {}
    for _ in range(200):
        channel, partition, record = rng.choice("abc"), rng.randrange(3), rng.randbytes(RECORD.size)
        spill.parts(channel)[partition].append(record)
        wanted[channel, partition] = wanted.get((channel, partition), b"") + record
        if rng.random() < 0.05:
            spill.flush()
    sealed = spill.seal({"n": 1})
    for (channel, partition), content in wanted.items():
        assert b"".join(read_records(tmp_path, "s", sealed.blocks(channel, partition))) == content
    assert sealed.blocks("unknown", 0) == []
    assert read_sealed(tmp_path, "s") == sealed


@pytest.mark.parametrize("damage", ["cut", "changed", "unsealed"])
def test_a_spill_that_is_not_whole_does_not_count(tmp_path: Path, damage: str) -> None:
    spill = Spill(tmp_path, "s", 1)
    spill.parts("a")[0].append(bytes(RECORD.size))
    spill.seal({})
    file = tmp_path / "s.records"
    if damage == "unsealed":
        (tmp_path / "s.json").unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1] + (b"" if damage == "cut" else b"\1"))
    assert read_sealed(tmp_path, "s") is None


def test_a_spill_whose_name_was_taken_over_is_never_sealed(tmp_path: Path) -> None:
    orphan = Spill(tmp_path, "s", 1)
    orphan.parts("a")[0].append(b"o" * RECORD.size)
    later = Spill(tmp_path, "s", 1)
    later.parts("a")[0].append(b"l" * RECORD.size)
    with pytest.raises(FileExistsError):
        orphan.seal({})
    sealed = later.seal({})
    assert read_sealed(tmp_path, "s") == sealed
    assert list(read_records(tmp_path, "s", sealed.blocks("a", 0))) == [b"l" * RECORD.size]


def test_keys_are_found_by_item_number(tmp_path: Path) -> None:
    writer = KeyWriter(tmp_path, "s", 2)
    keys = [[f"p{n}", str(n)] for n in range(1000)]
    for first in range(0, 1000, 77):
        part = keys[first : first + 77]
        writer.add([[key[0] for key in part], [key[1] for key in part]])
    for file in writer.finish():
        file.close()
    wanted = [0, 63, 64, 500, 998, 999]
    assert read_keys(tmp_path, "s", wanted) == {n: keys[n] for n in wanted}


# --- segments


def described(items: int, size: int) -> dict[str, Any]:
    return {"t": {"ItemCount": items, "TableSizeBytes": size}}


@pytest.mark.parametrize(
    ("items", "size", "tasks", "segments"),
    [
        (0, 0, 1, 1),
        (21, 9_000, 1, 1),
        (3, 1_200_000, 1, 3),
        (200_000, 47_686_400, 21, 96),
        (10**9, 10**12, MAX_TASKS, MAX_SEGMENTS),
    ],
)
def test_segments_are_about_a_page_and_tasks_take_all_of_them_in_turn(
    items: int, size: int, tasks: int, segments: int
) -> None:
    planned = plan_tasks(described(items, size), None)
    assert len(planned) == tasks
    assert [n for task in planned for n in task.segments] == list(range(segments))
    assert {task.total for task in planned} == {segments}


def test_asked_for_segments_are_tasks_of_their_own() -> None:
    planned = plan_tasks({**described(5, 5), "u": {"ItemCount": 1}}, 3)
    assert [(task.table, list(task.segments), task.total) for task in planned] == [
        (table, [n], 3) for table in "tu" for n in range(3)
    ]


# --- the sieve


def sifted(tmp_path: Path, items: list[dict[str, Any]]) -> tuple[dict[str, int], Tally]:
    """Channel -> number of records, and the tally, of these items as one page."""
    sieve = Sieve(PLAN, TABLE, {})
    spill, tally = Spill(tmp_path, "s", 1), Tally()
    raw = [typed_item(item) for item in items]
    page = sieve.decoder.decode(msgspec.json.encode({"Items": raw, "Count": len(raw), "ScannedCount": len(raw)}))
    sieve.sift(page.Items, 0, 1_750_000_000.0, spill, tally)
    sealed = spill.seal({})
    channels = {channel for flush in sealed.flushes for channel in flush.channels}
    sizes = {channel: sum(length for _, length in sealed.blocks(channel, 0)) for channel in channels}
    return {channel: size // RECORD.size for channel, size in sizes.items() if size}, tally


def test_every_id_of_every_item_becomes_a_record(tmp_path: Path) -> None:
    counts, tally = sifted(tmp_path, World().items)
    assert (tally.items, tally.known) == (21, 21)
    assert counts == {"link:0": 21, "link:1": 4, f"unique:message_uuid:{TABLE}": 17, "rows:0": 4, "entries:0": 2}
    assert tally.masks == {"link:0": [3], "link:1": [0]}


def test_odd_items_and_expired_items_are_distinguished(tmp_path: Path) -> None:
    world = World()
    world.items[0]["user_uuid"] = "7"
    world.items[1]["pk"] = "MSG#undefined"
    world.items[2]["expires"] = 1_749_999_999
    # DynamoDB deletes nothing whose time is more than five years ago.
    world.items[3]["expires"] = 1
    counts, tally = sifted(tmp_path, world.items)
    assert counts["odd"] == 2
    assert tally.expired == 1


def test_items_of_no_declared_kind_are_only_read(tmp_path: Path) -> None:
    counts, tally = sifted(tmp_path, [{"pk": "CONFIG", "sk": "x"}])
    assert (counts, tally.known) == ({}, 0)


def test_a_key_is_filled_in_only_when_all_its_parts_are_known() -> None:
    kind = PLAN.kind("conversation")
    assert fill(kind, "pk", {"owner_uuid": "u"}) == "GRP#u"
    assert fill(kind, "pk", {"owner_uuid": None}) is None
    assert fill(kind, "sk", {"sk": "2024"}) == "2024"


# --- planned writes

OLD = typed_item({"pk": "a", "sk": "b", "x": "1", "y": "1"})


def change(**values: str) -> Write:
    return Write("t", ("pk", "sk"), OLD, {**OLD, **typed_item(values)}, tuple(values))


def test_writes_of_one_item_become_one() -> None:
    merged, dropped = merge(iter([change(x="2"), change(y="3"), change(x="2")]))
    assert dropped == 0
    assert merged == [Write("t", ("pk", "sk"), OLD, {**OLD, **typed_item({"x": "2", "y": "3"})}, ("x", "y"))]


def test_writes_that_contradict_each_other_are_left_out() -> None:
    assert merge(iter([change(x="2"), change(x="3")])) == ([], 1)


def test_an_item_that_can_only_be_deleted_is_only_deleted() -> None:
    gone = Write("t", ("pk", "sk"), OLD, None, ("orphan",))
    assert merge(iter([change(x="2"), gone, gone])) == ([gone], 0)


def test_two_different_new_items_for_one_key_are_left_out() -> None:
    new = Write("t", ("pk", "sk"), None, OLD, ("half_group",))
    other = Write("t", ("pk", "sk"), None, {**OLD, "x": {"S": "9"}}, ("half_group",))
    assert merge(iter([new, new])) == ([new], 0)
    assert merge(iter([new, other])) == ([], 1)


def test_keys_are_the_same_bytes_in_any_order() -> None:
    assert key_bytes({"a": {"S": "1"}, "b": {"S": "2"}}) == key_bytes({"b": {"S": "2"}, "a": {"S": "1"}})


# --- shown


def test_progress_has_rate_and_remaining_time() -> None:
    assert progress_text("scan", 300_000, 1, 9, 2.0, 900_000) == "300,000 of about 900,000 items, 150,000/s, 4 s left"
    assert progress_text("join", 20, 2, 8, 2.0, 0) == "2 of 8 parts, 20 items checked, 6 s left"


def test_a_bar_is_as_full_as_the_work_is_done() -> None:
    assert [draw_bar(share) for share in (0.0, 0.26, 1.3)] == ["░" * 20, "█" * 5 + "░" * 15, "█" * 20]


def test_the_text_form_says_what_was_read_found_and_concluded() -> None:
    coverage = Coverage((TABLE_READ,), ROWS, ("scan of part 3: a worker died",), resumed=2).document()
    body = {
        "verdict": "inconsistent",
        "reasons": ["scan of part 3: a worker died"],
        "coverage": coverage,
        "findings": {"orphan": 1200},
        "examples": {"orphan": [{"note": "9 names no row of public.users.uuid"}]},
        "findings_file": "/p/findings.jsonl",
        "rechecked": 1300,
        "rates": {"scan_items_per_second": 1000, "seconds": {"total": 1.5}},
        "peak_memory_mb": 99.6,
        "plan": {"file": "p", "writes": 3, "loss": 2, "classes": {"orphan": 2, "stale_copy": 1}, "left_out": 0},
        "error": {"what": "a worker died", "detail": None, "cause": None, "hint": "devenv status"},
    }
    assert "\n".join(verify_text(Report("verify", "p", 1, body), False)).replace("\x1b", "") == (
        "read 1,000 items in 4 of 4 segments (2 of them in an earlier run), and 5 rows\n"
        "[31m✗[0m orphan: 1,200\n"
        "    9 names no row of public.users.uuid\n"
        "1,000 items/s read, 1.5 s, peak memory 100 MB, 1,300 re-read\n"
        "plan: 3 changes (2 orphan, 1 stale_copy): p\n"
        "    2 of them delete an item; they need --allow-loss\n"
        "next: devenv repair apply p\n"
        "all findings: /p/findings.jsonl\n"
        "[31m[1minconsistent[0m\n"
        "  because scan of part 3: a worker died\n"
        "  what: a worker died\n"
        "  hint: devenv status"
    )


@pytest.mark.parametrize(
    ("verdict", "last"),
    [
        ("inconsistent", "next: devenv verify --plan plan.jsonl; then: devenv repair apply plan.jsonl"),
        ("consistent", "\x1b[32m\x1b[1mconsistent\x1b[0m"),
        ("not_verified", "\x1b[33m\x1b[1mnot verified\x1b[0m"),
    ],
)
def test_what_is_inconsistent_says_how_to_go_on(verdict: str, last: str) -> None:
    coverage = Coverage((TABLE_READ,), ROWS, (), resumed=0).document()
    body = {"verdict": verdict, "reasons": [], "coverage": coverage, "findings": {}, "examples": {}, "rates": None}
    assert verify_text(Report("verify", "p", 1, body), False)[-1] == last


def test_the_text_form_of_a_repair_says_what_was_left_alone() -> None:
    body = {
        "action": "apply",
        "applied": 7,
        "already": 1,
        "changed_meanwhile": 1,
        "failed": 1,
        "skipped": [
            {"table": "t", "key": {"pk": "a"}, "state": "changed_meanwhile"},
            {"table": "t", "key": {"pk": "b"}, "state": "failed"},
        ],
        "left_out": 2,
        "verify": {"verdict": "inconsistent", "reasons": [], "findings": {"orphan": 2}},
    }
    lines = repair_text(Report("repair", "p", 1, body), False)
    assert lines[:6] == [
        "7 items written, 1 already correct",
        "1 was changed by another process and not touched:",
        "1 was not accepted by DynamoDB:",
        '    changed_meanwhile: t {"pk": "a"}',
        '    failed: t {"pk": "b"}',
        "2 would be deleted: add --allow-loss to delete them too",
    ]
    assert lines[-1] == "  orphan: 2"
