"""Drift: the declared tables against those in the AWS account, read-only, when the user asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from devenv.aws.account import Unasked
from devenv.aws.drift import Declared, Drift, TableState, compare
from devenv.core.model import Fix, Outcome
from devenv.doctor.checks.check import Check, failed, passed, unneeded, unverified
from devenv.doctor.context import DoctorFacts

LOOK_S: Final = 120.0
ASK: Final = Fix("read the account (read-only)", "devenv doctor --only drift --allow-remote")


def declared(facts: DoctorFacts, table: str) -> Declared:
    """Return what the project says of a table, wherever it says it."""
    settings = facts.context.settings
    ttl = next((each.ttl for each in settings.entities.values() if each.table == table and each.ttl), None)
    backups = facts.context.read_backups().get(table, {}).get("PointInTimeRecoverySpecification")
    recovery = bool(backups["PointInTimeRecoveryEnabled"]) if backups else None
    return Declared(facts.context.tables[table], ttl, recovery)


def states(facts: DoctorFacts) -> dict[str, list[TableState]] | Outcome:
    """The tables in the account, or the row that says why they could not be looked at."""
    context = facts.context
    if context.account is None:
        if context.asks_drift:
            return unverified("the AWS account was not read", fix=ASK)
        return unneeded("the AWS account is not read; to read it: devenv doctor --only drift --allow-remote")
    if not context.tables:
        if facts.table_names:
            return unverified("no table definition is known, because a command of the project creates the tables")
        return unneeded("no tables are declared")
    try:
        return {name: found for name, found in facts.account_tables().items() if name in context.tables}
    except Unasked as error:
        return unverified(f"the AWS account was not read: {error}")


def run_shape(facts: DoctorFacts) -> Outcome:
    """Existence, keys, indexes and projections."""
    found = states(facts)
    if isinstance(found, Outcome):
        return found
    missing = [name for name, regions in found.items() if not regions]
    drifted = list(drifts(facts, found, shape=True))
    if missing or drifted:
        account = facts.context.account
        regions = ", ".join(account.regions) if account else ""
        return failed(
            [*(f"table {name} is not there ({regions})" for name in missing), *(text for _, text in drifted)],
            cause="another tool created or changed the table, or an older definition was deployed",
            fix=Fix(
                "deploy the definition, or change the declaration; a key can only be changed by creating a new table"
            ),
            subjects=[*missing, *(name for name, _ in drifted)],
        )
    return passed(f"keys, indexes and projections as declared: {show(found)}")


def run_settings(facts: DoctorFacts) -> Outcome:
    """Billing, stream, TTL, protection and what else is declared."""
    found = states(facts)
    if isinstance(found, Outcome):
        return found
    if not any(found.values()):
        return unneeded("no declared table is in the account")
    drifted = list(drifts(facts, found, shape=False))
    if drifted:
        return failed(
            (text for _, text in drifted),
            cause="the setting was changed in the account, or the definition omits it",
            fix=Fix("deploy the definition, or change the declaration: CreateTable requests, [entities.NAME] ttl"),
            subjects=(name for name, _ in drifted),
        )
    return passed(f"billing, stream, TTL and protection as declared: {show(found)}")


def drifts(facts: DoctorFacts, found: dict[str, list[TableState]], *, shape: bool) -> Iterator[tuple[str, str]]:
    """(table, sentence) for every property that differs."""
    for name, regions in found.items():
        for state in regions:
            differing: list[Drift] = [each for each in compare(declared(facts, name), state) if each.shape is shape]
            for each in differing:
                yield name, f"table {name} ({state.region}): {each}"


def show(found: dict[str, list[TableState]]) -> str:
    """The tables that were looked at, with their regions."""
    return ", ".join(f"{name} ({', '.join(state.region for state in regions)})" for name, regions in found.items())


CHECKS = (
    Check(
        code="DRF001",
        name="table-shape",
        group="drift",
        title="tables in the account have the declared keys and indexes",
        run=run_shape,
        limit_s=LOOK_S,
        explain="""\
The application is written for the CreateTable requests that step schema-load reads. In the account each table must
exist with the same key, indexes and projections. With --allow-remote, devenv calls DescribeTable with the credentials
that the AWS CLI would use, in the regions of `[safety] regions` (else the shell's). `[safety] account` guards against
the wrong account. Nothing is written.

Fix: deploy the definition, or change the declaration.""",
    ),
    Check(
        code="DRF002",
        name="table-settings",
        group="drift",
        title="tables in the account have the declared settings",
        run=run_settings,
        limit_s=LOOK_S,
        explain="""\
Billing mode and capacity, the stream, deletion protection: as in the CreateTable request (what it omits is AWS's
default: provisioned, no stream, no protection). TTL: the attribute of `[entities.NAME] ttl`. Point-in-time recovery
where `[safety] backups` declares it; encryption by KMS where the request has an SSESpecification.

Scope: DescribeTable, DescribeTimeToLive, DescribeContinuousBackups, with --allow-remote only.
Fix: deploy the definition, or change the declaration.""",
    ),
)
