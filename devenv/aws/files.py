"""The templates in a project's folder: found by their content, read within limits, never run."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from devenv.aws.cloudformation import Resource, UnreadableTemplate, read_template
from devenv.aws.resources import surroundings_of
from devenv.aws.surroundings import TOPICS, Surroundings, merge
from devenv.aws.terraform import read_terraform
from devenv.host.files import list_files, read_text

SUFFIXES: Final = (".yaml", ".yml", ".json", ".template", ".tf")
# Where others' modules and examples lie, not this project's own templates.
OTHERS: Final = (".terraform", ".aws-sam", "cdk.out")
MOST: Final = 400
SHOWN: Final = 3


def read_templates(root: Path, wanted: Sequence[str]) -> Surroundings:
    """The surroundings that the project's templates make. `wanted` are globs; without any, all files are looked at."""
    texts, unread = find_texts(root, wanted)
    resources: dict[str, list[Resource]] = {}
    folders: dict[str, dict[str, str]] = {}
    for name, text in texts.items():
        if name.endswith(".tf"):
            folders.setdefault(str(Path(name).parent), {})[name] = text
            continue
        try:
            if found := read_template(name, text):
                resources[name] = found
        except UnreadableTemplate as error:
            unread.append(f"{name}: {error}")
    for files in folders.values():
        try:
            if found := read_terraform(files):
                resources |= {name: [each for each in found if each.where.startswith(f"{name}:")] for name in files}
        except UnreadableTemplate as error:
            unread.append(str(error))
    names = [name for name, found in resources.items() if found]
    if not names and not unread:
        return Surroundings()
    # Templates of one project refer to each other's things by name: together they are one picture.
    made = surroundings_of(show(names), [each for name in names for each in resources[name]])
    return merge(made.source, [made, Surroundings(unread=dict.fromkeys(TOPICS, tuple(unread)))])


def find_texts(root: Path, wanted: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Name -> text of every file that could be a template, and what could not be read."""
    texts: dict[str, str] = {}
    unread: list[str] = []
    files = list_files(root).files
    unread += [f"[safety] templates: no file matches {each}" for each in wanted if not matching(files, each)]
    for path in files:
        name = path.as_posix()
        if wanted and not any(fnmatch.fnmatch(name, each) for each in wanted):
            continue
        if path.suffix not in SUFFIXES or (not wanted and set(path.parts) & set(OTHERS)):
            continue
        try:
            text = read_text(root / path)
        except OSError as error:
            unread.append(f"{name}: {error.strerror}")
            continue
        if text is None and wanted:
            unread.append(f"{name}: too large, or not a text file")
        if text is None or not is_template(name, text):
            continue
        if len(texts) == MOST:
            unread.append(f"more than {MOST} templates: the rest was not read")
            break
        texts[name] = text
    return texts, unread


def matching(files: Sequence[Path], pattern: str) -> bool:
    """Return True if a file has this name, with `*`."""
    return any(fnmatch.fnmatch(path.as_posix(), pattern) for path in files)


def is_template(name: str, text: str) -> bool:
    """Return True if the text can be a template of AWS resources."""
    if name.endswith(".tf"):
        return True
    return "AWS::" in text and "Resources" in text


def show(names: Sequence[str]) -> str:
    """Some file names, and how many more."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
