"""Every key of devenv.toml has a description and an example for editors, and every example is valid."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from devenv.config.parse import schema
from devenv.config.schema_docs import DOCS

WHOLE = schema()
KEYS = {
    f"{record}.{key}": part
    for record, definition in WHOLE["$defs"].items()
    for key, part in definition.get("properties", {}).items()
}


def test_every_key_has_a_description_and_an_example() -> None:
    """A new key of config/schema.py gets a line in config/schema_docs.py."""
    assert len(KEYS) > 200
    assert [key for key, part in KEYS.items() if not (part.get("description") and part.get("examples"))] == []
    assert sorted(DOCS.keys() - KEYS.keys()) == []


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_example_is_valid(key: str) -> None:
    part: dict[str, Any] = {name: value for name, value in KEYS[key].items() if name not in ("examples", "default")}
    validator = jsonschema_rs.validator_for({**part, "$defs": WHOLE["$defs"]})
    for example in KEYS[key].get("examples", ()):
        assert [error.message for error in validator.iter_errors(example)] == []
