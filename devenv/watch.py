"""What a long command tells while it works. The printers are in `render`; commands only know this face."""

from __future__ import annotations

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
