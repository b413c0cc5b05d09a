"""Table definitions, in any form that projects use: CreateTable requests in JSON, CloudFormation, Terraform, Python."""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from devenv.aws import cloudformation as templates
from devenv.core.errors import UsageError
from devenv.init.shell_variables import MAKEFILE, filled_in, made_in
from devenv.init.source import Scope, Unclear, module_scope, value_of
from devenv.steps.schema_load.forms import ANSWERED, CREATE, TableDefinitions, of_template, read_script, simple_key
from devenv.steps.schema_load.schema_load import check_request
from devenv.steps.step import SourceFile

# The AWS CLI by the name of a variable.
CLI: Final = re.compile(r"(?:\$\w+|\$\{\w+\}|\$\(\w+\))[ \t]+dynamodb(?=[ \t])")
NODES: Final = 20_000
TURNS: Final = 200
# Methods that change a list or a dict in place; and a value that nothing spells out.
CHANGES: Final = frozenset(("append", "extend", "insert", "update", "setdefault", "pop", "remove", "clear"))
UNKNOWN: Final = ast.Name(id="")


# What may be computed in a template, and is then left out.
OPTIONAL: Final = (
    *("StreamSpecification", "TimeToLiveSpecification", "Tags", "DeletionProtectionEnabled", "ProvisionedThroughput"),
)
# Of the answer of DescribeTable: it says what BillingMode says.
WITHOUT_MEANING: Final = ("BillingModeSummary",)
TRUTHS: Final = ("DeletionProtectionEnabled", "StreamEnabled", "Enabled")
NUMBERS: Final = {"true": True, "false": False}


@dataclass(frozen=True)
class Found:
    """One table definition. `whole`: the file holds requests and nothing else, so that it can be used as it is.

    `computed` is the template that the real name is put together from, as in `${Stage}-orders`; the table is then
    called as its template calls it, or with the `defaults` of all its parts. `dropped` are parts of the definition that
    are left out. `named_by` is the file or variable that gives the computed part of the name ("": none does).
    `derived`: nothing defines the table, and its key is that of a request in the code, at this place.
    """

    file: str
    line: int
    request: Mapping[str, Any]
    whole: bool = False
    computed: str | None = None
    dropped: tuple[str, ...] = ()
    defaults: bool = False
    named_by: str = ""
    derived: str = ""

    @property
    def table(self) -> str:
        return str(self.request["TableName"])

    def with_evidence(self, place: str) -> Found:
        """The same table, as one that only the code at a place tells."""
        return replace(self, derived=place)


def accept(file: str, line: int, request: Any, *, whole: bool = False) -> Found | None:
    """A definition, if it is one that DynamoDB would take: as `[steps.schema-load]` would read it from a file."""
    if not isinstance(request, dict):
        return None
    try:
        given = {name: numbers(part) for name, part in request.items() if part is not None}
        extras = {name: part for name in OPTIONAL if (part := given.pop(name, None)) is not None}
        read = TableDefinitions()
        read.add({**given, **{name: part for name, part in extras.items() if is_plain(part)}}, file)
        (made,) = read.requests
        kept = settled({str(name): part for name, part in made.items()})
        check_request(kept, file)
        plain(kept, [NODES])
    except (UsageError, Unclear, ValueError, TypeError, AttributeError):
        return None
    if ttl := read.ttl.get(str(kept["TableName"])):
        kept["TimeToLiveSpecification"] = {"Enabled": True, "AttributeName": ttl}
    dropped = sorted(n for n in given if n not in (*kept, *WITHOUT_MEANING) and not ANSWERED.fullmatch(n))
    dropped += [name for name in extras if name not in kept]
    return Found(file, line, kept, whole, dropped=tuple(dropped))


def numbers(value: Any) -> Any:
    """Provisioned sizes as numbers, also where a template has them as texts."""
    if isinstance(value, list):
        return [numbers(part) for part in value]
    if not isinstance(value, dict):
        return value
    sized = {n: int(p) for n, p in value.items() if n.endswith("CapacityUnits") and str(p).isdigit()}
    return {name: sized.get(name, numbers(part)) for name, part in value.items()}


def is_plain(value: Any) -> bool:
    """Return True if a value is spelt out."""
    try:
        plain(value, [NODES])
    except Unclear:
        return False
    return True


def settled(value: Any) -> Any:
    """A value whose numbers and truth values are none of a template's texts."""
    if isinstance(value, dict):
        return {
            name: NUMBERS.get(str(part).lower(), part) if isinstance(part, str) and name in TRUTHS else settled(part)
            for name, part in value.items()
        }
    if isinstance(value, list):
        return [settled(part) for part in value]
    return value


def plain(value: Any, left: list[int]) -> Any:
    """The value, counted, as a few lines can stand for millions of nodes. Unclear when so, or if computed."""
    left[0] -= 1
    if left[0] < 0:
        raise Unclear
    if isinstance(value, str) and "${" in value:
        raise Unclear
    if isinstance(value, dict):
        return {str(name): plain(part, left) for name, part in value.items()}
    if isinstance(value, list):
        return [plain(part, left) for part in value]
    return value


def read_json_tables(file: str, text: str) -> list[Found]:
    """CreateTable requests of a JSON file, DescribeTable's answer, or the tables of a template in JSON."""
    if "KeySchema" not in text and "AWS::" not in text:
        return []
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if isinstance(tree, dict) and ("Resources" in tree or "resources" in tree):
        return list(cloudformation(file, text))
    requests = tree if isinstance(tree, list) else [tree]
    requests = [each.get("Table", each) if isinstance(each, dict) else each for each in requests]
    found = [each for request in requests if (each := accept(file, 1, request, whole=True))]
    return found if len(found) == len(requests) else []


def read_yaml_tables(file: str, text: str) -> list[Found]:
    """The tables of a CloudFormation, SAM or serverless template."""
    return list(cloudformation(file, text)) if "AWS::" in text else []


def cloudformation(file: str, text: str) -> Iterator[Found]:
    """A template's tables; one without a name is called as the template calls it."""
    try:
        resources = templates.read_template(file, text, defaults=True)
    except templates.UnreadableTemplate as error:
        if "aliases" in str(error):
            raise UsageError(f"{file} is not read: {error}", hint=f"write {file} without nested aliases") from None
        return
    for resource in templates.tables(resources):
        properties = resource.properties
        if resource.kind == "AWS::Serverless::SimpleTable":
            properties = {**properties, **simple_key(properties)}
        given = properties.get("TableName")
        plain_name = given if isinstance(given, str) and given and not set("${*") & set(given) else resource.name
        place = re.search(rf"^\s*\"?{re.escape(resource.name)}\"?\s*:", text, re.MULTILINE)
        line = text.count("\n", 0, place.end()) + 1 if place else 1
        found = accept(file, line, {**of_template(properties), "TableName": plain_name})
        if found is not None:
            is_open = isinstance(given, str) and ("${" in given or "{{resolve:" in given)
            computed = re.sub(r"\{\{(resolve:[^{}]*)\}\}", r"${\1}", str(given)) if is_open else None
            replicas = ("Replicas",) if properties.get("Replicas") else ()
            yield replace(found, computed=computed, dropped=(*found.dropped, *replicas))


def template_fault(file: str, text: str) -> str | None:
    """Why a template cannot be read at all; None for one that can."""
    try:
        templates.read_template(file, text, defaults=True)
    except templates.UnreadableTemplate as error:
        return str(error)
    return None


def read_script_tables(file: str, text: str, variables: Mapping[str, str] | None = None) -> list[Found]:
    """The tables of `aws dynamodb create-table` commands in a script, or in a Makefile."""
    read = TableDefinitions()
    makefile = MAKEFILE.fullmatch(file.rpartition("/")[2]) is not None
    text = CLI.sub("aws dynamodb", filled_in(made_in(text, variables or {}) if makefile else text))
    lines: list[int] = []
    for command in CREATE.finditer(text):
        # One by one: a command with a variable of the shell does not hide the others.
        with contextlib.suppress(UsageError):
            read_script(SourceFile(file, command[0]), read)
        more = len(read.requests) - len(lines)
        lines += [text.count("\n", 0, command.start(1)) + 1] * more
    found = []
    for line, request in zip(lines, read.requests, strict=True):
        name = str(request.get("TableName"))
        ttl = {"TimeToLiveSpecification": {"AttributeName": read.ttl[name]}} if name in read.ttl else {}
        if made := accept(file, line, {**request, **ttl}):
            found.append(made)
    return found


def read_python_tables(file: str, tree: ast.Module, variables: Mapping[str, str]) -> tuple[list[Found], list[int]]:
    """The `create_table(…)` calls whose arguments are spelt out, and the lines of those whose are not."""
    module = module_scope(tree, variables)
    found: list[Found] = []
    unclear: list[int] = []
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for owner in [tree, *functions]:
        scope = module if isinstance(owner, ast.Module) else module.inside(owner)
        scope = Scope(with_changes(owner, scope.names), variables)
        for node, loops in calls_in_loops(owner):
            if not isinstance(node.func, ast.Attribute | ast.Name) or called(node) != "create_table":
                continue
            if (
                isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and (node.func.value.id in ("op", "batch_op"))
            ):
                continue  # Alembic's, of a table in Postgres.
            made = [
                each
                for names in bindings(loops, scope)
                if (each := accept(file, node.lineno, arguments(node, Scope({**scope.names, **names}, variables))))
            ]
            found += [each for each in made if all(each.table != known.table for known in found)]
            unclear += [] if made else [node.lineno]
    return found, unclear


def with_changes(owner: ast.AST, names: Mapping[str, ast.expr]) -> dict[str, ast.expr]:
    """The values of names, with what is appended to them; not known where a condition or a loop decides on it."""
    made = dict(names)
    for node in ast.walk(owner):
        for body in (getattr(node, part, None) for part in ("body", "orelse", "finalbody")):
            if not isinstance(body, list):
                continue
            here: set[str] = set()
            for statement in body:
                match statement:
                    case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                        here.add(name)
                if target := changed_name(statement):
                    known = changed(made.get(target), statement) if target in here else None
                    made[target] = known or UNKNOWN
    return made


def changed_name(statement: ast.AST) -> str | None:
    """The name whose list or dict a statement changes in place."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=place, attr=how))) if how in CHANGES:
            pass
        case ast.Assign(targets=[ast.Subscript() as place]) | ast.Delete(targets=[ast.Subscript() as place]):
            pass
        case ast.AugAssign(target=place):
            pass
        case _:
            return None
    while isinstance(place, ast.Subscript):
        place = place.value
    return place.id if isinstance(place, ast.Name) else None


def changed(value: ast.expr | None, statement: ast.AST) -> ast.expr | None:
    """A list or dict with what a statement adds; None where that cannot be told."""
    match value, statement:
        case ast.List(elts=parts), ast.Expr(
            value=ast.Call(func=ast.Attribute(value=ast.Name(), attr="append"), args=[new])
        ):
            return ast.List(elts=[*parts, new])
        case ast.List(elts=parts), ast.AugAssign(target=ast.Name(), op=ast.Add(), value=ast.List(elts=more)):
            return ast.List(elts=[*parts, *more])
        case ast.Dict(keys=keys, values=values), ast.Assign(
            targets=[ast.Subscript(value=ast.Name(), slice=ast.Constant() as key)], value=new
        ):
            return ast.Dict(keys=[*keys, key], values=[*values, new])
    return None


def called(call: ast.Call) -> str:
    """The last name of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def calls_in_loops(owner: ast.AST) -> Iterator[tuple[ast.Call, tuple[ast.For, ...]]]:
    """The calls of a module or a function, without those of functions inside it, each with the loops around it."""
    pending: deque[tuple[ast.AST, tuple[ast.For, ...]]] = deque((each, ()) for each in ast.iter_child_nodes(owner))
    while pending:
        node, loops = pending.popleft()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.Call):
            yield node, loops
        inner = (*loops, node) if isinstance(node, ast.For) else loops
        pending.extend((each, inner) for each in ast.iter_child_nodes(node))


def bindings(loops: Sequence[ast.For], scope: Scope) -> list[dict[str, ast.expr]]:
    """The values of the loops' variables, turn by turn, as far as the lists are spelt out; else one turn without."""
    turns: list[dict[str, ast.expr]] = [{}]
    for loop in loops:
        parts = elements(loop.iter, scope)
        target = loop.target
        if not parts or len(parts) * len(turns) > TURNS:
            continue
        names = [target] if isinstance(target, ast.Name) else getattr(target, "elts", [])
        made = []
        for part in parts:
            values = [part] if isinstance(target, ast.Name) else getattr(part, "elts", [])
            pairs_ = zip(names, values, strict=False)
            made.append({name.id: value for name, value in pairs_ if isinstance(name, ast.Name)})
        turns = [{**turn, **each} for turn in turns for each in made]
    return turns


def elements(node: ast.expr, scope: Scope, depth: int = 0) -> list[ast.expr]:
    """The elements of a list that is spelt out, of a dict's `.values()` and `.items()` too."""
    if depth > TURNS:
        return []
    match node:
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return list(parts)
        case ast.Name(id=name) if name in scope.names:
            return elements(scope.names[name], scope, depth + 1)
        case ast.Call(func=ast.Attribute(value=inner, attr="values" | "items" as how), args=[]):
            given = scope.names.get(inner.id) if isinstance(inner, ast.Name) else inner
            if isinstance(given, ast.Dict) and all(key is not None for key in given.keys):
                if how == "values":
                    return list(given.values)
                both = zip(given.keys, given.values, strict=True)
                return [ast.Tuple(elts=[key, value], ctx=ast.Load()) for key, value in both if key is not None]
    return []


def arguments(call: ast.Call, scope: Scope) -> dict[str, Any]:
    """The keyword arguments that are spelt out, also those of `**request`."""
    found: dict[str, Any] = {}
    for word in call.keywords:
        try:
            value = value_of(word.value, scope)
        except Unclear:
            continue
        if word.arg is not None:
            found[word.arg] = value
        elif isinstance(value, dict):
            found |= value
    return found
