"""`devenv down`: stops the services; `--data` also deletes their data."""

from __future__ import annotations

import contextlib
import shutil

from devenv.config.issuer import KEY_FILE
from devenv.config.services import STORES
from devenv.core.errors import DevenvError, Exit, StoreError, UsageError
from devenv.core.events import Watch
from devenv.core.model import POSTGRES, Report
from devenv.engines.base import Engine
from devenv.engines.kinds.kind import remove_all_data
from devenv.lifecycle import log_clock, page, tap
from devenv.lifecycle.recover import recover
from devenv.stack import Stack


def down(stack: Stack, data: bool, backup: bool, watch: Watch) -> Report:
    """Stop the services, last started first. With `data` their data goes too; with `backup` a snapshot keeps it."""
    engine = stack.engine
    traces = data and not engine.files and engine.has_traces()
    if traces:
        engine.permit(None)
    recover(stack, watch)
    engine.adopt()
    if (engine.home / "snapshots").exists() and not (data and not backup):
        from devenv.snapshots.cleanup import prune

        if stack.engine.runs(POSTGRES) and may_write(stack):
            # A server that answers nobody is to be stopped all the same; the next `down` tidies up.
            with contextlib.suppress(StoreError):
                prune(stack, stopping=True)
    engine.stop_improving()
    kept = None
    # Volumes go as a whole: only for a copy of what is in them, or for stores that others use too, must they run.
    if traces and (backup or engine.shared):
        from devenv.snapshots.cleanup import take_away

        watch.begin("data", "deleting (a backup is kept)" if backup else "deleting")
        kept = take_away(stack, backup)
        watch.end("data", "deleted", ok=True)
    stopped = []
    left = []
    # What the state knows counts, whatever devenv.toml says by now.
    for name in reversed(engine.known_services):
        if not engine.starts and name in STORES:
            left += [name] if may_run(engine, name) else []
            engine.stop(name)
            continue
        if engine.look_at(name).state != "running":
            engine.stop(name)
            continue
        watch.begin(name, "stopping")
        engine.stop(name)
        stopped.append(name)
        watch.end(name, "stopped", ok=True)
    log_clock.stop(engine)
    if tap.end(engine):
        stopped.append("tap")
    if page.stop(stack.root):
        stopped.append("ui")
    if data:
        tap.forget(engine)
        kept = remove_data(stack, backup) or kept
    return Report(
        command="down",
        project=stack.settings.project.name,
        exit_code=Exit.DONE,
        body={
            "stopped": stopped,
            "left": left,
            "data": "deleted" if data else "kept",
            "backup": kept,
            "stays": remains(stack),
        },
    )


def remains(stack: Stack) -> dict[str, object] | None:
    """The data that stays: its folder, bytes on disk, and how much of that are snapshots. None if there is none."""
    from devenv.host.files import size_of

    home = stack.engine.home
    kept = home / "snapshots"
    # An ordinary user's is the state folder, too, which is there before any data.
    if not any((home / name).exists() for name in ("snapshots", "ledger.sqlite", *STORES)):
        return None
    total = size_of(home)
    names = [each.name for each in kept.glob("[!.]*")] if kept.is_dir() else []
    return {"path": str(home), "bytes": total, "snapshots": len(names), "snapshot_bytes": size_of(kept) if names else 0}


def may_run(engine: Engine, name: str) -> bool:
    """Return True if a store that devenv did not start may run.

    It counts as running where these settings lack its address.
    """
    try:
        return engine.look_at(name).state == "running"
    except UsageError:
        return True


def may_write(stack: Stack) -> bool:
    """Return True if the stores are devenv's to write to: what only tidies up need not fail over it."""
    try:
        stack.engine.permit(None)
    except DevenvError:
        return False
    return True


def remove_data(stack: Stack, backup: bool) -> str | None:
    """Take the data of stopped stores away: into a snapshot, or for good. The snapshot's name, if made."""
    from devenv.engines.embedded import dynamodb_file
    from devenv.snapshots.cleanup import forget_databases, move_away
    from devenv.snapshots.save import has_data

    home = stack.engine.home
    movable = backup and stack.engine.files and has_data(stack)
    kept = move_away(stack).name if movable else None
    if not backup:
        forget_databases(home, stack.engine.shared)
    stack.engine.remove_data()
    remove_all_data(stack.engine)
    # What was agreed to last: by it a killed `down` can be done again.
    ledger = home / "ledger.sqlite"
    journal = home / f"ledger.sqlite{dynamodb_file.JOURNAL}"
    key = stack.engine.folder / KEY_FILE
    for part in (key, home / "baseline", ledger, journal, home / "secrets.json", home / "agreed.json"):
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)
    for folder in (home / "snapshots", home):
        # Not while it holds snapshots, or is the project's own state folder.
        with contextlib.suppress(OSError):
            folder.rmdir()
    stack.engine.forget_secrets()
    stack.engine.remember_steps(())
    return kept
