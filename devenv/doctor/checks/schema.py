"""Schema: tables, columns, keys and indexes as declared, existing columns in links, steps whose data is there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from devenv.core.errors import StoreError
from devenv.core.model import DynamoTarget, Fix, Outcome, StepState
from devenv.core.plural import number_of, tables_named
from devenv.doctor.checks.check import Check, failed, passed, unneeded, unverified
from devenv.doctor.context import DoctorFacts
from devenv.links.judge import ReadPlan

if TYPE_CHECKING:
    from devenv.stores.postgres.catalog import Catalog

NO_DATABASE: Final = "3D000"
NO_LINKS: Final = "no [[links]] are declared in devenv.toml"
LOAD: Final = Fix("load what is missing", "devenv up", safe=True)
REBUILD: Final = Fix(
    "change the schema file and run `devenv up`, or rebuild the database from the files (asks first)",
    "devenv setup && devenv up",
)
# Types that can hold what another type holds, by the first word: a link between them can still be equal.
NUMBERS: Final = frozenset(["smallint", "integer", "bigint", "numeric"])


def run_postgres(facts: DoctorFacts) -> Outcome:
    """Every table and column that setup declared is there, with its type."""
    try:
        found = facts.postgres()
    except StoreError as error:
        if error.code != NO_DATABASE:
            raise
        name = facts.context.targets.postgres.database
        return failed(f"there is no database {name}", cause="step setup has not run", fix=LOAD, subjects=(name,))
    if found.declared is None:
        return unneeded("nothing is declared: step setup has not run, or is a command of the project", "undeclared")
    differences = list(diff_catalog(found.declared, found.catalog))
    if differences:
        return failed(
            (text for _, text in differences),
            cause="the schema was changed by hand or by another program",
            fix=REBUILD,
            subjects=(subject for subject, _ in differences),
        )
    return passed(number_of(len(found.declared.tables), "table"))


def diff_catalog(declared: Catalog, found: Catalog) -> Iterator[tuple[str, str]]:
    """(subject, difference) for what is declared and missing or otherwise. What is there besides is no difference."""
    for table in declared.tables:
        now = found.table(table.id)
        if now is None:
            yield table.title, f"table {table.title} is missing"
            continue
        columns = {column.name: column for column in now.columns}
        for column in table.columns:
            name = f"{table.title}.{column.name}"
            seen = columns.get(column.name)
            if seen is None:
                yield name, f"column {name} is missing"
            elif seen.type != column.type:
                yield name, f"column {name} is {seen.type}; declared: {column.type}"
            elif column.not_null and not seen.not_null:
                yield name, f"column {name} allows NULL; declared: NOT NULL"
        constraints = {(each.kind, each.columns, each.parent) for each in now.constraints}
        for constraint in table.constraints:
            if (
                constraint.kind != "check"
                and (constraint.kind, constraint.columns, constraint.parent) not in constraints
            ):
                name = f"{table.title} {constraint.name}"
                yield name, f"constraint {constraint.name} of {table.title} is missing: {constraint.definition}"
        indexes = {index.name for index in now.indexes}
        for index in table.indexes:
            if index.name not in indexes:
                yield f"{table.title} {index.name}", f"index {index.name} of {table.title} is missing"


def run_tables(facts: DoctorFacts) -> Outcome:
    """Every DynamoDB table that a step makes or an entity names is there."""
    described = facts.described()
    if not described:
        return unneeded("no tables are declared", "undeclared")
    missing = [name for name, table in described.items() if table is None]
    if missing:
        elsewhere = find_elsewhere(facts, missing)
        return failed(
            f"{', '.join(missing)} {'are' if len(missing) > 1 else 'is'} missing",
            cause=elsewhere or "step schema-load has not run, or the table was deleted",
            fix=LOAD,
            subjects=missing,
        )
    return passed(", ".join(described))


def find_elsewhere(facts: DoctorFacts, missing: Sequence[str]) -> str | None:
    """See if the tables exist for another region or key that is in use: without -sharedDb they are kept apart."""
    from devenv.stores.dynamodb.client import Dynamo

    stack = facts.context.targets.dynamodb
    for who, environ in (("the application", facts.context.application or {}), ("this shell", facts.context.shell)):
        region = environ.get("AWS_DEFAULT_REGION") or environ.get("AWS_REGION") or stack.region
        key = environ.get("AWS_ACCESS_KEY_ID") or stack.access_key
        if (region, key) == (stack.region, stack.access_key):
            continue
        with Dynamo(DynamoTarget(stack.endpoint, region, key, stack.secret_key), timeout=2) as dynamodb:
            names = {name for page in dynamodb.pages("ListTables") for name in page["TableNames"]}
        if names & set(missing):
            return (
                f"{', '.join(sorted(names & set(missing)))} exists for region {region} and the key of {who}: this "
                "DynamoDB Local runs without -sharedDb and keeps tables apart by both"
            )
    return None


def run_keys(facts: DoctorFacts) -> Outcome:
    """Keys, key types and indexes of each table are the declared ones; further indexes are no fault."""
    from devenv.steps.schema_load.schema_load import diff_table

    described = facts.described()
    undefined = [name for name in facts.table_names if name not in facts.context.tables]
    these = "this table" if len(undefined) == 1 else "these tables"
    why = f"is known, because a command of the project creates {these}"
    told = f"no definition of {tables_named(undefined)} {why}" if undefined else ""
    if not facts.context.tables:
        return unneeded(told or "no tables are declared", "undeclared")
    differences = [
        (name, difference)
        for name, request in facts.context.tables.items()
        if (table := described.get(name)) is not None
        for difference in diff_table(request, table)
        if difference.losing or difference.mend
    ]
    if differences:
        losing = any(difference.losing for _, difference in differences)
        again = Fix(
            "recreate the table from its file (asks first), then load its items", "devenv schema-load && devenv up"
        )
        return failed(
            (f"table {name}: {difference.text}" for name, difference in differences),
            cause="the table was created from another definition, for instance before its index was added to the file",
            fix=again if losing else Fix("add or replace the indexes; no item is lost", "devenv up", safe=True),
            subjects=(name for name, _ in differences),
        )
    return passed("; ".join(filter(None, (number_of(len(facts.context.tables), "table"), told))))


def run_links(facts: DoctorFacts) -> Outcome:
    """Every table and column that a link names exists, and can hold the ids that are compared with it."""
    if not facts.plan.edges:
        return unneeded(NO_LINKS)
    try:
        found = facts.postgres()
    except StoreError as error:
        if error.code != NO_DATABASE:
            raise
        return unneeded("there is no database (SCH001)")
    differences = list(diff_links(facts.plan, found.readable))
    if not differences:
        return passed(number_of(len(facts.plan.edges), "link"))
    known = {subject for subject, _ in diff_catalog(found.declared or found.catalog, found.catalog)}
    new = [(subject, text) for subject, text in differences if subject not in known]
    if not new:
        return unneeded(f"{', '.join(subject for subject, _ in differences)} differs (SCH001)")
    return failed(
        (text for _, text in new),
        cause="the column was renamed, or devenv.toml misspells it",
        fix=Fix("correct [[links]] in devenv.toml, or the schema file", "devenv config check"),
        subjects=(subject for subject, _ in new),
    )


def diff_links(plan: ReadPlan, catalog: Catalog) -> Iterator[tuple[str, str]]:
    """(subject, difference) for what a link names in Postgres and the catalog has not, or has of another type."""
    for relation, columns in plan.relations.items():
        title = ".".join(relation)
        table = catalog.table(relation)
        if table is None:
            yield title, f"a link names table {title}, which does not exist"
            continue
        types = {column.name: column.type for column in table.columns}
        for column in columns:
            if column not in types:
                yield f"{title}.{column}", f"a link names column {title}.{column}, which does not exist"
    for edge in plan.edges:
        table = catalog.table(edge.relation)
        declared = [
            field.type
            for kind in plan.kinds
            if kind.table == edge.table
            for field in kind.fields
            if field.attribute == edge.attribute and (field.template is None) == (edge.template is None)
        ]
        found = next((c.type for c in table.columns if c.name == edge.column), None) if table else None
        if found is not None and "uuid" in declared and found.split("(")[0] in NUMBERS:
            yield edge.target, f"link {edge.name}: {edge.target} is {found}, the items hold uuids"


def run_steps(facts: DoctorFacts) -> Outcome:
    """Every step's work is done, from the present files. What changed rows do to items is judged item by item."""
    states = facts.steps()
    if unread := [state for state in states if state.unread]:
        return unverified(f"{', '.join(state.name for state in unread)}: {unread[0].reason}")
    undone = [state for state in states if state.state != "done" and not state.follows]
    if not undone:
        return passed(", ".join(map(show_step, states)) or "no steps declared")
    failing = any(state.state == "failed" for state in undone)
    lost = next(filter(None, (find_reference(facts, state) for state in undone)), None)
    if lost is None and len(undone) == 1 and undone[0].command:
        lost = Fix("empty the tables and run its command again (asks first)", undone[0].command)
    return failed(
        (f"{state.name} is {state.state}: {state.reason}" for state in undone),
        cause="a step failed, so its data is missing" if failing else "files changed, or a step has not run",
        fix=lost or Fix("run the steps that are not done", "devenv up", safe=True),
        subjects=(state.name for state in undone),
    )


def show_step(state: StepState) -> str:
    """A step that is no finding; one that is behind the rows says what its next run does."""
    if state.state == "done":
        return f"{state.name} ({state.since})" if state.since else state.name
    after = (
        "`devenv up` would stop at this reference: restore the row's value, or edit the seed file"
        if state.stuck
        else "the next `devenv up` updates the items"
    )
    return f"{state.name} is {state.state} ({state.reason}; {after})"


def find_reference(facts: DoctorFacts, state: StepState) -> Fix | None:
    """The remedy for a step that failed at a reference that still names no row: running it again fails again."""
    from devenv.steps.seed.references import REFERENCE, read_reference, unquote

    found = REFERENCE.search(state.reason) if state.state == "failed" else None
    if found is None:
        return None
    asked = read_reference(found)
    parts = (found["schema"] or "public", found["table"])
    rows = facts.postgres().rows.get((unquote(parts[0]), unquote(parts[1])), ())
    if any(str(row.get(asked.where)) == asked.value for row in rows):
        return None
    place = re.search(r"[^\s:]+\.json\b", state.reason)
    where = place[0] if place else "the seed file"
    return Fix(
        f"no row of {asked.relation} has {asked.where} {asked.value!r}: restore the row's value, or edit "
        f"{asked.text} in {where}; then: devenv up"
    )


CHECKS = (
    Check(
        code="SCH001",
        name="postgres-schema",
        group="schema",
        title="Postgres has the declared tables and columns",
        run=run_postgres,
        needs=("SVC001",),
        explain="""\
Step setup records in the database what its files declare. Tables, columns, their types, keys and indexes are
compared with what is there now; additions are not reported.

Common causes: a column was dropped, renamed or given another type by hand (`integer` instead of uuid), or a
migration stopped half way.
Fix: make the change in the schema file and run `devenv up`; or rebuild the database with `devenv setup`.""",
    ),
    Check(
        code="SCH002",
        name="dynamodb-tables",
        group="schema",
        title="DynamoDB has the declared tables",
        run=run_tables,
        needs=("SVC002",),
        explain="""\
The application gets ResourceNotFoundException for a table that does not exist.

Common causes: schema-load did not run; the table was deleted; DynamoDB Local runs without -sharedDb and the table
was created with another region or key; or the name is misspelt somewhere (see ENV006).
Fix: devenv up.""",
    ),
    Check(
        code="SCH003",
        name="dynamodb-keys",
        group="schema",
        title="keys and indexes in DynamoDB are the declared ones",
        run=run_keys,
        needs=("SVC002", "SCH002"),
        explain="""\
A query on a missing index fails; a query on an index with other keys fails or finds nothing. An index can be added
to an existing table; the table's own key cannot be changed, so the table has to be recreated.

Common causes: the table was created before its definition changed. Fix: devenv up adds indexes; devenv schema-load
recreates the tables.""",
    ),
    Check(
        code="SCH004",
        name="link-columns",
        group="schema",
        title="the columns that links name exist",
        run=run_links,
        needs=("SVC001",),
        explain="""\
[[links]] in devenv.toml say which column an attribute refers to, and which columns are copied.
Without these columns nothing can be compared.

Fix: correct the link, or the schema.""",
    ),
    Check(
        code="SCH005",
        name="steps-done",
        group="schema",
        title="all steps are done, with the current files",
        run=run_steps,
        needs=("SVC001", "SVC002", "SCH001", "SCH002", "SCH003"),
        explain="""\
setup, schema-load and seed load the project's files, in this order. A step is *stale* if its files changed since its
last run, or if its database or one of its tables was deleted or emptied. It is *failed* if its last run stopped.

If only rows in Postgres changed, so that items must be updated, this check passes; XST002 reports those items.
Fix: devenv up. If a seed refers to a deleted row: restore the row, or edit the seed file.""",
    ),
)
