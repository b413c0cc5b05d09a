"""A ninth layer and another check, as somebody who adds one writes them: nothing else knows of them."""

from __future__ import annotations

from typing import Final

from devenv.core.model import Finding, Fix, Outcome
from devenv.doctor.checks.check import Check, failed
from devenv.doctor.context import DoctorFacts
from devenv.trace.layer import Given, Layer
from devenv.trace.observation import Observation
from devenv.trace.question import TraceContext


def observe(context: TraceContext, given: Given) -> Observation:
    """What it sees of the layer that it needs."""
    assert given.person is not None
    return Observation(
        request={"asked": "the mirror"},
        output={"person": given.person["handle"], "copies": 2},
        findings=(Finding("crooked", "the mirror shows somebody else", "it hangs askew", Fix("hang it straight")),),
    )


LAYER: Final = Layer(
    name="mirror",
    question="What does the mirror show?",
    observe=observe,
    needs=("postgres",),
    summarize=lambda seen: f"{seen.output['copies']} copies of {seen.output['person']}",
    evidence=lambda seen: [("mirror", f"it shows {seen.output['copies']} copies")],
    attributes=lambda seen: {"devenv.mirror.copies": seen.output["copies"]},
)


def run(facts: DoctorFacts) -> Outcome:
    """It never holds."""
    return failed(f"{facts.context.settings.project.name} has a crooked mirror")


CHECK: Final = Check("MIR001", "mirror", "mirrors", "every mirror is straight", run, "Look at it from the side.")
