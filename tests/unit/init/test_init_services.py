"""`devenv init` proposes sections for compose services that are neither a store nor the application."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from devenv.config.parse import parse
from devenv.config.schema import Settings
from devenv.init.command import init
from devenv.init.sheet import Guess
from tests.unit.init.test_init import TABLE, write

COMPOSE = """
services:
  db: {image: "postgres:16", environment: {POSTGRES_DB: shop}}
  dynamo: {image: amazon/dynamodb-local}
  api:
    build: .
    command: gunicorn -b 0.0.0.0:8000 app:app
    ports: ["8000:8000"]
    environment: {DATABASE_URL: "postgres://x:y@db:5432/shop", REDIS_URL: "redis://store:6379/0", ADDR: "redis://store/2"}
  worker: {build: ., command: python worker.py, profiles: [jobs], depends_on: [db, dynamo, api]}
  billing:
    build: services/billing
    environment: {BILLING_PORT: "7002", DB_HOST: db, API_TOKEN: hunter2, REDIS_HOST: store, AWS_REGION: eu-west-1}
    ports: ["7002:7002"]
  odd: {build: services/odd}
  store: {image: "redis:7-alpine", ports: ["6380:6379"]}
  adminer: {image: adminer}
"""
BILLING = """package main

import (
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("ok")) })
	http.ListenAndServe(":"+os.Getenv("BILLING_PORT"), nil)
}
"""
FILES = {
    "compose.yaml": COMPOSE,
    "t.json": json.dumps(TABLE),
    "worker.py": "print(1)\n",
    "services/billing/go.mod": "module example.test/billing\n\ngo 1.22\n",
    "services/billing/main.go": BILLING,
    "services/odd/README.md": "odd\n",
}


def made(root: Path, taken: bool | None) -> tuple[Settings, dict[str, Any], str]:
    """The settings when every guess is answered so, the report, the file."""

    def choose(_guess: Guess) -> bool | str | None:
        return taken

    report = init(write(root, FILES), choose)
    text = (root / "devenv.toml").read_text()
    return parse(tomllib.loads(text), root), dict(report.body), text


def test_a_worker_a_second_program_and_a_cache(tmp_path: Path) -> None:
    settings, body, text = made(tmp_path, True)
    worker, billing = settings.services["worker"], settings.services["billing"]
    assert (worker.command, worker.depends_on) == (["{python}", "worker.py"], ["postgres", "dynamodb", "backend"])
    assert (billing.command, billing.folder, billing.port) == (["go", "run", "."], "services/billing", 7002)
    assert billing.ready.http == "/healthz"
    assert billing.env == {"BILLING_PORT": "{port}", "DB_HOST": "{postgres_host}"}
    assert (settings.services["store"].kind, settings.services["store"].port) == ("redis", 6380)
    assert settings.env["REDIS_URL"] == "{store_url}"
    assert settings.env["ADDR"] == "redis://:{store_password}@127.0.0.1:{store_port}/2"
    flat = text.replace("\n# ", " ")
    assert "Compose starts it only with profile `jobs`." in flat
    assert "Not copied: its variables API_TOKEN, REDIS_HOST." in flat
    assert "hunter2" not in text
    assert body["edits"] == []
    assert [each for each in body["unused"] if "service" in each] == [
        "compose.yaml: service odd: no command that starts it was found in services/odd; to start it with `devenv up`,"
        " declare [services.odd] command",
        "compose.yaml: service adminer (adminer): devenv does not start it; start it yourself, or declare its program"
        " as [services.adminer]",
    ]


@pytest.mark.parametrize("taken", [None, False])
def test_nothing_of_them_is_in_effect_until_you_agree(tmp_path: Path, taken: bool | None) -> None:
    settings, _, text = made(tmp_path, taken)
    assert settings.services == {}
    assert "REDIS_URL" not in settings.env
    assert ("#~ [services.store]" in text) is (taken is None)
    assert ('#~ REDIS_URL = "{store_url}"' in text) is (taken is None)
