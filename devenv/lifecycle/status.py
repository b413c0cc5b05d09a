"""`devenv status`: what runs, and how the steps stand. Reads only."""

from __future__ import annotations

from dataclasses import asdict

from devenv.core.errors import Exit
from devenv.core.model import Report
from devenv.lifecycle import tap
from devenv.lifecycle.steps import readable_states
from devenv.stack import Stack


def status(stack: Stack) -> Report:
    """What runs, where, since when, and how the steps stand. Changes nothing; exit 0 also when all is stopped."""
    return Report(
        command="status",
        project=stack.settings.project.name,
        exit_code=Exit.DONE,
        body={
            "engine": stack.engine.name,
            "services": [asdict(service) for service in (*stack.engine.look(), *tap.look(stack.engine))],
            "steps": [asdict(step) for step in readable_states(stack)],
        },
    )
