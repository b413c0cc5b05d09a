"""How long `devenv up` takes, as ratios in one run: `make bench`.

Prints medians of RUNS for: A, a plain `java -jar DynamoDBLocal.jar` from launch to its first answered request;
`up` with cached parts and empty data (stores and steps; with and without the application); `up` with nothing to do;
B, `python -c "import boto3, psycopg"`. Runs alternate, so that a noisy neighbour hits all of them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
# As on a user's machine, where Python keeps compiled modules.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

from devenv.config.load import cache_folder
from devenv.core.model import DynamoTarget
from devenv.engines.embedded import dynamodb_local, java, parts
from devenv.stores.dynamodb.client import Dynamo
from tests.e2e.world import free_port
from tests.support import ProjectDir, reference_project, unwind_on_sigterm

RUNS = 5


def seconds(call: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def found_parts() -> tuple[java.Java, parts.Local]:
    """The Java and the DynamoDB Local that `up` uses here."""
    cache = cache_folder()
    return java.find_java(cache, os.environ, None), parts.find_local(cache, None, None, lambda text, done, total: None)


def wait_for_archive() -> None:
    """Until the background work of the first `up` has ended: it is once per machine, and not what is measured."""
    java, local = found_parts()
    dynamodb_local.train(java, local, cache_folder())
    while dynamodb_local.archive_ready(java, local, cache_folder()) is None:
        time.sleep(0.2)


def plain_java() -> float:
    """Seconds from launching the jar as Amazon's manual says to its first answered, signed request."""
    java, _ = found_parts()
    jar = cache_folder() / "dynamodb-local" / "DynamoDBLocal.jar"
    port = free_port()
    command = [
        str(java.path), f"-Djava.library.path={jar.with_name('DynamoDBLocal_lib')}", "-jar", str(jar),
        "-sharedDb", "-inMemory", "-disableTelemetry", "-port", str(port),
    ]  # fmt: skip
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while True:
                try:
                    with Dynamo(DynamoTarget(f"http://127.0.0.1:{port}", "us-east-1", "bench", "bench")) as dynamodb:
                        dynamodb.call("ListTables")
                    return time.perf_counter() - began
                except Exception:  # noqa: BLE001 - not up yet
                    time.sleep(0.01)
        finally:
            child.kill()
            child.wait()


def main() -> None:
    """Measure and print."""
    unwind_on_sigterm()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        project = reference_project(Path(folder) / "bench")
        try:
            report(measure(project))
        finally:
            project.remove()


def measure(project: ProjectDir) -> dict[str, list[float]]:
    """All samples by name. The first `up` fetches what later ones use, and is not counted."""
    project.ok("up", timeout=600)
    wait_for_archive()
    found: dict[str, list[float]] = {}
    for _ in range(RUNS):
        for name, options in (("up, cold, stores and steps", ["--no-backend"]), ("up, cold, with the application", [])):
            project.ok("down", "--data", "--no-backup", "-y")
            found.setdefault(name, []).append(seconds(lambda given=options: project.ok("up", *given)))
        found.setdefault("up, nothing to do", []).append(seconds(lambda: project.ok("up")))
        project.ok("down")
        found.setdefault("up, data kept", []).append(seconds(lambda: project.ok("up")))
        found.setdefault("A: plain java -jar", []).append(plain_java())
        imports = [sys.executable, "-c", "import boto3, psycopg"]
        found.setdefault("B: import boto3, psycopg", []).append(
            seconds(lambda command=imports: subprocess.run(command, check=True))
        )
    return found


def report(found: dict[str, list[float]]) -> None:
    """Print medians, spread, and ratios to A and B."""
    medians = {name: statistics.median(samples) for name, samples in found.items()}
    a = medians["A: plain java -jar"]
    b = medians["B: import boto3, psycopg"]
    print(f"{'medians of ' + str(RUNS):<34} {'seconds':>8} {'min':>7} {'max':>7} {'x A':>6} {'x B':>6}")
    for name, samples in found.items():
        median = medians[name]
        print(f"{name:<34} {median:8.2f} {min(samples):7.2f} {max(samples):7.2f} {median / a:6.2f} {median / b:6.2f}")


if __name__ == "__main__":
    main()
