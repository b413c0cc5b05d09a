"""`devenv init` links attributes that hold a person's id, or asks: by seeds, foreign keys and names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devenv.config.schema import Settings
from tests.unit.init.test_init_kinds import made

ANA, BEN = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
STRANGER = "99999999-9999-4999-8999-999999999999"
STAFF = f"""\
CREATE TABLE staff (id uuid PRIMARY KEY, email text NOT NULL UNIQUE);
CREATE TABLE rooms (id uuid PRIMARY KEY, label text NOT NULL);
INSERT INTO staff (id, email) VALUES ('{ANA}', 'ana@x.test'), ('{BEN}', 'ben@x.test');
"""
NUMBERED = """\
CREATE TABLE members (id integer PRIMARY KEY, email text NOT NULL UNIQUE);
INSERT INTO members (id, email) VALUES (1, 'ana@x.test'), (2, 'ben@x.test');
"""
REQUEST = json.dumps(
    {
        "TableName": "tickets",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "ticket_no", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "ticket_no", "KeyType": "HASH"}],
    }
)
WRITES = """\
import boto3

def save(no, person):
    boto3.resource("dynamodb").Table("tickets").put_item(Item={{"ticket_no": no, "{name}": person, "title": "x"}})
"""


def tickets(root: Path, sql: str, *items: dict[str, Any], code: str = "", **more: str) -> tuple[Settings, str]:
    """The settings, and the text of devenv.toml, for one table of tickets."""
    files = {"db/schema.sql": sql, "tables/tickets.json": REQUEST, **more}
    if items:
        numbered = [{"ticket_no": f"T-{n}", **each} for n, each in enumerate(items)]
        files["seeds/tickets.json"] = json.dumps({"table": "tickets", "items": numbered})
    if code:
        files["app/tickets.py"] = code
    settings, _ = made(root, files)
    return settings, (root / "devenv.toml").read_text()


def linked(settings: Settings) -> dict[str, str]:
    return {link.source: link.to for link in settings.links}


@pytest.mark.parametrize("name", ["created_by", "assignee_id", "owner", "userId", "createdBy", "reporter", "sold_to"])
def test_values_that_are_ids_of_rows_make_a_link(tmp_path: Path, name: str) -> None:
    settings, text = tickets(tmp_path, STAFF, {name: ANA}, {name: BEN})
    assert linked(settings) == {f"dynamodb:tickets.{name}": "postgres:staff.id"}
    assert "Likely" not in text


def test_values_with_a_word_before_them_make_a_link(tmp_path: Path) -> None:
    settings, _ = tickets(tmp_path, STAFF, {"reporter": f"USER#{ANA}"})
    assert linked(settings) == {"dynamodb:tickets.reporter[USER#{}]": "postgres:staff.id"}


def test_addresses_of_people_are_linked_to_their_column(tmp_path: Path) -> None:
    settings, _ = tickets(tmp_path, STAFF, {"created_by": "ana@x.test"})
    assert linked(settings) == {"dynamodb:tickets.created_by": "postgres:staff.email"}


def test_numbers_of_people_are_likely(tmp_path: Path) -> None:
    settings, text = tickets(tmp_path, NUMBERED, {"assignee_id": 1}, {"assignee_id": 2})
    assert linked(settings) == {"dynamodb:tickets.assignee_id": "postgres:members.id"}
    assert "All its values in the seeds are in this column." in text


@pytest.mark.parametrize(
    "made_by",
    [
        "CREATE TABLE notes (id uuid PRIMARY KEY, created_by uuid REFERENCES staff (id));",
        "CREATE TABLE notes (id uuid PRIMARY KEY, created_by uuid, FOREIGN KEY (created_by) REFERENCES staff (id));",
        "CREATE TABLE notes (id uuid PRIMARY KEY, created_by uuid);\n"
        "ALTER TABLE ONLY notes ADD CONSTRAINT k FOREIGN KEY (created_by) REFERENCES public.staff (id);",
    ],
)
def test_a_foreign_key_of_the_same_name_is_evidence(tmp_path: Path, made_by: str) -> None:
    settings, text = tickets(tmp_path, f"{STAFF}\n{made_by}", code=WRITES.format(name="createdBy"))
    assert linked(settings) == {"dynamodb:tickets.createdBy": "postgres:staff.id"}
    assert "The column notes.created_by refers to staff." in " ".join(text.replace("\n#", "").split())


def test_a_foreign_key_of_a_model_is_evidence(tmp_path: Path) -> None:
    models = """\
from sqlalchemy import Column, ForeignKey
class Note(Base):
    __tablename__ = "notes"
    id = Column(UUID, primary_key=True)
    approved_by = Column(UUID, ForeignKey("staff.id"))
"""
    settings, _ = tickets(tmp_path, STAFF, code=WRITES.format(name="approved_by"), **{"app/models.py": models})
    assert linked(settings) == {"dynamodb:tickets.approved_by": "postgres:staff.id"}


def test_an_id_of_a_person_is_that_of_the_only_table_of_people(tmp_path: Path) -> None:
    settings, _ = tickets(tmp_path, STAFF, code=WRITES.format(name="assignee_id"))
    assert linked(settings) == {"dynamodb:tickets.assignee_id": "postgres:staff.id"}


def test_ids_that_the_seeding_code_names_are_evidence(tmp_path: Path) -> None:
    seed = f'from app.tickets import save\nsave("T-1", "{ANA}")\n'
    settings, _ = tickets(tmp_path, STAFF, code=WRITES.format(name="created_by"), **{"tools/seed.py": seed})
    assert linked(settings) == {"dynamodb:tickets.created_by": "postgres:staff.id"}


def test_without_evidence_it_is_asked_not_dropped(tmp_path: Path) -> None:
    settings, text = tickets(tmp_path, STAFF, code=WRITES.format(name="created_by"))
    assert not settings.links
    assert '#~ from = "dynamodb:tickets.created_by"' in text
    assert '#~ to = "postgres:staff.id"' in text


def test_ids_of_no_one_are_asked_for(tmp_path: Path) -> None:
    settings, text = tickets(tmp_path, STAFF, {"created_by": STRANGER})
    assert not settings.links
    assert '#~ from = "dynamodb:tickets.created_by"' in text


@pytest.mark.parametrize("value", ["Ana", "2024-05-01", True, ["a"]])
def test_what_is_no_id_is_no_link(tmp_path: Path, value: Any) -> None:
    settings, text = tickets(tmp_path, STAFF, {"created_by": value})
    assert not settings.links
    assert "tickets.created_by" not in text


def test_other_attributes_are_left_alone(tmp_path: Path) -> None:
    settings, text = tickets(tmp_path, STAFF, code=WRITES.format(name="sort_by"))
    assert not settings.links
    assert "[[links]]" not in text


DEPOTS = """\
CREATE TABLE depot (depot_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, short_code char(4) NOT NULL UNIQUE);
CREATE TABLE parcel (tracking_no varchar(16) PRIMARY KEY);
INSERT INTO depot (short_code) VALUES ('HAM1'), ('NUE2');
"""
DUMP = """\
CREATE TABLE public.device (imei character(15) NOT NULL, lang character(2) NOT NULL);
COPY public.device (imei, lang) FROM stdin;
356938035643809\tde
490154203237518\t\\N
\\.
ALTER TABLE ONLY public.device ADD CONSTRAINT device_pkey PRIMARY KEY (imei);
"""


def test_texts_of_a_unique_column_are_likely_links_under_any_name(tmp_path: Path) -> None:
    settings, _ = tickets(tmp_path, DEPOTS, {"depotCode": "HAM1", "event": "IN"}, {"depotCode": "NUE2", "event": "OUT"})
    assert linked(settings) == {"dynamodb:tickets.depotCode": "postgres:depot.short_code"}


def test_a_unique_column_of_the_same_name_is_likely(tmp_path: Path) -> None:
    settings, _ = tickets(tmp_path, DEPOTS, {"trackingNo": "PN7"})
    assert linked(settings) == {"dynamodb:tickets.trackingNo": "postgres:parcel.tracking_no"}


def test_rows_that_pg_dump_copies_are_evidence(tmp_path: Path) -> None:
    settings, _ = tickets(tmp_path, DUMP, {"Unit": "356938035643809"})
    assert linked(settings) == {"dynamodb:tickets.Unit": "postgres:device.imei"}


def test_rows_of_a_csv_file_are_evidence_and_the_file_is_listed(tmp_path: Path) -> None:
    files = {"data/guests.csv": "guest_ref,surname,tier\nHG-1,Lind,gold\n"}
    sql = "CREATE TABLE guests (guest_ref text PRIMARY KEY, surname text);"
    settings, _ = tickets(tmp_path, sql, {"visitor": "HG-1"}, **files)
    assert linked(settings) == {"dynamodb:tickets.visitor": "postgres:guests.guest_ref"}


def test_the_name_of_a_table_with_texts_means_its_unique_text(tmp_path: Path) -> None:
    sql = "CREATE TABLE recipe (id bigint PRIMARY KEY, slug varchar(50) UNIQUE);"
    settings, _ = tickets(tmp_path, sql, {"recipe": "borscht"})
    assert linked(settings) == {"dynamodb:tickets.recipe": "postgres:recipe.slug"}


@pytest.mark.parametrize("item", [{"stars": 5}, {"state": "ok"}, {"grade": "7"}])
def test_values_that_say_little_are_no_evidence(tmp_path: Path, item: dict[str, Any]) -> None:
    sql = (
        "CREATE TABLE sizes (id integer PRIMARY KEY, code text UNIQUE);\nINSERT INTO sizes VALUES (5, 'ok'), (7, 'x');"
    )
    settings, _ = tickets(tmp_path, sql, item)
    assert not settings.links


POND = "CREATE TABLE ponds (id {}, slug text NOT NULL UNIQUE, note text);"


@pytest.mark.parametrize(
    ("id_", "values", "to"),
    [
        ("serial PRIMARY KEY", ["north-moor", "mill"], "postgres:ponds.slug"),
        ("serial PRIMARY KEY", ["1", "2"], "postgres:ponds.id"),
        ("serial PRIMARY KEY", ["${ponds[slug=mill].id}"], "postgres:ponds.id"),
        ("text PRIMARY KEY", ["north-moor", "mill"], "postgres:ponds.id"),
    ],
)
def test_a_name_makes_no_link_to_numbers_where_the_seeds_have_words(
    tmp_path: Path, id_: str, values: list[str], to: str
) -> None:
    """`pond_id` with a slug in it is no id of a serial: each item would be an orphan."""
    settings, _ = tickets(tmp_path, POND.format(id_), *({"pond_id": value} for value in values))
    assert linked(settings).get("dynamodb:tickets.pond_id") == to
