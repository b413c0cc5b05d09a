"""Reports as text and as one JSON document: widths, colours, and text that must not steer a terminal."""

from __future__ import annotations

import io
import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import typer

from devenv.core.errors import DevenvError, Exit
from devenv.core.model import Failure, Outcome, Report, Skip, Titled, result_of
from devenv.doctor.runner import list_checks
from devenv.lifecycle.logs import LogFilter, read_logs
from devenv.render import report as render
from devenv.render import text
from devenv.render.cells import cell_width, rows_text, show_value, table
from devenv.render.doctor_text import doctor_text, ranges
from devenv.render.snapshot_text import down_all_lines


def unpainted(shown: str) -> str:
    return re.sub(r"\x1b\[\d*m", "", shown)


def rows(columns: list[str], values: list[list[Any]], **more: Any) -> Report:
    return Report(
        "db", "shop", Exit.DONE, {"columns": columns, "rows": values, "summary": f"({len(values)} rows)", **more}
    )


def test_rows_that_fit_are_a_table() -> None:
    assert table(["id", "name"], [[1, "Ann"], [20, None]], 80) == [
        "id | name",
        "---+-----",
        "1  | Ann",
        "20 |",
    ]


def test_rows_wider_than_the_terminal_are_expanded() -> None:
    long = "x" * 30
    assert table(["id", "name"], [[1, long], [2, long]], 34) == [
        "-[ 1 ]".ljust(34, "-"),
        "id   | 1",
        f"name | {long}",
        "-[ 2 ]".ljust(34, "-"),
        "id   | 2",
        f"name | {long}",
    ]


def test_the_last_cell_that_fits_is_still_a_table() -> None:
    assert table(["a", "b"], [["1234", "5678"]], 11)[0] == "a    | b"
    assert table(["a", "b"], [["1234", "5678"]], 10)[0].startswith("-[ 1 ]")


def test_columns_without_rows_are_shown() -> None:
    assert table(["id", "name"], [], 80) == ["id | name", "---+-----"]


def test_wide_and_combining_letters_are_counted_in_cells() -> None:
    assert cell_width("日本") == 4
    assert cell_width("e\u0301") == 1
    assert table(["who", "x"], [["日本", "1"], ["ann", "2"]], 80) == [
        "who  | x",
        "-----+--",
        "日本 | 1",
        "ann  | 2",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        ("", ""),
        (True, "True"),
        (0, "0"),
        ({"a": [1, None, "ü"]}, '{"a": [1, null, "ü"]}'),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("bell\x07 back\x08", "bell\\x07 back\\x08"),
        ("two\nlines\r", "two\\nlines\\r"),
        ("\u202eright to left", "\\u202eright to left"),
        ("\x9b31m", "\\x9b31m"),
        ("half \udc80", "half \\udc80"),
        ("größe 🙂", "größe 🙂"),
    ],
)
def test_a_stored_value_cannot_steer_the_terminal(value: Any, shown: str) -> None:
    assert show_value(value) == shown


def test_notes_and_column_names_cannot_either() -> None:
    lines = rows_text(rows(["\x1b[2J"], [["\x1b]0;title\x07"]], notes=["\x1b[1mhello"]), False)
    assert not any("\x1b" in line or "\x07" in line for line in lines)


def test_an_error_has_its_parts_in_order_and_keeps_its_lines() -> None:
    failure = Failure("port 5432 is taken", "line one\n\tline two", "another server runs", "devenv status")
    assert unpainted(render.failure_text(failure)).splitlines() == [
        "error: port 5432 is taken",
        "detail: line one",
        "      line two",
        "cause: another server runs",
        "hint: devenv status",
    ]


def test_an_error_leaves_out_what_is_not_known() -> None:
    assert unpainted(render.failure_text(Failure("it failed", detail=""))) == "error: it failed"


def test_the_drivers_words_cannot_steer_the_terminal() -> None:
    shown = unpainted(render.failure_text(Failure("row \x07", "\x1b]0;x\x07\n\x1b[2J", None, "a\x08")))
    assert shown.splitlines() == ["error: row \\x07", "detail: \\x1b]0;x\\x07", "  \\x1b[2J", "hint: a\\x08"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("color", "stream", "no_color", "painted"),
    [
        ("auto", Terminal(), "", True),
        ("auto", Terminal(), "1", False),
        ("auto", io.StringIO(), "", False),
        ("always", io.StringIO(), "1", True),
        ("never", Terminal(), "", False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    color: str, stream: io.StringIO, no_color: str, painted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    assert render.use_color(color, stream) is painted


FAILED = Report("up", None, Exit.STEP, error=Failure("seed failed"))
STATUS = Report(
    "status",
    "shop",
    Exit.DONE,
    {
        "engine": "embedded",
        "services": [
            {
                "name": "postgres",
                "state": "running",
                "pid": 5,
                "host": "127.0.0.1",
                "port": 5432,
                "url": "postgresql://ann@127.0.0.1:5432/shop",
                "version": "18.6",
                "started": None,
                "detail": None,
            },
            {
                "name": "dynamodb",
                "state": "crashed",
                "pid": None,
                "host": "127.0.0.1",
                "port": 8000,
                "url": "http://127.0.0.1:8000",
                "version": None,
                "started": None,
                "detail": "it ended by itself",
            },
        ],
        "steps": [{"name": "setup", "state": "stale", "reason": "users.sql changed"}],
    },
)


@pytest.mark.parametrize("report", [FAILED, STATUS], ids=["failed", "status"])
@pytest.mark.parametrize("color", ["always", "never"])
def test_colours_come_and_go_but_the_words_stay(report: Report, color: str, capsys: pytest.CaptureFixture[str]) -> None:
    render.show_report(report, as_json=False, color=color, verbose=False)
    printed = "".join(capsys.readouterr())
    assert ("\x1b[" in printed) is (color == "always")
    words = ["seed failed"] if report is FAILED else ["running", "crashed", "it ended by itself", "stale", "pid 5"]
    assert all(word in printed for word in words)


def test_an_error_goes_to_stderr_and_a_report_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    render.show_report(FAILED, as_json=False, color="never", verbose=False)
    assert capsys.readouterr() == ("", "error: seed failed\n")
    render.show_report(STATUS, as_json=False, color="never", verbose=False)
    assert capsys.readouterr().err == ""


def test_json_is_one_document_with_the_contracts_keys(capsys: pytest.CaptureFixture[str]) -> None:
    render.show_report(FAILED, as_json=True, color="always", verbose=True)
    assert json.loads(capsys.readouterr().out) == {
        "schema": "devenv.up/1",
        "project": None,
        "exit_code": 8,
        "error": {"what": "seed failed", "detail": None, "cause": None, "hint": None},
    }
    render.show_report(rows(["a"], [[None], ["ü\x1b"]]), as_json=True, color="never", verbose=False)
    document = json.loads(capsys.readouterr().out)
    assert document["rows"] == [[None], ["ü\x1b"]]
    assert (document["schema"], document["exit_code"]) == ("devenv.db/1", 0)


def test_a_failure_is_the_same_value_in_error_and_report() -> None:
    error = DevenvError("what", detail="d", cause="c").with_hint("h").with_hint("other")
    assert error.failure == Failure("what", "d", "c", "h")


STEERING = "a\x1b[2J\u009b31m\u202eb\u2066"
ESCAPED = r"a\x1b[2J\x9b31m\u202eb\u2066"


def test_settings_states_and_plans_cannot_steer_the_terminal() -> None:
    step = {"name": "seed", "state": "failed", "reason": STEERING}
    service = {"name": "backend", "state": "crashed", "url": None, "pid": None, "version": None, "started": None}
    bodies = {
        "config": {"settings": [{"key": STEERING, "value": STEERING, "origin": STEERING}]},
        "status": {"engine": "embedded", "services": [{**service, "detail": STEERING}], "steps": [step]},
        "seed": {"timings": {"total": 1.0}, "steps": [step]},
        "up": {"dry_run": True, "plan": [{"action": "run", "target": "seed", "reason": STEERING}]},
    }
    for command, body in bodies.items():
        shown = unpainted("\n".join(text.RENDERERS[command](Report(command, "p", Exit.DONE, body), False)))
        # JSON, in which a setting's value is shown, writes the first of them otherwise.
        assert shown.replace("\\\\u001b", "\\x1b").count(ESCAPED) >= 1, command
        assert all(c.isprintable() or c == "\n" for c in shown), command


def test_log_lines_keep_tabs_and_steer_nothing(tmp_path: Path) -> None:
    log = tmp_path / "backend.log"
    log.write_text(f"GET\t{STEERING}\n")
    [line] = read_logs({"backend": log}, LogFilter(5), follow=False)
    assert line.partition(" | ")[2] == f"GET\t{ESCAPED}"


@pytest.mark.parametrize(("columns", "lines"), [(80, 2), (140, 1)])
def test_a_service_fits_the_terminal(columns: int, lines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    service = {**STATUS.body["services"][0], "started": "2026-01-02T03:04:05+00:00"}
    printed = text.status_text(replace(STATUS, body={**STATUS.body, "services": [service]}), verbose=False)
    of_service = printed[1 : 1 + lines]
    assert "since 2026-01-02T03:04:05+00:00" in of_service[-1]
    assert unpainted(printed[1 + lines]).startswith("  ! setup")
    assert all(cell_width(unpainted(line)) <= columns for line in of_service)


@pytest.mark.parametrize(("columns", "lines"), [(80, 2), (140, 1)])
def test_a_snapshot_fits_the_terminal(columns: int, lines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    made = {"name": "auto-20260102T030405-setup-ab12", "created": "2026-01-02T03:04:05.678+00:00", "usable": True}
    facts = {"counts": {"postgres": {"users": 1}, "dynamodb": {"t": 2}}, "size": 300_000, "method": "template"}
    seen = {**made, **facts, "reason": "before `devenv setup`"}
    printed = text.snapshot_text(Report("snapshot", "shop", Exit.DONE, {"snapshots": [seen]}), False)
    assert len(printed) == lines
    assert printed[0].startswith("auto-20260102T030405-setup-ab12  2026-01-02T03:04:05Z")
    assert printed[-1].endswith("before `devenv setup`, 1 row, 2 items, 0.3 MB")
    assert all(cell_width(line) <= columns for line in printed)


def diagnosis(**body: Any) -> Report:
    return Report("doctor", "shop", Exit.FOUND, {"checks": [], "summary": {}, "verdict": "unhealthy", **body})


def test_many_repairs_are_counted_and_listed_only_with_verbose() -> None:
    change = {"attribute": "id", "before": "a", "after": "b"}
    repairs = [{"state": "applied", "table": "t", "key": {"pk": n}, "changes": [change]} for n in range(1234)]
    short = doctor_text(diagnosis(repairs=repairs), verbose=False)
    assert short[0] == "applied: t 0: id a -> b"
    assert short[-3:-1] == ["and 1,224 more repairs  (-v lists them)", "undo: devenv repair undo"]
    assert len(short) == 13
    assert len(doctor_text(diagnosis(repairs=repairs), verbose=True)) == 1236


@pytest.mark.parametrize(
    ("states", "said"),
    [((), "nothing was repaired: "), (("failed",), "nothing was repaired: "), (("applied",), "1 failure is left: ")],
)
def test_a_fix_that_leaves_failures_says_so(states: tuple[str, ...], said: str) -> None:
    checks = [asdict(result_of(Titled("X1", "x", "x", ""), Outcome("fail", "two ids differ")))]
    repairs = [{"state": state, "table": "t", "key": {"pk": 1}, "changes": []} for state in states]
    told = doctor_text(diagnosis(checks=checks, repairs=repairs), verbose=False)
    assert f"{said}--fix changes no rows, and items only where no data is lost" in told
    assert not any("--fix" in line for line in doctor_text(diagnosis(checks=checks), verbose=False))


def test_skipped_checks_name_each_root_once() -> None:
    skips = (
        Skip("needs_failed", "SVC001 (Postgres answers queries) failed", ("SVC001",)),
        Skip("needs_failed", "SVC001 (Postgres answers queries) failed, nothing", ("SVC001", "SVC002")),
        Skip("not_applicable", "there is no database (SCH001)"),
    )
    results = [result_of(Titled(f"X{n}", "x", "x", ""), Outcome("skip", skip=skip)) for n, skip in enumerate(skips)]
    checks = [asdict(result) for result in results]
    assert doctor_text(diagnosis(checks=checks), verbose=False)[:-1] == [
        typer.style("-", fg="white") + " 3 checks skipped  (-v lists them)",
        "    X0: SVC001 did not pass",
        "    X1: SVC001, SVC002 did not pass",
        "    X2: there is no database (SCH001)",
    ]


@pytest.mark.parametrize(
    ("codes", "shown"),
    [
        (["A001"], "A001"),
        (["A001", "A002"], "A001, A002"),
        (["A001", "A002", "A003", "B004", "B006"], "A001-A003, B004, B006"),
        (["A009", "A010", "A011", "A001"], "A009-A011, A001"),
    ],
)
def test_neighbouring_codes_are_a_range(codes: list[str], shown: str) -> None:
    assert ranges(codes) == shown


def mixed() -> Report:
    """A diagnosis with one check of each status, the passed and the skipped one first."""
    outcomes = {
        "A001": Outcome("ok", "all right"),
        "A002": Outcome("skip", "not run: nothing is declared", skip=Skip("not_applicable", "nothing is declared")),
        "B001": Outcome("warn", "old"),
        "B002": Outcome("error", "too late"),
        "B003": Outcome("fail", "wrong"),
        "B004": Outcome("ok", "all right"),
    }
    rows = [result_of(Titled(code, "x", "x", f"title of {code}"), outcome) for code, outcome in outcomes.items()]
    return diagnosis(checks=[asdict(row) for row in rows])


def test_doctor_shows_failures_first_then_warnings_then_counts() -> None:
    assert doctor_text(mixed(), verbose=False)[:-1] == [
        typer.style("✗", fg="red") + " B003 title of B003",
        "    wrong",
        typer.style("?", fg="red") + " B002 title of B002",
        "    too late",
        typer.style("!", fg="yellow") + " B001 title of B001",
        "    old",
        typer.style("✓", fg="green") + " 2 checks passed  (-v lists them)",
        typer.style("-", fg="white") + " 1 check skipped  (-v lists them)",
        "    A002: nothing is declared",
    ]


def test_doctor_lists_what_passed_and_what_was_skipped_only_with_verbose() -> None:
    lines = doctor_text(mixed(), verbose=True)
    codes = [line.split()[1] for line in lines[:-1] if not line.startswith(" ")]
    assert codes == ["B003", "B002", "B001", "A001", "B004", "A002"]
    assert "    not run: nothing is declared" in lines


def test_doctor_quiet_shows_the_failures_alone() -> None:
    lines = doctor_text(replace(mixed(), view={"quiet": True}), verbose=False)
    assert [line.split()[1] for line in lines if not line.startswith(" ")] == ["B003", "B002"]
    healthy = replace(diagnosis(verdict="healthy"), view={"quiet": True})
    assert doctor_text(healthy, verbose=False) == []


def test_doctor_list_shows_each_group_with_its_code_prefix() -> None:
    lines = doctor_text(diagnosis(list=list_checks()), verbose=False)
    heads = [line for line in lines if line and not line.startswith(" ")]
    wanted = ("services (SVC)", "cross-store (XST)", "safety (SAF)")
    assert {typer.style(head, bold=True) for head in wanted} <= set(heads)
    assert sum(line.startswith("  ") for line in lines) == len(list_checks())


def test_what_down_all_keeps_is_named_with_the_command_that_returns_or_deletes_it() -> None:
    body = {
        "stopped": ["/my shop"],
        "left": [],
        "failed": [],
        "engines_gone": [{"root": "/old", "error": "docker was not found"}],
        "leftovers": [],
        "data": "deleted",
        "backups": [{"root": "/my shop", "snapshot": "auto-1"}],
        "cache": "/home/ann/.cache/devenv",
    }
    assert down_all_lines(Report("down", None, Exit.DONE, body)) == [
        "stopped: /my shop",
        "/old: nothing can be running there (docker was not found)",
        "data of /my shop deleted (a backup is kept)",
        "  to restore the previous data: devenv snapshot restore auto-1 --project '/my shop'",
        "kept: downloads and baselines, which all projects share",
        "  to delete them: rm -r /home/ann/.cache/devenv",
        "npm's own cache also keeps copies of the downloads",
    ]
    assert down_all_lines(
        Report("down", None, Exit.DONE, {**body, "data": "kept", "backups": [], "engines_gone": []})
    ) == ["stopped: /my shop"]


@pytest.mark.parametrize(
    ("commands", "wanted"),
    [(["devenv seed"], "next: devenv seed"), ([None], "next: devenv up"), (["devenv seed", None], "next: devenv up")],
)
def test_the_next_command_is_the_one_that_corrects_all_undone_steps(commands: list[str | None], wanted: str) -> None:
    undone = [{"name": "seed", "state": "stale", "reason": "r", "command": command} for command in commands]
    done = {"name": "setup", "state": "done", "reason": "r", "command": None}
    body = {"steps": [done, *undone], "timings": {"total": 1.0}, "snapshot": None}
    assert text.steps_text(Report("setup", "p", 0, body), False)[-1] == wanted
