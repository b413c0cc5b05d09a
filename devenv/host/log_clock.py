"""The clock of a project's logs: records when each log grew, so that `devenv logs` can show the time of every line.

Services write into their log files themselves, and go on when devenv has ended. This is a process of its own beside
them, run by path with the standard library alone (10 MB, no work while nothing is written). Nothing waits for it: if it
is killed, lines have the time of the next note. It ends by itself once no service is meant to be up.

`<log>.times` has lines `offset seconds`: what the log has from this byte on was written then, or later.
"""

from __future__ import annotations

import json
import os
import sys
import time

POLL_S = 0.1
# How often it asks whether it is still wanted, and how long not at all: `up` starts it before the services.
CHECK_S, GRACE_S = 1.0, 30.0
LIMIT = 1024 * 1024
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)


def note(log: str, offset: int, at: float) -> None:
    """Append one line to a log's times; of a long file only the newer half is kept."""
    file = f"{log}.times"
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | NO_FOLLOW, 0o600)
    try:
        if os.fstat(handle).st_size > LIMIT:
            kept = os.pread(handle, LIMIT, LIMIT // 2).partition(b"\n")[2]
            os.ftruncate(handle, 0)
            os.write(handle, kept)
        os.write(handle, f"{offset} {at:.3f}\n".encode())
    finally:
        os.close(handle)


def look(folder: str, sizes: dict[str, int]) -> None:
    """Note each log that has grown, or was begun anew, since the last look. Containers tell their own times."""
    now = time.time()
    names = set(os.listdir(folder))
    for name in names:
        if not name.endswith(".log") or f"{name[:-4]}.since" in names:
            continue
        log = os.path.join(folder, name)
        try:
            size = os.lstat(log).st_size
        except OSError:
            continue
        known = sizes.get(log, 0)
        if size != known:
            note(log, known if size > known else 0, now)
            sizes[log] = size


def is_wanted(state: str) -> bool:
    """Return True while a service of the project is meant to be up."""
    try:
        with open(state, "rb") as file:
            services = json.load(file)["services"]
        return any(record.get("started") for record in services.values())
    except (OSError, ValueError, KeyError, AttributeError):
        return False


def main(folder: str, state: str) -> None:
    """Watch the logs in a folder until no service of the project's state is meant to be up."""
    sizes: dict[str, int] = {}
    began = asked = time.monotonic()
    try:
        for name in os.listdir(folder):
            if name.endswith(".log"):
                sizes[os.path.join(folder, name)] = os.lstat(os.path.join(folder, name)).st_size
        while True:
            look(folder, sizes)
            now = time.monotonic()
            if now - asked > CHECK_S and now - began > GRACE_S:
                asked = now
                if not is_wanted(state):
                    return
            time.sleep(POLL_S)
    except OSError:
        # The folder was deleted, or a link is in the place of a file.
        return


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
