"""`[services.<name>]` on real stores: order, side by side, ports, crashes, settings that change, and their end."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from devenv.host import processes
from tests.e2e.many import OWN, kill, many_project, services
from tests.e2e.port_thief import robbed_service
from tests.support import ProjectDir, empty_project


@pytest.fixture
def many(tmp_path: Path) -> Iterator[ProjectDir]:
    made = many_project(tmp_path / "many")
    yield made
    made.remove()


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def of_project(project: ProjectDir) -> set[int]:
    """The pids of all processes that were started for a project."""
    found = set()
    for process in psutil.process_iter():
        try:
            if process.environ().get("DEVENV_PROJECT") == str(project.path.resolve()):
                found.add(process.pid)
        except psutil.Error:
            continue
    return found


def test_they_come_up_in_order_are_known_everywhere_and_leave_nothing(many: ProjectDir) -> None:
    up = many.json("up", timeout=240)
    assert up["exit_code"] == 0
    seen = services(many)
    assert list(seen) == ["postgres", "dynamodb", "backend", "frontend", "cache", "worker"]
    assert {one["state"] for one in seen.values()} == {"running"}
    assert (seen["worker"]["port"], seen["worker"]["url"]) == (None, None)
    # Each was told where the others are, also those that start later.
    assert get(seen["frontend"]["url"]) == seen["backend"]["url"]
    told = psutil.Process(seen["backend"]["pid"]).environ()
    assert told["FRONTEND"] == many.env()["FRONTEND_URL"] == seen["frontend"]["url"]
    assert "working with redis://127.0.0.1:" in many.ok("logs", "worker").out
    [project] = [one for one in many.json("ps")["projects"] if one["root"] == str(many.path.resolve())]
    assert set(OWN) <= {one["name"] for one in project["services"]}
    [row] = many.json("doctor", "--only", "SVC009")["checks"]
    assert (row["status"], row["evidence"]) == ("ok", "frontend (http), cache (tcp), worker (log)")

    again = many.json("up")
    assert {action["action"] for action in again["plan"]} == {"keep"}
    assert {name: one["pid"] for name, one in services(many).items()} == {n: one["pid"] for n, one in seen.items()}

    stopped = many.json("down")["stopped"]
    assert stopped == ["worker", "cache", "frontend", "backend", "dynamodb", "postgres"]
    assert of_project(many) == set()


def test_one_that_crashes_is_shown_with_its_last_lines_and_brought_back(many: ProjectDir) -> None:
    many.ok("up", timeout=240)
    before = services(many)
    for name in OWN:
        kill(before[name]["pid"])
        crashed = services(many)
        assert {n for n, one in crashed.items() if one["state"] == "crashed"} == {name}
        row = many.json("doctor", "--only", "SVC009")["checks"][0]
        assert row["status"] == ("ok" if name == "backend" else "fail")
        if name == "worker":
            assert crashed[name]["last_lines"][-1].startswith("working with")
            assert "| working with" in many.ok("status").out
        plan = {line["target"]: line["action"] for line in many.json("up")["plan"]}
        assert {target for target, action in plan.items() if action not in ("keep", "check")} == {name}
        after = services(many)
        assert {one["state"] for one in after.values()} == {"running"}
        assert {n for n in after if after[n]["pid"] != before[n]["pid"]} == {name}
        before = after
    many.ok("down")
    assert of_project(many) == set()


def test_one_that_fails_holds_back_only_what_needs_it(many: ProjectDir) -> None:
    file = many.path / "devenv.toml"
    right = file.read_text()
    file.write_text(right.replace('"{port}", "--bind", "127.0.0.1"]\nport = 0', '"--nonsense"]\nport = 0'))
    failed = many.json("up", timeout=240)
    assert failed["exit_code"] == 5
    assert failed["error"]["what"] == "cache ended while starting"
    assert "worker was not started: it needs cache" in failed["error"]["detail"]
    assert {n: one["state"] for n, one in services(many).items() if n in OWN} == {
        "backend": "running",
        "cache": "crashed",
        "frontend": "running",
        "worker": "stopped",
    }
    file.write_text(right)
    assert many.json("up")["exit_code"] == 0
    assert {one["state"] for one in services(many).values()} == {"running"}


@pytest.mark.long
def test_a_taken_port_moves_and_changed_settings_restart(many: ProjectDir) -> None:
    file = many.path / "devenv.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = file.read_text().replace("port = 0\ndepends_on", f"port = {port}\ndepends_on")
        file.write_text(text)
        said = many.ok("up", timeout=240)
        assert f"port {port} is taken by" in said.err
        before = services(many)
        assert before["frontend"]["port"] != port
    # One more variable restarts this service alone; a section that is gone stops its process.
    file.write_text(text.replace("[services.cache]", "[services.cache]\nenv = { MORE = '1' }"))
    plan = {line["target"]: line["action"] for line in many.json("up")["plan"]}
    assert [target for target, action in plan.items() if action == "restart"] == ["cache"]
    after = services(many)
    assert (after["cache"]["port"], after["worker"]["pid"]) == (before["cache"]["port"], before["worker"]["pid"])
    start, end = text.index("[services.worker]"), text.index("[services.cache]")
    file.write_text(text[:start] + text[end:])
    many.ok("up")
    assert processes.identify(after["worker"]["pid"]) is None
    assert "worker" not in services(many)


def test_down_stops_what_a_broken_devenv_toml_no_longer_names(many: ProjectDir) -> None:
    many.ok("up", timeout=240)
    # Without its state, a killed `up` is found by the marks of its processes.
    (many.path / ".devstate" / "state.json").unlink()
    (many.path / "devenv.toml").write_text("[project\n")
    assert set(many.json("down")["stopped"]) >= set(OWN)
    assert of_project(many) == set()


def test_single_services_with_what_they_need(many: ProjectDir) -> None:
    ran = many.json("up", "worker", timeout=240)
    assert [line["target"] for line in ran["plan"] if line["action"] == "start"] == [
        "postgres",
        "dynamodb",
        "cache",
        "worker",
    ]
    before = services(many)
    assert {name for name, one in before.items() if one["state"] == "running"} == {
        "postgres",
        "dynamodb",
        "cache",
        "worker",
    }
    assert many.json("stop", "cache", "postgres") == {
        "schema": "devenv.stop/1",
        "project": "many",
        "exit_code": 0,
        "stopped": ["cache", "postgres"],
        "needed_by": ["worker"],
    }
    after = services(many)
    assert (after["cache"]["state"], after["postgres"]["state"]) == ("stopped", "stopped")
    assert (after["worker"]["pid"], after["dynamodb"]["pid"]) == (before["worker"]["pid"], before["dynamodb"]["pid"])
    again = many.json("restart", "worker", "dynamodb")
    assert (again["exit_code"], again["stopped"]) == (0, ["worker", "dynamodb"])
    restarted = services(many)
    assert {name for name, one in restarted.items() if one["state"] == "running"} == {
        "postgres",
        "dynamodb",
        "cache",
        "worker",
    }
    assert restarted["worker"]["pid"] != after["worker"]["pid"]
    assert restarted["dynamodb"]["pid"] != after["dynamodb"]["pid"]
    for word in ("stop", "restart", "up"):
        refused = many.json(word, "nothing")
        assert (refused["exit_code"], refused["error"]["what"]) == (2, "there is no service `nothing`")
    unknown = many.devenv("exec", "nothing", "--", "true")
    assert (unknown.code, "there is no service `nothing`" in unknown.err) == (125, True)


def test_exec_runs_in_the_folder_the_environment_and_the_interpreter_of_a_service(many: ProjectDir) -> None:
    code = "import os, sys; print(os.getcwd(), os.environ['BACKEND'], 'DEVENV_SERVICE' in os.environ); sys.exit(7)"
    ran = many.devenv("exec", "frontend", "--", "python3", "-c", code)
    folder = (many.path / "frontend").resolve()
    assert (ran.code, ran.out) == (7, f"{folder} {many.env()['BACKEND_URL']} False\n")
    assert many.devenv("exec", "postgres", "sh", "-c", "exit 3").code == 3
    assert many.devenv("exec", "worker", "--", "no-such-program").code == 127
    assert many.devenv("exec", "worker").code == 125


def test_exec_runs_nothing_of_a_folder_that_is_not_trusted(many: ProjectDir) -> None:
    refused = many.devenv("--no-input", "exec", "worker", "--", "true", DEVENV_TRUST="", XDG_STATE_HOME=str(many.path))
    assert refused.code == 125
    assert "is not trusted to run its own commands" in refused.err


def clocks(project: ProjectDir) -> list[int]:
    """The pids of the clocks of a project's logs."""
    place = str(project.path.resolve())
    found = processes.find_all({"clock": lambda words: "log_clock" in " ".join(words) and words[-1].startswith(place)})
    return [found["clock"].pid] if found else []


def test_logs_are_merged_by_time_and_their_clock_ends_with_the_services(many: ProjectDir) -> None:
    many.ok("up", timeout=240)
    [clock] = clocks(many)
    assert "log-clock" not in many.ok("ps").out
    frontend = services(many)["frontend"]["url"]
    for path in ("one", "two"):
        get(f"{frontend}/{path}")
    lines = many.json("logs", "--grep", "GET /(one|two)")["lines"]
    assert [line["service"] for line in lines] == ["frontend", "frontend"]
    assert lines[0]["at"] <= lines[1]["at"]
    text = many.ok("logs", "--since", "10m").out.splitlines()
    form = re.compile(
        r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d (postgres|dynamodb|backend|frontend|cache|worker|steps) +\| "
    )
    assert all(form.match(line) for line in text)
    assert {form.match(line)[2] for line in text} >= {"postgres", "dynamodb", "frontend", "worker"}  # type: ignore[index]
    assert many.devenv("logs", "--since", "soon").code == 2
    assert many.devenv("logs", "--grep", "(").code == 2
    assert many.devenv("logs", "nothing").code == 2

    kill(clock)
    many.ok("up")
    [again] = clocks(many)
    assert again != clock
    many.ok("down")
    assert clocks(many) == []
    assert of_project(many) == set()
    assert "GET /two" in many.ok("logs", "frontend").out


MOVING = """
[services.cache]
command = ["{python}", "cache.py", "{port}"]
port = 0
ready = { tcp = true }

[services.early]
command = ["{python}", "early.py"]
env = { CACHE = "{cache_port}" }
"""
# The first time another program has the port by the time that it is to be served.
WAIT = """\
end = time.monotonic() + 30
    while not pathlib.Path("early").exists() and time.monotonic() < end:
        time.sleep(0.01)"""


def test_who_was_given_a_port_that_another_program_then_took_gets_the_new_one(many: ProjectDir) -> None:
    """One of its own services, started first, knows the port that the other one then loses."""
    (many.path / "devenv.toml").write_text('[project]\nname = "many"\n' + MOVING)
    (many.path / "cache.py").write_text(robbed_service(before=WAIT))
    (many.path / "early.py").write_text("import time\nopen('early', 'w').close()\ntime.sleep(600)\n")
    try:
        said = many.ok("up", timeout=240).err
    finally:
        os.kill(int((many.path / "thief").read_text()), signal.SIGKILL)
    seen = services(many)
    assert "is taken by" in said
    assert "early: starting (an address that it was given has changed)" in said, said
    assert psutil.Process(seen["early"]["pid"]).environ()["CACHE"] == str(seen["cache"]["port"])
    assert {action["action"] for action in many.json("up")["plan"]} == {"keep"}


LOSER = """
import http.server, pathlib, socket, sys
port, lost = int(sys.argv[1]), pathlib.Path("lost")
if not lost.exists():
    lost.touch()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        socket.create_server(("127.0.0.1", port))
http.server.HTTPServer(("127.0.0.1", port), http.server.BaseHTTPRequestHandler).serve_forever()
"""


def test_a_port_whose_other_program_has_ended_since_is_tried_again(many: ProjectDir) -> None:
    """Two projects start at once: the one that got the port may be gone before devenv can see it."""
    (many.path / "devenv.toml").write_text(
        '[project]\nname = "many"\n[services.cache]\ncommand = ["{python}", "loser.py", "{port}"]\nport = 0\n'
        "ready = { tcp = true }\n"
    )
    (many.path / "loser.py").write_text(LOSER)
    said = many.ok("up", "cache", timeout=240).err
    assert (many.path / "lost").exists(), said
    assert services(many)["cache"]["state"] == "running"


@pytest.mark.long
def test_a_service_that_gives_itself_another_title_is_still_itself(many: ProjectDir) -> None:
    """As Redis and Node do, some time after their start."""
    worker = many.path / "worker.py"
    code = worker.read_text().partition("while True:")[0]
    worker.write_text(f"{code}time.sleep(1.5)\nos.execvp('sleep', ['another title', '60'])\n")
    many.ok("up", timeout=240)
    before = services(many)["worker"]
    time.sleep(2.5)
    assert psutil.Process(before["pid"]).cmdline() == ["another title", "60"]
    assert services(many)["worker"] == before
    assert {action["action"] for action in many.json("up")["plan"]} == {"keep"}
    many.ok("stop", "worker")
    assert processes.identify(before["pid"]) is None


@pytest.mark.long
def test_a_process_that_ends_with_its_connections_is_reported_by_the_command_that_closed_them(tmp_path: Path) -> None:
    """As node-postgres does: an idle connection that is closed ends a process without a handler."""
    made = empty_project(tmp_path / "pooled")
    (made.path / "pooled.py").write_text(
        "import os, time, psycopg\n"
        "with psycopg.connect(os.environ['DATABASE_URL'], autocommit=True) as connection:\n"
        "    print('connected', flush=True)\n"
        "    while True:\n        connection.execute('SELECT 1')\n        time.sleep(0.02)\n"
    )
    (made.path / "devenv.toml").write_text(
        '[project]\nname = "pooled"\n[services.pooled]\ncommand = ["{python}", "pooled.py"]\n'
        'depends_on = ["postgres"]\nready = { log = "^connected" }\n'
    )
    try:
        made.ok("up", timeout=240)
        assert "pooled ended when its connections to Postgres were closed" in made.ok("snapshot", "save", "one").err
        assert "pooled ended" not in made.ok("snapshot", "save", "two").err
    finally:
        made.remove()
