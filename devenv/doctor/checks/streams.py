"""Stream workers: does each receive the changes of its table, and does its function process them?"""

from __future__ import annotations

from typing import Final

from devenv.core.errors import StoreError
from devenv.core.model import Fix, Outcome
from devenv.core.plural import number_of
from devenv.doctor.checks.check import Check, failed, passed, unneeded, unverified
from devenv.doctor.context import DoctorFacts
from devenv.services.streams.judge import WorkerObservation, WorkerTrouble, judge_worker, summary


def run_workers(facts: DoctorFacts) -> Outcome:
    """The first trouble of each worker; refused records that are still kept are a warning."""
    context = facts.context
    if not context.look_at_workers:
        return unneeded("the project declares no stream worker")
    troubles: list[WorkerTrouble] = []
    refused: list[WorkerObservation] = []
    unseen: list[str] = []
    told: list[str] = []
    for name, look in context.look_at_workers.items():
        try:
            seen = look(context.service(name).state)
        except StoreError as error:
            unseen.append(f"{name}: {error.what}")
            continue
        if trouble := judge_worker(seen):
            troubles.append(trouble)
        elif seen.refused:
            refused.append(seen)
        told.append(f"{name} ({summary(seen.position)})")
    if troubles:
        first = troubles[0]
        return failed(
            (each.text for each in troubles),
            cause=first.cause,
            fix=Fix(
                "read why, correct it, then start it again" if "logs" in first.command else "start it", first.command
            ),
            subjects=(name for name in context.look_at_workers),
        )
    if unseen:
        return unverified("; ".join(unseen))
    if refused:
        kept = refused[0]
        problem = kept.position.error if kept.position is not None else None
        return failed(
            (f"{seen.name} keeps {number_of(seen.refused, 'refused record')}" for seen in refused),
            cause=problem.message if problem else None,
            fix=Fix(
                f"pass them to the function again; or remove {kept.refused_file} if they are not needed",
                f"devenv restart {kept.name} --refused",
            ),
            subjects=(seen.name for seen in refused),
            status="warn",
        )
    return passed(", ".join(told))


CHECKS: Final = (
    Check(
        code="SVC010",
        name="stream-workers",
        group="services",
        title="stream workers process the changes of their tables",
        run=run_workers,
        needs=("SVC002",),
        limit_s=20,
        explain="""\
For each [services.NAME] with `stream`: the table has a stream, the worker runs, its function did not fail with its
last batch, and the worker's position is at the end of the stream; a running worker is given two seconds to get
there.

Common causes: the table was defined without StreamSpecification; the function fails, exceeds its timeout or cannot
be loaded; it triggered itself in a loop and was stopped; the worker was not started.
Fix: devenv logs NAME; correct the function (it is reloaded automatically), then devenv up. To pass refused
records to it again: devenv restart NAME --refused; removing their file drops them.""",
    ),
)
