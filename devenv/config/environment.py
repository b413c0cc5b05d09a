"""The connection settings that `devenv env` and `devenv run` give to a process, and their shell forms. Pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping

from devenv.config.issuer import ISSUER, has_issuer, token_places
from devenv.config.schema import Settings
from devenv.config.services import place_of
from devenv.core.late import late
from devenv.core.model import Targets

FILLED = late(r"\{\{(?P<plain>\w+)\}\}|(?P<scheme>[a-z][\w+.:-]*://)?\{(?P<name>\w+)\}")
FORMATS = ("shell", "dotenv", "json", "fish", "powershell")


def connection_environment(settings: Settings, targets: Targets) -> dict[str, str]:
    """Variable -> value for one project: what `devenv env` gives, and what the application gets.

    Values of `[env]` may use the PLACEHOLDERS: addresses, each part of them, and `{key}`, the project's generated
    development key. Behind a scheme (`postgresql+asyncpg://{postgres_url}`) an address stands without its own.
    """
    values: dict[str, str] = {}
    for target in targets.values():
        for name, value in target.variables.items():
            # Of two services that give the same variable it is the first one's.
            values.setdefault(name, value)
    fill = placeholder_values(settings, targets)
    for name, text in settings.env.items():
        # In one pass: what a placeholder is replaced by is not searched for placeholders.
        values[name] = FILLED.sub(lambda found: filled(found, fill), text)
    return values


def placeholder_values(settings: Settings, targets: Targets) -> dict[str, str]:
    """Placeholder -> value: those of each service, the development key, and those of the issuer."""
    values = {"backend_url": "", "key": targets.key}
    for name, target in targets.items():
        values |= target.placeholders(place_of(name))
    if has_issuer(settings) and (url := targets.url(ISSUER)):
        values |= token_places(settings, url)
    return values


def fill_places(text: str, values: Mapping[str, str]) -> str:
    """Fill in a command's word or a variable: other braces stay as they are (JSON in a command, say)."""

    def put(found: re.Match[str]) -> str:
        return filled(found, values) if (found["plain"] or found["name"]) in values else found[0]

    return FILLED.sub(put, text)


def filled(found: re.Match[str], values: Mapping[str, str]) -> str:
    """Return what a place in a value of `[env]` becomes: `{{x}}` is `{x}`; an address behind a scheme loses its own."""
    if found["plain"]:
        return f"{{{found['plain']}}}"
    value = values.get(found["name"], f"{{{found['name']}}}")
    return found["scheme"] + value.split("://", 1)[-1] if found["scheme"] else value


def format_environment(values: Mapping[str, str], form: str) -> str:
    """The variables as text that a shell (or a .env reader) takes; every value is quoted for that reader."""
    if form == "json":
        return json.dumps(dict(values), indent=2)
    return "\n".join(line(form, name, value) for name, value in values.items())


def line(form: str, name: str, value: str) -> str:
    """One variable for one reader."""
    if form == "dotenv":
        return f"{name}={quote_dotenv(value)}"
    if form == "fish":
        return f"set -gx {name} {quote_fish(value)}"
    if form == "powershell":
        # PowerShell takes four further characters for a single quote.
        quoted = re.sub("['\u2018-\u201b]", r"\g<0>\g<0>", value)
        return f"$env:{name} = '{quoted}'"
    return f"export {name}={shlex.quote(value)}"


def quote_dotenv(value: str) -> str:
    """A value for a .env file: single quotes, which every reader takes literally, where the value allows it.

    A shell that reads the file runs nothing: what is special between double quotes is escaped.
    """
    if "'" not in value:
        return f"'{value}'"
    return '"' + re.sub(r'[\\"$`]', r"\\\g<0>", value) + '"'


def quote_fish(value: str) -> str:
    """A value for fish, whose single quotes know two escapes."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
