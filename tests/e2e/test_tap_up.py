"""`up --tap`: the application goes through it, `requests` lists what it asked, and it comes and goes with `up`."""

from __future__ import annotations

import json
import os
import signal
import urllib.error
import urllib.request

from devenv.config.load import data_home
from devenv.host import processes
from tests.support import ProjectDir

CONVERSATION = "5ae290ed-55d1-47a0-bc6d-fe2bc2700399"


def service(project: ProjectDir, name: str) -> dict[str, object] | None:
    return next((one for one in project.json("status")["services"] if one["name"] == name), None)


def get(url: str, token: str) -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_project_with_a_tap(project: ProjectDir) -> None:
    assert project.devenv("requests").code == 2, "nothing was recorded"
    project.ok("up", "--tap", timeout=240)
    env = json.loads(project.ok("env", "--format", "json").out)
    tap = service(project, "tap")
    assert tap is not None
    assert (tap["state"], tap["url"]) == ("running", env["BACKEND_URL"])
    token = project.ok("env", "--token", "ines").out.strip()
    assert get(f"{env['BACKEND_URL']}/api/messages/{CONVERSATION}?limit=3", token) == 200

    found = project.json("requests")
    assert (found["exit_code"], found["recording"], found["unparsed"], found["shared"]) == (0, True, {}, [])
    [request] = found["requests"]
    assert (request["method"], request["status"]) == ("GET", 200)
    assert request["path"] == f"/api/messages/{CONVERSATION}?limit=…"
    by_store = [(call["store"], call["rows"]) for call in request["calls"] if call["rows"] is not None]
    assert by_store == [("postgres", 1), ("dynamodb", 2), ("dynamodb", 4)]
    assert {call["how"] for call in request["calls"]} == {"alone"}
    assert CONVERSATION in project.ok("requests").out

    # No credential that stands in a path is kept: not those of the project, whatever they look like, and no token.
    home = data_home(project.path.resolve())
    [kept_secrets] = home.rglob("secrets.json")
    secrets = [*json.loads(kept_secrets.read_text()).values(), "sk_live_4eC39HqLyjWDarjtT1zdp7dc", token]
    for secret in secrets:
        assert get(f"{env['BACKEND_URL']}/reset/{secret}/confirm", token) == 404
    assert [one["path"] for one in project.json("requests")["requests"]][-4:] == [
        *["/reset/****/confirm"] * 2, *["/reset/…/confirm"] * 2,
    ]  # fmt: skip
    journal = (project.path / ".devstate" / "requests.jsonl").read_text()
    otlp = project.path / "requests.otlp.json"
    shown = project.ok("requests", "--otlp", str(otlp)).out
    assert shown.count("/confirm") == otlp.read_text().count('"/reset/') == len(secrets)
    shown += otlp.read_text()
    assert not [secret for secret in secrets if secret in journal + shown]

    # The tap's addresses are the project's own.
    assert project.json("trace", "conversation", CONVERSATION, "--user", "ines")["verdict"]["status"] == "ok"
    traced = project.json("trace", "--from-request", str(request["id"]), "--user", "ines")
    assert (traced["verdict"]["status"], traced["exit_code"]) == ("ok", 0)
    assert project.devenv("trace", "--from-request", "99").code == 2
    assert project.json("doctor", "--only", "environment")["summary"]["fail"] == 0

    # A tap that was killed is started again at the same ports, so the application stays as it is.
    backend = service(project, "backend")
    os.kill(int(str(tap["pid"])), signal.SIGKILL)
    crashed = service(project, "tap")
    assert crashed is not None
    assert crashed["state"] == "crashed"
    project.ok("up")
    again, kept = service(project, "tap"), service(project, "backend")
    assert again is not None
    assert (again["state"], again["url"], kept) == ("running", tap["url"], backend)
    assert get(f"{env['BACKEND_URL']}/api/message_groups", token) == 200
    assert [one["id"] for one in project.json("requests")["requests"]] == [1, 2, 3, 4, 5, 6]

    project.ok("up", "--no-tap")
    assert service(project, "tap") is None
    assert not processes.identify(int(str(again["pid"])))
    direct = json.loads(project.ok("env", "--format", "json").out)
    assert direct["BACKEND_URL"] != env["BACKEND_URL"]
    assert get(f"{direct['BACKEND_URL']}/api/message_groups", token) == 200


def test_down_ends_the_tap(project: ProjectDir) -> None:
    settings = project.path / "devenv.toml"
    settings.write_text(settings.read_text().replace('name = "cruddur"', 'name = "cruddur"\ntap = true'))
    up = project.json("up", "--no-backend", timeout=240)
    [tap] = [one for one in up["services"] if one["name"] == "tap"]
    assert processes.identify(tap["pid"])
    recorded = project.path / ".devstate" / "requests.jsonl"
    assert "tap" in project.json("down")["stopped"]
    assert recorded.exists()
    assert not processes.identify(tap["pid"])
    project.ok("down", "--data", "--no-backup", "-y")
    assert not recorded.exists()
