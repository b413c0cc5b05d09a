"""Rails: routes, queries, the command for a method; and samples of .env, a Redis without a service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devenv.init.ruby_code import read_rails_routes
from devenv.init.survey import survey
from tests.unit.init.test_init import write
from tests.unit.init.test_init_kinds import made

ROUTES = """
Rails.application.routes.draw do
  root "home#index"
  get "up" => "rails/health#show", as: :rails_health_check
  namespace :api do
    resources :members, only: [] do
      resources :checkins, only: :index
      member do
        get :history
      end
      get :summary, on: :collection
    end
    get "classes/:slug/attendance", to: "attendance#show"
    scope "v2" do
      resource :profile, only: %i[show update]
      resources :categories, except: [:index], param: :slug
    end
  end
  post "login", to: "sessions#create"
end
"""


def test_routes_of_rails_are_drawn() -> None:
    (code,) = read_rails_routes({"config/routes.rb": ROUTES})
    assert [route.path for route in code.routes] == [
        "/",
        "/up",
        "/api/members/{member_id}/checkins",
        "/api/members/{id}/history",
        "/api/members/summary",
        "/api/classes/{slug}/attendance",
        "/api/v2/profile",
        "/api/v2/categories/{slug}",
    ]


REQUEST = {
    "TableName": "checkins",
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("badge", "at")],
    "KeySchema": [{"AttributeName": "badge", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
}
LOG = """
class CheckinLog
  TABLE = ENV.fetch("CHECKINS", "checkins").freeze

  def self.for_badge(badge)
    client.query(
      table_name: TABLE,
      key_condition_expression: "badge = :b",
      expression_attribute_values: { ":b" => badge },
      scan_index_forward: false
    ).items
  end
end
"""
CONTROLLER = """
class Api::CheckinsController < ActionController::API
  def index
    logs = CheckinLog.for_badge(params[:badge])
    render json: { rows: logs.map { |l| { time: l["at"], gate: l["gate"].to_i } } }
  end
end
"""
FILES = {
    "Gemfile": "gem 'rails'\ngem 'pg'\n",
    "config/application.rb": "",
    "config/database.yml": "default: &d\n  adapter: postgresql\n\ndevelopment:\n  <<: *d\n  database: gym_dev\n\n"
    "test:\n  database: gym_test\n",
    "config/routes.rb": 'Rails.application.routes.draw do\n  namespace :api do\n    get "badges/:badge/checkins", to:'
    ' "checkins#index"\n  end\nend\n',
    "app/models/checkin_log.rb": LOG,
    "app/controllers/api/checkins_controller.rb": CONTROLLER,
    "db/migrate/1_m.rb": "create_table :members do |t|\n  t.string :badge, null: false, index: { unique: true }\nend\n",
    "t.json": json.dumps(REQUEST),
    "checkins.json": json.dumps([{"badge": "B7", "at": "2024-01-01T00:00:00Z", "gate": 2}]),
}


def test_a_query_of_ruby_is_traced_through_its_method_and_route(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, FILES)
    assert settings.postgres.database == "gym_dev"
    assert settings.patterns["for_badge"].key == {"badge": "{badge}"}
    trace = settings.trace["for_badge"]
    assert trace.library is not None
    assert trace.library.command[:2] == ["bin/rails", "runner"]
    assert "CheckinLog.for_badge(*ARGV)" in trace.library.command[2]
    assert trace.library.command[3:] == ["{badge}"]
    assert trace.request is not None
    assert (trace.request.path, trace.request.items) == ("/api/badges/{badge}/checkins", "rows")
    assert trace.ids["http"] == "time"


def test_a_route_whose_key_is_looked_up_gets_no_path_with_another_value(tmp_path: Path) -> None:
    text = CONTROLLER.replace(
        "CheckinLog.for_badge(params[:badge])", "CheckinLog.for_badge(Member.find(params[:id]).badge)"
    )
    files = {**FILES, "app/controllers/api/checkins_controller.rb": text}
    files["config/routes.rb"] = files["config/routes.rb"].replace(":badge", ":id")
    settings, _ = made(tmp_path, files)
    assert settings.trace["for_badge"].request is None


@pytest.mark.parametrize(
    "name", [".env.local.example", "apps/api/.env.sample", "api/.env", ".env.development", "sample.env"]
)
def test_env_files_of_every_folder_are_read(tmp_path: Path, name: str) -> None:
    found = survey(write(tmp_path, {name: "ORDERS_TABLE=orders\n", "db/schema.sql": "CREATE TABLE t (id int);"}))
    assert found.variables["ORDERS_TABLE"] == "orders"


def test_a_redis_that_only_code_reads_is_listed_with_what_to_declare(tmp_path: Path) -> None:
    files = {
        "src/cache.js": "const r = new Redis(process.env.REDIS_URL);\n",
        "db/schema.sql": "CREATE TABLE t (id int);",
    }
    _, body = made(tmp_path, files)
    (said,) = [each for each in body["unused"] if "Redis" in each]
    assert said.startswith("src/cache.js:1: reads REDIS_URL")
    assert '[services.redis] kind = "redis", and in [env] REDIS_URL = "{redis_url}"' in said
