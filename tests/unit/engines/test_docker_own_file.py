"""The part of an own compose file that decides how one service runs."""

from __future__ import annotations

import pytest

from devenv.engines.docker.own_file import hash_of

FILE = """\
x-common: &common {restart: "no"}
services:
  base: {environment: {A: "1"}}
  postgres:
    <<: *common
    image: postgres:15
    ports: ["127.0.0.1:5432:5432"]
  dynamodb: {extends: {service: base}, image: amazon/dynamodb-local}
volumes: {data: {}}
"""


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("postgres:15", "postgres:16", {"postgres", "dynamodb"}),
        ('restart: "no"', "restart: always", {"postgres", "dynamodb"}),
        ("volumes: {data: {}}", "volumes: {data: {external: true}}", {"postgres", "dynamodb"}),
        # By what it extends.
        ('A: "1"', 'A: "2"', {"dynamodb"}),
        ("amazon/dynamodb-local", "amazon/dynamodb-local:2", {"dynamodb"}),
        ("services:", "# a comment\nservices:", set()),
        ("{data: {}}", "{ data: { } }", set()),
        ("volumes: {data: {}}", "volumes: [", {"postgres", "dynamodb"}),
        ("postgres:15", "!reset null", {"postgres", "dynamodb"}),
        ("postgres:15", "2024-01-01", {"postgres", "dynamodb"}),
    ],
)
def test_what_counts_as_edited(old: str, new: str, changed: set[str]) -> None:
    assert old in FILE
    edited = FILE.replace(old, new)
    assert {name for name in ("postgres", "dynamodb") if hash_of(FILE, name) != hash_of(edited, name)} == changed


def test_a_file_that_is_gone_or_no_mapping_has_a_hash_too() -> None:
    assert len({hash_of(text, "postgres") for text in ("", "- a", "services: 1", FILE)}) == 4
