"""A refused token of devenv: the finding names `[token]` before anything else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from devenv.trace.judge.verdict import judge
from devenv.trace.layers.token_readers import refused_token
from devenv.trace.observation import LibraryObservation, Observations
from tests.unit.trace.judged import SUBJECT, with_member

ADVICE = "compare `claims` at devenv.toml:3 with what web/sign_in.js:2 reads of a token"


def fix_of(seen: Observations) -> str:
    found = judge(SUBJECT, seen).first
    assert found is not None
    assert found.fix is not None
    return found.fix.text


def test_the_places_to_compare(tmp_path: Path) -> None:
    (tmp_path / "devenv.toml").write_text('[token]\nenv = "KEY"\nclaims = { sub = "{person.id}" }\n')
    assert refused_token(tmp_path) == ADVICE.replace("web/sign_in.js:2", "the application")
    for name in ("web/sign_in.js", "tests/sign_in.js"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(
            "const jwt = require('jsonwebtoken');\nmodule.exports = (t) => jwt.verify(t, key);\n"
        )
    assert refused_token(tmp_path) == ADVICE


def test_a_refused_token_is_compared_before_a_restart() -> None:
    seen = with_member(status=401, entries=None)
    assert "restart" in fix_of(seen)
    refused = replace(seen, http=replace(seen.http, token_advice=ADVICE))
    assert fix_of(refused) == f"{ADVICE}. If they agree, {fix_of(seen)}"
    alone = replace(refused, library=LibraryObservation(unasked="the subject declares no library"))
    assert fix_of(alone).startswith(f"{ADVICE}. If they agree, ")


def test_another_failure_is_not_about_the_token() -> None:
    seen = with_member(status=500, entries=None)
    assert "claims" not in fix_of(replace(seen, http=replace(seen.http, token_advice=ADVICE)))
