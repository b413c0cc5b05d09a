"""Faults of the lookup, of later pages and of answers."""

from __future__ import annotations

from collections.abc import Callable

from tests.faults.trace.answers import AGAIN, MEMBERS, plain
from tests.faults.trace.bench import Bench
from tests.faults.trace.breaks import PAGE, Answers, Fault, code, route
from tests.faults.trace.lookups import CONNECTED, LISTED, LOOKUP
from tests.faults.trace.running import always

OTHER = "94c08be3-17fa-4e26-a5d9-c3b6e0271f88"
LIST = ("conversations",)
DEFAULT = LISTED.replace("limit)", "limit or 20)")
FIRST_WINS = (
    "            me = users.find_by_sign_in(cognito_user_id=read_token(credentials.credentials))",
    "            found = users.find_by_sign_in(cognito_user_id=read_token(credentials.credentials))\n"
    '            me = api.__dict__.setdefault("me", found)',
)
MIXED = f"""if before is None:
        page = page + messages.list_messages(message_group_uuid="{OTHER}")[-3:]
    return page"""
LATIN = "json.dumps([{**line, 'handle': 'inès'} for line in page], ensure_ascii=False).encode('latin-1', 'replace')"
LEAKING = "            raise HTTPException(403, str(messages.list_messages(message_group_uuid=group))) from None"


def a_view(bench: Bench) -> None:
    """People are looked up in a view that has only those who joined lately."""
    bench.sql("CREATE VIEW public.active_users AS SELECT * FROM public.users WHERE handle > 'k'")
    bench.undo.append(lambda: bench.sql("DROP VIEW public.active_users"))
    code("users.py", (LOOKUP, LOOKUP.replace("public.users", "public.active_users")))(bench)


def search_path_of_database(bench: Bench) -> None:
    """The database's own search path begins with a schema that has last year's people."""
    bench.sql("CREATE SCHEMA archive")
    bench.undo.append(lambda: bench.sql("DROP SCHEMA archive CASCADE"))
    bench.sql("CREATE TABLE archive.users AS SELECT * FROM public.users")
    bench.sql("UPDATE archive.users SET uuid = gen_random_uuid()")
    code("users.py", ("FROM public.users", "FROM users"))(bench)
    bench.sql("ALTER DATABASE cruddur SET search_path = archive, public")
    bench.undo.append(lambda: bench.sql("ALTER DATABASE cruddur RESET search_path"))


def role_in_the_code(bench: Bench) -> None:
    """The code connects as a role that may read nothing."""
    bench.sql("CREATE ROLE visitor LOGIN PASSWORD 'visitorpassword'")
    bench.undo.append(lambda: bench.sql("DROP ROLE visitor"))
    wrong = f'{CONNECTED}        user="visitor",\n        password="visitorpassword",\n'
    code("stores.py", (CONNECTED, wrong))(bench)


def first_user_wins(bench: Bench) -> None:
    """Whoever asks first after a start is whom everybody is taken for."""
    code("app.py", FIRST_WINS)(bench)
    bench.ask("/api/message_groups", "rafael")


def later(lines: str) -> Callable[[Bench], None]:
    """Pages behind the first are changed."""
    changed = PAGE.replace("    return page", f"{AGAIN}        {lines}\n    return page")
    return route(changed)


def second_changed(bench: Bench, before: Answers, after: Answers) -> bool:
    """Return True if older messages look different."""
    return bool(before["older"] != after["older"])


def page(name: str, kind: str, lines: str, *names: str) -> Fault:
    """A fault of the pages behind the first."""
    return Fault(name, 30, "http", kind, later(lines), changed=second_changed, names=names)


OBJECTS: tuple[Fault, ...] = (
    Fault("looked up in a view", 41, "library", "wrong_row", a_view, names=("active_users", "find_by_sign_in")),
    Fault(
        "a search path of the database",
        41,
        "library",
        "wrong_row",
        search_path_of_database,
        names=("archive", "find_by_sign_in"),
    ),
    Fault("a role in the code", 41, "library", "wrong_query", role_in_the_code, names=("visitor",)),
    Fault(
        "the sign-in id is cut",
        42,
        "http",
        "not_authorised",
        code("auth.py", ('return str(claims["sub"])', 'return str(claims["sub"])[:-1]')),
        names=("401", "sign-in id"),
    ),
    Fault(
        "the cursor's own entry again",
        30,
        "http",
        "cursor",
        code("messages.py", ("sk < :before", "sk <= :before")),
        changed=always,
        names=("before", "on more than one page"),
    ),
    page("later pages are reversed", "body_changed", "page = page[::-1]", "page"),
    page(
        "later pages leave out one's own",
        "items_lost",
        'page = [line for line in page if line["handle"] != me["handle"]]',
        "Ines Halvorsen",
    ),
    page(
        "later pages shout",
        "body_changed",
        'page = [{**line, "message": line["message"].upper()} for line in page]',
        "message",
        "page",
    ),
    Fault(
        "a refusal that tells all",
        40,
        "http",
        "open_to_strangers",
        code("app.py", (MEMBERS, f"    try:\n    {MEMBERS}    except messages.NotAMember:\n{LEAKING[4:]}\n")),
        names=("403",),
    ),
    Fault(
        "JSON in Latin-1",
        39,
        "http",
        "not_json",
        plain(LATIN, media="application/json; charset=iso-8859-1"),
        names=("iso-8859-1",),
    ),
    Fault(
        "the first user wins", 43, "http", "items_lost", first_user_wins, subject=LIST, names=("stored for rafael,",)
    ),
    Fault(
        "twenty unless asked",
        42,
        "library",
        "wrong_query",
        code("messages.py", (LISTED, DEFAULT)),
        changed=always,
        names=("20",),
    ),
    Fault(
        "another conversation mixed in",
        0,
        "http",
        "body_changed",
        route(PAGE.replace("return page", MIXED)),
        names=(OTHER,),
    ),
)
