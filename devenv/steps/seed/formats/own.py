"""Devenv's own form: a table and its items."""

from __future__ import annotations

from typing import Any

from devenv.core.errors import UsageError
from devenv.steps.seed.format import Document, SeedDocuments, SeedFormat, are_typed


def read(tree: Any, file: str, found: SeedDocuments, whole: bool) -> bool:
    match tree:
        case {"table": str(), "items": list()}:
            if unknown := sorted(tree.keys() - {"table", "items"}):
                raise UsageError(f'{file}: unknown key "{unknown[0]}"', hint='only "table" and "items" are known')
            found.documents.append(Document(tree["table"], tree["items"], are_typed(tree["items"])))
            return True
    return False


FORMAT = SeedFormat('{"table", "items"}', read)
