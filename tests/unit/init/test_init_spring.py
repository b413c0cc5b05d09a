"""`devenv init` reads Spring Boot's settings files and build files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devenv.init.spring import find_spring
from tests.unit.init.test_init import TABLE, drafted, write
from tests.unit.init.test_init_kinds import made

POM = "<project><parent><artifactId>spring-boot-starter-parent</artifactId></parent>MORE</project>"
ACTUATOR = "<dependency><artifactId>spring-boot-starter-actuator</artifactId></dependency>"
YAML = """
spring:
  profiles: {active: local}
  datasource:
    url: jdbc:postgresql://${DB_HOST:localhost}:${DB_PORT:5432}/${DB_NAME:fleet}
    username: ${DB_USER:fleet}
    password: ${DB_PASSWORD:hunter2}
server: {port: "${SERVER_PORT:8090}"}
fleet: {endpoint: "${FLEET_DYNAMODB_ENDPOINT:http://localhost:8000}", table: "${FLEET_TABLE:orders}", key: "${API_KEY}"}
---
spring: {config: {activate: {on-profile: prod}}}
fleet: {endpoint: "${PROD_ENDPOINT}"}
"""
MAIN = "src/main/resources"


def test_variables_database_and_command(tmp_path: Path) -> None:
    files = {"pom.xml": POM.replace("MORE", ACTUATOR), f"{MAIN}/application.yml": YAML, "t.json": json.dumps(TABLE)}
    write(tmp_path, {**files, "schema.sql": "CREATE TABLE t (id int PRIMARY KEY);"})
    settings = drafted(tmp_path)
    assert settings.postgres.database == "fleet"
    assert settings.env == {
        "DB_HOST": "{postgres_host}",
        "DB_PORT": "{postgres_port}",
        "DB_NAME": "{postgres_database}",
        "DB_USER": "{postgres_user}",
        "DB_PASSWORD": "{postgres_password}",
        "FLEET_DYNAMODB_ENDPOINT": "{dynamodb_url}",
        "FLEET_TABLE": "orders",
    }
    backend = settings.backend
    assert backend is not None
    assert (backend.command, backend.port) == (["mvn", "-q", "spring-boot:run"], 8090)
    assert (backend.env, backend.health) == ({"SERVER_PORT": "{port}"}, "/actuator/health")


def test_a_fixed_address_in_properties_and_the_wrapper_of_gradle(tmp_path: Path) -> None:
    text = """# ours
spring.datasource.url=jdbc:postgresql://localhost:5432/shop
spring.datasource.username = me
spring.datasource.password=hunter2
server.servlet.context-path=/shop
"""
    files = {"api/build.gradle": 'plugins { id "org.springframework.boot" }\nimplementation "org.x:actuator"'}
    write(tmp_path, {**files, "api/gradlew": "#!/bin/sh\n", f"api/{MAIN}/application.properties": text})
    write(tmp_path, {"t.json": json.dumps(TABLE), "schema.sql": "CREATE TABLE t (id int PRIMARY KEY);"})
    settings = drafted(tmp_path)
    assert settings.postgres.database == "shop"
    assert settings.env == {
        "SPRING_DATASOURCE_URL": "jdbc:postgresql://{postgres_host}:{postgres_port}/{postgres_database}",
        "SPRING_DATASOURCE_USERNAME": "{postgres_user}",
        "SPRING_DATASOURCE_PASSWORD": "{postgres_password}",
    }
    backend = settings.backend
    assert backend is not None
    assert (backend.command, backend.folder) == (["./gradlew", "bootRun"], "api")
    assert backend.health == "/shop/actuator/health"


@pytest.mark.parametrize(
    ("settings", "variables", "url"),
    [
        ("spring.datasource.url=${JDBC}", {"JDBC": "jdbc:postgresql://localhost/postgres"}, ""),
        ("a=${A:}\nb=${A:1}\nc=${a.b}", {"A": "1"}, None),
        ("spring.datasource.url=jdbc:h2:mem:x", {}, "jdbc:h2:mem:x"),
    ],
)
def test_other_settings(settings: str, variables: dict[str, str], url: str | None) -> None:
    found = find_spring({"pom.xml": POM, f"{MAIN}/application.properties": settings}, [])
    assert found is not None
    assert (found.variables, found.url, found.health) == (variables, url, None)


@pytest.mark.parametrize("files", [{"pom.xml": "<project/>"}, {"application.yml": YAML}])
def test_no_spring_application(files: dict[str, str]) -> None:
    assert find_spring(files, []) is None


def test_a_fixed_address_of_dynamodb_is_overridden_as_spring_takes_it(tmp_path: Path) -> None:
    text = "amazon.dynamo-db.endpoint=http://localhost:8000\nother.endpoint=http://localhost:9000\n"
    files = {
        "pom.xml": POM.replace("MORE", ACTUATOR),
        f"{MAIN}/application.properties": text,
        "t.json": json.dumps(TABLE),
    }
    settings = drafted(write(tmp_path, files))
    assert settings.env == {"AMAZON_DYNAMODB_ENDPOINT": "{dynamodb_url}"}


PARTS = """
spring:
  datasource:
    url: jdbc:postgresql://${STORE_AT:localhost}:${STORE_ON}/${STORE:farm}?ssl=false
    username: farm
    password: ${STORE_SECRET}
  data: {redis: {host: "${REDIS_HOST:localhost}", port: "${REDIS_PORT:6380}"}}
cloud: {dynamodb: {endpoint: "${CLOUD_AT:http://localhost:4566}"}}
"""
REDIS = 'services: {cache: {image: "redis:7", ports: ["6380:6379"]}}'
BEAN = 'class Store { Store(@Value("${other.dynamodb.endpoint:}") String endpoint) {} }'


def test_variables_count_by_the_setting_that_they_are_a_part_of(tmp_path: Path) -> None:
    files = {"pom.xml": POM, f"{MAIN}/application.yml": PARTS, "t.json": json.dumps(TABLE), "compose.yml": REDIS}
    write(tmp_path, {**files, "src/main/java/Store.java": BEAN, "schema.sql": "CREATE TABLE t (id int PRIMARY KEY);"})
    settings, _ = made(tmp_path, {})
    assert settings.env == {
        "STORE_AT": "{postgres_host}",
        "STORE_ON": "{postgres_port}",
        "STORE": "{postgres_database}",
        "STORE_SECRET": "{postgres_password}",
        "SPRING_DATASOURCE_USERNAME": "{postgres_user}",
        "CLOUD_AT": "{dynamodb_url}",
        "OTHER_DYNAMODB_ENDPOINT": "{dynamodb_url}",
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": "{cache_port}",
        "SPRING_DATA_REDIS_PASSWORD": "{cache_password}",
    }
