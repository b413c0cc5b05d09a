"""The commands of psql by kind: where one ends in a line, and why devenv leaves it out. Pure."""

from __future__ import annotations

import re
from typing import Final

from devenv.core.late import late

# They take the rest of the line, whatever is in it.
WHOLE_LINE: Final = late(r"copy|!\S*|h|help|ef|ev|sf\+?|sv\+?")
# A quoted argument, in which a backslash begins nothing; `\\` that ends the commands of a line; the next command.
PART: Final = late(r"'(?:[^'\\]|\\.|'')*'|\"[^\"]*\"|`[^`]*`|(?P<end>\\\\)|(?P<next>\\)")

# Each of these ends the statement before it. None: it runs as with a semicolon; else why it is left out.
ENDS: Final = {
    "g": None,
    "gx": None,
    ";": None,
    "crosstabview": None,
    "sendpipeline": None,
    "gset": "\\gset runs the result or stores it in variables, which devenv does not do",
    "gexec": "\\gexec runs the result or stores it in variables, which devenv does not do",
    "gdesc": "\\gdesc only describes the result",
    "watch": "\\watch repeats a statement",
    "parse": "\\parse prepares a statement for later, and devenv runs each statement once",
}
# They print their arguments: PRINTED stands where others have the reason why they are left out.
PRINTS: Final = ("echo", "qecho", "warn")
PRINTED: Final = "printed"
UTF8: Final = ("UTF8", "UNICODE")
# Nothing is left to do: devenv reads files as if these were carried out.
DONE: Final = late(r"(un)?restrict")
REASONS: Final = (
    (r"!\S*", "devenv runs no program for it"),
    (r"o|out|w|write|s", "devenv writes no files for it"),
    (r"e|edit|ef|ev", "it opens an editor"),
    (r"prompt|password", "it asks for input"),
    (r"setenv|getenv", "devenv passes no variables of the environment to SQL files"),
    (r"cd", "devenv looks for files beside the SQL file and in the project's folder"),
    (r"encoding", "devenv reads SQL files as UTF-8"),
    (r"lo_\w+", "devenv loads no large objects"),
    (r"close(_prepared)?|(start|end|sync)pipeline|flush(request)?|getresults", "devenv runs each statement by itself"),
    (r"timing|pset|[xatCfHT]|html", "it only changes how psql prints results"),
    (
        r"d\S*|l[x+]*|list[x+]*|z[Sx+]*|sf\+?|sv\+?|conninfo|h|help|\?|copyright|errverbose|p|print",
        "it only prints information",
    ),
)
KINDS: Final = late("|".join(f"(?P<k{number}>{names})" for number, (names, _) in enumerate(REASONS)))
UNKNOWN: Final = "devenv does not know this command of psql"


def why_left_out(command: str) -> str:
    """The reason why a command that devenv does not carry out is left out."""
    found = KINDS.fullmatch(command)
    return REASONS[int(found.lastgroup[1:])][1] if found and found.lastgroup else UNKNOWN


def first_command(line: str) -> tuple[str, str, int]:
    """(name, arguments, end) of the command that a line begins with; a backslash outside of quotes ends it.

    Two backslashes end all commands of the line: SQL follows, and `end` lies behind them.
    """
    if line.startswith("\\;"):
        return ";", "", 2
    name = re.match(r"\\([^\s\\]*)", line)
    assert name is not None  # noqa: S101 - the caller's token begins with a backslash
    at = name.end()
    if WHOLE_LINE.fullmatch(name[1]):
        return name[1], line[at:].strip(), len(line)
    for part in PART.finditer(line, at):
        if part["end"] or part["next"]:
            return name[1], line[at : part.start()].strip(), part.end() if part["end"] else part.start()
    return name[1], line[at:].strip(), len(line)
