"""The claims that code reads of a checked token, and the columns that it compares them with. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from devenv.init.javascript import JsScript
from devenv.init.jwt_code import OWN, Claim, JwtUse, python_jwt, scripts_jwt

CHECKED = r"(?:await\s+)?(?:\w+\.)?verify\("
# `const claims = jwt.verify(`, `req.user = jwt.verify(`, `const { email } = jwt.verify(`, `(err, claims) => {`.
NAMED = re.compile(rf"([\w.]+)\s*(?::\s*\w+\s*)?=\s*{CHECKED}")
TAKEN = re.compile(rf"\{{([^{{}}]*)\}}\s*=\s*{CHECKED}")
CALLED_BACK = re.compile(r"\bverify\([^;{}]*?\(\s*\w+\s*,\s*(\w+)\s*\)\s*(?:=>|\{)")
PART = re.compile(r"^\s*(\w+)\s*(?:[:=].*)?$", re.DOTALL)
WHERE = r"""\bWHERE\s+(?:\w+\.)?"?(\w+)"?\s*=\s*(?:\$\{?\w|%s|%\(|\?|:\w)"""
NEAR = 800


def script_claims(text: str) -> dict[str, Claim]:
    """The claims that a file of JavaScript reads of what `verify` returns."""
    names = {*NAMED.findall(text), *CALLED_BACK.findall(text)}
    parts = list(TAKEN.findall(text))
    for name in sorted(names):
        again = rf"([\w.]+)\s*=\s*{re.escape(name)}\s*(?:;|\n|$)"
        names |= {each for each in re.findall(again, text) if "." in each}
    found: dict[str, Claim] = {}
    for name in sorted(names):
        own = rf"(?<![\w.]){re.escape(name)}"
        parts += re.findall(rf"\{{([^{{}}]*)\}}\s*=\s*{re.escape(name)}\b(?!\s*[.(\[])", text)
        for dotted, quoted in re.findall(rf"{own}\??(?:\.(\w+)\b(?!\s*\()|(?:\.)?\[['\"](\w+)['\"]\])", text):
            found[dotted or quoted] = Claim(name=dotted or quoted)
    for part in (each for whole in parts for each in whole.split(",")):
        if told := PART.match(part):
            found[told[1]] = Claim(name=told[1])
    return {claim: value for claim, value in found.items() if claim not in OWN}


def token_uses(
    trees: Mapping[str, ast.Module],
    scripts: Mapping[str, JsScript],
    constants: Mapping[str, ast.expr],
    fields: Mapping[str, str],
    texts: Mapping[str, str],
) -> Iterator[JwtUse]:
    """The calls of all files; a claim that is given to a lookup has the name of the column in its WHERE."""
    for name, tree in trees.items():
        for use in python_jwt(name, tree, constants, fields):
            yield with_columns(use, use.claims, texts)
    for use in scripts_jwt(scripts):
        read = {} if use.makes else script_claims(scripts[use.place.rpartition(":")[0]].text)
        yield with_columns(use, {**read, **use.claims}, texts)


def with_columns(use: JwtUse, claims: Mapping[str, Claim], texts: Mapping[str, str]) -> JwtUse:
    """A call with these claims; of a check, each with the column that it is compared with."""
    if use.makes:
        return use
    text = texts.get(use.place.rpartition(":")[0], "")
    return replace(use, claims={claim: named(claim, value, text, texts) for claim, value in claims.items()})


def named(claim: str, value: Claim, text: str, texts: Mapping[str, str]) -> Claim:
    """A claim that is read, with the column that the function it is given to compares it with."""
    if value.literal is not None:
        return value
    read = rf"""(?:\??\.{claim}\b|\[["']{claim}["']\]|\.get\(["']{claim}["']\)|(?<=[(\s]){claim}\b)"""
    for lookup in re.findall(rf"\b(\w+)\(\s*(?:\w+\s*,\s*)?[\w.]*{read}", text):
        body = rf"\b(?:def|function)\s+{lookup}\s*\([^)]*\).{{0,{NEAR}}}|\b{lookup}\s*=[^=].{{0,{NEAR}}}"
        for other in texts.values():
            for found in re.finditer(body, other, re.DOTALL) if lookup in other else ():
                own = re.split(r"\n(?:async\s+)?(?:export|def|function)\b", found[0][1:])[0]
                if column := re.search(WHERE, own, re.IGNORECASE):
                    return Claim(name=column[1])
    return value
