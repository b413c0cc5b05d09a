"""Files with variables: `.env`, its examples, and those in other places that the code or a compose file names. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from devenv.init.compose import ComposeFile, read_dotenv
from devenv.init.example_values import with_wanted

# What people keep to themselves, and what they share.
PRIVATE: Final = re.compile(r"\.env(\.(local|dev|development)){0,2}")
SHARED: Final = re.compile(
    r"(\.?env|\.env\.\w+)\.(example|sample|template|dist|defaults?)|\.env[._-](example|sample)\.\w+|(\w+\.)?(example|sample)\.env"
)
# `env/dev.env`, `config/api.env`, `env.local`: read if a program or a compose file names them.
ELSEWHERE: Final = re.compile(
    r"\.?(?!prod|stag|test|ci\b|qa\b|example|sample)[a-z][\w-]*\.env|\.?env\.(?:dev|development|local)"
)
LOCAL: Final = re.compile(r"\.?(?:dev|development|local)\.env|\.?env\.(?:dev|development|local)")
NAMING: Final = (".py", ".js", ".mjs", ".cjs", ".ts", ".mts", ".json", ".yml", ".yaml", ".go", ".rb", ".sh", "akefile")


def is_env_file(name: str) -> bool:
    """Return True if a file may have variables, by its name without the folder."""
    return any(form.fullmatch(name) for form in (PRIVATE, SHARED, ELSEWHERE))


def merged(texts: Mapping[str, str], names: re.Pattern[str]) -> dict[str, str]:
    """The variables of these .env files; of two, the upper one's, and of those the one with the shorter name."""
    found: dict[str, str] = {}
    files = [name for name in texts if names.fullmatch(name.rpartition("/")[2])]
    for name in sorted(files, key=lambda name: (name.count("/"), len(name), name), reverse=True):
        found = with_wanted(found, read_dotenv(texts[name]))
    return found


def named_elsewhere(texts: Mapping[str, str]) -> dict[str, str]:
    """The variables of files such as `env/dev.env` that another file names, also by a computed name in their folder.

    Without one, those of the only such file.
    """
    found: dict[str, str] = {}
    files = [name for name in texts if ELSEWHERE.fullmatch(name.rpartition("/")[2])]
    for name in sorted(files, key=lambda each: (bool(LOCAL.fullmatch(each.rpartition("/")[2])), each)):
        folder, _, base = name.rpartition("/")
        computed = rf"[/'\"`]?{re.escape(folder.rpartition('/')[2])}/[^\s'\"`]*\$" if folder else r"$^"
        by_name = re.compile(rf"(?<![\w.-]){re.escape(base)}\b" + (f"|{computed}" if LOCAL.fullmatch(base) else ""))
        if any(by_name.search(text) for other, text in texts.items() if other.endswith(NAMING)):
            found |= read_dotenv(texts[name])
    return found or only_local(texts, files)


def only_local(texts: Mapping[str, str], files: Sequence[str]) -> dict[str, str]:
    """The variables of `env/dev.env` where it is the only file with variables for a developer's machine.

    A shell or a person loads it. Not where a program names another file of its folder: that one is in use.
    """
    local = [name for name in files if LOCAL.fullmatch(name.rpartition("/")[2])]
    bases = [name.rpartition("/")[2] for name in texts]
    if len(local) != 1 or any(form.fullmatch(base) for form in (PRIVATE, SHARED) for base in bases):
        return {}
    folder = local[0].rpartition("/")[0].rpartition("/")[2]
    other = re.compile(rf"(?<![\w.-]){re.escape(folder)}/[^\s'\"`]*\.env\b")
    used = folder and any(other.search(text) for name, text in texts.items() if name.endswith(NAMING))
    return {} if used else read_dotenv(texts[local[0]])


def known_variables(compose: ComposeFile | None) -> dict[str, str]:
    """The variables of the application's service that have a value."""
    application = compose.application if compose else None
    return {name: value for name, value in (application.environment if application else {}).items() if value}
