"""Worker processes: started, given jobs one by one, listened to, ended. What one cannot do is told, not passed over."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from devenv.core.value import Value
from devenv.verify.run import Run
from devenv.verify.work import open_private

LOG_TAIL: Final = 2000


class Job(Value, frozen=True):
    """A task for a worker: a kind of `work.JOBS`, of a number."""

    kind: str
    number: int


class JobMessage(Value, frozen=True):
    """A message about a job: `progress`, or its end: `done` or `failed` (`what`, `detail`)."""

    job: Job
    progress: int = 0
    done: dict[str, Any] | None = None
    failed: dict[str, Any] | None = None


class Crew:
    """Workers for one run, which keeps its files in `folder`; a context manager that leaves none behind.

    The first one starts at once, so that it is ready when it is known what there is to do.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._workers = [self._start(0)]
        self._peaks: list[int] = []

    def begin(self, run: Run, count: int) -> None:
        """Have `count` workers, and tell them the run."""
        self._workers += [self._start(number) for number in range(1, count)]
        self._peaks = [0] * count
        for worker in self._workers:
            self._send(worker, run)

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        """One worker. It finds this devenv wherever this process found it, and nothing in the working folder."""
        with open_private(self.folder / f"worker-{number}.log") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "devenv.verify.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,
            )

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.kill()
            worker.communicate()
        for log in self.folder.glob("worker-*.log"):
            log.unlink()

    @property
    def peak_bytes(self) -> int:
        """The most memory that the workers have had, together."""
        return sum(self._peaks)

    def work(self, jobs: Iterable[Job]) -> Iterator[JobMessage]:
        """Everything heard of these jobs, as it comes. After a failure no further job is begun."""
        waiting = deque(jobs)
        heard: queue.SimpleQueue[JobMessage | None] = queue.SimpleQueue()
        threads = [
            threading.Thread(target=self._lead, args=(number, waiting, heard), daemon=True)
            for number in range(len(self._workers))
        ]
        for thread in threads:
            thread.start()
        left = len(threads)
        while left:
            told = heard.get()
            if told is None:
                left -= 1
                continue
            if told.failed is not None:
                waiting.clear()
            yield told

    def _lead(self, number: int, waiting: deque[Job], heard: queue.SimpleQueue[JobMessage | None]) -> None:
        """Give one worker jobs until there are none; whatever happens, say that it has ended."""
        try:
            self._give_jobs(number, waiting, heard)
        finally:
            heard.put(None)

    def _give_jobs(self, number: int, waiting: deque[Job], heard: queue.SimpleQueue[JobMessage | None]) -> None:
        worker = self._workers[number]
        assert worker.stdout is not None  # noqa: S101 - it was started with a pipe
        while waiting:
            try:
                job = waiting.popleft()
            except IndexError:
                break
            self._send(worker, {"kind": job.kind, "number": job.number})
            for line in worker.stdout:
                if not line.endswith(b"\n"):
                    continue  # It died while it wrote.
                message = msgspec.json.decode(line)
                if "progress" in message:
                    heard.put(JobMessage(job, progress=message["progress"]))
                    continue
                self._peaks[number] = message.get("peak", self._peaks[number])
                heard.put(JobMessage(job, done=message.get("done"), failed=message.get("failed")))
                break
            else:
                heard.put(JobMessage(job, failed=self._obituary(number)))
                break

    def _send(self, worker: subprocess.Popen[bytes], message: Any) -> None:
        """One line to a worker; one that is dead shows when it is listened to."""
        assert worker.stdin is not None  # noqa: S101 - it was started with a pipe
        try:
            worker.stdin.write(msgspec.json.encode(message) + b"\n")
            worker.stdin.flush()
        except BrokenPipeError:
            pass

    def _obituary(self, number: int) -> dict[str, Any]:
        """The failure of a job whose worker died."""
        code = self._workers[number].wait()
        log = (self.folder / f"worker-{number}.log").read_text(errors="replace")[-LOG_TAIL:].strip()
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        return {"what": f"a worker died ({how})", "detail": log or None}
