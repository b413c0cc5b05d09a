"""Stream workers as processes of this machine, on every engine: their files, their settings, and how far they are."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from devenv.config.services import Own
from devenv.config.workers import HandlerPlace, handler_places
from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.host.writing import open_append, write_private
from devenv.services.streams.refused import AGAIN

if TYPE_CHECKING:
    from devenv.engines.process import ProcessServices as Engine
    from devenv.services.streams.position import Position

MODULE: Final = "devenv.services.streams"
FOLDER: Final = "streams"


def state_file(engine: Engine, name: str) -> Path:
    """How far a worker is, beside the data that it follows."""
    return engine.home / FOLDER / f"{name}.position.json"


def failed_file(engine: Engine, name: str) -> Path:
    """The records that a worker's function refused, one batch a line."""
    return engine.home / FOLDER / f"{name}.failed.jsonl"


def retry_file(engine: Engine, name: str) -> Path:
    """Refused records that the worker gives to its function again when it starts."""
    return engine.home / FOLDER / f"{name}.failed.jsonl{AGAIN}"


def count_refused(engine: Engine, name: str) -> int:
    """How many refused records are kept; 0 when the file is not there, or cannot be read."""
    from devenv.services.streams.refused import count_records

    return count_records(failed_file(engine, name))


def retry(engine: Engine, name: str) -> int:
    """Let the worker get its refused records again at its next start. How many they are. DevenvError when it cannot."""
    found = count_refused(engine, name)
    if not found:
        return 0
    source, target = failed_file(engine, name), retry_file(engine, name)
    try:
        if target.exists():  # a worker was killed while it had them: those that are left come first
            with open_append(target) as file:
                file.write(source.read_bytes())
            source.unlink()
        else:
            source.rename(target)
    except OSError as error:
        raise DevenvError(
            f"the refused records of {name} cannot be moved", detail=str(error), hint=f"look at {source}"
        ) from None
    return found


def settings_file(engine: Engine, name: str) -> Path:
    """The file of settings that a worker is started with."""
    return engine.home / FOLDER / f"{name}.settings.json"


def position(engine: Engine, name: str) -> Position | None:
    """How far a worker is; None when it has never run with this data."""
    from devenv.services.streams.position import read

    return read(state_file(engine, name))


def command(engine: Engine, own: Own) -> list[str]:
    """The worker's command line. -P: what lies in the working folder is no module."""
    return [sys.executable, "-P", "-m", MODULE, str(settings_file(engine, own.name))]


def find_handler(folder: Path, handler: str) -> HandlerPlace | None:
    """The handler's file that is there; None when there is none."""
    return next((place for place in handler_places(handler) if (folder / place.file).is_file()), None)


def settings_text(engine: Engine, own: Own, words: list[str], python: str) -> bytes:
    """The worker's settings as JSON; `words` is the filled in command. UsageError without the handler's file."""
    from devenv.services.streams.worker import StreamSettings

    worker = own.worker
    assert worker is not None  # noqa: S101 - only stream workers come here
    folder = engine.root / own.folder
    place = HandlerPlace("", "", None)
    if worker.handler:
        found = find_handler(folder, worker.handler)
        if found is None:
            raise UsageError(
                f"{own.section} handler: there is no such file: {worker.handler}",
                detail=f"looked for {', '.join(each.file for each in handler_places(worker.handler))} in {folder}",
                hint="devenv help streams",
            )
        place = found
    target = engine.store_targets()[1]
    return msgspec.json.format(
        msgspec.json.encode(
            StreamSettings(
                name=own.name,
                table=worker.stream or "",
                endpoint=target.endpoint,
                region=target.region,
                folder=str(folder),
                state_file=str(state_file(engine, own.name)),
                failed_file=str(failed_file(engine, own.name)) if worker.on_failure == "file" else "",
                ledger="" if worker.on_seed else str(engine.home / "ledger.sqlite"),
                file=str(folder / place.file) if place.file else "",
                function=place.function,
                interpreter=node(engine) if place.language == "node" else python,
                command=words,
                filters=list(worker.filter),
                size=worker.batch.size,
                window_s=worker.batch.window_s,
                retries=worker.retries,
                timeout_s=worker.timeout_s,
            )
        )
    )


def node(engine: Engine) -> str:
    """The Node of the user's PATH. DevenvError (10) without one."""
    found = shutil.which("node", path=engine.environ.get("PATH"))
    if found is None:
        raise DevenvError(
            "node is not installed, and a handler needs it",
            exit_code=Exit.MISSING,
            hint="install Node.js, then devenv up",
        )
    return found


def write_settings(engine: Engine, own: Own, content: bytes) -> None:
    """Put the settings where the worker finds them."""
    file = settings_file(engine, own.name)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(file, content)
