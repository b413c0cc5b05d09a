"""A folder's own code that needs the user's consent: commands, their variables, SQL that acts outside the database."""

from __future__ import annotations

from devenv.config.commands import Command, Runner, agreed_text, commands_of
from devenv.config.load import Loaded
from devenv.host import trust


def own_code(loaded: Loaded) -> tuple[Command, ...]:
    """Every command of the settings, and every statement of the SQL files that only a superuser may run."""
    return (*commands_of(loaded.settings), *acting_sql(loaded))


def acting_sql(loaded: Loaded) -> tuple[Command, ...]:
    """The statements of the SQL files that only a superuser may run, remembered beside what the user agreed to."""
    from devenv.steps.setup.acting import acting_commands

    # Not in the project's folder: what it says of itself proves nothing.
    kept = trust.record_of(trust.sql_folder(), loaded.root)
    return acting_commands(loaded.settings, loaded.root, kept)


def agreed_lines(loaded: Loaded) -> tuple[str, ...]:
    """Return what a user agrees to, one line each."""
    return (*agreed_text(loaded.settings), *map(str, acting_sql(loaded)))


def needs_trust(loaded: Loaded, *runners: Runner) -> bool:
    """Return True if `runners` would run code of the folder."""
    return any(command.runner in runners for command in own_code(loaded))


def is_trusted(loaded: Loaded) -> bool:
    """Return True if the user agreed to exactly this code; also if there is none and the folder was trusted."""
    return trust.is_recorded(trust.trust_folder(), loaded.root, agreed_lines(loaded))


def can_be_trusted(loaded: Loaded) -> bool:
    """Return True if trust changes anything: the folder has code, or SQL files that a superuser would run."""
    setup = loaded.settings.steps.setup
    return bool(setup.files or setup.before or agreed_lines(loaded))
