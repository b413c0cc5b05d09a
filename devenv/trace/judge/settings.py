"""A request that fails for the application's settings: a variable without a value, a table that is not there. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from devenv.core.model import Fix
from devenv.steps.lacking import NO_TABLE
from devenv.trace.judge.fault import LayerFinding, log_text
from devenv.trace.observation import Observations

RECORD_TABLE: Final = Fix(
    "record which table the application asks for, then trace again: if the code reads the table's name from "
    "another variable than the one that is set, it uses its own default",
    "devenv up --tap",
)


def about_settings(finding: LayerFinding, seen: Observations) -> LayerFinding:
    """The finding of a failed request; with the variable or the table that the application lacks, if its log tells."""
    if finding.layer != "http" or finding.others or finding.kind != "status":
        return finding
    if seen.http.unset:
        return about_unset(finding, seen)
    if NO_TABLE.search(log_text(seen) or ""):
        return about_table(finding, seen)
    return finding


def about_unset(finding: LayerFinding, seen: Observations) -> LayerFinding:
    """The finding with the variable that has no value, and the line of devenv.toml that gives it one."""
    first = seen.http.unset[0]
    cause = f"{first.place} reads {first.name}, which has no value"
    text = f'in devenv.toml: [env] {first.name} = "{first.meaning}"'
    if first.similar:
        cause = f"{cause}; {first.section} sets {first.similar} (similar)"
        text = f"in devenv.toml, set {first.name} in {first.section}, as {first.similar} is; or correct the code"
    return replace(finding, cause=cause, fix=Fix(f"{text}. Then restart the application", "devenv restart backend"))


def about_table(finding: LayerFinding, seen: Observations) -> LayerFinding:
    """The finding with the table that is not there; without a recorded call, how to record it."""
    if seen.http.asked is None:
        return replace(finding, fix=RECORD_TABLE)
    lacking = [one.table for one in seen.http.asked if one.table and NO_TABLE.search(f"{one.error} {one.detail}")]
    if not lacking:
        return finding
    cause = f"the application asks for table {lacking[0]}, which does not exist in the project's DynamoDB"
    if (declared := seen.pattern.asked) is not None and declared.table != lacking[0]:
        cause = f"{cause}; the pattern's table is {declared.table}"
    fix = Fix(
        f"find where the application gets the name {lacking[0]} from, and set that variable in [env] of devenv.toml",
        "devenv ddb list-tables",
    )
    return replace(finding, cause=cause, fix=fix)
