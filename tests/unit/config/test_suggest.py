"""Links that a project's own declarations suggest."""

from __future__ import annotations

from pathlib import Path

from devenv.config.parse import parse
from devenv.config.suggest import suggested_links

TOML = {
    "project": {"name": "x"},
    "person": {"table": "public.users", "id": "id", "name": "handle"},
    "entities": {
        "message": {
            "table": "chat",
            "match": {"pk": "ROOM#{room_id}"},
            "attributes": {"room_id": "string", "senderUserId": "string", "user_id": "string", "id": "string"},
        },
        "box": {"table": "chat", "match": {"pk": "BOX#{my_user_id}"}, "attributes": {"my_user_id": "string"}},
    },
}


def test_fields_that_are_called_after_the_person_are_suggested() -> None:
    assert list(suggested_links(parse(TOML, Path("devenv.toml")))) == [
        '[[links]] from = "dynamodb:chat.senderUserId", to = "postgres:users.id"',
        '[[links]] from = "dynamodb:chat.user_id", to = "postgres:users.id"',
        '[[links]] from = "dynamodb:chat.pk[BOX#{}]", to = "postgres:users.id"',
    ]


def test_what_is_linked_already_and_a_project_without_people_get_no_suggestion() -> None:
    links = [{"from": "dynamodb:chat.user_id", "to": "postgres:users.id"}]
    found = list(suggested_links(parse({**TOML, "links": links}, Path("devenv.toml"))))
    assert not any("chat.user_id" in each for each in found)
    without = {name: value for name, value in TOML.items() if name != "person"}
    assert list(suggested_links(parse(without, Path("devenv.toml")))) == []
