"""The runner: order, needs, crashes, time limits, selection, verdict and exit code. No stores."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from graphlib import TopologicalSorter
from pathlib import Path

import msgspec
import pytest

from devenv.config.schema import Settings
from devenv.core.errors import Exit, StoreError, UsageError
from devenv.core.lazy import Lazy
from devenv.core.model import CheckResult, DynamoTarget, Outcome, PostgresTarget, Skip, StepState, Targets
from devenv.doctor.checks.check import Check, failed, passed, unneeded
from devenv.doctor.checks.registry import CHECKS
from devenv.doctor.context import DoctorContext, DoctorFacts
from devenv.doctor.runner import explain, list_checks, make_report, run_checks, select, with_needs
from devenv.links.judge import LAYERS
from devenv.render.doctor_text import doctor_text

CONTEXT = DoctorContext(
    settings=msgspec.convert({"project": {"name": "p"}}, Settings),
    root=Path("/nowhere"),
    targets=Targets.of(PostgresTarget("127.0.0.1", 1, "u", "p"), DynamoTarget("http://127.0.0.1:1", "r", "k", "s")),
    services=(),
    environment={},
    shell={},
)


def check(
    code: str, run: object = None, *, needs: tuple[str, ...] = (), limit_s: float = 5, late: str = "error"
) -> Check:
    """A check that passes, or does what `run` does."""
    return Check(
        code=code,
        name=f"name-{code.lower()}",
        group="data",
        title=f"{code} holds",
        run=run or (lambda facts: passed()),  # type: ignore[arg-type]
        explain="why",
        needs=needs,
        limit_s=limit_s,
        late=late,  # type: ignore[arg-type]
    )


def statuses(*checks: Check) -> dict[str, str]:
    return {finding.code: finding.status for finding in run_checks(checks, DoctorFacts(CONTEXT))}


def crash(_: object) -> Outcome:
    raise ZeroDivisionError("oh")


def unanswered(_: object) -> Outcome:
    raise StoreError("Postgres at x does not answer", detail="refused", reached=False)


def test_findings_come_in_the_order_of_the_checks_whichever_ends_first() -> None:
    slow = check("A1", lambda facts: (time.sleep(0.05), passed())[1])
    assert list(statuses(slow, check("A2"), check("A3", needs=("A1",)))) == ["A1", "A2", "A3"]


def test_a_crash_is_a_row_and_the_others_still_run() -> None:
    (broken, fine) = run_checks([check("A1", crash), check("A2")], DoctorFacts(CONTEXT))
    assert (broken.status, fine.status) == ("error", "ok")
    assert broken.evidence == "the check itself failed: ZeroDivisionError: oh"


def test_a_store_that_does_not_answer_is_a_failure_in_its_own_words() -> None:
    (finding,) = run_checks([check("A1", unanswered)], DoctorFacts(CONTEXT))
    assert (finding.status, finding.evidence) == ("fail", "Postgres at x does not answer: refused")


def test_what_needs_a_failed_check_is_skipped_with_the_reason_all_the_way_down() -> None:
    first = check("A1", lambda facts: failed("no"))
    found = run_checks(
        [first, check("A2", needs=("A1",)), check("A3", needs=("A2",)), check("A4")], DoctorFacts(CONTEXT)
    )
    assert [finding.status for finding in found] == ["fail", "skip", "skip", "ok"]
    assert found[1].evidence == "not run: A1 (A1 holds) failed"
    assert found[2].skip == Skip("needs_failed", "A1 (A1 holds) failed", ("A1",))


def test_the_text_names_what_is_needed_whatever_a_title_says() -> None:
    first = replace(check("A1", lambda facts: failed("no")), title="B2 (or B3) is fail")
    undeclared = check("C1", lambda facts: unneeded("nothing is declared"))
    found = run_checks(
        [first, check("A2", needs=("A1",)), check("A3", needs=("A2",)), undeclared], DoctorFacts(CONTEXT)
    )
    lines = doctor_text(make_report(CONTEXT, found, "fail"), verbose=False)
    assert lines[-4].endswith("3 checks skipped  (-v lists them)")
    assert lines[-3:-1] == ["    A2, A3: A1 did not pass", "    C1: nothing is declared"]


def test_where_all_is_skipped_the_text_does_not_say_healthy() -> None:
    undeclared = check("C1", lambda facts: unneeded("nothing is declared"))
    for checks, healthy in (([undeclared], False), ([undeclared, check("A1")], True)):
        found = run_checks(checks, DoctorFacts(CONTEXT))
        last = doctor_text(make_report(CONTEXT, found, "fail"), verbose=False)[-1]
        assert ("healthy" in last, "nothing to check" in last) == (healthy, not healthy)


def test_a_warning_does_not_stop_what_needs_it() -> None:
    warned = check("A1", lambda facts: failed("hm", status="warn"))
    assert statuses(warned, check("A2", needs=("A1",))) == {"A1": "warn", "A2": "ok"}


@pytest.mark.parametrize("late", ["fail", "error"])
def test_a_check_that_hangs_ends_at_its_limit_and_holds_no_one(late: str) -> None:
    release = threading.Event()
    hanging = check("A1", lambda facts: (release.wait(), passed())[1], limit_s=0.1, late=late)
    try:
        found = run_checks([hanging, check("A2"), check("A3", needs=("A1",))], DoctorFacts(CONTEXT))
    finally:
        release.set()
    assert [finding.status for finding in found] == [late, "ok", "skip"]
    assert found[0].evidence == "no answer within 0.1 s"


def turned(facts: DoctorFacts, waits: bool) -> Outcome:
    """Read pages for longer than a check may take, each of them soon; `waits`: as a check that needs them."""
    pages = facts.reading.pages(time.sleep(0.1) or {} for _ in range(22))

    def read() -> int:
        return len(list(pages))

    return passed(str(facts.reading.needed(read)() if waits else read()))


def test_a_check_waits_for_a_long_read_that_gets_on() -> None:
    assert statuses(check("A1", lambda facts: turned(facts, True), limit_s=1.5)) == {"A1": "ok"}
    assert statuses(check("A1", lambda facts: turned(facts, False), limit_s=1.5)) == {"A1": "error"}


@pytest.mark.parametrize("how", ["slow pages", "no end"])
def test_a_read_that_hangs_or_does_not_end_is_cut(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "slow pages":
        monkeypatch.setattr("devenv.links.read_progress.SLOW_S", 0.01)
    else:
        monkeypatch.setattr("devenv.doctor.runner.LONGEST_S", 0.1)
    assert statuses(check("A1", lambda facts: turned(facts, True), limit_s=0.5)) == {"A1": "error"}


def test_steps_that_tell_how_they_get_on_are_waited_for() -> None:
    def look(say: Callable[[str], None]) -> tuple[StepState, ...]:
        for number in range(22):
            time.sleep(0.1)
            say(f"{number} compared")
        return (StepState("seed", "done", "loaded"),)

    facts = DoctorFacts(replace(CONTEXT, look_steps=look))
    one = check("A1", lambda facts: passed(facts.steps()[0].state), limit_s=1.5)
    assert [found.status for found in run_checks([one], facts)] == ["ok"]


def test_checks_run_beside_each_other() -> None:
    barrier = threading.Barrier(3, timeout=5)
    together = [check(f"A{n}", lambda facts: (barrier.wait(), passed())[1]) for n in range(3)]
    assert set(statuses(*together).values()) == {"ok"}


def test_each_finding_is_reported_as_it_is_known() -> None:
    told: list[str] = []
    run_checks([check("A1"), check("A2", needs=("A1",))], DoctorFacts(CONTEXT), lambda row: told.append(row.code))
    assert told == ["A1", "A2"]


def test_a_shared_fact_is_read_once_and_its_error_is_shared() -> None:
    reads: list[int] = []

    def read() -> int:
        reads.append(1)
        raise StoreError("gone")

    fact = Lazy(read)
    for _ in range(3):
        with pytest.raises(StoreError, match="gone"):
            fact()
    assert len(reads) == 1


def finding(status: str) -> CheckResult:
    return CheckResult("A1", "a", "data", "holds", status)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "fail_on", "verdict", "code"),
    [
        (["ok"], "fail", "healthy", Exit.DONE),
        (["ok", "warn"], "fail", "healthy", Exit.DONE),
        (["ok", "warn"], "warn", "healthy", Exit.FOUND),
        (["ok", "fail", "skip"], "fail", "unhealthy", Exit.FOUND),
        (["error", "ok"], "fail", "not_verified", Exit.UNCHECKED),
        (["error", "fail"], "fail", "unhealthy", Exit.FOUND),
        (["error", "warn"], "warn", "not_verified", Exit.FOUND),
    ],
)
def test_verdict_and_exit_code_come_from_the_rows(found: list[str], fail_on: str, verdict: str, code: Exit) -> None:
    report = make_report(CONTEXT, [finding(status) for status in found], fail_on)  # type: ignore[arg-type]
    assert (report.body["verdict"], report.exit_code) == (verdict, code)
    assert report.body["summary"] == {s: found.count(s) for s in ("ok", "warn", "fail", "error", "skip")}


def test_a_row_has_the_keys_of_the_contract() -> None:
    (row,) = make_report(CONTEXT, [finding("ok")], "fail").body["checks"]
    assert set(row) == {
        "code",
        "name",
        "layer",
        "title",
        "status",
        "evidence",
        "cause",
        "fix",
        "subjects",
        "ms",
        "skip",
    }


@pytest.mark.parametrize(
    ("word", "codes"),
    [("XST002", ["XST002"]), ("xst002", ["XST002"]), ("orphans", ["XST001"]), ("doc001", ["DOC001"])],
)
def test_checks_are_chosen_by_code_or_name(word: str, codes: list[str]) -> None:
    assert [chosen.code for chosen in select(CHECKS, [word], [])] == codes


def test_checks_are_chosen_by_the_letters_of_their_code() -> None:
    chosen = [each.code for each in select(CHECKS, ["XST"], [])]
    assert chosen == [each.code for each in CHECKS if each.group == "cross-store"] != []


def test_checks_are_chosen_and_left_out_by_group() -> None:
    chosen = select(CHECKS, ["cross-store", "safety"], ["XST003"])
    safety = [each.code for each in CHECKS if each.group == "safety"]
    assert [each.code for each in chosen] == ["XST004", "XST001", "XST002", *safety]


def test_an_unknown_word_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(UsageError) as caught:
        select(CHECKS, ["orphan"], [])
    assert caught.value.hint == "did you mean `orphans`?"


def test_what_a_chosen_check_needs_runs_too_unless_it_is_left_out() -> None:
    checks = [check("A1"), check("A2", needs=("A1",)), check("A3", needs=("A2",))]
    assert [c.code for c in with_needs(checks[2:], checks, [])] == ["A1", "A2", "A3"]
    assert [c.code for c in with_needs(checks[2:], checks, ["A2"])] == ["A3"]


def test_codes_and_names_are_unique() -> None:
    assert len({each.code for each in CHECKS}) == len(CHECKS)
    assert len({each.name for each in CHECKS}) == len(CHECKS)


def test_needs_are_known_and_never_in_a_circle() -> None:
    TopologicalSorter({each.code: each.needs for each in CHECKS}).prepare()
    assert {code for each in CHECKS for code in each.needs} <= {each.code for each in CHECKS}


def test_every_class_of_fault_belongs_to_exactly_one_check() -> None:
    reported = [kind for each in CHECKS for kind in each.faults]
    assert sorted(reported) == sorted(LAYERS)


def test_every_check_has_a_page_and_a_line() -> None:
    for each, line in zip(CHECKS, list_checks(), strict=True):
        page = explain(each.code)
        assert page.startswith(f"{each.code} {each.name} ({each.group})\nHolds when: {each.title}.\n\n")
        assert "Fix:" in page
        assert line == {"code": each.code, "name": each.name, "layer": each.group, "title": each.title}


def test_an_unknown_page_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(UsageError) as caught:
        explain("XST02")
    assert caught.value.hint == "did you mean `xst002`?"
