"""Servers that no compose file and no framework's module shows: Procfile, Rack, Sinatra, own programs. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from devenv.core.late import late
from devenv.core.value import Value
from devenv.init.compose import split_words
from devenv.init.python_module import module_of

# Calls with which a program of Python serves until it is stopped.
SERVES: Final = late(
    r"\bweb\.run_app\(|\.serve_forever\(|\bmake_server\(|\brun_simple\(|\bwaitress\.serve\(|\buvicorn\.run\(|"
    r"\b(?:Threading)?HTTPServer\(|\bWSGIServer\(|\bhttpserver\.serve\(|\bIOLoop\.(?:current|instance)\(\)\.start\("
)
MAIN: Final = late(r"^if\s+__name__\s*==\s*['\"]__main__['\"]", re.MULTILINE)
IMPORTS: Final = late(r"^\s*(?:from\s+(\.*)([A-Za-z_]\w*)?|import\s+([A-Za-z_]\w*))", re.MULTILINE)
WEB: Final = late(r"^web:\s*(.+)$", re.MULTILINE)
SINATRA: Final = late(r"^\s*require\s+['\"]sinatra['\"]", re.MULTILINE)
GEM: Final = late(r"^\s*gem\s+['\"](\w+)['\"]", re.MULTILINE)
RACK_ROUTE: Final = late(r"^\s*get\s*\(?\s*['\"](/[^'\":*]*)['\"]", re.MULTILINE)
TESTS: Final = frozenset(("test", "tests", "spec", "specs", "node_modules", "vendor"))


class StartedServer(Value, frozen=True):
    """A command that serves HTTP, its folder, variables, port, and the paths that it answers without parameters."""

    command: tuple[str, ...]
    folder: str
    evidence: str
    environment: Mapping[str, str] = {}
    port: int | None = None
    paths: tuple[str, ...] = ()


def find_servers(texts: Mapping[str, str], names: Collection[str]) -> tuple[StartedServer, ...]:
    """The servers of a folder, the surest and uppermost first."""
    files = sorted((n for n in texts if not TESTS & {*n.split("/")[:-1]}), key=lambda name: (name.count("/"), name))
    known: tuple[Callable[[str, Mapping[str, str], Collection[str]], Iterator[StartedServer]], ...]
    known = (of_procfile, of_rack, of_sinatra, of_program)
    return tuple(server for find in known for name in files for server in find(name, texts, names))


def folder_of(name: str) -> str:
    """The folder of a file; "." is the project's."""
    return posixpath.dirname(name) or "."


def of_procfile(name: str, texts: Mapping[str, str], names: Collection[str]) -> Iterator[StartedServer]:
    """The line `web:` of a Procfile, as words: the caller makes it one for this machine."""
    found = WEB.search(texts[name]) if posixpath.basename(name) in ("Procfile", "Procfile.dev") else None
    words = split_words(found[1]) if found else []
    if words and not re.search(r"[|&;<>`]", found[1] if found else ""):
        yield StartedServer(command=tuple(words), folder=folder_of(name), evidence=name)


def of_rack(name: str, texts: Mapping[str, str], names: Collection[str]) -> Iterator[StartedServer]:
    """`config.ru` beside a Gemfile: puma where it is in there, else rackup."""
    place = "" if folder_of(name) == "." else f"{folder_of(name)}/"
    if posixpath.basename(name) != "config.ru" or f"{place}Gemfile" not in names:
        return
    if "puma" in GEM.findall(texts.get(f"{place}Gemfile", "")):
        words: tuple[str, ...] = ("bundle", "exec", "puma", "-b", "tcp://127.0.0.1:{port}")
    else:
        words = ("bundle", "exec", "rackup", "--host", "127.0.0.1", "--port", "{port}")
    yield StartedServer(command=words, folder=folder_of(name), evidence=name, paths=ruby_paths(place, texts))


def of_sinatra(name: str, texts: Mapping[str, str], names: Collection[str]) -> Iterator[StartedServer]:
    """A program of Ruby with `require "sinatra"`, which takes the port as `-p`."""
    if not name.endswith(".rb") or not SINATRA.search(texts[name]) or not RACK_ROUTE.search(texts[name]):
        return
    base = posixpath.basename(name)
    folder = folder_of(name)
    program = ["bundle", "exec", "ruby"] if posixpath.join(folder.lstrip("."), "Gemfile") in names else ["ruby"]
    words = (*program, base, "-o", "127.0.0.1", "-p", "{port}")
    yield StartedServer(command=words, folder=folder, evidence=name, paths=tuple(RACK_ROUTE.findall(texts[name])))


def ruby_paths(place: str, texts: Mapping[str, str]) -> tuple[str, ...]:
    """The routes of Sinatra below a folder."""
    inside = (text for name, text in texts.items() if name.startswith(place) and name.endswith(".rb"))
    return tuple(path for text in inside for path in RACK_ROUTE.findall(text))


def of_program(name: str, texts: Mapping[str, str], names: Collection[str]) -> Iterator[StartedServer]:
    """A program of Python that serves by itself: a `__main__.py`, or a file that is run."""
    text = texts[name]
    own = posixpath.basename(name) == "__main__.py"
    if not name.endswith(".py") or not SERVES.search(text) or not (own or MAIN.search(text)):
        return
    imported = [(dots, first or plain) for dots, first, plain in IMPORTS.findall(text)]
    packages = {package for dots, package in imported if package and not dots}
    found = module_of(name, packages, names, relative=any(dots for dots, _ in imported))
    folder, words = (
        found[0] or "." if found else folder_of(name),
        ("-m", found[1]) if found else (posixpath.basename(name),),
    )
    if found is None and own and "/" in name:
        folder, words = posixpath.dirname(folder) or ".", ("-m", posixpath.basename(folder))
    yield StartedServer(command=("{python}", *words), folder=folder, evidence=name)
