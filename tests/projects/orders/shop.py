"""Orders in one table: the head and the lines of an order lie under one key."""

import os

import boto3
from boto3.dynamodb.conditions import Key


def find_order(order_id):
    """An order with its lines, or None."""
    table = boto3.resource("dynamodb").Table(os.environ["SHOP_TABLE"])
    condition = Key("pk").eq(f"ORDER#{order_id}")
    items = table.query(KeyConditionExpression=condition)["Items"]
    order = None
    lines = []
    for item in items:
        if item["sk"] == "HEAD":
            order = item
        elif item["sk"].startswith("LINE#"):
            line = {"number": item["sk"].removeprefix("LINE#"), "product": item["product"], "pieces": item["pieces"]}
            lines.append(line)
    if order is None:
        return None
    return {
        "id": order["pk"].removeprefix("ORDER#"),
        "status": order["status"],
        "customer": order["customer_handle"],
        "placed": order["placed"],
        "lines": lines,
    }
