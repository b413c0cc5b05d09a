"""What a long command tells while it works. The printers are in `render`; commands only know this face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Watch(Protocol):
    """Told of what happens; thread-safe. Every call names its target: a service, a step, a part being fetched."""

    def begin(self, target: str, text: str) -> None:
        """Work on `target` starts; `text` says why."""

    def note(self, target: str, text: str, share: float | None = None) -> None:
        """What `target` is doing or waiting for now, such as the last probe error; `share`: how much is done, of 1."""

    def progress(self, target: str, done: int, total: int | None) -> None:
        """Bytes or items so far; `total` None when unknown."""

    def end(self, target: str, text: str, ok: bool) -> None:
        """Work on `target` ended."""

    def say(self, text: str) -> None:
        """A sentence for the user that is of no target."""


class Silent:
    """A watch that tells nobody."""

    def begin(self, target: str, text: str) -> None:
        """Nothing."""

    def note(self, target: str, text: str, share: float | None = None) -> None:
        """Nothing."""

    def progress(self, target: str, done: int, total: int | None) -> None:
        """Nothing."""

    def end(self, target: str, text: str, ok: bool) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Named:
    """A watch for one of several projects: every line begins with its name."""

    name: str
    watch: Watch

    def begin(self, target: str, text: str) -> None:
        """See `Watch`."""
        self.watch.begin(f"{self.name} {target}", text)

    def note(self, target: str, text: str, share: float | None = None) -> None:
        """See `Watch`."""
        self.watch.note(f"{self.name} {target}", text, share)

    def progress(self, target: str, done: int, total: int | None) -> None:
        """See `Watch`."""
        self.watch.progress(f"{self.name} {target}", done, total)

    def end(self, target: str, text: str, ok: bool) -> None:
        """See `Watch`."""
        self.watch.end(f"{self.name} {target}", text, ok)

    def say(self, text: str) -> None:
        """See `Watch`."""
        self.watch.say(f"{self.name}: {text}")
