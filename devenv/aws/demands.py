"""Judges `[safety]` on the tables' surroundings for one kind of source at a time. Pure."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from devenv.aws.documents import READS, TOUCHING, WRITES, allowed, open_texts, resources, table_arn, table_of
from devenv.aws.surroundings import PolicyHolder, Surroundings, VpcEndpoint, is_open
from devenv.aws.trails import logs_data, unlogged
from devenv.core.plural import tables_named

ITEMS: Final = (*READS, *WRITES)
Regions = Mapping[str, Sequence[str]]


class DemandOutcome(msgspec.Struct):
    """The result: faults, unknowns, things in order (each a sentence), and the names concerned."""

    bad: list[str] = msgspec.field(default_factory=list)
    unclear: list[str] = msgspec.field(default_factory=list)
    good: list[str] = msgspec.field(default_factory=list)
    subjects: list[str] = msgspec.field(default_factory=list)

    def fault(self, text: str, subject: str) -> None:
        self.bad.append(text)
        self.subjects.append(subject)

    def add(self, other: DemandOutcome) -> None:
        """Note everything that another judgement says."""
        self.bad += other.bad
        self.unclear += other.unclear
        self.good += other.good
        self.subjects += other.subjects


def judge_trails(found: Surroundings, tables: Sequence[str], regions: Regions, *, reads: bool) -> DemandOutcome:
    """Every data event of every table is logged, in each region of the table (none known: that of the deployment)."""
    judged = DemandOutcome(unclear=list(found.unread.get("cloudtrail", ())))
    if judged.unclear or not (found.trails or found.complete):
        return judged
    off = [trail.where for trail in found.trails if not trail.logging]
    why = f" ({', '.join(off)}: logging is switched off)" if off else ""
    if not any(logs_data(trail) for trail in found.trails):
        what = "its trails log management events only" if found.trails else "there is no trail"
        judged.fault(f"{found.source}: {what}, so no data event of a table is logged", "cloudtrail")
        return judged
    for table in tables:
        for region in regions.get(table) or ("*",):
            missing, unclear = unlogged(found.trails, table_arn(table, region), reads=reads)
            shown = f"{table} in {region}" if region != "*" else table
            if not missing:
                judged.good.append(f"{shown}: logged, by {found.source}")
            elif unclear:
                judged.unclear.append(f"{found.source}: the trail's tables are computed, so {shown} is not known")
            else:
                events = show_events(missing, reads=reads)
                judged.fault(f"{found.source}: table {shown}: {events} not logged{why}", table)
    return judged


def show_events(missing: Sequence[str], *, reads: bool) -> str:
    """Some event names in a sentence."""
    if len(missing) >= (13 if reads else 8):
        return "data events"
    return ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if len(missing) > 4 else "")


def judge_endpoints(found: Surroundings, tables: Sequence[str]) -> DemandOutcome:
    """There is a gateway endpoint, routes lead to it, and its policy lets exactly these tables through.

    An endpoint that lets none of them through is for something else, as long as another one serves each table.
    """
    judged = DemandOutcome(unclear=list(found.unread.get("endpoints", ())))
    gateways = [each for each in found.endpoints if each.kind == "Gateway"]
    if judged.unclear or not (gateways or found.network):
        return judged
    if not gateways and found.parts:
        judged.unclear.append(f"{found.source}: no gateway endpoint, but {found.parts[0]} may hold one")
        return judged
    if not gateways:
        judged.fault(f"{found.source}: no gateway endpoint for DynamoDB, so requests leave the VPC", "vpc-endpoint")
        return judged
    served: set[str] = set()
    for each in gateways:
        mine = set(tables if each.policy is None else lets_through(each, tables))
        served |= mine
        if mine or each.policy is None or any(open_texts(each.policy)):
            judged.add(judge_endpoint(each, tables))
    if not judged.unclear and (closed := [table for table in tables if table not in served]):
        names = ", ".join(each.where for each in gateways)
        judged.fault(f"{names}: the policy allows no requests to {tables_named(closed)}", names)
    return judged


def lets_through(endpoint: VpcEndpoint, tables: Sequence[str]) -> list[str]:
    """The tables that an endpoint's policy lets queries to through."""
    policy, region = endpoint.policy or {}, endpoint.region or "*"
    return [table for table in tables if allowed([policy], ("dynamodb:Query",), table_arn(table, region))]


def judge_endpoint(endpoint: VpcEndpoint, tables: Sequence[str]) -> DemandOutcome:
    """One gateway endpoint: that it works, and that its policy lets nothing else through."""
    judged = DemandOutcome()
    where = endpoint.where
    if not endpoint.available:
        judged.fault(f"{where} is not available", where)
    if endpoint.routes == 0:
        judged.fault(f"{where} has no route table, so no traffic uses it", where)
    if endpoint.policy is None:
        judged.fault(f"{where} has the default policy, which allows requests to every table of every account", where)
        return judged
    patterns = list(resources(endpoint.policy, ITEMS))
    wide = dict.fromkeys(each for each in patterns if not is_open(each) and not is_ours(each, tables))
    if wide:
        judged.fault(
            f"{where}: its policy allows requests to {', '.join(wide)}, so to more than the project's tables",
            where,
        )
    if open_ := list(open_texts(endpoint.policy)):
        judged.unclear.append(f"{where}: its policy is computed ({open_[0]})")
    if not judged.bad and not judged.unclear:
        judged.good.append(f"{where} allows requests to {tables_named(lets_through(endpoint, tables))} only")
    return judged


def is_ours(pattern: str, tables: Sequence[str]) -> bool:
    """Return True if a resource pattern names one of these tables and nothing beyond."""
    table = table_of(pattern)
    return table is not None and table in tables


def judge_users(found: Surroundings, tables: Sequence[str]) -> DemandOutcome:
    """No user and no group may touch these tables by itself; the root user has no access key."""
    judged = DemandOutcome(unclear=list(found.unread.get("users", ())))
    if judged.unclear or not found.source:
        return judged
    for each in found.holders:
        judged.add(judge_holder(each, tables))
    if not judged.bad and not judged.unclear:
        users = sum(each.kind == "user" for each in found.holders)
        groups = sum(each.kind == "group" for each in found.holders)
        judged.good.append(
            f"{found.source}: none of {users} users and {groups} groups may touch the tables"
            if found.holders
            else f"{found.source}: no users and no groups"
        )
    return judged


def judge_holder(holder: PolicyHolder, tables: Sequence[str]) -> DemandOutcome:
    """One user or group."""
    judged = DemandOutcome()
    if holder.kind == "root user":
        judged.fault("the root user has an access key, which allows everything", "root")
        return judged
    for table in tables:
        may = allowed(holder.documents, TOUCHING, table_arn(table))
        may = may or allowed(holder.documents, TOUCHING, table_arn(table) + "/index/any")
        if may:
            what = ", ".join(each.removeprefix("dynamodb:") for each in may[:3]) + (" and more" if len(may) > 3 else "")
            keys = f", with {holder.keys} access key{'s'[: holder.keys != 1]}" if holder.keys else ""
            judged.fault(f"{holder.where} ({holder.kind}{keys}) may {what} on table {table}", holder.where)
    if not judged.bad and (
        unread := [*holder.unread, *(each for part in holder.documents for each in open_texts(part))]
    ):
        judged.unclear.append(f"{holder.where}: what it may do depends on {unread[0]}, which was not read")
    return judged


def judge_lines(found: Surroundings) -> DemandOutcome:
    """A VPN or Direct Connect that carries traffic, and an interface endpoint, as it cannot use a gateway endpoint."""
    judged = DemandOutcome(unclear=[*found.unread.get("lines", ()), *found.unread.get("endpoints", ())])
    interfaces = [each for each in found.endpoints if each.kind == "Interface"]
    if judged.unclear or not (found.lines or found.complete):
        return judged
    if not found.lines:
        judged.fault(f"{found.source} has no Site-to-Site VPN and no Direct Connect", "private-path")
        return judged
    live = [each for each in found.lines if each.down is None]
    if not live:
        for each in found.lines:
            judged.fault(f"{each.where} ({each.kind}) provides no private connection: {each.down}", each.where)
    if not interfaces and found.parts:
        judged.unclear.append(f"{found.source}: no interface endpoint, but {found.parts[0]} may hold one")
    elif not [each for each in interfaces if each.available]:
        judged.fault(
            f"{found.source} has no interface endpoint for DynamoDB; on-premises systems cannot use a gateway endpoint",
            "private-path",
        )
    if not judged.bad and not judged.unclear:
        judged.good.append(f"{live[0].where} ({live[0].kind}) and {interfaces[0].where}")
    return judged


def outside(found: Surroundings, regions: Iterable[str]) -> list[str]:
    """Sentences for what lies in a region that is not allowed."""
    return [f"{each.where} is in {each.region}" for each in found.regions if each.region not in set(regions)]


PUBLIC_SUFFIXES: Final = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


def is_public_name(host: str) -> bool:
    """Return True for a public name of an AWS service: every one but those of a VPC's own endpoints."""
    return host.endswith(PUBLIC_SUFFIXES) and not fnmatch.fnmatch(host, "*.vpce.amazonaws.com*")
