"""The place that a wrong id of an item came from: a line of a seed file, of the seed's program, or of its data."""

from __future__ import annotations

import json
import shlex
import uuid
from pathlib import Path
from typing import Any

import msgspec
import pytest

from devenv.config.schema import Settings
from devenv.core.model import Fix, StepState
from devenv.doctor.checks.items import judged
from devenv.stores.dynamodb.client import typed_item
from tests.shapes import TABLE, World, messaging_settings
from tests.unit.doctor.test_doctor_remedies import facts

NOBODY = str(uuid.UUID(int=77))
SCRIPT = "import json\nitems = json.load(open('letters.json'))\n"


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ({"tools/load.py": f"x = 1\nsender = {NOBODY!r}\n"}, "tools/load.py:2"),
        ({"tools/load.py": SCRIPT, "tools/letters.json": f'[\n\n"{NOBODY}"]'}, "tools/letters.json:3"),
        ({"tools/load.py": SCRIPT, "letters.json": f'["{NOBODY}"]'}, "letters.json:1"),
        ({"tools/load.py": f"sender = '9{NOBODY}'\n"}, ""),
        ({"tools/load.py": "import uuid\n"}, ""),
    ],
)
def test_an_id_that_the_seeds_program_writes_is_corrected_there_and_no_item_is_deleted(
    tmp_path: Path, files: dict[str, str], place: str
) -> None:
    (tmp_path / "tools").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    world = World()
    for item in world.items:
        if item["pk"].startswith("MSG#"):
            item["user_uuid"] = NOBODY
            del item["user_handle"]
            break
    seed = {"seed": {"command": ["{python}", "tools/load.py"]}}
    settings = msgspec.convert(messaging_settings(TABLE, "letters") | {"steps": seed}, Settings)
    found = judged("orphan")(facts(world, root=tmp_path, settings=settings))
    assert found.fix is not None
    assert (f"correct the id in {place}, then run the command" in found.fix.text) == bool(place), found.fix.text
    assert (found.fix.command == "devenv seed") == bool(place)
    assert ("DELETE" in (found.fix.command or "")) != bool(place)


def test_an_item_of_the_seed_that_was_changed_since_is_not_blamed_on_its_file(tmp_path: Path) -> None:
    world = World()
    changed = next(item for item in world.items if item["pk"].startswith("MSG#"))
    (tmp_path / "letters.json").write_text(f'["{changed["user_uuid"]}"]')
    changed["user_uuid"] = NOBODY
    del changed["user_handle"]
    seed = {"seed": {"files": ["letters.json"]}}
    settings = msgspec.convert(messaging_settings(TABLE, "letters") | {"steps": seed}, Settings)
    found = judged("orphan")(facts(world, root=tmp_path, settings=settings, is_seeded=lambda *_: True))
    assert found.fix is not None
    assert "devenv did not find its wrong value there" in found.fix.text
    assert "correct it there" not in found.fix.text
    assert "--restore-seeds" in found.fix.text


def letter_of(world: World) -> dict[str, str]:
    """A letter without what a natural key would be read from."""
    item = next(item for item in world.items if item["pk"].startswith("MSG#"))
    del item["user_handle"]
    return item


def orphans(world: World, root: Path, **changes: Any) -> Fix:
    """What doctor offers for items that refer to no row, if step seed runs a program that reads a file of items."""
    (root / "load.py").write_text("items = open('letters.json')\n")
    seed = {"seed": {"command": ["{python}", "load.py"]}}
    settings = msgspec.convert(messaging_settings(TABLE, "letters") | {"steps": seed}, Settings)
    found = judged("orphan")(facts(world, root=root, settings=settings, **changes))
    assert found.fix is not None
    return found.fix


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("seeded", [False, True])
def test_an_id_that_was_changed_in_an_item_is_taken_from_the_items_file(
    tmp_path: Path, typed: bool, lines: bool, seeded: bool
) -> None:
    world = World()
    changed = letter_of(world)
    right = changed["user_uuid"]
    written = [typed_item(item) if typed else item for item in world.items]
    text = "\n".join(map(json.dumps, written)) if lines else json.dumps({"items": written}, indent=1)
    (tmp_path / "letters.json").write_text(text)
    changed["user_uuid"] = NOBODY
    fix = orphans(world, tmp_path, is_seeded=lambda *_: seeded)
    assert f"letters.json has user_uuid = '{right}' for this item" in fix.text
    assert shlex.split(fix.command or "")[:4] == ["devenv", "ddb", "sql", "--write"]
    assert shlex.split(fix.command or "")[4] == (
        f"""UPDATE "{TABLE}" SET "user_uuid"='{right}' WHERE "pk"='{changed["pk"]}' AND "sk"='{changed["sk"]}'"""
    )


def test_a_file_proves_nothing_about_another_item_a_lost_row_or_two_values(tmp_path: Path) -> None:
    world = World()
    changed = letter_of(world)
    other = {**changed, "sk": "2020-01-01T00:00:00+00:00"}
    lost = {**changed, "user_uuid": str(uuid.UUID(int=78))}
    two = {**changed, "user_uuid": world.id("cy")}
    foreign = {**changed, "of_another_table": "x"}
    for items in ([other], [lost], [dict(changed), two], [foreign], "no items", [[]]):
        (tmp_path / "letters.json").write_text(json.dumps(items))
        changed["user_uuid"] = NOBODY
        fix = orphans(world, tmp_path)
        assert "DELETE" in (fix.command or ""), items
        changed["user_uuid"] = world.id("ada")


def test_a_wrong_value_in_the_file_comes_before_the_advice_to_load_it_again(tmp_path: Path) -> None:
    world = World()
    letter_of(world)["user_uuid"] = NOBODY
    done = StepState("seed", "done", "its command ran", command="devenv seed")
    for text, told in ((json.dumps(world.items), "correct the id in letters.json:1"), ("[]", "setup made new rows")):
        (tmp_path / "letters.json").write_text(text)
        assert told in orphans(world, tmp_path, look_steps=lambda _: [done]).text


def test_an_id_behind_a_prefix_is_found_in_the_file(tmp_path: Path) -> None:
    world = World()
    wrong = next(item for item in world.items if item["pk"].startswith("GRP#"))
    wrong["pk"] = f"GRP#{NOBODY}"
    (tmp_path / "letters.json").write_text(f'[\n"GRP#{NOBODY}"]')
    fix = orphans(world, tmp_path)
    assert ("correct the id in letters.json:2" in fix.text, fix.command) == (True, "devenv seed")
