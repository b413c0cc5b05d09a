"""Many items and rows: every command ends well, and those that need not hold the data do not grow with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.scale import measure
from tests.support import FULL

pytestmark = pytest.mark.long

FLAT_MB = 300
ITEMS = 100_000 if FULL else 20_000


def test_commands_do_not_grow_with_the_data(tmp_path: Path) -> None:
    large = measure(tmp_path / "large", ITEMS, ITEMS // 5)
    assert [each.words for each in large if each.code] == [], "\n".join(each.said[-500:] for each in large if each.code)
    found = {each.words.split()[-1] if each.words.endswith("up") else each.words: each for each in large[1:]}
    first = large[0]
    small = {each.words: each for each in measure(tmp_path / "small", 100, 100)[1:]}
    assert first.peak_mb <= FLAT_MB
    for words in ("up", "status", "env", "logs --tail 1"):
        assert found[words].peak_mb <= small[words].peak_mb + 20, words
    for words in ("verify", "snapshot save kept", "snapshot restore kept", "reset -y"):
        assert found[words].peak_mb <= FLAT_MB, words
    for words, each in found.items():
        assert not words.startswith(("doctor", "trace")) or each.peak_mb <= FLAT_MB, words
