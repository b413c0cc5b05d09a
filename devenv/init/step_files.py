"""The patterns under `files` of a step: those that also name the files of tomorrow. Pure."""

from __future__ import annotations

import glob
import re
from collections.abc import Collection, Iterable
from itertools import groupby
from pathlib import PurePosixPath
from typing import Final

from devenv.steps.step import natural_key

NUMBERED: Final = re.compile(r"[Vv]?\d+[^/]*\.sql")
# A data file as a script names it: `FIXTURES / "parcels.json"`, `from "../data/parcels.json"`.
DATA: Final = re.compile(r"""["'`](?:[^"'`\n]*/)?([\w.-]+\.(?:json|jsonl|ndjson|csv|tsv|ya?ml))["'`]""")
# One whose name is computed: `f"{table}.csv"`; and a word in quotes, such as a folder's name.
COMPUTED: Final = re.compile(r"""["'`][^"'`\n]*\}\.(json|jsonl|ndjson|csv|tsv|ya?ml)["'`]""")
# All files of a folder: `.glob("*.json")`, `endsWith(".json")`, `"seeds/*.csv"`.
WHOLE: Final = re.compile(r"""["'`](?:[^"'`\n]*\*|)\.(json|jsonl|ndjson|csv|tsv|ya?ml)["'`]""")
# The same with the folder in one text.
FOLDER: Final = re.compile(r"""["'`](?:[^"'`\n]*/)?([\w.-]+)/[^"'`\n/]*\*\.[a-z]+["'`]""")
QUOTED: Final = re.compile(r"""["'`](?:[^"'`\n]*/)?([\w.-]+)/?["'`]""")


def sql_patterns(chosen: Iterable[str], names: Collection[str]) -> list[str]:
    """The chosen SQL files in order; a folder of numbered files, all of them chosen, as one pattern.

    The next migration then needs no change of devenv.toml.
    """
    patterns: list[str] = []
    for folder, group in groupby(chosen, key=lambda name: name.rpartition("/")[0]):
        files = list(group)
        there = [name for name in names if name.endswith(".sql") and name.rpartition("/")[0] == folder]
        numbered = all(NUMBERED.fullmatch(PurePosixPath(name).name) for name in there)
        if folder and numbered and files == sorted(there, key=natural_key):
            patterns.append(f"{glob.escape(folder)}/*.sql")
        else:
            patterns += map(glob.escape, files)
    return patterns


def data_files(script: str, names: Iterable[str]) -> list[str]:
    """The project's data files that a script's text names, each by a name that only one file has, or one in a folder
    that the text names, too.

    Where the script computes names or lists a folder, all files with that ending in a folder that it names.
    """
    names = tuple(names)
    called: dict[str, list[str]] = {}
    for name in names:
        called.setdefault(name.rpartition("/")[2], []).append(name)
    wanted = dict.fromkeys(found[1] for found in DATA.finditer(script))
    found = []
    for name in wanted:
        here = called.get(name, [])
        named = [each for each in here if f"{PurePosixPath(each).parent.name}/" in script]
        found += here if len(here) == 1 else named if len(named) == 1 else []
    endings = {f".{each[1]}" for form in (COMPUTED, WHOLE) for each in form.finditer(script)}
    folders = {each[1] for form in (QUOTED, FOLDER) for each in form.finditer(script)} if endings else set()
    inside = (n for n in names if PurePosixPath(n).suffix in endings and PurePosixPath(n).parent.name in folders)
    return [*dict.fromkeys((*found, *inside))]
