"""A service whose port another program takes the first time, between the choice of the port and its own start."""

from __future__ import annotations

PROGRAM = """\
import http.server, pathlib, subprocess, sys, time

port, thief = int(sys.argv[1]), pathlib.Path("thief")
if not thief.exists():
    BEFORE
    code = (
        "import os, socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); "
        "print(os.getpid(), flush=True); time.sleep(120)"
    )
    # No child of this process: it would count as a part of the service.
    command = ["sh", "-c", '"$@" &', "sh", sys.executable, "-S", "-c", code, str(port)]
    shell = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True, env={}, text=True)
    shell.wait()
    thief.write_text(shell.stdout.readline())
    AFTER
    sys.exit("the port is taken")
http.server.HTTPServer(("127.0.0.1", port), http.server.BaseHTTPRequestHandler).serve_forever()
"""


def robbed_service(before: str = "pass", after: str = "pass") -> str:
    """Its code, with a statement before and after the theft. The file `thief` has the other program's pid."""
    return PROGRAM.replace("BEFORE", before).replace("AFTER", after)
