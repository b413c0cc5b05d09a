"""Commands of a project that would fail, or do harm, in a step: they are questions, with the reason."""

from __future__ import annotations

from pathlib import Path

from tests.unit.init.test_init_kinds import COMPOSE, made

DATA = """import { MigrationInterface, QueryRunner } from 'typeorm';
export class Fill implements MigrationInterface {
  async up(q: QueryRunner) { await q.query(`UPDATE berth SET code = upper(code)`); }
  async down(q: QueryRunner) {}
}
"""
MAKES = DATA.replace("UPDATE berth SET code = upper(code)", "CREATE TABLE berth (code text)")
SOURCE = "export default { type: 'postgres', url: process.env.DATABASE_URL,\n  synchronize: true };\n"


def nest(script: str, migration: str) -> dict[str, str]:
    """A project with TypeORM's migrations."""
    return {
        "docker-compose.yml": COMPOSE,
        "package.json": f'{{"scripts": {{"migration:run": "{script}"}}, "dependencies": {{"typeorm": "1"}}}}',
        "src/migrations/1700000000000-Fill.ts": migration,
        "src/source.ts": SOURCE,
    }


def test_migrations_over_tables_that_the_program_makes_are_a_question(tmp_path: Path) -> None:
    settings, body = made(tmp_path, nest("typeorm migration:run -d dist/source.js", DATA))
    assert settings.steps.setup.migrations is None
    said = next(each for each in body["edits"] if "migrations" in each)
    assert "it runs compiled files (dist/source.js), so build them first" in said
    assert "the program makes the tables when it starts (src/source.ts:2)" in said


def test_migrations_that_make_tables_are_none(tmp_path: Path) -> None:
    settings, body = made(tmp_path, nest("ts-node node_modules/typeorm/cli migration:run -d src/source.ts", MAKES))
    assert settings.steps.setup.migrations is not None
    assert not body["edits"]


RAILS = {
    "docker-compose.yml": COMPOSE,
    "Gemfile": "gem 'rails'\ngem 'dynamoid'\n",
    "config/application.rb": "module Harbour\nend\n",
    "bin/rails": "#!/usr/bin/env ruby\n",
    "db/migrate/20240101000000_berths.rb": "class Berths < ActiveRecord::Migration[7.0]\n  def change\n"
    "    create_table :berths do |t|\n      t.string :code\n    end\n  end\nend\n",
}
LOG = "class Docking::Log\n  # of a ship\n  extend Some\n  include Aws::Record\n  field :ship\nend\n"
SEEDS = "Berth.create!(code: 'a')\nDocking::Log.delete_all\nDocking::Log.create(ship: SecureRandom.uuid)\n"


def test_a_seed_that_writes_items_without_a_table_is_a_question(tmp_path: Path) -> None:
    settings, body = made(tmp_path, {**RAILS, "app/models/log.rb": LOG, "db/seeds.rb": SEEDS})
    assert "db:seed" not in f"{settings.steps.setup.migrations} {settings.steps.seed.command}"
    said = next(each for each in body["edits"] if "db/seeds.rb" in each)
    assert "writes items of Docking::Log, and no step makes its table" in said
    assert "before that, it deletes existing data; the values that it writes are random" in said


def test_a_seed_of_rows_runs(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, {**RAILS, "app/models/log.rb": LOG, "db/seeds.rb": SEEDS.partition("Docking")[0]})
    assert "db:seed" in f"{settings.steps.setup.migrations} {settings.steps.seed.command}"
