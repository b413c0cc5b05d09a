"""`devenv init`: a commented devenv.toml derived from a folder's files, or an example if the folder is empty.

What it finds is read as text; no program, script or module of the folder is run. It overwrites nothing: when one of the
files that it would write is there, it writes none. A note says meanwhile what it is about to write, so that the next
`devenv init` takes away what a killed one has left.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import textwrap
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from devenv.config.schema import FILE
from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.core.model import Report
from devenv.host.writing import SHARED, create_private, half_of, sweep, write_private
from devenv.init.sheet import MARK, WIDTH, Guess, one_line

NOTE: Final = ".devenv-init"
# Keys of commands and functions that devenv runs only where the folder is trusted.
RUNS: Final = re.compile(r"^(command|function|handler|migrations|python) = ", re.MULTILINE)
LABEL: Final = re.compile(r"[^A-Za-z0-9_.-]+")


# Answers to guesses: True takes one, a text replaces its lines, False drops it, None leaves it as a comment.
Choose = Callable[[Guess], bool | str | None]


def init(root: Path, choose: Choose | None = None) -> Report:
    """Write what `root` needs to be a project; `choose` answers what is not sure.

    UsageError when it is one already, or a file is in the way.
    """
    from devenv.init.draft import UNCERTAIN, Drafter
    from devenv.init.example import example_files
    from devenv.init.minimal import minimal_text, needed
    from devenv.init.other_services import not_started
    from devenv.init.review import review
    from devenv.init.survey import survey

    if not root.is_dir():
        raise UsageError(f"{root} is not a folder", hint=f"mkdir {root}")
    take_back(root)
    if os.path.lexists(root / FILE):
        raise UsageError(f"{root / FILE} already exists", hint="devenv config check")
    found = survey(root)
    name = project_name(root)
    body: dict[str, Any] = {"folder": str(root), "example": found.is_empty, "needed": []}
    seen: tuple[str, ...] = found.left_out
    edits: tuple[str, ...] = ()
    undeclared: tuple[str, ...] = ()
    lines: tuple[str, ...] = ("devenv up", "devenv doctor")
    if found.is_empty:
        files = example_files(name)
        lines = (*lines, "devenv trace notes --user alma")
    elif not found.is_known:
        files = {FILE: minimal_text(found, name)}
        seen = (*(each.shown for each in found.manifests), *seen)
        body["needed"] = list(needed(found))
        lines = ("devenv config check", *lines)
    else:
        drafter = Drafter(found, name)
        draft = drafter.draft()
        given = {guess.number: choose(guess) for guess in draft.guesses} if choose else {}
        text, edits = drafter.sheet.answered({number: each for number, each in given.items() if each is not None})
        text = text if edits else text.replace(f"# {UNCERTAIN}\n", "", 1)
        files = {FILE: text, **{name: as_json(request) for name, request in draft.files.items()}}
        seen, lines, undeclared = draft.found, draft.lines, draft.undeclared
    if edits and RUNS.search(files[FILE]):
        # What was just written is trusted; after an edit of a command it is to be allowed again.
        lines = ("devenv trust", *lines)
    check(files[FILE], root)
    write_all(root, files)
    final, refused = without_refused(files[FILE], root, len(edits))
    if refused:
        write_private(root / FILE, final.encode(), SHARED)
        edits = (*edits, *refused)
    body |= {
        "found": list(seen),
        "unused": [*without_run(found.unused, final), *not_started(found)],
        "code": list(map(str, review(found.code))),
        "written": list(files),
        "edits": list(edits),
        "undeclared": list(undeclared),
        "next": lines[0],
        "lines": list(lines),
    }
    return Report("init", name, Exit.FOUND if body["needed"] else Exit.DONE, body)


def without_refused(text: str, root: Path, edits: int) -> tuple[str, tuple[str, ...]]:
    """devenv.toml without the steps whose files devenv cannot read, each as lines to agree to; and what they lack.

    `edits` is the number of those that the file has already.
    """
    from devenv.config.parse import parse
    from devenv.steps.registry import STEPS

    settings, said = parse(tomllib.loads(text), root / FILE), []
    for step in STEPS:
        try:
            step.read(settings, root)
        except UsageError as error:
            what = ": ".join(filter(None, (error.what, error.detail)))
            sentence = (
                f"devenv cannot run step {step.name} as it is: {what}. Fix it, then uncomment the `#~` lines below."
            )
            said.append(one_line(sentence))
            text = set_apart(text, f"[steps.{step.name}]", f"EDIT {edits + len(said)}: {said[-1]}")
    return text, tuple(said)


def set_apart(text: str, head: str, why: str) -> str:
    """A file with one section as lines to agree to, below a comment."""
    lines = text.split("\n")
    start = lines.index(head)
    stop = next((n for n in range(start + 1, len(lines)) if lines[n].startswith("[") or not lines[n]), len(lines))
    section = [line if line.startswith("#") else f"{MARK}{line}" for line in lines[start:stop]]
    comment = textwrap.wrap(why, WIDTH, initial_indent="# ", subsequent_indent="# ")
    return "\n".join([*lines[:start], *comment, *section, *lines[stop:]])


def without_run(said: Iterable[str], text: str) -> list[str]:
    """Sentences about unused files, without those about programs that the steps of devenv.toml run."""
    steps = tomllib.loads(text).get("steps", {})
    commands = [step for step in steps.values() if step.get("command")]
    run = {name for step in commands for name in (*step["command"], *step.get("files", ()))}
    made = bool(steps.get("schema-load"))
    return [
        each
        for each in said
        # Without any definition of a table, a seed script alone does not do.
        if each.partition(":")[0] not in run or ("no definition of its table" in each and not made)
    ]


def project_name(root: Path) -> str:
    """The folder's name, as far as a project can be called so."""
    return LABEL.sub("-", root.name).strip("-._")[:63].strip("-._") or "project"


def as_json(request: Mapping[str, Any]) -> str:
    """A table's request as a file holds it."""
    return json.dumps(request, indent=2) + "\n"


def check(text: str, root: Path) -> None:
    """The file must be one that devenv reads, whatever names the folder's files have. DevenvError otherwise."""
    from devenv.config.parse import parse

    try:
        parse(tomllib.loads(text), root / FILE)
    except (tomllib.TOMLDecodeError, UsageError) as error:
        detail = error.detail if isinstance(error, UsageError) else str(error)
        raise DevenvError(
            "devenv init would write a devenv.toml that is not valid, so it wrote nothing",
            detail=detail,
            hint="report this; until it is fixed, start with an empty folder: devenv init --project DIR",
        ) from None


def write_all(root: Path, files: Mapping[str, str]) -> None:
    """Write all files, or none. UsageError when one is there already, or its folder leads out of the project."""
    there = [name for name in files if os.path.lexists(root / name)]
    if there:
        raise UsageError(
            f"{', '.join(there)} already {'exists' if len(there) == 1 else 'exist'}, so nothing was written",
            hint=f"move {there[0]} away, then: devenv init",
        )
    made: list[Path] = []
    # devenv.toml last: without it the folder is no project, whatever else is there.
    ordered = sorted(files.items(), key=lambda each: each[0] == FILE)
    try:
        write_private(root / NOTE, as_json({name: digest(text.encode()) for name, text in ordered}).encode())
        made.append(root / NOTE)
        for name, text in ordered:
            make_folders(root, root / name, made)
            if not create_private(root / name, text.encode(), SHARED):
                raise OSError(f"{name} was created by another process")
            made.append(root / name)
        (root / NOTE).unlink()
    except OSError as error:
        for path in reversed(made):
            with contextlib.suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        raise UsageError(f"{root} cannot be written, so nothing was kept", detail=str(error)) from None


def take_back(root: Path) -> None:
    """Remove what a killed `init` has left: the files of its note, as far as nobody has changed them since."""
    sweep(root, half_of(NOTE))
    try:
        wanted = json.loads((root / NOTE).read_bytes())
        files = {root / str(name): str(sum_) for name, sum_ in wanted.items()}
    except (FileNotFoundError, NotADirectoryError):
        return
    except (ValueError, AttributeError, OSError):
        raise UsageError(f"{root / NOTE} is not devenv's note", hint=f"rm {root / NOTE}") from None
    for path, sum_ in files.items():
        if path.resolve().parent != path.parent.absolute() or not path.is_relative_to(root) or ".." in path.parts:
            continue  # A link, or a note by hand, leads elsewhere.
        with contextlib.suppress(OSError):
            sweep(path.parent, half_of(path.name))
            if not path.is_symlink() and digest(path.read_bytes()) == sum_:
                path.unlink()
        with contextlib.suppress(OSError):
            for folder in [each for each in path.parents if each != root and each.is_relative_to(root)]:
                folder.rmdir()
    (root / NOTE).unlink()


def digest(content: bytes) -> str:
    """Return how a note knows a file again."""
    return hashlib.sha256(content).hexdigest()


def make_folders(root: Path, file: Path, made: list[Path]) -> None:
    """The missing folders above a file. OSError when one of them is a link, and so may lie elsewhere."""
    for folder in reversed(file.parents):
        if not folder.is_relative_to(root) or folder == root:
            continue
        if folder.is_symlink():
            raise OSError(f"{folder} is a symbolic link, which devenv does not follow")
        if not folder.is_dir():
            folder.mkdir()
            made.append(folder)
