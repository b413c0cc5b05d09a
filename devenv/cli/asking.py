"""Questions on a terminal, which Ctrl-C ends at any moment."""

from __future__ import annotations

import os
import select
import sys
from typing import Final

import typer

POLL_S: Final = 0.1


def confirm(question: str) -> bool:
    """Ask for yes or no on standard error; Enter alone is no. typer.Abort at the end of the input."""
    while True:
        said = read_line(f"{question} [y/N]: ").lower()
        if said in ("y", "yes"):
            return True
        if said in ("", "n", "no"):
            return False
        typer.echo("Error: invalid input", err=True)


def read_line(prompt: str) -> str:
    """The line that is typed after `prompt`, without blanks around it. typer.Abort at the end of the input."""
    typer.echo(prompt, nl=False, err=True)
    # A Ctrl-C between `input`'s prompt and its read would wait for Enter; this looks for one now and then.
    while os.name == "posix" and not select.select([sys.stdin], [], [], POLL_S)[0]:
        pass
    line = sys.stdin.readline()
    if not line:
        raise typer.Abort
    return line.strip()
