"""`[trace.*.request]`: the route whose answer shows what a pattern returns, or why it is left out. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from devenv.config.unfilled import LIST_FIELD
from devenv.core.toml import toml
from devenv.init.code import Function
from devenv.init.draft_data import quoted
from devenv.init.draft_library import LibraryDrafter
from devenv.init.given_back import reaching
from devenv.init.person_links import id_of
from devenv.init.propose import FoundPattern
from devenv.init.routes import Route
from devenv.init.sql_tables import DeclaredTable


def select_row(table: DeclaredTable, id_: str, column: str, place: str) -> str:
    """The SELECT of the id of the row whose column has the value of a place."""
    source = f"{quoted(table.schema)}.{quoted(table.name)}"
    return f"SELECT {quoted(id_)} FROM {source} WHERE {quoted(column)} = %({place})s"  # noqa: S608 - for the file


class RequestDrafter(LibraryDrafter):
    """Writes the request of a trace."""

    def incomparable(self, pattern: FoundPattern, route: Route | None, answer: Mapping[str, str] | None) -> bool:
        """Return True for a route whose answer cannot be compared, and say why."""
        if route and route.page:
            why = "answers with HTML, which is not compared"
        elif route and answer == {}:
            why = "shows a value of each item, or only some of the items, so its answer is not compared by id"
        else:
            return False
        self.sheet.comment(f"{route.path} ({route.file}:{route.line}) {why}: no [trace.{pattern.name}.request].")
        return True

    def asked(
        self,
        pattern: FoundPattern,
        given: tuple[Route | None, Mapping[str, str] | None],
        lacking: str | None,
        other: Mapping[str, str],
    ) -> None:
        """`[trace.*.request]`, or a note: `lacking` is the item's id, if the route's answer does not have it."""
        route, answer = given
        if self.incomparable(pattern, route, answer):
            return
        if route and lacking and answer is None:
            self.not_shown(pattern, route, lacking)
        elif route and lacking:
            self.sheet.note(
                f"{route.file}:{route.line} picks the fields of its answer, and `{lacking}`, the item's id, is not"
                " among them. If another field of the answer is unique for each item, declare it as ids.http, and"
                f" declare [trace.{pattern.name}.request] path = {toml(route.path)}.",
                below=False,
            )
        elif route and self.application_command:
            self.request(pattern, route, other)
        elif route is None and self.application_command and not self.is_served(pattern.query.function):
            function = pattern.query.function
            self.undeclared.append(
                f"[trace.{pattern.name}.request]: no route that calls {function.name} ({function.file}:{function.line})"
                " was recognised. If there is one, declare it: devenv help traces"
            )

    def row_relied_on(self, route: Route | None, *, personal: bool) -> str | None:
        """The SELECT of the row without which a request has no answer: the user's, or the one its route looks up."""
        if personal and self.person:
            table, id_, name, _ = self.person
            return select_row(table, id_, name, f"person.{name}")
        row = self.survey.lookups.get((route.file, route.line)) if route else None
        looked_up = next((each for each in self.columns if row and each.name == row.table), None)
        if route is None or row is None or looked_up is None or looked_up.column(row.column) is None:
            return None
        # The path has devenv's names in the places of the route's parameters.
        places = dict(zip(route.parameters, re.findall(r"\{([\w.]+)\}", route.path.partition("?")[0]), strict=False))
        return select_row(looked_up, id_of(looked_up) or row.column, row.column, places[row.parameter])

    def is_shown(self, route: Route | None, function: Function) -> bool:
        """Return True if a route's answer shows what a function gives, or if nothing tells (another language)."""
        if route is None or route.gives is None:
            return True
        every = (each for code in self.survey.code for each in code.functions)
        passing = [(each.short, frozenset(each.calls) if each.passes is None else each.passes) for each in every]
        return bool(reaching(function.short, passing) & route.gives)

    def not_shown(self, pattern: FoundPattern, route: Route, shown: str) -> None:
        """A note about a route whose answer was not seen to show the items of a pattern."""
        function = pattern.query.function
        calls = function.short in route.calls or route.line <= pattern.query.line <= route.end
        between = {f.short for code in self.survey.code for f in code.functions if function.short in f.calls}
        does = "reads these items" if calls or between & route.calls else f"does not call {function.short}"
        what = f" (an object with {', '.join(route.fields)})" if route.fields else ""
        self.sheet.note(
            f"{route.path} ({route.file}:{route.line}) {does}, but devenv could not see that its answer lists"
            f" them{what}: layer http is left out. If the answer lists them with their id, declare ids.http (the id's"
            f" field, such as `{shown}`) and [trace.{pattern.name}.request] path = {toml(route.path)},"
            f' items = "{LIST_FIELD}".',
            below=False,
        )

    def is_served(self, function: Function) -> bool:
        """Return True if a route is or calls a function, whatever parameters it has."""
        calling = any(function.short in route.calls for code in self.survey.code for route in code.routes)
        return calling or self.is_view(function)

    def is_view(self, function: Function) -> bool:
        """Return True for the function of a route: without a request it cannot be called."""
        inside = (route for code in self.survey.code for route in code.routes if route.file == function.file)
        return any(route.line <= function.line <= route.end for route in inside)

    def answer(self, route: Route | None, pattern: FoundPattern) -> dict[str, str] | None:
        """Return the function's field -> the field of the route's answer, where the route picks them."""
        short = pattern.query.function.short
        picked = route.answers.get(short) if route else None
        if route and picked is None and pattern.query.operation == "GetItem":
            picked = route.picks.get(short)
        return {own: field for field, own in picked.items()} if picked is not None else None

    def request(self, pattern: FoundPattern, route: Route, other: Mapping[str, str]) -> None:
        """`[trace.*.request]`; `other` are other names of fields."""
        self.sheet.section("trace", pattern.name, "request")
        self.sheet.key("path", route.path, f"{route.file}:{route.line}")
        if items := route.wraps.get(pattern.query.function.short):
            self.sheet.key("items", items)
        if other:
            self.sheet.key("fields", dict(other))
        if self.sends_token:
            self.sheet.key("headers", self.token_header())
            if route.guarded:
                self.sheet.key("anonymous", [401])

    def token_header(self) -> dict[str, str]:
        """The header that carries the user's token: of an opaque one, the header that the lookup's file reads."""
        name = self.token_lookup.header if self.token_lookup else None
        return {name: "{token}"} if name else {"Authorization": "Bearer {token}"}
