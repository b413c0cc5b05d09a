"""The sections about data: entities, links, groups, access patterns and traces, from the code that was found. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from devenv.init.code import Code
from devenv.init.entities import (
    ID_NAMES,
    PLACE,
    FoundEntity,
    key_of,
    own_id,
    places_of,
    snake,
    typed_by_links,
)
from devenv.init.find_kinds import find_entities
from devenv.init.jwt_code import Claim, JwtUse
from devenv.init.pattern_kinds import brought_by, order_of, with_heads
from devenv.init.people import HANDLES, find_person, is_person
from devenv.init.person_links import KnownRows, person_links
from devenv.init.propose import KEY_WORD, find_group, find_links, find_patterns, keyed
from devenv.init.sheet import Sheet
from devenv.init.sign_in import KEYS, FoundSignIn, find_sign_in
from devenv.init.sql_code import find_seed
from devenv.init.sql_tables import DeclaredTable
from devenv.init.step_commands import loading_files
from devenv.init.survey import Survey
from devenv.init.token_lookups import TokenLookup
from devenv.links.values import is_placeholder

SHOWN_TABLES: Final = 5
HMAC: Final = ("HS256", "HS384", "HS512")


def worded_values(code: Iterable[Code]) -> set[str]:
    """The attributes that code gives a text such as `list-{status}`: no id of a row, whatever they are called."""
    texts = [item for c in code for query in c.queries for item in query.key.items()]
    texts += [(n, a.template or "") for c in code for s in c.shapes for n, a in s.attributes.items()]
    return {
        name
        for name, text in texts
        if PLACE.search(text) and re.search("[A-Za-z]", PLACE.sub("", text)) and not KEY_WORD.match(text)
    }


class DataDrafter:
    """Writes the sections that describe what is stored, and how the application reads it."""

    def __init__(self, survey: Survey, name: str) -> None:
        self.survey = survey
        self.name = name
        self.sheet = Sheet()
        self.files: dict[str, Any] = {}
        self.columns = (*(table for file in survey.sql for table in file.tables), *survey.rows)
        self.values = survey.values
        self.application = survey.compose.application if survey.compose else None
        self.entities = find_entities(survey)
        kinds = (*self.entities, *keyed(survey.tables, self.entities))
        items = (*survey.seeds.items, *survey.written)
        rows = KnownRows(self.columns, survey.values.columns, survey.values.mentioned)
        self.links = find_links(kinds, self.columns, items, survey.values.columns)
        self.links += person_links(kinds, rows, self.links, items)
        worded = worded_values(survey.code)
        self.links = tuple(link for link in self.links if link.source.rpartition(".")[2] not in worded)
        ids = {link.source: str(c.type) for link in self.links if link.sure and (c := link.target.column(link.column))}
        self.entities = with_heads(typed_by_links(self.entities, ids), survey.code, items)
        # An id that only a script's items hold makes nobody a person who asks.
        told = find_links(kinds, self.columns, survey.seeds.items, survey.values.columns)
        opaque = {one.table for one in survey.tokens}
        self.person = find_person(self.columns, told, opaque) or find_person(self.routed(), self.links, opaque)
        self.patterns = find_patterns(survey, self.entities, self.person, self.links)
        self.seed = find_seed(survey.code, loading_files(survey.manifests))
        self.application_command: tuple[str, ...] = ()
        self.group = find_group(self.entities, self.links)
        self.group_edit = 0
        self.sign_in = find_sign_in(survey)
        self.signed = self.find_signed()
        # What is not declared, with the reason and the next step: `init` prints these.
        self.undeclared: list[str] = [sentence for code in survey.code for sentence in code.unfollowed]

    def routed(self) -> list[DeclaredTable]:
        """The tables of people that a route names by a column such as `handle`: `/@:handle/plays`."""
        asked = {snake(name) for code in self.survey.code for route in code.routes for name in route.parameters}
        return [table for table in self.columns if any(table.column(name) for name in HANDLES if name in asked)]

    def entity_sections(self) -> None:
        """`[entities.*]`, from the items that the code writes."""
        if not self.entities:
            return
        self.sheet.title(
            "Entities: the kinds of items, distinguished by their key",
            "Doctor checks every item against its entity: its key, its attributes, their types (`?`: optional).",
        )
        for entity in self.entities:
            self.sheet.above(f"Seen in {', '.join(entity.seen)}.")
            for doubt in entity.doubts:
                self.sheet.comment(doubt)
            self.sheet.section("entities", entity.name)
            self.sheet.key("table", entity.table)
            if entity.match:
                self.sheet.key("match", entity.match)
            if (own := own_id(entity)) and not self.is_shared(own) and not self.is_sorted_by(entity, own):
                self.sheet.key("unique", [own])
            self.sheet.section("entities", entity.name, "attributes")
            for name, kind in entity.attributes.items():
                self.sheet.key(name, kind)

    def is_shared(self, attribute: str) -> bool:
        """Return True if several items can have the same value: an index asks for it, or is the key of other items."""
        indexes = [i for table in self.survey.tables for i in table.request.get("GlobalSecondaryIndexes", ())]
        keyed = {str(part["AttributeName"]) for index in indexes for part in index["KeySchema"]}
        return attribute in keyed or any(attribute in places_of(entity) for entity in self.entities)

    def is_sorted_by(self, entity: FoundEntity, attribute: str) -> bool:
        """Return True for the sort key of a table without templates: it is unique for each hash key only."""
        keys = [key_of(table)[1:] for table in self.survey.tables if table.table == entity.table]
        return not entity.match and any(attribute in key for key in keys)

    def link_sections(self) -> None:
        """`[[links]]`, from names that match."""
        if not self.links:
            return
        self.sheet.title(
            "Links: attributes in DynamoDB that refer to rows in Postgres",
            "Doctor, verify and trace check that each id has its row, and that copied columns are still the same.",
        )
        for link in self.links:
            target = f"{link.target.name}.{link.column}"
            if not link.sure:
                why = link.why or (
                    "Only a part of its name suggests this."
                    if link.column in ID_NAMES
                    else "Only their names are similar."
                )
                self.sheet.ask(f"Does {link.source} hold ids of {target}? {why}", likely=link.likely)
            self.sheet.section("links", array=True)
            self.sheet.key("name", link.name)
            self.sheet.key("from", f"dynamodb:{link.source}")
            self.sheet.key("to", f"postgres:{show_table(link.target)}.{link.column}")
            if link.natural:
                self.sheet.key("natural_key", link.natural)
            if link.copies:
                self.sheet.key("copies", link.copies)
            self.sheet.agreed()

    def group_section(self) -> None:
        """`[[groups]]`: items that seem to exist together; nobody but the project can say so."""
        group = self.group
        if group is None:
            return
        self.group_edit = self.sheet.ask(
            f"Do two `{group.rows.name}` items (one per person) and all `{group.entries.name}` items with the same"
            f" {group.id} belong together? And does each `{group.rows.name}` item show the"
            f" newest `{group.entries.name}` item?",
            likely=True,
        )
        self.sheet.section("groups", array=True)
        for name, value in (
            ("name", group.name),
            ("rows", group.rows.name),
            ("id", group.id),
            ("size", 2),
            ("owner", group.owner),
            ("other", group.other),
            ("entries", group.entries.name),
            ("author", group.author),
            ("time", group.time),
        ):
            self.sheet.key(name, value)
        if group.preview:
            self.sheet.key("preview", group.preview)
        self.sheet.agreed()

    def person_section(self) -> None:
        """`[person]` and `[token]`."""
        if self.person is None:
            self.undeclared += self.no_person()
            return
        table, id_, name, sign_in = self.person
        self.sheet.title(
            "Users: `--user` is looked up here",
            "`name` is the column that `--user HANDLE` is compared with; `sign_in` is what a token carries.",
        )
        self.sheet.section("person")
        self.sheet.key("table", f"{table.schema}.{table.name}")
        self.sheet.key("id", id_)
        self.sheet.key("name", name)
        if sign_in:
            self.sheet.key("sign_in", sign_in)
            seeded = set(self.values.columns.get((table.name, sign_in), ()))
            if self.issues_tokens and len(seeded) == 1 and is_placeholder(blank := next(iter(seeded))):
                self.sheet.key("sign_in_placeholder", blank, "setup gives each person an id of their own")
        self.token_section()

    def pattern_sections(self) -> None:
        self.person_section()
        if not self.patterns:
            return
        self.sheet.title(
            "Access patterns: the queries on each table",
            "Each is one query of your code; `devenv patterns check` and `devenv trace` compare it with what is sent.",
        )
        for pattern in self.patterns:
            query = pattern.query
            self.sheet.above(f"Found in {', '.join(pattern.seen)}.")
            for each, where in zip(pattern.queries, pattern.seen, strict=True):
                if each.narrowed and not pattern.begins:
                    self.sheet.above(f"{where} reads only items with begins_with({each.narrowed}, …).")
                if each.limit and not each.pages:
                    self.sheet.comment(f"{where} has Limit {each.limit} and requests no next page.")
            if any(
                (each.narrowed and not pattern.begins) or (each.limit and not each.pages) for each in pattern.queries
            ):
                self.sheet.comment("The complete list is declared here. `devenv trace` shows what the code leaves out.")
            self.sheet.section("patterns", pattern.name)
            self.sheet.key("table", query.table)
            if query.index:
                self.sheet.key("index", query.index)
            self.sheet.key("key", pattern.key)
            if pattern.begins:
                self.sheet.key("sort", {"begins_with": pattern.begins})
            if query.operation == "GetItem":
                self.sheet.key("operation", "get")
            kinds = brought_by(pattern, self.entities)
            told_apart = all(len(each.match) > 1 for each in kinds) and (pattern.begins or not query.narrowed)
            if kinds and told_apart and query.operation == "Query" and not query.index:
                self.sheet.key("entities", [each.name for each in kinds])
            if query.forward is not None:
                self.sheet.key("order", order_of(pattern, self.entities))

    @property
    def issues_tokens(self) -> bool:
        """True if the application's tokens can come from devenv's issuer."""
        return bool(self.sign_in and self.sign_in.stands_in and self.person and self.person[3])

    @property
    def token_lookup(self) -> TokenLookup | None:
        """The application's lookup of the user by a column that holds the token itself."""
        if self.person is None or self.sign_in is not None:
            return None
        table = self.person[0]
        return next((one for one in self.survey.tokens if one.table == table.name and table.column(one.column)), None)

    @property
    def sends_token(self) -> bool:
        """True if requests of a user carry `{token}`."""
        return bool(self.issues_tokens or self.token_lookup or self.signed)

    def find_signed(self) -> JwtUse | None:
        """The call whose key is in a variable: one that makes a token first, because it tells the claims."""
        if self.person is None or self.sign_in is not None or self.token_lookup is not None:
            return None
        uses = [use for use in self.survey.jwt if use.variable and use.algorithm in HMAC]
        return next(iter(sorted(uses, key=lambda use: not use.makes)), None)

    def claims(self, signed: JwtUse) -> dict[str, str]:
        """Claim -> value or placeholder, of all calls with the same key."""
        if self.person is None:
            return {}
        table, id_, _, _ = self.person
        given: dict[str, Claim] = {}
        for use in sorted(self.survey.jwt, key=lambda use: use.makes):
            given |= use.claims if use.variable == signed.variable else {}
        made: dict[str, str] = {}
        for claim, value in given.items():
            names = [snake(value.name), snake(claim)]
            column = next((name for name in names if table.column(name)), None)
            if value.literal is not None:
                made[claim] = value.literal
            elif any(is_person(name, table) for name in names) or (column is None and claim == "sub"):
                made[claim] = f"{{person.{id_}}}"
            elif column is not None:
                made[claim] = f"{{person.{column}}}"
        return made

    def no_person(self) -> Iterator[str]:
        """Say that a user cannot be named, where requests depend on one."""
        if self.columns and (self.survey.header or self.survey.jwt or self.sign_in):
            place = self.survey.header or next((use.place for use in self.survey.jwt), "the code")
            yield (
                f"[person], [token]: {place} identifies the user, but no table of people was recognised (an id, and a"
                " name such as email or handle). Declare both: devenv help configuration"
            )
        elif self.columns and self.survey.tables:
            names = sorted({table.name for table in self.columns})
            listed = ", ".join(names[:SHOWN_TABLES]) + (", …" if len(names) > SHOWN_TABLES else "")
            yield (
                "[person]: no table has users, by its name or by a column such as email, handle or cognito_sub"
                f" ({listed}), so devenv traces requests without a user. If a table has users, declare it: devenv help"
                " configuration"
            )

    def no_token(self) -> Iterator[str]:
        """Say why no request can carry a token, where the application reads one."""
        if self.sends_token or self.sign_in is not None:
            return
        if fixed := next((use for use in self.survey.jwt if not use.variable), None):
            yield (
                f"[token]: the key of {fixed.place} is not read from a variable. Read it from one, and declare [token]"
                " env = THAT_VARIABLE: devenv help configuration"
            )
        elif other := next(iter(self.survey.jwt), None):
            yield (
                f"[token]: {other.place} uses {other.algorithm}, with which devenv cannot sign. Declare [token]"
                " command: devenv help configuration"
            )
        elif self.survey.header:
            yield (
                f"[token]: {self.survey.header} reads the header Authorization, but how its token is made was not"
                " recognised. Declare [token]: devenv help configuration"
            )

    def token_section(self) -> None:
        """`[token]`: signed with the application's key, by an issuer like Cognito, or a column of the user's row."""
        found = self.sign_in
        self.undeclared += self.no_token()
        if (signed := self.signed) is not None:
            self.sheet.above(f"{signed.place} {'signs' if signed.makes else 'checks'} tokens with this key.")
            claims = self.claims(signed)
            if self.person and not any(text.startswith("{person.") for text in claims.values()):
                claims = {"sub": f"{{person.{self.person[1]}}}", **claims}
                self.sheet.note(
                    f"Does the code find the user by claim `sub`? Which claims {signed.place} reads was not recognised."
                    " Write those that it reads, each with its column: `devenv help configuration`."
                )
            self.sheet.section("token")
            self.sheet.key("env", signed.variable)
            self.sheet.key("claims", claims)
            if signed.algorithm != HMAC[0]:
                self.sheet.key("algorithm", signed.algorithm)
        if (lookup := self.token_lookup) is not None:
            self.sheet.above(
                f"{lookup.place} looks the user up by {lookup.column}: `{{token}}` is this column's value."
            )
            self.sheet.section("token")
            self.sheet.key("column", lookup.column)
        if found is None:
            return
        if not self.issues_tokens:
            missing = (
                "a column with the `sub` of each person" if found.stands_in else "a variable for the issuer's address"
            )
            self.sheet.note(
                f"{found.evidence}: the application checks tokens of Cognito. For requests with a local token it needs"
                f' {missing}; then declare [token] issuer = "cognito" (`devenv help configuration`).'
            )
            return
        self.sheet.above(
            f"{found.evidence}: the application checks tokens of Cognito. `devenv up` serves an issuer for them."
        )
        self.sheet.section("token")
        self.sheet.key("issuer", "cognito")
        if found.use != "access":
            self.sheet.key("use", found.use)
        for key, value in (("user_pool", found.user_pool), ("client_id", found.client_id)):
            if value:
                self.sheet.key(key, value)
        if not found.movable:
            self.sheet.key("claims", {"iss": found.issuer}, "the issuer that the code expects")
            self.fetches_keys(found)

    def fetches_keys(self, found: FoundSignIn) -> None:
        """A note about an application that takes the keys from AWS' own address."""
        who = found.verifies or "the code"
        fix = f"read the address of the keys from {KEYS}, and use AWS' own where it is not set."
        if found.verifies:
            fix = (
                f"after CognitoJwtVerifier.create(…), add: if (process.env.{KEYS})"
                f" verifier.cacheJwks(await (await fetch(process.env.{KEYS})).json());"
            )
        self.sheet.note(
            f"{found.evidence}: {who} fetches the keys from AWS' own address, so it rejects tokens that devenv signs."
            f" To accept them locally, {fix} [env] sets {KEYS}. Until then, requests with a token get a 401."
        )


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def show_table(table: DeclaredTable) -> str:
    """A table as links name it: the schema only where it is not public."""
    return table.name if table.schema == "public" else f"{table.schema}.{table.name}"
