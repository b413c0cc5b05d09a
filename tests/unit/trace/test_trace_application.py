"""The process of a family that answers: a reloader keeps the socket that its child serves."""

from __future__ import annotations

import subprocess
import sys

import psutil

from devenv.trace.application import serving

RELOADER = """
import os, socket, sys, time
listening = socket.socket()
listening.bind(("127.0.0.1", 0))
listening.listen()
time.sleep(0.05)
if not os.fork():
    print(os.getpid(), listening.getsockname()[1], flush=True)
time.sleep(30)
"""


def test_the_process_that_a_reloader_started_last_is_the_one_that_answers() -> None:
    parent = subprocess.Popen([sys.executable, "-c", RELOADER], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child, port = map(int, parent.stdout.readline().split())
    try:
        assert serving(parent.pid, port) == child
        assert serving(parent.pid, None) == parent.pid
    finally:
        psutil.Process(child).kill()
        parent.kill()
        parent.wait()
        parent.stdout.close()
