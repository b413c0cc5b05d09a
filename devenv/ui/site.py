"""One project as the page sees it: opened anew for every question, because it changes beside the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from devenv.core.errors import UsageError
from devenv.stack import Stack, open_stack
from devenv.ui.guard import Door
from devenv.ui.jobs import Jobs
from devenv.ui.tables import Tables

if TYPE_CHECKING:
    from devenv.config.commands import Runner


@dataclass(frozen=True)
class PageOptions:
    """How the page was started. `write`: it may change things. `trust`: this folder's commands may run, for now."""

    write: bool = False
    trust: bool = False
    allow_remote: bool = False

    @property
    def words(self) -> list[str]:
        """The same, as global options of a command."""
        wanted = [("--trust", self.trust), ("--allow-remote", self.allow_remote)]
        return [word for word, is_wanted in wanted if is_wanted]


@dataclass(frozen=True)
class Site:
    """Everything that the page's handlers need."""

    root: Path
    name: str
    options: PageOptions
    door: Door
    jobs: Jobs
    environ: Mapping[str, str]
    tables: Tables = field(default_factory=Tables)

    def open(self) -> Stack:
        """The project, for reading. DevenvError when its devenv.toml or its state cannot be used."""
        opened = open_stack(self.root)
        opened.engine.admit(self.options.allow_remote, lambda _: None)
        return opened

    def require_write(self) -> None:
        """UsageError unless the page may change things."""
        if not self.options.write:
            raise UsageError("this page is read-only; nothing was changed", hint="devenv ui --write")

    def require_trust(self, opened: Stack, *runners: Runner) -> None:
        """UsageError if `runners` or the stores would run code of the folder, and it is not trusted to."""
        from devenv.lifecycle.agreement import agreed_lines, is_trusted, needs_trust

        if self.options.trust or self.environ.get("DEVENV_TRUST") == "1":
            return
        if needs_trust(opened.loaded, "stores", *runners) and not is_trusted(opened.loaded):
            raise UsageError(
                f"{opened.root} is not trusted to run its own commands",
                detail="\n".join(agreed_lines(opened.loaded)),
                hint="read them, then run `devenv trust`",
            )
