"""Finishes what a killed command began, before another command works on the same data."""

from __future__ import annotations

import contextlib
import shutil

from devenv.core.errors import DevenvError, UsageError
from devenv.core.events import Watch
from devenv.engines.registry import engine_class
from devenv.host.state import meant_up
from devenv.stack import Stack


def refuse_left(stack: Stack) -> None:
    """UsageError when a killed command left services up on the engine of before, which the state does not know yet."""
    engine = stack.engine
    if not engine.came_from:
        return
    before = engine_class(engine.came_from)(stack.loaded, stack.folder, stack.environ, aside=True)
    with contextlib.suppress(DevenvError):
        before.adopt()
    if left := meant_up(before.state):
        raise UsageError(
            f"this project is up on engine `{before.name}` ({', '.join(left)}): a killed command left it running",
            hint=f"devenv down && devenv up --engine {engine.name}",
        )


def recover(stack: Stack, watch: Watch) -> None:
    """Finish what a killed command began with the data folders, or a moved project. Cheap when there is nothing."""
    if stack.engine.came_from and not stack.engine.aside:
        before, now = stack.engine.came_from, stack.engine.name
        watch.say(f"from engine `{before}` to `{now}`: each has its own data; the data of `{before}` is kept")
    if stack.engine.moved_from:
        watch.say(f"this project was moved here from {stack.engine.moved_from}; its data is now used here")
        stack.engine.follow_move()
    home = stack.engine.home
    # In a cache that this account may not look into it has nothing, either.
    with contextlib.suppress(PermissionError):
        if any((stack.engine.cache / "baselines").glob(".new-*")):
            from devenv.snapshots import baseline

            baseline.drop_halves(stack.engine.cache)
    if any(home.glob(".diff-*")):
        from devenv.snapshots.diff_folder import sweep_diffs

        sweep_diffs(home)
    for gone in home.glob(".gone-*"):
        shutil.rmtree(gone)
    left = any((home / name).exists() for name in ("restore.json", ".incoming", ".new-baseline"))
    if left or any((home / "snapshots").glob(".*")):
        from devenv.snapshots import cleanup

        cleanup.recover(stack, watch)
