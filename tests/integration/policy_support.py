"""A second evaluator of AWS policies, beside moto: @cloud-copilot/iam-simulate, fetched by npm.

It evaluates conditions, permissions boundaries, endpoint policies, trust policies and service control policies, and
knows which keys each action really has.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from devenv.config.load import cache_folder
from tests.integration.moto_support import ACCOUNT
from tests.support import REPOSITORY

SIMULATOR = "@cloud-copilot/iam-simulate@0.1.173"
LIMIT_S = 60.0
ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
Simulate = Callable[[list[dict[str, Any]]], list[str]]


@pytest.fixture(scope="module")
def simulate() -> Simulate:
    """Evaluate simulations: "Allowed", "ExplicitlyDenied" or "ImplicitlyDenied" for each."""
    binaries = Path(sys.executable).parent
    folder = cache_folder() / "tests" / SIMULATOR.replace("/", "-")
    # As the user has npm configured, who may be behind a mirror.
    path = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}"}
    if not (folder / "node_modules" / "@cloud-copilot" / "iam-data" / "package.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--prefix", str(folder)]
        subprocess.run([binaries / "npm", "install", *options, SIMULATOR], check=True, env=path, timeout=240)

    def run(simulations: list[dict[str, Any]]) -> list[str]:
        script = REPOSITORY / "tests" / "policy_simulate.mjs"
        ran = subprocess.run(
            [binaries / "node", script, folder],
            input=json.dumps(simulations),
            capture_output=True,
            text=True,
            env=path,
            timeout=LIMIT_S,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    return run


def request(
    action: str,
    resource: str,
    who: str,
    context: Mapping[str, Any],
    *,
    own: Iterable[Mapping[str, Any]] = (),
    account: str = ACCOUNT,
    trust: Mapping[str, Any] | None = None,
    boundary: Mapping[str, Any] | None = None,
    endpoint: Mapping[str, Any] | None = None,
    organisation: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """One request, as the evaluator takes it. `own` are the identity policies of who sends it."""
    made: dict[str, Any] = {
        "request": {
            "principal": who,
            "action": action,
            "resource": {"resource": resource, "accountId": account},
            "contextVariables": dict(context),
        },
        "identityPolicies": [{"name": f"own{number}", "policy": each} for number, each in enumerate(own)],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
    }
    if organisation:
        named = [{"name": f"scp{number}", "policy": each} for number, each in enumerate([ALLOW_ALL, *organisation])]
        made["serviceControlPolicies"] = [{"orgIdentifier": "r-root", "policies": named}]
    if trust is not None:
        made["resourcePolicy"] = trust
    if boundary is not None:
        made["permissionBoundaryPolicies"] = [{"name": "boundary", "policy": boundary}]
    if endpoint is not None:
        made["vpcEndpointPolicies"] = [{"name": "endpoint", "policy": endpoint}]
    return made
