"""The services that a process has open connections to: evidence of where it really goes."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping

import psutil

from devenv.host.addresses import is_loopback

Place = tuple[str, int]


def connected(pids: Iterable[int], places: Mapping[str, Iterable[Place]]) -> frozenset[str] | None:
    """The names of `places` (name -> hosts and ports) that any of these processes has an open connection to.

    None where none of the processes can be looked at.
    """
    remote: set[Place] = set()
    looked = False
    for pid in pids:
        try:
            sockets = psutil.Process(pid).net_connections(kind="tcp")
        except psutil.Error:
            continue
        looked = True
        remote |= {(seen.raddr.ip, seen.raddr.port) for seen in sockets if seen.status == psutil.CONN_ESTABLISHED}
    if not looked:
        return None
    return frozenset(name for name, known in places.items() if any(leads_to(remote, place) for place in known))


def leads_to(remote: Iterable[Place], place: Place) -> bool:
    """Return True if one of these addresses is a place, whose host may be a name."""
    host, port = place
    ips = {ip for ip, at in remote if at == port}
    if is_loopback(host):
        return any(map(is_loopback, ips))
    if not ips:
        return False
    try:
        return not ips.isdisjoint(str(info[4][0]) for info in socket.getaddrinfo(host, None))
    except (OSError, UnicodeError):
        return False
