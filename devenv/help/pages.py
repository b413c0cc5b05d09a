"""The help pages: their topics and their text. Nothing of a project is read."""

from __future__ import annotations

import difflib
import re
from importlib import resources

from devenv.core.errors import Exit, UsageError
from devenv.core.model import Report

# In reading order. A topic is a file `<topic>.md` beside this module, and a line here.
TOPICS = (
    "start",
    "projects",
    "commands",
    "configuration",
    "doctor",
    "traces",
    "ui",
    "tap",
    "streams",
    "caching",
    "verify",
    "patterns",
    "snapshots",
    "tests",
    "protection",
    "engines",
    "exit-codes",
    "how-it-works",
)


def read_page(topic: str) -> str:
    """Return the Markdown of a topic, which may be in the singular. UsageError, with the nearest name, for no topic."""
    topic = f"{topic}s" if f"{topic}s" in TOPICS else topic
    if topic not in TOPICS:
        near = difflib.get_close_matches(topic, TOPICS, 1)
        hint = f"devenv help {near[0]}" if near else "devenv help  (lists the pages)"
        if re.search(rf"`devenv {re.escape(topic)}\b", read_page("commands")):
            hint = f"devenv {topic} --help"
        raise UsageError(f"there is no help page `{topic}`", hint=hint)
    return resources.files(__package__).joinpath(f"{topic}.md").read_text("utf-8")


def title_of(page: str) -> str:
    """Return what stands behind the topic in the page's first line: `# topic: title`."""
    return page.partition("\n")[0].partition(": ")[2]


def help_report(topic: str | None) -> Report:
    """Report one page, or the list of pages if `topic` is None. Body: `{topics: [{name, title}], text: str | None}`."""
    topics = [{"name": name, "title": title_of(read_page(name))} for name in TOPICS]
    return Report("help", None, Exit.DONE, {"topics": topics, "text": None if topic is None else read_page(topic)})
