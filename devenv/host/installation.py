"""How this devenv was installed, and the commands that extend, update and remove it there."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

import msgspec

DISTRIBUTION: Final = "devenv-stores"
Kind = Literal["clone", "pipx", "uv", "environment"]


class Installation(msgspec.Struct, frozen=True):
    """One installed devenv. `prefix` is its Python environment; `source` is what it was installed from.

    `source` is the distribution's name, or the file or address (of a clone: its folder). `extras` as far as known.
    """

    kind: Kind
    prefix: Path
    source: str
    extras: tuple[str, ...] = ()
    python: str = sys.executable
    pip: bool = True

    @property
    def checkout(self) -> Path | None:
        """The folder of source code that it was installed from; None for an index, a wheel or an address."""
        path = Path(unquote(urlsplit(self.source).path)) if self.source.startswith("file:") else Path(self.source)
        return path if path.is_absolute() and (path / "pyproject.toml").is_file() else None

    def requirement(self, *extras: str) -> str:
        """The requirement with these extras, and those that are there already."""
        wanted = sorted({*self.extras, *extras})
        inside = f"[{','.join(wanted)}]" if wanted else ""
        if self.source == DISTRIBUTION or "://" not in self.source:
            return f"{self.source}{inside}"
        return f"{DISTRIBUTION}{inside} @ {self.source}"

    def pip_install(self, *words: str) -> list[str]:
        """The command that installs into this environment."""
        if self.pip:
            return [self.python, "-m", "pip", "install", *words]
        return ["uv", "pip", "install", "--python", self.python, *words]

    def extend(self, *extras: str) -> list[str]:
        """The command that adds extras."""
        wanted = self.requirement(*extras)
        if self.kind == "pipx":
            return ["pipx", "install", "--force", wanted]
        if self.kind == "uv":
            return ["uv", "tool", "install", "--force", wanted]
        return self.pip_install(*(["--editable"] if self.kind == "clone" else []), wanted)

    def add(self, package: str) -> list[str]:
        """The command that adds another package beside devenv."""
        if self.kind == "pipx":
            return ["pipx", "inject", DISTRIBUTION, package]
        if self.kind == "uv":
            return ["uv", "tool", "install", "--force", self.requirement(), "--with", package]
        return self.pip_install(package)

    def update(self) -> list[str] | None:
        """The command that brings the newest version; None for a clone, which git updates."""
        if self.kind == "clone":
            return None
        if self.kind == "pipx":
            return ["pipx", "upgrade", DISTRIBUTION]
        if self.kind == "uv" and self.checkout:
            # What is installed already would do for an upgrade: the version of a checkout seldom changes.
            return ["uv", "tool", "install", "--force", "--reinstall", self.requirement()]
        if self.kind == "uv":
            return ["uv", "tool", "upgrade", DISTRIBUTION]
        return self.pip_install("--upgrade", self.requirement())

    def remove(self) -> list[str] | None:
        """The command that removes devenv; None for a clone, whose folder is the user's."""
        if self.kind == "clone":
            return None
        if self.kind == "pipx":
            return ["pipx", "uninstall", DISTRIBUTION]
        if self.kind == "uv":
            return ["uv", "tool", "uninstall", DISTRIBUTION]
        if self.pip:
            return [self.python, "-m", "pip", "uninstall", "--yes", DISTRIBUTION]
        return ["uv", "pip", "uninstall", "--python", self.python, DISTRIBUTION]


@cache
def read_installation() -> Installation:
    """Return how the running devenv was installed, from the notes that installers leave."""
    import importlib.util

    prefix = Path(sys.prefix)
    pip = importlib.util.find_spec("pip") is not None
    source, folder = read_source()
    if (note := prefix / "pipx_metadata.json").is_file():
        named = read_pipx(note) or source
        bare, extras = split_extras(named)
        return Installation("pipx", prefix, bare, extras, pip=pip)
    if (prefix / "uv-receipt.toml").is_file():
        return Installation("uv", prefix, source, read_uv(prefix / "uv-receipt.toml"), pip=pip)
    if folder is not None:
        return Installation("clone", prefix, str(folder), pip=pip)
    return Installation("environment", prefix, source, pip=pip)


def read_source() -> tuple[str, Path | None]:
    """Return what devenv was installed from, and the clone's folder if it is an editable installation."""
    from importlib import metadata

    try:
        text = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        # It runs from a folder on the path, without being installed.
        return DISTRIBUTION, Path(__file__).parents[2]
    if text is None:
        return DISTRIBUTION, None
    return judge_source(json.loads(text))


def judge_source(note: dict[str, object]) -> tuple[str, Path | None]:
    """The source and the clone of a `direct_url.json`. Pure."""
    address = str(note.get("url", ""))
    details = note.get("dir_info")
    if isinstance(details, dict) and details.get("editable") and address.startswith("file:"):
        return address, Path(unquote(urlsplit(address).path))
    version = note.get("vcs_info")
    return (f"{version['vcs']}+{address}", None) if isinstance(version, dict) else (address or DISTRIBUTION, None)


def read_pipx(note: Path) -> str | None:
    """Return what pipx was asked to install."""
    try:
        named = json.loads(note.read_text("utf-8"))["main_package"]["package_or_url"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return named if isinstance(named, str) else None


def read_uv(receipt: Path) -> tuple[str, ...]:
    """Return the extras that `uv tool install` was asked for."""
    import tomllib

    try:
        wanted = tomllib.loads(receipt.read_text("utf-8"))["tool"]["requirements"]
        return tuple(next((each.get("extras", ()) for each in wanted if each["name"] == DISTRIBUTION), ()))
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def split_extras(requirement: str) -> tuple[str, tuple[str, ...]]:
    """`name[a,b]` as the name and its extras; `name[a] @ url` as the address. Pure."""
    head, at, address = requirement.partition(" @ ")
    name, bracket, rest = head.partition("[")
    extras = tuple(part.strip() for part in rest.partition("]")[0].split(",") if part.strip()) if bracket else ()
    return (address.strip() if at else name.strip()), extras


def spoken(command: Sequence[str]) -> str:
    """A command as somebody types it, with extras in quotes: shells take brackets for a pattern."""
    return " ".join(f"'{word}'" if "[" in word and "'" not in word else shlex.quote(word) for word in command)


def install_command(extra: str) -> str:
    """The command that adds an extra to the devenv that runs."""
    return spoken(read_installation().extend(extra))


def add_command(package: str) -> str:
    """The command that adds a package to the environment of the devenv that runs."""
    return spoken(read_installation().add(package))


def tool_missing(command: Sequence[str]) -> bool:
    """Return True if the program of a command is not on this machine."""
    return not os.path.isabs(command[0]) and shutil.which(command[0]) is None


def completion_place(shell: str, home: Path, environ: Mapping[str, str]) -> tuple[Path, Path | None]:
    """Where a shell's script goes, and the file of the shell's own that must name it, if any."""
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    settings = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    if shell == "bash":
        return data / "bash-completion" / "completions" / "devenv", home / ".bashrc"
    if shell == "fish":
        return settings / "fish" / "completions" / "devenv.fish", None
    if shell == "zsh":
        return data / "devenv" / "completion.zsh", Path(environ.get("ZDOTDIR") or home) / ".zshrc"
    own = home / "Documents" / "PowerShell" if os.name == "nt" else settings / "powershell"
    return data / "devenv" / "completion.ps1", own / "Microsoft.PowerShell_profile.ps1"


def completion_files(home: Path, environ: Mapping[str, str]) -> list[Path]:
    """The completion scripts that `devenv completion --install` wrote and that are still there."""
    found = [completion_place(shell, home, environ)[0] for shell in ("bash", "zsh", "fish", "powershell")]
    return [file for file in found if file.is_file()]
