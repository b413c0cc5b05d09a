"""The steps in their order. Adding one is a module with the functions of a Step, and a line here."""

from __future__ import annotations

from devenv.steps import setup
from devenv.steps.step import Handles, Inputs, Outcome, Step, StepContext

__all__ = ["STEPS", "Handles", "Inputs", "Outcome", "Step", "StepContext"]

STEPS = (
    Step(
        name="setup",
        needs=("postgres",),
        source=lambda settings: settings.steps.setup,
        parse=setup.parse,
        examine=setup.examine,
        apply=setup.apply,
        strangers=setup.strangers,
        present=setup.present,
    ),
)
