"""A write that DynamoDB Local gives up while it waits for its own lock, which a test cannot make it do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from devenv.core.errors import StoreError
from devenv.steps.seed import writes
from devenv.stores.dynamodb.client import Dynamo


class Busy:
    """A store that answers with these errors first (None: it writes)."""

    def __init__(self, *codes: str | None) -> None:
        self.codes = list(codes)
        self.asked = 0

    def call(self, operation: str, body: Mapping[str, Any]) -> dict[str, Any]:
        code = self.codes[min(self.asked, len(self.codes) - 1)]
        self.asked += 1
        if code is not None:
            raise StoreError(f"{operation} failed: {code}", code=code)
        return {}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "LOCK_PAUSES_S", (0.0, 0.0))


@pytest.mark.parametrize(
    ("codes", "written", "asked"),
    [
        ([None], True, 1),
        (["InternalServerError", None], True, 2),
        (["InternalServerError", "InternalServerError", None], True, 3),
        # It had written before it gave up.
        (["InternalServerError", "ConditionalCheckFailedException"], False, 2),
        (["TransactionCanceledException"], False, 1),
    ],
)
def test_a_write_is_tried_again(codes: list[str | None], written: bool, asked: int) -> None:
    store = Busy(*codes)
    assert writes.try_write(cast(Dynamo, store), "PutItem", {}) is written
    assert store.asked == asked


@pytest.mark.parametrize(("code", "asked"), [("InternalServerError", 3), ("ValidationException", 1)])
def test_what_does_not_pass_is_raised(code: str, asked: int) -> None:
    store = Busy(code)
    with pytest.raises(StoreError, match=code):
        writes.try_write(cast(Dynamo, store), "PutItem", {})
    assert store.asked == asked
