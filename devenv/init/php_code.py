"""Reads PHP as text: routes of Slim and Laravel, variables, and queries whose array is spelt out. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from devenv.init.code import Code, Function, Query
from devenv.init.php_routes import in_place, php_routes
from devenv.init.routes import Route
from devenv.init.text_code import LARGEST, LONGEST, balanced, first, line_of, query_of

TESTS: Final = frozenset(("test", "tests", "vendor"))
VARIABLE: Final = re.compile(
    r"\bgetenv\(\s*['\"](\w+)['\"]|\$_(?:ENV|SERVER)\[\s*['\"]([A-Z][A-Z0-9_]+)['\"]|(?<![\w>])env\(\s*['\"](\w+)['\"]"
)
FUNCTION: Final = re.compile(r"\bfunction\s+(\w+)\s*\(([^)]*)\)[^{;]*\{")
CONSTANT: Final = re.compile(r"\bconst\s+(?:string\s+)?(\w+)\s*=\s*['\"]([^'\"]*)['\"]")
CALL: Final = re.compile(r"(?:->|::|\b)(\w+)\s*\(")
CONDITION: Final = re.compile(r"['\"]KeyConditionExpression['\"]\s*=>\s*['\"]([^'\"]*)['\"]")
LOOP: Final = re.compile(r"foreach\s*\(\s*\$(\w+)\s+as\s+(?:\$\w+\s*=>\s*)?\$(\w+)\s*\)")
GIVEN: Final = re.compile(r"\$(\w+)\s*=\s*[^;=\n][^;\n]*(?:->|::)(\w+)\(")
PAIR: Final = re.compile(r"['\"](\w+)['\"]\s*=>\s*\$(\w+)\[['\"](\w+)['\"]\]")
CLOSING: Final = {"(": ")", "[": "]", "{": "}"}


def read_php(texts: Mapping[str, str], left_out: list[str]) -> Iterator[Code]:
    """The queries, routes for GET, and variables of PHP; sentences in `left_out` about what is not read."""
    own = {
        file: text
        for file, text in texts.items()
        if file.endswith(".php") and not TESTS & {*file.split("/")[:-1]} and len(text) <= LARGEST
    }
    for file, text in own.items():
        functions = first(file, "functions", functions_in(file, text), left_out)
        queries = first(file, "queries", queries_in(text, functions), left_out)
        variables = {
            found[1] or found[2] or found[3]: line_of(text, found.start()) for found in VARIABLE.finditer(text)
        }
        routes = first(file, "routes", routes_in(file, text, own), left_out)
        if queries or variables or routes:
            asking = {query.function.name: query.function for query in queries}
            yield Code(
                file,
                tuple(asking.values()),
                tuple(queries),
                (),
                tuple(routes),
                variables,
                {},
                uses_dynamodb="DynamoDb" in text,
                writes="putItem" in text or "batchWriteItem" in text,
            )


def functions_in(file: str, text: str) -> Iterator[tuple[int, int, Function]]:
    """(begin, end, function) of the functions with a name."""
    for found in FUNCTION.finditer(text):
        end = balanced(text, found.end() - 1)
        body = text[found.end() : end]
        parameters = tuple(re.findall(r"\$(\w+)", found[2]))
        calls = frozenset(CALL.findall(body))
        yield (
            found.start(),
            end,
            Function(file, line_of(text, found.start()), found[1], parameters, calls=calls, whole=True),
        )


def queries_in(text: str, functions: list[tuple[int, int, Function]]) -> Iterator[Query]:
    """The queries of arrays with a KeyConditionExpression, each in its function."""
    constants = dict(CONSTANT.findall(text))
    for found in CONDITION.finditer(text):
        around = [each for each in functions if each[0] < found.start() < each[1]]
        begin = enclosing(text, found.start())
        if not around or begin is None:
            continue
        function = around[-1][2]
        array = text[begin : balanced(text, begin)]
        names = dict(re.findall(r"['\"](#\w+)['\"]\s*=>\s*['\"]([^'\"]+)['\"]", array))
        values = dict(values_in(array, constants))
        forward = re.search(r"['\"]ScanIndexForward['\"]\s*=>\s*(true|false)", array)
        limit = re.search(r"['\"]Limit['\"]\s*=>\s*(\d+)", array)
        yield query_of(
            function,
            line_of(text, found.start()),
            found[1],
            names,
            values,
            table=given(array, "TableName", constants),
            index=given(array, "IndexName", constants),
            forward=forward[1] if forward else None,
            limit=limit[1] if limit else None,
            pages="ExclusiveStartKey" in text or "LastEvaluatedKey" in text or "getPaginator" in text,
        )


def enclosing(text: str, at: int) -> int | None:
    """The place of the `[` that the place `at` stands in."""
    depth = 0
    for place in range(at - 1, max(-1, at - LONGEST), -1):
        if text[place] in ")]}":
            depth += 1
        elif text[place] in "([{":
            if depth == 0:
                return place if text[place] == "[" else None
            depth -= 1
    return None


def given(array: str, name: str, constants: Mapping[str, str]) -> str | None:
    """The text that an array gives a name: spelt out, or a constant of the class."""
    found = re.search(rf"['\"]{name}['\"]\s*=>\s*(?:['\"]([^'\"]+)['\"]|(?:self|static)::(\w+))", array)
    return (found[1] or constants.get(found[2])) if found else None


def values_in(array: str, constants: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """place -> template of `':d' => ['S' => "USER#$id"]` and `':d' => $id`."""
    for found in re.finditer(r"['\"](:\w+)['\"]\s*=>\s*(?:\[\s*['\"][SN]['\"]\s*=>\s*)?([^,\]\n]+)", array):
        if (template := template_of(found[2], constants)) is not None:
            yield found[1], template


def template_of(expression: str, constants: Mapping[str, str]) -> str | None:
    """`USER#{id}` of `'USER#' . $id`, `"USER#$id"` and `"USER#{$id}"`; None for what calls something unknown."""
    made = ""
    for part in (each.strip() for each in re.split(r"\s\.\s", expression.strip())):
        part = re.sub(r"^\(string\)\s*|^strval\((.*)\)$|^\$this->\w+->marshalValue\((.*)\)$", r"\1\2", part)
        if literal := re.fullmatch(r"'([^']*)'", part):
            made += literal[1]
        elif literal := re.fullmatch(r"\"([^\"]*)\"", part):
            made += re.sub(r"\{\$(\w+)\}|\$(\w+)", lambda m: f"{{{m[1] or m[2]}}}", literal[1])
        elif variable := re.fullmatch(r"\$(\w+)", part):
            made += f"{{{variable[1]}}}"
        elif (constant := re.fullmatch(r"(?:self|static)::(\w+)", part)) and constant[1] in constants:
            made += constants[constant[1]]
        else:
            return None
    return made


def routes_in(file: str, text: str, texts: Mapping[str, str]) -> Iterator[Route]:
    """The routes for GET, each with what its closure, or the method of its controller, calls and shows."""
    for found in php_routes(file, text):
        place, line, last, body = file, line_of(text, found.at), line_of(text, found.end), text[found.body : found.end]
        if found.controller:
            place, line, last, body = method_of(found.controller, found.method, texts) or (place, line, last, body)
        path = in_place(found.path)
        yield Route(
            place,
            line,
            path,
            tuple(re.findall(r"\{(\w+)\}", path)),
            frozenset(CALL.findall(body)),
            end=last,
            answers=dict(shown_by(body)),
        )


def method_of(name: str, method: str, texts: Mapping[str, str]) -> tuple[str, int, int, str] | None:
    """(file, first line, last line, body) of a controller's method."""
    for file, text in texts.items():
        if re.search(rf"\bclass\s+{name}\b", text):
            for found in FUNCTION.finditer(text):
                if found[1] == method:
                    end = balanced(text, found.end() - 1)
                    return file, line_of(text, found.start()), line_of(text, end), text[found.end() : end]
    return None


def shown_by(body: str) -> Iterator[tuple[str, dict[str, str]]]:
    """function -> field of the answer -> field of its items, where a loop picks them: `'at' => $stop['StartedAt']`."""
    made = dict(GIVEN.findall(body))
    for listed, item in LOOP.findall(body):
        fields = {field: own for field, variable, own in PAIR.findall(body) if variable == item}
        if listed in made and fields:
            yield made[listed], fields
