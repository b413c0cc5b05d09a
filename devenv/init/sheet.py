"""The text of a devenv.toml that is being written: sections, keys, comments, and marks for uncertain values. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from devenv.core.toml import toml, toml_key

WIDTH: Final = 118
# Lines that somebody has to agree to: taking this mark away puts them into effect.
MARK: Final = "#~ "


def one_line(text: str) -> str:
    """A text for a comment: what was found in files must not end it."""
    return "".join(c if c.isprintable() else " " for c in text)


@dataclass(frozen=True)
class Guess:
    """An uncertain guess: a question with its evidence, and the lines that a yes puts into effect.

    `likely`: `devenv init --yes` takes it. `number` is that of its EDIT.
    """

    number: int
    question: str
    text: str
    likely: bool


# A guess is taken (True), dropped (False), or replaced by other lines.
Answers = Mapping[int, bool | str]


class Sheet:
    """The lines so far, and the edits that they ask for, numbered."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.edits: list[str] = []
        self._questions: dict[int, tuple[str, bool]] = {}
        # Line -> the guess that it belongs to, and if it is only its comment.
        self._owners: dict[int, tuple[int, bool]] = {}
        self._guess = 0
        self._mark = ""
        self._heading = False

    def _add(self, line: str, *, comment: bool = False) -> None:
        """Add one line, which belongs to the open guess."""
        if self._guess:
            self._owners[len(self.lines)] = (self._guess, comment)
        self.lines.append(line)

    def blank(self) -> None:
        """An empty line, unless there is one already."""
        if self.lines and self.lines[-1]:
            self.lines.append("")

    def comment(self, text: str) -> None:
        """A comment, wrapped."""
        for line in textwrap.wrap(one_line(text), WIDTH, initial_indent="# ", subsequent_indent="# "):
            self._add(line, comment=True)

    def above(self, text: str) -> None:
        """A comment about the section that follows."""
        if not self._heading:
            self.blank()
        self.comment(text)
        self._heading = True

    def title(self, text: str, meaning: str = "") -> None:
        """The heading of a part of the file, and what its sections are for, in one line."""
        self.blank()
        self.lines.append(f"# --- {one_line(text)} ---")
        if meaning:
            self.comment(meaning)
        self.blank()

    def plain(self, lines: str) -> None:
        """Comment lines as they are."""
        self.blank()
        self.lines += [f"# {line}".rstrip() for line in lines.splitlines()]

    def section(self, *names: str, array: bool = False) -> None:
        """`[a.b]` or `[[a]]`, with an empty line before it unless a comment stands there."""
        if not self._heading:
            self.blank()
        self._heading = False
        head = ".".join(map(toml_key, names))
        self._add(f"{self._mark}[[{head}]]" if array else f"{self._mark}[{head}]")

    def key(self, name: str, value: Any, note: str = "", aside: Sequence[str] = ()) -> None:
        """`name = value  # note`; a long list goes over several lines, and so does one with parts to agree to."""
        self._heading = False
        text = toml(value)
        line = f"{self._mark}{toml_key(name)} = {text}"
        if isinstance(value, Sequence) and not isinstance(value, str) and (aside or len(line) > WIDTH):
            self._add(f"{self._mark}{toml_key(name)} = [")
            for part in value:
                self._add(f"{MARK if part in aside else self._mark}    {toml(part)},")
            self._add(f"{self._mark}]")
            return
        self._add(line + (f" # {one_line(note)}" if note else ""))

    def maybe(self, name: str, value: Any, guess: int) -> None:
        """One key that belongs to a guess which was made before."""
        self._mark, self._guess = MARK, guess
        self.key(name, value, f"with EDIT {guess}")
        self._mark, self._guess = "", 0

    def ask(self, question: str, *, likely: bool = False) -> int:
        """Begin a guess: the lines up to `agreed` have no effect until somebody agrees. Its number."""
        self.blank()
        number = len(self.edits) + 1
        self._guess = number
        self._questions[number] = (one_line(question), likely)
        self.note(f"{question} If so, uncomment the `{MARK.strip()}` lines of this EDIT.")
        self._mark = MARK
        return number

    def agreed(self) -> None:
        """End the lines to agree to: from here on, lines are in effect."""
        self._mark = ""
        self._guess = 0

    def note(self, text: str, *, below: bool = True) -> None:
        """Ask for something that is to be done by hand, here or elsewhere; `below`: it is about what follows."""
        self.blank()
        self.edits.append(one_line(text))
        self.comment(f"EDIT {len(self.edits)}: {text}")
        self._heading = below

    @property
    def guesses(self) -> tuple[Guess, ...]:
        """The guesses in order."""
        return tuple(
            Guess(number, question, "\n".join(self.lines_of(number)), likely)
            for number, (question, likely) in self._questions.items()
        )

    def lines_of(self, number: int) -> list[str]:
        """The lines that a guess would put into effect; those that stand apart from the others aside."""
        own = [at for at, (guess, comment) in self._owners.items() if guess == number and not comment]
        together = [at for at in own if all(self._owners.get(n, (number,))[0] == number for n in range(own[0], at))]
        return [self.lines[at].removeprefix(MARK) for at in together]

    def answered(self, answers: Answers) -> tuple[str, tuple[str, ...]]:
        """The file with these answers, and the edits that are left."""
        lines: list[str] = []
        replaced: set[int] = set()
        for at, line in enumerate(self.lines):
            number, comment = self._owners.get(at, (0, False))
            answer = answers.get(number)
            if answer is None:
                lines.append(line)
            elif answer is True and not comment:
                lines.append(line.removeprefix(MARK).removesuffix(f" # with EDIT {number}"))
            elif answer is True and number not in replaced:
                question, likely = self._questions[number]
                replaced.add(number)
                said = "Likely" if likely else "Agreed"
                lines += textwrap.wrap(f"{said}: {question}", WIDTH, initial_indent="# ", subsequent_indent="# ")
            elif isinstance(answer, str) and number not in replaced:
                replaced.add(number)
                lines += answer.strip("\n").split("\n")
        kept = [number for number in range(1, len(self.edits) + 1) if number not in answers]
        renumbered = {f"EDIT {old}": f"EDIT {new}" for new, old in enumerate(kept, 1)}
        text = re.sub(
            r"(?m)(?<=^# )EDIT \d+(?=:)|(?<= # with )EDIT \d+$", lambda m: renumbered.get(m[0], m[0]), "\n".join(lines)
        )
        return text.rstrip("\n") + "\n", tuple(self.edits[number - 1] for number in kept)

    @property
    def text(self) -> str:
        """The file, without an answer to any guess."""
        return self.answered({})[0]
