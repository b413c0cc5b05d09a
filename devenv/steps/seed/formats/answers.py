"""DynamoDB's own output: answers of scan, query and get-item, and the lines of an export to S3."""

from __future__ import annotations

from typing import Any

from devenv.steps.seed.format import Document, SeedDocuments, SeedFormat, are_typed


def read(tree: Any, file: str, found: SeedDocuments, whole: bool) -> bool:
    """Add what DynamoDB gave out: an answer, or a line of an export; False when the value is none."""
    match tree:
        case {"Items": list(items), **rest} if not rest or rest.keys() & {"Count", "ScannedCount", "LastEvaluatedKey"}:
            found.documents.append(Document(None, items, are_typed(items)))
            if "LastEvaluatedKey" in rest:
                found.left_out.append(f"{file} is one page of a longer answer: the next pages are not in the file")
        case {"Item": dict(item), **rest} if not rest:
            found.add(None, item, are_typed([item]))
        case {"Keys": dict(), **rest} if rest.keys() <= {"NewImage", "OldImage", "Metadata"}:
            if "NewImage" in rest:
                found.add(None, rest["NewImage"], True)
            else:
                found.left_out.append(f"{file}: a deletion of an incremental export")
        case _:
            return False
    return True


FORMAT = SeedFormat("DynamoDB's JSON: answers (scan, query, S3 export)", read)
