"""The shop's API."""

from flask import Flask, jsonify
from shop import find_order

app = Flask(__name__)


@app.get("/health")
def health():
    return "ok"


@app.get("/orders/<order_id>")
def show_order(order_id):
    order = find_order(order_id)
    if order is None:
        return jsonify(error="there is no such order"), 404
    lines = [
        {"no": line["number"], "product": line["product"], "pieces": int(line["pieces"])} for line in order["lines"]
    ]
    return jsonify(
        order={
            "id": order["id"],
            "status": order["status"],
            "customer": {"handle": order["customer"]},
            "placed": order["placed"],
            "lines": lines,
        }
    )
