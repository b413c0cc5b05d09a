"""`devenv setup`, `schema-load`, `seed` and `reset`: steps from scratch, after a backup of the previous data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

from devenv.config.services import STORES
from devenv.core.errors import Exit
from devenv.core.events import Watch
from devenv.core.model import Report
from devenv.engines.ends import ends_reported
from devenv.engines.kinds.registry import EMPTIED, emptied, transient
from devenv.lifecycle.load import StepLoader
from devenv.lifecycle.plan import UpOptions
from devenv.lifecycle.recover import recover
from devenv.lifecycle.start import Clock, ServiceStarter
from devenv.lifecycle.steps import Inputs, read_inputs, step_context, step_states
from devenv.stack import Stack


def run_fresh(
    stack: Stack,
    names: Sequence[str],
    command: str,
    options: UpOptions,
    watch: Watch,
    clock: Clock,
    agree: Callable[[Sequence[str]], None],
) -> Report:
    """The named steps from scratch (`devenv setup|schema-load|seed|reset`); stores that are stopped are started.

    `agree` is told what would be lost that devenv did not write, and raises unless the user agrees. Only running
    stores can tell, so it is asked after they are up.

    The data of before is kept as a snapshot. A reset restores the baseline instead, unless there is a doubt.
    """
    stack.engine.permit(None)
    recover(stack, watch)
    inputs = read_inputs(stack, whole=True, say=watch.say)
    services = ServiceStarter(stack, options, watch, clock)
    loader = StepLoader(services)
    try:
        services.start_stores([s.name for s in stack.engine.look() if s.name in STORES and s.state != "running"])
        for name in STORES:
            services.ready(name)
        agree(foreign_data(stack, names, inputs))
        with ends_reported(stack.engine, watch.say):
            doubt, kept = loader.reset(inputs) if command == "reset" else (None, None)
            if command != "reset" or doubt:
                kept = loader.keep(f"before `devenv {command}`")
                with emptied(stack.engine):
                    loader.run_all(inputs, names)
            if doubt:
                loader.remake_baseline(inputs)
        for own in transient(stack.engine):
            watch.say(EMPTIED.format(name=own.name))
        states = step_states(stack, inputs)
        stack.engine.remember_steps(states)
    finally:
        services.close()
    method = {} if command != "reset" else {"method": "steps" if doubt else "baseline", "doubt": doubt}
    return Report(
        command=command,
        project=stack.settings.project.name,
        exit_code=Exit.DONE,
        body={
            "steps": [asdict(state) for state in states],
            **method,
            "snapshot": kept,
            "timings": clock.finish(),
        },
    )


def foreign_data(stack: Stack, names: Sequence[str], inputs: Inputs) -> list[str]:
    """Sentences about data that devenv did not write and that running `names` from scratch would destroy."""
    from devenv.steps.registry import STEPS

    context = step_context(stack, lambda text: None)
    asked = [step for step in STEPS if step.name in names]
    if "schema-load" in names and inputs["schema-load"].content and not inputs["seed"].command:
        # Seed files fill tables that schema-load's files define: all of their items are counted there.
        asked = [step for step in asked if step.name != "seed"]
    found = [step.foreign(context, inputs[step.name]) for step in asked]
    return list(dict.fromkeys(sentence for sentence in found if sentence))
