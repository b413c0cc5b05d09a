"""The place of a value in devenv.toml: its keys, its line, and how its section is written. Pure."""

from __future__ import annotations

import re
from typing import Final

from devenv.core.late import late

Keys = tuple[str | int, ...]

HEADER: Final = late(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
KEY: Final = late(r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
PART: Final = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


def find_line(text: str, keys: Keys) -> int | None:
    """The line of a TOML text that gives the value at `keys`, or the nearest that surrounds it; None without one."""
    best: tuple[int, int] | None = None
    counts: dict[Keys, int] = {}
    section: Keys = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := HEADER.match(line):
            section = ()
            *outer, last = names_of(header[2])
            for part in outer:
                section += (part,)
                section += (counts[section] - 1,) if section in counts else ()
            section += (last,)
            if header[1] == "[[":
                counts[section] = counts.get(section, 0) + 1
                section += (counts[section] - 1,)
            whole = section
        elif found := KEY.match(line):
            whole = section + names_of(found[1])
        else:
            continue
        if keys[: len(whole)] == whole and (best is None or len(whole) > best[0]):
            best = (len(whole), number)
    return best[1] if best else None


def names_of(dotted: str) -> Keys:
    """`a."b.c".d` as its parts."""
    return tuple(part[0].strip("\"'") for part in re.finditer(PART, dotted))


def title_of(keys: Keys) -> str:
    """`[trace.order.request] path`, `[[links]] 2 from`: the section as it is written, and the key in it."""
    *section, last = keys
    names: list[str] = []
    number: str = ""
    double = False
    for key in section:
        if isinstance(key, int):
            double, number = True, f" {key + 1}"
        else:
            names.append(key)
            double, number = False, ""
    if isinstance(last, int):
        return f"[[{'.'.join(names)}]] {last + 1}"
    if not names:
        return f"[{last}]"
    if len(keys) == 2 and keys[0] in ("patterns", "trace", "entities", "services", "cache"):
        return f"[{'.'.join([*names, last])}]"
    return f"{'[[' if double else '['}{'.'.join(names)}{']]' if double else ']'}{number} {last}"
