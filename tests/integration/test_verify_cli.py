"""`devenv verify` and `devenv repair` as typed, on the reference project."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import ProjectDir


@pytest.mark.long
def test_fsck_rule_verify_repair_verify(project: ProjectDir) -> None:
    project.ok("up", "--no-backend")
    fresh = project.json("verify")
    assert (fresh["schema"], fresh["verdict"], fresh["findings"]) == ("devenv.verify/1", "consistent", {})

    project.ok(
        "db",
        "--write",
        "UPDATE users SET uuid = gen_random_uuid() WHERE uuid NOT IN (SELECT user_uuid FROM activities)",
    )
    project.ok("db", "--write", "UPDATE users SET display_name = display_name || ' II'")
    plan, lines = project.path / "plan.jsonl", project.path / "findings.jsonl"
    found = project.json("verify", "--plan", str(plan), "--findings", str(lines))
    assert (found["exit_code"], found["verdict"]) == (1, "inconsistent")
    assert found["findings"]["stale_copy"] > 100
    assert len(lines.read_text().splitlines()) == sum(found["findings"].values())
    shown = project.devenv("verify")
    assert (shown.code, "inconsistent" in shown.out, "✗ stale_copy" in shown.out) == (1, True, True)
    # Two links lead to the six users; an example is not shown twice.
    assert "rows: 6 rows, " in shown.err
    assert "and 6 rows\n" in shown.out
    examples = [line for line in shown.out.splitlines() if line.startswith("    ")]
    assert len(examples) == len(set(examples)) > 2
    assert all(0 < len(found["examples"][name]) <= 3 for name in found["findings"])

    repaired = project.json("repair", "apply", str(plan))
    assert (repaired["schema"], repaired["exit_code"]) == ("devenv.repair/1", 0)
    assert repaired["applied"] == found["plan"]["writes"]
    assert project.devenv("verify").code == 0

    taken_back = project.ok("repair", "undo", str(plan))
    assert taken_back.out == f"{repaired['applied']} items put back, 0 already correct\n"
    again = project.json("verify")
    assert again["findings"] == found["findings"]


def test_what_cannot_be_compared_exits_3_or_2(project: ProjectDir) -> None:
    stopped = project.json("verify")
    assert (stopped["exit_code"], stopped["verdict"], stopped["error"]["hint"]) == (3, "not_verified", "devenv up")
    missing = project.devenv("repair", "apply", str(Path("nowhere")), "--json")
    assert missing.code == 2
    assert json.loads(missing.out)["error"]["what"] == "nowhere cannot be read"
    (project.path / "devenv.toml").write_text('[project]\nname = "bare"\n')
    undeclared = project.json("verify")
    assert (undeclared["exit_code"], undeclared["verdict"]) == (3, "not_verified")
