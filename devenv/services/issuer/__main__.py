"""`python -m devenv.services.issuer` serves the public key and OpenID configuration of a project on 127.0.0.1.

Only a Host of this machine is answered, so that no page in a browser reads it by another name.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any, Final

from devenv.config.issuer import CONFIGURATION, JWKS
from devenv.core.errors import Exit
from devenv.services.issuer.key import read_key

ADDRESS: Final = "127.0.0.1"
PATIENCE_S: Final = 5.0


def documents(issuer: str, public: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Path below the issuer -> document. There is no sign-in page, so no address of one is named."""
    return {
        JWKS: {"keys": [public]},
        CONFIGURATION: {
            "issuer": issuer,
            "jwks_uri": issuer + JWKS,
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "token"],
            "scopes_supported": ["openid", "email", "phone", "profile"],
            "subject_types_supported": ["public"],
        },
    }


class IssuerHandler(BaseHTTPRequestHandler):
    """Answers GET of the documents; `server` is an IssuerServer."""

    timeout = PATIENCE_S
    server: IssuerServer

    def do_GET(self) -> None:
        """200 with a document, 403 to a Host of another name, 404."""
        if self.headers.get("Host", "") not in self.server.hosts:
            self.respond(403, {"message": "this Host is not served"})
        elif (found := self.server.documents.get(self.path.partition("?")[0])) is None:
            self.respond(404, {"message": "there is only " + " and ".join(self.server.documents)})
        else:
            self.respond(200, found)

    def respond(self, status: int, body: dict[str, Any]) -> None:
        """Send JSON."""
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def version_string(self) -> str:
        """No version of Python in the answers."""
        return "devenv"


class IssuerServer(ThreadingHTTPServer):
    """The documents of one issuer on a port."""

    daemon_threads = True

    def __init__(self, port: int, pool: str, public: dict[str, str]) -> None:
        super().__init__((ADDRESS, port), IssuerHandler)
        taken = self.server_address[1]
        self.hosts = {f"{ADDRESS}:{taken}", f"localhost:{taken}"}
        issuer = f"http://{ADDRESS}:{taken}/{pool}"
        self.documents = {f"/{pool}{path}": body for path, body in documents(issuer, public).items()}


def main() -> int:
    """Serve until SIGTERM. 6 when the port is taken, 1 without a key."""
    parser = argparse.ArgumentParser(prog="devenv.services.issuer")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pool", required=True)
    asked = parser.parse_args()
    key = read_key(asked.root)
    if key is None:
        sys.stderr.write("there is no signing key; `devenv up` makes one\n")
        return Exit.FOUND
    try:
        server = IssuerServer(asked.port, asked.pool, key.published())
    except OSError as error:
        sys.stderr.write(f"port {asked.port}: {error}\n")
        return Exit.PORT
    signal.signal(signal.SIGTERM, end)
    with server:
        server.serve_forever()
    return Exit.DONE


def end(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends it at once: nothing is half done."""
    sys.exit(Exit.DONE)


if __name__ == "__main__":
    sys.exit(main())
