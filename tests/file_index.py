"""The list of all files in ARCHITECTURE.md, made from the first line of each docstring.

`python -m tests.file_index` writes it anew; tests/unit/test_house.py holds it to the code.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support import REPOSITORY

PAGE = REPOSITORY / "ARCHITECTURE.md"
HEAD = "## Every file\n"


def first_line(path: Path) -> str:
    """The first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]


def lines(root: Path) -> Iterator[str]:
    """Markdown: a heading for each package, a line for each module, one line for the other files of a folder."""
    kept = [path for path in sorted(root.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    for folder in sorted({path.parent for path in kept}):
        here = [path for path in kept if path.parent == folder]
        start = folder / "__init__.py"
        yield f"\n### `{folder.relative_to(root.parent).as_posix()}/`\n"
        if start in here:
            yield first_line(start) + "\n"
        modules = [path for path in here if path.suffix == ".py" and path != start]
        yield from (f"- `{path.name}`: {first_line(path)}" for path in modules)
        if others := [f"`{path.name}`" for path in here if path.suffix != ".py" and path.name != "py.typed"]:
            yield f"- {', '.join(others)}"


def page(text: str) -> str:
    """ARCHITECTURE.md with its list as the code has it now."""
    return text.partition(HEAD)[0] + HEAD + "\n".join(lines(REPOSITORY / "devenv")) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
