"""Routes of PHP: those of Slim and Laravel with the prefixes of their groups, and the attributes of Symfony. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from devenv.core.late import late
from devenv.init.text_code import LARGEST, balanced

ROUTE: Final = late(r"(?:->|\bRoute::)get\(\s*(['\"])(/?[^'\"\s]*)\1\s*,")
GROUP: Final = late(r"(?:->|::)group\(")
RESOURCE: Final = late(r"\bRoute::(?:apiR|r)esource\(\s*['\"]([\w/-]+)['\"]\s*,\s*\\?(?:\w+\\)*(\w+)::class")
OWN_PREFIX: Final = late(
    r"group\(\s*(?:['\"]([^'\"]*)['\"]|\[(?:(?!\bfunction\b|\bfn\b)[^;]){0,300}?['\"]prefix['\"]\s*=>\s*['\"]([^'\"]*)['\"])"
)
CHAINED: Final = late(r"\bprefix\(\s*['\"]([^'\"]*)['\"]\s*\)")
OF_CONTROLLER: Final = late(r"\bcontroller\(\s*\\?(?:\w+\\)*(\w+)::class\s*\)")
BASE: Final = late(r"->setBasePath\(\s*['\"]([^'\"]*)['\"]\s*\)")
CONTROLLER: Final = late(r"\s*(?:\[\s*\\?(?:\w+\\)*(\w+)::class\s*,\s*['\"](\w+)['\"]|['\"](\w+)[@:](\w+)['\"])")
# `ScanController::class`: its method __invoke.
ALONE: Final = late(r"\s*\\?(?:\w+\\)*(\w+)::class\s*[,)]")
METHOD: Final = late(r"\s*['\"](\w+)['\"]")
ATTRIBUTE: Final = late(r"(?:#\[|@)(?:\w+\\)*Route\(((?:[^()\"']|\"[^\"]*\"|'[^']*'|\([^()]*\))*)\)")
PATH: Final = late(r"^\s*(?:path\s*[:=]\s*)?['\"]([^'\"]*)['\"]|\bpath\s*[:=]\s*['\"]([^'\"]*)['\"]")
METHODS: Final = late(r"\bmethods\s*[:=]\s*[\[{]([^\]}]*)[\]}]|\bmethods\s*[:=]\s*['\"](\w+)['\"]")
NEXT: Final = late(r"\b(class|function)\s+(\w+)")


class PhpRoute(NamedTuple):
    """One route for GET: where it begins and its handler ends, its path, the controller and method that answer it.

    Without a controller the handler stands at the route itself, from `body` on.
    """

    at: int
    end: int
    body: int
    path: str
    controller: str = ""
    method: str = ""


class RouteGroup(NamedTuple):
    """The routes between two places have a prefix, and perhaps one controller."""

    begin: int
    end: int
    prefix: str
    controller: str


def php_routes(file: str, text: str) -> Iterator[PhpRoute]:
    """The routes for GET of a file."""
    groups = groups_of(text)
    base = BASE.search(text)
    above = "/api" if file.endswith("routes/api.php") else base[1] if base else ""
    for found in ROUTE.finditer(text):
        prefix, owner = around(groups, found.start())
        chain = text[text.rfind(";", 0, found.start()) + 1 : found.start()]
        if text.startswith("->", found.start()) and "Route::" in chain and (own := CHAINED.search(chain)):
            prefix = joined(prefix, own[1])
        opening = text.index("(", found.start())
        end = balanced(text, opening)
        path = joined(above, prefix, found[2])
        given = CONTROLLER.match(text, found.end())
        alone = ALONE.match(text, found.end())
        method = METHOD.match(text, found.end()) if owner else None
        if given:
            controller, name = given[1] or given[3], given[2] or given[4]
        elif alone:
            controller, name = alone[1], "__invoke"
        else:
            controller, name = (owner, method[1]) if method else ("", "")
        yield PhpRoute(found.start(), end, found.end(), path, controller, name)
    for found in RESOURCE.finditer(text):
        prefix, _ = around(groups, found.start())
        thing = re.sub(r"s$", "", found[1].rpartition("/")[2]).replace("-", "_")
        for action, tail in (("index", ""), ("show", f"{{{thing}}}")):
            path = joined(above, prefix, found[1], tail)
            yield PhpRoute(found.start(), found.end(), found.end(), path, found[2], action)
    yield from attribute_routes(text)


def groups_of(text: str) -> list[RouteGroup]:
    """The groups of a file, each with what it alone adds."""
    groups = []
    for found in GROUP.finditer(text):
        end = balanced(text, found.end() - 1, LARGEST)
        begin = max(text.rfind(mark, 0, found.start()) for mark in (";", "{", "[")) + 1
        chain = text[begin : found.start()]
        own = OWN_PREFIX.match(text, found.end() - len("group("))
        parts = [each[1] for each in CHAINED.finditer(chain)] + ([own[1] or own[2]] if own else [])
        controller = OF_CONTROLLER.search(chain)
        groups.append(
            RouteGroup(found.end(), end, joined(*parts) if parts else "", controller[1] if controller else "")
        )
    return groups


def around(groups: list[RouteGroup], at: int) -> tuple[str, str]:
    """(prefix, controller) of the groups around a place, the outermost first."""
    inside = sorted(each for each in groups if each.begin <= at < each.end)
    controllers = [each.controller for each in inside if each.controller]
    return joined(*(each.prefix for each in inside)) if inside else "", controllers[-1] if controllers else ""


def attribute_routes(text: str) -> Iterator[PhpRoute]:
    """`#[Route('/scans/{id}', methods: ['GET'])]` above methods, below the one above their class."""
    prefix = ""
    for found in ATTRIBUTE.finditer(text):
        owner = NEXT.search(text, found.end())
        given = PATH.search(found[1])
        path = (given[1] or given[2] or "") if given else ""
        if owner is None:
            continue
        if owner[1] == "class":
            prefix = path
            continue
        methods = METHODS.search(found[1])
        if methods and "GET" not in (methods[1] or methods[2] or "").upper():
            continue
        opening = text.find("{", owner.end())
        end = balanced(text, opening) if opening != -1 else owner.end()
        yield PhpRoute(owner.start(), end, owner.end(), joined(prefix, path))


def joined(*parts: str) -> str:
    """A path of parts, each with or without slashes."""
    return "".join(f"/{part.strip('/')}" for part in parts if part.strip("/")) or "/"


def in_place(path: str) -> str:
    """A path with the names of its places alone: `{id}` of `{id:\\d+}`, `{id<\\d+>}`, `{scan:uuid}` and `{id?}`."""
    return re.sub(r"\{!?(\w+)(?:[:<](?:[^{}]|\{[^{}]*\})*)?\??\}", r"{\1}", path)
