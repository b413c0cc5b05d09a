"""How the application signs and checks its own tokens: PyJWT, python-jose, jsonwebtoken with a key of a variable. Pure.

The key, the algorithm and the claims are read from the calls (`jwt.encode`, `jwt.decode`, `jwt.sign`, `jwt.verify`) and
from the claims that the code then reads.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final, Literal

from devenv.core.value import Value
from devenv.init.javascript import JsParser, JsScript, declared
from devenv.init.javascript_values import values_outside
from devenv.init.source import Scope, assignments
from devenv.init.variables import variable_behind

PYTHON: Final = {"encode": True, "decode": False}
SCRIPT: Final = {"sign": True, "verify": False}
DEFAULT: Final = "HS256"
# What devenv adds itself, or what a request does not need.
OWN: Final = frozenset(("exp", "iat", "nbf", "jti"))
# Options of the calls that are claims of the token.
OPTIONS: Final = {"audience": "aud", "issuer": "iss", "subject": "sub"}
READS_HEADER: Final = re.compile(
    r"headers?\s*(?:\.|\[|\(|\.get\(|\.Get\()\s*['\"]?authorization\b|HTTPBearer|OAuth2PasswordBearer|header\(['\"]authorization",
    re.IGNORECASE,
)
# `interface Payload { userId: string }`, `type Payload = { … }`, and a field of its body.
DECLARED_TYPE: Final = re.compile(r"\b(?:interface|type)\s+(\w+)\s*=?\s*\{([^{}]*)\}")
FIELD: Final = re.compile(r"^\s*(\w+)\??\s*:", re.MULTILINE)
# `tokenUse: 'id'`, `claims["token_use"] != "access"`.
TOKEN_USE: Final = re.compile(r"token_?use['\"]?\s*[\])]*\s*(?::|[!=]==?)\s*['\"](id|access)['\"]", re.IGNORECASE)
PROGRAMS: Final = (".py", ".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".go")


class Claim(Value, frozen=True):
    """A claim: a `literal`, or the `name` of what it is filled with."""

    literal: str | None = None
    name: str = ""


class JwtUse(Value, frozen=True):
    """One call that signs (`makes`) or checks a token. `variable` has the key; without one it is spelt out or computed.

    `claims` are those that the call gives or demands, and of a check those that the code reads afterwards.
    """

    place: str
    makes: bool
    variable: str | None
    algorithm: str
    claims: Mapping[str, Claim] = {}


def python_jwt(
    file: str, tree: ast.Module, variables: Mapping[str, ast.expr], fields: Mapping[str, str]
) -> Iterator[JwtUse]:
    """The calls in a file of Python. `variables` are the constants of all files, `fields` those of settings."""
    nodes = list(ast.walk(tree))
    imports = (node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom))
    if "jwt" not in {alias.asname or alias.name for node in imports for alias in node.names}:
        return
    outer = {**variables, **dict(assignments(tree))}
    owners = [n for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    for owner in [tree, *owners]:
        scope = Scope({**outer, **dict(assignments(owner))})
        own = [each for each in tree.body if not owns(each)] if owner is tree else [owner]
        inner = [node for each in own for node in ast.walk(each)]
        for node in inner:
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="jwt"), attr="encode" | "decode" as name)):
                    words = {word.arg: word.value for word in node.keywords if word.arg}
                    use = read_call(f"{file}:{node.lineno}", PYTHON[name], node.args, words, scope, fields)
                    yield use if use.makes else replace(use, claims={**read_claims(inner), **use.claims})


def owns(node: ast.stmt) -> bool:
    """Return True for a statement whose functions are read by themselves."""
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def scripts_jwt(scripts: Mapping[str, JsScript]) -> Iterator[JwtUse]:
    """The calls in the files of JavaScript and TypeScript; the key may be a constant of another file."""
    outside = values_outside(scripts)
    types = {name: body for script in scripts.values() for name, body in DECLARED_TYPE.findall(script.text)}
    for file, script in scripts.items():
        yield from script_jwt(file, script, outside[file], types)


def script_jwt(
    file: str, script: JsScript, outside: Mapping[str, ast.expr], types: Mapping[str, str]
) -> Iterator[JwtUse]:
    """The calls in one file. `outside` are the values that other files give names, `types` the bodies of types."""
    if "jsonwebtoken" not in script.text:
        return
    parser = JsParser(script)
    for at, token in enumerate(script.tokens):
        if token.text not in SCRIPT or script.word(at + 1) != "(":
            continue
        owner = script.word(at - 2) if script.word(at - 1) == "." else None
        if not re.search(rf"\b{re.escape(owner or token.text)}\b[^\n;]*['\"]jsonwebtoken['\"]", script.text):
            continue
        call, _ = parser.call(ast.Name(id="_"), at + 1, 0)
        if not isinstance(call, ast.Call) or len(call.args) < 2:
            continue
        block = script.block_of(at)
        names = {**outside, **declared(script), **(declared(script, block.begin, block.end) if block else {})}
        if isinstance(call.args[0], ast.Name) and call.args[0].id not in names:
            typed = re.search(rf"\b{re.escape(call.args[0].id)}\s*:\s*(\w+)", script.text)
            fields = FIELD.findall(types.get(typed[1] if typed else "", ""))
            whole = ast.Dict(keys=[ast.Constant(value=each) for each in fields], values=[*map(ast.Name, fields)])
            names |= {call.args[0].id: whole} if fields else {}
        options = {
            str(key.value): value
            for given in call.args[2:3]
            if isinstance(given, ast.Dict)
            for key, value in zip(given.keys, given.values, strict=True)
            if isinstance(key, ast.Constant)
        }
        yield read_call(f"{file}:{script.line(at)}", SCRIPT[token.text], call.args, options, Scope(names), {})


def read_call(
    place: str,
    makes: bool,
    given: list[ast.expr],
    options: Mapping[str, ast.expr],
    scope: Scope,
    fields: Mapping[str, str],
) -> JwtUse:
    """One call, in whichever language: its content, its key, its options."""
    key = given[1] if len(given) > 1 else options.get("key")
    claims: dict[str, Claim] = {}
    if makes and given:
        claims |= dict(payload(given[0], scope))
    for option, claim in OPTIONS.items():
        value = scope.names.get(node.id, node) if isinstance(node := options.get(option), ast.Name) else node
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            claims[claim] = Claim(value.value)
        elif makes and value is not None:
            claims[claim] = Claim(name=name_of(value))
    chosen = options.get("algorithm") or options.get("algorithms") or (given[2] if len(given) > 2 else None)
    return JwtUse(
        place, makes, variable_behind(key, scope, fields) if key is not None else None, algorithm(chosen, scope), claims
    )


def algorithm(node: ast.expr | None, scope: Scope) -> str:
    """The algorithm of an option, the first of a list; HS256 where there is none."""
    match node:
        case ast.Name(id=name) if name in scope.names and not isinstance(scope.names[name], ast.Name):
            return algorithm(scope.names[name], scope)
        case ast.List(elts=[first, *_]) | ast.Tuple(elts=[first, *_]):
            return algorithm(first, scope)
        case ast.Constant(value=str(text)):
            return text
    return DEFAULT


def payload(node: ast.expr, scope: Scope) -> Iterator[tuple[str, Claim]]:
    """The claims of a token that is made."""
    node = scope.names.get(node.id, node) if isinstance(node, ast.Name) else node
    for key, value in zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else ():
        if not isinstance(key, ast.Constant) or key.value in OWN:
            continue
        if isinstance(value, ast.Constant):
            if isinstance(value.value, str):
                yield str(key.value), Claim(value.value)
        else:
            yield str(key.value), Claim(name=name_of(value))


def name_of(node: ast.expr) -> str:
    """The last name of what a claim is filled with: `id` of `str(user["id"])`, with its owner as `user_id`."""
    match node:
        case ast.Call(args=[inner, *_]):
            return name_of(inner)
        case ast.Call(func=ast.Attribute(value=inner)):
            return name_of(inner)
        case ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case ast.Name(id=name):
            return name
    return ""


def read_claims(nodes: Iterable[ast.AST]) -> dict[str, Claim]:
    """The claims that a function reads of what it has decoded: `claims["sub"]`, `payload.get("email")`."""
    nodes = list(nodes)
    decoded = {
        target.id
        for node in nodes
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and is_decode(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found: dict[str, Claim] = {}
    for node in nodes:
        match node:
            case ast.Subscript(value=whole, slice=ast.Constant(value=str(claim))):
                pass
            case ast.Call(func=ast.Attribute(value=whole, attr="get"), args=[ast.Constant(value=str(claim)), *_]):
                pass
            case _:
                continue
        own = isinstance(whole, ast.Name) and whole.id in decoded
        if (own or (isinstance(whole, ast.Call) and is_decode(whole))) and claim not in OWN:
            found[claim] = Claim(name=claim)
    return found


def is_decode(node: ast.Call) -> bool:
    """Return True for `jwt.decode(…)`."""
    match node.func:
        case ast.Attribute(value=ast.Name(id="jwt"), attr="decode"):
            return True
    return False


def header_reader(texts: Mapping[str, str]) -> str | None:
    """`file:line` of the first program that reads the header Authorization."""
    for name, text in texts.items():
        if name.endswith(PROGRAMS) and not {"test", "tests"} & set(name.split("/")[:-1]):
            found = READS_HEADER.search(text)
            if found is not None:
                return f"{name}:{text.count(chr(10), 0, found.start()) + 1}"
    return None


def token_use(texts: Mapping[str, str]) -> Literal["access", "id"] | None:
    """The kind of Cognito's tokens that the programs demand; None where they name none, or both."""
    found = {kind for name, text in texts.items() if name.endswith(PROGRAMS) for kind in TOKEN_USE.findall(text)}
    if len(found) != 1:
        return None
    return "id" if found == {"id"} else "access"
