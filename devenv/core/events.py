"""Progress of a long command: one stream of events. The printers are in `render`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from devenv.core.value import Value


class Event(Value, frozen=True):
    """One thing that happened. `target` is a service, a step, a part being fetched; empty for a sentence of none.

    `share` is how much is done, of 1, where that is known; `done` and `total` are bytes or items.
    """

    kind: Literal["begin", "note", "progress", "end", "say"]
    target: str = ""
    text: str = ""
    share: float | None = None
    done: int = 0
    total: int | None = None
    ok: bool = True


class Watch:
    """Told of what happens, by any thread. This one tells nobody; a printer overrides `tell`."""

    def tell(self, event: Event) -> None:
        """Take one event."""

    def begin(self, target: str, text: str) -> None:
        """Work on `target` starts; `text` says why."""
        self.tell(Event("begin", target, text))

    def note(self, target: str, text: str, share: float | None = None) -> None:
        """Report what `target` is doing or waiting for now, such as the last probe error.

        `share`: how much is done, of 1.
        """
        self.tell(Event("note", target, text, share))

    def progress(self, target: str, done: int, total: int | None) -> None:
        """Bytes or items so far; `total` None when unknown."""
        self.tell(Event("progress", target, done=done, total=total))

    def end(self, target: str, text: str, ok: bool) -> None:
        self.tell(Event("end", target, text, ok=ok))

    def say(self, text: str) -> None:
        """A sentence for the user that is of no target."""
        self.tell(Event("say", text=text))

    def close(self) -> None:
        """Take down what is shown."""


@dataclass(frozen=True)
class ProjectEvents(Watch):
    """A watch for one of several projects: every line begins with its name."""

    name: str
    watch: Watch

    def tell(self, event: Event) -> None:
        """Pass the event on, under this name."""
        if event.kind == "say":
            self.watch.tell(replace(event, text=f"{self.name}: {event.text}"))
        else:
            self.watch.tell(replace(event, target=f"{self.name} {event.target}"))
