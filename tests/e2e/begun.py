"""Commands that are begun and not waited for: for tests of bad luck and surroundings."""

from __future__ import annotations

import subprocess
from typing import Any

from tests.support import LIMIT_S, ProjectDir, Ran

# Where only the data is looked at, the application need not start.
STORES = ("up", "--no-backend")


def start(project: ProjectDir, *arguments: str, **more: Any) -> subprocess.Popen[str]:
    """Begin a command without waiting for it."""
    return subprocess.Popen(
        project.command(*arguments),
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=project.path,
        **more,
    )


def finish(child: subprocess.Popen[str]) -> Ran:
    """Wait for a command that was begun."""
    out, err = child.communicate(timeout=LIMIT_S)
    return Ran(child.returncode, out, err)
