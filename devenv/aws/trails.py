"""Which operations of a table a CloudTrail trail logs: event selectors, evaluated as CloudTrail does.

One selector that fits is enough; within it every field must fit. Within a field, one value of one operator that selects
is enough, and no value of an operator that excludes (`Not…`) may fit. Source: CloudTrail API reference,
AdvancedFieldSelector, and the user guide on how it evaluates several conditions for a field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from devenv.aws.documents import as_list
from devenv.aws.surroundings import Document, Trail, is_open

TABLE: Final = "AWS::DynamoDB::Table"
# The data events of tables (CloudTrail's names), and whether they only read.
EVENTS: Final[Mapping[str, bool]] = {
    "GetItem": True,
    "BatchGetItem": True,
    "Query": True,
    "Scan": True,
    "TransactGetItems": True,
    "PutItem": False,
    "UpdateItem": False,
    "DeleteItem": False,
    "BatchWriteItem": False,
    "TransactWriteItems": False,
    "ExecuteStatement": False,
    "BatchExecuteStatement": False,
    "ExecuteTransaction": False,
}
PREFIX: Final = ("StartsWith", "NotStartsWith")
BROAD: Final = "arn:aws:dynamodb"


def advanced(selector: Mapping[str, Any]) -> Iterator[Document]:
    """A basic event selector as advanced ones."""
    kind = selector.get("ReadWriteType", "All")
    only = [] if kind == "All" else [field("readOnly", Equals=["true" if kind == "ReadOnly" else "false"])]
    if selector.get("IncludeManagementEvents", True) is not False:
        yield {"FieldSelectors": [field("eventCategory", Equals=["Management"]), *only]}
    for each in as_list(selector.get("DataResources")):
        if not isinstance(each, Mapping):
            continue
        values = [str(value) for value in as_list(each.get("Values"))]
        # Without a table it stands for all tables of the account.
        where = [] if BROAD in values else [field("resources.ARN", Equals=values)]
        kinds = [field("eventCategory", Equals=["Data"]), field("resources.type", Equals=[str(each.get("Type"))])]
        yield {"FieldSelectors": [*kinds, *where, *only]}


def field(name: str, **operators: Sequence[str]) -> dict[str, Any]:
    return {"Field": name, **operators}


def fits(selector: Document, event: Mapping[str, str]) -> bool | None:
    """Return True if the selector takes the event, None if a value in it could not be worked out."""
    result: bool | None = True
    for each in fields_of(selector):
        value = event.get(str(each.get("Field")))
        if value is None:
            # A filter on something else (a user, an error): it takes a part of the events only.
            return False
        operators = {name: [str(text) for text in as_list(wanted)] for name, wanted in each.items() if name != "Field"}
        selecting = {name: wanted for name, wanted in operators.items() if not name.startswith("Not")}
        excluding = {name[3:]: wanted for name, wanted in operators.items() if name.startswith("Not")}
        inside, excluded = hits(selecting, value), hits(excluding, value)
        if True in excluded or (selecting and not {True, None} & set(inside)):
            return False
        if None in excluded or (selecting and True not in inside):
            result = None
    return result


def fields_of(selector: Document) -> list[Mapping[str, Any]]:
    """The fields of a selector; what is no field narrows it in an unknown way."""
    return [each if isinstance(each, Mapping) else {"Field": "?"} for each in as_list(selector.get("FieldSelectors"))]


def hits(operators: Mapping[str, Sequence[str]], value: str) -> list[bool | None]:
    """For each value of each operator, whether it fits; None if it could not be worked out."""
    return [meets(operator, text, value) for operator, wanted in operators.items() for text in wanted]


def meets(operator: str, wanted: str, value: str) -> bool | None:
    """Compare by one operator. `*` as a part of an ARN (a deployment's own region or account) meets anything."""
    if is_open(wanted):
        return None
    if wanted.startswith("arn:") and value.startswith("arn:") and operator in ("Equals", "StartsWith"):
        left, right = wanted.split(":", 5), value.split(":", 5)
        *first, last = left
        for mine, other in zip(first, right, strict=False):
            if "*" not in (mine, other) and mine != other:
                return False
        rest = right[len(left) - 1]
        if "*" in (last, rest) and len(left) < 6:
            return True
        return last == rest and len(left) == len(right) if operator == "Equals" else rest.startswith(last)
    if operator == "StartsWith":
        return value.startswith(wanted)
    return value.endswith(wanted) if operator == "EndsWith" else value == wanted


def unlogged(trails: Iterable[Trail], arn: str, *, reads: bool) -> tuple[tuple[str, ...], bool]:
    """The data events of a table that none of the trails logs, and whether that depends on something unknown."""
    region = arn.split(":")[3]
    live = [trail for trail in trails if trail.logging and reaches(trail, region)]
    missing: list[str] = []
    unclear = False
    for name, read_only in EVENTS.items():
        if read_only and not reads:
            continue
        event = {
            "eventCategory": "Data",
            "resources.type": TABLE,
            "resources.ARN": arn,
            "eventName": name,
            "readOnly": str(read_only).lower(),
            "eventSource": "dynamodb.amazonaws.com",
        }
        results = [fits(selector, event) for trail in live for selector in trail.selectors]
        if True not in results:
            missing.append(name)
            unclear = unclear or None in results
    return tuple(missing), unclear


def reaches(trail: Trail, region: str) -> bool:
    """Return True if the trail logs in the region (`*`: that of the deployment)."""
    return trail.multi_region or trail.region is None or region in ("*", trail.region)


def logs_data(trail: Trail) -> bool:
    """Return True if a selector of the trail is about data events of tables at all."""
    return any(
        {"Data", TABLE} <= {str(value) for part in fields_of(each) for value in as_list(part.get("Equals"))}
        for each in trail.selectors
    )
