"""`devenv init` says who runs a changelog of Liquibase: Spring Boot, Maven's plugin, or nobody yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import made

LOG = "src/main/resources/db/changelog/master.yaml"
FILES = {
    LOG: "databaseChangeLog:\n  - include: {file: db/changelog/1.sql}\n",
    "src/main/resources/db/changelog/1.sql": "--liquibase formatted sql\n--changeset a:1\nCREATE TABLE t (id int);\n",
    "docker-compose.yml": "services: {db: {image: 'postgres:16'}}\n",
}
BOOT = "<parent><artifactId>spring-boot-starter-parent</artifactId></parent>"
CORE = "<dependency><artifactId>liquibase-core</artifactId></dependency>"
PLUGIN = (
    "<plugin><artifactId>liquibase-maven-plugin</artifactId><configuration>"
    f"<changeLogFile>{LOG}</changeLogFile>MORE</configuration></plugin>"
)


def test_spring_boot_runs_it_when_the_application_starts(tmp_path: Path) -> None:
    plugin = PLUGIN.replace("MORE", "")
    settings, body = made(tmp_path, {**FILES, "pom.xml": f"<project>{BOOT}{CORE}{plugin}</project>"})
    assert settings.steps.setup.migrations is None
    assert [each for each in body["unused"] if "Spring Boot runs it when the application starts (pom.xml" in each]


@pytest.mark.parametrize(("more", "runs"), [("", True), ("<url>jdbc:postgresql://prod/x</url>", False)])
def test_mavens_plugin_runs_it_unless_its_address_is_fixed(tmp_path: Path, more: str, runs: bool) -> None:
    settings, body = made(tmp_path, {**FILES, "pom.xml": f"<project>{PLUGIN.replace('MORE', more)}</project>"})
    migrations = settings.steps.setup.migrations
    command = [] if migrations is None or isinstance(migrations, str) else migrations.command
    assert ("liquibase:update" in " ".join(command)) == runs
    assert ("$PGHOST:$PGPORT/$PGDATABASE" in " ".join(command)) == runs
    assert bool([each for each in body["unused"] if "devenv itself runs no changelog" in each]) != runs
