"""`devenv ui`: the live page."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from devenv.cli.options import chosen
from devenv.core.errors import UsageError

if TYPE_CHECKING:
    from devenv.engines.base import Engine


def ui(
    port: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, max=65535, show_default=False, help="The port to listen on. Default: a free one."
        ),
    ] = 0,
    no_open: Annotated[bool, typer.Option("--no-open", help="Print the address; open no browser.")] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Allow the page to change things: steps, reset, snapshots, repairs.")
    ] = False,
) -> None:
    """Open a live page in the browser: both stores, every request, and the first layer that breaks."""
    from devenv.config.load import load
    from devenv.ui.serve import serve
    from devenv.ui.site import PageOptions

    if chosen.json:
        raise UsageError(
            "devenv ui does not support --json", hint="every page has its JSON: add ?format=json to its address"
        )
    loaded = load(chosen.project)
    options = PageOptions(write, chosen.trust, chosen.allow_remote)
    name = loaded.settings.project.name
    serve(loaded.root, name, options, port, dict(os.environ), announce, visit if not no_open else lambda _: None)


def open_beside(engine: Engine) -> None:
    """Start the page as a process of its own, and open it: for `up --ui`."""
    from devenv.lifecycle import page

    address = page.start(engine, trust=chosen.trust, allow_remote=chosen.allow_remote)
    typer.echo(f"devenv ui: {address}", err=True)
    if sys.stdout.isatty():
        visit(address)


def announce(words: str) -> None:
    """The address on stdout, at once also where that is a pipe."""
    typer.echo(words)
    typer.get_text_stream("stdout").flush()


def visit(address: str) -> None:
    """Open the user's browser, where there is one."""
    import webbrowser

    webbrowser.open(address)
