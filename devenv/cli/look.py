"""Commands that look for what is wrong: doctor, trace, verify and its repairs, patterns."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from devenv.cli.options import Timeout, chosen, show, stack, watching, write_file
from devenv.cli.trust import consent
from devenv.core.errors import Exit, UsageError
from devenv.core.model import Report

if TYPE_CHECKING:
    from devenv.stack import Stack
    from devenv.verify.context import Context


def doctor(
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only these checks: code, name or group.")
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Not these checks.")] = None,
    list_all: Annotated[bool, typer.Option("--list", help="List the checks.")] = False,
    explain: Annotated[str | None, typer.Option(metavar="CODE", help="What a check means, and how to repair.")] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Do the repairs that lose nothing, then check again.")] = False,
    fail_on: Annotated[Literal["warn", "fail"], typer.Option(help="What makes the exit code 1.")] = "fail",
    bundle: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one redacted file for a bug report.")
    ] = None,
) -> None:
    """Check the environment, the services, the schemas, the data and the ids of both stores."""
    from devenv.doctor import runner as work

    if list_all:
        show(Report("doctor", None, Exit.DONE, {"list": work.list_checks()}))
    if explain:
        show(Report("doctor", None, Exit.DONE, {"explain": work.explain(explain)}))
    from devenv.doctor.gather import doctor_context
    from devenv.lifecycle.steps import read_inputs

    opened = stack()
    if fix:
        opened.engine.permit(None)
    inputs = read_inputs(opened)
    with watching() as watch:
        drift = work.names_group("drift", only or ())
        context = doctor_context(opened, inputs, watch, remote=chosen.allow_remote, drift=drift)
        run = work.mend if fix else work.diagnose
        report = run(context, only=only or (), skip=skip or (), fail_on=fail_on)
    if bundle:
        from devenv.doctor.bundle import make_bundle

        write_file(bundle, make_bundle(context, report))
    show(report)


def trace(
    subject: Annotated[
        str | None, typer.Argument(metavar="SUBJECT", help="What devenv.toml declares as [trace.SUBJECT].")
    ] = None,
    values: Annotated[list[str] | None, typer.Argument(metavar="VALUE…", help="Its parameters: an id, mostly.")] = None,
    user: Annotated[str | None, typer.Option(metavar="HANDLE", help="Who asks. Default: its first member.")] = None,
    step: Annotated[bool, typer.Option("--step", help="Walk through the layers, with a pause at each.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page to look at, or to send.")] = None,
    otlp: Annotated[Path | None, typer.Option(metavar="FILE", help="Write OTLP/JSON, for Jaeger and the like.")] = None,
    show_payloads: Annotated[
        bool, typer.Option("--show-payloads", help="Show people's own words, in files too.")
    ] = False,
    from_request: Annotated[
        int | None, typer.Option("--from-request", metavar="ID", help="A request that `devenv requests` lists.")
    ] = None,
) -> None:
    """Follow one request through all layers, and name the first that breaks."""
    from devenv.trace.run import trace as work

    typed = tuple(values or ())
    if from_request is not None:
        from devenv.query.requests import subject_of

        if subject is not None:
            raise UsageError(
                "--from-request names the subject itself", hint=f"devenv trace --from-request {from_request}"
            )
        subject, typed = subject_of(stack(reads=False), from_request)
    if subject is None:
        raise UsageError("trace needs a subject", hint="devenv trace SUBJECT VALUE, or devenv trace --from-request ID")
    asked = subject
    if step and chosen.json:
        raise UsageError("--step and --json exclude each other", hint="leave one of them out")
    if step:
        from devenv.render.trace_step import check_terminal, walk

        check_terminal()

    opened = stack()
    consent(opened.loaded, "trace", "token", "services")

    def ask() -> Report:
        return work(stack(), asked, typed, user, payloads=show_payloads)

    report = ask()
    if step:
        from devenv.render.report import use_color

        report = walk(report, ask, color=use_color(chosen.color, sys.stdout))
    if html:
        from devenv.render.report import masked
        from devenv.render.trace_html import write_html

        write_file(html, write_html(masked(report)))
    if otlp:
        from devenv.render.report import masked
        from devenv.render.trace_otlp import write_otlp

        write_file(otlp, write_otlp(masked(report)))
    if step:
        raise typer.Exit(report.exit_code)
    show(report)


def verify_context(opened: Stack) -> Context:
    """What `verify` and `repair` compare."""
    from devenv.engines.base import STORES
    from devenv.lifecycle.steps import read_inputs
    from devenv.query.queries import require_running
    from devenv.verify.context import Context

    def ready() -> None:
        for name in STORES:
            require_running(opened, name)

    definitions = read_inputs(opened)["schema-load"].content or ()
    tables = {definition.table: definition.request for definition in definitions}
    return Context(opened.settings, opened.engine.targets(), opened.folder, tables, ready)


def verify(
    plan: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a repair plan.")] = None,
    findings: Annotated[Path | None, typer.Option(metavar="FILE", help="Where all findings go, as JSON lines.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. Default: one per core.")] = None,
    segments: Annotated[int | None, typer.Option(min=1, help="Segments per table. Default: by its size.")] = None,
    max_items: Annotated[int | None, typer.Option(min=1, help="Read no more; then nothing is proven.")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Do not resume a killed comparison.")] = False,
    sdk: Annotated[bool, typer.Option("--sdk", help="Read through the AWS SDK (slower).")] = False,
) -> None:
    """Compare every id of both stores, and prove it."""
    from devenv.verify import compare as work
    from devenv.verify.context import Options

    options = Options(plan, findings, workers, segments, max_items, restart, "sdk" if sdk else "raw")
    opened = stack()
    with watching() as watch:
        report = work.verify(verify_context(opened), options, watch)
    show(report)


def repair_apply(
    plan: Annotated[Path, typer.Argument(metavar="FILE")],
    allow_loss: Annotated[bool, typer.Option("--allow-loss", help="Delete orphans too.")] = False,
    timeout: Timeout = 120.0,
) -> None:
    """Carry out a repair plan, item by item, each only if it is still as planned; then compare again."""
    from devenv.stack import open_locked
    from devenv.verify.repair_plan import apply_plan

    with watching() as watch, open_locked(chosen.project, timeout, watch.say) as opened:
        opened.engine.permit(None)
        report = apply_plan(verify_context(opened), plan, watch, allow_loss=allow_loss)
    show(report)


def repair_undo(plan: Annotated[Path, typer.Argument(metavar="FILE")], timeout: Timeout = 120.0) -> None:
    """Put everything back that applying this plan changed."""
    from devenv.stack import open_locked
    from devenv.verify.repair_plan import undo_plan

    with watching() as watch, open_locked(chosen.project, timeout, watch.say) as opened:
        opened.engine.permit(None)
        report = undo_plan(verify_context(opened), plan, watch)
    show(report)


def patterns_list() -> None:
    """The declared patterns. No store is asked."""
    from devenv.patterns import command

    show(command.list_patterns(stack(reads=False)))


def patterns_run(
    name: str,
    param: Annotated[list[str] | None, typer.Option(metavar="K=V", help="A parameter. Default: from the data.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Items to show at most.")] = 20,
) -> None:
    """Execute one pattern, and its script if it has one: items, pages, read units, cost, PartiQL."""
    from devenv.patterns import command

    opened = stack()
    consent(opened.loaded, "patterns")
    show(command.run_pattern(opened, name, param or (), limit))


def patterns_check(
    scripts: Annotated[bool, typer.Option("--scripts", help="Run the patterns' scripts, and compare.")] = False,
    rules: Annotated[bool, typer.Option("--list", help="Print the rules.")] = False,
) -> None:
    """Run all patterns, and judge them, their keys, their indexes and the data."""
    from devenv.patterns import command

    if rules:
        show(command.list_rules(stack(reads=False)))
    opened = stack()
    if scripts:
        consent(opened.loaded, "patterns")
    show(command.check_patterns(opened, scripts))


def patterns_explain(name: str) -> None:
    """Why a pattern is a Query, a GetItem or a Scan, and what it reads, in two paragraphs."""
    from devenv.patterns import command

    show(command.explain_pattern(stack(), name))


def patterns_matrix(
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it as one page.")] = None,
) -> None:
    """Entities, patterns and keys against each other; one table against one per entity."""
    from devenv.patterns import command

    report = command.show_matrix(stack())
    if html:
        from devenv.render.patterns_html import write_html

        write_file(html, write_html(report))
    show(report)
