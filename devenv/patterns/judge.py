"""`patterns check`: applies every rule to the observations, and returns rows like doctor's. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from devenv.core.errors import Exit
from devenv.core.model import CheckResult, Outcome, Skip, result_of
from devenv.patterns.registry import ANY, RULES
from devenv.patterns.rule import Rule
from devenv.patterns.seen import Observed

UNVERIFIED: Final = Rule("PAT031", "run", "data", "Every pattern was run on data", lambda _: ())


def judge(seen: Observed, rules: Sequence[Rule] = RULES) -> list[CheckResult]:
    """A row for each finding, and one for each rule that found nothing, in the order of the rules.

    What is accepted (`accept` of the pattern, or of `[access]`) is a row with status ok that tells the reason.
    """
    found = {rule.code: list(rule.find(seen)) for rule in rules}
    # Those that any other rule explains come last, when it is known what the others keep.
    for rule in sorted(rules, key=lambda rule: ANY in rule.explained):
        if rule.explained:
            others = found.keys() - {rule.code} if ANY in rule.explained else rule.explained
            known = subjects(found, others)
            found[rule.code] = [each for each in found[rule.code] if not known & set(each.subjects)]
    rows: list[CheckResult] = []
    for rule in rules:
        outcomes = [accepted(rule, each, seen) for each in found[rule.code]] or [Outcome("ok")]
        rows += [result_of(rule, outcome) for outcome in outcomes]
    explained = subjects(found, [rule.code for rule in rules if ANY not in rule.explained])
    return [*rows, *(result_of(UNVERIFIED, outcome) for outcome in unverified(seen, explained))]


def subjects(found: Mapping[str, Iterable[Outcome]], codes: Iterable[str]) -> set[str]:
    """Return what these rules found something about."""
    return {subject for code in codes for each in found.get(code, ()) for subject in each.subjects}


def accepted(rule: Rule, outcome: Outcome, seen: Observed) -> Outcome:
    """Return what a rule found, as it counts: what `accept` names holds, with its reason."""
    (subject,) = outcome.subjects
    access = seen.accesses.get(subject)
    reason = access.pattern.accept.get(rule.code) if access is not None else None
    if reason is None:
        reason = seen.settings.access.accept.get(f"{rule.code} {subject}")
    if reason is None:
        return outcome
    return Outcome("ok", f"accepted ({reason}): {outcome.evidence}", subjects=outcome.subjects)


def unverified(seen: Observed, explained: Collection[str]) -> list[Outcome]:
    """PAT031: the patterns that could not be run, and tables that were not read to their end."""
    rows = []
    for name, access in seen.accesses.items():
        if access.unsampled is not None and not access.unsampled.fault and name not in explained:
            rows.append((name, f"{name} was not run: {access.unsampled.reason}"))
    rows += [(name, f"{name} was not run: {ran.not_run}") for name, ran in seen.sql.items() if ran.not_run]
    rows += [
        (table.name, f"only the first {len(table.items):,} items of {table.name} were checked")
        for table in seen.tables.values()
        if not table.complete
    ]
    skips = [Outcome("skip", text, subjects=(name,), skip=Skip("not_run", text)) for name, text in rows]
    return skips or [Outcome("ok")]


def exit_code(findings: Iterable[CheckResult]) -> Exit:
    """1 for a finding, 3 when a pattern could not be run."""
    states = {finding.status for finding in findings}
    return Exit.FOUND if "fail" in states else Exit.UNCHECKED if "skip" in states else Exit.DONE
