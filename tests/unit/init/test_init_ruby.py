"""`devenv init` on projects in Ruby: tables of aws-sdk-dynamodb, the server of Rails, and what it does not read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import made

RAILS = {
    "Gemfile": 'gem "rails"\ngem "pg"\ngem "aws-sdk-dynamodb"\n',
    "config/routes.rb": 'Rails.application.routes.draw do\n  get "up" => "rails/health#show"\nend\n',
    "db/structure.sql": "CREATE TABLE hikers (id bigint PRIMARY KEY, nickname text NOT NULL);",
}
SYMBOLS = """\
task create: :environment do
  Aws::DynamoDB::Client.new.create_table(
    table_name: "tracks", # one per walk
    attribute_definitions: [{ attribute_name: "hiker_id", attribute_type: "N" },
                            { attribute_name: 'at', attribute_type: "S" }],
    key_schema: [{ attribute_name: "hiker_id", key_type: "HASH" }, { attribute_name: "at", key_type: "RANGE" }],
    billing_mode: "PAY_PER_REQUEST",
  )
end
"""
ROCKETS = """\
client.create_table({
  :table_name => "tracks",
  :attribute_definitions => [{ :attribute_name => "hiker_id", :attribute_type => "N" }],
  :key_schema => [{ :attribute_name => "hiker_id", :key_type => "HASH" }],
  :provisioned_throughput => { :read_capacity_units => 5, :write_capacity_units => 1_000 },
})
"""


@pytest.mark.parametrize(
    ("file", "text", "keys"),
    [("lib/tasks/dynamo.rake", SYMBOLS, ["hiker_id", "at"]), ("Rakefile", ROCKETS, ["hiker_id"])],
)
def test_a_table_that_ruby_makes_becomes_a_request(tmp_path: Path, file: str, text: str, keys: list[str]) -> None:
    settings, body = made(tmp_path, {**RAILS, file: text})
    name = "seeds/dynamodb/tables/tracks.json"
    assert settings.steps.schema_load.files == [name]
    request = json.loads((tmp_path / name).read_text())
    assert [part["AttributeName"] for part in request["KeySchema"]] == keys
    assert [(link.source, link.to) for link in settings.links] == [("dynamodb:tracks.hiker_id", "postgres:hikers.id")]
    assert not any("create_table" in line or file in line for line in map(str, body["unused"]))


@pytest.mark.parametrize(
    "text", [SYMBOLS.replace('"tracks"', "name_of(env)"), SYMBOLS.replace('"tracks"', '"a#{env}"')]
)
def test_a_computed_table_of_ruby_is_listed_with_the_reason(tmp_path: Path, text: str) -> None:
    settings, body = made(tmp_path, {**RAILS, "lib/tasks/dynamo.rake": text})
    assert settings.steps.schema_load.files == []
    assert any("lib/tasks/dynamo.rake:2: a table definition in Ruby" in str(line) for line in body["unused"])


@pytest.mark.parametrize(("more", "program"), [({}, ["bundle", "exec", "rails"]), ({"bin/rails": "x"}, ["bin/rails"])])
def test_rails_is_started_and_its_health_is_asked(tmp_path: Path, more: dict[str, str], program: list[str]) -> None:
    settings, _ = made(tmp_path, {**RAILS, **more})
    assert settings.backend is not None
    assert settings.backend.command == [*program, "server", "--port", "{port}"]
    assert settings.backend.health == "/up"
