"""Tables of Postgres that an application's own library makes when it starts, and sentences about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from devenv.init.entity_framework import framework_tables
from devenv.init.fixed_connections import fixed_connections
from devenv.init.jpa import jpa_tables, made_by_hibernate
from devenv.init.program_tables import made_by_sqlalchemy
from devenv.init.spring import shared_address
from devenv.init.sql_tables import DeclaredTable
from devenv.init.typeorm import made_by_typeorm, typeorm_tables


def library_tables(texts: Mapping[str, str]) -> list[DeclaredTable]:
    """The tables of the entities of JPA and TypeORM, and of Entity Framework's migrations."""
    return [*jpa_tables(texts), *framework_tables(texts), *typeorm_tables(texts)]


def said_of_start(texts: Mapping[str, str], *, boot: bool, migrated: bool) -> list[str]:
    """Sentences about what happens when the application starts. `boot`: with Spring Boot; `migrated`: by migrations."""
    return [
        *made_by_hibernate(texts),
        *made_by_typeorm(texts),
        *fixed_connections(texts),
        *(shared_address(texts) if boot else ()),
        *(() if migrated else made_by_sqlalchemy(texts)),
    ]
