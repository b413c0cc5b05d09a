"""`patterns check`: every rule, held against what was observed, as rows like doctor's. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from devenv.core.errors import Exit
from devenv.core.model import CheckResult
from devenv.patterns import pattern_rules, table_rules
from devenv.patterns.problem import Problem, Rule
from devenv.patterns.seen import Observed

RULES: Final[tuple[Rule, ...]] = (
    Rule("PAT001", "scan", "pattern", "No pattern is a Scan", pattern_rules.find_scans),
    Rule("PAT002", "filter", "pattern", "No filter throws away most of what was read", pattern_rules.find_filters),
    Rule("PAT003", "limit", "pattern", "No limit cuts off what is wanted", pattern_rules.find_cuts),
    Rule("PAT004", "match", "key", "Every key condition can match a stored key", pattern_rules.find_unmatched),
    Rule("PAT005", "key-type", "key", "Values have the type of their key", pattern_rules.find_mistyped),
    Rule("PAT006", "unused-index", "index", "Every index is read by a pattern", table_rules.find_unused),
    Rule("PAT007", "no-key", "key", "Every pattern is served by a key", pattern_rules.find_unserved),
    Rule("PAT008", "hot-partition", "data", "No partition has most of the data", table_rules.find_hot),
    Rule("PAT009", "few-partitions", "data", "Partition keys have many values", table_rules.find_few),
    Rule("PAT010", "large-item", "data", "No item is near 400 KB", table_rules.find_large),
    Rule("PAT011", "projection", "index", "Indexes hold what their patterns want", pattern_rules.find_lacking),
    Rule("PAT012", "text-order", "data", "Sort keys sort by what they mean", table_rules.find_misordered),
    Rule("PAT013", "no-sort-key", "key", "Order and ranges have a sort key", pattern_rules.find_sortless),
    Rule("PAT014", "consistency", "key", "No consistent read of a global index", pattern_rules.find_inconsistent),
    Rule("PAT015", "operator", "key", "Conditions fit the type of the sort key", pattern_rules.find_wrong_operators),
    Rule("PAT016", "operation", "pattern", "Patterns amount to what is expected", pattern_rules.find_other_operations),
    Rule("PAT017", "size", "pattern", "Answers have the expected size", pattern_rules.find_sizes),
    Rule("PAT018", "twin-index", "index", "No two indexes have the same keys", table_rules.find_twins),
    Rule("PAT019", "unread-entity", "data", "Every entity is read by a pattern", table_rules.find_unread),
    Rule("PAT020", "index-limits", "index", "Tables have indexes that DynamoDB makes", table_rules.find_limits),
    Rule("PAT021", "collection", "data", "No partition nears 10 GB under a local index", table_rules.find_collections),
    Rule("PAT022", "reserved-word", "pattern", "Filters use no reserved word", pattern_rules.find_reserved),
    Rule("PAT023", "missing", "pattern", "Every pattern's table and index exist", pattern_rules.find_missing),
    Rule("PAT024", "refused", "pattern", "DynamoDB takes every pattern's request", pattern_rules.find_refused),
    Rule("PAT025", "script", "pattern", "Scripts do what is declared", pattern_rules.find_scripts),
    Rule("PAT026", "load", "pattern", "The stated load can be served", pattern_rules.find_loads),
    Rule("PAT027", "index-writes", "index", "Global indexes can follow their table", table_rules.find_slow_indexes),
    Rule("PAT028", "date-partition", "data", "No partition key is a date", table_rules.find_dated),
    Rule("PAT029", "empty-index", "index", "Every index holds items", table_rules.find_empty),
    Rule("PAT030", "clock", "pattern", "No condition follows the clock", pattern_rules.find_clocks),
)

# What a refusal is explained by, when another rule has found it.
REFUSED: Final = "PAT024"
# A key of the wrong type matches nothing: that is one fault.
UNMATCHED: Final = "PAT004"
MISTYPED: Final = ("PAT005", "PAT015")
UNVERIFIED: Final = Rule("PAT031", "run", "data", "Every pattern was run on data", lambda _: ())


def judge(seen: Observed) -> list[CheckResult]:
    """A row for each finding, and one for each rule that found nothing, in the order of the rules.

    What is accepted (`accept` of the pattern, or of `[access]`) is a row with status ok that tells the reason.
    """
    found = {rule.code: list(rule.find(seen)) for rule in RULES}
    mistyped = {each.subject for code in MISTYPED for each in found[code]}
    found[UNMATCHED] = [each for each in found[UNMATCHED] if each.subject not in mistyped]
    explained = {each.subject for code, problems in found.items() if code != REFUSED for each in problems}
    found[REFUSED] = [each for each in found[REFUSED] if each.subject not in explained]
    rows: list[CheckResult] = []
    for rule in RULES:
        rows += [row_of(rule, each, seen) for each in found[rule.code]] or [
            CheckResult(rule.code, rule.name, rule.group, rule.title, "ok")
        ]
    return [*rows, *unverified(seen, explained)]


def row_of(rule: Rule, problem: Problem, seen: Observed) -> CheckResult:
    """A problem as a row; accepted ones as such."""
    subjects = (problem.subject,)
    reason = accepted(rule, problem, seen)
    if reason is not None:
        return CheckResult(
            rule.code,
            rule.name,
            rule.group,
            rule.title,
            "ok",
            f"accepted ({reason}): {problem.evidence}",
            subjects=subjects,
        )
    return CheckResult(
        rule.code,
        rule.name,
        rule.group,
        rule.title,
        problem.status,
        problem.evidence,
        problem.cause,
        problem.fix,
        subjects,
    )


def accepted(rule: Rule, problem: Problem, seen: Observed) -> str | None:
    """The reason for which a finding is accepted; None when it is not."""
    access = seen.accesses.get(problem.subject)
    if access is not None and rule.code in access.pattern.accept:
        return access.pattern.accept[rule.code]
    return seen.settings.access.accept.get(f"{rule.code} {problem.subject}")


def unverified(seen: Observed, explained: Iterable[str]) -> list[CheckResult]:
    """PAT031: the patterns that could not be run, and tables that were not read to their end."""
    rows = []
    for name, access in seen.accesses.items():
        if access.unsampled is not None and not access.unsampled.fault and name not in explained:
            rows.append((name, f"{name} was not run: {access.unsampled.reason}"))
    rows += [
        (table.name, f"only the first {len(table.items):,} items of {table.name} were looked at")
        for table in seen.tables.values()
        if not table.complete
    ]
    rule = UNVERIFIED
    if not rows:
        return [CheckResult(rule.code, rule.name, rule.group, rule.title, "ok")]
    return [
        CheckResult(rule.code, rule.name, rule.group, rule.title, "skip", text, subjects=(name,)) for name, text in rows
    ]


def exit_code(findings: Iterable[CheckResult]) -> Exit:
    """1 for a finding, 3 when a pattern could not be run."""
    states = {finding.status for finding in findings}
    return Exit.FOUND if "fail" in states else Exit.UNCHECKED if "skip" in states else Exit.DONE
