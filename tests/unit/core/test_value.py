"""Plain values: what `dataclasses` does with a dataclass, it does with them; and secrets do not show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass, replace

import pytest

from devenv.core.model import DynamoTarget, PostgresTarget, ProcessTarget, Targets
from devenv.core.value import Value


class Dot(Value, frozen=True):
    x: int
    tags: Mapping[str, int] = {}


class Line(Value, frozen=True):
    begin: Dot
    ends: tuple[Dot, ...] = ()


class Labelled(Line, frozen=True, kw_only=True):
    label: str = ""


def test_dataclasses_know_values() -> None:
    line = Line(Dot(1), (Dot(2, {"a": 3}),))
    assert is_dataclass(line)
    assert [each.name for each in fields(Labelled)] == ["begin", "ends", "label"]
    assert [each.name for each in fields(line)] == ["begin", "ends"]
    assert asdict(line) == {"begin": {"x": 1, "tags": {}}, "ends": ({"x": 2, "tags": {"a": 3}},)}
    changed = replace(Labelled(Dot(1), label="first"), label="second")
    assert changed == Labelled(Dot(1), label="second")
    assert type(changed) is Labelled


def test_values_are_equal_by_class_and_fields_and_cannot_be_changed() -> None:
    assert Line(Dot(1)) == Line(Dot(1))
    assert Line(Dot(1)) != Labelled(Dot(1))
    assert len({Line(Dot(1), ()).ends, ()}) == 1
    with pytest.raises(AttributeError):
        Dot(1).x = 2  # type: ignore[misc]


def test_a_default_belongs_to_one_value_alone() -> None:
    assert Dot(1).tags is not Dot(1).tags


def test_secrets_do_not_show() -> None:
    postgres = PostgresTarget("127.0.0.1", 5432, "postgres", "hidden-1")
    dynamodb = DynamoTarget("http://127.0.0.1:8000", "eu-west-1", "key", "hidden-2", token="hidden-3")
    own = ProcessTarget("redis://:hidden-4@127.0.0.1", 6379, "hidden-5", {"A": "hidden-6"})
    text = repr(Targets.of(postgres, dynamodb, {"cache": own}, key="hidden-7"))
    assert "hidden" not in text
    assert "host='127.0.0.1'" in text
    assert "port=6379" in text
