"""The policy `trail`: CloudTrail's advanced event selectors for the data events of the tables.

Decided by AWS's documentation (CloudTrail, AdvancedFieldSelector; logging DynamoDB operations):
- Advanced selectors replace all selectors of a trail: without one for management events these are no longer logged.
- The resource of a data event is the table, also for a query of an index; events of its stream come with it.
- `Equals` takes a whole ARN: `StartsWith` on `table/orders` would also log `orders-archive`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from devenv.core.errors import UsageError
from devenv.policy.documents import Maker, Policy, PolicySource, is_meant
from devenv.policy.wish import Wish, require_place

MOST_VALUES: Final = 500
USD_PER_EVENT: Final = 0.10 / 100_000


def trail(project: PolicySource, wish: Wish) -> Policy:
    """Log management events, and every data event of the tables. UsageError for what CloudTrail cannot say."""
    require_place(wish, "CloudTrail compares the full ARN of a table")
    whole = [table for table in wish.tables if "*" not in table]
    begun = [table for table in wish.tables if "*" in table]
    for table in begun:
        if table.index("*") < len(table) - 1:
            raise UsageError(
                f"CloudTrail cannot select tables by {table!r}",
                detail="it matches a full name, or the beginning of one",
                hint="--table 'NAME-*', or each table by its name",
            )
    safety = project.settings.safety
    writes_only = safety is not None and safety.cloudtrail == "writes"
    selectors = [{"Name": "management events", "FieldSelectors": [field("eventCategory", ["Management"])]}]
    for operator, names in (("Equals", whole), ("StartsWith", [name[:-1] for name in begun])):
        if names:
            arns = wish.in_regions(*(f"table/{name}" for name in names))
            selectors.append(data_selector(operator, arns, writes_only=writes_only))
    return Policy(
        name="trail",
        kind="advanced event selectors (CloudTrail)",
        title="log " + ("every change of an item" if writes_only else "who reads and writes items"),
        explain=(
            "The trail logs "
            + ("every request that changes an item" if writes_only else "every request that reads or changes an item")
            + " of these tables, with who sent it, when, and the item's key. It replaces the trail's selectors, so"
            " management events are among them."
        ),
        document=selectors,
        attach="aws cloudtrail put-event-selectors --trail-name NAME --advanced-event-selectors file://FILE",
        notes=tuple(notes(project, wish, writes_only=writes_only)),
    )


def field(name: str, equals: Sequence[str]) -> dict[str, Any]:
    """A field that must have one of these values."""
    return {"Field": name, "Equals": list(equals)}


def data_selector(operator: str, arns: Sequence[str], *, writes_only: bool) -> dict[str, Any]:
    """The data events of tables. UsageError for more ARNs than CloudTrail takes."""
    if len(arns) > MOST_VALUES - 10:
        raise UsageError(
            f"{len(arns)} ARNs of tables are too many: CloudTrail takes {MOST_VALUES} values",
            hint="name a common prefix: --table 'shop-*'",
        )
    fields = [
        field("eventCategory", ["Data"]),
        field("resources.type", ["AWS::DynamoDB::Table"]),
        {"Field": "resources.ARN", operator: list(arns)},
    ]
    if writes_only:
        fields.append(field("readOnly", ["false"]))
    title = "items of tables" if operator == "Equals" else "items of tables with this beginning"
    return {"Name": title, "FieldSelectors": fields}


def notes(project: PolicySource, wish: Wish, *, writes_only: bool) -> list[str]:
    """Return what it costs, and what it does not do."""
    per_month = sum(
        pattern.requests_per_month or 0
        for pattern in project.settings.patterns.values()
        if pattern.table and is_meant(pattern.table, wish.tables)
    )
    price = "data events cost about 0.10 USD per 100,000"
    if per_month and not writes_only:
        price += f": about {per_month * USD_PER_EVENT:,.2f} USD a month at the declared rates, without storage"
    found = [price, "use a trail of all regions (--is-multi-region-trail) when the tables have replicas"]
    if not writes_only:
        found.append('[safety] cloudtrail = "writes" does not log read requests, which costs less')
    return found


MAKER: Final = Maker("trail", trail)
