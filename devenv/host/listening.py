"""The TCP ports that a process listens on.

`/proc/net/tcp`, which psutil reads for each process, lists every connection of the machine: with a few thousand of them
one look takes 15 ms. On Linux the kernel is asked for listening sockets only (sock_diag(7), as `ss -lt` does: 0.2 ms).
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from typing import Final

import psutil

from devenv.core.late import late

# (address, port), by the inode that /proc/PID/fd names.
Listening = dict[int, tuple[str, int]]

NETLINK_SOCK_DIAG: Final = 4
SOCK_DIAG_BY_FAMILY: Final = 20
REQUEST_OF_ALL: Final = 0x301
ERROR, DONE = 2, 3
LISTENS: Final = 1 << 10
# struct nlmsghdr and struct inet_diag_req_v2, whose addresses are left empty.
REQUEST: Final = struct.Struct("=IHHII BBBxI 48x")
HEADER: Final = struct.Struct("=IH10x")
# Of struct inet_diag_msg: the port, the address (an IPv4 one has four bytes of it), the inode.
SOCKET: Final = struct.Struct("!4xH2x16s44x4s")
ANSWER_BYTES: Final = 1 << 16
OF_SOCKET: Final = late(r"socket:\[(\d+)\]")


def listening(pid: int) -> list[tuple[str, int]]:
    """(address, port) of each TCP socket on which a process listens. psutil.Error if it cannot be looked at."""
    try:
        known = all_listening() if is_beside(pid) else None
    except OSError:
        known = None  # Another system, or a sandbox that does not let the kernel be asked.
    if known is None:
        sockets = psutil.Process(pid).net_connections(kind="tcp")
        return [(seen.laddr.ip, seen.laddr.port) for seen in sockets if seen.status == psutil.CONN_LISTEN]
    return sorted(known[inode] for inode in inodes_of(pid) if inode in known)


def is_beside(pid: int) -> bool:
    """Return True if a process has this one's network: that of a container has other sockets. OSError if unknown."""
    return os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net")


def inodes_of(pid: int) -> set[int]:
    """The inodes of a process's sockets. psutil.Error if it is gone, or another user's."""
    found = set()
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                link = OF_SOCKET.fullmatch(os.readlink(f"/proc/{pid}/fd/{name}"))
            except FileNotFoundError:
                continue  # Closed meanwhile.
            if link:
                found.add(int(link[1]))
    except PermissionError:
        raise psutil.AccessDenied(pid) from None
    except OSError:
        raise psutil.NoSuchProcess(pid) from None
    return found


def all_listening() -> Listening:
    """Every listening TCP socket of this network, of all users. OSError where the kernel does not tell."""
    return ask_kernel(socket.AF_INET) | ask_kernel(socket.AF_INET6)


def ask_kernel(family: int) -> Listening:
    """Those of IPv4 or of IPv6."""
    netlink = getattr(socket, "AF_NETLINK", None)
    if netlink is None:
        raise OSError("no netlink on this system")
    found: Listening = {}
    with socket.socket(netlink, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(1)
        kernel.send(
            REQUEST.pack(
                REQUEST.size, SOCK_DIAG_BY_FAMILY, REQUEST_OF_ALL, 0, 0, family, socket.IPPROTO_TCP, 0, LISTENS
            )
        )
        while True:
            answer, at = kernel.recv(ANSWER_BYTES), 0
            while at < len(answer):
                size, kind = HEADER.unpack_from(answer, at)
                if kind == DONE:
                    return found
                if kind == ERROR:
                    raise OSError("the kernel does not list sockets")
                port, address, inode = SOCKET.unpack_from(answer, at + HEADER.size)
                text = socket.inet_ntop(family, address[: 4 if family == socket.AF_INET else 16])
                found[int.from_bytes(inode, sys.byteorder)] = (text, port)
                # Messages begin at multiples of four.
                at += (size + 3) & ~3
