"""Commands that look for what is wrong: `doctor`, `trace`, `verify`, `repair`, `patterns`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from devenv.cli.options import chosen, show, stack, watching, with_view, write_file
from devenv.cli.trust import agreed_stack, consent
from devenv.core.errors import Exit, UsageError
from devenv.core.model import Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from devenv.stack import Stack
    from devenv.verify.context import Context
    from devenv.verify.repair import Write

Pattern = Annotated[str, typer.Argument(metavar="NAME", help="A pattern that `patterns list` prints.")]


def doctor(
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Run only these checks: a group, a code prefix, a code or a name (--list)."),
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Skip these checks; takes the same values as --only.")
    ] = None,
    list_all: Annotated[bool, typer.Option("--list", help="List the checks and their groups.")] = False,
    explain: Annotated[
        str | None, typer.Option(metavar="CODE", help="Explain a check and how to fix its findings.")
    ] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Apply the repairs that lose no data, then check again.")] = False,
    fail_on: Annotated[
        Literal["warn", "fail"],
        typer.Option(metavar="warn|fail", help="Exit with 1 on failures (fail), or also on warnings (warn)."),
    ] = "fail",
    bundle: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one redacted file for a bug report.")
    ] = None,
) -> None:
    """Check the environment, the services, the schemas, the data and the ids in both stores."""
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
        opened = agreed_stack(opened, "steps")  # --fix runs the steps that are not done.
    inputs = read_inputs(opened)
    with watching() as watch:
        drift = work.names_group("drift", only or ())
        context = doctor_context(opened, inputs, watch, remote=chosen.allow_remote, drift=drift)
        run = work.mend if fix else work.diagnose
        report = run(context, only=only or (), skip=skip or (), fail_on=fail_on)
    if bundle:
        from devenv.doctor.bundle import make_bundle

        write_file(bundle, make_bundle(context, report))
    show(with_view(report, quiet=chosen.quiet))


def trace(
    subject: Annotated[
        str | None, typer.Argument(metavar="SUBJECT", help="A subject that devenv.toml declares as [trace.SUBJECT].")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="VALUE…", help="The values of the subject's parameters, usually one id."),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(
            metavar="HANDLE", help="Send the request as this user. Default: the first user who may read the subject."
        ),
    ] = None,
    step: Annotated[bool, typer.Option("--step", help="Pause at each layer.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write an HTML page.")] = None,
    otlp: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write OTLP/JSON, for Jaeger and similar tools.")
    ] = None,
    show_payloads: Annotated[
        bool,
        typer.Option("--show-payloads", help="Print the texts that users wrote (hidden by default), also in files."),
    ] = False,
    from_request: Annotated[
        int | None, typer.Option("--from-request", metavar="ID", help="Trace a request that `devenv requests` lists.")
    ] = None,
    action: Annotated[
        bool,
        typer.Option(
            "--action", help="Send the declared write to the application on a copy of both stores, then trace the copy."
        ),
    ] = False,
    stress: Annotated[
        bool,
        typer.Option(
            "--stress", help="If the trace is healthy, repeat it under one bad condition at a time, on a copy."
        ),
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="With --stress: try only this condition, or those that begin with NAME (see --list)."
        ),
    ] = None,
    list_all: Annotated[bool, typer.Option("--list", help="With --stress: list the conditions.")] = False,
    explain: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --stress: explain a condition, and why it can happen.")
    ] = None,
    budget: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, help="With --stress: start no further condition after this time.")
    ] = 60.0,
) -> None:
    """Follow one request through all layers, and name the first that breaks."""
    if (only or list_all or explain) and not stress:
        raise UsageError("--only, --list and --explain of trace need --stress", hint="devenv trace --stress --list")
    if list_all or explain:
        from devenv.trace.stress.run import explain_condition, list_conditions

        show(explain_condition(explain) if explain else list_conditions())
    if subject is None and from_request is None and not (step or action or stress or html or otlp):
        from devenv.trace.subjects import list_subjects

        show(list_subjects(stack()))
    if step and chosen.json:
        raise UsageError("--step and --json exclude each other", hint="leave one of them out")
    if step + action + stress > 1:
        raise UsageError("--step, --action and --stress exclude each other", hint="leave all but one of them out")
    asked, typed = named_subject(subject, tuple(values or ()), from_request)
    if step:
        from devenv.render.trace_step import check_terminal, walk

        check_terminal()

    opened = stack()
    consent(opened.loaded, "trace", "token", "services")
    kind = "stress" if stress else "action" if action else "trace"
    ask = partial(run_trace, kind, asked, typed, user, show_payloads, tuple(only or ()), budget)
    report = ask(opened)
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


def named_subject(
    subject: str | None, values: tuple[str, ...], from_request: int | None
) -> tuple[str, tuple[str, ...]]:
    """Return what is traced: what was typed, or what a request of the list was about. UsageError without either."""
    if from_request is not None:
        from devenv.query.requests import subject_of

        if subject is not None:
            raise UsageError(
                "--from-request already determines the subject: give no SUBJECT",
                hint=f"devenv trace --from-request {from_request}",
            )
        return subject_of(stack(reads=False), from_request)
    if subject is None:
        raise UsageError("trace needs a subject", hint="devenv trace (lists the subjects, with values)")
    return subject, values


def run_trace(
    kind: str,
    subject: str,
    typed: tuple[str, ...],
    user: str | None,
    payloads: bool,
    only: tuple[str, ...],
    budget_s: float,
    opened: Stack | None = None,
) -> Report:
    """One trace, alone or with what `--action` and `--stress` add. The project is read again if it is not `opened`."""
    opened = opened or stack()
    with watching() as watch:
        if kind == "trace":
            from devenv.trace.run import trace as work

            return work(opened, subject, typed, user, payloads=payloads, say=watch.say)
        if kind == "action":
            from devenv.trace.action.run import trace_action

            return trace_action(opened, subject, typed, user, payloads=payloads, say=watch.say)
        from devenv.trace.stress.run import stress

        return stress(opened, subject, typed, user, only=only, budget_s=budget_s, payloads=payloads, say=watch.say)


def verify_context(opened: Stack) -> Context:
    """Return what `verify` and `repair` compare."""
    from devenv.config.services import STORES
    from devenv.lifecycle.steps import read_inputs
    from devenv.verify.context import Context

    def ready() -> None:
        for name in STORES:
            opened.require_running(name)

    def settled(writes: Sequence[Write]) -> None:
        from devenv.doctor.gather import settle

        settle(opened, writes)

    definitions = read_inputs(opened)["schema-load"].content or ()
    tables = {definition.table: definition.request for definition in definitions}
    return Context(opened.settings, opened.engine.targets(), opened.folder, tables, ready, settled)


def verify(
    plan: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a repair plan.")] = None,
    findings: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all findings to this file, as JSON lines.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Use N processes. Default: one per core.")
    ] = None,
    segments: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Read each table in N segments. Default: by its size.")
    ] = None,
    max_items: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Stop after about N items; the verdict is then not verified.",
        ),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Start from the beginning, even if a comparison was interrupted.")
    ] = False,
    sdk: Annotated[bool, typer.Option("--sdk", help="Read through the AWS SDK (slower).")] = False,
) -> None:
    """Compare every id in both stores, and report how much was read."""
    from devenv.verify import compare as work
    from devenv.verify.context import VerifyOptions

    options = VerifyOptions(plan, findings, workers, segments, max_items, restart, "sdk" if sdk else "raw")
    opened = stack()
    with watching() as watch:
        report = work.verify(verify_context(opened), options, watch)
    show(report)


def repair_apply(
    plan: Annotated[Path, typer.Argument(metavar="FILE", help="A plan that `verify --plan` wrote.")],
    allow_loss: Annotated[
        bool, typer.Option("--allow-loss", help="Also delete orphans, except those whose row exists under another id.")
    ] = False,
) -> None:
    """Apply a repair plan; skip items that changed after the plan was written. Then compare again."""
    from devenv.stack import open_locked
    from devenv.verify.repair_plan import apply_plan

    with watching() as watch, open_locked(chosen.project, chosen.limit, watch.say) as opened:
        opened = agreed_stack(opened)
        opened.engine.permit(None)
        report = apply_plan(verify_context(opened), plan, watch, allow_loss=allow_loss)
    show(report)


def repair_undo(
    plan: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A plan that was applied. Default: what `doctor --fix` wrote last."),
    ] = None,
) -> None:
    """Undo a repair plan that was applied, or what the last `doctor --fix` wrote."""
    from devenv.stack import open_locked
    from devenv.verify.repair_plan import undo_plan

    with watching() as watch, open_locked(chosen.project, chosen.limit, watch.say) as opened:
        opened = agreed_stack(opened)
        opened.engine.permit(None)
        if plan is None:
            from devenv.doctor.gather import settle
            from devenv.verify.fixes import undo_last

            report, writes = undo_last(verify_context(opened))
            settle(opened, writes)
        else:
            report = undo_plan(verify_context(opened), plan, watch)
    show(report)


def patterns_list() -> None:
    """List the declared patterns, without reading a store."""
    from devenv.patterns import command

    show(command.list_patterns(stack(reads=False)))


def patterns_run(
    name: Pattern,
    param: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="Set a parameter. Default: a value from the data.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=0, help="Show at most N items.")] = 20,
) -> None:
    """Run one pattern, and its script if any; show items, pages, read units, cost and PartiQL."""
    from devenv.patterns import command

    opened = stack()
    consent(opened.loaded, "patterns")
    show(command.run_pattern(opened, name, param or (), limit))


def patterns_check(
    scripts: Annotated[
        bool, typer.Option("--scripts", help="Also run the patterns' scripts, and compare the results.")
    ] = False,
    rules: Annotated[bool, typer.Option("--list", help="Print the rules.")] = False,
) -> None:
    """Run all patterns, and check them, their keys, their indexes and the data."""
    from devenv.patterns import command

    if rules:
        show(command.list_rules(stack(reads=False)))
    opened = stack()
    if scripts:
        consent(opened.loaded, "patterns")
    show(command.check_patterns(opened, scripts))


def patterns_explain(name: Pattern) -> None:
    """Explain why a pattern is a Query, a GetItem or a Scan, and what it reads."""
    from devenv.patterns import command

    show(command.explain_pattern(stack(), name))


def patterns_matrix(
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write an HTML page.")] = None,
) -> None:
    """Show which pattern reads which entity by which key, and what the reads would cost with one table per entity."""
    from devenv.patterns import command

    report = command.show_matrix(stack())
    if html:
        from devenv.render.patterns_html import write_html

        write_file(html, write_html(report))
    show(report)
