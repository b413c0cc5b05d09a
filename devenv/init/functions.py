"""Functions on tables' streams: SAM and CloudFormation templates, serverless.yml, Terraform, CDK, and plain files.

Pure: texts of a folder in, what could be `[services.NAME] stream = …` out.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from devenv.aws import cloudformation as templates
from devenv.aws import hcl
from devenv.config.filters import problem
from devenv.config.workers import MOST_RECORDS, handler_places
from devenv.core.errors import UsageError
from devenv.init.compose import read_yaml

TABLE_ARN: Final = re.compile(r":table/([\w.-]+)(?:/stream/|$)")
GET_STREAM: Final = re.compile(r"!GetAtt\s+\"?(\w+)\.StreamArn|Fn::GetAtt\W+(\w+)\W+StreamArn")
REFERENCE: Final = re.compile(r"\$\{(?:aws_\w+)\.(\w+)\.")
# CDK in TypeScript, JavaScript and Python: a function's handler and code, and the table of its event source.
CDK_SOURCE: Final = re.compile(r"\bDynamoEventSource\(\s*(?:this\.|self\.)?(\w+)")
CDK_HANDLER: Final = re.compile(r"\bhandler\s*[:=]\s*[\"']([\w./-]+)[\"']")
CDK_CODE: Final = re.compile(r"\b(?:fromAsset|from_asset)\(\s*[\"']([\w./-]+)[\"']")
CDK_ENTRY: Final = re.compile(r"\bentry\s*[:=]\s*[\"']([\w./-]+)[\"']")
# A plain file: a function of an event whose records are those of a table's stream.
PYTHON_HANDLER: Final = re.compile(r"^(?:async )?def (\w+)\(\s*event\b[^)]*\bcontext\b", re.MULTILINE)
NODE_HANDLER: Final = re.compile(r"\bexports\.(\w+)\s*=|\bexport\s+(?:const|async\s+function|function)\s+(\w+)")
READS_STREAM: Final = re.compile(r"\bNewImage\b|\bOldImage\b|\beventName\b")
RECORDS: Final = re.compile(r"\bRecords\b")
FUNCTIONS: Final = ("AWS::Serverless::Function", "AWS::Lambda::Function")
SOURCES: Final = (".py", ".js", ".cjs", ".mjs")
NAME: Final = re.compile(r"[^a-z0-9-]+")
# What declares that a function is called for records, in each form; and that they are those of a table's stream.
SOURCE: Final = re.compile(
    r"^\s*\"?Type\"?:\s*\"?DynamoDB\b|AWS::Lambda::EventSourceMapping|^\s*-\s*stream:|"
    r"\bresource\s+\"aws_lambda_event_source_mapping\"|\bDynamoEventSource\(",
    re.MULTILINE,
)
OF_STREAM: Final = re.compile(r"StreamArn|stream_arn|/stream/|DynamoEventSource|Type\"?:\s*\"?DynamoDB\b")
DECLARING: Final = (".yml", ".yaml", ".template", ".json", ".tf", ".ts", ".js", ".py")


@dataclass(frozen=True)
class FoundFunction:
    """One function. `table` is its table's name, or what the template calls it; None when nothing tells.

    `handler` is a file of the folder and a function, `file.py:function`; `seen` is where it was found. `filter` None:
    there is one that is not understood.
    """

    name: str
    handler: str
    seen: str
    table: str | None = None
    filter: tuple[Mapping[str, Any], ...] | None = ()
    size: int | None = None


def find_functions(texts: Mapping[str, str], tables: Sequence[str]) -> tuple[FoundFunction, ...]:
    """All functions whose file is there, each once, those of templates first. `tables` are the known tables."""
    found: dict[str, FoundFunction] = {}
    for each in (*of_files(texts), *of_plain_files(texts)):
        if each.handler not in found:
            table = each.table if each.table in tables else nearest(each.table, tables)
            found[each.handler] = replace(each, table=table)
    return tuple(found.values())


def unread_functions(texts: Mapping[str, str], found: Sequence[FoundFunction]) -> Iterator[str]:
    """One line for each file with event sources of streams of which not every function was found."""
    for name, text in texts.items():
        sources = len(SOURCE.findall(text)) if OF_STREAM.search(text) else 0
        read = sum(one.seen == name or one.seen.startswith(f"{name}:") for one in found)
        if name.endswith(DECLARING) and read < sources:
            few = "1 stream function" if sources - read == 1 else f"{sources - read} stream functions"
            yield f"{name}: {few} whose handler or file was not found; declare it yourself: [services.NAME] stream = …"


def of_files(texts: Mapping[str, str]) -> Iterator[FoundFunction]:
    """The functions that templates and programs of the infrastructure declare."""
    for name, text in texts.items():
        if name.endswith((".yml", ".yaml", ".template", ".json")):
            if "AWS::" in text and ("EventSourceMapping" in text or "AWS::Serverless::Function" in text):
                yield from of_template(name, text, texts)
            if "functions" in text and "stream" in text:
                yield from of_serverless(name, text, texts)
        elif name.endswith(".tf") and "aws_lambda_event_source_mapping" in text:
            yield from of_terraform(name, text, texts)
        elif "DynamoEventSource" in text:
            yield from of_cdk(name, text, texts)


def made(
    name: str, handler: Any, folders: Sequence[str], seen: str, texts: Mapping[str, str], **more: Any
) -> Iterator[FoundFunction]:
    """The function, when its handler's file is in one of these folders or below."""
    if not isinstance(handler, str):
        return
    for place in handler_places(handler):
        known = {posixpath.normpath(posixpath.join(folder, place.file)) for folder in folders}
        wanted = [file for file in texts if file in known]
        # A zip file was made from some folder: one file of that name is the one.
        others = [file for file in texts if file.endswith(f"/{place.file}") or file == place.file]
        if found := wanted or (others if len(others) == 1 else []):
            yield FoundFunction(service_name(name), f"{found[0]}:{place.function}", seen, **more)
            return


def service_name(name: str) -> str:
    """A name for `[services.NAME]`: `MoveGroupRows` as `move-group-rows`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower().replace("_", "-")
    return NAME.sub("-", words).strip("-") or "stream-function"


def filters_of(patterns: Sequence[Any]) -> tuple[Mapping[str, Any], ...] | None:
    """Filter patterns, those of text read as JSON; None when one of them is not understood."""
    found = []
    for pattern in patterns:
        value = pattern
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                return None
        if problem(value) is not None:
            return None
        found.append(value)
    return tuple(found)


def size_of(value: Any) -> int | None:
    """A batch size that is one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_RECORDS else None


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping; else an empty one."""
    return value if isinstance(value, Mapping) else {}


def listed(value: Any) -> Sequence[Any]:
    """The value if it is a list; else an empty one."""
    return value if isinstance(value, list) else []


def of_template(file: str, text: str, texts: Mapping[str, str]) -> Iterator[FoundFunction]:
    """SAM's events of type DynamoDB, and CloudFormation's event source mappings."""
    try:
        resources = templates.read_template(file, text)
    except templates.UnreadableTemplate:
        return
    functions = {
        one.name: one for one in resources if one.kind in ("AWS::Serverless::Function", "AWS::Lambda::Function")
    }
    sources: list[tuple[str, Mapping[str, Any], Any]] = []
    for one in functions.values():
        for event in mapping(one.properties.get("Events")).values():
            if mapping(event).get("Type") == "DynamoDB":
                given = mapping(event.get("Properties"))
                sources.append((one.name, given, given.get("Stream")))
    for one in resources:
        if one.kind == "AWS::Lambda::EventSourceMapping":
            whose = str(one.properties.get("FunctionName", ""))
            name = next((name for name in functions if re.search(rf"\b{re.escape(name)}\b", whose)), None)
            name = name or (next(iter(functions)) if len(functions) == 1 else None)
            if name is not None:
                sources.append((name, one.properties, one.properties.get("EventSourceArn")))
    for name, given, source in sources:
        properties = functions[name].properties
        code = properties.get("CodeUri") or properties.get("Code") or "."
        folder = code if isinstance(code, str) else "."
        arn = TABLE_ARN.search(str(source))
        patterns = [mapping(one).get("Pattern") for one in listed(mapping(given.get("FilterCriteria")).get("Filters"))]
        yield from made(
            name,
            properties.get("Handler"),
            [posixpath.join(posixpath.dirname(file), folder)],
            file,
            texts,
            table=arn[1] if arn else None,
            filter=filters_of(patterns),
            size=size_of(given.get("BatchSize")),
        )


def of_serverless(file: str, text: str, texts: Mapping[str, str]) -> Iterator[FoundFunction]:
    """The Serverless Framework's `stream` events of tables."""
    try:
        tree = mapping(read_yaml(file, text))
        resources = templates.read_template(file, text)
    except (templates.UnreadableTemplate, UsageError):
        return
    names = {one.name: one.properties.get("TableName") for one in templates.tables(resources)}
    for name, function in mapping(tree.get("functions")).items():
        for event in listed(mapping(function).get("events")):
            source = mapping(event).get("stream")
            told = source if isinstance(source, str) else json.dumps(mapping(source).get("arn"), default=str)
            if source is None or mapping(source).get("type", "dynamodb") != "dynamodb" or ":kinesis:" in told:
                continue
            arn, got = TABLE_ARN.search(told), GET_STREAM.search(told)
            if arn is None and got is None:  # a tag, which reading leaves out
                got = GET_STREAM.search(text, max(0, text.find(f"{name}:")))
            label = next(filter(None, got.groups()), None) if got else None
            table = arn[1] if arn else names.get(label) or label if label else None
            yield from made(
                str(name),
                mapping(function).get("handler"),
                [posixpath.dirname(file)],
                file,
                texts,
                table=table if isinstance(table, str) else label,
                filter=filters_of(listed(mapping(source).get("filterPatterns"))),
                size=size_of(mapping(source).get("batchSize")),
            )


def of_terraform(file: str, text: str, texts: Mapping[str, str]) -> Iterator[FoundFunction]:
    """Event source mappings of Terraform, with the functions and tables of all its files."""
    blocks: dict[tuple[str, ...], hcl.Block] = {}
    mappings: list[hcl.Block] = []
    for name in [each for each in texts if each.endswith(".tf")]:
        try:
            read = hcl.read(texts[name])
        except hcl.Broken:
            continue
        for block in read:
            if block.kind == "resource" and len(block.labels) == 2:
                blocks[block.labels] = block
                if name == file and block.labels[0] == "aws_lambda_event_source_mapping":
                    mappings.append(block)
    for block in mappings:
        source = REFERENCE.search(str(block.attributes.get("event_source_arn")))
        whose = REFERENCE.search(str(block.attributes.get("function_name")))
        function = blocks.get(("aws_lambda_function", whose[1])) if whose else None
        table = blocks.get(("aws_dynamodb_table", source[1])) if source else None
        if function is None or source is None or whose is None:
            continue
        patterns = [
            each.attributes.get("pattern") for one in block.inner("filter_criteria") for each in one.inner("filter")
        ]
        given = table.attributes.get("name") if table else None
        yield from made(
            whose[1],
            function.attributes.get("handler"),
            [posixpath.dirname(file)],
            f"{file}:{block.line}",
            texts,
            table=given if isinstance(given, str) and "${" not in given else source[1],
            filter=filters_of(patterns),
            size=size_of(block.attributes.get("batch_size")),
        )


def of_cdk(file: str, text: str, texts: Mapping[str, str]) -> Iterator[FoundFunction]:
    """The functions of a CDK stack that has an event source: by its text, so only where it has one function."""
    source = CDK_SOURCE.search(text)
    handlers, entries = CDK_HANDLER.findall(text), CDK_ENTRY.findall(text)
    if source is None or len(handlers) + (not handlers) > 1:
        return
    line = text.count("\n", 0, source.start()) + 1
    folders = [*CDK_CODE.findall(text), *map(posixpath.dirname, entries), ""]
    handler = handlers[0] if handlers else "handler"
    if entries and "." not in handler:
        handler = f"{posixpath.splitext(posixpath.basename(entries[0]))[0]}.{handler}"
    named = re.search(rf"\b{source[1]}\b[^;\n]*(?:\n[^;]*?)?\b(?:tableName|table_name)\s*[:=]\s*[\"']([\w.-]+)", text)
    above = {
        posixpath.normpath(posixpath.join(up, folder)) for folder in folders for up in ("", posixpath.dirname(file))
    }
    yield from made(
        posixpath.splitext(handler)[0].rpartition("/")[2],
        handler,
        sorted(above),
        f"{file}:{line}",
        texts,
        table=named[1] if named else source[1],
    )


def of_plain_files(texts: Mapping[str, str]) -> Iterator[FoundFunction]:
    """Files with a function of an event whose records are those of a stream, as in a folder of lambdas."""
    for name, text in texts.items():
        if not name.endswith(SOURCES) or not RECORDS.search(text) or not READS_STREAM.search(text):
            continue
        if "dynamodb" not in text:
            continue
        handlers = PYTHON_HANDLER.findall(text) if name.endswith(".py") else node_handlers(text)
        if len(handlers) == 1:
            title = posixpath.splitext(posixpath.basename(name))[0]
            yield FoundFunction(service_name(title), f"{name}:{handlers[0]}", name)


def node_handlers(text: str) -> list[str]:
    """The functions that a module of Node exports."""
    return [next(filter(None, one.groups())) for one in NODE_HANDLER.finditer(text)]


def nearest(name: str | None, tables: Sequence[str]) -> str | None:
    """The known table that is meant: the only one, or the one whose name agrees but for its spelling."""
    plain = re.sub(r"[^a-z0-9]", "", (name or "").lower()).removesuffix("table")
    alike = [table for table in tables if plain and plain in re.sub(r"[^a-z0-9]", "", table.lower())]
    if len(alike) == 1:
        return alike[0]
    return tables[0] if len(tables) == 1 else None
