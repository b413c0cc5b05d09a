"""Numbers of both stores in JSON: as numbers where that loses nothing."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from devenv.core.portable import portable


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("53.5"), "53.5"),
        (Decimal("0.1"), "0.1"),
        (Decimal(311), "311"),
        ({"at": [Decimal("9.81")]}, '{"at": [9.81]}'),
        ({Decimal("2.5")}, "[2.5]"),
        # More digits than a program keeps that reads JSON.
        (Decimal("0.1234567890123456789"), '"0.1234567890123456789"'),
        (Decimal(2**53), '"9007199254740992"'),
        (Decimal("1E-130"), "1e-130"),
        (Decimal("NaN"), '"NaN"'),
    ],
)
def test_a_number_is_one_in_json_if_it_keeps_its_value(value: Any, written: str) -> None:
    assert json.dumps(portable(value, fractions=True)) == written


def test_a_numeric_of_postgres_keeps_its_scale() -> None:
    assert portable([Decimal("12.50"), Decimal(12)]) == ["12.50", 12]
