"""`devenv doctor`: runs every check that can run, whatever the others find, and makes one report of all."""

from __future__ import annotations

import difflib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.core.model import CheckResult, Fix, Outcome, Report, result_of
from devenv.doctor.checks.check import Check, unneeded
from devenv.doctor.checks.registry import CHECKS
from devenv.doctor.context import DoctorContext, DoctorFacts
from devenv.links.read_progress import ReadProgress

if TYPE_CHECKING:
    from devenv.verify.repair import Write

MENDED_BY_STEPS: Final = frozenset(["SCH001", "SCH002", "SCH003", "SCH005"])
ROUNDS: Final = 3
# However large the tables are: a store whose pages never end is not read for longer.
LONGEST_S: Final = 600.0
STATUSES: Final = ("ok", "warn", "fail", "error", "skip")
Threshold = Literal["warn", "fail"]
Watch = Callable[[CheckResult], None]


def diagnose(
    context: DoctorContext,
    *,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    fail_on: Threshold = "fail",
    watch: Watch = lambda _: None,
    checks: Sequence[Check] = CHECKS,
) -> Report:
    """Run the chosen checks and report. `only` and `skip` are words of `words_of`; UsageError for an unknown one.

    `watch` is told each finding as it is known. Exit code: 1 for a finding, 3 when something could not be checked.
    """
    chosen = select(checks, only, skip)
    findings = run_checks(with_needs(chosen, checks, skip), DoctorFacts(context), watch)
    wanted = {check.code for check in chosen}
    # A need that was not asked for shows only when it is the reason that something else was skipped.
    shown = [finding for finding in findings if finding.code in wanted or finding.status not in ("ok", "skip")]
    return make_report(context, shown, fail_on)


def make_report(
    context: DoctorContext, findings: Sequence[CheckResult], fail_on: Threshold, more: Mapping[str, Any] | None = None
) -> Report:
    """The report of these findings; `more` are further keys of its body."""
    counts = {status: sum(finding.status == status for finding in findings) for status in STATUSES}
    bad = counts["fail"] + (counts["warn"] if fail_on == "warn" else 0)
    exit_code = Exit.FOUND if bad else Exit.UNCHECKED if counts["error"] else Exit.DONE
    body = {
        "verdict": "unhealthy" if counts["fail"] else "not_verified" if counts["error"] else "healthy",
        "summary": counts,
        "checks": [asdict(finding) for finding in findings],
        **(more or {}),
    }
    return Report("doctor", context.settings.project.name, exit_code, body)


def select(checks: Sequence[Check], only: Sequence[str], skip: Sequence[str]) -> tuple[Check, ...]:
    """The checks that `only` names (all without it), without those that `skip` names. UsageError for unknown words."""
    known = {word for check in checks for word in words_of(check)}
    for word in (*only, *skip):
        if word.lower() not in known:
            near = difflib.get_close_matches(word.lower(), sorted(known), n=1)
            hint = f"did you mean `{near[0]}`?" if near else "devenv doctor --list"
            raise UsageError(f"there is no check or group {word!r}", hint=hint)
    keep = [check for check in checks if (not only or named(check, only)) and not named(check, skip)]
    return tuple(keep)


def words_of(check: Check) -> set[str]:
    """The words that select a check, in lower case: its code, the letters of its code, its name, its group."""
    code = check.code.lower()
    return {code, code.rstrip("0123456789"), check.name, check.group}


def named(check: Check, words: Iterable[str]) -> bool:
    return bool(words_of(check) & {word.lower() for word in words})


def names_group(group: str, words: Iterable[str]) -> bool:
    """Return True if the user asks for a check of this group by name."""
    return any(check.group == group and named(check, words) for check in CHECKS)


def with_needs(chosen: Sequence[Check], checks: Sequence[Check], skip: Sequence[str]) -> tuple[Check, ...]:
    """The chosen checks and, in running order, all those that they need or use; never one that is to be skipped."""
    by_code = {check.code: check for check in checks}
    wanted: set[str] = set()
    pending = [check.code for check in chosen]
    while pending:
        code = pending.pop()
        if code not in wanted and (by_code[code] in chosen or not named(by_code[code], skip)):
            wanted.add(code)
            pending += [*by_code[code].needs, *(each for each in by_code[code].uses if each in by_code)]
    return tuple(check for check in checks if check.code in wanted)


def explain(word: str, checks: Sequence[Check] = CHECKS) -> str:
    """The page of one check, by code or name. UsageError when there is none."""
    for check in checks:
        if word.lower() in (check.code.lower(), check.name):
            needs = f"\nNeeds: {', '.join(check.needs)}" if check.needs else ""
            return f"{check.code} {check.name} ({check.group})\nHolds when: {check.title}.\n\n{check.explain}{needs}"
    words = [word for check in checks for word in (check.code.lower(), check.name)]
    near = difflib.get_close_matches(word.lower(), words, n=1)
    raise UsageError(
        f"there is no check {word!r}", hint=f"did you mean `{near[0]}`?" if near else "devenv doctor --list"
    )


def list_checks(checks: Sequence[Check] = CHECKS) -> list[dict[str, str]]:
    """Code, name, group and title of every check, for `--list`."""
    return [{"code": c.code, "name": c.name, "layer": c.group, "title": c.title} for c in checks]


class RunningCheck(msgspec.Struct, frozen=True):
    """A check that has been started, in which thread, and when (monotonic seconds)."""

    check: Check
    began: float
    thread: threading.Thread

    def ends(self, reading: ReadProgress) -> float:
        """When its time is over. That of one that needs all items runs from where the read of them last got on."""
        began = self.began
        if reading.concerns(self.thread):
            began = min(max(began, reading.progressed_at()), began + LONGEST_S)
        return began + self.check.limit_s


def run_checks(checks: Sequence[Check], facts: DoctorFacts, watch: Watch = lambda _: None) -> list[CheckResult]:
    """Every check's finding, in the order of `checks`. Each runs as soon as those it needs have passed.

    Checks run in threads that nobody waits for when their time is over: a store that hangs cannot hold the rest.
    """
    answers: queue.SimpleQueue[tuple[str, CheckResult]] = queue.SimpleQueue()
    findings: dict[str, CheckResult] = {}
    waiting = list(checks)
    running: dict[str, RunningCheck] = {}
    selected = {check.code for check in checks}

    def settle(finding: CheckResult) -> None:
        findings[finding.code] = finding
        running.pop(finding.code, None)
        watch(finding)

    while waiting or running:
        for check in list(waiting):
            needs = [code for code in check.needs if code in selected]
            if unmet := [code for code in needs if code in findings and not is_met(findings[code])]:
                waiting.remove(check)
                settle(skipped(check, [findings[code] for code in unmet]))
            elif all(code in findings for code in needs):
                waiting.remove(check)
                thread = threading.Thread(target=lambda c=check: answers.put((c.code, run_one(c, facts))), daemon=True)
                running[check.code] = RunningCheck(check, time.monotonic(), thread)
                thread.start()
        if not running:
            continue
        next_end = min(each.ends(facts.reading) for each in running.values())
        try:
            code, finding = answers.get(timeout=max(0.0, next_end - time.monotonic()))
            if code in running:
                settle(finding)
        except queue.Empty:
            for each in [e for e in running.values() if time.monotonic() >= e.ends(facts.reading)]:
                settle(too_late(each.check))
    return [findings[check.code] for check in checks]


def is_met(finding: CheckResult) -> bool:
    """Return True if checks that need this one have a meaning: it passed, or nothing is declared that could fail."""
    return finding.status in ("ok", "warn") or (finding.skip is not None and finding.skip.reason == "undeclared")


def run_one(check: Check, facts: DoctorFacts) -> CheckResult:
    """One check's finding. The one broad `except`: a broken check is a row, and the others still run."""
    began = time.monotonic()
    try:
        outcome = check.run(facts)
    except DevenvError as error:
        # Between two checks a store can go away, or refuse: that is what was looked for, not a broken check.
        outcome = Outcome("fail", ": ".join(filter(None, (error.what, error.detail))), error.cause)
    except Exception as error:  # noqa: BLE001
        outcome = Outcome("error", f"the check itself failed: {type(error).__name__}: {error}")
    return result_of(check, outcome, (time.monotonic() - began) * 1000)


def skipped(check: Check, needed: Sequence[CheckResult]) -> CheckResult:
    """The row of a check that would have no meaning: why, down to the first that does not hold."""
    reasons: dict[str, None] = {}
    codes: dict[str, None] = {}
    for result in needed:
        if result.skip is not None:
            reasons[result.skip.text] = None
            codes |= dict.fromkeys(result.skip.needs)
        else:
            ended = "failed" if result.status == "fail" else f"has status {result.status}"
            reasons[f"{result.code} ({result.title}) {ended}"] = None
            codes[result.code] = None
    return result_of(check, unneeded(", ".join(reasons), "needs_failed", codes))


def too_late(check: Check) -> CheckResult:
    """The row of a check whose time is over."""
    evidence = f"no answer within {check.limit_s:g} s"
    fix = Fix("read the service's log", "devenv logs") if check.late == "fail" else None
    return result_of(check, Outcome(check.late, evidence, fix=fix), check.limit_s * 1000)


def mend(
    context: DoctorContext,
    *,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    fail_on: Threshold = "fail",
    watch: Watch = lambda _: None,
    tell: Callable[[Mapping[str, Any]], None] = lambda _: None,
    checks: Sequence[Check] = CHECKS,
) -> Report:
    """`--fix`: do what loses nothing, then run all checks again. The report has `repairs` besides (see repair.py).

    First the steps that are not done are run (they know what they loaded), then what is still wrong is rewritten in
    DynamoDB, until nothing safe is left. `tell` is told each repair when it is done. `only` and `skip` bound which
    findings are mended.
    """
    chosen = select(checks, only, skip)
    repairs: list[dict[str, Any]] = []

    def note(repair: dict[str, Any]) -> None:
        repairs.append(repair)
        tell(repair)

    run_steps = context.run_steps
    for _ in range(ROUNDS):
        facts = DoctorFacts(context)
        findings = run_checks(with_needs(chosen, checks, skip), facts)
        safe = {f.code for f in findings if f.status == "fail" and f.fix and f.fix.safe} & {c.code for c in chosen}
        if safe & MENDED_BY_STEPS and run_steps is not None:
            mend_steps(facts, run_steps, note)
            run_steps = None
        elif not mend_items(facts, [check for check in chosen if check.code in safe], note):
            break
    report = diagnose(context, only=only, skip=skip, fail_on=fail_on, watch=watch, checks=checks)
    return replace(report, body={**report.body, "repairs": repairs})


def mend_steps(facts: DoctorFacts, run: Callable[[], None], note: Callable[[dict[str, Any]], None]) -> None:
    """Run the steps that are not done. DevenvError when one fails."""
    undone = [state for state in facts.steps() if state.state != "done"]
    run()
    for state in undone:
        note(
            {"step": state.name, "before": state.state, "after": "done", "reasons": [state.reason], "state": "applied"}
        )


def mend_items(facts: DoctorFacts, checks: Iterable[Check], note: Callable[[dict[str, Any]], None]) -> bool:
    """Rewrite the items with safe faults of these checks; False when nothing was written."""
    kinds = {kind for check in checks for kind in check.faults}
    if not kinds:
        return False
    from devenv.doctor.settling import RECENT, split_settled
    from devenv.stores.dynamodb.client import Dynamo
    from devenv.verify.repair import apply_writes, describe_write, plan_repairs

    settled, recent = split_settled(facts, [fault for fault in facts.judgement().faults if fault.kind in kinds])
    applied: list[Write] = []
    planned = plan_repairs(settled, facts.known_plan())
    for write in plan_repairs(recent, facts.known_plan()):
        note(describe_write(write, RECENT))
    facts.context.keep_writes(planned)
    with Dynamo(facts.context.targets.dynamodb) as dynamodb:
        for written in apply_writes(dynamodb, planned):
            note(describe_write(written.write, written.state))
            if written.state == "applied":
                applied.append(written.write)
    facts.context.settle(applied)
    return bool(applied)
