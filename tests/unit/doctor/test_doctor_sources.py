"""The place that a wrong id of an item came from: a line of a seed file, of the seed's program, or of its data."""

from __future__ import annotations

import uuid
from pathlib import Path

import msgspec
import pytest

from devenv.config.schema import Settings
from devenv.doctor.checks.items import judged
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
def test_an_id_that_the_seeds_program_writes_is_named_before_the_deletion(
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
    assert "DELETE" in (found.fix.command or "")
    assert (f"{place} has this value, too: correct it there first" in found.fix.text) == bool(place), found.fix.text
    assert ("step seed" in found.fix.text) == bool(place)


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
    assert "its value was not found there" in found.fix.text
    assert "correct it there" not in found.fix.text
    assert "--restore-seeds" in found.fix.text
