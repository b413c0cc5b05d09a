"""Models of NoSQL Workbench: the tables that they define, and the sample items in them. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from devenv.init.seeds import FoundSeeds
from devenv.init.shell_items import MADE, is_item

TYPES: Final = {"PartitionKey": "HASH", "SortKey": "RANGE"}


def model_requests(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, CreateTable request) of each table of a model."""
    for model in models(text):
        name = str(model.get("TableName"))
        attributes: dict[str, str] = {}
        request: dict[str, Any] = {"TableName": name, "BillingMode": model.get("BillingMode", "PAY_PER_REQUEST")}
        request["KeySchema"] = key_schema(model, attributes)
        for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
            indexes = [each for each in model.get(kind) or () if isinstance(each, Mapping)]
            if indexes:
                request[kind] = [index_of(each, attributes) for each in indexes]
        sized = (model.get("ProvisionedCapacitySettings") or {}).get("ProvisionedThroughput")
        if request["BillingMode"] == "PROVISIONED":
            units = sized or {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
            request["ProvisionedThroughput"] = units
            for index in request.get("GlobalSecondaryIndexes", ()):
                index["ProvisionedThroughput"] = units
        request["AttributeDefinitions"] = [{"AttributeName": n, "AttributeType": t} for n, t in attributes.items()]
        yield text.count("\n", 0, max(text.find(f'"{name}"'), 0)) + 1, request


def models(text: str) -> Iterator[Mapping[str, Any]]:
    """The tables of a model, as its file has them."""
    if '"DataModel"' not in text or '"KeyAttributes"' not in text:
        return
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return
    listed = tree.get("DataModel") if isinstance(tree, dict) else None
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, Mapping) and isinstance(each.get("KeyAttributes"), Mapping):
            yield each


def key_schema(model: Mapping[str, Any], attributes: dict[str, str]) -> list[dict[str, str]]:
    """The key of a table or index; its attributes are added to `attributes` with their types."""
    found = []
    for place, kind in TYPES.items():
        part = model["KeyAttributes"].get(place) if isinstance(model.get("KeyAttributes"), Mapping) else None
        if isinstance(part, Mapping):
            name = str(part.get("AttributeName"))
            attributes.setdefault(name, str(part.get("AttributeType", "S")))
            found.append({"AttributeName": name, "KeyType": kind})
    return found


def index_of(index: Mapping[str, Any], attributes: dict[str, str]) -> dict[str, Any]:
    """The request of an index."""
    return {
        "IndexName": index.get("IndexName"),
        "KeySchema": key_schema(index, attributes),
        "Projection": index.get("Projection") or {"ProjectionType": "ALL"},
    }


def with_model_items(seeds: FoundSeeds, texts: Mapping[str, str], tables: Mapping[str, str]) -> FoundSeeds:
    """The seeds with the sample items of models, in the file that `init` writes; `tables`: name -> its file."""
    document = {table: [*given] for table, given in seeds.document.items()}
    items: list[tuple[str, Mapping[str, Any]]] = []
    files: list[str] = []
    for name, text in texts.items():
        for model in models(text) if name.endswith(".json") else ():
            table = str(model.get("TableName"))
            given = [each for each in model.get("TableData") or () if is_item(each)]
            if given and tables.get(table) == name:
                items += [(table, each) for each in given]
                document.setdefault(table, []).extend({"PutRequest": {"Item": each}} for each in given)
                files.append(name)
    if not items:
        return seeds
    return replace(
        seeds,
        files=tuple(dict.fromkeys((*seeds.files, MADE))),
        items=(*seeds.items, *items),
        scripts=(*seeds.scripts, *dict.fromkeys(files)),
        document=document,
    )
