"""Reads the package files of a project: its language, its stores, its scripts. Pure; nothing is installed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

# File name -> language.
LANGUAGES: Final[Mapping[str, str]] = {
    "package.json": "JavaScript",
    "requirements.txt": "Python",
    "pyproject.toml": "Python",
    "Pipfile": "Python",
    "pom.xml": "Java",
    "build.gradle": "Java",
    "build.gradle.kts": "Kotlin",
    "Gemfile": "Ruby",
    "go.mod": "Go",
    "composer.json": "PHP",
    "Cargo.toml": "Rust",
}
# The packages of each store's drivers, in any of these languages.
POSTGRES: Final = re.compile(
    r"(?<![\w-])(pg|ext-pdo_pgsql|pg-promise|postgres|postgresql|psycopg\w*|asyncpg|sqlalchemy|knex|prisma|@prisma/client|typeorm|"
    r"sequelize|drizzle-orm|lib/pq|pgx(/v\d)?|go-pg|sqlx|tokio-postgres|r2dbc-postgresql|doctrine/dbal)(?![\w-])",
    re.IGNORECASE,
)
DYNAMODB: Final = re.compile(
    r"dynamodb|boto3|aioboto3|pynamodb|dynamoose|dynamoid|electrodb|(?<![\w-])aws-sdk(?:-php)?(?![\w-])", re.IGNORECASE
)


@dataclass(frozen=True)
class PackageFile:
    """One package file. `scripts` are package.json's; `module`: its files are ES modules. `seed` is the program of
    `prisma db seed`.
    """

    file: str
    language: str
    stores: tuple[str, ...] = ()
    scripts: Mapping[str, str] = field(default_factory=dict)
    packages: frozenset[str] = frozenset()
    module: bool = False
    seed: str = ""

    @property
    def shown(self) -> str:
        """The file in words."""
        return f"{self.file}: {self.language}" + (f", uses {' and '.join(self.stores)}" if self.stores else "")

    @property
    def folder(self) -> str:
        """The folder that it describes; "" is the project's own."""
        return str(PurePosixPath(self.file).parent).removeprefix(".")


def is_manifest(name: str) -> bool:
    """Return True if a file is one, by its name."""
    return name in LANGUAGES


def read_manifest(file: str, text: str) -> PackageFile | None:
    """A package file; None for what is none."""
    name = PurePosixPath(file).name
    if name not in LANGUAGES:
        return None
    if name not in ("package.json", "composer.json"):
        stores = stores_of(text)
        return PackageFile(file, LANGUAGES[name], stores)
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(tree, dict):
        return None
    sections = [tree.get(name) for name in ("dependencies", "devDependencies")]
    packages = [str(each) for section in sections if isinstance(section, dict) for each in section]
    if name == "composer.json":
        packages += [str(each) for n in ("require", "require-dev") if isinstance(tree.get(n), dict) for each in tree[n]]
    given = tree.get("scripts")
    scripts = given if isinstance(given, dict) else {}
    language = "TypeScript" if "typescript" in packages else LANGUAGES[name]
    return PackageFile(
        file,
        language,
        stores_of("\n".join(packages)),
        {str(key): value for key, value in scripts.items() if isinstance(value, str)},
        frozenset(packages),
        tree.get("type") == "module",
        str(prisma.get("seed") or "") if isinstance(prisma := tree.get("prisma"), dict) else "",
    )


def stores_of(text: str) -> tuple[str, ...]:
    """The stores whose drivers a text names."""
    return tuple(
        name for name, pattern in (("Postgres", POSTGRES), ("DynamoDB", DYNAMODB)) if pattern.search(text[:200_000])
    )
