"""Facts in one file's code about another's: the fields that a called function makes, the prefixes of routes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Final

from devenv.init.code import Code, Function
from devenv.init.data_classes import answer_of
from devenv.init.guards import is_guard
from devenv.init.routes import Route
from devenv.init.source import DataClass

DEEPEST: Final = 5


def with_results(code: list[Code]) -> list[Code]:
    """The files whose functions return what another function makes of an item, with the fields of that."""
    makers: dict[str, Function] = {}
    for function in (f for each in code for f in each.functions if f.results):
        makers[function.short] = function if function.short not in makers else replace(function, results={})

    def completed(function: Function) -> Function:
        called = [makers[name] for name in sorted(function.calls) if name in makers and name != function.short]
        used = [each for each in called if each.results]
        if function.results or function.whole or len(used) != 1 or function.short == "":
            return function
        return replace(function, results=used[0].results, gives=used[0].gives)

    made = []
    for each in code:
        functions = {function.name: completed(function) for function in each.functions}
        queries = [replace(q, function=functions.get(q.function.name, q.function)) for q in each.queries]
        made.append(replace(each, functions=tuple(functions.values()), queries=tuple(queries)))
    return made


def with_answers(code: list[Code], classes: Mapping[str, DataClass]) -> list[Code]:
    """The files whose routes show objects of data classes, with the fields that they show."""
    given = {f.short: classes[f.gives] for each in code for f in each.functions if f.gives in classes}

    def completed(route: Route) -> Route:
        called = {name: given[name] for name in sorted(route.calls & given.keys()) if name not in route.answers}
        found = {name: answer_of(route.shows.get(name), kind, classes) for name, kind in called.items()}
        return replace(route, answers={**route.answers, **{name: fields for name, fields in found.items() if fields}})

    return [replace(each, routes=tuple(map(completed, each.routes))) for each in code]


def mounted(code: list[Code]) -> list[Code]:
    """The files with the prefixes that other files mount their routes at, and the guards of these."""
    mounts = {name: mount for each in code for name, mount in each.mounts.items()}
    places = {id(mount): each.file for each in code for mount in each.mounts.values()}
    depends = {name: names for each in code for name, names in each.depends.items()}

    def above(file: str, owner: str, depth: int = 0) -> tuple[str, frozenset[str]]:
        """(prefix, dependencies) of what a router's routes are mounted at, from the outermost on."""
        path = PurePath(file)
        mount = mounts.get(path.parent.name if path.stem == "__init__" else path.stem) or mounts.get(owner)
        if mount is None or depth > DEEPEST:
            return "", frozenset()
        same = places[id(mount)] == file and mount.owner == owner
        before, uses = ("", frozenset()) if same else above(places[id(mount)], mount.owner, depth + 1)
        return before + mount.prefix.rstrip("/"), uses | mount.uses

    def completed(file: str, route: Route) -> Route:
        before, uses = above(file, route.owner)
        path = f"{before}{route.path}"
        return replace(
            route,
            path=path,
            parameters=tuple(re.findall(r"\{(\w+)", path)),
            guarded=any(is_guard(name, depends) for name in route.uses | uses),
        )

    return [replace(each, routes=tuple(completed(each.file, r) for r in each.routes)) for each in code]
