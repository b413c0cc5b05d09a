"""The origin of a wrong value of an item: the line of a seed file, or of the program that loads items."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Final

from devenv.core.late import late
from devenv.doctor.context import DoctorFacts
from devenv.host.files import read_text

MOST_FILES: Final = 100
MOST_BYTES: Final = 5_000_000
QUOTED: Final = late(r"""["']([^"'\n]{3,200})["']""")


def source_line(facts: DoctorFacts, texts: Sequence[str]) -> str:
    """`seeds/orders.json:5`, the first line of what step seed loads that has one of these texts; "" without one."""
    wanted = [re.escape(text) for text in texts if len(text) > 3]
    # Not as a part of another id or number.
    whole = re.compile(rf"(?<![\w-])(?:{'|'.join(wanted)})(?![\w-])")
    for name, content in contents(facts) if wanted else ():
        if found := whole.search(content):
            return f"{name}:{content.count(chr(10), 0, found.start()) + 1}"
    return ""


def contents(facts: DoctorFacts) -> Iterator[tuple[str, str]]:
    """Name and text of the files of step seed, of the program that it runs, and of the files that the program names."""
    root, seed = facts.context.root, facts.context.settings.steps.seed
    names = step_files(facts)
    programs = list(filter(is_inside, seed.command))
    waiting = list(dict.fromkeys([*names, *programs]))
    for count, name in enumerate(waiting):
        content = text_of(root / name) if count < MOST_FILES else None
        if content is None:
            continue
        yield name, content
        if name in programs:
            waiting += [each for each in named_files(root, name, content) if each not in waiting]


def step_files(facts: DoctorFacts) -> list[str]:
    """The names of the `files` of step seed: if one of them changes, `devenv up` runs the step again."""
    root, seed = facts.context.root, facts.context.settings.steps.seed
    return [n for each in seed.files if is_inside(each) for n in sorted(glob.glob(each, root_dir=root, recursive=True))]


def named_files(root: Path, program: str, content: str) -> list[str]:
    """The files that a program's text names in quotes, relative to the project's folder or to its own."""
    found = []
    for text in dict.fromkeys(QUOTED.findall(content)):
        places = (text, str(PurePath(program).parent / text.removeprefix("./")))
        found += [place for place in places if is_inside(place) and (root / place).is_file()][:1]
    return found


def text_of(file: Path) -> str | None:
    """A file's text; None if it cannot be read, is too large, or is not text."""
    try:
        return read_text(file, MOST_BYTES)
    except OSError:
        return None


def is_inside(name: str) -> bool:
    """Return True if a name or pattern cannot lead out of the project."""
    return not Path(name).is_absolute() and ".." not in PurePath(name).parts
