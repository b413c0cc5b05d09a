"""Reasons not to run a project's own migrations or seeds before somebody has looked at them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from devenv.core.late import late

COMPILED: Final = late(r"(?<![\w/.-])(?:\./)?((?:dist|build|out)/[\w./-]+)")
SYNCHRONIZES: Final = late(r"\bsynchronize\s*:\s*true\b|\.sync(?:hronize)?\(\s*(?:\{[^}]*\}|true)?\s*\)")
MAKES: Final = late(r"\bCREATE\s+TABLE\b|\bcreateTable\(", re.IGNORECASE)
# Models of DynamoDB: of Dynamoid, of aws-record.
MODEL: Final = late(
    r"^\s*class\s+([\w:]+)[^\n]*\n(?:(?!\s*class\s)[^\n]*\n){0,20}?\s*include\s+(?:Dynamoid::Document|Aws::Record)\b",
    re.MULTILINE,
)
DELETES: Final = late(r"\.(?:delete_all|destroy_all)\b")
RANDOM: Final = late(r"\b(?:SecureRandom|Faker|rand)\b|\.sample\b")


def doubts_of_migrations(files: Iterable[str], script: str, texts: Mapping[str, str]) -> Iterator[str]:
    """Why the script that runs these migrations may fail: not built, or over tables that the program makes."""
    compiled = COMPILED.search(script)
    if compiled and not re.search(r"\bbuild\b(?!/)|\btsc\b", script):
        yield f"it runs compiled files ({compiled[1]}), so build them first"
    if any(MAKES.search(texts.get(file, "")) for file in files):
        return
    for name, text in texts.items():
        if name.endswith((".ts", ".js", ".mts", ".cts", ".mjs", ".cjs")) and (found := SYNCHRONIZES.search(text)):
            line = text.count("\n", 0, found.start()) + 1
            yield (
                f"the migrations make no table: the program makes the tables when it starts ({name}:{line}), so they"
                " can run only after its first start"
            )
            return


def items_of_seed(files: Iterable[str], texts: Mapping[str, str]) -> tuple[str, ...]:
    """The models of DynamoDB whose items a seed of Ruby writes or deletes."""
    models = [name for file, text in texts.items() if file.endswith(".rb") for name in MODEL.findall(text)]
    seeds = "\n".join(texts.get(file, "") for file in files)
    return tuple(name for name in dict.fromkeys(models) if re.search(rf"\b{re.escape(name)}\.\w", seeds))


def habits_of_seed(files: Iterable[str], texts: Mapping[str, str]) -> str:
    """The end of a sentence about a seed that deletes first, or whose values are random; "" for any other."""
    seeds = "\n".join(texts.get(file, "") for file in files)
    deletes = "; before that, it deletes existing data" if DELETES.search(seeds) else ""
    return deletes + ("; the values that it writes are random" if RANDOM.search(seeds) else "")
