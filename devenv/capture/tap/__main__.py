"""The tap as a process of its own: `python -m devenv.capture.tap --journal FILE KIND=PORT:HOST:PORT …`."""

from __future__ import annotations

import argparse
import errno
import gc
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

from devenv.capture.tap.journal import CallJournal, read
from devenv.capture.tap.server import KINDS, Tap, TapRoute
from devenv.config.masking import learn

BATCH: Final = 64
GARBAGE: Final = 50_000
"""Objects between two searches for cycles."""


def route(text: str) -> TapRoute:
    """`postgres=6432:127.0.0.1:5432`."""
    kind, _, rest = text.partition("=")
    port, _, target = rest.partition(":")
    host, _, to = target.rpartition(":")
    if kind not in KINDS or not (port.isdecimal() and to.isdecimal() and host):
        raise argparse.ArgumentTypeError(f"{text}: not KIND=PORT:HOST:PORT")
    return TapRoute(kind, int(port), (host.strip("[]"), int(to)))


def last_request(path: Path) -> int:
    """The number of the last request in the journal, so that numbers go on and name one request each."""
    return max((int(line.get("number", 0)) for line in read(path) if line.get("kind") == "request"), default=0)


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="devenv.capture.tap")
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--contents", action="store_true")
    parser.add_argument("routes", nargs="+", type=route)
    arguments = parser.parse_args()
    learn(*json.loads(os.environ.pop("DEVENV_TAP_HIDDEN", "[]")))
    journal = CallJournal(arguments.journal)
    earlier = last_request(journal.path)
    told: dict[str, int] = {}

    def tick() -> None:
        if dict(tap.unparsed) != told:
            told.clear()
            told.update(tap.unparsed)
            journal.note(kind="unparsed", reasons=dict(told))
        journal.flush()

    try:
        tap = Tap(tuple(arguments.routes), journal.add, contents=arguments.contents, tick=tick, batch=BATCH)
    except OSError as error:
        # devenv knows this sentence: the port goes to another process, and the tap to another port.
        print(f"{error.strerror}: {' '.join(sys.argv[1:])}", file=sys.stderr)  # noqa: T201 - its log
        return 6 if error.errno == errno.EADDRINUSE else 1
    tap.requests.numbers = earlier
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda number, frame: tap.relay.stop())
    # Records are in no cycles: to look for them after every few calls would take a tenth of the time.
    gc.freeze()
    gc.set_threshold(GARBAGE)
    journal.note(kind="started", at=time.time(), ports=tap.ports)
    tap.relay.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
