"""Launch DynamoDB Local on loopback, and make the archive of loaded classes that lets it start faster.

Java 25 calls it an AOT cache, older ones a CDS archive. It belongs to one Java, one jar and one launcher. A JVM that
cannot use it starts without it, so nothing depends on it. `start_training` makes it in the background, from a server
of its own on a temporary folder; the project's data is never touched.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import msgspec

from devenv.core.errors import DevenvError, Exit, StoreError
from devenv.core.model import DynamoTarget
from devenv.engines.embedded.building import make_cache
from devenv.engines.embedded.java import Java
from devenv.engines.embedded.parts import Local
from devenv.stores.dynamodb.client import Dynamo

# In 1.25.1 -disableTelemetry alone still looks up and calls Amazon's telemetry host before the server answers, which
# takes half of the start; the variable is heeded. Java finds files with non-ASCII names only in a UTF-8 locale.
ENVIRONMENT: Final = {"DDB_LOCAL_TELEMETRY": "0", "LC_ALL": "C.UTF-8"}
# By default every page in the user's browser may read the tables. No page can have this origin, whatever a resolver
# answers: a browser gives pages with such a scheme the origin `null`.
NO_ORIGIN: Final = "devenv:none"
FLAGS: Final = (
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
    "-Djava.net.preferIPv4Stack=true",
    "-Dlog4j2.disable.jmx=true",
)
FIRST_AOT_JAVA: Final = 25
# SQLite refuses names longer than 512 bytes; the longest that the server opens is the journal's.
LONGEST_DATA_PATH: Final = 511 - len("/shared-local-instance.db-journal")
TRAINING_PATIENCE_S: Final = 300.0
RETRY_AFTER_S: Final = 24 * 3600.0


def launch_command(
    java: Java, local: Local, archive_dir: Path, port: int, data_dir: Path, temp: Path | None = None
) -> list[str]:
    """The server's command line: 127.0.0.1:`port`, data in `data_dir`, the class archive if there is one.

    In `temp` it unpacks a library, which it leaves behind when it is killed: the system's temporary folder would fill
    up. Run it with ENVIRONMENT among its variables. DevenvError (2) when SQLite cannot open files in so long a path.
    """
    if len(os.fsencode(data_dir)) > LONGEST_DATA_PATH:
        raise DevenvError(
            f"the path of the data folder is too long for DynamoDB Local: {data_dir}",
            exit_code=Exit.USAGE,
            detail=f"it has {len(os.fsencode(data_dir))} bytes; SQLite can open files in at most {LONGEST_DATA_PATH}",
            hint="move the project to a shorter path",
        )
    archive = archive_ready(java, local, archive_dir)
    flags = [] if archive is None else archive_flags(java, archive)
    flags += [] if temp is None else [temporary(temp)]
    return [*java_command(java, local, flags), *server_arguments(port, data_dir)]


def temporary(folder: Path) -> str:
    """The JVM option for its folder of temporary files."""
    return f"-Djava.io.tmpdir={folder}"


def java_command(java: Java, local: Local, flags: list[str]) -> list[str]:
    """The command line up to the server's own arguments. It is part of what an archive is valid for."""
    program = [str(java.path), *FLAGS, *flags, f"-Djava.library.path={local.libraries}"]
    return [*program, "-jar", str(local.launcher), local.main_class]


def server_arguments(port: int, data_dir: Path) -> list[str]:
    """Return what DynamoDB Local itself is told."""
    where = ["-port", str(port), "-dbPath", str(data_dir)]
    return [*where, "-sharedDb", "-disableTelemetry", "-cors", NO_ORIGIN]


def listens_beyond_loopback(port: int) -> bool:
    """Return True if `port` is served on more than 127.0.0.1: then 127.0.0.2, which nobody binds to, answers as well.

    Check it after every start, as Amazon changes the archive under the same name. (macOS has no 127.0.0.2: False.)
    """
    try:
        with socket.create_connection(("127.0.0.2", port), timeout=1.0):
            return True
    except OSError:
        return False


def archive_flags(java: Java, archive: Path) -> list[str]:
    """The JVM options to start from `archive`. Its warnings are off: they tell only that the start is slower."""
    if java.major >= FIRST_AOT_JAVA:
        return [f"-XX:AOTCache={archive}", "-Xlog:aot*=error"]
    return [f"-XX:SharedArchiveFile={archive}", "-Xlog:cds*=error"]


def archive_path(java: Java, local: Local, archive_dir: Path) -> Path:
    """Where the archive for exactly this Java, jar and launcher has its place (`local` is named by its content)."""
    program = java.path.resolve()
    identity = f"{program} {program.stat().st_mtime_ns} {java.version} {local.launcher} {FLAGS}"
    return archive_dir / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.jsa"


def archive_ready(java: Java, local: Local, archive_dir: Path) -> Path | None:
    """The archive to launch with, or None when there is none (yet)."""
    archive = archive_path(java, local, archive_dir)
    return archive if archive.exists() else None


def start_training(
    java: Java, local: Local, archive_dir: Path, environ: Mapping[str, str]
) -> subprocess.Popen[bytes] | None:
    """Make the archive in a detached process of low priority. None when it is there, or failed within the last day.

    `environ` is devenv's own. Nothing to wait for: if two run, one ends at once.
    """
    archive = archive_path(java, local, archive_dir)
    if archive.exists() or failed_lately(archive):
        return None
    task = {"java": asdict(java), "local": asdict(local), "archive_dir": archive_dir}
    try:
        make_cache(archive_dir)
        return subprocess.Popen(
            # In a folder of our own: with -m, Python imports from the working folder first.
            [sys.executable, "-m", __spec__.name, msgspec.json.encode(task, enc_hook=str).decode()],
            cwd=archive_dir, env={**environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except OSError:
        # Services run already; a cache that cannot be written only leaves the next start as slow as this one.
        return None


def failed_lately(archive: Path) -> bool:
    """Return True if this archive could not be made within the last day."""
    try:
        return time.time() - failure_mark(archive).stat().st_mtime < RETRY_AFTER_S
    except OSError:
        return False


def failure_mark(archive: Path) -> Path:
    """The file that says why this archive could not be made."""
    return archive.with_suffix(".failed")


def train(java: Java, local: Local, archive_dir: Path) -> bool:
    """Make the archive here and now (10 s of one core). False when another process is at it, or it is there already.

    DevenvError (1) when it could not be made. Works in a temporary folder, and removes those that killed ones left.
    """
    from filelock import FileLock, Timeout

    archive = archive_path(java, local, archive_dir)
    make_cache(archive_dir)
    try:
        with FileLock(archive_dir / "train.lock", timeout=0):
            for leftover in archive_dir.glob("training-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            if archive.exists():
                return False
            folder = Path(tempfile.mkdtemp(prefix="training-", dir=archive_dir))
            try:
                made = record(java, local, folder)
                made.chmod(0o644)
                made.rename(archive)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            return True
    except Timeout:
        return False


def record(java: Java, local: Local, folder: Path) -> Path:
    """Run a server in `folder`, use it, and return the archive of what it loaded."""
    archive = folder / "made.jsa"
    if java.major >= FIRST_AOT_JAVA:
        run_server(java, local, [f"-XX:AOTCacheOutput={archive}"], folder)
    else:
        classes = folder / "classes"
        run_server(java, local, [f"-XX:DumpLoadedClassList={classes}"], folder)
        dump = ["-Xshare:dump", f"-XX:SharedClassListFile={classes}", f"-XX:SharedArchiveFile={archive}"]
        with (folder / "log").open("ab") as log:
            subprocess.run(
                java_command(java, local, dump), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
                env=ENVIRONMENT, check=False, timeout=TRAINING_PATIENCE_S,
            )  # fmt: skip
    if not archive.exists():
        raise untrained(folder, "the JVM wrote no archive")
    return archive


def run_server(java: Java, local: Local, flags: list[str], folder: Path) -> None:
    """Start a server on an empty folder and a free port, send it one of each request, and end it well."""
    data = folder / "data"
    data.mkdir()
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = int(chosen.getsockname()[1])
    # The launcher ends when its standard input does, so the server cannot outlive this process.
    flags = [*flags, "-Ddevenv.until=stdin", temporary(folder)]
    command = java_command(java, local, flags) + server_arguments(port, data)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=folder, env=ENVIRONMENT)
    try:
        # Only its own word proves that what answers on the port is this server and not somebody's data.
        end = time.monotonic() + TRAINING_PATIENCE_S
        while b"Listening on 127.0.0.1" not in (folder / "log").read_bytes():
            if server.poll() is not None or time.monotonic() > end:
                raise untrained(folder, "the server did not start")
            time.sleep(0.1)
        with Dynamo(
            DynamoTarget(f"http://127.0.0.1:{port}", "us-east-1", "training", "training"), timeout=60
        ) as dynamo:
            exercise(dynamo)
        server.communicate(timeout=TRAINING_PATIENCE_S)
    except StoreError as error:
        raise untrained(folder, f"{error}: {error.detail}") from None
    except subprocess.TimeoutExpired:
        raise untrained(folder, f"the server did not end in {TRAINING_PATIENCE_S:g} s") from None
    finally:
        server.kill()
        server.communicate()


def untrained(folder: Path, why: str) -> DevenvError:
    """The error of a training run, with the end of its log."""
    log = (folder / "log").read_text("utf-8", "replace").splitlines()
    return DevenvError(f"no class archive for DynamoDB Local: {why}", detail="\n".join(log[-20:]))


def exercise(dynamo: Dynamo) -> None:
    """Every kind of request that loading and using a project makes, so that its classes are in the archive."""
    table = "training"
    key: dict[str, Any] = {"TableName": table, "Key": {"pk": {"S": "one"}, "sk": {"S": "1"}}}
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    index_keys = [{"AttributeName": "gk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    item = {"pk": {"S": "one"}, "sk": {"S": "1"}, "gk": {"S": "x"}, "n": {"N": "1"}, "l": {"L": [{"BOOL": True}]}}
    value = {":v": {"S": "one"}}
    dynamo.call("ListTables")
    dynamo.call(
        "CreateTable",
        {
            "TableName": table,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "gk")],
            "KeySchema": keys,
            "GlobalSecondaryIndexes": [
                {"IndexName": "index", "KeySchema": index_keys, "Projection": {"ProjectionType": "ALL"}}
            ],
        },
    )
    dynamo.call("DescribeTable", {"TableName": table})
    for batch in range(4):
        dynamo.write_batch(table, [{"PutRequest": {"Item": {**item, "sk": {"S": f"{batch}-{n}"}}}} for n in range(25)])
    dynamo.call("PutItem", {"TableName": table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"})
    dynamo.call("GetItem", key)
    dynamo.call("BatchGetItem", {"RequestItems": {table: {"Keys": [key["Key"]]}}})
    dynamo.call("UpdateItem", {**key, "UpdateExpression": "SET m = :v", "ExpressionAttributeValues": value})
    query = {"TableName": table, "KeyConditionExpression": "pk = :v", "ExpressionAttributeValues": value}
    list(dynamo.pages("Query", {**query, "Limit": 40, "ScanIndexForward": False}))
    index = {":v": {"S": "x"}}
    by_index = {"KeyConditionExpression": "gk = :v", "ExpressionAttributeValues": index, "IndexName": "index"}
    dynamo.call("Query", {"TableName": table, **by_index})
    list(dynamo.scan(table, Segment=0, TotalSegments=2))
    list(dynamo.scan(table, FilterExpression="m = :v", ExpressionAttributeValues=value))
    dynamo.call("ExecuteStatement", {"Statement": f"SELECT * FROM \"{table}\" WHERE pk = 'one'"})  # noqa: S608 - own text
    moved = {"Put": {"TableName": table, "Item": {**item, "pk": {"S": "two"}}}}
    dynamo.call("TransactWriteItems", {"TransactItems": [moved, {"Delete": key}]})
    dynamo.call("DeleteItem", key)
    dynamo.call("DeleteTable", {"TableName": table})


def main(task: str) -> None:
    """The background process: `task` is what `start_training` wrote."""
    os.nice(15)
    # `devenv down` ends it: what it began goes with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    tree = msgspec.json.decode(task)
    java = Java(Path(tree["java"]["path"]), tree["java"]["version"])
    local = Local(
        launcher=Path(tree["local"]["launcher"]),
        libraries=Path(tree["local"]["libraries"]),
        main_class=tree["local"]["main_class"],
        version=tree["local"]["version"],
    )
    archive_dir = Path(tree["archive_dir"])
    try:
        train(java, local, archive_dir)
    except (DevenvError, OSError) as error:
        detail = error.detail if isinstance(error, DevenvError) else None
        failure_mark(archive_path(java, local, archive_dir)).write_text(f"{error}\n{detail or ''}\n")


if __name__ == "__main__":
    main(sys.argv[1])
