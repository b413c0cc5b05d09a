"""Layer `postgres`: does the person who asks resolve to exactly one row, also for the application's own role?"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from devenv.config.masking import MASK, is_secret_value
from devenv.config.schema import Person, Token
from devenv.core.errors import StoreError
from devenv.core.model import Finding, Fix, PostgresTarget
from devenv.core.templates import names_in
from devenv.doctor.checks.renamed_rows import undo_renaming
from devenv.doctor.checks.settings import is_postgres_url, parse_database
from devenv.doctor.checks.step_programs import may_load
from devenv.links.facts import look_up_renamed
from devenv.links.renamed import Place
from devenv.links.values import canonical, is_placeholder, uuid_text
from devenv.trace.judge.fault import judge_stored
from devenv.trace.layer import Given, Layer
from devenv.trace.layers.dynamodb import another_id
from devenv.trace.layers.members import Members, members_of
from devenv.trace.layers.services import relation_of
from devenv.trace.observation import Observation, PostgresObservation
from devenv.trace.question import TraceContext

if TYPE_CHECKING:
    from devenv.stores.postgres.catalog import Catalog
    from devenv.stores.postgres.client import Connection

Row = Mapping[str, Any]
DENIED: Final = frozenset(["42501", "28P01", "28000"])
MANY: Final = 5000
SHOWN: Final = 5
# All names of people where they are no more than these.
NAMES: Final = 12


def observe(inquiry: TraceContext, given: Given) -> PostgresObservation:
    """Find who asks, somebody who does not belong, and the declared row.

    StoreError when Postgres cannot be asked.
    """
    from devenv.stores.postgres import client as postgres
    from devenv.stores.postgres.reader import reading

    declared = inquiry.settings.person
    if declared is None and inquiry.question.trace.sql is None:
        return PostgresObservation(unasked="the project declares no [person], and the subject no sql")
    target = inquiry.facts.context.targets.postgres
    members = cache(partial(members_of, inquiry, declared)) if declared else Members
    with reading(target, autocommit=True) as connection, postgres.translated(target.address):
        early = not needs_person(inquiry)
        # The members of the subject may be those of this row, so it is read first where it can be.
        rows, lost = read_declared(inquiry, target, None) if early else (None, [])
        people = read_people(connection, declared) if declared else []
        chosen, troubles = choose(inquiry, declared, people, members) if declared else ([], [])
        person = chosen[0] if len(chosen) == 1 else None
        stranger = pick_stranger(declared, people, person, members()) if declared and person else None
        if not early and not troubles:
            rows, lost = read_declared(inquiry, target, person)
    troubles += lost
    role = other_role(inquiry)
    if role is not None and person is not None and declared is not None and not troubles:
        troubles += check_role(declared, role, person)
    harmless = [] if declared is None or needs_sign_in(inquiry, declared) else placeholders(troubles)
    return PostgresObservation(
        request={
            "user": inquiry.question.user,
            "table": declared.table if declared else None,
            "sql": inquiry.question.trace.sql,
        },
        output={
            "person": shown(person),
            "used": uses_person(inquiry),
            "rows": len(chosen),
            "declared": masked(rows),
            "role": (role or target).user,
        },
        findings=tuple(one for one in troubles if one not in harmless),
        notes=tuple(f"{one.summary}; this request does not use it" for one in harmless),
        uncovered=(f"rows of {declared.table} after the first {MANY:,}",) if declared and len(people) >= MANY else (),
        person=person,
        stranger=stranger,
        belongs=True if declared is None or person is None else belongs(inquiry, declared, person, members()),
        estranged=bool(members().ids),
    )


def belongs(inquiry: TraceContext, declared: Person, person: Row, members: Members) -> bool | None:
    """True if this person may read the subject, by its group, its items or the user's own word; None: nothing tells."""
    if members.grouped or canonical(person[declared.id]) in members.ids:
        return True
    return True if inquiry.question.user is not None and not members.ids else None


def uses_person(inquiry: TraceContext) -> bool:
    """Return True if the request depends on who asks: it carries a token, or the subject names `{person.…}`."""
    trace = inquiry.question.trace
    names = names_in(msgspec.to_builtins(trace))
    return "token" in names or "%(person." in (trace.sql or "") or any(name.startswith("person.") for name in names)


def needs_person(inquiry: TraceContext) -> bool:
    """Return True if the subject's `sql` has a column of the user's row, or the user's name, as a parameter."""
    text = inquiry.question.trace.sql or ""
    return "%(person." in text or "%(user)" in text


def placeholders(found: Sequence[Finding]) -> list[Finding]:
    """The findings about a sign-in id that the seed never replaced."""
    return [one for one in found if one.kind == "placeholder"]


def needs_sign_in(inquiry: TraceContext, declared: Person) -> bool:
    """Return True if who asks is looked up by the sign-in id: a token that carries it is sent, or the subject names it.

    Otherwise a placeholder in its place changes nothing that this request brings.
    """
    trace, token = inquiry.question.trace, inquiry.settings.token
    names = names_in(msgspec.to_builtins(trace))
    if token is not None and "token" in names and may_carry(token, f"person.{declared.sign_in}"):
        return True
    return f"person.{declared.sign_in}" in names or f"%(person.{declared.sign_in})s" in (trace.sql or "")


def may_carry(token: Token, name: str) -> bool:
    """Return True if this column of the user's row may stand in the token: what a command prints is not known."""
    known = bool(token.claims) and not token.issuer and not token.command
    return not known or name in names_in(token.claims)


def shown(person: Row | None) -> dict[str, str] | None:
    """A row for the report; addresses are people's own."""
    if person is None:
        return None
    texts = {name: str(value) for name, value in person.items() if value is not None and "@" not in str(value)}
    return {name: MASK if is_secret_value(name, text) else text for name, text in texts.items()}


def read_people(connection: Connection, declared: Person) -> list[dict[str, Any]]:
    """The rows of people, by name; at most MANY, which is more than a person reads."""
    from psycopg import sql

    from devenv.stores.postgres.client import name

    query = sql.SQL("SELECT * FROM {} ORDER BY {} LIMIT {}").format(
        name(*relation_of(declared.table)), name(declared.name), sql.Literal(MANY)
    )
    cursor = connection.execute(query)
    columns = [column.name for column in cursor.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def choose(
    inquiry: TraceContext, declared: Person, people: Sequence[dict[str, Any]], members: Callable[[], Members]
) -> tuple[list[dict[str, Any]], list[Finding]]:
    """The rows that the one who asks resolves to, and what is wrong with that."""
    user = inquiry.question.user
    if user is None:
        known = members().ids
        found = [row for row in people if canonical(row[declared.id]) in known or not known]
        if not found and not members().grouped:
            found = list(people)
        if not found:
            text = f"no member of it has a row in {declared.table}" if known else f"{declared.table} has no rows"
            cause = "either their rows were deleted, or they were never created"
            return [], [Finding("missing_row", text, cause, SETUP, tuple(sorted(known)), about(declared))]
        return found[:1], list(judge_row(declared, people, found[0]))
    found = [row for row in people if user in {str(row.get(column)) for column in keys(declared)}]
    given = uuid_text(user)
    if not found and given:
        found = [row for row in people if canonical(row[declared.id]) == given]
    if len(found) == 1:
        return found, list(judge_row(declared, people, found[0]))
    ids = tuple(canonical(row[declared.id]) for row in found)
    if found:
        text = f"{user} matches {len(found)} rows of {declared.table}: {', '.join(ids)}"
        fix = Fix(f"make {declared.name} unique and remove the wrong rows", "devenv db --write")
        return found, [
            Finding("ambiguous_row", text, "possibly it has no unique constraint", fix, ids, about(declared))
        ]
    near = near_misses(declared, people, user)
    if near:
        text = f"no row of {declared.table} has {declared.name} {user!r}; similar: {', '.join(near[:SHOWN])}"
        fix = Fix("use the stored name, or correct the row", command(inquiry, near[0]))
        return [], [
            Finding(
                "near_miss",
                text,
                "the name was mistyped, or is spelled differently in the row",
                fix,
                (user,),
                about(declared),
            )
        ]
    return [], [nobody(inquiry, declared, people, members)]


SETUP: Final = Fix("load the rows again", "devenv up --from setup")
RESTORE: Final = Fix("restore the row as it was loaded, with its id", "devenv up --restore-seeds", safe=True)


def nobody(inquiry: TraceContext, declared: Person, people: Sequence[Row], members: Callable[[], Members]) -> Finding:
    """Why no row is the one who asks: it is gone, or there never was such a name."""
    user = str(inquiry.question.user)
    names = [str(row[declared.name]) for row in people if row[declared.name] is not None]
    listed = ", ".join(names if len(names) <= NAMES else [*names[:NAMES], "…"]) or "none"
    text = f"no row of {declared.table} has {declared.name} {user!r}; existing values: {listed}"
    relation = relation_of(declared.table)
    loaded = inquiry.facts.postgres().seeded.get(relation, ())
    if not names:
        cause, fix = f"{declared.table} is empty", SETUP
    elif lost := [
        ((relation, column), user, row) for row in loaded for column in keys(declared) if row.get(column) == user
    ]:
        cause, fix = explain_lost(inquiry, lost)
    else:
        known = members().ids
        asker = next((str(row[declared.name]) for row in people if canonical(row[declared.id]) in known), names[0])
        cause = f"either the {declared.name} is wrong, or its row was deleted"
        again = may_load(inquiry.settings.steps, "row")
        fix = Fix(f"run it as an existing user{again}", command(inquiry, asker))
    return Finding("missing_row", text, cause, fix, (user,), about(declared))


def command(inquiry: TraceContext, user: str) -> str:
    """The same trace, asked as somebody else."""
    question = inquiry.question
    return shlex.join(["devenv", "trace", question.subject, *question.values.values(), "--user", user])


def keys(declared: Person) -> tuple[str, ...]:
    """The columns that can say who somebody is."""
    return tuple(filter(None, (declared.name, declared.id, declared.sign_in)))


def about(declared: Person) -> frozenset[str]:
    """Return what a failure that follows from the row would name."""
    return frozenset([declared.table.rpartition(".")[2], *filter(None, (declared.sign_in,))])


def near_misses(declared: Person, people: Sequence[Row], user: str) -> list[str]:
    """Names that are the given one but for capitals and blanks, else those that look much like it."""
    names = [str(row[declared.name]) for row in people if row[declared.name] is not None]
    plain = "".join(user.split()).lower()
    same = [name for name in names if "".join(name.split()).lower() == plain]
    return same or difflib.get_close_matches(user, names, n=3, cutoff=0.75)


def judge_row(declared: Person, people: Sequence[Row], person: Row) -> Iterator[Finding]:
    """Return True if the row can sign in: its sign-in id is a real one, and nobody else's."""
    if declared.sign_in is None or declared.sign_in not in person:
        return
    value = person[declared.sign_in]
    name, identity = person[declared.name], canonical(person[declared.id])
    if value is None or not str(value).strip() or is_placeholder(str(value)):
        text = f"{declared.sign_in} of {name} is {value!r}, so the user is not found when signing in"
        cause = "possibly the seed's placeholder was never replaced"
        fix = Fix(f"write the real {declared.sign_in} into the seed file, then load it", "devenv up")
        yield Finding("placeholder", text, cause, fix, (identity,), about(declared))
        return
    same = [canonical(row[declared.id]) for row in people if row.get(declared.sign_in) == value]
    if len(same) > 1:
        text = f"{declared.sign_in} of {name} is the same in {len(same)} rows: {', '.join(same)}"
        fix = Fix("give each row its own", "devenv db --write")
        yield Finding(
            "ambiguous_row",
            text,
            "possibly it was copied to several rows",
            fix,
            tuple(same),
            about(declared),
        )


def pick_stranger(declared: Person, people: Sequence[Row], person: Row, members: Members) -> Row | None:
    """Somebody who can sign in and does not belong to the subject; None where nothing tells who does."""
    for row in people if members.ids else ():
        sign_in = row.get(declared.sign_in) if declared.sign_in else row[declared.id]
        real = sign_in is not None and not is_placeholder(str(sign_in))
        if row is not person and real and canonical(row[declared.id]) not in members.ids:
            return row
    return None


def read_declared(
    inquiry: TraceContext, target: PostgresTarget, person: Row | None
) -> tuple[dict[str, str] | None, list[Finding]]:
    """The one row that the subject's `sql` finds, also kept as the context's, and what is wrong when it is not one."""
    text = inquiry.question.trace.sql
    if text is None:
        return None, []
    from devenv.stores.postgres.reader import read

    found = read(target, text, inquiry.parameters(person))
    rows = found.rows
    if len(rows) == 1:
        texts = {name: str(value) for name, value in zip(found.columns, rows[0], strict=True) if value is not None}
        inquiry.row.update(texts)
        return texts, []
    if rows:
        summary = f"the declared SQL finds more than one row: {text}"
        fix = Fix("correct `sql` in devenv.toml so that it finds one row, or remove the wrong rows")
        return None, [Finding("ambiguous_row", summary, "the rows do not match what the request needs", fix)]
    cause, fix = no_row(inquiry, text)
    return None, [Finding("missing_row", f"the declared SQL finds no row: {text}", cause, fix)]


def masked(row: Mapping[str, str] | None) -> dict[str, str] | None:
    """A row for the report, without secrets."""
    return None if row is None else {name: MASK if is_secret_value(name, text) else text for name, text in row.items()}


def no_row(inquiry: TraceContext, text: str) -> tuple[str, Fix]:
    """Why the subject has no row, and what helps: nothing is loaded again for an id that may be mistyped."""
    value = inquiry.question.identifier
    read_rows = inquiry.facts.postgres()
    loaded = [
        (relation, column, str(cell), row)
        for relation, rows in read_rows.seeded.items()
        if value and names_table(text, relation)
        for row in rows
        for column, cell in row.items()
        if canonical(str(cell)) == canonical(value) and is_key(read_rows.catalog, relation, column)
    ]
    if loaded and not any(is_there(inquiry, relation, column, text) for relation, column, text, _ in loaded):
        return explain_lost(inquiry, [((relation, column), text, row) for relation, column, text, row in loaded])
    if loaded:
        return "its row is there, so another condition of the SQL excludes it", Fix("correct `sql` in devenv.toml")
    try:
        other = another_id(inquiry)
    except StoreError:
        other = None
    table = next(
        (
            ".".join(edge.relation)
            for edge in inquiry.facts.plan.edges
            if value and uuid_text(value) and not names_table(text, edge.relation)
            for row in read_rows.rows.get(edge.relation, ())
            if canonical(row[edge.column]) == canonical(value)
        ),
        None,
    )
    if table and other is not None:
        return f"it is the id of a row of {table}", other
    again = may_load(inquiry.settings.steps, "row")
    if not value or other is None:
        return "the rows do not match what the request needs", Fix(
            f"correct `sql` in devenv.toml, or add the row{again}"
        )
    return "either the id is wrong, or its row was deleted", Fix(other.text + again, other.command)


def names_table(text: str, relation: tuple[str, str]) -> bool:
    """Return True if the SQL has the table's name as a word."""
    return re.search(rf"(?<!\w){re.escape(relation[1])}(?!\w)", text, re.IGNORECASE) is not None


def is_key(catalog: Catalog, relation: tuple[str, str], column: str) -> bool:
    """Return True if a unique key of the table has this column; without a key each column may tell rows apart."""
    table = catalog.table(relation)
    return table is None or not table.keys or any(column in key for key in table.keys)


def explain_lost(inquiry: TraceContext, loaded: Sequence[tuple[Place, str, Row]]) -> tuple[str, Fix]:
    """The cause and the fix for loaded rows whose value, in the place's column, no row has now."""
    catalog = inquiry.facts.postgres().catalog
    lost: dict[Place, dict[str, Row]] = {}
    for place, text, row in loaded:
        lost.setdefault(place, {})[text] = row
    try:
        found = look_up_renamed(inquiry.facts.context.targets.postgres, catalog, lost)
    except StoreError:
        found = {}
    renamed = [one for rows in found.values() for one in rows.values()]
    if renamed:
        return "; ".join(one.sentence for one in renamed), undo_renaming(catalog, renamed)
    return "setup loaded this row; it was deleted later", RESTORE


def is_there(inquiry: TraceContext, relation: tuple[str, str], column: str, value: str) -> bool:
    """Return True if the table has a row with this value in the column."""
    from psycopg import sql

    from devenv.stores.postgres import client as postgres
    from devenv.stores.postgres.reader import reading

    target = inquiry.facts.context.targets.postgres
    query = sql.SQL("SELECT 1 FROM {} WHERE {}::text = {} LIMIT 1").format(
        postgres.name(*relation), postgres.name(column), sql.Literal(value)
    )
    with reading(target) as connection, postgres.translated(target.address):
        return connection.execute(query).fetchone() is not None


def other_role(inquiry: TraceContext) -> PostgresTarget | None:
    """Return how the application signs in to the project's database, when not as devenv does."""
    stack = inquiry.facts.context.targets.postgres
    environ = inquiry.application.environ or {}
    for name, value in inquiry.project_environment.items():
        if is_postgres_url(value) and environ.get(name):
            target = parse_database(environ[name], stack)
            if isinstance(target, PostgresTarget) and target.user != stack.user and target.database == stack.database:
                return replace(target, host=stack.host, port=stack.port)
    return None


def check_role(declared: Person, role: PostgresTarget, person: Row) -> list[Finding]:
    """Return True if the application's own role sees the row."""
    from psycopg import sql

    from devenv.stores.postgres import client as postgres
    from devenv.stores.postgres.reader import reading

    query = sql.SQL("SELECT 1 FROM {} WHERE {} = {}").format(
        postgres.name(*relation_of(declared.table)), postgres.name(declared.id), sql.Literal(person[declared.id])
    )
    grant = Fix(
        "let the role read the table",
        shlex.join(["devenv", "db", "--write", f"GRANT SELECT ON {declared.table} TO {role.user}"]),
    )
    identity = (canonical(person[declared.id]),)
    try:
        with reading(role) as connection, postgres.translated(role.address):
            if connection.execute(query).fetchone() is not None:
                return []
    except StoreError as error:
        if error.code not in DENIED and error.reached is False:
            raise
        text = f"the application's role {role.user} may not read {declared.table}: {error.detail or error.what}"
        return [Finding("denied", text, "the role was never granted the right", grant, identity, about(declared))]
    text = f"the application's role {role.user} does not see the row of {person[declared.name]}"
    return [Finding("denied", text, "a row-level policy hides it", grant, identity, about(declared))]


def summarize(seen: Observation) -> str:
    """The row of who asks; where the request uses no person, that of the subject's `sql`."""
    person, declared = seen.output.get("person") or {}, seen.output.get("declared") or {}
    if declared and not (person and seen.output.get("used", True)):
        return f"sql: {' '.join(f'{name} {text}' for name, text in list(declared.items())[:3])}"
    plain = [text for text in person.values() if text != MASK]
    return "one row: " + " ".join(plain[:3]) if person else ""


def attributes(seen: Observation) -> Mapping[str, Any]:
    """The store, and the declared statement."""
    return {"db.system.name": "postgresql", "db.query.text": seen.request.get("sql")}


LAYER: Final = Layer(
    name="postgres",
    question="Does the user resolve to exactly one row?",
    observe=observe,
    judge=partial(judge_stored, "postgres", "postgres"),
    summarize=summarize,
    evidence=lambda seen: [("near", near) for near in seen.output.get("near") or ()],
    attributes=attributes,
    empty=PostgresObservation,
)
