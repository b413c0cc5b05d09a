"""The steps in their order. Adding one is a module with the functions of a Step, and a line here."""

from __future__ import annotations

from devenv.steps.schema_load import schema_load
from devenv.steps.seed import seed, source
from devenv.steps.setup import migrations, remembered, rights, setup
from devenv.steps.step import Handles, Inputs, Step, StepContext, StepOutcome

__all__ = ["STEPS", "Handles", "Inputs", "Step", "StepContext", "StepOutcome"]

STEPS = (
    Step(
        name="setup",
        needs=("postgres",),
        source=lambda settings: settings.steps.setup,
        stream=remembered.read,
        examine=setup.examine,
        apply=setup.apply,
        strangers=setup.strangers,
        present=setup.present,
        gather=migrations.gather,
        lacks=setup.lacks,
        restore=setup.restore,
        makes="rows",
        clear=rights.clear,
        provide=rights.provide,
    ),
    Step(
        name="schema-load",
        needs=("dynamodb",),
        source=lambda settings: settings.steps.schema_load,
        parse=schema_load.parse,
        examine=schema_load.examine,
        apply=schema_load.apply,
        strangers=schema_load.strangers,
        lacks=schema_load.lacks,
    ),
    Step(
        name="seed",
        needs=("postgres", "dynamodb"),
        source=lambda settings: settings.steps.seed,
        stream=source.stream,
        examine=seed.examine,
        apply=seed.apply,
        strangers=seed.strangers,
        lacks=seed.lacks,
        restore=seed.restore,
        makes="items",
        clear=seed.clear,
        unknown=seed.unknown,
    ),
)
