"""SQL files that setup has loaded are not parsed again as long as all that decides about them is as it was."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from devenv.config.schema import Settings
from devenv.core.errors import UsageError
from devenv.steps import stamps
from devenv.steps.ledger import Ledger
from devenv.steps.registry import STEPS
from devenv.steps.setup import remembered
from devenv.steps.stamps import Reading
from devenv.steps.step import Inputs

FILES = {
    "a.sql": "CREATE TABLE a (id int);\n\\i more/b.sql\nCOPY a FROM '/data/rows.csv';\n",
    "more/b.sql": "CREATE TABLE b (id int);\n",
    "rows/rows.csv": "1\n",
    "compose.yaml": "services: {db: {volumes: ['./rows:/data']}}\n",
}


def settings(database: str = "x") -> Settings:
    return msgspec.convert(
        {"project": {"name": "x"}, "postgres": {"database": database}, "steps": {"setup": {"files": ["a.sql"]}}},
        Settings,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def read(folder: Path, database: str = "x") -> Inputs:
    return STEPS[0].read(settings(database), folder, Reading(folder / "ledger.sqlite"))


def remember(folder: Path) -> Inputs:
    inputs = read(folder)
    with Ledger(folder / "ledger.sqlite") as ledger:
        STEPS[0].note(ledger, inputs)
    return inputs


def refuse(*_: object) -> None:
    raise AssertionError("it was parsed")


def hash_from_nothing(folder: Path) -> str:
    return STEPS[0].read(settings(), folder).hash


def test_nothing_is_parsed_until_the_content_is_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = remember(folder)
    assert not first.noted
    with monkeypatch.context() as once:
        once.setattr(remembered, "parse", refuse)
        inputs = read(folder)
        assert (inputs.hash, inputs.names, inputs.noted) == (first.hash, ("a.sql",), True)
        with pytest.raises(AssertionError, match="it was parsed"):
            assert inputs.content
    assert [each.text for each in inputs.content.statements] == [each.text for each in first.content.statements]
    assert inputs.files == first.files


@pytest.mark.parametrize("name", FILES)
def test_a_change_of_any_file_is_noticed(folder: Path, name: str) -> None:
    first = remember(folder)
    changed = {"a.sql": FILES["a.sql"] + "-- more\n", "more/b.sql": FILES["more/b.sql"].replace("b (", "c (")}
    (folder / name).write_text(changed.get(name, "2\n" if name == "rows/rows.csv" else "services: {}\n"))
    if name == "compose.yaml":
        with pytest.raises(UsageError, match=r"/data/rows\.csv, which COPY reads, is not a file of the project"):
            read(folder)
    else:
        assert read(folder).hash == hash_from_nothing(folder) != first.hash
    (folder / name).write_text(FILES[name])
    assert read(folder).hash == first.hash


def test_a_large_file_is_read_again_only_if_its_times_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = remember(folder)
    monkeypatch.setattr(stamps, "WHOLE_BYTES", 0)
    with monkeypatch.context() as once:
        once.setattr(remembered, "parse", refuse)
        once.setattr(stamps, "digest_of", refuse)
        assert read(folder).hash == first.hash
    path = folder / "more/b.sql"
    before = path.stat()
    path.write_text(FILES["more/b.sql"].replace("b (", "c ("))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert read(folder).hash == hash_from_nothing(folder) != first.hash


def test_a_file_that_was_touched_is_read_and_not_parsed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(folder)
    monkeypatch.setattr(stamps, "WHOLE_BYTES", 0)
    monkeypatch.setattr(remembered, "parse", refuse)
    os.utime(folder / "a.sql", ns=(1, 1))
    touched = read(folder)
    assert not touched.noted
    with Ledger(folder / "ledger.sqlite") as ledger:
        STEPS[0].note(ledger, touched)
    monkeypatch.setattr(stamps, "digest_of", refuse)
    assert read(folder).noted


def test_a_file_that_now_comes_before_an_included_one_is_noticed(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub/a.sql").write_text("CREATE TABLE a (id int);\n\\i b.sql\n")
    (folder / "sub/b.sql").write_text("CREATE TABLE b (id int);\n")
    asked = msgspec.convert({"project": {"name": "x"}, "steps": {"setup": {"files": ["sub/a.sql"]}}}, Settings)
    how = Reading(folder / "ledger.sqlite")
    first = STEPS[0].read(asked, folder, how)
    with Ledger(folder / "ledger.sqlite") as ledger:
        STEPS[0].note(ledger, first)
    assert STEPS[0].read(asked, folder, how).noted
    (folder / "b.sql").write_text("CREATE TABLE c (id int);\n")
    assert STEPS[0].read(asked, folder, how).hash == STEPS[0].read(asked, folder).hash != first.hash


def test_settings_that_decide_about_the_files_are_noticed(folder: Path) -> None:
    (folder / "a.sql").write_text("INSERT INTO a VALUES (:'DBNAME');\n")
    remember(folder)
    assert "'y'" in read(folder, "y").content.statements[0].text


def add_line(folder: Path) -> None:
    (folder / "a.sql").write_text(FILES["a.sql"] + "SELECT 1;\n")


@pytest.mark.parametrize("change", [add_line, lambda folder: (folder / "rows/rows.csv").write_text("2\n")])
def test_files_that_change_between_a_look_and_the_run_are_refused(folder: Path, change: Callable[[Path], None]) -> None:
    remember(folder)
    inputs = read(folder)
    change(folder)
    with pytest.raises(UsageError, match="the SQL files changed while devenv read them"):
        assert inputs.content


def test_files_that_change_while_they_are_parsed_are_not_remembered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse = remembered.parse

    def parse_and_change(*given: object) -> object:
        found = parse(*given)  # type: ignore[arg-type]
        add_line(folder)
        return found

    monkeypatch.setattr(remembered, "parse", parse_and_change)
    inputs = read(folder)
    assert (inputs.parsed, inputs.stamps, inputs.noted) == (None, {}, True)
