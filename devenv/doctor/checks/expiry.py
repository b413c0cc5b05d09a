"""Time to live: the check that says so when items do not expire as declared, or many soon will."""

from __future__ import annotations

from typing import Final

from devenv.core.model import Fix, Outcome
from devenv.core.plural import number_of
from devenv.doctor.checks.check import Check, failed, passed, unneeded
from devenv.doctor.context import DoctorFacts
from devenv.links.expiry import Foresight, foresee
from devenv.stores.dynamodb.client import plain_value

SHOWN: Final = 3


def run_expiry(facts: DoctorFacts) -> Outcome:
    """Every declared `ttl` is the table's, and no item has one that DynamoDB never acts on."""
    declared = {kind.table: kind for kind in facts.plan.kinds if kind.ttl is not None}
    described = facts.described()
    real = facts.ttl()
    attributes = {**{table: kind.ttl or "" for table, kind in declared.items()}, **real}
    attributes = {table: attribute for table, attribute in attributes.items() if described.get(table) is not None}
    if not attributes:
        return unneeded("no table has a time to live, and no [entities] declares one")
    troubles: list[str] = []
    subjects: list[str] = []
    for table, kind in declared.items():
        if table in attributes and real.get(table) != kind.ttl:
            is_ = f"items expire by `{real[table]}`" if table in real else "no item of the table expires"
            troubles.append(f"[entities.{kind.name}] ttl is `{kind.ttl}`, and {is_} ({table})")
            subjects.append(table)
    lost = bool(troubles)
    now = facts.context.now().timestamp()
    seen = {
        table: foresee(facts.dynamodb().items.get(table, ()), attribute, now) for table, attribute in attributes.items()
    }
    for table, found in seen.items():
        keys = facts.known_plan().keys.get(table, ())
        for item, why in found.never[:SHOWN]:
            place = " ".join(str(plain_value(item[name])) for name in keys if name in item)
            troubles.append(f"{place} never expires: {why}")
            subjects.append(place)
        if len(found.never) > SHOWN:
            troubles.append(f"and {len(found.never) - SHOWN} more of {table}")
    told = "; ".join(tell(table, attributes[table], found) for table, found in seen.items())
    if not troubles:
        return passed(told)
    fix = (
        Fix("add TimeToLiveSpecification to the table's definition, or correct the entity's ttl", "devenv schema-load")
        if lost
        else Fix("write the time as a number, in seconds since 1970")
    )
    return failed([*troubles, told], fix=fix, subjects=subjects, status="warn")


def tell(table: str, attribute: str, found: Foresight) -> str:
    """One sentence about what a table loses soon."""
    soon = f"{number_of(found.hour, 'item')} of {table} will vanish within an hour, {found.day} within a day"
    past = f", {found.past} past the time to live" if found.past else ""
    return f"{soon}{past} (`{attribute}`)"


CHECKS: Final = (
    Check(
        code="DAT016",
        name="time-to-live",
        group="data",
        title="items expire as declared",
        run=run_expiry,
        needs=("SVC002", "SCH002"),
        explain="""\
A table has a time to live (TTL) by `TimeToLiveSpecification` in its definition, or by `ttl` of an entity. The check
requires that both name the same attribute, and that DynamoDB can use each item's value: it must be a number, in
seconds, and at most five years in the past.
It also counts what will vanish within an hour and within a day (shown with -v). DynamoDB Local deletes expired items
within seconds or minutes; AWS may take days.

Common causes: the time was written as text or in milliseconds; or the table was made without TTL.
Fix: correct the writer; declare TTL in the table's definition, then devenv schema-load.""",
    ),
)
