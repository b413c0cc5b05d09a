"""The state of a project's steps, and the resources that they may use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from devenv.config.services import STORES
from devenv.core.errors import StoreError, UsageError
from devenv.core.model import StepState
from devenv.lifecycle.plan import ORDER
from devenv.stack import Stack

if TYPE_CHECKING:
    from devenv.steps.registry import StepContext


Inputs = Mapping[str, Any]


def read_inputs(stack: Stack, *, whole: bool = False, say: Callable[[str], None] = lambda text: None) -> Inputs:
    """Read and check every step's files, before anything is written. UsageError (exit 2) for what is wrong there.

    Large seed files are read only if `whole`, and if they are not loaded already.
    """
    from devenv.config.references import find_undeclared, refuse
    from devenv.config.schema import FILE
    from devenv.steps.registry import STEPS
    from devenv.steps.stamps import Reading

    try:
        how = Reading(stack.engine.home / "ledger.sqlite", whole, say)
        inputs = {step.name: step.read(stack.settings, stack.root, how) for step in STEPS}
        if declared := inputs["schema-load"].content:
            refuse(find_undeclared(stack.settings, [each.table for each in declared]), stack.root / FILE)
        return inputs
    except UsageError as error:
        raise error.with_hint("fix it, then run `devenv up`") from None


def step_states(
    stack: Stack, inputs: Inputs, say: Callable[[str], None] = lambda _: None, *, thorough: bool = False
) -> tuple[StepState, ...]:
    """Return how the steps stand: asked of the stores when both run, else remembered.

    `thorough`: everything that was loaded is compared with what is there, however much it is. `say` takes progress.
    """
    from devenv.steps.registry import STEPS, Handles

    running = {service.name for service in stack.engine.look() if service.state == "running"}
    if running.issuperset(STORES):
        context = replace(step_context(stack, say), thorough=thorough)
        try:
            with Handles(context) as handles:
                return tuple(step.look(context, inputs[step.name], handles) for step in STEPS)
        except StoreError as error:
            reason = f"cannot be checked: {error.what}"
            return tuple(StepState(step.name, "pending", reason, unread=True) for step in STEPS)
    marks = stack.engine.state.steps
    return tuple(
        StepState(name, marks[name].state, f"on {marks[name].at}, when last checked: {marks[name].reason}")
        if name in marks
        else StepState(name, "pending", "never run")
        for name in ORDER
    )


def step_context(
    stack: Stack, say: Callable[[str], None], announce: Callable[[str], None] = lambda text: None
) -> StepContext:
    """Make the context of a step.

    `announce` takes what is to stay on the screen, unlike the progress that `say` takes.
    """
    from devenv.engines.embedded import dynamodb_file
    from devenv.steps.registry import StepContext

    engine = stack.engine
    targets = stack.engine.targets()
    return StepContext(
        settings=stack.settings,
        root=stack.root,
        postgres=targets.postgres,
        dynamodb=targets.dynamodb,
        ledger=stack.engine.home / "ledger.sqlite",
        environ={**stack.environ, **stack.environment()},
        say=say,
        log=stack.engine.log("steps"),
        trusted=stack.trusted,
        definitions=partial(dynamodb_file.read_definitions, dynamodb_file.store_in(engine.home))
        if engine.files
        else dict,
        stored=partial(dynamodb_file.read_items, dynamodb_file.store_in(engine.home)) if engine.files else None,
        extend=lambda: stack.engine.extend(lambda text, done, total: None if done else announce(text)),
    )


def readable_states(stack: Stack) -> tuple[StepState, ...]:
    """Return how the steps stand, also while their files cannot be read: that is then their reason."""
    try:
        return step_states(stack, read_inputs(stack))
    except UsageError as error:
        return tuple(StepState(name, "failed", f"its files cannot be used: {error.what}") for name in ORDER)
