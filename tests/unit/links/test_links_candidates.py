"""Links that the data suggests: uuids that are a row's key, at the end of a text that has no other digits."""

from __future__ import annotations

import pytest

from devenv.links.candidates import ids_by_source, matching_links

ANA, BEN = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399", "7c1f4e0a-0d0e-4a4a-8b7e-000000000002"


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (ANA, "t.a"),
        (f"PATRON#{ANA}", "t.a[PATRON#{}]"),
        (f"LOAN#2024-01-01#{ANA}", None),
        (f"PATRON#{ANA}#x", None),
        ("17", None),
        ("ana", None),
    ],
)
def test_a_source_is_named_as_a_link_names_it(text: str, source: str | None) -> None:
    found = ids_by_source({"t": [{"a": {"S": text}, "n": {"N": "1"}, "m": {"M": {}}}]})
    assert found == ({source: {ANA}} if source else {})


def test_the_column_with_most_of_the_ids_is_suggested_and_none_where_no_row_has_one() -> None:
    sources = {"t.owner": {ANA, BEN}, "t.other": {"0" * 36}}
    rows = {"orders.id": {ANA}, "people.id": {ANA, BEN}}
    assert list(matching_links(sources, rows)) == ['[[links]] from = "dynamodb:t.owner", to = "postgres:people.id"']
    assert list(matching_links(sources, {})) == []
