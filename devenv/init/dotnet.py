""".NET: the project's command, port, variables of appsettings.json, and the routes and queries of C#. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from devenv.core.value import Value
from devenv.init.class_queries import Known, context_queries
from devenv.init.code import Code, Function, Query
from devenv.init.code_names import as_json
from devenv.init.routes import Route
from devenv.init.spring import flat
from devenv.init.text_code import LARGEST, MOST, balanced, first, line_of, query_of

TESTS: Final = re.compile(r"(^|/)[\w.]*tests?/", re.IGNORECASE)
WEB: Final = re.compile(r"Microsoft\.NET\.Sdk\.Web|Microsoft\.AspNetCore")
# A connection as Npgsql reads it.
NPGSQL: Final = re.compile(r"(?:Host|Server)\s*=\s*[^;]+;.*\bDatabase\s*=\s*([^;]+)", re.IGNORECASE | re.DOTALL)
ADDRESS: Final = re.compile(r"https?://[\w.-]+:\d+/?")
MAPPED: Final = re.compile(r"\.MapGet\(\s*\"([^\"]*)\"")
CHECKED: Final = re.compile(r"\.MapHealthChecks\(\s*\"([^\"]*)\"")
GROUP: Final = re.compile(r"\b(\w+)\s*=\s*(\w+)\.MapGroup\(\s*\"([^\"]*)\"")
OWNER: Final = re.compile(r"(\w+)\s*$")
CONTROLLER: Final = re.compile(r"\[Route\(\s*\"([^\"]*)\"\s*\)\][^;{]{0,300}?\bclass\s+(\w+)")
HTTP_GET: Final = re.compile(r"\[HttpGet(?:\(\s*\"([^\"]*)\"[^)]*\))?\]")
METHOD: Final = re.compile(r"\b(\w+)\s*\(((?:[^()]|\([^()]*\))*)\)\s*(\{|=>)")
VERSION: Final = re.compile(r"\{\w+:apiVersion\}")
PLACE: Final = re.compile(r"\{(\w+)(?::[^{}]*)?\??\}")
VARIABLE: Final = re.compile(r"GetEnvironmentVariable\(\s*\"(\w+)\"\s*\)")
CALL: Final = re.compile(r"\b(\w+)\s*\(")
REQUEST: Final = re.compile(r"\bnew\s+QueryRequest\s*(?:\(\s*\))?\s*\{")
CONSTANT: Final = re.compile(r"\bconst\s+string\s+(\w+)\s*=\s*\"([^\"]*)\"")
NOT_METHODS: Final = frozenset(("if", "for", "foreach", "while", "switch", "using", "lock", "catch", "return", "new"))


class DotnetProject(Value, frozen=True):
    """A web project of .NET: its file and folder, its port, and the variables that override its settings."""

    file: str
    folder: str
    port: int | None
    variables: Mapping[str, str]


def find_dotnet(texts: Mapping[str, str]) -> DotnetProject | None:
    """The uppermost web project."""
    projects = [name for name, text in texts.items() if name.endswith(".csproj") and WEB.search(text)]
    for file in sorted(projects, key=lambda name: (name.count("/"), name)):
        folder = posixpath.dirname(file)
        place = f"{folder}/" if folder else ""
        settings: dict[str, Any] = {}
        for name in ("appsettings.json", "appsettings.Development.json"):
            settings |= dict(flat(as_json(texts.get(f"{place}{name}", ""))))
        launch = texts.get(f"{place}Properties/launchSettings.json", "")
        port = re.search(r"http://[\w.*+-]+:(\d+)", launch)
        variables = {
            name.replace(".", "__"): str(value)
            for name, value in settings.items()
            if NPGSQL.search(str(value)) or ADDRESS.fullmatch(str(value))
        }
        return DotnetProject(file, folder or ".", int(port[1]) if port else None, variables)
    return None


def database_in(value: str) -> str | None:
    """The database of a connection as Npgsql reads it."""
    found = NPGSQL.search(value)
    return found[1].strip() if found else None


def read_dotnet(texts: Mapping[str, str], left_out: list[str], classes: Known | None = None) -> Iterator[Code]:
    """The queries, routes for GET, and variables of C#; sentences in `left_out` about what is not read.

    `classes` are those of items whose tables are known.
    """
    for file, text in texts.items():
        if not file.endswith(".cs") or TESTS.search(posixpath.dirname(file) + "/") or len(text) > LARGEST:
            continue
        functions = first(file, "functions", functions_in(file, text), left_out)
        queries = first(file, "queries", queries_in(text, functions), left_out)
        if classes:
            template = partial(template_of, constants=dict(CONSTANT.findall(text)))
            queries += context_queries(text, functions, classes, template)
        variables = {found[1]: line_of(text, found.start()) for found in VARIABLE.finditer(text)}
        routes = first(file, "routes", routes_in(file, text), left_out)
        if queries or variables or routes:
            yield Code(
                file,
                tuple({query.function.name: query.function for query in queries}.values()),
                tuple(queries),
                (),
                tuple(routes),
                variables,
                {},
                uses_dynamodb="DynamoDB" in text,
                writes="PutItemAsync" in text or "BatchWriteItemAsync" in text,
            )


def functions_in(file: str, text: str) -> Iterator[tuple[int, int, Function]]:
    """(begin, end, function) of the methods."""
    for found in METHOD.finditer(text):
        if found[1] in NOT_METHODS:
            continue
        end = balanced(text, found.end() - 1) if found[3] == "{" else text.find(";", found.end())
        parameters = tuple(part.split("=")[0].split()[-1] for part in found[2].split(",") if part.split("=")[0].split())
        calls = frozenset(CALL.findall(text[found.end() : end]))
        line = line_of(text, found.start())
        yield found.start(), end, Function(file, line, found[1], parameters, calls=calls, whole=True)


def queries_in(text: str, functions: Sequence[tuple[int, int, Function]]) -> Iterator[Query]:
    """The queries of `new QueryRequest { TableName = "t", KeyConditionExpression = "a = :a", … }`."""
    constants = dict(CONSTANT.findall(text))
    for found in REQUEST.finditer(text):
        around = [each for each in functions if each[0] < found.start() < each[1]]
        built = text[found.start() : balanced(text, found.end() - 1)]
        condition = re.search(r"KeyConditionExpression\s*=\s*\"([^\"]*)\"", built)
        if not around or condition is None:
            continue
        names = dict(re.findall(r"[\[{]\s*\"(#\w+)\"\s*(?:\]\s*=|,)\s*\"([^\"]+)\"", built))
        given = re.findall(
            r"[\[{]\s*\"(:\w+)\"\s*(?:\]\s*=|,)\s*new(?:\s+AttributeValue)?\s*(?:\(\)\s*)?[({]\s*(?:[SN]\s*=\s*)?((?:\{\w+\}|[^{})])*)",
            built,
        )
        values = {place: value for place, part in given if (value := template_of(part, constants)) is not None}
        forward = re.search(r"ScanIndexForward\s*=\s*(true|false)", built)
        limit = re.search(r"\bLimit\s*=\s*(\d+)", built)
        yield query_of(
            around[-1][2],
            line_of(text, found.start()),
            condition[1],
            names,
            values,
            table=option(built, "TableName", constants),
            index=option(built, "IndexName", constants),
            forward=forward[1] if forward else None,
            limit=limit[1] if limit else None,
            pages="ExclusiveStartKey" in text or "Paginators" in text,
        )


def option(built: str, name: str, constants: Mapping[str, str]) -> str | None:
    """The text that an initializer gives a property: spelt out, or a constant of the class."""
    found = re.search(rf"\b{name}\s*=\s*(?:\"([^\"]+)\"|(\w+))", built)
    return (found[1] or constants.get(found[2])) if found else None


def template_of(expression: str, constants: Mapping[str, str]) -> str | None:
    """`USER#{id}` of `$"USER#{id}"`, `"USER#" + id` and `id.ToString()`; None for what calls something unknown."""
    made = ""
    for part in (each.strip() for each in expression.split(" + ")):
        part = re.sub(r"^(\w+)\.ToString\(?\)?$", r"\1", part)
        if literal := re.fullmatch(r"\$?\"([^\"]*)\"", part):
            made += literal[1]
        elif part in constants:
            made += constants[part]
        elif re.fullmatch(r"[a-z]\w*", part):
            made += f"{{{part}}}"
        else:
            return None
    return made


def routes_in(file: str, text: str) -> Iterator[Route]:
    """The routes of `app.MapGet(…)`, in groups too, and of controllers; health checks."""
    groups = {name: (owner, path) for name, owner, path in GROUP.findall(text)[:MOST]}
    for found in (*MAPPED.finditer(text), *CHECKED.finditer(text)):
        owner = OWNER.search(text[max(0, found.start() - 80) : found.start()])
        end = balanced(text, text.index("(", found.start()))
        prefix, name = "", owner[1] if owner else ""
        for _ in range(len(groups)):
            if name in groups:
                name, part = groups[name]
                prefix = f"{part.rstrip('/')}{prefix}"
        yield route_of(file, text, prefix, found[1], found.start(), end)
    controllers = [(found.end(), controller_path(found[1], found[2])) for found in CONTROLLER.finditer(text)]
    for found in HTTP_GET.finditer(text):
        above = [path for at, path in controllers if at < found.start()]
        method = METHOD.search(text, found.end())
        begin, end = found.start(), found.end()
        if method:
            begin = method.start()
            end = balanced(text, method.end() - 1) if method[3] == "{" else text.find(";", method.end())
        path = found[1] or ""
        # A path from the root stands alone.
        prefix = above[-1] if above and not path.startswith(("/", "~/")) else ""
        yield route_of(file, text, prefix, path.removeprefix("~"), begin, end)


def default_version(text: str) -> str:
    """The version that a controller names, as a path has it: `1` of `[ApiVersion("1.0")]`."""
    found = re.search(r"\[ApiVersion\(\s*\"?([\d.]+)", text)
    return found[1].removesuffix(".0") if found else "1"


def controller_path(path: str, name: str) -> str:
    """`api/notes` of `api/[controller]` above `NotesController`."""
    return path.replace("[controller]", name.removesuffix("Controller").lower())


def route_of(file: str, text: str, prefix: str, path: str, begin: int, end: int) -> Route:
    """The route of the code from `begin` to `end`."""
    whole = "".join(f"/{part.strip('/')}" for part in (prefix, path) if part.strip("/")) or "/"
    whole = PLACE.sub(r"{\1}", VERSION.sub(default_version(text), whole))
    calls = frozenset(CALL.findall(text[begin:end]))
    parameters = tuple(re.findall(r"\{(\w+)\}", whole))
    return Route(file, line_of(text, begin), whole, parameters, calls, end=line_of(text, end))


def dotnet_words(project: DotnetProject, names: Collection[str]) -> tuple[str, ...]:
    """The command that runs the project from its folder."""
    beside = [name for name in names if name.endswith(".csproj") and posixpath.dirname(name) == project.folder]
    own = ("--project", posixpath.basename(project.file)) if len(beside) > 1 else ()
    return ("dotnet", "run", *own, "--no-launch-profile", "--urls", "http://127.0.0.1:{port}")
