"""The help pages: they name everything a user can type, and every example in them loads or runs."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.main import get_command

from devenv.cli.app import app
from devenv.config.parse import parse
from devenv.config.references import find_mistakes
from devenv.config.schema import Settings
from devenv.core.errors import Exit, UsageError
from devenv.doctor.runner import CHECKS
from devenv.help.pages import TOPICS, help_report, read_page
from devenv.patterns.registry import RULES
from devenv.render import text

PAGES = {topic: read_page(topic) for topic in TOPICS}
ALL = "\n".join(PAGES.values())


def blocks(language: str) -> list[tuple[str, str]]:
    """(topic, code) of each fenced block in this language."""
    return [
        (topic, block)
        for topic, page in PAGES.items()
        for block in re.findall(rf"^```{language}\n(.*?)^```", page, re.S | re.M)
    ]


def leaves(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command with its name, groups followed: `snapshot save`."""
    for name, entry in group.commands.items():
        if hasattr(entry, "commands"):
            yield from leaves(entry, (*words, name))
        else:
            yield " ".join((*words, name)), entry


def commands() -> Iterator[str]:
    return (name for name, _ in leaves(get_command(app)))


def example_lines() -> list[str]:
    """Every `devenv …` of the shell examples."""
    return [line for _, block in blocks("sh") for line in re.findall(r"^devenv .*|(?<=\$\()devenv [^)]*", block, re.M)]


def test_every_page_is_a_topic_and_every_topic_a_page() -> None:
    folder = Path(__file__).parents[3] / "devenv" / "help"
    assert {path.stem for path in folder.glob("*.md")} == set(TOPICS)
    assert all(page.startswith(f"# {topic}: ") for topic, page in PAGES.items())


@pytest.mark.parametrize(("topic", "block"), blocks("toml"))
def test_every_example_of_devenv_toml_loads(topic: str, block: str) -> None:
    tree = tomllib.loads(block)
    tree.setdefault("project", {"name": "example"})
    parse(tree, Path("devenv.toml"))


def test_the_example_of_a_parameter_in_sql_has_no_mistake() -> None:
    (block,) = [block for topic, block in blocks("toml") if topic == "traces" and "%(code)s" in block]
    tree = {"project": {"name": "example"}, "backend": {"command": ["serve", "{port}"]}, **tomllib.loads(block)}
    settings = parse(tree, Path("devenv.toml"))
    assert find_mistakes(settings) == []
    assert settings.trace["visits"].params == {"code": "string"}


@pytest.mark.parametrize(("topic", "block"), blocks("python"))
def test_every_python_example_compiles(topic: str, block: str) -> None:
    compile(block, topic, "exec")


def test_every_command_is_on_a_page() -> None:
    listed = set(commands())
    assert [name for name in sorted(listed) if f"devenv {name}" not in ALL] == []


def test_every_command_on_a_page_exists() -> None:
    known = {name.split()[0] for name in commands()}
    used = {
        word
        for _, block in blocks("sh")
        for word in re.findall(r"(?:^|\()devenv (?:--\S+ )*([a-z][a-z-]*)", block, re.M)
    }
    assert used - known == set()


def test_every_option_is_on_a_page() -> None:
    root = get_command(app)
    options = {
        (name, option)
        for name, command in [("", root), *leaves(root)]
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    }
    words = set(re.findall(r"--[a-z][a-z-]*", ALL))
    assert len(options) > 100
    assert {(name, option) for name, option in options if option not in words} == set()


@pytest.mark.parametrize("line", example_lines())
def test_every_example_line_is_accepted_as_it_stands(line: str) -> None:
    command: Any = get_command(app)
    everywhere = {option for parameter in command.params for option in parameter.opts}
    words = [word for word in shlex.split(line, comments=True)[1:] if word not in everywhere]
    words = words[: words.index("|")] if "|" in words else words
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    with command.make_context("devenv", words):  # refuses an unknown option, a missing argument, a wrong value
        pass


def test_every_page_that_a_text_names_exists() -> None:
    texts = [path.read_text() for path in Path(read_page.__code__.co_filename).parents[1].rglob("*.py")]
    named = {name for text in (*texts, ALL) for name in re.findall(r"devenv help ([a-z][a-z-]+)", text)}
    assert named - set(TOPICS) == set()
    assert len(named) > 5


def test_every_code_on_a_page_is_a_check_or_a_rule() -> None:
    codes = {check.code for check in CHECKS} | {rule.code for rule in RULES}
    named = set(re.findall(r"\b[A-Z]{3}\d{3}\b", ALL))
    assert named - codes == set()
    assert len(named) > 10


def test_every_section_of_devenv_toml_is_in_an_example() -> None:
    sections = {name.replace("_", "-") for name in msgspec.structs.asdict(Settings(project=None))}  # type: ignore[arg-type]
    shown = {key for _, block in blocks("toml") for key in tomllib.loads(block)}
    assert sections - shown == set()


def test_every_exit_code_is_on_its_page() -> None:
    codes = set(map(int, re.findall(r"\b\d+\b", "\n".join(re.findall(r"^\| ([\d, ]+) \|", PAGES["exit-codes"], re.M)))))
    own = {int(code) for code in Exit} - {int(Exit.NOT_EXECUTABLE), int(Exit.NO_COMMAND)}
    assert own <= codes


def test_an_unknown_page_names_the_nearest() -> None:
    for topic, hint in {"docter": "devenv help doctor", "reset": "devenv reset --help", "?": "devenv help "}.items():
        with pytest.raises(UsageError) as caught:
            help_report(topic)
        assert str(caught.value.failure.hint).startswith(hint)


def test_a_page_may_be_asked_for_in_the_singular() -> None:
    assert help_report("trace") == help_report("traces")


def test_without_a_terminal_a_page_is_the_markdown_itself() -> None:
    report = help_report("traces")
    assert "\n".join(text.RENDERERS["help"](report, False)) == PAGES["traces"].rstrip("\n")
    assert json.loads(json.dumps(report.body))["text"] == PAGES["traces"]


def test_the_list_has_one_line_for_each_page() -> None:
    lines = text.RENDERERS["help"](help_report(None), False)
    assert [line.split()[0] for line in lines[1:-1]] == list(TOPICS)
    assert lines[1] == "  start          from nothing to a loaded stack"
