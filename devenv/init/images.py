"""The folder of the project that a container's program runs in, by its Dockerfile and volumes. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import Final

from devenv.core.value import Value

NAMES: Final = re.compile(r"(?:Docker|Container)file(?:\.[\w-]+)?|[\w-]+\.(?:[Dd]ockerfile)")
LINE: Final = re.compile(r"^[ \t]*(WORKDIR|COPY|ADD)[ \t]+([^\n]+)", re.MULTILINE | re.IGNORECASE)
# What comes before the program in a command, and is done by hand or by a step here.
INSTALLS: Final = re.compile(
    r"(?:python3? -m )?pip3? install\b[^&|;]*|(?:npm|yarn|pnpm) (?:ci|install|i)\b[^&|;]*|bundle install\b[^&|;]*"
)


SHELL: Final = re.compile(r"(?:/(?:usr/)?bin/)?(?:ba|da|a)?sh")
BLOCK: Final = re.compile(r"\b(?:if|then|while|until|for|do|done|fi|case|esac)\b")
# What changes the shell that runs the next part.
KEPT: Final = ("cd", "export", "source", ".", "set")
WAITS: Final = re.compile(r"^\S*wait[-_]for\S*\s.*?\s--\s+")


class FoundImage(Value, frozen=True):
    """The places of a Dockerfile: the folder that its program runs in, and (source, target) of each copy."""

    folder: str
    copies: tuple[tuple[str, str], ...] = ()


def read_image(text: str) -> FoundImage:
    """The places of a Dockerfile's last stage."""
    stage = re.split(r"^[ \t]*FROM[ \t][^\n]*\n", text, flags=re.MULTILINE | re.IGNORECASE)[-1]
    folder, copies = "/", []
    for word, rest in LINE.findall(stage):
        if word.upper() == "WORKDIR":
            folder = posixpath.normpath(posixpath.join(folder, rest.strip().strip("\"'")))
            continue
        parts = [each for each in re.sub(r"[\[\]\",]", " ", rest).split() if not each.startswith("--")]
        if "--from=" not in rest and len(parts) == 2:
            copies.append((parts[0], posixpath.normpath(posixpath.join(folder, parts[1]))))
    return FoundImage(folder=folder, copies=tuple(copies))


def folder_in_project(
    context: str, image: FoundImage | None, volumes: Iterable[tuple[str, str]], place: str
) -> str | None:
    """The project's folder, "." for its own, that is `place` (else the image's own) in the container.

    None if neither what is mounted nor what is copied tells.
    """
    inner = place or (image.folder if image else "")
    mounted = [(host, target.rstrip("/") or "/") for host, target in volumes]
    copied = [(posixpath.join(context, source), target) for source, target in (image.copies if image else ())]
    found = [*below(mounted, inner), *below(copied, inner)]
    return next((each for each in found if not each.startswith(("/", "..", "~", "$"))), None)


def below(places: Iterable[tuple[str, str]], inner: str) -> Iterator[str]:
    """The project's side of each place that a folder of the container is, or is below."""
    for source, target in sorted(places, key=lambda each: -len(each[1])):
        rest = posixpath.relpath(inner, target) if inner.startswith("/") and target.startswith("/") else ".."
        if not rest.startswith(".."):
            yield posixpath.normpath(posixpath.join(source, rest))


def before_program(words: list[str]) -> tuple[str, ...]:
    """The parts of `bash -c "mkdir tmp && rails db:migrate && rails server"` before the last, but installs."""
    parts = parts_of(words)
    if len(parts) < 2 or any(part.split()[0] in KEPT for part in parts):
        return ()
    return tuple(part for part in parts[:-1] if not INSTALLS.fullmatch(part))


def parts_of(words: list[str]) -> list[str]:
    """The commands that a shell's text runs one after the other; [] for what is no such text."""
    shell = len(words) == 3 and SHELL.fullmatch(words[0]) and re.fullmatch(r"-[lex]*c", words[1])
    between = "&&" if shell and BLOCK.search(words[2]) else "&&|;"
    return [part.strip() for part in re.split(between, words[2]) if part.strip()] if shell else []


def without_installs(words: list[str]) -> list[str]:
    """The words of `sh -c "pip install … && python app.py"` that start the program; others as they are."""
    parts = parts_of(words)
    if not parts:
        return words
    if before_program(words):
        parts = parts[-1:]
    # `./wait-for-it.sh db:5432 -- npm start`
    parts[-1] = WAITS.sub("", parts[-1])
    while len(parts) > 1 and INSTALLS.fullmatch(parts[0]):
        del parts[0]
    if len(parts) == 1 and not re.search(r"[|&;<>$`'\"()]", parts[0]):
        return parts[0].removeprefix("exec ").split()
    return [*words[:2], " && ".join(parts)]
