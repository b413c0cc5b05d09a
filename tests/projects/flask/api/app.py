from flask import Flask, g, jsonify, request

from api import journal
from api.auth import signed_in

app = Flask(__name__)


@app.get("/health")
def health():
    return jsonify(status="ok")


@app.get("/api/plots/<plot_id>/journal")
@signed_in
def plot_journal(plot_id):
    return jsonify(journal.list_entries(plot_id))


@app.post("/api/plots/<plot_id>/journal")
@signed_in
def write_entry(plot_id):
    item = journal.add_entry(plot_id, g.gardener, request.get_json()["text"])
    return jsonify(id=item["entry_uuid"]), 201
