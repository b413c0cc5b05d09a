"""The uncertain guesses of `devenv init`: asked on a terminal, or answered by `--yes`."""

from __future__ import annotations

import tomllib

import click
import typer

from devenv.cli.asking import read_line
from devenv.init.sheet import Guess
from devenv.render.cells import clean


def choose_likely(guess: Guess) -> bool | None:
    """Take what is likely; leave the rest as a comment."""
    return True if guess.likely else None


def prompt(guess: Guess) -> bool | str | None:
    """Show a guess with its evidence and its lines, and ask: y takes it, n drops it, e opens an editor.

    Enter alone leaves it as a comment in the file.
    """
    typer.echo(f"\n{clean(guess.question)}", err=True)
    for line in guess.text.splitlines():
        typer.echo(f"    {clean(line)}", err=True)
    while True:
        word = read_line("y/n/edit, Enter: leave it as a comment: ").lower()
        if word in ("y", "yes"):
            return True
        if word in ("n", "no"):
            return False
        if not word:
            return None
        if word in ("e", "edit") and (text := edited(guess)) is not None:
            return text


def edited(guess: Guess) -> str | None:
    """The lines as the user's editor leaves them; None, after saying why, when they are not valid or not saved."""
    try:
        text = click.edit(guess.text, extension=".toml")
        if text is None:
            typer.echo("nothing was saved", err=True)
            return None
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        typer.echo(f"not valid TOML: {error}", err=True)
    except click.ClickException as error:
        typer.echo(f"the editor could not be started ({error.message}); set EDITOR", err=True)
    else:
        return text
    return None
