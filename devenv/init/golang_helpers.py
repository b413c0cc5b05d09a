"""Queries of Go through a function of the project: `r.byKey(ctx, "ORDER#"+id)` is what it sends. Pure."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from devenv.init.golang import declared
from devenv.init.javascript import JsFunction
from devenv.init.javascript_helpers import PLACE_ALONE, ROUNDS
from devenv.init.source import Fill

if TYPE_CHECKING:
    from devenv.init.code import Query
    from devenv.init.golang_code import GoFile, GoReader


@dataclass(frozen=True)
class GoRequest:
    """A request that reads, with the function that sends it."""

    block: JsFunction
    operation: str
    request: ast.Dict
    query: Query

    @property
    def open(self) -> frozenset[str]:
        """The attributes of the key that are a parameter of the function."""
        found = {name: PLACE_ALONE.fullmatch(text) for name, text in self.query.key.items()}
        return frozenset(name for name, place in found.items() if place and place[1] in self.block.parameters)


def with_helpers(files: Mapping[str, GoFile], readers: Mapping[str, GoReader]) -> dict[str, GoFile]:
    """The files, with the queries of helpers at the functions that call them with a key that is spelt out."""
    every = [(reader, sent) for reader in readers.values() for sent in reader.sent if sent.open]
    names = [last(sent.block) for _, sent in every]
    # Of two functions with one name the call does not tell which is meant.
    helpers = {last(sent.block): (reader, sent) for reader, sent in every if names.count(last(sent.block)) == 1}
    made = dict(files)
    gone: set[str] = set()
    for file, reader in readers.items() if helpers else ():
        code = made[file].code
        functions = dict(reader.functions)
        queries = list(code.queries)
        for caller, helper, query in taken_over(reader, helpers):
            function = replace(functions[caller], whole=functions[caller].whole or not functions[caller].results)
            functions[caller] = function
            queries.append(replace(query, function=function))
            gone.add(helper.query.function.name)
        made[file] = replace(
            made[file], code=replace(code, queries=tuple(queries), functions=(code.functions[0], *functions.values()))
        )
    return {
        file: replace(
            each,
            code=replace(each.code, queries=tuple(q for q in each.code.queries if q.function.name not in gone)),
        )
        for file, each in made.items()
    }


def last(block: JsFunction) -> str:
    """A function's name without its type."""
    return block.name.rpartition(".")[2]


def taken_over(
    reader: GoReader, helpers: Mapping[str, tuple[GoReader, GoRequest]]
) -> Iterator[tuple[JsFunction, GoRequest, Query]]:
    """(caller, helper, query) of each call that spells out the key of a helper."""
    script = reader.script
    for at, token in enumerate(script.tokens):
        block = script.block_of(at)
        if token.kind != "id" or token.text not in helpers or script.word(at + 1) != "(" or block is None:
            continue
        owner, helper = helpers[token.text]
        if last(block) == token.text:
            continue
        call, _ = reader.parser.call(ast.Name(id="_"), at + 1, 0)
        arguments = call.args if isinstance(call, ast.Call) else []
        # The context and the client come first, and are no parameters of the request.
        count = len(helper.block.parameters)
        given = dict(zip(helper.block.parameters, arguments[-count:] if count else [], strict=False))
        own = {**declared(owner.parser, helper.block.begin, helper.block.end), **given}
        request: ast.Dict = copy.deepcopy(helper.request)
        for _ in range(ROUNDS):
            request = Fill(own).visit(request)
        query = reader.query(helper.operation, request, at, reader.functions[block], reader.scopes[block], block)
        if query is not None and any(not PLACE_ALONE.fullmatch(query.key.get(name, "{_}")) for name in helper.open):
            yield block, helper, query
