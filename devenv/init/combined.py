"""Facts in one file's code about another's: the fields that a called function makes, the prefixes of routes. Pure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath

from devenv.init.code import Code, Function


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
        return replace(function, results=used[0].results)

    made = []
    for each in code:
        functions = {function.name: completed(function) for function in each.functions}
        queries = [replace(q, function=functions.get(q.function.name, q.function)) for q in each.queries]
        made.append(replace(each, functions=tuple(functions.values()), queries=tuple(queries)))
    return made


def mounted(code: list[Code]) -> list[Code]:
    """The files with the prefixes that another file mounts their routes at."""
    prefixes = {name: prefix for each in code for name, prefix in each.mounts.items()}
    made = []
    for each in code:
        stem = PurePath(each.file).stem
        routes = [
            replace(route, path=f"{before.rstrip('/')}{route.path}")
            if (before := prefixes.get(stem) or prefixes.get(route.owner) or "")
            else route
            for route in each.routes
        ]
        made.append(replace(each, routes=tuple(routes)))
    return made
