"""The API."""

import os

from flask import Flask, jsonify, request
from lib.db import user_by_handle
from lib.ddb import Ddb

app = Flask(__name__)


@app.after_request
def allow_origin(response):
    response.headers["Access-Control-Allow-Origin"] = os.getenv("FRONTEND_URL", "*")
    return response


@app.route("/api/health-check")
def health_check():
    return {"success": True}, 200


@app.route("/api/message_groups", methods=["GET"])
def data_message_groups():
    user = user_by_handle(request.args.get("handle", "nora"))
    if user is None:
        return {"error": "unknown handle"}, 404
    return jsonify(Ddb.list_message_groups(Ddb.client(), str(user[0])))


@app.route("/api/messages/<string:message_group_uuid>", methods=["GET"])
def data_messages(message_group_uuid):
    return jsonify(Ddb.list_messages(Ddb.client(), message_group_uuid))


@app.route("/api/messages", methods=["POST"])
def data_create_message():
    given = request.json
    user = user_by_handle(given["handle"])
    who = (str(user[0]), user[1], given["handle"])
    return jsonify(Ddb.create_message(Ddb.client(), given["message_group_uuid"], given["message"], *who))
