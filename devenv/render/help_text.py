"""The text form of `devenv help`: the list of pages, or one page."""

from __future__ import annotations

import io
import shutil
import sys

from devenv.core.model import Report


def help_text(report: Report, verbose: bool) -> list[str]:
    """A page as styled text on a terminal, else as the Markdown it is."""
    text = report.body["text"]
    if text is None:
        width = max(len(topic["name"]) for topic in report.body["topics"])
        return [
            "Pages (devenv help PAGE):",
            *(f"  {topic['name']:<{width}}  {topic['title']}" for topic in report.body["topics"]),
            "Options of a command: devenv COMMAND --help",
        ]
    return styled(text) if sys.stdout.isatty() else text.splitlines()


def styled(text: str) -> list[str]:
    """Return Markdown as lines with terminal styles, as wide as the terminal, at most 100 columns."""
    from rich.console import Console
    from rich.markdown import Markdown

    out = io.StringIO()
    width = min(shutil.get_terminal_size().columns, 100)
    Console(file=out, force_terminal=True, width=width).print(Markdown(text, hyperlinks=False))
    return out.getvalue().splitlines()
