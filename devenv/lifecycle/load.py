"""Runs the steps that are not done, each when the services it needs answer; keeps the baseline."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from devenv.config.services import STORES
from devenv.core.errors import DevenvError, StoreError
from devenv.core.model import Action, StepState
from devenv.core.plural import number_of
from devenv.lifecycle.plan import ORDER, plan_steps
from devenv.lifecycle.start import ServiceStarter
from devenv.lifecycle.steps import Inputs, step_context

if TYPE_CHECKING:
    from pathlib import Path

    from devenv.steps.registry import Handles, Step, StepContext


def unrestored(inputs: Inputs, names: Sequence[str]) -> dict[str, str]:
    """The limits of --restore-seeds, by step: devenv has no record of what a command loaded."""
    from devenv.steps.registry import STEPS

    return {
        step.name: f"its {step.makes} were not restored: the step is a command. `devenv {step.name}` runs it again"
        for step in STEPS
        if step.name in names and step.makes and inputs[step.name].command
    }


class StepLoader:
    """The steps of one command: looked at in order, run when they are not done; and the baseline made of them."""

    def __init__(self, services: ServiceStarter) -> None:
        self.services = services
        self.stack = services.stack
        self.engine = services.engine
        self.options = services.options
        self.watch = services.watch
        self.clock = services.clock
        self.step_states: tuple[StepState, ...] = ()
        # Whether all data is made by this very run, so that it can become the baseline.
        self.fresh = False
        # Where the baseline of all checkouts is or is to be; whether this run begins with it; what becomes of it.
        self.shared: Path | None = None
        self.adopted = False
        self.sharing: Path | None = None

    def load(self, inputs: Inputs, names: Sequence[str] = ORDER) -> tuple[Action, ...]:
        """Look at each step in order and run it unless it is done. A step waits only for the services it needs."""
        from devenv.steps.registry import STEPS, Handles
        from devenv.steps.step import keep_descriptions

        steps = {step.name: step for step in STEPS}
        restored: dict[str, int] = {}
        if self.fresh and not self.engine.files:
            self.fresh = self.is_untouched(inputs)
        with Handles(step_context(self.stack, self.watch.say)) as handles:

            def look(name: str) -> StepState:
                for needed in steps[name].needs:
                    self.services.ready(needed)
                context = self.context(name)
                handles.point_at(context)
                return self.look(steps[name], context, inputs[name], handles)

            def carry_out(action: Action) -> bool:
                name = action.target
                if action.action == "run":
                    handles.close()
                    self.run_step(steps[name], self.context(name), inputs[name], action.reason)
                    if self.fresh and name == "setup":
                        self.fresh = self.keep_baseline_database(inputs)
                else:
                    steps[name].keep(self.context(name), inputs[name])
                if self.options.restore and not inputs[name].command:
                    restored[name] = steps[name].restore(self.context(name), inputs[name])
                return True

            done = plan_steps(look, self.options, carry_out, names)
        for name in STORES:
            self.services.ready(name)
        with suppress(DevenvError):
            tables = {each.table for each in inputs["schema-load"].content or ()}
            keep_descriptions(step_context(self.stack, self.watch.say), tables)
        reasons = {action.target: action.reason if action.action == "keep" else "it was just run" for action in done}
        for name, count in restored.items():
            if count:
                reasons[name] = f"{number_of(count, 'deleted seed')} restored"
                self.watch.say(f"{name}: {reasons[name]}")
        reasons |= unrestored(inputs, names if self.options.restore else ())
        self.step_states = tuple(StepState(name, "done", reason) for name, reason in reasons.items())
        marks = self.engine.state.steps
        others = [StepState(name, marks[name].state, marks[name].reason) for name in marks if name not in names]
        self.engine.remember_steps((*self.step_states, *others))
        if self.fresh and (self.adopted or "baseline" in self.clock.parts):
            self.keep_baseline(inputs)
        return done

    def is_untouched(self, inputs: Inputs) -> bool:
        """Return True if the stores, once they answer, hold nothing that the steps could find: it is asked of them."""
        from devenv.snapshots import baseline

        for name in STORES:
            self.services.ready(name)
        return baseline.not_repeatable(inputs) is None and baseline.nothing_there(self.stack, inputs)

    def adopt_baseline(self, inputs: Inputs) -> None:
        """Begin with what another checkout of the project keeps, if there is one."""
        from devenv.snapshots import baseline

        self.shared = baseline.shared_place(self.stack, inputs)
        if self.shared and self.shared.exists():
            self.adopted = baseline.adopt(self.stack, self.shared)
            if self.adopted:
                self.watch.say("copied the baseline of another checkout of this project")

    def keep_baseline_database(self, inputs: Inputs) -> bool:
        """Keep a copy of the database that setup just made, while DynamoDB Local may still boot."""
        from devenv.snapshots import baseline

        began = time.perf_counter()
        kept = baseline.not_repeatable(inputs) is None and baseline.keep_database(self.stack)
        if kept and self.engine.files and self.shared and not self.shared.exists():
            self.sharing = baseline.share_cluster(self.stack, self.shared)
        self.clock.parts["baseline"] = time.perf_counter() - began
        return kept

    def keep_baseline(self, inputs: Inputs) -> None:
        """Keep what the steps made, for `reset`."""
        from devenv.snapshots import baseline

        began = time.perf_counter()
        baseline.keep_rest(self.stack, inputs, began)
        if self.sharing and self.shared:
            baseline.share_rest(self.stack, self.shared, self.sharing)
        self.clock.parts["baseline"] = self.clock.parts.get("baseline", 0.0) + time.perf_counter() - began

    def look(self, step: Step, context: StepContext, inputs: Any, handles: Handles) -> StepState:
        """How a step stands. A store that ran before this `up` is waited for only when it does not answer now."""
        try:
            return step.look(context, inputs, handles)
        except StoreError as error:
            if error.reached:
                raise
            handles.close()
            for name in step.needs:
                self.services.wait_or_start(name)
            return step.look(context, inputs, handles)

    def run_step(self, step: Step, context: StepContext, inputs: Any, reason: str, fresh: bool = False) -> None:
        began = time.perf_counter()
        self.watch.begin(step.name, f"running ({reason})")
        # Stands if this process is killed: `status` then tells which steps ran, also while the stores are stopped.
        self.engine.note_step(StepState(step.name, "failed", "its last run did not end"))
        try:
            result = step.run(context, inputs, fresh)
        except DevenvError as error:
            self.watch.end(step.name, error.what, ok=False)
            self.engine.note_step(StepState(step.name, "failed", f"its last run failed: {error.what}"))
            raise error.with_hint("fix it, then run `devenv up`") from None
        self.engine.note_step(StepState(step.name, "done", "it ran"))
        self.clock.parts[step.name] = time.perf_counter() - began
        for warning in result.warnings:
            self.watch.say(f"{step.name}: {warning}")
        self.watch.end(step.name, f"{result.summary} ({self.clock.parts[step.name]:.2f} s)", ok=True)

    def run_all(self, inputs: Inputs, names: Sequence[str]) -> None:
        """Run the named steps from scratch, in order."""
        from devenv.steps.registry import STEPS

        for step in STEPS:
            if step.name in names:
                self.run_step(step, self.context(step.name), inputs[step.name], "from scratch", fresh=True)

    def context(self, name: str) -> StepContext:
        """Return what the step may use; what it says is told under its name."""
        return step_context(self.stack, partial(self.watch.note, name), self.watch.say)

    def keep(self, reason: str) -> str | None:
        """Keep the present data before it is changed, and drop the oldest of what was kept so. The snapshot's name."""
        from devenv.snapshots import save
        from devenv.snapshots.cleanup import prune

        began = time.perf_counter()
        try:
            kept = save.keep(self.stack, reason, began)
        except StoreError as error:
            raise error.with_hint("free disk space (df -h), then run the same command again") from None
        prune(self.stack)
        self.clock.parts["snapshot"] = time.perf_counter() - began
        return kept.name if kept else None

    def reset(self, inputs: Inputs) -> tuple[str | None, str | None]:
        """Restore the baseline. Why that was not possible, if so; and the name of the snapshot of what was there."""
        from devenv.snapshots import baseline
        from devenv.snapshots.cleanup import prune

        began = time.perf_counter()
        if doubt := baseline.doubt(self.stack, inputs):
            self.watch.say(f"running the three steps: {doubt}")
            return doubt, None
        self.watch.begin("baseline", "restoring both stores")
        kept = baseline.restore(self.stack)
        self.clock.parts["baseline"] = time.perf_counter() - began
        self.watch.end("baseline", f"restored ({self.clock.parts['baseline']:.2f} s)", ok=True)
        began = time.perf_counter()
        prune(self.stack)
        self.clock.parts["pruning"] = time.perf_counter() - began
        return None, kept.name

    def remake_baseline(self, inputs: Inputs) -> None:
        """Make the baseline of what the steps just loaded, for the next reset."""
        from devenv.snapshots import baseline

        began = time.perf_counter()
        if baseline.remake(self.stack, inputs):
            self.clock.parts["baseline"] = time.perf_counter() - began
