"""Items alone: a list of them, or one in each line."""

from __future__ import annotations

from typing import Any

from devenv.steps.seed.format import Document, SeedDocuments, SeedFormat, are_typed


def read(tree: Any, file: str, found: SeedDocuments, whole: bool) -> bool:
    match tree:
        case list() if tree:
            found.documents.append(Document(None, tree, are_typed(tree)))
            return True
        case dict() if not whole:
            found.add(None, tree, are_typed([tree]))
            return True
    return False


FORMAT = SeedFormat("a list of items, or one in each line", read)
