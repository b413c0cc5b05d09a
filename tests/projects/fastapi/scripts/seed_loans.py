"""Two members have borrowed the ladder."""

import asyncio
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(__file__)))

from loans.database import member_by_handle
from loans.store import table

LADDER = "d9428888-122b-41e1-b85b-1f0a3c7e9b10"
LOANS = [
    ("2024-06-01T09:00:00+00:00", "7d444840-9dc0-41d1-b245-5ffdce74fa01", "ines", "For the gutters."),
    ("2024-06-08T10:30:00+00:00", "7d444840-9dc0-41d1-b245-5ffdce74fa02", "jonas", "Cherries!"),
    ("2024-06-15T08:20:00+00:00", "7d444840-9dc0-41d1-b245-5ffdce74fa03", "ines", "The gutters again."),
]


async def main():
    for since, loan_id, handle, note in LOANS:
        member = await member_by_handle(handle)
        table.put_item(
            Item={
                "pk": f"TOOL#{LADDER}",
                "sk": since,
                "loan_id": loan_id,
                "member_id": str(member.id),
                "member_handle": handle,
                "note": note,
            }
        )


asyncio.run(main())
