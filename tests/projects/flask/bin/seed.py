"""Journal entries for development, written by the gardeners of db/gardeners.sql."""

import os

import boto3
import psycopg
from psycopg.rows import dict_row

PLOT = "6c1f3f3e-9d59-4a0c-8a0e-2f6f0c7d1a01"
ENTRIES = [
    ("2024-04-02T08:15:00+00:00", "0b6a3c56-0001-4f6e-9a57-3d1c2b4a5f01", "mira", "Sowed the broad beans."),
    ("2024-04-03T17:40:00+00:00", "0b6a3c56-0002-4f6e-9a57-3d1c2b4a5f02", "tomas", "Mended the fence."),
    ("2024-04-09T07:05:00+00:00", "0b6a3c56-0003-4f6e-9a57-3d1c2b4a5f03", "mira", "First beans are up."),
]

with psycopg.connect(os.environ["DATABASE_URL"], row_factory=dict_row) as connection:
    rows = connection.execute("SELECT uuid, handle, display_name FROM gardeners").fetchall()
gardeners = {row["handle"]: row for row in rows}

table = boto3.resource("dynamodb").Table(os.environ["JOURNAL_TABLE"])
for written_at, entry_uuid, handle, text in ENTRIES:
    gardener = gardeners[handle]
    table.put_item(
        Item={
            "pk": f"PLOT#{PLOT}",
            "sk": written_at,
            "entry_uuid": entry_uuid,
            "text": text,
            "gardener_uuid": str(gardener["uuid"]),
            "gardener_handle": handle,
            "gardener_display_name": gardener["display_name"],
        }
    )
