"""A program that writes to both stores at once, by which is seen whether a copy of them is of one point in time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.e2e import world
from tests.support import ProjectDir

# Each number is noted first in Postgres, then in DynamoDB; several writers, each with numbers of its own.
WRITERS = 3
CODE = f"""
import itertools, os, threading, time, boto3, psycopg
from botocore.config import Config
patient = Config(retries={{'mode': 'standard', 'total_max_attempts': 20}})
def write(first):
    table = boto3.session.Session().resource('dynamodb', config=patient).Table(os.environ['DDB_MESSAGE_TABLE'])
    for n in itertools.count(first, {WRITERS}):
        while True:
            try:
                with psycopg.connect('') as c: c.execute('INSERT INTO numbers VALUES (%s)', [n])
                break
            except psycopg.OperationalError: time.sleep(0.001)
        table.put_item(Item={{'pk': 'NUMBER', 'sk': f'{{n:06}}'}})
        os.write(1, f'{{n}}\\n'.encode())
for first in range({WRITERS}): threading.Thread(target=write, args=[first]).start()
"""


@contextmanager
def at_work(project: ProjectDir) -> Iterator[Callable[[], int]]:
    """Writers are at work during the block; the function waits for the next number of any."""
    world.sql(project, "CREATE TABLE numbers (n int)")
    child = subprocess.Popen(
        [sys.executable, "-c", CODE], env={**os.environ, **project.env()}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        lines = child.stdout
        for _ in range(5):
            assert lines.readline()
        yield lambda: int(lines.readline())
    finally:
        child.kill()
        child.communicate()


def numbers(project: ProjectDir) -> tuple[set[int], set[int]]:
    """The numbers in Postgres, and those in DynamoDB."""
    rows = {n for (n,) in world.sql(project, "SELECT n FROM numbers")}
    return rows, {int(item["sk"]) for item in world.items(project) if item["pk"] == "NUMBER"}
