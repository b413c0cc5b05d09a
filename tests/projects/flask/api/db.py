"""Postgres: one pool for the process."""

import os

from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

pool = ConnectionPool(os.environ["DATABASE_URL"], min_size=1, max_size=4, open=False, kwargs={"row_factory": dict_row})


def fetch_one(sql, **params):
    pool.open()
    with pool.connection() as connection:
        return connection.execute(sql, params).fetchone()


def gardener_by_sub(sub):
    return fetch_one("SELECT uuid, handle, display_name FROM gardeners WHERE cognito_user_id = %(sub)s", sub=sub)
