"""The rules about one pattern: its key, its index, and the result of a run. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from devenv.capture.calls import differences, shown
from devenv.config.schema import MONTH_S
from devenv.core.late import late
from devenv.core.model import Outcome
from devenv.core.plural import number_of
from devenv.core.templates import PLACE, fill, names_in
from devenv.links.read import compile_plan
from devenv.links.values import scalar_text
from devenv.patterns import advice
from devenv.patterns.rule import kilobytes, patterns_of, problem
from devenv.patterns.seen import Observed, SeenPattern
from devenv.stores.dynamodb.capacity import PARTITION_READS, item_bytes
from devenv.stores.dynamodb.key_schema import Place

# A filter may throw away half of what was read; of a few items it may be more.
KEPT: Final = 0.5
FEW_READ: Final = 10
CLOCKS: Final = frozenset(["year", "today"])
FOLLOWING: Final = "remove the condition, read newest first, and follow the pages as far as needed"
NUMERIC: Final = late(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")


def find_scans(seen: Observed) -> Iterator[Outcome]:
    """PAT001: declared as a Scan."""
    for name, access, place in patterns_of(seen):
        if access.pattern.kind != "Scan":
            continue
        run = access.main
        read = (
            f"it read {number_of(run.read.scanned, 'item')} ({kilobytes(run.bytes)})"
            if run and run.read
            else "declared"
        )
        if place.hash in access.pattern.key:
            text = f'say operation = "query": {place.name} has the partition key {place.hash}, which the pattern gives'
        else:
            text = advice.index_for(access, seen.tables[place.table], seen.tables[place.table].places)
        yield problem(
            name,
            f"{name} is a Scan of {place.name}: {read}, and every additional item makes it more expensive",
            "a Scan reads the whole table, even if it returns little; a filter is applied after reading",
            text,
        )


def find_unserved(seen: Observed) -> Iterator[Outcome]:
    """PAT007: the key condition does not name the partition key, or names what is no key."""
    for name, access, place in patterns_of(seen):
        pattern = access.pattern
        if pattern.kind == "Scan":
            continue
        extra = [attribute for attribute in pattern.key if attribute not in place.keys]
        if place.hash in pattern.key and not extra:
            continue
        table = seen.tables[place.table]
        asked = ", ".join(pattern.key) or "no key"
        run = access.main
        cost = (
            f"; as a Scan it reads {number_of(run.read.scanned, 'item')} for {len(run.read.items):,}"
            if run and run.read
            else ""
        )
        yield problem(
            name,
            f"{name} queries {place.name} by {asked}, but its key is ({', '.join(place.keys)}){cost}",
            "a Query needs the partition key with `=`, and allows conditions on the sort key only",
            advice.index_for(access, table, table.places),
            advice.command_for(access, table.places),
        )


def find_unmatched(seen: Observed) -> Iterator[Outcome]:
    """PAT004: no stored key has the form that is asked for."""
    for name, access, place in patterns_of(seen):
        gap = access.unsampled
        if gap is not None and gap.fault:
            stored = f"; stored keys are {', '.join(gap.stored)}" if gap.stored else ""
            what = words(access.pattern.key) if gap.part == "key" else gap.asked
            clock = gap.part == "sort" and bool(names_in(dict(access.pattern.sort)) & CLOCKS)
            yield problem(
                name,
                f"{name} requests {what} from {place.name}: {gap.reason}{stored}",
                "a partition key is compared exactly, and only with `=`"
                if gap.part == "key"
                else "items outside the condition are never found",
                FOLLOWING
                if clock
                else f"write the condition in the form of the stored keys: {gap.stored[0] if gap.stored else '?'}",
                f"devenv ddb scan {place.table} --limit 5",
            )
        elif text := contradicted(seen, access, place):
            yield problem(
                name,
                text,
                "the pattern and the entity declare the same key differently",
                "make the pattern's key and the entity's `match` the same text",
            )


def words(condition: Mapping[Any, Any]) -> str:
    """`pk = MSG#{id}`."""
    return " and ".join(f"{name} = {value}" for name, value in condition.items())


def contradicted(seen: Observed, access: SeenPattern, place: Place) -> str | None:
    """Why no declared entity can have such a key, while there are no items to tell; None when one can."""
    if access.unsampled is None or place.hash not in access.pattern.key:
        return None
    kinds = [kind for kind in compile_plan(seen.settings, {}).kinds if kind.table == place.table]
    templates = [template for kind in kinds for attribute, template in kind.matchers if attribute == place.hash]
    if not templates or len(templates) < len(kinds):
        return None
    asked = PLACE.sub("x", str(access.pattern.key[place.hash]))
    if any(template.parse(asked) is not None for template in templates):
        return None
    known = ", ".join(dict.fromkeys(template.text for template in templates))
    wanted = f"{place.hash} = {access.pattern.key[place.hash]}"
    return f"{access.name} requests {wanted}, but entities of {place.table} have {known}"


def find_mistyped(seen: Observed) -> Iterator[Outcome]:
    """PAT005: a value that is not of the key's type."""
    declared = {
        (entity.table, attribute): kind.rstrip("?")
        for entity in seen.settings.entities.values()
        for attribute, kind in entity.attributes.items()
    }
    for name, access, place in patterns_of(seen):
        sort = [(place.sort, each) for each in access.pattern.sort.values()] if place.sort else []
        for attribute, value in [*access.pattern.key.items(), *sort]:
            wanted = place.types.get(attribute)
            for each in value if isinstance(value, list) else [value]:
                if wanted == "N" and not numeric(each):
                    was = f"{each!r} is text"
                elif wanted == "S" and not isinstance(each, str):
                    was = f"{each!r} is a number"
                else:
                    continue
                yield problem(
                    name,
                    f"{name}: {attribute} of {place.name} has type {wanted}, and {was}",
                    "5 and '5' are two different keys to DynamoDB; a key of the other type is refused or never found",
                    f"give {attribute} as {'a number' if wanted == 'N' else 'text'}, or make a new table whose key has "
                    "the other type: the type of a table's key cannot be changed",
                )
        for attribute in place.keys:
            said, has = declared.get((place.table, attribute)), place.types.get(attribute)
            if (said == "number" and has == "S") or (said not in (None, "number", "binary") and has == "N"):
                yield problem(
                    name,
                    f"{attribute} of {place.name} has type {has}, and [entities] declares it {said}",
                    "the application writes or queries with the declared type, and is refused or finds nothing",
                    f"declare {attribute} as it is stored, or make a new table whose key has the other type",
                )


def numeric(value: str | int) -> bool:
    """Return True if a value can be a number: one, or nothing but a parameter."""
    text = str(value)
    return bool(NUMERIC.fullmatch(text) or PLACE.fullmatch(text))


def find_wrong_operators(seen: Observed) -> Iterator[Outcome]:
    """PAT015: `begins_with` on a number."""
    for name, access, place in patterns_of(seen):
        if place.sort and "begins_with" in access.pattern.sort and place.types.get(place.sort) == "N":
            yield problem(
                name,
                f"{name}: begins_with on `{place.sort}`, which is a number",
                "numbers are compared by value; begins_with needs text",
                f"use a range: sort = {{ between = [20230000, 20239999] }}, or store {place.sort} as text",
            )


def find_sortless(seen: Observed) -> Iterator[Outcome]:
    """PAT013: a condition or an order where there is no sort key."""
    for name, access, place in patterns_of(seen):
        pattern = access.pattern
        if place.sort is not None or pattern.kind != "Query" or not (pattern.sort or pattern.order):
            continue
        what = f"a condition on the sort key ({words(pattern.sort)})" if pattern.sort else f"order {pattern.order!r}"
        yield problem(
            name,
            f"{name} requests {what} from {place.name}, which has no sort key",
            "only a sort key is ordered, and can be narrowed, inside a partition",
            "a global index with a sort key can be added online; a sort key of the table itself needs a new table"
            + advice.sorted_index(place, seen.tables[place.table]),
        )


def find_inconsistent(seen: Observed) -> Iterator[Outcome]:
    """PAT014: a consistent read of a global index."""
    for name, access, place in patterns_of(seen):
        if access.pattern.consistent and place.kind == "global":
            yield problem(
                name,
                f"{name} wants a consistent read of {place.name}, a global index",
                "a global index follows its table a moment later, so DynamoDB refuses consistent reads of it",
                "read without consistent = true, or read the table itself; a local index can be read consistently, "
                "but only a new table can have one",
            )


def find_other_operations(seen: Observed) -> Iterator[Outcome]:
    """PAT016: it amounts to another operation than is expected."""
    for name, access, place in patterns_of(seen):
        pattern = access.pattern
        if pattern.kind == access.amount or place.hash not in pattern.key or pattern.kind == "Scan":
            continue
        missing = "an index has no unique key" if place.kind != "table" else f"{place.sort} is not given"
        yield problem(
            name,
            f"{name} is expected to be a {pattern.kind} and is a {access.amount}: {missing}",
            "GetItem needs the whole key of the table, the sort key too, and reads one item",
            f'give {place.sort} in key, or write operation = "query"'
            if place.kind == "table"
            else 'say operation = "query"',
        )


def find_missing(seen: Observed) -> Iterator[Outcome]:
    """PAT023: there is no such table or index."""
    for name, access in seen.accesses.items():
        table = seen.tables.get(access.pattern.table or "")
        index = access.pattern.index
        if table is None or (table.described is None and table.declared is None):
            near = difflib.get_close_matches(
                access.pattern.table or "", [t for t in seen.tables if seen.tables[t].places], n=1
            )
            hint = (
                f"did you mean {near[0]}?" if near else "name an existing table, or add its definition to schema-load"
            )
            yield problem(
                name, f"{name}: there is no table {access.pattern.table}", None, hint, "devenv ddb list-tables"
            )
        elif table.described is None:
            yield problem(
                name, f"{name}: table {table.name} is declared but does not exist", None, "create it", "devenv up"
            )
        elif access.place is None:
            known = [place.index for place in table.places if place.index]
            near = difflib.get_close_matches(index or "", known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"indexes there: {', '.join(known) or 'none'}"
            yield problem(
                name, f"{name}: table {table.name} has no index {index}", None, hint, "devenv ddb list-tables"
            )


# --- what a run showed ---


def find_filters(seen: Observed) -> Iterator[Outcome]:
    """PAT002: most of what was read was thrown away."""
    for name, access, place in patterns_of(seen):
        run = access.main
        if run is None or run.read is None or not access.pattern.filter or access.amount == "Scan":
            continue
        read, kept = run.read.scanned, len(run.read.items)
        if read >= FEW_READ and kept < read * KEPT:
            yield problem(
                name,
                f"{name} read {number_of(read, 'item')} ({kilobytes(run.bytes)}, {run.units:g} read units) and "
                f"returned {kept:,}: "
                f"the filter {access.pattern.filter} discarded {100 * (read - kept) / read:.0f} %",
                "a filter is applied after reading: discarded items are paid for, and count towards a limit",
                f"put the filtered attribute into a key: a sort key that begins with it, or a sparse global index on "
                f"{' and '.join(filtered_names(access)) or 'that attribute'} with {place.hash} (can be added online)",
            )


def filtered_names(access: SeenPattern) -> list[str]:
    pattern = access.pattern
    text = re.sub(r"\b(AND|OR|NOT|IN|BETWEEN|\w+(?=\s*\())\b", " ", pattern.filter or "", flags=re.IGNORECASE)
    found = re.findall(r"(?<![:\w])(#?[A-Za-z_]\w*)", text)
    return list(dict.fromkeys(pattern.names.get(each, pattern.names.get(each.lstrip("#"), each)) for each in found))


def find_cuts(seen: Observed) -> Iterator[Outcome]:
    """PAT003: there is more than one page, and only one is asked for though all is wanted."""
    for name, access, _ in patterns_of(seen):
        pattern, run = access.pattern, access.main
        if run is None or run.read is None or pattern.paged or pattern.paging in ("page", "first"):
            continue
        # DynamoDB says that there may be more also when the limit is what there is.
        if run.sample.count is not None and run.read.scanned >= run.sample.count:
            continue
        if run.read.more:
            of = f" of {run.sample.count:,}" if run.sample.count and not pattern.filter else ""
            limit = f"limit {pattern.limit}" if pattern.limit else "1 MB"
            before = ", and the filter discards some of them" if pattern.filter else ""
            yield problem(
                name,
                f"{name} returned {number_of(len(run.read.items), 'item')}{of}: {limit} ended the page, there "
                f"are more pages{before}",
                "a limit counts what is read, before a filter; the rest is only found by further requests from "
                "LastEvaluatedKey",
                'follow the pages (paging = "all"), pass the cursor to the client (paging = "page"), or declare '
                'that only the first items are needed (paging = "first")',
            )


def find_clocks(seen: Observed) -> Iterator[Outcome]:
    """PAT030: the condition on the sort key follows the clock."""
    for name, access, place in patterns_of(seen):
        run = access.main
        clocks = names_in(dict(access.pattern.sort)) & CLOCKS
        if not clocks or run is None or run.read is None or place.sort is None:
            continue
        key = access.pattern.key.get(place.hash)
        value = str(fill(key, run.sample.values))
        held = sum(scalar_text(item.get(place.hash)) == value for item in seen.tables[place.table].items)
        left_out = held - run.read.scanned
        yield problem(
            name,
            f"{name} reads only the items of {place.hash} = {value} whose {place.sort} fits "
            f"{words(access.pattern.sort)}"
            + (
                f": it leaves out {left_out:,} of {number_of(held, 'item')}" if left_out > 0 else ": all items, for now"
            ),
            f"{{{min(clocks)}}} changes with time: older items are no longer found, without an error",
            FOLLOWING,
        )


def find_sizes(seen: Observed) -> Iterator[Outcome]:
    """PAT017: more, fewer or heavier than expected."""
    for name, access, _ in patterns_of(seen):
        wanted = access.pattern.expected
        for run in access.runs:
            if run.read is None:
                continue
            count = len(run.read.items)
            returned = sum(map(item_bytes, run.read.items))
            who = ", ".join(f"{key} {value}" for key, value in run.sample.values.items()) or "it"
            if wanted.at_most is not None and count > wanted.at_most:
                text = f"{number_of(count, 'item')}, expected at most {wanted.at_most:,}"
            elif count < wanted.at_least:
                text = f"{number_of(count, 'item')}, expected at least {wanted.at_least:,}"
            elif wanted.bytes is not None and returned > wanted.bytes:
                text = f"{kilobytes(returned)}, expected at most {kilobytes(wanted.bytes)}"
            else:
                continue
            yield problem(
                name,
                f"{name} returned {text} (for {who})",
                "either the data has outgrown the design, or it does not match the declaration",
                "read a page at a time (limit, paging), narrow the sort key, or correct expected",
            )
            break


def find_reserved(seen: Observed) -> Iterator[Outcome]:
    """PAT022: a filter uses one of DynamoDB's own words as a name."""
    for name, access, _ in patterns_of(seen):
        for run in access.runs[:1]:
            found = re.search(r"reserved keyword: (\w+)", run.detail or "")
            if found:
                word = found[1]
                yield problem(
                    name,
                    f"{name}: {word} is one of DynamoDB's reserved words, so the filter is refused",
                    "some 570 words (name, status, date, count, …) cannot be used in an expression directly",
                    f'write #{word} in the filter and add names = {{ {word} = "{word}" }}',
                )


def find_refused(seen: Observed) -> Iterator[Outcome]:
    """PAT024: the store refused the request."""
    for name, access, _ in patterns_of(seen):
        for run in access.runs[:1]:
            if run.code is not None:
                yield problem(
                    name,
                    f"`{name}` is refused: {run.code}: {run.detail}",
                    None,
                    "see the request that it sends",
                    f"devenv patterns run {name}",
                )
    for name, ran in seen.sql.items():
        if ran.refused is not None:
            yield problem(
                name, f"`{name}` is refused: {ran.refused}", None, "correct its sql", f"devenv patterns run {name}"
            )


def find_scripts(seen: Observed) -> Iterator[Outcome]:
    """PAT025: the project's own script asks, or answers, otherwise than declared."""
    for name, access, _ in patterns_of(seen):
        script, run = access.script, access.main
        if script is None:
            continue
        texts = [*script_faults(access, seen.tables[access.pattern.table or ""].places[0].keys)]
        if texts:
            yield problem(
                name,
                f"{' '.join(script.command)}: {'; '.join(texts)}",
                f"the declared query is {shown(script.declared)}",
                "change the script or the declaration so that they agree",
                f"devenv patterns run {name}" if run else None,
            )


def script_faults(access: SeenPattern, keys: Sequence[str]) -> Iterator[str]:
    """In what a script differs from the declaration, in words. `keys` are the table's, to tell its items apart."""
    script, run = access.script, access.main
    if script is None:
        return
    if script.failure:
        yield script.failure
        return
    if script.asked is not None and not script.asked:
        yield "it sends no request to DynamoDB"
    elif script.asked:
        best = min(script.asked, key=lambda one: len(differences(one, script.declared)))
        wrong = differences(best, script.declared)
        if wrong:
            yield f"it sends {shown(best)}, which differs in {', '.join(wrong)}"
    if run is None or run.read is None:
        return
    if script.items is not None:
        got, wanted = (
            [str([item.get(name) for name in keys]) for item in each] for each in (script.items, run.read.items)
        )
        missing, extra = len(set(wanted) - set(got)), len(set(got) - set(wanted))
        if missing:
            yield f"it did not return {missing:,} of {number_of(len(wanted), 'item')}"
        if extra:
            yield f"it returned {number_of(extra, 'item')} that the declared pattern does not return"
        if not missing and not extra and got != wanted:
            yield "it returned the items in a different order"
    if script.printed is not None and script.printed != len(run.read.items):
        yield f"it printed {script.printed:,} of {number_of(len(run.read.items), 'item')}"


def find_loads(seen: Observed) -> Iterator[Outcome]:
    """PAT026: the stated load is more than what is provisioned, or than one partition serves."""
    for name, access, place in patterns_of(seen):
        load, run = access.pattern.requests_per_month, access.main
        if load is None or run is None or run.units is None:
            continue
        per_second = run.units * load / MONTH_S
        fixed = place.hash in access.pattern.key and not PLACE.search(str(access.pattern.key[place.hash]))
        if fixed and per_second > PARTITION_READS:
            yield problem(
                name,
                f"{name} needs {per_second:,.0f} read units a second of one partition ({place.hash} = "
                f"{access.pattern.key[place.hash]}), which serves {PARTITION_READS:,}",
                "all items of one partition key lie together, and share its throughput",
                "spread them over several partition keys (append a shard number to the key), or cache the answer",
            )
        elif place.reads is not None and per_second > place.reads:
            yield problem(
                name,
                f"{name} needs {per_second:,.1f} read units a second, {place.name} has {place.reads} provisioned",
                "requests beyond the provisioned capacity are throttled",
                f"provision at least {per_second:,.0f} read units, or use on-demand capacity (PAY_PER_REQUEST)",
            )


def find_lacking(seen: Observed) -> Iterator[Outcome]:
    """PAT011: the index does not hold what the pattern wants."""
    for name, access, place in patterns_of(seen):
        if place.projected is None or access.pattern.kind == "Scan":
            continue
        table = seen.tables[place.table]
        wanted = access.pattern.projection or list(
            dict.fromkeys(attribute for item in table.items if place.holds(item) for attribute in item)
        )
        missing = place.lacks(wanted)
        if not missing:
            continue
        run = access.main
        count = len(run.read.items) if run and run.read else 0
        more = f": {number_of(count, 'further read')} for {number_of(count, 'item')}" if count else ""
        second = (
            "the rest takes a GetItem or BatchGetItem of the table for each item"
            if place.kind == "global"
            else "for the rest, DynamoDB reads each item from the table too, and counts that read"
        )
        yield problem(
            name,
            f"{name} wants {', '.join(missing[:5])}{', …' if len(missing) > 5 else ''}, which {place.name} does not "
            f"hold{more}",
            f"an index holds its keys and its projected attributes; {second}",
            f"project {', '.join(missing[:5])} into the index (a global index has to be recreated, which can be done "
            "online), "
            "or declare in projection that the keys are enough",
        )
