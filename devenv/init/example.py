"""The project that `devenv init` writes into an empty folder: small, complete, and to be replaced by one's own."""

from __future__ import annotations

from typing import Final

SETTINGS: Final = """\
# Written by `devenv init`: a small example over both stores. Change it, or replace it with your own.
# `devenv config schema` prints all keys, `devenv config check` reads this file and all that it names.

[project]
name = "{name}"

[postgres]
database = "app"

# Your own HTTP application, if there is one: it is started with the variables that `devenv env` prints.
# [backend]
# command = ["{{python}}", "-m", "uvicorn", "app:app", "--port", "{{port}}"]
# health = "/health"

# Variables of your application, beside those that every project gets.
[env]
NOTES_TABLE = "notes"

# --- Steps: what `devenv up` loads, always in this order ---

# 1. Postgres: one fresh database, all files in one transaction. A user's uuid is generated here.
[steps.setup]
files = ["seeds/postgres/schema.sql", "seeds/postgres/users.sql"]

# 2. DynamoDB: one CreateTable request per file.
[steps.schema-load]
files = ["seeds/dynamodb/tables/*.json"]

# 3. DynamoDB: items. "${{users[handle=alma].uuid}}" in them is read from the Postgres row when they are loaded.
[steps.seed]
files = ["seeds/dynamodb/items/*.json"]

# --- Entities: the kinds of items in a table, distinguished by their key ---

[entities.note]
table = "notes"
match = {{ pk = "USER#{{user_uuid}}" }}
unique = ["note_uuid"]

[entities.note.attributes]
user_uuid = "uuid" # in the key
sk = "time"
note_uuid = "uuid"
text = "string"
topic = "string?" # `?`: not every note has one
user_handle = "string"

# --- Links: attributes in DynamoDB that refer to rows in Postgres; items also have a copy of the handle ---

[[links]]
name = "author"
from = "dynamodb:notes.pk[USER#{{}}]"
to = "postgres:users.uuid"
natural_key = {{ user_handle = "handle" }}
copies = {{ user_handle = "handle" }}

# --- Users: `--user` is looked up here ---

[person]
table = "public.users"
id = "uuid"
name = "handle"

# --- Access patterns: the queries on each table. Declare them first, then choose the keys ---

[patterns.notes]
purpose = "the notes of a person"
table = "notes"
key = {{ pk = "USER#{{person.uuid}}" }}
order = "newest first"

[patterns.topic]
purpose = "the notes about a topic, of all authors"
table = "notes"
index = "topic-index"
key = {{ topic = "{{topic}}" }}
order = "newest first"

# --- Subjects of `devenv trace`: one request, followed through every layer that you declare ---

# `library` and `request` compare your application's own function and its answer, too: `devenv help traces`.
[trace.notes]
pattern = "notes"
entity = "note"
where = {{ user_uuid = "{{person.uuid}}" }}

# --- Protection: devenv doctor --only safety, devenv policy ---

[safety]
deletion_protection = true
# regions = ["eu-central-1"] # where the data may live
"""

SCHEMA: Final = """\
CREATE TABLE public.users (
  -- Generated when the row is inserted, so rebuilding the database gives everyone a new uuid.
  -- DynamoDB keeps copies of it: that is why the seeds there ask for it instead of holding it.
  uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  handle text NOT NULL UNIQUE,
  display_name text NOT NULL
);
"""

USERS: Final = """\
INSERT INTO public.users (handle, display_name) VALUES
  ('alma', 'Alma Reed'),
  ('bram', 'Bram Holt');
"""

TABLE: Final = """\
{
  "TableName": "notes",
  "AttributeDefinitions": [
    {"AttributeName": "pk", "AttributeType": "S"},
    {"AttributeName": "sk", "AttributeType": "S"},
    {"AttributeName": "topic", "AttributeType": "S"}
  ],
  "KeySchema": [
    {"AttributeName": "pk", "KeyType": "HASH"},
    {"AttributeName": "sk", "KeyType": "RANGE"}
  ],
  "GlobalSecondaryIndexes": [
    {
      "IndexName": "topic-index",
      "KeySchema": [
        {"AttributeName": "topic", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"}
      ],
      "Projection": {"ProjectionType": "ALL"}
    }
  ],
  "BillingMode": "PAY_PER_REQUEST",
  "DeletionProtectionEnabled": true
}
"""

NOTES: Final = (
    (
        "alma",
        "2024-03-01T08:00:00.000000+00:00",
        "1d5f0a52-9a55-4c53-8a31-6a3f1c1b0001",
        "Water the lemon tree",
        "home",
    ),
    (
        "alma",
        "2024-03-02T17:30:00.000000+00:00",
        "1d5f0a52-9a55-4c53-8a31-6a3f1c1b0002",
        "Ask Bram for the ladder",
        None,
    ),
    (
        "bram",
        "2024-03-02T18:05:00.000000+00:00",
        "1d5f0a52-9a55-4c53-8a31-6a3f1c1b0003",
        "Lend Alma the ladder",
        "home",
    ),
)


def items() -> str:
    """The seed file of the table."""
    lines = []
    for handle, at, uuid, text, topic in NOTES:
        extra = f', "topic": "{topic}"' if topic else ""
        user = f"${{users[handle={handle}].uuid}}"
        key = f'"pk": "USER#{user}", "sk": "{at}", "note_uuid": "{uuid}"'
        lines.append(f'    {{{key}, "text": "{text}"{extra}, "user_handle": "{handle}"}}')
    return '{\n  "table": "notes",\n  "items": [\n' + ",\n".join(lines) + "\n  ]\n}\n"


def example_files(name: str) -> dict[str, str]:
    """Path -> content of the whole example."""
    return {
        "devenv.toml": SETTINGS.format(name=name),
        "seeds/postgres/schema.sql": SCHEMA,
        "seeds/postgres/users.sql": USERS,
        "seeds/dynamodb/tables/notes.json": TABLE,
        "seeds/dynamodb/items/notes.json": items(),
    }
