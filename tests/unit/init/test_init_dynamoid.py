"""`devenv init` reads the tables of Dynamoid's models, with the namespace of the initializer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.init.test_init_kinds import made

MODEL = """class NightShift
  include Dynamoid::Document
  table name: :shifts, key: :nurse_id,
        capacity_mode: :on_demand
  range :starts_at, :datetime
  field :ward
  field :hours, :integer
  global_secondary_index hash_key: :ward, range_key: :hours, name: "ward-hours", projected_attributes: :all
  local_secondary_index range_key: :hours
end
"""
CLINIC = {
    "Gemfile": 'gem "rails"\ngem "pg"\ngem "dynamoid"\n',
    "db/structure.sql": "CREATE TABLE nurses (id bigint PRIMARY KEY);",
    "app/models/night_shift.rb": MODEL,
    "app/models/entry.rb": "class Entry\n  include Dynamoid::Document\n  field :text\nend\n",
}
INITIALIZER = "Dynamoid.configure do |config|\n  config.namespace = NAMESPACE\nend\n"
FILE = "config/initializers/dynamoid.rb"


@pytest.mark.parametrize(
    ("namespace", "prefix"),
    [
        ('"clinic_#{Rails.env}"', "clinic_development_"),
        ("ENV.fetch('SPACE', 'own')", "own_"),
        ("nil", ""),
    ],
)
def test_models_become_requests_with_their_indexes(tmp_path: Path, namespace: str, prefix: str) -> None:
    settings, body = made(tmp_path, {**CLINIC, FILE: INITIALIZER.replace("NAMESPACE", namespace)})
    tables = "seeds/dynamodb/tables"
    assert sorted(settings.steps.schema_load.files) == [
        f"{tables}/{prefix}entries.json",
        f"{tables}/{prefix}shifts.json",
    ]
    request = json.loads((tmp_path / tables / f"{prefix}shifts.json").read_text())
    assert [part["AttributeName"] for part in request["KeySchema"]] == ["nurse_id", "starts_at"]
    types = {each["AttributeName"]: each["AttributeType"] for each in request["AttributeDefinitions"]}
    assert types == {"nurse_id": "S", "starts_at": "N", "ward": "S", "hours": "N"}
    assert [index["IndexName"] for index in request["GlobalSecondaryIndexes"]] == ["ward-hours"]
    (local,) = request["LocalSecondaryIndexes"]
    assert local["IndexName"] == f"{prefix}shifts_index_nurse_id_hours"
    assert not any("in Ruby, which devenv does not read" in str(line) for line in body["unused"])


@pytest.mark.parametrize("initializer", ["", INITIALIZER.replace("NAMESPACE", "name_of(Tenant.current)")])
def test_without_a_known_namespace_the_models_are_listed(tmp_path: Path, initializer: str) -> None:
    settings, body = made(tmp_path, {**CLINIC, FILE: initializer})
    assert settings.steps.schema_load.files == []
    assert any("in Ruby, which devenv does not read" in str(line) for line in body["unused"])
