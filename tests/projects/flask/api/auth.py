"""Sign-in: access tokens of the user pool."""

import functools
import os

import jwt
from flask import g, jsonify, request

from api import db

ISSUER = os.environ["COGNITO_ISSUER"]
CLIENT_ID = os.environ["COGNITO_CLIENT_ID"]
keys = jwt.PyJWKClient(f"{ISSUER}/.well-known/jwks.json")


def verify(token):
    key = keys.get_signing_key_from_jwt(token)
    claims = jwt.decode(token, key.key, algorithms=["RS256"], issuer=ISSUER)
    if claims["token_use"] != "access" or claims["client_id"] != CLIENT_ID:
        raise jwt.InvalidTokenError("a token of another client")
    return claims


def signed_in(view):
    @functools.wraps(view)
    def wrapper(*args, **kwargs):
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            return jsonify(error="sign in first"), 401
        try:
            claims = verify(token)
        except jwt.PyJWTError as error:
            return jsonify(error=str(error)), 401
        g.gardener = db.gardener_by_sub(claims["sub"])
        if g.gardener is None:
            return jsonify(error="no such gardener"), 401
        return view(*args, **kwargs)

    return wrapper
