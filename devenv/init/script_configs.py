"""The folders of migrations and seeds that Knex, Sequelize and TypeORM are configured with. Read as text. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Final

from devenv.core.late import late

SEQUELIZE: Final = ".sequelizerc"
PROGRAM: Final = late(r"\.[cm]?[jt]s$")
TEXT: Final = late(r"""['"`]([^'"`\n$]+)['"`]""")
# Where a value may start: a text, a list, `path.join(__dirname, 'a', 'b')`, `__dirname + '/a'`.
VALUE: Final = r"((?:\[\s*)?(?:[\w.]+\([^()\n]*\)|[^,}\]\n]*))"
MIGRATION: Final = late(
    r"\bimplements\s+MigrationInterface\b|\bmodule\.exports\s*=\s*class\b[^{]*\{[^}]*\bqueryRunner\b"
)
CHANGES: Final = late(r"\bqueryInterface\.\w+\(")


def told_folder(config: str, text: str, *keys: str) -> str | None:
    """The folder that a configuration file gives a key, within the section that further keys name; None without one."""
    for key in keys[:-1]:
        found = re.search(rf"['\"]?\b{key}['\"]?\s*:\s*\{{", text)
        if found is None:
            return None
        text = text[found.end() :].partition("}")[0]
    found = re.search(rf"['\"]?\b{keys[-1]}['\"]?\s*:\s*{VALUE}", text)
    parts = TEXT.findall(found[1]) if found else []
    if not parts:
        return None
    place = posixpath.dirname(config)
    return posixpath.normpath(posixpath.join(place, *(part.lstrip("/") for part in parts))).removeprefix("./")


def told_files(config: str, text: str, names: Iterable[str], *keys: str) -> list[str]:
    """The programs in the folder that a configuration file gives a key."""
    folder = told_folder(config, text, *keys)
    if folder is None:
        return []
    return sorted(n for n in names if posixpath.dirname(n) == folder.removeprefix(".") and PROGRAM.search(n))


def sequelize_files(names: Iterable[str], texts: Mapping[str, str], key: str) -> list[str]:
    """The programs in the folder that .sequelizerc names: `migrations-path`, `seeders-path`."""
    names = tuple(names)
    configs = [name for name in texts if posixpath.basename(name) == SEQUELIZE]
    return [file for config in configs for file in told_files(config, texts[config], names, key)]


def script_migrations(names: Iterable[str], texts: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """(tool, migrations) of Sequelize and TypeORM in any folder: by .sequelizerc, else by what the programs contain."""
    names = tuple(names)
    programs = [name for name in names if PROGRAM.search(name) and not name.endswith(".d.ts") and name in texts]
    typeorm = [name for name in programs if MIGRATION.search(texts[name])]
    sequelize = sequelize_files(names, texts, "migrations-path") or [
        name for name in programs if CHANGES.search(texts[name]) and re.search(r"\bup\b", texts[name])
    ]
    return [("TypeORM", typeorm), ("Sequelize", [name for name in sequelize if name in texts])]
