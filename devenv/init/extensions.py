"""Extensions of PostgreSQL that a project needs and devenv's own server lacks, with the images that have them. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from devenv.engines.embedded.contrib import EXTENSIONS

CREATE: Final = re.compile(r"\bCREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?[\\\"'`]*([\w-]+)", re.IGNORECASE)
COMMENT: Final = re.compile(r"^\s*(?:--|#|//|\*)", re.MULTILINE)
PROGRAMS: Final = (".sql", ".py", ".rb", ".js", ".ts", ".go", ".php", ".java", ".kt", ".sh", ".prisma")
# What images are for: a part of their name -> the extension.
IMAGES: Final = {"postgis": "postgis", "pgvector": "vector", "timescale": "timescaledb", "citus": "citus"}
OWN_IMAGES: Final = {
    "postgis": "postgis/postgis",
    "vector": "pgvector/pgvector",
    "timescaledb": "timescale/timescaledb",
}
OF_DJANGO: Final = re.compile(r"django\.contrib\.gis\.db\.backends\.postgis")


def lacking_extensions(texts: Mapping[str, str], used: Collection[str]) -> dict[str, str]:
    """extension -> `file:line` that creates it, of the files in `used` first, then of any program."""
    found: dict[str, str] = {}
    for name in sorted((n for n in texts if n.endswith(PROGRAMS)), key=lambda n: n not in used):
        text = texts[name]
        for match in CREATE.finditer(text):
            line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
            if match[1].lower() not in EXTENSIONS and not COMMENT.match(line) and (name in used or ".sql" not in name):
                found.setdefault(match[1].lower(), f"{name}:{text.count(chr(10), 0, match.start()) + 1}")
        if django := OF_DJANGO.search(text):
            found.setdefault("postgis", f"{name}:{text.count(chr(10), 0, django.start()) + 1}")
    return found


def image_extension(image: str) -> str | None:
    """The extension that an image is made for."""
    return next((name for part, name in IMAGES.items() if part in image.lower()), None)


def ways_out(extensions: Mapping[str, str], image: str | None) -> str:
    """The question about a server with these extensions; `image` is that of the project's compose file."""
    needs = ", ".join(f"{name} ({place})" for name, place in extensions.items())
    own = (
        image if image and image_extension(image) else OWN_IMAGES.get(next(iter(extensions)), "an image that has them")
    )
    return (
        f"The project creates extensions that devenv's own PostgreSQL lacks: {needs}. Two servers can have them: the"
        f' PostgreSQL that is installed on this machine (source = "system"), and Docker ([project] engine = "docker",'
        f' [postgres] image = "{own}"). Use the installed one?'
    )
