"""`[token] issuer = "cognito"`: what `up` serves, read as an application reads it, with PyJWT's PyJWKClient."""

from __future__ import annotations

import json
import stat
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.e2e.many import kill, services
from tests.support import ProjectDir, empty_project

SUB = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"
TOML = """\
[project]
name = "signed"

[backend]
command = ["PYTHON", "app.py", "{port}"]
env = { ISSUER = "{token_issuer}", CLIENT = "{token_client_id}" }

[steps.setup]
files = ["db.sql"]

[person]
table = "people"
id = "uuid"
name = "handle"
sign_in = "cognito_id"
sign_in_placeholder = "MOCK"

[token]
issuer = "cognito"

[env]
JWKS_URL = "{token_jwks_url}"
"""
APP = """\
import http.server, json, os, sys
import jwt

keys = jwt.PyJWKClient(os.environ["JWKS_URL"])


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = 200, {}
        if self.path == "/me":
            try:
                token = self.headers["Authorization"].removeprefix("Bearer ")
                key = keys.get_signing_key_from_jwt(token).key
                body = jwt.decode(token, key, algorithms=["RS256"], issuer=os.environ["ISSUER"])
                assert body["client_id"] == os.environ["CLIENT"] and body["token_use"] == "access"
            except Exception as error:
                status, body = 401, {"error": repr(error)}
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
SQL = f"""\
CREATE TABLE people (uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(), handle text, cognito_id text);
INSERT INTO people (handle, cognito_id) VALUES ('anna', '{SUB}'), ('nobody', NULL), ('mia', 'MOCK'), ('nora', 'MOCK');
"""


@pytest.fixture
def signed(tmp_path: Path) -> Iterator[ProjectDir]:
    made = empty_project(tmp_path / "signed", TOML.replace("PYTHON", sys.executable))
    (made.path / "app.py").write_text(APP)
    (made.path / "db.sql").write_text(SQL)
    yield made
    made.remove()


def get(url: str, **headers: str) -> tuple[int, Any]:
    """Status and JSON of an answer, through no proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_an_application_accepts_its_tokens_before_and_after_a_restart(signed: ProjectDir) -> None:
    signed.ok("up", timeout=240)
    seen = services(signed)
    assert list(seen) == ["postgres", "dynamodb", "issuer", "backend"]
    issuer = seen["issuer"]["url"]
    assert issuer == f"http://127.0.0.1:{seen['issuer']['port']}/us-east-1_devenv"
    assert signed.env()["JWKS_URL"] == f"{issuer}/.well-known/jwks.json"

    status, configuration = get(f"{issuer}/.well-known/openid-configuration")
    assert (status, configuration["issuer"]) == (200, issuer)
    status, keys = get(configuration["jwks_uri"])
    assert status == 200
    assert set(keys["keys"][0]) == {"kty", "alg", "use", "kid", "n", "e"}
    # By another name nothing of it is read, and it has nothing else.
    assert get(configuration["jwks_uri"], Host="rebound.example")[0] == 403
    assert get(f"http://127.0.0.1:{seen['issuer']['port']}/")[0] == 404
    key = signed.path / ".devstate" / "issuer-key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600

    token = signed.ok("env", "--token", "anna").out.strip()
    me = f"{seen['backend']['url']}/me"
    status, claims = get(me, Authorization=f"Bearer {token}")
    assert (status, claims["sub"], claims["username"]) == (200, SUB, "anna")
    # Where the seed has a placeholder, each person has an id of their own.
    others = [signed.ok("env", "--token", name).out.strip() for name in ("mia", "nora")]
    subs = {get(me, Authorization=f"Bearer {other}")[1]["sub"] for other in others}
    assert len(subs) == 2
    assert all(uuid.UUID(sub) for sub in subs)
    assert get(me, Authorization=f"Bearer {token[:-8]}AAAAAAAA")[0] == 401
    refused = signed.devenv("env", "--token", "nobody")
    assert refused.code == 1
    assert "nobody has no cognito_id" in refused.all

    kill(seen["issuer"]["pid"])
    assert services(signed)["issuer"]["state"] == "crashed"
    signed.ok("up", timeout=120)
    signed.ok("down")
    assert "not all services are running" in signed.ok("env").all
    signed.ok("up", timeout=120)
    again = services(signed)
    assert again["issuer"]["url"] == issuer
    assert get(f"{again['backend']['url']}/me", Authorization=f"Bearer {token}")[0] == 200
    found = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json").get_signing_key_from_jwt(token)
    assert jwt.decode(token, found.key, algorithms=["RS256"], issuer=issuer)["token_use"] == "access"

    signed.ok("down")
    assert key.exists()
    signed.ok("down", "--data", "--no-backup", "-y")
    assert not key.exists()


def test_without_its_key_a_token_is_refused_with_the_next_command(signed: ProjectDir) -> None:
    signed.ok("up", "--no-backend", timeout=240)
    assert "issuer" not in {name for name, one in services(signed).items() if one["state"] == "running"}
    refused = signed.devenv("env", "--token", "anna")
    assert refused.code == 1
    assert "has no key yet" in refused.all
    assert "devenv up" in refused.all
