"""`--help` as text: as wide as the terminal, nothing cut, the commands under headings."""

from __future__ import annotations

import difflib

# Typer has no public name for the types of its own Click; its version is pinned for this too.
from typer._click import Command, Context, HelpFormatter
from typer._click.exceptions import UsageError
from typer.core import TyperGroup

# Above this width, lines are hard to read.
MAX_WIDTH = 160
HEADING_OF_A_GROUP = "Commands"
# What may lose data: a misspelt word never suggests it.
DESTRUCTIVE = frozenset(
    ["setup", "schema-load", "seed", "reset", "restore", "delete", "import", "put", "apply", "undo"]
)


class GroupedHelp(TyperGroup):
    """A group whose help lists its commands under the headings they are registered with (`rich_help_panel`)."""

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write one list per heading; the first sentence of each command is wrapped, never cut."""
        headings: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is None or command.hidden:
                continue
            heading = getattr(command, "rich_help_panel", None) or HEADING_OF_A_GROUP
            text = command.get_short_help_str(limit=len(command.help or "") + 1)
            headings.setdefault(heading, []).append((name, text))
        width = max((len(name) for rows in headings.values() for name, _ in rows), default=0)
        for heading, rows in headings.items():
            with formatter.section(heading):
                # Padded names: the texts of all headings begin in one column.
                formatter.write_dl([(name.ljust(width), text) for name, text in rows])

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """The command that was typed. UsageError with the commands that are spelt alike and can lose nothing."""
        self.suggest_commands = False
        try:
            return super().resolve_command(ctx, args)
        except UsageError as error:
            known = [name for name in self.list_commands(ctx) if name not in DESTRUCTIVE]
            near = difflib.get_close_matches(args[0], known) if args else []
            if near:
                found = ", ".join(f"'{name}'" for name in near)
                error.message = f"{error.message.rstrip('.')}. Did you mean {found}?"
            raise
