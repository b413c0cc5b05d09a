"""Variables that JavaScript reads all at once: `z.object({ X: … }).parse(process.env)`, `{ X } = process.env`. Pure.

Each reading becomes the plain `process.env.X`, in its own line, so that one reader serves all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from devenv.core.late import late

APART: Final = late(r"\b(?:const|let|var)\s*\{([^{}]*)\}\s*=\s*process\.env\b(?!\s*[.\[])")
PART: Final = late(r"([A-Za-z_]\w*)\s*(?::\s*([A-Za-z_$][\w$]*))?\s*(?:=\s*(.+))?", re.DOTALL)
# `export const env = schema.parse(process.env)`, `= cleanEnv(process.env, { … })`, `= createEnv({ server: { … } })`.
READ: Final = late(
    r"\b(?:const|let|var)\s+([A-Za-z_$][\w$]*)\s*(?::[^=]{1,80})?="
    r"(?=[^;]*?(?:\b(?:safeParse|parse|parseSync|validateSync|validate)\(\s*process\.env\b|\bcleanEnv\(\s*process\.env\b"
    r"|\bcreateEnv\(|\benvsafe\())"
)
# One variable of such a schema: `PORT: z.coerce.number().default(8787)`.
ENTRY: Final = late(
    r"(?m)(?<![\w.$])([A-Z][A-Z0-9_]{1,60})\s*:\s*(?=(?:z|v|s|t|Joi|joi|yup|envalid|Type)\s*\.\s*|(?:str|num|port|url|bool"
    r"|host|email|json|makeValidator)\()([^\n]*(?:\n\s*\.[^\n]*)*)"
)
DEFAULT: Final = late(r"\b(?:default|devDefault|catch)\s*(?:\(|:)\s*(['\"][^'\"\n]*['\"]|\d+)")
OPEN: Final = late(r"\boptional\b|\bdefault\b|\bdevDefault\b|\bnullish\b|\bcatch\(")


def with_schemas(scripts: Mapping[str, str]) -> dict[str, str]:
    """The same files, with `process.env.X` in the places of what reads it. Lines stay."""
    known: dict[str, str] = {}
    names: set[str] = set()
    made = {file: APART.sub(spelt_out, text) if "process.env" in text else text for file, text in scripts.items()}
    for file, text in made.items():
        if not READ.search(text):
            continue
        entries = dict(entries_of(text))
        names |= {found[1] for found in READ.finditer(text)} if entries else set()
        known |= entries
        made[file] = ENTRY.sub(marked, text)
    if not known or not names:
        return made
    used = re.compile(rf"(?<![.\w$])(?:{'|'.join(map(re.escape, sorted(names)))})\.({'|'.join(sorted(known))})\b")
    return {file: used.sub(lambda found: f"({known[found[1]]})", text) for file, text in made.items()}


def entries_of(text: str) -> Iterator[tuple[str, str]]:
    """(variable, what reads it) of the entries of a schema."""
    yield from ((found[1], reading_of(found)) for found in ENTRY.finditer(text))


def marked(found: re.Match[str]) -> str:
    """An entry with a comment that names its variable, as code that reads it does."""
    return found[0].replace(found[1], f"{found[1]}/* {reading_of(found)} */", 1)


def reading_of(found: re.Match[str]) -> str:
    """The plain expression that reads the variable of an entry; of one that may lack, its default behind it."""
    default = DEFAULT.search(found[2])
    value = default[1] if default else "undefined"
    return f"process.env.{found[1]} || {value}" if OPEN.search(found[2]) else f"process.env.{found[1]}"


def spelt_out(found: re.Match[str]) -> str:
    """`const X = process.env.X; const y = …;` of `const { X, Y: y = "d" } = process.env`, in as many lines."""
    parts = []
    for part in found[1].split(","):
        name = PART.fullmatch(part.strip())
        if name is None:
            if part.strip():
                return found[0]  # Something else, such as the rest.
            continue
        value = f"process.env.{name[1]}" + (f" || {name[3].strip()}" if name[3] else "")
        parts.append(f"const {name[2] or name[1]} = {value}")
    return "; ".join(parts) + "\n" * found[0].count("\n")
