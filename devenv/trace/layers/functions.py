"""A function of devenv.toml that could not be called: where it was looked for, and the line that names it rightly."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Final

from devenv.config.places import Keys, find_line
from devenv.config.schema import FILE
from devenv.core.late import late
from devenv.host.files import read_text
from devenv.init.listing import list_widely
from devenv.trace.observation import Ran, Unfound

MOST_FILES: Final = 5_000
MOST_BYTES: Final = 300_000
MISSING: Final = late(r"No module named '([\w.]+)'")
ABSENT: Final = late(r"has no attribute '(\w+)'")
FORMS: Final = (
    "name a function that takes no arguments and makes the object, as your application does: "
    "`module:factory().attribute.method`, e.g. `shop.app:create_app().orders.orders_of` (`devenv help traces`)"
)
DEFINED: Final = late(r"^(?:async[ ]+)?def[ ]+(\w+)|^class[ ]+(\w+)|^(\w+)[ ]*=", re.MULTILINE)


def look_for(root: Path, folder: Path, keys: Keys, function: str, python: str, ran: Ran) -> Unfound | None:
    """The file that was not found below `folder`, and the place in the project that has the function; else None.

    `keys` lead to it in devenv.toml; `ran` is its failed call.
    """
    module, _, names = function.partition(":")
    missing, absent = MISSING.search(ran.detail or ""), ABSENT.search(ran.detail or "")
    name = re.sub(r"\(.*|\..*", "", names)
    where = (
        f"{folder.relative_to(root).as_posix()}/" if folder.is_relative_to(root) and folder != root else "the project"
    )
    if missing is not None and f"{module}.".startswith(f"{missing[1]}."):
        path = module.replace(".", "/")
        if any((folder / each).exists() for each in (f"{path}.py", f"{path}/__init__.py")):
            return None  # It is there: another package of its name may stand before it.
        cause = (
            f"neither {path}.py nor {path}/__init__.py exists in {where}, where Python looks for the project's modules"
        )
        wanted = PurePath(path).name
    elif missing is not None:
        path = missing[1].replace(".", "/")
        wanted = PurePath(module.replace(".", "/")).name
        if not list(packages(root, path)):
            cause = f"the Python that was used, {python}, has no module `{missing[1]}`"
            text = (
                "set `python` in [backend] to the interpreter that has the application's packages, or install it there"
            )
            return Unfound(cause, text)
        cause = f"it imports `{missing[1]}`, which is not in {where}, where Python looks for the project's modules"
    elif absent is not None and absent[1] == name:
        path = module.replace(".", "/")
        cause = f"{path}.py has no `{absent[1]}`"
        wanted = PurePath(path).name
    else:
        return None
    places = sorted(defining(root, name), key=lambda found: (found.stem != wanted, len(found.parts), str(found)))
    if places:
        return Unfound(cause, suggestion(root, folder, keys, places[0], names))
    mine = folder / f"{module.replace('.', '/')}.py"
    known = [next(filter(None, each)) for each in DEFINED.findall(text_of(mine))]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    at = line_of(root, keys)
    if near:
        return Unfound(cause, f'at {at} write: function = "{module}:{names.replace(name, near[0], 1)}"')
    return Unfound(cause, f"`{name}` was found in no Python file of the project: correct `function` at {at}")


def lacks_arguments(ran: Ran) -> bool:
    """Return True if a name with `()` behind it could not be called, which `runner.make` says in these words."""
    return ran.outcome == "unstarted" and (ran.detail or "").startswith("missing a required argument: ")


def needs_arguments(root: Path, keys: Keys, function: str, ran: Ran) -> str | None:
    """Why a function of devenv.toml is none that devenv can call: it would have to make an object with arguments."""
    if not lacks_arguments(ran):
        return None
    why = f"`()` calls it without arguments ({ran.detail})"
    return f'{line_of(root, keys)}: function = "{function}" cannot be called: {why}; {FORMS}'


def suggestion(root: Path, folder: Path, keys: Keys, file: PurePath, names: str) -> str:
    """The lines for devenv.toml that name a function in `file` (relative to the project)."""
    base = import_root(root, folder, file)
    module = ".".join(file.relative_to(base).with_suffix("").parts).removesuffix(".__init__")
    at = line_of(root, keys)
    text = f'{file} defines it; at {at} write: function = "{module}:{names}"'
    return text if root / base == folder else f'{text} and folder = "{base.as_posix()}"'


def import_root(root: Path, folder: Path, file: PurePath) -> PurePath:
    """The folder that a file's module path begins at: above its packages; else `folder`, with the file in it."""
    base = file.parent
    while base.parts and (root / base / "__init__.py").exists():
        base = base.parent
    inside = folder.is_relative_to(root) and PurePath(folder.relative_to(root)) in (base, *base.parents)
    return PurePath(folder.relative_to(root)) if inside and base == file.parent else base


def defining(root: Path, name: str) -> Iterator[PurePath]:
    """The Python files of a project that define a function or class of this name at their top."""
    for path in list_widely(root, MOST_FILES).files:
        if path.suffix == ".py" and any(name in each for each in DEFINED.findall(text_of(root / path))):
            yield path


def packages(root: Path, path: str) -> Iterator[PurePath]:
    """The files of a project that an import of this path could mean, wherever imports begin."""
    for each in list_widely(root, MOST_FILES).files:
        whole = f"/{each.as_posix()}"
        if whole.endswith((f"/{path}.py", f"/{path}/__init__.py")) or (f"/{path}/" in whole and each.suffix == ".py"):
            yield each


def text_of(file: Path) -> str:
    """The text of a file; "" where it cannot be read."""
    try:
        return read_text(file, MOST_BYTES) or ""
    except OSError:
        return ""


def line_of(root: Path, keys: Keys) -> str:
    """`devenv.toml:41`."""
    line = find_line(text_of(root / FILE), keys)
    return f"{FILE}:{line}" if line else FILE
