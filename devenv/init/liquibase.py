"""Liquibase: its changelogs, the files that they name, and the next step for each. Pure; nothing is run."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePath
from typing import Final

from devenv.core.late import late
from devenv.init.step_commands import StepCommand

FORMATTED: Final = late(r"\s*--\s*liquibase\s+formatted\s+sql\b", re.IGNORECASE)
CHANGELOG: Final = late(r"^\s*(?:-\s*)?[\"']?databaseChangeLog[\"']?\s*:|<databaseChangeLog\b", re.MULTILINE)
# A file or folder that a changelog names: `file: a.sql`, `"path": "sql/"`, `<sqlFile path="a.sql"/>`.
NAMED: Final = late(r"\b(?:file|path|resourceFilter)[\"']?\s*[:=]\s*[\"']?(?:classpath:)?([\w./-]+)")
CONTEXT: Final = late(r"\bcontext(?:Filter)?s?[\"']?\s*[:=]\s*[\"']?([A-Za-z][\w-]*)")
BUILDS: Final = ("pom.xml", "build.gradle", "build.gradle.kts")
BOOT: Final = late(r"spring-boot|springframework\.boot")
SPRING_SETTINGS: Final = late(r"application\.(?:ya?ml|properties)")
DISABLED: Final = late(r"spring\.liquibase\.enabled\s*[:=]\s*false|\bliquibase:\s*\{?\s*\n?\s*enabled:\s*false")
PLUGIN: Final = late(r"<plugin>(?:(?!</plugin>).)*liquibase-maven-plugin(?:(?!</plugin>).)*</plugin>", re.DOTALL)
OWN_ADDRESS: Final = late(r"<(?:url|propertyFile)>")
SUFFIXES: Final = (".yaml", ".yml", ".xml", ".json")
# Where a changelog's paths may start, beside its own folder.
ROOTS: Final = ("src/main/resources", "resources", "db")


def is_changelog(path: PurePath) -> bool:
    """Return True if the name of an XML file is one that people give a changelog."""
    return path.suffix == ".xml" and bool(re.search(r"change|liquibase|migration", path.as_posix(), re.IGNORECASE))


def changelogs(texts: Mapping[str, str]) -> list[str]:
    """The files that are changelogs, the uppermost first."""
    found = [n for n, t in texts.items() if n.endswith(SUFFIXES) and CHANGELOG.search(t)]
    found += [n for n, t in texts.items() if n.endswith(".sql") and FORMATTED.match(t)]
    return sorted(found, key=lambda name: (name.endswith(".sql"), "master" not in name, name.count("/"), name))


def of_liquibase(texts: Mapping[str, str]) -> dict[str, str]:
    """SQL or CSV file -> the reason why only Liquibase can run it."""
    found: dict[str, str] = {}
    for log in changelogs(texts):
        if log.endswith(".sql"):
            found.setdefault(log, "a Liquibase changelog: only Liquibase can run it (each change once, in order)")
        for name in named(log, texts):
            found.setdefault(name, f"{log} names it: only Liquibase can load it, as a part of that changelog")
    return found


def named(log: str, texts: Mapping[str, str]) -> Iterator[str]:
    """The SQL and CSV files that a changelog names, and those in folders that it names."""
    folder = posixpath.dirname(log)
    for match in NAMED.finditer(texts[log]):
        path = match[1].strip("/")
        parts = folder.split("/") if folder else []
        above = ["/".join(parts[:n]) for n in range(len(parts), -1, -1)]
        places = [posixpath.normpath(posixpath.join(place, path)) for place in (*above, *ROOTS)]
        for place in places:
            inside = [n for n in texts if n == place or n.startswith(f"{place}/")]
            inside = [n for n in inside if n.endswith((".sql", ".csv"))]
            yield from inside
            if inside:
                break


def started_with(texts: Mapping[str, str]) -> str | None:
    """The build file of a Spring Boot application that runs the changelogs when it starts; None without one."""
    off = any(
        DISABLED.search(text) for name, text in texts.items() if SPRING_SETTINGS.fullmatch(posixpath.basename(name))
    )
    builds = [n for n, text in texts.items() if posixpath.basename(n) in BUILDS and BOOT.search(text)]
    return next((n for n in builds if "liquibase-core" in texts[n] and not off), None)


def maven_command(names: Collection[str], texts: Mapping[str, str]) -> StepCommand | None:
    """`mvn liquibase:update`, where a pom.xml has the plugin without an address of its own, which would win."""
    if started_with(texts):
        return None  # Its paths differ from the plugin's: each changeset would run twice.
    for name in sorted(texts):
        found = PLUGIN.search(texts[name]) if posixpath.basename(name) == "pom.xml" else None
        if found is None or OWN_ADDRESS.search(found[0]) or "changeLogFile" not in found[0]:
            continue
        folder = posixpath.dirname(name)
        program = "./mvnw" if posixpath.join(folder, "mvnw") in names else "mvn"
        url = "jdbc:postgresql://$PGHOST:$PGPORT/$PGDATABASE"
        line = (
            f'{program} -q liquibase:update "-Dliquibase.url={url}" "-Dliquibase.username=$PGUSER"'
            ' "-Dliquibase.password=$PGPASSWORD"'
        )
        return StepCommand(("sh", "-c", f"cd {folder} && {line}" if folder else line), "", (), name)
    return None


def next_step(texts: Mapping[str, str]) -> list[str]:
    """The sentence about the changelogs: the setting that runs them by Liquibase's own command."""
    logs = changelogs(texts)
    if not logs:
        return []
    if build := started_with(texts):
        return [
            f"{logs[0]}: no step of devenv runs this changelog of Liquibase, because Spring Boot runs it when the"
            f" application starts ({build} has liquibase-core)"
        ]
    contexts = dict.fromkeys(found[1] for log in logs for found in CONTEXT.finditer(texts[log]))
    only = f" (contexts: {', '.join(contexts)}; choose by --contexts=…)" if contexts else ""
    folder = posixpath.dirname(logs[0]) or "."
    return [
        f"{logs[0]}: devenv itself runs no changelog of Liquibase{only}. If Liquibase is installed, declare "
        f'[steps.setup] migrations = {{ command = ["liquibase", "--changelog-file={logs[0]}", "update"], '
        f'folder = "{folder}" }}, and in [env] LIQUIBASE_COMMAND_URL = '
        '"jdbc:postgresql://{postgres_host}:{postgres_port}/{postgres_database}?user={postgres_user}"'
    ]
