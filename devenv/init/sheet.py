"""A devenv.toml as it is written: sections, keys, comments, and edits that are asked for. Pure."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Final

WIDTH: Final = 118
# Lines that somebody has to agree to: taking this mark away puts them into effect.
MARK: Final = "#~ "
BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def toml(value: Any) -> str:
    """A value as TOML writes it, in one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        inner = ", ".join(f"{toml_key(str(name))} = {toml(part)}" for name, part in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    return f"[{', '.join(toml(part) for part in value)}]"


def toml_key(name: str) -> str:
    """A key, quoted where it must be."""
    return name if BARE.fullmatch(name) else toml(name)


def one_line(text: str) -> str:
    """A text for a comment: what was found in files must not end it."""
    return "".join(c if c.isprintable() else " " for c in text)


class Sheet:
    """The lines so far, and the edits that they ask for, numbered."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.edits: list[str] = []
        self._mark = ""
        self._heading = False

    def blank(self) -> None:
        """An empty line, unless there is one already."""
        if self.lines and self.lines[-1]:
            self.lines.append("")

    def comment(self, text: str) -> None:
        """A comment, wrapped."""
        self.lines += textwrap.wrap(one_line(text), WIDTH, initial_indent="# ", subsequent_indent="# ")

    def above(self, text: str) -> None:
        """A comment about the section that follows."""
        if not self._heading:
            self.blank()
        self.comment(text)
        self._heading = True

    def title(self, text: str) -> None:
        """The heading of a part of the file."""
        self.blank()
        self.lines.append(f"# --- {one_line(text)} ---")
        self.blank()

    def section(self, *names: str, array: bool = False) -> None:
        """`[a.b]` or `[[a]]`, with an empty line before it unless a comment stands there."""
        if not self._heading:
            self.blank()
        self._heading = False
        head = ".".join(map(toml_key, names))
        self.lines.append(f"{self._mark}[[{head}]]" if array else f"{self._mark}[{head}]")

    def key(self, name: str, value: Any, note: str = "", aside: Sequence[str] = ()) -> None:
        """`name = value  # note`; a long list goes over several lines, and so does one with parts to agree to."""
        self._heading = False
        text = toml(value)
        line = f"{self._mark}{toml_key(name)} = {text}"
        if isinstance(value, Sequence) and not isinstance(value, str) and (aside or len(line) > WIDTH):
            self.lines.append(f"{self._mark}{toml_key(name)} = [")
            self.lines += [f"{MARK if part in aside else self._mark}    {toml(part)}," for part in value]
            self.lines.append(f"{self._mark}]")
            return
        self.lines.append(line + (f" # {one_line(note)}" if note else ""))

    def maybe(self, name: str, value: Any, note: str) -> None:
        """One key that belongs to an edit which was asked for before."""
        self._mark = MARK
        self.key(name, value, note)
        self._mark = ""

    def ask(self, question: str) -> None:
        """Ask for an edit: the lines up to `agreed` have no effect until somebody takes their mark away."""
        self.note(f"{question} If so, take `{MARK.strip()}` away from the lines that follow.")
        self._mark = MARK

    def agreed(self) -> None:
        """What follows is in effect."""
        self._mark = ""

    def note(self, text: str) -> None:
        """Ask for something that is to be done by hand, here or elsewhere."""
        self.blank()
        self.edits.append(one_line(text))
        self.comment(f"EDIT {len(self.edits)}: {text}")
        self._heading = True

    @property
    def text(self) -> str:
        """The file."""
        return "\n".join(self.lines).rstrip("\n") + "\n"
