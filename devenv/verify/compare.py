"""`devenv verify`: every id of one store held against the other, at any size, with the proof of what was compared.

DynamoDB is read in parallel segments (`scan`) and sifted into small records (`candidate_filter`), which spill to hash
partitions on disk (`spill`); Postgres is read in one snapshot (`rows`); the partitions are joined (`join`), and what
does not fit is read again from both stores, twice, before it is a finding (`recheck`). Workers (`worker_pool`, `work`)
do all that; this module plans the jobs, keeps the checkpoint, and makes the report. What the report means is decided in
`verdict`.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import msgspec

from devenv.core.errors import DevenvError, StoreError, UsageError
from devenv.core.events import Watch
from devenv.core.model import Report
from devenv.host.state import lock
from devenv.verify.comparison import Comparison
from devenv.verify.context import Context, VerifyOptions
from devenv.verify.journal import journal_path, read_ours
from devenv.verify.output import FINDINGS, PLAN, check_output
from devenv.verify.plan import PlanHead
from devenv.verify.report import report
from devenv.verify.tasks import look_at_stores
from devenv.verify.verdict import Coverage
from devenv.verify.worker_pool import Crew


def verify(context: Context, options: VerifyOptions, watch: Watch) -> Report:
    """Compare both stores and report. A store that does not answer is exit 3, as is a project that declares nothing."""
    settings = context.settings
    began = time.monotonic()
    if not settings.links and not settings.groups and not settings.entities:
        return report(context, Coverage(unlinked=True), {}, began=began)
    options = replace(options, plan=plan_file(context, options.plan), findings=findings_file(options))
    folder = context.folder / "verify"
    try:
        context.ready()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with lock(folder, 0.0, watch.say, "wait for it to end, then: devenv verify"), Crew(folder) as crew:
            seen = look_at_stores(context)
            comparison = Comparison(context, options, watch, folder, seen, began)
            try:
                return comparison.compare(crew)
            except KeyboardInterrupt:
                raise comparison.interrupted() from None
    except StoreError as error:
        error.with_hint("devenv up")
        return report(context, Coverage(problems=(error.what,)), {}, error=error.failure, began=began)
    except OSError as error:
        # Stores raise StoreErrors: this is a file.
        raise DevenvError(
            "a file of the comparison cannot be used",
            detail=str(error),
            hint="run the same command again: it continues where it stopped",
        ) from None


def plan_file(context: Context, path: Path | None) -> Path | None:
    """Return where to write the plan. UsageError where that would lose something: what an applied plan changed, too."""
    if path is None:
        return None
    place = check_output(path, PLAN)
    try:
        with place.open("rb") as file:
            head = msgspec.json.decode(file.readline(), type=PlanHead)
    except (OSError, msgspec.DecodeError):
        return place
    if read_ours(journal_path(context.folder, head.sha256)):
        raise UsageError(
            f"{path} is not replaced",
            detail="it was applied; undoing it needs this file",
            hint="name another file",
        )
    return place


def findings_file(options: VerifyOptions) -> Path | None:
    """Return where to write all findings. UsageError as above, and for one file for both."""
    path = options.findings
    if path is None:
        return None
    if options.plan is not None and os.path.realpath(path) == os.path.realpath(options.plan):
        raise UsageError(f"{path} cannot be both the plan and the findings", hint="name another file")
    return check_output(path, FINDINGS)
