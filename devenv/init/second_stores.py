"""The Postgres and DynamoDB services of compose files beyond the one of each that devenv starts. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from devenv.init.compose import ComposeService, is_dynamodb, is_postgres
from devenv.init.settings_found import database_of
from devenv.init.survey import Survey


def is_second(service: ComposeService, survey: Survey) -> bool:
    """Return True for a further service of a kind of store that devenv starts already."""
    found = survey.compose
    if found is None or service.build is not None:
        return False
    return bool((found.postgres and is_postgres(service)) or (found.dynamodb and is_dynamodb(service)))


def second_stores(survey: Survey) -> Iterator[str]:
    """A sentence about each of them: which one is devenv's, and where its data goes."""
    found = survey.compose
    for each in found.others if found else ():
        if found is None or not is_second(each, survey):
            continue
        if found.postgres and is_postgres(each):
            yield f"{each.file}: service {each.name} is {told_database(each, found.postgres, survey)}"
        elif found.dynamodb:
            yield (
                f"{each.file}: service {each.name} is a second DynamoDB. devenv starts only one, in place of service"
                f" {found.dynamodb.name} of {found.dynamodb.file}, and creates all tables in it"
            )


def told_database(service: ComposeService, first: ComposeService, survey: Survey) -> str:
    """Return how a second Postgres stands to the one that devenv starts, and where its SQL goes."""
    name, mine = database_in(service), database_of(survey)[0] or "postgres"
    ours = f"service {first.name} of {first.file}"
    if name == mine:
        return f"a second Postgres, also with database {mine}. devenv starts only one, in place of {ours}"
    other = f"database {name}" if name else f"service {service.name}"
    head = (
        f"a second database{f' ({name})' if name else ''}. devenv starts one, with database {mine}, in place of {ours}"
    )
    folder, own = posixpath.dirname(service.file), posixpath.dirname(first.file)
    loaded = folders_below(folder, survey) if folder and folder != own else []
    if loaded:
        apart = f"to prevent this, leave {'that folder' if len(loaded) == 1 else 'these folders'} out of [steps.setup]"
        return f"{head}. The SQL of {', '.join(loaded)} is loaded into database {mine}, too ({apart})"
    if folder == own and (survey.sql or survey.migrations):
        return f"{head}. All SQL of [steps.setup] is loaded into database {mine}; leave out what belongs to {other}"
    return f"{head}. No SQL of {other} is loaded"


def database_in(service: ComposeService) -> str | None:
    """The database that a service's variables name."""
    given = service.environment
    return given.get("POSTGRES_DB") or given.get("POSTGRESQL_DATABASE")


def folders_below(folder: str, survey: Survey) -> list[str]:
    """The folders below one whose SQL a step loads."""
    names = [*(survey.migrations.files if survey.migrations else ()), *(file.name for file in survey.sql)]
    return list(dict.fromkeys(posixpath.dirname(name) for name in names if name.startswith(f"{folder}/")))


def noted(survey: Survey) -> str | None:
    """The comment of [steps.setup] where the SQL of several databases goes into one; None where there is one."""
    found = survey.compose
    mine = database_of(survey)[0] or "postgres"
    told = []
    for each in found.others if found and found.postgres else ():
        folder = posixpath.dirname(each.file)
        if found and is_second(each, survey) and is_postgres(each) and database_in(each) != mine:
            own = found.postgres is not None and folder == posixpath.dirname(found.postgres.file)
            what = f"The SQL in {', '.join(folders_below(folder, survey))}" if folder and not own else "Some SQL below"
            name = database_in(each) or f"of service {each.name}"
            if own or not folder:
                told.append(f"{what} may be for database {name} ({each.file}).")
            elif folders_below(folder, survey):
                told.append(f"{what} is for database {name} ({each.file}).")
    return f"devenv starts only database {mine} and loads all of this into it. {' '.join(told)}" if told else None
