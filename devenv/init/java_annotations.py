"""Names of indexes that annotations of Java and Kotlin take from constants, spelt out in their places. Pure."""

from __future__ import annotations

import re
from typing import Final

from devenv.core.late import late
from devenv.init.code_names import CodeNames

MARK: Final = late(
    r"@(?:get:|field:)?DynamoD[Bb](?:Secondary|Index|LocalSecondaryIndex|GlobalSecondaryIndex)\w*Key\s*"
    r"\(((?:[^()\"]|\"[^\"]*\")*)\)"
)
CONSTANT: Final = late(r"\"[^\"]*\"|\b([A-Za-z_]\w*(?:\.\w+)*)\b(?!\s*=(?!=))")


def with_index_names(file: str, text: str, names: CodeNames) -> str:
    """The text with `indexNames = [BY_SHOW]` as `indexNames = ["show-index"]`, where the constant is known."""

    def spelt(found: re.Match[str]) -> str:
        value = names.text(file, found[1]) if found[1] else None
        return f'"{value}"' if value else found[0]

    def mark(found: re.Match[str]) -> str:
        begin, end = found.span(1)
        whole = found[0]
        return whole[: begin - found.start()] + CONSTANT.sub(spelt, found[1]) + whole[end - found.start() :]

    return MARK.sub(mark, text) if "DynamoD" in text else text
