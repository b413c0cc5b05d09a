"""Commands that the page has started: each job is a process of devenv's own command line, whose lines are followed.

A process of its own keeps what a check reads out of the page's memory, takes the same locks as the command line does,
and can be ended. A job's events are kept, so that a page that was reloaded sees all of it.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from devenv.config.masking import mask_text
from devenv.core.errors import UsageError
from devenv.core.plural import number_of

# A command line that is still at work after this long is ended.
LIMIT_S: Final = 1800.0
RUNNING: Final = 4
KEPT: Final = 60
# Of jobs that are not kept any more, how many questions are: an old address can then ask again.
WORDS: Final = 1000
EVENTS: Final = 2000
LINE: Final = 4_000_000
Event = Mapping[str, Any]


@dataclass(eq=False)
class PageJob:
    """One thing that was started. `words` is the command line behind `devenv`; `about` is for whoever shows it.

    `events` grows until `ended`; `document` is the command's one JSON document, None where it gave none.
    """

    id: str
    kind: str
    words: tuple[str, ...]
    about: Mapping[str, Any]
    began: float = field(default_factory=time.time)
    events: list[Event] = field(default_factory=list)
    document: Mapping[str, Any] | None = None
    code: int | None = None
    ended: float | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> Literal["running", "done", "failed"]:
        """Its state. A finding (1) is an answer like any other for what only looks."""
        if self.ended is None:
            return "running"
        return "done" if self.code == 0 or (self.document is not None and "error" not in self.document) else "failed"

    @property
    def spent(self) -> float:
        """Seconds so far, or in all."""
        return (self.ended or time.time()) - self.began

    def add(self, event: Event) -> None:
        """Take an event; of too many the last ones are not kept."""
        if len(self.events) < EVENTS:
            self.events.append(event)


class Jobs:
    """All jobs of this page's process, oldest first. Any thread may ask."""

    def __init__(self, root: Path, options: Sequence[str], environ: Mapping[str, str]) -> None:
        self._front = [sys.executable, "-P", "-m"]
        self._options = ["--project", str(root), "--no-input", *options]
        self._root = root
        self._environ = dict(environ)
        self._lock = threading.Lock()
        self._jobs: dict[str, PageJob] = {}
        self._past: dict[str, PageJob] = {}
        self._closed = False

    def all(self, *kinds: str) -> list[PageJob]:
        """The jobs of these kinds, newest first."""
        with self._lock:
            return [job for job in reversed(self._jobs.values()) if not kinds or job.kind in kinds]

    def get(self, identity: str) -> PageJob | None:
        """The job of this id."""
        with self._lock:
            return self._jobs.get(identity)

    def past(self, identity: str) -> PageJob | None:
        """A job that is not kept any more: its words, without what it gave."""
        with self._lock:
            return self._past.get(identity)

    def last(self, kind: str) -> PageJob | None:
        """The newest job of a kind."""
        return next(iter(self.all(kind)), None)

    def command(
        self, kind: str, words: Sequence[str], about: Mapping[str, Any] | None = None, more: Sequence[str] = ()
    ) -> PageJob:
        """Start a command as a user types it (`["up"]`); its progress lines become events `{"say": text}`.

        `more` are options that the page needs, and that a copied command does not.
        """
        line = [*self._front, "devenv", *self._options, *words, *more, "--json"]
        return self._start(kind, line, words, about or {})

    def worker(self, kind: str, task: Sequence[str], words: Sequence[str], about: Mapping[str, Any]) -> PageJob:
        """Start a task of `devenv.ui.worker`, whose events are its own. `words` is the command that does the same."""
        line = [*self._front, "devenv.ui.worker", *self._options, *task]
        return self._start(kind, line, words, about)

    def _start(self, kind: str, line: Sequence[str], words: Sequence[str], about: Mapping[str, Any]) -> PageJob:
        job = PageJob(secrets.token_urlsafe(9), kind, tuple(words), about)
        with self._lock:
            running = [each for each in self._jobs.values() if each.ended is None]
            if self._closed or len(running) >= RUNNING:
                raise UsageError(
                    f"{number_of(len(running), 'command')} started on this page are still running",
                    detail="wait for one to end",
                )
            self._jobs[job.id] = job
            ended = [each.id for each in self._jobs.values() if each.ended is not None]
            for identity in ended[: max(0, len(self._jobs) - KEPT)]:
                gone = self._jobs.pop(identity)
                self._past[identity] = PageJob(gone.id, gone.kind, gone.words, gone.about, gone.began)
                if len(self._past) > WORDS:
                    del self._past[next(iter(self._past))]
        threading.Thread(target=self._run, args=(job, list(line)), daemon=True).start()
        return job

    def _run(self, job: PageJob, line: list[str]) -> None:
        try:
            process = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self._root,
                env=self._environ,
            )
        except OSError as error:
            job.document = {"error": {"what": "the command could not be started", "detail": str(error)}}
            job.code, job.ended = 1, time.time()
            return
        job.process = process
        clock = threading.Timer(LIMIT_S, lambda: end(process))
        clock.daemon = True
        clock.start()
        said = threading.Thread(target=follow, args=(process.stderr, lambda text: job.add({"say": text})), daemon=True)
        said.start()
        try:
            if line[3] == "devenv":
                assert process.stdout is not None  # noqa: S101 - asked for above
                job.document = read_document(process.stdout.read())
            else:
                follow(process.stdout, lambda text: take(job, text))
            code = process.wait()
            said.join(2.0)
        finally:
            clock.cancel()
            close_pipes(process, said)
        if job.document is None:
            last = [str(event["say"]) for event in job.events if "say" in event][-5:]
            what = "the command was ended" if code < 0 else "the command gave no answer"
            job.document = {"error": {"what": what, "detail": "\n".join(last), "cause": None, "hint": None}}
        job.code, job.ended = code, time.time()

    def stop(self, identity: str) -> bool:
        """End a job as Ctrl-C would; True when it ran."""
        job = self.get(identity)
        if job is None or job.ended is not None or job.process is None:
            return False
        end(job.process)
        return True

    def close(self) -> None:
        """End whatever runs, and start nothing more."""
        with self._lock:
            self._closed = True
            running = [job.process for job in self._jobs.values() if job.ended is None and job.process]
        for process in running:
            end(process)
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10.0)


def close_pipes(process: subprocess.Popen[bytes], reader: threading.Thread) -> None:
    """Close what was read of a process; not what a child of it, which lives on, still writes to."""
    if process.stdout is not None:
        process.stdout.close()
    if process.stderr is not None and not reader.is_alive():
        process.stderr.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end; devenv's commands leave everything as it was, or as it is to be."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()


def follow(stream: Any, take_line: Callable[[str], None]) -> None:
    """Each line of a stream, without secrets, until its end."""
    for raw in iter(lambda: stream.readline(LINE), b""):
        text = mask_text(raw.decode("utf-8", "replace").rstrip("\r\n"))
        if text:
            take_line(text)


def take(job: PageJob, text: str) -> None:
    """One line of a worker: an event, or the document at the end."""
    try:
        found = json.loads(text)
    except ValueError:
        return
    if isinstance(found, dict) and "document" in found:
        job.document = found["document"]
    elif isinstance(found, dict):
        job.add(found)


def read_document(raw: bytes) -> Mapping[str, Any] | None:
    """The one JSON document of a command."""
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
