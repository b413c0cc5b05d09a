"""The text and the page of `patterns`: what a file or a table says cannot steer a terminal or a browser."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from devenv.config.schema import Settings
from devenv.core.model import Report
from devenv.patterns.declared import PatternResult
from devenv.patterns.matrix import matrix
from devenv.patterns.seen import Observed, RunSeen, Sample, SeenPattern, TableSeen
from devenv.render.patterns_html import write_html
from devenv.render.patterns_text import cost_words, money, patterns_text
from devenv.stores.dynamodb.client import typed_item

EVIL = "<script>alert(1)</script>\x1b[31m\"'&"
TABLE = {
    "TableName": "orders",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
}


def observed(name: str) -> Observed:
    """An order with two lines, read at once by a pattern of this name and purpose."""
    settings = settings_of(name)
    items = [typed_item({"pk": "O#1", "sk": sk, "text": "x" * 5000}) for sk in ("HEAD", "LINE#1", "LINE#2")]
    table = TableSeen("orders", TABLE, items)
    pages = (table.sizes,)
    read = PatternResult(tuple(items), 1, 3, 2.0, 2.0, False, pages)
    kinds = ("order", "line", "line")
    run = RunSeen(Sample({}, "as declared"), read=read, pages=pages, units=2.0, ms=1.0, kinds=kinds)
    access = SeenPattern(name, settings.patterns[name], table.place(None), "Query", (run,), entities=("order", "line"))
    return Observed(settings, {"orders": table}, {name: access}, {"orders": kinds})


def settings_of(name: str) -> Settings:
    pattern = {"table": "orders", "key": {"pk": "O#1"}, "purpose": EVIL, "per_month": 2_000_000}
    return msgspec.convert({"project": {"name": "shop"}, "patterns": {name: pattern}}, Settings)


def report(body: dict[str, Any]) -> Report:
    return Report("patterns", "shop", 0, body)


def test_one_request_for_an_order_and_its_lines_is_cheaper_in_one_table() -> None:
    found = matrix(observed("order"))
    [row] = found["layouts"]
    assert row["one_table"] == {"requests": 1, "read_units": 2.0, "bytes": 15049}
    assert row["table_per_entity"] == {"requests": 2, "read_units": 1.0 + 1.5, "bytes": 15049}
    assert found["totals"]["one_table"]["read_units_per_month"] == 4_000_000
    assert found["totals"]["conclusion"].startswith("one table is cheaper")
    assert found["patterns"][0]["cost"]["per_month"] == 0.5
    assert [(entity["entity"], entity["write_units"]) for entity in found["entities"]] == [
        ("order", 5.0),
        ("line", 5.0),
    ]


def test_the_page_escapes_what_it_shows() -> None:
    page = write_html(report({"action": "matrix", **matrix(observed(EVIL))}))
    assert "<script" not in page
    assert "\x1b" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)


def test_the_terminal_gets_no_escape_of_others() -> None:
    seen = matrix(observed(EVIL))
    lines = patterns_text(report({"action": "matrix", **seen}), False)
    assert not [line for line in lines if "\x1b[31m" in line]
    assert "● reads this entity" in "\n".join(lines)


@pytest.mark.parametrize("wide", [80, 60])
def test_the_matrix_fits_the_terminal(wide: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(wide))
    painted = patterns_text(report({"action": "matrix", **matrix(observed("all-orders-of-a-customer"))}), False)
    lines = [re.sub(r"\x1b\[\d+m", "", line) for line in painted]
    assert max(map(len, lines)) <= wide
    if wide == 60:
        at = lines.index("line")
        assert lines[at + 1 : at + 3] == [
            "    orders 2, avg bytes 5017, read 1, write 5,",
            "    a million reads / writes 0.125 USD / 3.12 USD",
        ]


@pytest.mark.parametrize(
    ("amount", "words"), [(0, "0 EUR"), (0.000125, "0.000125 EUR"), (0.625, "0.625 EUR"), (1234.5, "1,234.50 EUR")]
)
def test_small_amounts_keep_their_digits(amount: float, words: str) -> None:
    assert money(amount, "EUR") == words


def test_without_a_load_there_is_no_cost_of_a_month() -> None:
    cost = {"per_million_requests": 0.5, "per_month": None, "requests_per_month": None, "currency": "EUR"}
    assert cost_words(cost) == (
        "cost 0.5 EUR a million requests (declare per_second or per_month to get the cost of a month)"
    )
