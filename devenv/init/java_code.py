"""Reads Java and Kotlin as text: beans and queries of the AWS SDK v2, and the routes of Spring. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from devenv.init.class_queries import Known, giving, mapper_queries, repository_queries
from devenv.init.code import Code, Function, Query
from devenv.init.code_names import CodeNames
from devenv.init.java_annotations import with_index_names
from devenv.init.java_calls import JavaCalls
from devenv.init.routes import Route
from devenv.init.tables import Found
from devenv.init.text_code import LARGEST, balanced, first, line_of, query_of
from devenv.init.unused import listed

ENDINGS: Final = (".java", ".kt")
TESTS: Final = re.compile(r"(^|/)src/(?:test|androidTest|integrationTest)/|^tests?/")
BEAN: Final = re.compile(r"@DynamoDb(?:Bean|Immutable)\b[^{;]{0,500}?\bclass\s+(\w+)")
MEMBER: Final = re.compile(
    r"((?:@(?:get:)?\w+(?:\([^()]*\))?\s*)+)(?:(?:public|private|override|open|var|val)\s+)*"
    r"(?:[\w<>,.? ]{1,200}?\s+(?:get|is)([A-Z]\w*)\s*\(|(\w+)\s*:)"
)
NAMED: Final = re.compile(r"@(?:get:)?DynamoDbAttribute\(\s*(?:value\s*=\s*)?\"([^\"]+)\"")
METHOD: Final = re.compile(
    r"(?:(?:public|protected|private|static|final|override|suspend|fun)\s+)+(?:<[^>]{1,200}>\s+)?"
    r"(?:[\w<>\[\],.? ]{1,200}\s+)??(\w+)\s*\(((?:[^()]|\([^()]*\))*)\)[^{};=]*(?:=\s*)?\{"
)
EXPRESSED: Final = re.compile(r"\bfun\s+(\w+)\s*\(((?:[^()]|\([^()]*\))*)\)[^{}=]{0,200}=(?!\s*\{)")
MEMBERS: Final = re.compile(r"\n\s*(?:(?:@|\})|(?:(?:override|private|suspend|internal|public|open)\s+)*fun\s)")
TYPED: Final = re.compile(r"\bDynamoDb(?:Async)?Table<(\w+)>\s+(\w+)|\b(\w+)\s*:\s*DynamoDb(?:Async)?Table<(\w+)>")
# `val scans = client.table(NAME, TableSchema.fromBean(Scan::class.java))`.
MADE: Final = re.compile(
    r"\b(\w+)\s*(?::[^=\n]{1,80})?=\s*[\w.()]{1,80}?\.table\s*\((?:[^()]|\([^()]*\)){1,200}?TableSchema\s*\.\s*from\w+\("
    r"\s*(\w+)(?:\.class|::class)"
)
# `val byCrop = scans.index(NAME)`.
INDEX: Final = re.compile(
    r"\b(\w+)\s*(?::[^=\n]{1,80})?=\s*(?:this\.)?(\w+)\s*\.index\(\s*(\"[^\"]+\"|[\w.]+)\s*\)\s*[;\n]"
)
ASKS: Final = re.compile(r"\b(\w+)\s*(?:\.index\(\s*(\"[^\"]+\"|[\w.]+)\s*\)\s*)?\.(query|getItem)\s*(?:\(|(?=\{))")
ASSIGNED: Final = r"\b{}\s*(?::[^=\n]{{1,80}})?=(?!=)((?:[^;\n]|\n\s*\.)*)"
PART: Final = re.compile(r"\.(partition|sort)Value\(\s*((?:[^()]|\([^()]*\))*)\)")
BUILT: Final = re.compile(r"\b(?:QueryRequest\.builder\(\)|QueryRequest\s*\{)")
ONE: Final = re.compile(r"\bgetItem\(\s*\w+\s*->|\bGetItemRequest\.builder\(\)")
PAIR: Final = re.compile(
    r"\"(\w+)\"\s*(?:,|to)\s*(?:AttributeValue\.(?:builder\(\)\s*\.)?(?:from)?\w\(|\w+\()((?:[^()]|\(\))*)\)"
)
ROUTE: Final = re.compile(r"@GetMapping\b(?:\(([^)]*)\))?")
ASKED: Final = re.compile(r"@RequestParam\b(?:\(([^()]*)\))?")
MAPPING: Final = re.compile(r"@RequestMapping\(([^)]*)\)[^;{]{0,500}?\bclass\s+(\w+)")
PATH: Final = re.compile(r"\"(/?[^\"]*)\"")
PLACE: Final = re.compile(r"\{(\w+)(?::[^{}]*(?:\{[^{}]*\}[^{}]*)?)?\}")
CALL: Final = re.compile(r"\b(\w+)\s*\(")
CONSTANT: Final = re.compile(r"\b(?:String|val)\s+(\w+)\s*(?::\s*String\s*)?=\s*\"([^\"]*)\"")
SHOWN: Final = re.compile(r"\"(\w+)\"\s*(?:,|to)\s*(\w+)\.(?:get([A-Z]\w*)\(\)|(\w+))")
LAMBDA: Final = re.compile(r"\b(\w+)\s*->")


@dataclass(frozen=True)
class Bean:
    """A class of items: the attributes of its key."""

    partition: str
    sort: str | None
    indexes: Mapping[tuple[str, str], str]


def read_java(
    texts: Mapping[str, str],
    tables: Sequence[Found],
    left_out: list[str],
    base: str = "",
    classes: Known | None = None,
    names: CodeNames | None = None,
) -> Iterator[Code]:
    """The queries and routes for GET of Java and Kotlin; `base` is the application's context path.

    `classes` are those of items whose tables are known.

    `left_out` gets sentences about what is not read.
    """
    known, spelt = classes or {}, names or CodeNames(texts, {})
    own = {
        file: text
        for file, text in texts.items()
        if file.endswith(ENDINGS) and not TESTS.search(file) and len(text) <= LARGEST
    }
    own = {file: with_index_names(file, text, spelt) for file, text in own.items()}
    beans = {name: bean for text in own.values() for name, bean in beans_in(text)}
    spans = {file: first(file, "functions", functions_in(file, text), left_out) for file, text in own.items()}
    calls = JavaCalls(own, spans)
    for file, text in own.items():
        functions = spans[file]
        queries = [
            *first(
                file,
                "queries of the enhanced client",
                enhanced(file, text, functions, beans, tables, known, spelt),
                left_out,
            ),
            *first(file, "queries", requests(file, text, functions, spelt), left_out),
            *first(file, "requests for one item", item_requests(file, text, functions, spelt), left_out),
        ]
        if known:
            queries += mapper_queries(
                text, functions, known, partial(template_of, constants=dict(CONSTANT.findall(text)))
            )
            queries += repository_queries(
                file, text, known, lambda given: [*filter(None, map(parameter, arguments(given)))]
            )
        routes = first(file, "routes", routes_in(file, text, base, calls), left_out)
        if queries or routes:
            asking = {query.function.name: query.function for query in queries}
            yield Code(
                file,
                tuple(asking.values()),
                tuple(queries),
                (),
                tuple(routes),
                {},
                {},
                uses_dynamodb="DynamoDb" in text,
                writes=bool(re.search(r"\.putItem\(|\.batchWriteItem\(", text)),
            )


def beans_in(text: str) -> Iterator[tuple[str, Bean]]:
    """(class, key) of the beans of a file."""
    for found in BEAN.finditer(text):
        opening = re.compile(r"[({]").search(text, found.end())
        # Of Kotlin, the properties may stand in the constructor's parentheses, the body may be empty.
        body = text[found.end() :] if opening else ""
        partition, sort, indexes = None, None, dict[tuple[str, str], str]()
        for marks, getter, name in MEMBER.findall(body):
            named = NAMED.search(marks)
            attribute = named[1] if named else (name or getter[:1].lower() + getter[1:])
            for kind in ("partition", "sort"):
                secondary = re.search(rf"DynamoDbSecondary{kind.title()}Key\(([^()]*)\)", marks)
                for index in re.findall(r"\"([^\"]+)\"", secondary[1]) if secondary else ():
                    indexes[index, kind] = attribute
            if "DynamoDbPartitionKey" in marks:
                partition = attribute
            elif "DynamoDbSortKey" in marks:
                sort = attribute
        if partition:
            yield found[1], Bean(partition, sort, indexes)


def table_of(bean: Bean, tables: Sequence[Found]) -> str | None:
    """The one table whose key a bean has."""
    fitting = [
        table.table
        for table in tables
        if {str(p["AttributeName"]) for p in table.request["KeySchema"]} == {bean.partition, bean.sort} - {None}
    ]
    return fitting[0] if len(fitting) == 1 else None


def read_beans(texts: Mapping[str, str], tables: Sequence[Found]) -> set[str]:
    """The files whose beans belong to tables that are known."""
    return {
        file
        for file, text in texts.items()
        if file.endswith(ENDINGS) and (beans := [*beans_in(text)]) and all(table_of(bean, tables) for _, bean in beans)
    }


def unasked_routes(code: Sequence[Code]) -> Iterator[str]:
    """Sentences about routes for which no query was found."""
    asking = {query.function.short for each in code for query in each.queries}
    for each in code:
        paths = [
            route.path
            for route in each.routes
            if not route.calls & asking and not any(route.line <= query.line <= route.end for query in each.queries)
        ]
        if paths:
            yield f"{each.file}: {listed(paths)} (Spring): no query on a table was found for it: declare [trace.*]"


def functions_in(file: str, text: str) -> Iterator[tuple[int, int, Function]]:
    """(begin, end, function) of the methods."""
    for found in METHOD.finditer(text):
        end = balanced(text, found.end() - 1)
        parameters = tuple(each for part in arguments(found[2]) if (each := parameter(part)))
        calls = frozenset(CALL.findall(text[found.end() : end]))
        line = line_of(text, found.start())
        yield found.start(), end, Function(file, line, found[1], parameters, calls=calls, whole=True)
    for found in EXPRESSED.finditer(text) if file.endswith(".kt") else ():
        # `fun ofParcel(no: String) = …` ends where the next member begins.
        after = MEMBERS.search(text, found.end())
        end = after.start() if after else len(text)
        parameters = tuple(each for part in arguments(found[2]) if (each := parameter(part)))
        calls = frozenset(CALL.findall(text[found.end() : end]))
        line = line_of(text, found.start())
        yield found.start(), end, Function(file, line, found[1], parameters, calls=calls, whole=True)


def arguments(text: str) -> list[str]:
    """The parameters of a method, each as it is written."""
    return [part.strip() for part in re.split(r",(?![^<(]*[>)])", text) if part.strip()]


def parameter(text: str) -> str:
    """`note` of `@PathVariable("id") String note` and of `note: String`."""
    plain = re.sub(r"@\w+(?:\([^()]*\))?\s*", "", text)
    kotlin = re.match(r"(\w+)\s*:", plain)
    return kotlin[1] if kotlin else (re.findall(r"\w+", plain) or [""])[-1]


def enhanced(
    file: str,
    text: str,
    functions: Sequence[tuple[int, int, Function]],
    beans: Mapping[str, Bean],
    tables: Sequence[Found],
    classes: Known,
    spelt: CodeNames,
) -> Iterator[Query]:
    """The queries of the enhanced client: `scans.query(QueryConditional.keyEqualTo(Key.builder()…))`."""
    typed = {one or three: two or four for two, one, three, four in TYPED.findall(text)} | dict(MADE.findall(text))
    indexes = {name: (table, index) for name, table, index in INDEX.findall(text)}
    constants = dict(CONSTANT.findall(text))
    for found in ASKS.finditer(text):
        owner, given_index = indexes.get(found[1], (found[1], found[2]))
        kind = typed.get(owner, "")
        bean = beans.get(kind)
        around = [each for each in functions if each[0] < found.start() < each[1]]
        if bean is None or not around:
            continue
        opening = found.end() if text[found.end() - 1] != "(" else found.end() - 1
        call = with_assigned(text[found.start() : balanced(text, opening)], text[around[-1][0] : found.start()])
        partition, sort = bean.partition, bean.sort
        index = spelt.text(file, given_index, found.start()) if given_index else None
        if given_index and index is None:
            continue  # Of an index by a computed name, the key is not known.
        if index:
            partition = bean.indexes.get((index, "partition"), partition)
            sort = bean.indexes.get((index, "sort"), sort)
        values = {kind: template_of(given, constants) for kind, given in PART.findall(call)}
        key = {partition: values["partition"]} if values.get("partition") else {}
        begins = "sortBeginsWith" in call
        if values.get("sort") and sort and not begins and ("keyEqualTo" in call or found[3] == "getItem"):
            key[sort] = values["sort"]
        forward = re.search(r"scanIndexForward\(\s*(true|false)", call)
        limit = re.search(r"\.limit\(\s*(\d+)", call)
        function = around[-1][2]
        yield Query(
            giving(function, classes[kind][1]) if kind in classes else function,
            line_of(text, found.start()),
            "Query" if found[3] == "query" else "GetItem",
            classes[kind][0] if kind in classes else table_of(bean, tables),
            index,
            {name: value for name, value in key.items() if value is not None},
            narrowed=sort if begins else None,
            forward=None if forward is None else forward[1] == "true",
            limit=int(limit[1]) if limit else None,
            pages=True,
            begins=(values.get("sort") or "") if begins else "",
        )


def with_assigned(call: str, before: str) -> str:
    """A call with the values that the function gave to the names in it, such as those of a condition and its key."""
    taken: set[str] = set()
    for _ in range(2):
        for name in sorted({*re.findall(r"(?<![.\w])[a-z]\w*\b(?!\s*[.(])", call)} - taken):
            taken.add(name)
            if given := re.search(ASSIGNED.format(name), before):
                call += f"\n{given[1]}"
    return call


def requests(file: str, text: str, functions: Sequence[tuple[int, int, Function]], spelt: CodeNames) -> Iterator[Query]:
    """The queries of `QueryRequest.builder().tableName("t").keyConditionExpression("a = :a")…build()`."""
    constants = dict(CONSTANT.findall(text))
    for found in BUILT.finditer(text):
        around = [each for each in functions if each[0] < found.start() < each[1]]
        end = text.find(".build()", found.end())
        built = text[found.end() : text.find(";", found.end())] if end != -1 else ""
        condition = re.search(r"keyConditionExpression\(\s*\"([^\"]*)\"", built)
        if not around or condition is None:
            continue
        names = dict(re.findall(r"\"(#\w+)\"\s*(?:,|to)\s*\"([^\"]+)\"", built))
        given = re.findall(
            r"\"(:\w+)\"\s*(?:,|to)\s*AttributeValue\.(?:builder\(\)\s*\.)?(?:from)?\w\(([^()]*)\)", built
        )
        values = {place: value for place, text_ in given if (value := template_of(text_, constants)) is not None}
        forward = re.search(r"scanIndexForward\(\s*(true|false)", built)
        limit = re.search(r"\.limit\(\s*(\d+)", built)
        yield query_of(
            around[-1][2],
            line_of(text, found.start()),
            condition[1],
            names,
            values,
            table=option(file, built, "tableName", spelt, found.start()),
            index=option(file, built, "indexName", spelt, found.start()),
            forward=forward[1] if forward else None,
            limit=limit[1] if limit else None,
            pages="exclusiveStartKey" in text or "queryPaginator" in text,
        )


def item_requests(
    file: str, text: str, functions: Sequence[tuple[int, int, Function]], spelt: CodeNames
) -> Iterator[Query]:
    """The requests of `getItem(r -> r.tableName("t").key(Map.of("id", attr(id))))` and GetItemRequest.builder()."""
    constants = dict(CONSTANT.findall(text))
    for found in ONE.finditer(text):
        around = [each for each in functions if each[0] < found.start() < each[1]]
        if not around:
            continue
        begin, end, function = around[-1]
        built = text[
            found.start() : min(end, balanced(text, text.index("(", found.start())) if "->" in found[0] else end)
        ]
        given = re.search(r"\.key\(\s*((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)", built)
        source = given[1] if given else ""
        if re.fullmatch(r"\s*\w+\s*", source):
            # `key` is a name, given a value before.
            source = text[begin : found.start()]
        pairs = PAIR.findall(source)
        key = {name: value for name, part in pairs if (value := template_of(part, constants)) is not None}
        table = option(file, built, "tableName", spelt, found.start())
        if key and len(key) == len(pairs):
            yield Query(function, line_of(text, found.start()), "GetItem", table, None, key, pages=True)


def option(file: str, built: str, name: str, spelt: CodeNames, before: int) -> str | None:
    """The text that a builder gets: spelt out, a constant, a setting, or a name with one of these."""
    found = re.search(rf"\.{name}\(\s*((?:[^()\n]|\(\))+)\)", built)
    return spelt.text(file, found[1], before) if found else None


def template_of(expression: str, constants: Mapping[str, str]) -> str | None:
    """`USER#{id}` of `"USER#" + id`, and of Kotlin's `"USER#$id"`; None for what calls something unknown."""
    made = ""
    for part in (each.strip() for each in expression.split("+")):
        part = re.sub(r"^String\.valueOf\((\w+)\)$|^(\w+)\.toString\(\)$", r"\1\2", part)
        if literal := re.fullmatch(r"\"([^\"]*)\"", part):
            made += re.sub(r"\$\{(\w+)\}|\$(\w+)", lambda m: f"{{{m[1] or m[2]}}}", literal[1])
        elif part in constants:
            made += constants[part]
        elif re.fullmatch(r"[a-z]\w*", part):
            made += f"{{{part}}}"
        else:
            return None
    return made


def routes_in(file: str, text: str, base: str, known: JavaCalls) -> Iterator[Route]:
    """The methods with @GetMapping, below the path of their class and of the application."""
    heads = [(found.end(), path_in(found[1])) for found in MAPPING.finditer(text)]
    for found in ROUTE.finditer(text):
        method = METHOD.search(text, found.end())
        above = [path for at, path in heads if at < found.start()]
        parts = (base, above[-1] if above else "", path_in(found[1] or ""))
        path = "".join(f"/{part.strip('/')}" for part in parts if part.strip("/")) or "/"
        path = PLACE.sub(r"{\1}", path)
        begin = method.start() if method else found.start()
        end = balanced(text, method.end() - 1) if method else found.end()
        short = EXPRESSED.search(text, found.end()) if file.endswith(".kt") else None
        if short is not None and (method is None or short.start() < method.start()):
            after = MEMBERS.search(text, short.end())
            method, begin, end = short, short.start(), after.start() if after else len(text)
        body = text[begin:end]
        calls = frozenset(CALL.findall(body)) | known.reached(file, begin, end)
        yield Route(
            file,
            line_of(text, begin),
            path,
            tuple(re.findall(r"\{(\w+)\}", path)),
            calls,
            end=line_of(text, end),
            asked=tuple(asked_by(method[2])) if method else (),
            answers=dict(shown_by(body, method[1] if method else "", calls)),
        )


def asked_by(parameters: str) -> Iterator[str]:
    """The names behind the `?` of a path: `@RequestParam String pier`, `@RequestParam("pier") String name`."""
    for each in arguments(parameters):
        if found := ASKED.search(each):
            named = re.search(r"\b(?:name|value)\s*=\s*\"(\w+)\"|^\s*\"(\w+)\"", found[1] or "")
            yield named[1] or named[2] if named else parameter(each)


def path_in(given: str) -> str:
    """The path among the options of an annotation."""
    named = re.search(r"\b(?:path|value)\s*=\s*\{?\s*\"([^\"]*)\"", given)
    plain = PATH.match(given.strip().lstrip("{ "))
    return named[1] if named else plain[1] if plain else ""


def shown_by(body: str, name: str, calls: frozenset[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """function -> field of the answer -> field of its items: `Map.of("time", s.getScannedAt(), …)` for each."""
    items = set(LAMBDA.findall(body)) | {"it"}
    fields = {
        field: (getter[:1].lower() + getter[1:]) or plain
        for field, variable, getter, plain in SHOWN.findall(body)
        if variable in items
    }
    if fields:
        yield from ((each, fields) for each in (name, *sorted(calls)))
