"""Large seed files are read a piece at a time, and give what they give as a whole."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from devenv.core.errors import UsageError
from devenv.steps import stamps
from devenv.steps.seed import stream
from devenv.steps.seed.items import Keys, SeedItem, stream_items
from devenv.steps.seed.source import Twins
from devenv.steps.seed.stream import JsonText, SeedPath
from devenv.steps.stamps import digest_of, stamp_files
from devenv.steps.step import SourceFile

KEYS = Keys(("pk", "sk"), {"pk": "S", "sk": "S"})
TABLES = {"orders": KEYS, "users": Keys(("id",), {"id": "S"})}
PLAIN = [{"pk": f"O#{n}", "sk": "é x", "n": n, "nested": {"a": [1, {"b": None}], "t": 'quo"te\\'}} for n in range(25)]
TYPED = [{"pk": {"S": f"O#{n}"}, "sk": {"S": "x"}, "n": {"N": str(n)}} for n in range(25)]
PUTS = [{"PutRequest": {"Item": item}} for item in TYPED]
USER = {"PutRequest": {"Item": {"id": {"S": "u"}}}}
DELETE = {"DeleteRequest": {"Key": {"pk": {"S": "x"}, "sk": {"S": "x"}}}}

FORMS: dict[str, tuple[str, Any]] = {
    "own": ("a.json", {"table": "orders", "items": PLAIN}),
    "own, table last": ("a.json", {"items": PLAIN, "table": "orders"}),
    "own, typed": ("a.json", {"table": "orders", "items": TYPED}),
    "list": ("a.json", PLAIN),
    "typed list": ("a.json", TYPED),
    "scan": ("a.json", {"Items": TYPED, "Count": 25, "ScannedCount": 25, "ConsumedCapacity": None}),
    "page": ("a.json", {"Items": TYPED, "Count": 25, "LastEvaluatedKey": {"pk": {"S": "x"}, "sk": {"S": "x"}}}),
    "batch": ("a.json", {"orders": [*PUTS, DELETE]}),
    "batch request": ("a.json", {"RequestItems": {"orders": PUTS, "users": [USER]}}),
    "transaction": ("a.json", {"TransactItems": [{"Put": {"TableName": "orders", "Item": item}} for item in TYPED]}),
    "puts": ("a.json", [{"TableName": "orders", "Item": item} for item in TYPED]),
    "lines": ("a.jsonl", PLAIN),
    "lines by content": ("a.json", "lines"),
    "export": ("a.json.gz", [{"Item": item} for item in TYPED]),
    "csv": ("a.csv", "csv"),
}  # fmt: skip


def content_of(name: str, value: Any) -> bytes:
    if value == "csv":
        rows = io.StringIO()
        writer = csv.writer(rows, lineterminator="\r\n")
        writer.writerow(["pk", "sk", "note"])
        writer.writerows([f"O#{n}", "x", 'two\nlines, and "quotes"'] for n in range(25))
        return rows.getvalue().encode()
    if value == "lines" or name.endswith((".jsonl", ".gz")):
        text = "\n".join(json.dumps(each, ensure_ascii=False) for each in (PLAIN if value == "lines" else value))
    else:
        text = json.dumps(value, ensure_ascii=False, indent=1)
    return gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()


def read(path: Path, monkeypatch: pytest.MonkeyPatch, *, whole: bool) -> tuple[list[SeedItem], list[str]]:
    with monkeypatch.context() as small:
        if not whole:
            small.setattr(stamps, "WHOLE_BYTES", 0)
            small.setattr(stamps, "PACKED_BYTES", 0)
            small.setattr(stream, "PIECE", 7)
            small.setattr(stream, "CHUNK", 11)
        left_out: list[str] = []
        return list(stream_items([SeedPath(path.name, path)], TABLES, {}, left_out)), left_out


@pytest.mark.parametrize("form", FORMS)
def test_pieces_give_what_the_whole_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    name, value = FORMS[form]
    path = tmp_path / name
    path.write_bytes(content_of(name, value))
    whole = read(path, monkeypatch, whole=True)
    pieces = read(path, monkeypatch, whole=False)
    assert len(whole[0]) >= 25
    assert pieces == whole


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"table": "orders", "items": [{"pk": "a", "sk": "b"},\n{"pk": "a" "sk": 1}]}', ":2 is not valid JSON"),
        ('{"table": "orders", "items": [{"pk": "a", "sk": "b"}', "is not valid JSON"),
        ('{"table": "orders", "items": [{"pk": "a", "sk": "b"}]} x', "is not valid JSON"),
        ('{"table": "orders", "items": [{"pk": "a", "pk": "b"}]}', 'an object has "pk" twice'),
        ('{"table": "orders", "items": [{"pk": "a", "sk": "b", "n": NaN}]}', "NaN is not a number"),
        ('{"items": [{"pk": "a", "sk": "b"}]}', 'has "items" and no "table"'),
        ('{"other": {"deep": {"deeper": [1]}}}', "is not a seed file"),
        ('{"table": "orders", "items": [{"pk": "a"}]}', "item 1 of table orders has no `sk`"),
        ('{"table": "orders", "items": [{"pk": "a", "sk": "b\0"}]}', "holds a NUL character"),
        ('{"table": "orders", "items": [1' + "0" * 50 + "]}", "is not an object"),
    ],
)
def test_a_mistake_in_a_large_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read(path, monkeypatch, whole=False)
    assert says in caught.value.what


def test_a_large_file_that_is_no_text_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"pk": "a", "sk": "\xff"}\n')
    with pytest.raises(UsageError, match=r"a\.jsonl is not UTF-8"):
        read(path, monkeypatch, whole=False)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "orders.json"
    with path.open("w") as file:
        file.write('{"table": "orders", "items": [')
        for number in range(100_000):
            file.write(f'{"," if number else ""}{{"pk": "O#{number}", "sk": "x", "text": "{"long " * 30}"}}')
        file.write("]}")
    assert path.stat().st_size > 15_000_000
    text = JsonText(SeedPath("orders.json", path))
    tracemalloc.start()
    try:
        with text.reading():
            number = sum(1 for path_, _ in text.walk(()) if path_ == ("items",))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert number == 100_000
    assert peak < 45_000_000, "a few pieces of a line, not the tree of 100,000 items"


def seed(number: int, pk: str) -> SeedItem:
    return SeedItem("f", number, "orders", {"pk": {"S": pk}, "sk": {"S": "x"}}, ())


def test_items_of_one_key_are_found_among_many() -> None:
    items = [seed(number, f"O#{number}") for number in range(5_000)]
    twins = Twins(TABLES)
    for item in items:
        twins.add(item)
    twins.refuse(lambda: items)
    items.append(seed(5_001, "O#17"))
    twins.add(items[-1])
    with pytest.raises(UsageError, match="f: item 5001 has the same key as f: item 17 "):
        twins.refuse(lambda: items)


def test_a_large_unchanged_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamps, "WHOLE_BYTES", 0)
    path = tmp_path / "a.json"
    path.write_text("[1]")
    files = {"a.json": path}
    first = stamp_files(files, {})
    monkeypatch.setattr(stamps, "digest_of", lambda _: "read again")
    assert stamp_files(files, first) == first
    before = path.stat()
    path.write_text("[2]")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert stamp_files(files, first)["a.json"].digest == "read again", "the change time tells, if the others do not"


def test_line_ends_do_not_change_a_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamps, "CHUNK", 3)
    digests = set()
    for ends in ("\n", "\r\n"):
        path = tmp_path / f"{len(ends)}"
        path.write_bytes(ends.join(["ab", "c", "", "defg"]).encode())
        digests.add(digest_of(path))
    assert len(digests) == 1
    path.write_bytes(b"ab\rc\n\ndefg")
    assert digest_of(path) not in digests


def test_a_small_file_is_read_as_before(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"table": "orders", "items": [{"pk": "a", "sk": "b"}]}')
    found = list(stream_items([SourceFile("a.json", path.read_text())], TABLES, {}, []))
    assert found == list(stream_items([SeedPath("a.json", path)], TABLES, {}, []))
