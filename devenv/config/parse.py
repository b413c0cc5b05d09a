"""The text of devenv.toml as settings; mistakes in it are reported with their line."""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from devenv.config.schema import FILE, Backend, Docker, Dynamodb, External, Postgres, Project, Settings
from devenv.config.types import Section
from devenv.config.variables import refused
from devenv.config.wording import in_words
from devenv.core.errors import UsageError

DEPTH = 50
# The largest real ones have a tenth of it; this is read in about a second.
BYTES = 500_000
# The parser's time grows with the square of a key's parts.
LONG_KEY = re.compile(rb"""(?<![\w"'.-])(?:[\w"'-]++[ \t]*\.[ \t]*){%d}""" % DEPTH)
MOST_COMPLAINTS = 20


# The sections whose plain values can be given by variables.
SECTIONS: Mapping[str, type[Section]] = {
    "project": Project,
    "postgres": Postgres,
    "dynamodb": Dynamodb,
    "docker": Docker,
    "external": External,
    "backend": Backend,
}


def read_toml(file: Path) -> dict[str, Any]:
    """The file's tree. UsageError for what cannot be read, is not UTF-8, or is not TOML (with line and column)."""
    wrong = f"{file} is not valid TOML"
    try:
        tree = tomllib.loads(read_bounded(file).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{file}:{line} is not UTF-8", detail=str(error), hint="save the file as UTF-8") from None
    except RecursionError:
        raise UsageError(wrong, detail="it is nested too deeply", hint="devenv help configuration") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(wrong, detail=str(error), hint="devenv config check") from None
    except ValueError:
        # Python's own limit for what it reads as a number.
        raise UsageError(
            wrong, detail="a number in it has thousands of digits", hint="devenv help configuration"
        ) from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read", detail=str(error)) from None
    if is_deep(tree):
        raise UsageError(wrong, detail=f"it is nested more than {DEPTH} levels deep", hint="devenv help configuration")
    return tree


def read_bounded(file: Path) -> bytes:
    """The file's bytes. UsageError for more than devenv.toml can need; OSError."""
    with open(os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as opened:
        content = opened.read(BYTES + 1)
    if len(content) > BYTES:
        raise UsageError(
            f"{file} has more than {BYTES:,} bytes, and is not read",
            hint="move data into other files and name them in devenv.toml",
        )
    if LONG_KEY.search(content):
        detail = f"it is nested more than {DEPTH} levels deep by one key"
        raise UsageError(f"{file} is not valid TOML", detail=detail, hint="devenv help configuration")
    return content


def is_deep(tree: Any) -> bool:
    """Return True if tables and lists are nested too deeply for functions that call themselves."""
    level = [tree]
    for _ in range(DEPTH + 1):
        level = [
            part
            for each in level
            for part in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
        ]
    return bool(level)


def parse(tree: Mapping[str, Any], file: Path) -> Settings:
    """Validate the tree. UsageError names every key that is wrong, its place, and the nearest known key."""
    try:
        return msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        found = list(complaints(tree, str(error)))
    wrong = f"{file} is not a valid configuration"
    if len(found) == 1:
        keys, text, hint = found[0]
        number = line_of(file, keys)
        raise UsageError(wrong, detail=f"line {number}: {text}" if number else text, hint=hint) from None
    lines = [f"{FILE}:{line_of(file, keys) or 1}: {text}; {hint}" for keys, text, hint in found]
    raise UsageError(wrong, detail="\n".join(lines), hint="devenv help configuration") from None


def complaints(tree: Mapping[str, Any], text: str) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """(keys, sentence, hint) of all that is wrong in the tree; `text` is msgspec's first complaint.

    msgspec stops at the first: what it complains of is left out, and the rest is tried again.
    """
    gone: set[tuple[str | int, ...]] = set()
    for _ in range(MOST_COMPLAINTS):
        place = ErrorPlace(tree, text)
        # It is there, and was left out.
        if (lacks := re.match(r"Object missing required field `(.*?)`", text)) and (*place.keys, lacks[1]) in gone:
            return
        hint = "devenv config schema"
        keys = place.keys
        shown = text
        if unknown := re.match(r"Object contains unknown field `(.*?)`(?: - at `\$|$)", text, re.DOTALL):
            keys = (*keys, unknown[1])
            known = known_keys(place.keys)
            near = difflib.get_close_matches(unknown[1], known, n=1)
            shown = f"unknown key `{unknown[1]}`" + (f" in `{place.title}`" if place.keys else "")
            hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
        elif place.keys:
            what = "as a name, at" if place.of_name else "at"
            shown = f"{in_words(place.words, schema(), place.keys)} - {what} `$.{place.title}`"
        yield keys, shown, hint
        # A missing key cannot be left out: it is the last that is told.
        if not keys or "missing required" in text:
            return
        tree = leave_out(tree, keys)
        gone.add(keys)
        if (following := complaint(tree)) is None or following == text:
            return
        text = following


def leave_out(tree: Any, keys: Sequence[str | int]) -> Any:
    """The tree without what is at `keys`; an entry of a list is left out as a whole."""
    if isinstance(tree, list) and isinstance(keys[0], int):
        return [entry for number, entry in enumerate(tree) if number != keys[0]]
    if len(keys) == 1:
        return {name: part for name, part in tree.items() if name != keys[0]}
    return {**tree, keys[0]: leave_out(tree[keys[0]], keys[1:])}


def line_of(file: Path, keys: tuple[str | int, ...]) -> int | None:
    """The line in the file that gives the value at `keys`, as far as it can be told."""
    from devenv.config.places import find_line

    try:
        return find_line(file.read_text("utf-8-sig"), keys)
    except (OSError, ValueError):
        return None


def check_variables(settings: Settings, file: Path) -> None:
    """UsageError for a variable by which a folder would decide which program runs in the user's shell."""
    tables = {"[env]": settings.env, "[backend] env": settings.backend.env if settings.backend else {}}
    tables |= {f"[services.{name}] env": service.env for name, service in settings.services.items()}
    if found := refused(tables):
        raise UsageError(
            f"{file} may not set {found}",
            detail="it decides which programs run, or loads code into them",
            hint="set it in your own shell, or in the command: env NAME=value …",
        )


class ErrorPlace:
    """Where in the tree msgspec's complaint is: `keys`, and `words` without the place. `of_name`: it is the last key.

    msgspec shows the name of any entry of a table as `[...]`: it is found by leaving the other entries out.
    """

    def __init__(self, tree: Mapping[str, Any], text: str) -> None:
        found = re.search(r" - at (`key` in )?`\$\.?([^`]*)`$", text)
        self.words = text[: found.start()] if found else text
        self.of_name = bool(found and found[1])
        self.keys: tuple[str | int, ...] = ()
        parts = re.findall(r"\[[^\]]*\]|[^.\[\]]+", found[2]) if found else []
        for part in [*parts, "[...]"] if self.of_name else parts:
            if part == "[...]":
                names = list(at(tree, self.keys))
                name = next((each for each in names if complaint(only(tree, self.keys, each)) == text), names[0])
                tree = only(tree, self.keys, name)
                self.keys += (name,)
            else:
                self.keys += (int(part[1:-1]) if part.startswith("[") else part,)

    @property
    def title(self) -> str:
        """`links[0].from`, `patterns.messages.limit`; a name that TOML would quote is quoted."""
        text = ""
        for key in self.keys:
            name = key if isinstance(key, int) or re.fullmatch(r"[\w-]+", key) else json.dumps(key, ensure_ascii=False)
            text += f"[{name}]" if isinstance(key, int) else f".{name}"
        return text.removeprefix(".")


def complaint(tree: Mapping[str, Any]) -> str | None:
    """Return what msgspec finds wrong with the tree."""
    try:
        msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        return str(error)
    return None


def at(tree: Any, keys: Iterable[str | int]) -> Any:
    for key in keys:
        tree = tree[key]
    return tree


def only(tree: Any, keys: Sequence[str | int], name: str) -> Any:
    """The tree, in whose table at `keys` only the entry `name` is left."""
    if not keys:
        return {name: tree[name]}
    inner = only(tree[keys[0]], keys[1:], name)
    if isinstance(tree, list):
        return [inner if number == keys[0] else each for number, each in enumerate(tree)]
    return {**tree, keys[0]: inner}


def known_keys(place: Iterable[str | int]) -> list[str]:
    """The keys allowed in the table at `place` of devenv.toml (`("links", 0)`)."""
    node: Any = schema()
    definitions = node["$defs"]

    def resolve(part: Any) -> Any:
        while "$ref" in part or "anyOf" in part or "allOf" in part:
            if "$ref" in part:
                part = definitions[part["$ref"].rsplit("/", 1)[1]]
            else:
                options = part.get("anyOf") or part.get("allOf")
                part = next(option for option in options if option.get("type") != "null")
        return part

    node = resolve(node)
    for key in place:
        known = node.get("items") if isinstance(key, int) else node.get("properties", {}).get(key)
        node = resolve(known or node.get("additionalProperties") or {})
    return sorted(node.get("properties", {}))


def schema() -> dict[str, Any]:
    """The JSON Schema of devenv.toml, for editors."""
    from devenv.config.kinds import KINDS
    from devenv.config.schema_docs import described

    found = described(msgspec.json.schema(Settings))
    found["$defs"]["OwnService"]["properties"]["kind"]["enum"] = [kind.name for kind in KINDS if kind.written]
    return found
