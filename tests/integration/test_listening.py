"""The ports that processes listen on, as the kernel tells them, are those that psutil sees."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from devenv.host.listening import all_listening, listening

LISTEN = """
import contextlib, socket, time
held = [socket.create_server(("127.0.0.1", 0)), socket.create_server(("0.0.0.0", 0))]
held.append(socket.create_connection(held[0].getsockname()))
with contextlib.suppress(OSError):
    held.append(socket.create_server(("::1", 0), family=socket.AF_INET6))
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def listener() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", LISTEN], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        yield child.pid
        child.kill()


def test_it_is_what_psutil_sees(listener: int) -> None:
    found = listening(listener)
    sockets = psutil.Process(listener).net_connections(kind="tcp")
    assert found == sorted(tuple(seen.laddr) for seen in sockets if seen.status == psutil.CONN_LISTEN)
    assert {"127.0.0.1", "0.0.0.0"} <= {address for address, _ in found}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's kernel is asked")
def test_the_kernel_is_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        inode = os.fstat(held.fileno()).st_ino
        assert all_listening()[inode] == held.getsockname()
    assert inode not in all_listening()


def test_a_process_that_is_gone_has_no_ports() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    with pytest.raises(psutil.Error):
        listening(child.pid)
