"""Secrets among a project's own data: masked by the name of the column or attribute, and wherever the value stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from devenv.config.masking import MASK, is_secret_value, mask
from devenv.trace.layers.postgres import shown, summarize
from devenv.trace.observation import Entry, Observation, PatternObservation
from devenv.trace.report import Cleaner, data_secrets, listed
from tests.unit.trace.judged import HEALTHY

ROW = {"id": "7", "full_name": "Ada Ash", "api_token": "tok-ada-1", "email": "ada@garden.test", "active": True}


@pytest.mark.parametrize(
    ("name", "text", "secret"),
    [
        ("api_token", "tok-ada-1", True),
        ("password_hash", "$2b$12$x", True),
        ("apiKey", "k1", True),
        ("reset_token", "7f0c2b9e-4a64-4a55-9d2b-0b1a2c3d4e5f", True),
        ("token_count", "512", False),
        ("is_private", "True", False),
        ("token_created", "2024-06-24T20:57:02Z", False),
        ("sort_key", "A#1", False),
        ("key", "ORDER#1", False),
        ("full_name", "Ada Ash", False),
    ],
)
def test_a_secret_is_known_by_its_name_and_form(name: str, text: str, secret: bool) -> None:
    assert is_secret_value(name, text) is secret


def test_the_row_of_a_user_is_shown_without_its_token() -> None:
    row = shown(ROW)
    assert row == {"id": "7", "full_name": "Ada Ash", "api_token": MASK, "active": "True"}
    assert summarize(Observation(output={"person": row})) == "one row: 7 Ada Ash True"


def test_an_entry_is_shown_without_its_secret() -> None:
    entries = listed([Entry("1", {"api_key": "key-of-bed-1", "label": "bed"}, "")], ())
    assert entries == [{"id": "1", "fields": {"api_key": MASK, "label": "bed"}}]


def test_the_values_of_secrets_are_masked_elsewhere_too() -> None:
    """An error or a log line may repeat them; a short one would blot out other words."""
    person = replace(HEALTHY.postgres, person={**ROW, "pin_token": "4711"})
    entries = (Entry("1", {"api_key": "key-of-bed-1"}), Entry("2", {"api_key": None}))
    layers = [person, PatternObservation(entries=entries)]
    found = list(data_secrets(replace(HEALTHY, postgres=person), layers))
    assert set(found) == {"tok-ada-1", "key-of-bed-1"}
    text = Cleaner(found, [])("GET /?key=key-of-bed-1 by tok-ada-1")
    assert text == f"GET /?key={MASK} by {MASK}"


@pytest.mark.parametrize(
    ("text", "shown_text"),
    [
        ("Bearer {token}", "Bearer {token}"),
        ("Token ${API_TOKEN}", "Token ${API_TOKEN}"),
        ("Bearer 7f0c2b9e4a64", MASK),
        ("Bearer {token}7f0c2b9e4a64", MASK),
    ],
)
def test_a_header_that_only_names_a_placeholder_is_shown(text: str, shown_text: str) -> None:
    assert mask("Authorization", text) == shown_text
