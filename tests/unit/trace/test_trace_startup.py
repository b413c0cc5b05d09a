"""A function that fails without the application's start is no fault of the code; one that fails by itself is."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.trace.layers.startup import needs_start
from devenv.trace.observation import Ran

KEYS = ("trace", "visits", "library", "function")
TOML = '[trace.visits]\n[trace.visits.library]\nfunction = "clinic.visits:visits_of"\n'
DATABASE = """pool = make_pool(open=False)
client = None

def names_of(ids):
    with pool.connection() as found:
        return found.execute("SELECT 1")

def pages_of(ids):
    rows = client.get(ids)
    row = first(rows)
    return row["name"]

def connect():
    global client
    client = object()
    row = 1
"""
WEB = """from clinic import db

async def life(app):
    db.pool.open()
    db.connect()
    yield

app = FastAPI(lifespan=life)
"""


def said(root: Path, error: str, detail: str, where: str, web: str = WEB) -> str | None:
    for name, text in {"devenv.toml": TOML, "clinic/db.py": DATABASE, "clinic/web.py": web}.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    return needs_start(root, root, KEYS, Ran("visits_of()", "raised", error=error, detail=detail, where=where))


CLOSED = ("PoolClosed", "the pool 'pool-1' is not open yet", "clinic/db.py:5 in names_of")
NONE = ("AttributeError", "'NoneType' object has no attribute 'get'", "clinic/db.py:9 in pages_of")


def test_a_pool_that_the_lifespan_opens(tmp_path: Path) -> None:
    assert said(tmp_path, *CLOSED) == (
        "the function needs what the application sets up at its start (clinic/web.py:3 `life`), and fails without it: "
        "PoolClosed: the pool 'pool-1' is not open yet (clinic/db.py:5 in names_of). At devenv.toml:3 name a function "
        "that does this first, or delete [trace.visits.library] (`devenv help traces`)"
    )


@pytest.mark.parametrize(
    "web",
    [
        '@app.on_event("startup")\ndef begin():\n    connect()\n',
        "async def begin(app):\n    db.client = Client()\n\nweb.Application().on_startup.append(begin)\n",
        "async def begin(app):\n    await db.connect()\n\napp = Starlette(on_startup=[begin])\n",
        "def begin():\n    app = Flask(__name__)\n    db.connect()\n    return app\n",
    ],
)
def test_a_global_that_another_start_sets(tmp_path: Path, web: str) -> None:
    text = said(tmp_path, *NONE, web=web)
    assert text is not None
    assert "(clinic/web.py:" in text
    assert "`begin`)" in text


def test_an_extension_outside_of_the_application(tmp_path: Path) -> None:
    web = "def create_app():\n    app = Flask(__name__)\n    db.init_app(app)\n    return app\n"
    outside = ("RuntimeError", "Working outside of application context.\n\nThis …", "clinic/db.py:6 in names_of")
    assert "(clinic/web.py:1 `create_app`)" in (said(tmp_path, *outside, web=web) or "")


@pytest.mark.parametrize(
    ("failure", "web"),
    [
        (CLOSED, "app = FastAPI()\n"),
        (CLOSED, "async def life(app):\n    yield\n\napp = FastAPI(lifespan=life)\n"),
        (("PoolClosed", "the pool 'pool-1' is already closed", "clinic/db.py:5 in names_of"), WEB),
        (("TypeError", "'NoneType' object is not subscriptable", "clinic/db.py:11 in pages_of"), WEB),
        (("KeyError", "'name'", "clinic/db.py:11 in pages_of"), WEB),
    ],
)
def test_other_failures_stay_faults_of_the_code(tmp_path: Path, failure: tuple[str, str, str], web: str) -> None:
    assert said(tmp_path, *failure, web=web) is None
