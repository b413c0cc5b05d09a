"""Calls of a driver: `python workload.py psycopg|asyncpg|boto3 ROUNDS`. Prints how many calls it made."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

URL = os.environ.get("DATABASE_URL", "")
TABLE = os.environ.get("TAP_TABLE", "tap-calls")


def use_psycopg(rounds: int) -> int:
    import psycopg

    made = 0
    with psycopg.connect(URL, autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE t (a int PRIMARY KEY, b text)")
        for number in range(rounds):
            connection.execute("INSERT INTO t VALUES (%s, %s)", (number, "é" * (number % 50)))
            connection.execute("SELECT a, b FROM t WHERE a = %s", (number,), prepare=True).fetchall()
            made += 2
            if number % 10 == 0:
                try:
                    connection.execute("INSERT INTO t VALUES (%s, 'again')", (number,))
                except psycopg.errors.UniqueViolation:
                    made += 1
                with connection.transaction(), connection.cursor().copy("COPY t FROM STDIN") as copy:
                    for extra in range(20):
                        copy.write_row((10**6 + number * 100 + extra, "copied"))
                with connection.transaction(), connection.cursor().copy("COPY t TO STDOUT") as copy:
                    sum(1 for _ in copy.rows())
                with connection.pipeline():
                    for key in range(5):
                        connection.execute("SELECT b FROM t WHERE a = %s", (key,))
                with connection.transaction(), connection.cursor(name="part") as cursor:
                    cursor.execute("SELECT * FROM t")
                    cursor.fetchmany(3)
                made += 15
    with psycopg.connect(URL, autocommit=True) as connection:
        import threading

        threading.Timer(0.3, connection.cancel_safe).start()
        try:
            connection.execute("SELECT pg_sleep(20)")
        except psycopg.errors.QueryCanceled:
            made += 1
    return made


async def use_asyncpg(rounds: int) -> int:
    import asyncpg

    made = 0
    connection: Any = await asyncpg.connect(URL)
    await connection.execute("CREATE TEMP TABLE t (a int PRIMARY KEY, b text)")
    for number in range(rounds):
        await connection.execute("INSERT INTO t VALUES ($1, $2)", number, "é" * (number % 50))
        await connection.fetch("SELECT a, b FROM t WHERE a = $1", number)
        made += 2
        if number % 10 == 0:
            try:
                await connection.execute("INSERT INTO t VALUES ($1, 'again')", number)
            except asyncpg.UniqueViolationError:
                made += 1
            rows = [(10**6 + number * 100 + extra, "copied") for extra in range(20)]
            await connection.copy_records_to_table("t", records=rows)
            async with connection.transaction():
                async for _ in connection.cursor("SELECT * FROM t", prefetch=3):
                    break
            made += 4
    try:
        await connection.execute("SELECT pg_sleep(20)", timeout=0.3)
    except TimeoutError:
        made += 1
    await connection.close()
    return made


def use_boto3(rounds: int) -> int:
    import boto3
    from botocore.exceptions import ClientError

    client = boto3.client("dynamodb")
    key = [{"AttributeName": name, "KeyType": kind} for name, kind in (("pk", "HASH"), ("sk", "RANGE"))]
    types = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
    try:
        client.create_table(TableName=TABLE, KeySchema=key, AttributeDefinitions=types, BillingMode="PAY_PER_REQUEST")
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceInUseException":
            raise
    made = 1
    for number in range(rounds):
        item = {"pk": {"S": "a"}, "sk": {"S": f"{number % 100:05}"}, "text": {"S": "é" * 500}, "raw": {"B": bytes(200)}}
        if number % 5 == 0:
            client.put_item(TableName=TABLE, Item=item)
            made += 1
        client.get_item(TableName=TABLE, Key={"pk": item["pk"], "sk": item["sk"]})
        client.query(
            TableName=TABLE,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": "a"}},
            Limit=10,
            ReturnConsumedCapacity="TOTAL",
        )
        made += 2
        if number % 50 == 0:
            try:
                client.get_item(TableName="tap-nothing", Key={"pk": {"S": "a"}})
            except ClientError:
                made += 1
    return made


if __name__ == "__main__":
    kind, rounds = sys.argv[1], int(sys.argv[2])
    print(asyncio.run(use_asyncpg(rounds)) if kind == "asyncpg" else globals()[f"use_{kind}"](rounds))
