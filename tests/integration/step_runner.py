"""Run the steps of a small project in a process of its own, so that it can be killed: `step_runner.py SPEC.json`.

Says "ready" once everything is imported, then runs what SPEC asks for.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from devenv.core.model import DynamoTarget, PostgresTarget
from tests.integration.step_support import SmallProject


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text())
    small = SmallProject(
        root=Path(spec["root"]),
        server=PostgresTarget(*spec["server"]),
        dynamodb=DynamoTarget(*spec["dynamodb"]),
        mark=spec["mark"],
        database=spec["database"],
        steps=spec["steps"],
        links=spec["links"],
    )
    print("ready", flush=True)
    for name in spec["fresh"]:
        small.run(name, fresh=True)
    small.up()
    print("done", flush=True)


main()
