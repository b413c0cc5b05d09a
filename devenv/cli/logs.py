"""`devenv logs`: its options."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from devenv.cli.options import chosen, show, stack
from devenv.core.errors import Exit, UsageError
from devenv.core.model import Report


def logs(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SERVICE…]", help="Services that `devenv status` lists; also: tap, steps. Default: all."
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new lines until Ctrl-C.")] = False,
    lines: Annotated[
        int | None,
        typer.Option("--tail", metavar="N", min=0, help="Print the last N lines of each log. Default: 50."),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Print lines since TIME: 10m, 2h, or a date and time.")
    ] = None,
    grep: Annotated[
        str | None, typer.Option("--grep", metavar="REGEX", help="Print the lines that match this expression.")
    ] = None,
) -> None:
    """Print the logs of the services by time, also after they stopped."""
    from devenv.lifecycle.logs import LogFilter, history, parse_pattern, parse_since, read_logs
    from devenv.render.report import use_color

    opened = stack(reads=False)
    engine = opened.engine
    known = (*engine.services, *(["tap"] if engine.log("tap").exists() else []), "steps")
    for name in names or ():
        if name not in known:
            raise UsageError(f"there is no service `{name}`", hint=f"one of: {', '.join(known)}")
    wanted = list(dict.fromkeys(names or known))
    searched = since is not None or grep is not None
    rule = LogFilter(
        lines=lines if lines is not None or searched else 50,
        since=None if since is None else parse_since(since, time.time()),
        pattern=None if grep is None else parse_pattern(grep),
        styles=not chosen.json and use_color(chosen.color, sys.stdout),
    )
    engine.gather_logs(wanted)
    files = {name: engine.log(name) for name in wanted}
    if chosen.json:
        if follow:
            raise UsageError("--follow prints text only", hint="devenv logs --json --tail 100")
        found = history(files, rule)
        body = {
            "logs": {name: [line.text for line in found if line.service == name] for name in wanted},
            "lines": [{"service": line.service, "at": round(line.at, 3), "text": line.text} for line in found],
        }
        show(Report("logs", opened.settings.project.name, Exit.DONE, body))
    with engine.following_logs(wanted if follow else ()):
        for text in read_logs(files, rule, follow):
            # Not typer's echo, which would take colours out that --color always keeps.
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush() if follow else None
