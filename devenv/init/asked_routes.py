"""The route that asks a query, with its path filled in; where a module's imports start. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from devenv.init.applications import find_application
from devenv.init.code import Code, Query
from devenv.init.entities import PLACE, singular, snake
from devenv.init.names import bare
from devenv.init.people import NATURAL, is_person
from devenv.init.propose import ID_END
from devenv.init.routes import Route
from devenv.init.survey import Survey

# A parameter called `uid` or `pid` tells of no thing.
LETTER: Final = 1


def find_route(code: Iterable[Code], query: Query, key: Mapping[str, str], name: str, person: Any) -> Route | None:
    """The one GET route whose function asks a query, or calls what does, with its path filled in by parameters.

    `key` maps what the code calls a parameter to what it is called here. Without calls that tell, it is the one route
    with exactly these parameters, and of several the one that is called after the pattern.
    """
    code = list(code)
    routes = [route for each in code for route in each.routes]
    inside = [r for r in routes if r.file == query.function.file and r.line <= query.line <= r.end]
    short = query.function.short
    callers = [r for r in routes if short and short in r.calls]
    if short and not callers:
        between = {f.short for each in code for f in each.functions if short in f.calls and f.name}
        callers = [r for r in routes if between & r.calls]
    alike = [route for route in routes if key and set(route.parameters) == set(key)]
    for found in (inside, callers, alike):
        filled = [(route, path) for route in found if (path := fill_path(route, key, person)) is not None]
        # Only JSON can be compared.
        filled = [each for each in filled if not each[0].page] or filled
        best = [each for each in filled if name in each[0].path] or filled
        if len(best) == 1:
            return replace(best[0][0], path=best[0][1])
    return None


def fill_path(route: Route, key: Mapping[str, str], person: Any) -> str | None:
    """A route's path with devenv's names of parameters, and with those that it reads behind the `?`."""
    left = {name: place for name, place in key.items() if not place.startswith("{person.")}
    known: dict[str, str] = {}
    for name in route.parameters:
        if name in key:
            known[name] = key[name]
            left.pop(name, None)
        elif person and (column := column_of(name, person)):
            known[name] = f"{{person.{column}}}"
    open_ = [name for name in route.parameters if name not in known]
    if len(open_) == len(left) == 1 and not route.indirect and not is_other(open_[0], next(iter(left))):
        known[open_[0]] = next(iter(left.values()))
        open_, left = [], {}
    if open_:
        return None
    asked = {}
    for name in route.asked:
        if name in left:
            asked[name] = left.pop(name)
        elif person and (column := column_of(name, person)):
            asked[name] = f"{{person.{column}}}"
    if left:
        return None
    behind = "&".join(f"{name}={place}" for name, place in asked.items())
    return PLACE.sub(lambda found: known[found[1]], route.path) + (f"?{behind}" if behind else "")


def is_other(parameter: str, name: str) -> bool:
    """Return True for a path's `handle` where the key takes an id: the code looks the one up by the other.

    So it does for a `permit_id` where the key takes a plate. `bike_id` for a key's `bike` is the same.
    """
    is_id = ID_END.search(name) is not None
    if snake(parameter) in NATURAL:
        return is_id
    thing, meant = bare(ID_END.sub("", parameter)), bare(name)
    named = ID_END.search(parameter) is not None and len(thing) > LETTER
    return named and not is_id and thing not in meant and meant not in thing


def column_of(name: str, person: Any) -> str | None:
    """The column of the person that a parameter is called after: its id, or its name."""
    table, id_, column, _ = person
    if is_person(name, table):
        return str(id_)
    called = {column, f"{singular(table.name)}_{column}", "username", "handle"}
    return str(column) if snake(name) in called else None


def source_folder(file: str, survey: Survey) -> str | None:
    """The folder that imports begin at: the application's, when the file is in it; None: the project's."""
    application = survey.compose.application if survey.compose else None
    folder = (application.build or "").removeprefix("./").rstrip("/") if application else ""
    if not application and file.endswith(".py"):
        started = find_application(survey)
        folder = started.folder if started and started.folder != "." else ""
    if folder in ("", ".") and file.endswith(".py") and file.count("/") > 1 and "src/__init__.py" not in survey.names:
        folder = "src"  # Packages below `src`, which is none itself.
    return folder if folder and file.startswith(f"{folder}/") else None


def module_of(file: str, folder: str | None) -> str:
    """`backend/lib/ddb.py` below `backend` -> `lib.ddb`."""
    inner = file.removeprefix(f"{folder}/") if folder else file
    return inner.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
