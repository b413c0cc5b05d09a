"""The origin of a wrong value of an item: the line of a seed file, or of the program that loads items."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Final

from devenv.doctor.context import DoctorFacts
from devenv.host.files import read_text

MOST_FILES: Final = 100
MOST_BYTES: Final = 5_000_000


def source_line(facts: DoctorFacts, texts: Sequence[str]) -> str:
    """`seeds/orders.json:5`, the first line of what step seed loads that has one of these texts; "" without one."""
    wanted = [text for text in texts if len(text) > 3]
    for name, content in contents(facts) if wanted else ():
        places = [at for text in wanted if (at := content.find(text)) >= 0]
        if places:
            return f"{name}:{content.count(chr(10), 0, min(places)) + 1}"
    return ""


def contents(facts: DoctorFacts) -> Iterator[tuple[str, str]]:
    """Name and text of the files of step seed, and of the program that it runs."""
    root, seed = facts.context.root, facts.context.settings.steps.seed
    names = [
        n for each in seed.files if is_inside(each) for n in sorted(glob.glob(each, root_dir=root, recursive=True))
    ]
    names += filter(is_inside, seed.command)
    for name in list(dict.fromkeys(names))[:MOST_FILES]:
        try:
            content = read_text(root / name, MOST_BYTES)
        except OSError:
            continue
        if content is not None:
            yield name, content


def is_inside(name: str) -> bool:
    """Return True if a name or pattern cannot lead out of the project."""
    return not Path(name).is_absolute() and ".." not in PurePath(name).parts
