"""Connection settings that lead to other addresses: through the tap, and back. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]", "::1")
PORT_NAME: Final = re.compile(r"port$", re.IGNORECASE)

Places = Mapping[tuple[str, int], tuple[str, int]]
"""(host, port) -> (host, port)."""


def redirect(environ: Mapping[str, str], places: Places) -> dict[str, str]:
    """The variables with each address that is in `places` replaced: in URLs, in `host:port`, and where host and port
    are variables of their own (PGHOST and PGPORT, DB_HOST and DB_PORT). All names of loopback are one host.
    """
    ports = {port: (host, to) for (host, port), to in places.items()}
    if not ports:
        return dict(environ)
    address = re.compile(rf"(?P<host>\[[0-9a-fA-F:]+\]|[\w.-]+):(?P<port>{'|'.join(map(str, ports))})(?!\d)")

    def put(found: re.Match[str]) -> str:
        host, to = ports[int(found["port"])]
        return f"{to[0]}:{to[1]}" if same_host(found["host"], host) else found[0]

    changed = {name: address.sub(put, value) for name, value in environ.items()}
    for name, value in environ.items():
        if not (PORT_NAME.search(name) and value.isdecimal() and int(value) in ports):
            continue
        host, to = ports[int(value)]
        beside = re.sub(PORT_NAME, "HOST" if name.isupper() else "host", name)
        if same_host(environ.get(beside) or host, host):
            changed[name] = str(to[1])
            if beside in environ:
                changed[beside] = to[0]
    return changed


def same_host(one: str, other: str) -> bool:
    """Return True if two names are of the same host, as far as the names tell."""
    return one == other or (one in LOOPBACK and other in LOOPBACK)
