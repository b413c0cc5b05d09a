"""Slow stores, lost connections, another day, more data."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, Final

from devenv.capture.disturb.disturbance import Disturbance, DynamoReply, Forward
from devenv.capture.disturb.postgres import DisturbedPostgres
from devenv.trace.conditions.condition import BOTH, StressCondition

SLOW_S: Final = 1.0
MANUAL: Final = "PostgreSQL documentation"


class Slow(Disturbance):
    """A second more for each call."""

    slow_s = SLOW_S

    def dynamodb(self, operation: str, request: dict[str, Any], forward: Forward) -> DynamoReply:
        """Wait, then ask."""
        self.struck += 1
        time.sleep(SLOW_S)
        return forward(request)


class LostInTransaction(Disturbance):
    """One connection ends in the middle of a transaction."""

    drops_transaction = True


def drop_idle(disturbance: Disturbance, postgres: DisturbedPostgres) -> None:
    """End the connections that wait in a pool."""
    disturbance.struck += postgres.drop_idle()


def new_year(now: datetime) -> datetime:
    """A few seconds after the next New Year, UTC."""
    return datetime(now.astimezone(UTC).year + 1, 1, 1, 0, 0, 5, tzinfo=UTC)


CONDITIONS: Final = (
    StressCondition(
        name="slow",
        title="each call to a store takes one second longer",
        rule="Neither store promises a latency: AWS gives an average, and a lock or a cold cache delays SQL.",
        source="Amazon DynamoDB Developer Guide, Troubleshooting latency",
        sdk="By default boto3 waits 60 s for an answer, the AWS SDK for JavaScript without a limit.",
        unmet="no call was sent",
        disturb=Slow,
        first_page=True,
        together=True,
    ),
    StressCondition(
        name="connection-idle",
        title="Postgres connections drop while idle in the pool",
        rule="A restart, a failover or idle_session_timeout ends idle sessions; the client notices it at its next use.",
        source=f"{MANUAL}, idle_session_timeout; error 57P01 admin_shutdown",
        sdk="Pools hand out a broken connection unless they check it (psycopg_pool: check, SQLAlchemy: pool_pre_ping).",
        unmet="no connection stays open between requests",
        before=drop_idle,
    ),
    StressCondition(
        name="connection-transaction",
        title="a Postgres connection drops in a transaction",
        rule="A failover ends sessions in the middle of a transaction, which is rolled back; it can be run again.",
        source=f"{MANUAL}, error class 08 and 57P01 admin_shutdown",
        sdk="No driver repeats a transaction on its own.",
        unmet="no statement was sent in a transaction",
        disturb=LostInTransaction,
        parts=BOTH,
    ),
    StressCondition(
        name="new-year",
        title="the clock shows the next 1 January",
        rule="A key condition built from today's date leaves out earlier items.",
        source="Amazon DynamoDB Developer Guide, Key condition expressions for the Query operation",
        sdk="Nothing: the condition is in your code.",
        unmet="only a Python function can run with another clock",
        parts=("function",),
        clock=new_year,
    ),
    StressCondition(
        name="ten-times",
        title="ten times as many items",
        rule="A partition may hold any number of items; a Query returns them in pages of 1 MB.",
        source="Amazon DynamoDB Developer Guide, Quotas",
        sdk="The clients request one page.",
        unmet="the subject has no items in DynamoDB that could be copied",
        times=10,
    ),
    StressCondition(
        name="hundred-times",
        title="a hundred times as many items",
        rule="A partition may hold any number of items; a Query returns them in pages of 1 MB.",
        source="Amazon DynamoDB Developer Guide, Quotas",
        sdk="The clients request one page.",
        unmet="the subject has no items in DynamoDB that could be copied",
        times=100,
    ),
)
