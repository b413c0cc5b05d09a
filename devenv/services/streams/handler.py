"""The project's function in a process of its own, kept warm between batches, as Lambda does.

It is started again when one of its files changed, after a time-out, and after it ended by itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
START_S: Final = 30.0
ANSWER_BYTES: Final = 6_000_000  # Lambda's limit for a response
END_S: Final = 2.0


@dataclass(frozen=True)
class HandlerOutcome:
    """How a call ended. `wrote`: DynamoDB writes as `(operation, request body)`, where the interpreter tells them."""

    result: Any = None
    error: str | None = None
    place: str | None = None
    wrote: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class HandlerProgram:
    """The program to run.

    `function` of `file` by `interpreter`, or with `command` a program that reads the lines itself.
    """

    folder: Path
    environ: Mapping[str, str]
    timeout_s: float
    name: str
    arn: str
    file: str = ""
    function: str = ""
    interpreter: str = sys.executable
    command: tuple[str, ...] = ()


@dataclass
class HandlerProcess:
    """The process. Used by one thread."""

    call: HandlerProgram
    process: subprocess.Popen[bytes] | None = None
    answers: int = -1
    rest: bytes = b""
    files: dict[str, float] = field(default_factory=dict)
    unloaded: HandlerOutcome | None = None

    def invoke(self, event: Mapping[str, Any]) -> HandlerOutcome:
        """Give the function an event; within `timeout_s` it answers, or its process is ended."""
        if self.changed():
            self.close()
        if self.process is None or self.process.poll() is not None:
            self.close()
            if problem := self.start():
                return problem
        context = {
            "function_name": self.call.name,
            "request_id": str(uuid.uuid4()),
            "arn": self.call.arn,
            "timeout_s": self.call.timeout_s,
        }
        # A command reads an event a line; the runners also want the context.
        line = json.dumps(event if self.call.command else {"event": event, "context": context}) + "\n"
        return self.ask(line.encode(), self.call.timeout_s)

    def start(self) -> HandlerOutcome | None:
        """Run the process and wait until the module is loaded; the outcome when that fails."""
        reader, writer = os.pipe()
        arguments = [self.call.file, self.call.function, str(writer)]
        if self.call.command:
            command = list(self.call.command)
        elif self.call.file.endswith((".js", ".cjs", ".mjs")):
            command = [self.call.interpreter, str(HERE / "runner.cjs"), *arguments]
        else:
            command = [self.call.interpreter, str(HERE / "runner.py"), *arguments]
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=writer if self.call.command else None,
                cwd=self.call.folder,
                env=dict(self.call.environ),
                pass_fds=() if self.call.command else (writer,),
                process_group=0,  # of the worker's session, so that it is found when the worker is gone
            )
        except OSError as error:
            os.close(reader)
            return HandlerOutcome(error=f"{command[0]} cannot be run: {error.strerror or error}")
        finally:
            os.close(writer)
        self.answers, self.rest = reader, b""
        if self.call.command:
            return None
        found = self.ask(b"", START_S)
        if found.error:
            self.close()
        return found if found.error else None

    def ask(self, line: bytes, patience_s: float) -> HandlerOutcome:
        """Send a line and wait for one."""
        end = time.monotonic() + patience_s
        assert self.process is not None and self.process.stdin is not None  # noqa: S101, PT018 - it was just started
        try:
            self.process.stdin.write(line)
            self.process.stdin.flush()
        except OSError:
            return self.ended()
        while b"\n" not in self.rest:
            ready, _, _ = select.select([self.answers], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                self.close()
                return HandlerOutcome(error=f"no answer within {patience_s:g} s; its process was ended")
            chunk = os.read(self.answers, 1 << 16)
            if not chunk:
                return self.ended()
            self.rest += chunk
            if len(self.rest) > ANSWER_BYTES:
                self.close()
                return HandlerOutcome(error=f"its answer has more than {ANSWER_BYTES} bytes")
        first, _, self.rest = self.rest.partition(b"\n")
        return self.read(first)

    def read(self, line: bytes) -> HandlerOutcome:
        """The outcome that a line tells."""
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            return HandlerOutcome(error=f"its answer is not a JSON object: {line[:80].decode('utf-8', 'replace')}")
        if self.call.command:
            error = found.get("error")
            return HandlerOutcome(result=found, error=None if error is None else str(error))
        for file in found.get("files", ()):
            with contextlib.suppress(OSError):
                self.files.setdefault(file, os.stat(file).st_mtime)
        wrote = tuple((str(name), str(body)) for name, body in found.get("wrote", ()))
        return HandlerOutcome(found.get("result"), found.get("error"), found.get("place"), wrote)

    def ended(self) -> HandlerOutcome:
        """The process ended while it was asked."""
        code = None
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self.process.wait(END_S)
        self.close()
        return HandlerOutcome(
            error=f"its process ended with exit code {code}" if code is not None else "its process ended"
        )

    def changed(self) -> bool:
        """Return True if a file that it loaded is another one now."""
        for file, known in self.files.items():
            try:
                if os.stat(file).st_mtime != known:
                    return True
            except OSError:
                return True
        return False

    def close(self) -> None:
        """End the process and what it started."""
        if self.process is not None:
            if self.process.stdin is not None:
                with contextlib.suppress(OSError):
                    self.process.stdin.close()
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
        if self.answers >= 0:
            os.close(self.answers)
            self.answers = -1
        self.rest = b""
        self.files.clear()
