"""Settings of a Postgres session that decide which objects a statement uses: database, role, search_path. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Final

from devenv.capture.tap.masks import TOKEN

TRACKED: Final = ("search_path", "role", "session_authorization")
SET: Final = re.compile(
    r"^\s*set\s+(?:(?P<scope>session|local)\s+)?"
    r"(?P<name>search_path|role|session\s+authorization|session_authorization|schema)\b\s*(?:=|\bto\b)?\s*(?P<value>.+?)\s*;?\s*$",
    re.IGNORECASE | re.DOTALL,
)
RESET: Final = re.compile(
    r"^\s*reset\s+(?P<name>all|search_path|role|session\s+authorization|session_authorization)\s*;?\s*$", re.IGNORECASE
)


class SessionSettings:
    """The settings as far as they were seen: from the startup packet, the server's reports (of `search_path` from
    version 18 on), and SET. A SET inside a function or `set_config` is seen only where the server reports it.
    """

    def __init__(self) -> None:
        self.database: str | None = None
        self.user: str | None = None
        self.values: dict[str, str] = {}
        self.first: dict[str, str] = {}
        self.reported: set[str] = set()
        self.outside: dict[str, str] | None = None
        self.local: dict[str, str] = {}

    def start(self, parameters: Mapping[str, str]) -> None:
        """The startup packet."""
        self.user = parameters.get("user")
        self.database = parameters.get("database") or self.user
        for name, value in [*options(parameters.get("options", "")), *parameters.items()]:
            if name in TRACKED:
                self.values[name] = value
        self.first = dict(self.values)

    def report(self, name: str, value: str) -> None:
        """The server's own word."""
        if name in TRACKED:
            self.reported.add(name)
            self.values[name] = value

    def get(self, name: str) -> str | None:
        """The value now; None when it is the server's default, which nothing told."""
        if name in self.reported:
            return self.values.get(name)
        return self.local.get(name, self.values.get(name))

    @property
    def role(self) -> str | None:
        """The role whose rights count now."""
        chosen = self.get("role")
        if chosen and chosen.lower() != "none":
            return chosen
        return self.get("session_authorization") or self.user

    def completed(self, tag: str, sql: str) -> None:
        """A statement ended well; SET, RESET and DISCARD change settings, ROLLBACK takes changes back."""
        word = tag.partition(" ")[0]
        if word == "SET" and (found := SET.match(without_comments(sql))):
            name = found["name"].lower().replace(" ", "_")
            name = "search_path" if name == "schema" else name
            value = plain(found["value"])
            local = (found["scope"] or "").lower() == "local"
            if value.lower() == "default":
                self.drop(name)
            elif local:
                self.local[name] = value
            else:
                self.local.pop(name, None)
                self.values[name] = value
        elif word == "RESET" and (found := RESET.match(without_comments(sql))):
            name = found["name"].lower().replace(" ", "_")
            for one in TRACKED if name == "all" else (name,):
                self.drop(one)
        elif word == "DISCARD" and tag == "DISCARD ALL":
            for one in TRACKED:
                self.drop(one)
        elif word == "ROLLBACK" and self.outside is not None:
            reported = {name: self.values[name] for name in self.reported if name in self.values}
            self.values = {**self.outside, **reported}

    def drop(self, name: str) -> None:
        """Back to what the session began with."""
        self.local.pop(name, None)
        if name in self.reported:
            return
        self.values.pop(name, None)
        if name in self.first:
            self.values[name] = self.first[name]

    def began(self) -> None:
        self.outside = dict(self.values)

    def ended(self) -> None:
        """No transaction is open."""
        self.outside = None
        self.local.clear()


def options(text: str) -> list[tuple[str, str]]:
    """Settings of the `options` parameter: `-c name=value`, `--name=value`."""
    try:
        words = shlex.split(text)
    except ValueError:
        return []
    found = []
    for before, word in zip(["", *words], words, strict=False):
        given = word if before == "-c" else word[2:] if word.startswith(("--", "-c")) else ""
        name, equals, value = given.partition("=")
        if equals:
            found.append((name.replace("-", "_"), value))
    return found


def without_comments(sql: str) -> str:
    return TOKEN.sub(lambda found: " " if found.lastgroup == "comment" else found[0], sql)


def plain(value: str) -> str:
    """A value of SET without its quotes."""
    return ", ".join(part.strip().strip("'\"") for part in value.split(","))
