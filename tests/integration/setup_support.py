"""A small project that setup has loaded."""

from __future__ import annotations

from typing import Any

import pytest

SCHEMA = """
CREATE TABLE users (
  uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  handle text NOT NULL UNIQUE,
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE posts (
  uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_uuid uuid NOT NULL REFERENCES users,
  text text NOT NULL,
  likes int NOT NULL DEFAULT 0,
  reply_to uuid,
  expires_at timestamptz NOT NULL
);
"""
USERS = """
INSERT INTO users (handle, name) VALUES ('ada', 'Ada'), ('bob', 'Bob'), ('cy', 'Cy');
"""
POSTS = """
INSERT INTO posts (user_uuid, text, expires_at)
SELECT uuid, 'hello from ' || handle, now() + interval '10 days' FROM users ORDER BY handle;
INSERT INTO posts (user_uuid, text, reply_to, expires_at)
VALUES ((SELECT uuid FROM users WHERE handle = 'cy'), 'reply',
        (SELECT uuid FROM posts WHERE text = 'hello from ada'), now());
"""


@pytest.fixture
def loaded(small: Any) -> Any:
    """The small project above, set up."""
    small.steps["setup"] = {"files": ["sql/schema.sql", "sql/users.sql", "sql/posts.sql"]}
    small.write("sql/schema.sql", SCHEMA)
    small.write("sql/users.sql", USERS)
    small.write("sql/posts.sql", POSTS)
    small.run("setup")
    return small


def users(small: Any) -> dict[str, Any]:
    return dict(small.sql("SELECT handle, uuid FROM users"))


def everything(small: Any) -> list[Any]:
    return small.sql("SELECT * FROM users ORDER BY handle") + small.sql("SELECT * FROM posts ORDER BY text")
