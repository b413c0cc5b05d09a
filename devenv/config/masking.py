"""Secrets, masked by their value and their place: the one module that decides what is shown.

- `mask_text`: any text. URLs, connection strings, headers and tokens in it, and every secret that this process knows.
- `mask`: the value of one variable or setting, also by its name.
- `mask_variable`: a value of `[env]` and its like, of which only what is plainly no secret is shown.
- `learn`: what this process knows to be secret; `hide` replaces it in a text, wherever it stands; `hide_encoded` in the
  target of a request, where any character may be percent-encoded.

All but `learn`, `hide` and `hide_encoded` are pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

import msgspec

from devenv.core.late import late

MASK: Final = "****"
# Shorter texts would blot out words of ours.
LEAST: Final = 8

# Names of variables, settings and parameters that hold a secret.
NAME: Final = late(
    r"secret|passw|passphrase|passcode|pwd|credential|private|token|api_?key|access_?key(?!_?id)|authorization"
    r"|(?:^|[._-])(?:pass|salt|pepper|auth|jwt|otp|dsn|cookie|signature|bearer)(?:$|[_-])|[_-]key$|^(?:key|sig|pat)$"
    r"|[_-](?:sig|pat)$",
    re.IGNORECASE,
)
# Names that look so, and hold none.
PUBLIC: Final = late(
    r"(?:public|publishable|primary|partition|sort|hash|range|foreign|natural)_?key$|key_?id$"
    r"|_(?:file|path|dir|folder|url|uri|endpoint|name|arn|ttl|seconds|header|algorithm|algo|type|id|sock)$",
    re.IGNORECASE,
)
# A column of this name is as likely the key of an item.
NO_COLUMNS: Final = frozenset(["key"])
PLAIN_VALUE: Final = late(r"true|false|t|f|none|null||-?\d{1,7}(?:\.\d+)?|\d{4}-\d\d-\d\d(?:[T ]\S*)?", re.IGNORECASE)
# In a text, where anything may stand before a `=`, only these.
PAIR_NAME: Final = (
    r"(?:[A-Za-z0-9_.-]*?(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|signature|credentials?)"
    r"|(?:[A-Za-z0-9_.-]*[_-])?(?:pass|sig))"
)
PAIR: Final = late(
    rf"(?P<kept>(?<![A-Za-z0-9_.-])(?:(?P<quote>[\"']){PAIR_NAME}(?P=quote)\s*[:=]\s*|{PAIR_NAME}\s?=\s?))"
    r"(?:\"(?P<double>(?:[^\"\\]|\\.)*)\"?|'(?P<single>(?:[^'\\]|\\.|'')*)'?|(?P<bare>[^\s\"'&;,<>()\[\]|]+))",
    re.IGNORECASE,
)
OPTION: Final = late(rf"(?<!\S)(--?{PAIR_NAME}\s+)(?![-{{$])\S+", re.IGNORECASE)
SECRET_OPTION: Final = late(rf"--?{PAIR_NAME}", re.IGNORECASE)
TOKEN: Final = late(
    r"(?P<kept>\b(?:Bearer|Basic|Digest|Negotiate|Token|ApiKey)\s+)(?=[^\s]*[\d=+/._~-])[A-Za-z0-9._~+/=-]{8,}"
    r"|\beyJ[\w-]{6,}(?:\.[\w-]*)*"
    r"|\b(?:sk|rk|pk|whsec)_(?:(?:live|test)_)?[A-Za-z0-9]{16,}|\bgh[oprsu]_[A-Za-z0-9]{16,}|\bgithub_pat_\w{16,}"
    r"|\bglpat-[\w-]{16,}|\bxox[abeoprs]-[\w-]{8,}|\bsk-[\w-]{20,}|\bAIza[\w-]{20,}|\bSG\.[\w-]{16,}\.[\w-]{16,}"
    # Of Postgres's roles.
    r"|\bSCRAM-SHA-256\$\d+:[\w+/=]+\$[\w+/=]+:[\w+/=]+|\bmd5[0-9a-f]{32}\b"
    r"|\bnpm_[A-Za-z0-9]{30,}|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
SCHEME: Final = late(r"\b[A-Za-z][A-Za-z0-9+.-]*://")
URL_END: Final = late(r"[\s\"'<>`]")
# Schemes whose path may hold an `@` (`/users/@ines`); in others what stands before one is a user and a password.
WEB: Final = ("http", "https", "ws", "wss", "file")
PLAIN_HOST: Final = late(r"(?:[\w-]+(?:\.[\w-]+)*|\[[0-9A-Fa-f:.]*\])(?::\d{0,5})?")
# Not passwords, but what stands for one.
EXAMPLES: Final = frozenset(["", "password", "PASSWORD", "…", "...", MASK, "%s"])
# The scheme before a token in a header: `Bearer {token}`.
AUTHENTICATION: Final = late(r"^(?:Basic|Bearer|Token)\s+(?=[{$%])", re.IGNORECASE)
PLACEHOLDER: Final = late(r"\{[\w.]+\}|\$\{\w+\}|\$\w+|%\(\w+\)s")
HARMLESS: Final = late(
    r"[+-]?\d+(?:\.\d+)?|true|false|yes|no|on|off|none|null|[a-z]{2,}(?:-[a-z]+)+-\d|"
    r"(?:/[A-Za-z_-]{1,12})*/?",
    re.IGNORECASE,
)
LOOPBACK_URL: Final = late(
    r"(?:https?|wss?|redis|amqp|tcp)://(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5}|:\{\w+\})?(?:/[\w./{}-]*)?",
    re.IGNORECASE,
)


class Address(msgspec.Struct, frozen=True):
    """A URL taken apart leniently: its user part ends at the last `@`, whatever characters the password has.

    `unencoded`: the characters of the password that must be percent-encoded, and are not. `rest` follows the host.
    """

    scheme: str
    user: str = ""
    password: str | None = None
    host: str = ""
    port: str = ""
    rest: str = ""
    unencoded: str = ""

    @property
    def database(self) -> str:
        """The first part of the path, decoded."""
        return unquote(re.split(r"[?#]", self.rest.lstrip("/"), maxsplit=1)[0])

    @property
    def query(self) -> str:
        """The part behind `?`."""
        return self.rest.partition("#")[0].partition("?")[2]

    @property
    def advice(self) -> str:
        """How to write the characters that make the URL ambiguous; "" when there are none."""
        signs = list(dict.fromkeys(self.unencoded))
        return "; ".join(f"the password has a {sign} that must be encoded as {quote(sign, safe='')}" for sign in signs)


def split_address(text: str) -> Address | None:
    """A URL's parts; None for what has no scheme. Never an error, and nothing is quoted anywhere."""
    found = SCHEME.match(text)
    if found is None:
        return None
    scheme, rest = found[0][:-3].lower(), text[found.end() :]
    at = user_part(scheme, rest)
    user, colon, password = rest[: max(at, 0)].partition(":")
    place = rest[at + 1 :]
    host = re.split(r"[/?#]", place, maxsplit=1)[0]
    name, port = host, ""
    if ported := re.fullmatch(r"(.*):([^:\]]*)", host):
        name, port = ported[1], ported[2]
    bad = "".join(re.findall(r"[/#?@\s]|%(?![0-9A-Fa-f]{2})", password))
    return Address(
        scheme, unquote(user), unquote(password) if colon else None, name.strip("[]"), port, place[len(host) :], bad
    )


def user_part(scheme: str, rest: str) -> int:
    """Return where the `@` is that ends the user part of a URL; -1 without one."""
    at = rest.rfind("@")
    if at < 0 or scheme not in WEB:
        return at
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    inside = authority.rfind("@")
    if inside >= 0:
        return at if ":" in authority[:inside] else inside
    return -1 if PLAIN_HOST.fullmatch(authority) else at


def mask_url(url: str) -> str:
    """A whole URL without its password, and without the values of parameters that are secret."""
    found = SCHEME.match(url)
    if found is None:
        return url
    rest = url[found.end() :]
    at = user_part(found[0][:-3].lower(), rest)
    if at >= 0:
        user, colon, password = rest[:at].partition(":")
        if colon and not stands_for_one(password):
            rest = f"{user}:{MASK}{rest[at:]}"
        elif not colon and len(user) >= 2 * LEAST and re.search(r"\d", user):
            rest = f"{MASK}{rest[at:]}"
    return found[0] + rest


def stands_for_one(value: str) -> bool:
    """Return True for a placeholder or an example where a secret would stand."""
    return value in EXAMPLES or not PLACEHOLDER.sub("", AUTHENTICATION.sub("", value)).strip()


def mask_text(text: str) -> str:
    """A text without the secrets in it."""
    text = hide(text)
    if "://" in text:
        text = mask_urls(text)
    if "=" in text or ":" in text:
        text = PAIR.sub(mask_pair, text)
    return TOKEN.sub(lambda found: f"{found['kept'] or ''}{MASK}", text)


def mask_urls(text: str) -> str:
    parts, place = [], 0
    for found in SCHEME.finditer(text):
        if found.start() < place:
            continue
        end = URL_END.search(text, found.end())
        stop = end.start() if end else len(text)
        parts += [text[place : found.start()], mask_url(text[found.start() : stop])]
        place = stop
    return "".join([*parts, text[place:]])


def mask_pair(found: re.Match[str]) -> str:
    """`name=value` without the value."""
    for kind, sign in (("double", '"'), ("single", "'"), ("bare", "")):
        if found[kind] is not None:
            return found[0] if stands_for_one(found[kind]) else f"{found['kept']}{sign}{MASK}{sign}"
    return found[0]


@lru_cache(4096)
def is_secret_name(name: str) -> bool:
    """Return True if a variable or parameter of this name holds a secret."""
    return bool(NAME.search(name)) and not PUBLIC.search(name)


def is_secret_value(name: str, text: str) -> bool:
    """Return True if a column or an attribute of this name holds this text as a secret.

    A truth value, a small number and a time are none, whatever their name is (`is_private`, `token_count`).
    """
    return is_secret_name(name) and name.lower() not in NO_COLUMNS and not PLAIN_VALUE.fullmatch(text)


def mask(name: str, value: Any) -> Any:
    """The value of a variable or a setting: masked as a whole by its name, else what is secret inside of it."""
    if isinstance(value, list | tuple):
        return mask_words(name, value)
    if isinstance(value, Mapping):
        return {key: mask(str(key), part) for key, part in value.items()}
    if not isinstance(value, str):
        return value
    if is_secret_name(name) and not stands_for_one(value):
        return MASK
    shown = mask_text(mask_url(value))
    return OPTION.sub(lambda found: f"{found[1]}{MASK}", shown)


def mask_words(name: str, words: Iterable[Any]) -> list[Any]:
    """A list's values; in a command also what follows `--password`."""
    made: list[Any] = []
    secret = False
    for word in words:
        made.append(MASK if secret and isinstance(word, str) and not stands_for_one(word) else mask(name, word))
        secret = isinstance(word, str) and bool(SECRET_OPTION.fullmatch(word))
    return made


def mask_variable(name: str, value: str, is_known: Callable[[str], bool]) -> str:
    """A variable's value if it is plainly no secret, else the mask.

    Shown are numbers, booleans, regions, placeholders, loopback URLs without a user part, and what `is_known` knows:
    declared names, and paths inside the project.
    """
    if stands_for_one(value):
        return value
    bare = PLACEHOLDER.sub("", value)
    parts = [part.strip() for part in value.split(",")]
    plain = HARMLESS.fullmatch(bare) or is_known(value) or all(map(LOOPBACK_URL.fullmatch, parts))
    return value if plain and not is_secret_name(name) else MASK


def mask_tree(value: Any, of_text: Callable[[str], str] = mask_text) -> Any:
    """Every text inside plain lists and maps, masked."""
    if isinstance(value, str):
        return of_text(value)
    if isinstance(value, Mapping):
        return {of_text(key) if isinstance(key, str) else key: mask_tree(part, of_text) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [mask_tree(part, of_text) for part in value]
    return value


def hide_tree(value: Any) -> Any:
    """The same, without looking for what looks like a secret: only what was learned."""
    return mask_tree(value, hide) if LEARNED.forms else value


# --- what this process knows ---


# As Jinja writes them in a page.
IN_HTML: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&#39;", '"': "&#34;"})


ENCODED: Final = late(r"%([0-9A-Fa-f]{2})")
# A proxy encodes what was encoded before.
TIMES_ENCODED: Final = 3


class Learned:
    """The secrets that this process has read, and the pattern that finds them."""

    def __init__(self) -> None:
        self.forms: dict[str, None] = {}
        self.pattern: re.Pattern[str] | None = None

    def add(self, secret: str) -> None:
        """Keep one, in the forms in which it may stand in a text."""
        in_html = secret.translate(IN_HTML)
        in_json = [json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)]
        forms = [secret, quote(secret, safe=""), quote(secret), unquote(secret), *in_json, in_html]
        new = [form for form in dict.fromkeys(forms) if len(form) >= LEAST and form not in self.forms]
        if new:
            self.forms |= dict.fromkeys(new)
            self.pattern = None

    def hide(self, text: str) -> str:
        """The text without them."""
        if not self.forms:
            return text
        if self.pattern is None:
            self.pattern = re.compile("|".join(map(re.escape, sorted(self.forms, key=len, reverse=True))))
        return self.pattern.sub(MASK, text)

    def hide_encoded(self, target: str) -> str:
        """A request's target, as its bytes in Latin-1, without them: any of their characters may be percent-encoded."""
        if not self.forms:
            return target
        forms = sorted((form.encode().decode("latin-1") for form in self.forms), key=len, reverse=True)
        pattern = re.compile("|".join(map(re.escape, forms)))
        text, places = target, list(range(len(target) + 1))
        spans = [found.span() for found in pattern.finditer(text)]
        for _ in range(TIMES_ENCODED):
            text, places, before = *decode_once(text, places), len(text)
            if len(text) == before:
                break
            spans += [(places[found.start()], places[found.end()]) for found in pattern.finditer(text)]
        shown, place = [], 0
        for start, end in sorted(spans):
            if end > place:
                shown += [target[place : max(start, place)], MASK if start >= place else ""]
                place = end
        return "".join([*shown, target[place:]])


def decode_once(text: str, places: list[int]) -> tuple[str, list[int]]:
    """Percent-encoded characters decoded, and where in the source each character of the result begins."""
    made, begins, at = list[str](), list[int](), 0
    for found in ENCODED.finditer(text):
        made += [text[at : found.start()], chr(int(found[1], 16))]
        begins += places[at : found.start() + 1]
        at = found.end()
    return "".join([*made, text[at:]]), begins + places[at:]


LEARNED: Final = Learned()


def learn(*secrets: str) -> None:
    """Mask these wherever they stand from now on. Texts of fewer than `LEAST` characters are left alone."""
    for secret in secrets:
        LEARNED.add(secret)


def learned() -> list[str]:
    """Every secret that was learned, in the forms in which it may stand in a text."""
    return list(LEARNED.forms)


def hide(text: str) -> str:
    """The text without any secret that was learned."""
    return LEARNED.hide(text)


def hide_encoded(target: str) -> str:
    """The target of a request without any secret that was learned, however its characters are encoded."""
    return LEARNED.hide_encoded(target)


def learn_variables(environ: Mapping[str, str]) -> None:
    """Learn the secrets among variables: by name, and passwords inside URLs and connection strings."""
    for name, value in environ.items():
        if is_secret_name(name) and is_strong(value):
            learn(value)
        elif "://" in value and (address := split_address(value)) and address.password and is_strong(address.password):
            learn(address.password)


def is_strong(value: str) -> bool:
    """Return True for what nobody writes by chance: `postgres` as a password would blot out every `postgres`."""
    kinds = (str.islower, str.isupper, str.isdigit)
    varied = sum(any(map(kind, value)) for kind in kinds) >= 2
    return len(value) >= LEAST and varied and not value.startswith(("/", "~")) and not PLACEHOLDER.search(value)


# --- settings ---

VARIABLES: Final = late(r"(?:(?:backend|services\.[^.]+)\.)?env\.([^.]+)")
ADDRESSES: Final = frozenset(["external.postgres", "external.dynamodb"])
SECRETS: Final = frozenset(["external.password", "external.secret_key", "external.session_token"])


def mask_settings(flat: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Settings by dotted key, without their secrets. Of variables only what is plainly no secret is shown."""
    is_known = known_values(flat, root)
    shown: dict[str, Any] = {}
    for key, value in flat.items():
        if (found := VARIABLES.fullmatch(key)) and isinstance(value, str):
            shown[key] = mask_variable(found[1], value, is_known)
        elif key in SECRETS or (key in ADDRESSES and isinstance(value, str) and split_address(value) is None):
            shown[key] = MASK if value else value
        else:
            # Headers and claims are named by whoever reads them; other keys are devenv's own words.
            named = re.search(r"\.(?:headers|claims|arguments|params|values)\.(.+)", key)
            shown[key] = mask(named[1] if named else "", value)
    return shown


def known_values(flat: Mapping[str, Any], root: Path) -> Callable[[str], bool]:
    """For `mask_variable`: tells a declared name, or a path inside the project."""
    declared = declared_names(flat)
    return lambda value: value in declared or is_inside(value, root)


def declared_names(flat: Mapping[str, Any]) -> set[str]:
    """Every name and short text that other settings hold in clear."""
    names: set[str] = set()
    for key, value in flat.items():
        if key.startswith("external.") or key == "backend.command" or VARIABLES.fullmatch(key):
            continue
        names.update(key.split("."))
        names.update(each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str))
    return names


def is_inside(value: str, root: Path) -> bool:
    """Return True for a path of something that is in the project's folder."""
    if not value or "\0" in value or value.startswith("~"):
        return False
    try:
        path = (root / value).resolve()
        return path.exists() and path.is_relative_to(root.resolve())
    except OSError:
        return False


def variable_secrets(flat: Mapping[str, Any], root: Path) -> list[str]:
    """The values of variables that `mask_settings` does not show, as far as nobody writes them by chance."""
    shown = mask_settings(flat, root)
    return [
        value
        for key, value in flat.items()
        if isinstance(value, str) and VARIABLES.fullmatch(key) and shown[key] == MASK and is_strong(value)
    ]
