"""Kind `notebook`: a small store over HTTP, one text in one file."""

from __future__ import annotations

import dataclasses
import http.server
import shutil
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from devenv.core.errors import StoreError
from devenv.engines.kinds.kind import ServiceKind, data_folder
from devenv.engines.own import service_marks
from devenv.engines.process import Launch

if TYPE_CHECKING:
    from devenv.config.services import Own


class Notebook(ServiceKind):
    """One text, in one file."""

    name: ClassVar[str] = "notebook"
    kept: ClassVar[bool] = True

    def launch(self, engine: Any, own: Own, environment: Mapping[str, str]) -> Launch:
        folder = data_folder(engine, own.name)
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, __file__, str(engine.port(own.name)), str(folder / "text")]
        return Launch(command, {"PATH": "/usr/bin", **service_marks(engine, own)}, folder, None, "1.0")

    def inputs(self, engine: Any, own: Own, environment: Mapping[str, str]) -> dict[str, str]:
        return {"": str(engine.port(own.name))}

    def check(self, engine: Any, own: Own, environment: Mapping[str, str], *, look_only: bool) -> list[str]:
        url = self.target(engine, own).url
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except OSError as error:
            raise StoreError(f"{url} does not answer", detail=str(error), reached=False) from None
        return ["text"]

    def target(self, engine: Any, own: Own) -> Any:
        found = super().target(engine, own)
        return dataclasses.replace(found, variables={"NOTEBOOK_URL": found.url})

    def save(self, engine: Any, own: Own, target: Path) -> None:
        if (text := data_folder(engine, own.name) / "text").exists():
            shutil.copy(text, target)

    def restore(self, engine: Any, own: Own, source: Path) -> None:
        data_folder(engine, own.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(source, data_folder(engine, own.name) / "text")


KIND: Final = Notebook()


def serve(port: int, file: Path) -> None:
    """GET is the text, PUT replaces it."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(file.read_bytes() if file.exists() else b"")

        def do_PUT(self) -> None:
            file.write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

    print("serving", port, flush=True)
    http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))
