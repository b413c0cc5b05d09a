"""`devenv init` on a project that grows: the next migration, the data of its seed script, the rows that items name."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.init.step_files import data_files, sql_patterns
from tests.unit.init.test_init_kinds import made
from tests.unit.init.test_init_single_table import TABLE

MIGRATIONS = {
    "db/changes/1_patrons.sql": (
        "CREATE TABLE patrons (id uuid PRIMARY KEY, name text NOT NULL, card_number text NOT NULL UNIQUE);"
    ),
    "db/changes/2_books.sql": (
        "CREATE TABLE books (id uuid PRIMARY KEY, shelf_code text NOT NULL UNIQUE, title text);"
        " CREATE TABLE members (id uuid PRIMARY KEY, email text UNIQUE, name text);"
    ),
    "db/changes/10_fines.sql": "CREATE TABLE fines (id serial PRIMARY KEY, cents int);",
}
SEED = """\
import json, boto3
from pathlib import Path

table = boto3.resource("dynamodb").Table("shop")
for loan in json.loads((Path("data") / "loans.json").read_text()):
    table.put_item(Item={
        "PK": f"BOOK#{loan['book_id']}", "SK": f"LOAN#{loan['day']}", "book_id": loan["book_id"],
        "shelf_code": loan["mark"], "member_id": loan["member"], "name": loan["name"],
        "text": f"Your book {loan['mark']} is now lent",
    })
"""
FILES = {**MIGRATIONS, "table.json": TABLE, "seed.py": SEED, "data/loans.json": '[{"book_id": "1"}]'}


def test_a_folder_of_numbered_files_is_one_pattern(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, FILES)
    assert settings.steps.setup.files == ["db/changes/*.sql"]


@pytest.mark.parametrize(
    ("chosen", "names", "expected"),
    [
        (["db/a.sql", "db/b.sql"], ["db/a.sql", "db/b.sql"], ["db/a.sql", "db/b.sql"]),
        (["db/1.sql"], ["db/1.sql", "db/2_down.sql"], ["db/1.sql"]),
        (["db/2.sql", "db/1.sql"], ["db/1.sql", "db/2.sql"], ["db/2.sql", "db/1.sql"]),
        (["1.sql"], ["1.sql"], ["1.sql"]),
        (["a.sql", "[x]/V1.sql"], ["a.sql", "[x]/V1.sql", "[x]/more/V2.sql"], ["a.sql", "[[]x]/*.sql"]),
    ],
)
def test_files_that_a_pattern_would_not_name_in_this_order_stay_named(
    chosen: list[str], names: list[str], expected: list[str]
) -> None:
    assert sql_patterns(chosen, names) == expected


def test_the_data_of_the_seed_script_belongs_to_its_step(tmp_path: Path) -> None:
    """Else `devenv up` does not see that it changed."""
    settings, report = made(tmp_path, FILES)
    assert settings.steps.seed.files == ["seed.py", "data/loans.json"]
    assert not [line for line in report["unused"] if "loans.json" in line]


def test_a_data_file_whose_name_is_not_the_only_one_is_not_taken() -> None:
    script = 'import a from "../data/a.json"; open("b.json"); load(`c.csv`)'
    assert data_files(script, ["data/a.json", "x/b.json", "y/b.json", "c.csv"]) == ["data/a.json", "c.csv"]


@pytest.mark.parametrize(
    "script",
    [
        'SEEDS = HERE.parent / "seeds"\nfor path in sorted(SEEDS.glob("*.json")):\n    load(path)',
        'for path in glob.glob("seeds/*.json"):\n    load(path)',
        'for name in os.listdir("seeds"):\n    if name.endswith(".json"): load(name)',
        "readdirSync(join(root, 'seeds')).filter((n) => n.endsWith('.json')).map(load)",
    ],
)
def test_all_files_of_a_folder_that_the_seed_script_lists(script: str) -> None:
    names = ["seeds/visits.json", "seeds/cats.json", "seeds/notes.md", "seeds/tables/cats.json", "package.json"]
    assert data_files(script, names) == ["seeds/visits.json", "seeds/cats.json"]


def test_a_unique_column_that_items_have_under_its_name_finds_the_row(tmp_path: Path) -> None:
    """`name` is everybody's; `shelf_code` is only a book's."""
    settings, _ = made(tmp_path, FILES)
    keys = {link.to: link.natural_key for link in settings.links}
    assert keys == {"postgres:books.id": {"shelf_code": "shelf_code"}, "postgres:members.id": {}}


def test_an_item_with_two_ids_of_a_table_has_the_column_of_one_of_them(tmp_path: Path) -> None:
    seed = SEED.replace('"member_id"', '"next_book_id"')
    settings, _ = made(tmp_path, {**FILES, "seed.py": seed})
    assert {link.to for link in settings.links} == {"postgres:books.id"}
    assert not any(link.natural_key for link in settings.links)


def test_people_are_in_the_table_with_a_column_to_sign_in_with(tmp_path: Path) -> None:
    """Of tables that as many links lead to."""
    settings, _ = made(tmp_path, {**FILES, "seed.py": SEED.replace('"name"', '"patron_id"')})
    assert settings.person is not None
    assert (settings.person.table, settings.person.name) == ("public.members", "email")


def test_a_sentence_is_no_time(tmp_path: Path) -> None:
    settings, _ = made(tmp_path, FILES)
    (loan,) = settings.entities.values()
    assert loan.attributes["text"] == "string"
