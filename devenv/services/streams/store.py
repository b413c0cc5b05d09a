"""Did the store end while a function was called? What failed for that is no fault of the function."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

PATIENCE_S: Final = 1.0
# The store itself closes a connection that is idle for longer.
IDLE_S: Final = 20.0


def watch_store(endpoint: str) -> Callable[[], bool]:
    """Begin to watch; the returned function ends that, and returns True if the store ended since, or is not there."""
    place = urlsplit(endpoint)
    began = time.monotonic()
    try:
        connection = socket.create_connection((place.hostname or "127.0.0.1", place.port or 80), PATIENCE_S)
    except OSError:
        return lambda: True

    def ended() -> bool:
        with connection:
            connection.setblocking(False)
            try:
                closed = connection.recv(1) == b""
            except BlockingIOError:
                return False
            except OSError:
                closed = True
            return closed and time.monotonic() - began < IDLE_S

    return ended
