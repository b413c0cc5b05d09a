"""Postgres: who people are."""

import os
from pathlib import Path

import psycopg

QUERIES = Path(__file__).parent.parent / "db" / "sql"


def user_by_handle(handle):
    with psycopg.connect(os.getenv("CONNECTION_URL")) as connection:
        return connection.execute((QUERIES / "user_by_handle.sql").read_text(), {"handle": handle}).fetchone()
