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
    assert any(
        "lib/tasks/dynamo.rake:2: create_table of Ruby, whose request is computed" in str(line)
        for line in body["unused"]
    )


@pytest.mark.parametrize(("more", "program"), [({}, ["bundle", "exec", "rails"]), ({"bin/rails": "x"}, ["bin/rails"])])
def test_rails_is_started_and_its_health_is_asked(tmp_path: Path, more: dict[str, str], program: list[str]) -> None:
    settings, _ = made(tmp_path, {**RAILS, **more})
    assert settings.backend is not None
    assert settings.backend.command == [*program, "server", "--port", "{port}"]
    assert settings.backend.health == "/up"


REQUEST = (
    "table_name: NAME, attribute_definitions: [{ attribute_name: 'kiln', attribute_type: 'S' }],"
    " key_schema: [{ attribute_name: 'kiln', key_type: 'HASH' }], billing_mode: 'PAY_PER_REQUEST'"
)
CLIENT = "client = Aws::DynamoDB::Client.new\n"


@pytest.mark.parametrize(
    ("file", "text", "tables"),
    [
        ("Rakefile", f"task :tables do\n  client.create_table({REQUEST.replace('NAME', 'KILNS')})\nend\n", ["kilns"]),
        ("bin/tables", f"#!/usr/bin/env ruby\n{CLIENT}client.create_table({{ {REQUEST} }})\n", ["firings"]),
        ("tasks/a.rb", f"{CLIENT}params = {{ {REQUEST} }}\nclient.create_table(params)\n", ["firings"]),
        ("tasks/a.rb", f"{CLIENT}params = {{ {REQUEST} }}.freeze\nclient.create_table(**params)\n", ["firings"]),
        (
            "tasks/a.rb",
            CLIENT
            + "%w[one two].each do |name|\n  client.create_table("
            + REQUEST.replace("NAME", '"k-#{name}"')
            + ")\nend",
            ["k-one", "k-two"],
        ),
        (
            "tasks/a.rb",
            f"{CLIENT}TABLES = [{{ {REQUEST} }}, {{ {REQUEST.replace('NAME', repr('more'))} }}]\n"
            "TABLES.each { |t| client.create_table(t) }\n",
            ["firings", "more"],
        ),
        ("tasks/a.rb", CLIENT + "client.create_table " + REQUEST.replace("NAME", "ENV['KILN'] || 'own'"), ["own"]),
    ],
)
def test_requests_of_ruby_by_names_loops_and_variables(tmp_path: Path, file: str, text: str, tables: list[str]) -> None:
    text = text.replace("NAME", "ENV.fetch('KILN_TABLE', 'firings')")
    _, body = made(tmp_path, {"lib/names.rb": "module Names\n  KILNS = 'kilns'\nend\n", file: text})
    found = [each.rpartition(" table ")[2] for each in body["found"] if "the definition of table" in each]
    assert found == tables
    assert not any("create_table" in each for each in body["unused"])


def test_a_variable_gives_the_name_of_a_table_of_ruby(tmp_path: Path) -> None:
    text = f"{CLIENT}client.create_table({REQUEST.replace('NAME', repr('x').replace('x', '#{ENV.fetch(K)}'))})"
    text = text.replace("'#{ENV.fetch(K)}'", "\"#{ENV.fetch('KILN_PREFIX')}-firings\"")
    _, body = made(tmp_path, {"tasks/a.rb": text, ".env.example": "KILN_PREFIX=dev\n"})
    assert "tasks/a.rb:2: the definition of table dev-firings" in body["found"]


def test_one_computed_table_of_two_is_listed(tmp_path: Path) -> None:
    text = f"{CLIENT}client.create_table({REQUEST})\nclient.create_table({REQUEST.replace('NAME', 'name_of(env)')})\n"
    _, body = made(tmp_path, {"tasks/a.rb": text.replace("NAME", "'firings'")})
    assert any(
        each.startswith("tasks/a.rb:3: create_table of Ruby, whose request is computed") for each in body["unused"]
    )


def test_names_of_ruby_that_stand_for_millions_of_values_end(tmp_path: Path) -> None:
    lines = [f"a{n} = [{', '.join([f'a{n + 1}'] * 10)}]" for n in range(15)]
    text = "\n".join([*lines, "a15 = ['x']", f"{CLIENT}client.create_table({REQUEST.replace('NAME', 'a0')})"])
    _, body = made(tmp_path, {"tasks/a.rb": text})
    assert any("create_table of Ruby" in each for each in body["unused"])


TRAILS = """\
require "aws-sdk-dynamodb"

module Trails
  TABLE = "tracks"

  %s

  def %sof(hiker_id)
    client.query(
      table_name: TABLE,
      key_condition_expression: "hiker_id = :h",
      expression_attribute_values: { ":h" => hiker_id }
    ).items
  end
end
"""


@pytest.mark.parametrize(("line", "head"), [("module_function", ""), ("extend self", ""), ("", "self.")])
def test_a_function_of_a_module_is_called_on_the_module(tmp_path: Path, line: str, head: str) -> None:
    files = {
        "Gemfile": 'gem "sinatra"\ngem "pg"\ngem "aws-sdk-dynamodb"\n',
        "Rakefile": SYMBOLS,
        "lib/trails.rb": TRAILS % (line, head),
        "db/structure.sql": RAILS["db/structure.sql"],
    }
    settings, _ = made(tmp_path, files)
    (trace,) = settings.trace.values()
    assert trace.library is not None
    (words,) = [word for word in trace.library.command or () if "Trails" in word]
    assert "Trails.of(*ARGV)" in words
