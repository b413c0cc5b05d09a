"""A worker as a process of its own: `python -m devenv.services.streams FILE`, with the settings in a JSON file."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import msgspec

from devenv.services.streams.worker import StreamSettings, Worker


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    settings = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=StreamSettings)
    worker = Worker(settings, dict(os.environ))
    # `devenv restart` gives a function that was stopped another chance.
    worker.position.stopped = None
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda number, frame: worker.stop())
    worker.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
