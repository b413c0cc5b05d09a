"""Answers the shells at each TAB: `python -P -m devenv.cli.complete SHELL INDEX WORD…`. The standard library only.

Importing the commands takes longer than somebody waits for a TAB. So their words come from a file that `completion.py`
writes whenever devenv's own files change, and names out of the stores from one that it refreshes in the background.
Nothing is ever printed but candidates: an error is no candidate.
"""

import contextlib
import hashlib
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

# Waiting for the words once, and for names that were never gathered; a TAB is answered in 0.3 s.
FIRST_S = 3.0
NAMES_S = 0.15
STALE_S = 5.0
# As config/parse.py has it: more is no devenv.toml.
MOST_BYTES = 500_000
STEPS = ("setup", "schema-load", "seed")
STORES = ("postgres", "dynamodb")
SHELLS = ("bash", "zsh", "fish", "powershell")
VALUED = ("--project", "--color", "--timeout")
# What a placeholder stands for where its command does not say more (`NAMED`).
KINDS = {
    "STEP": "steps",
    "SERVICE": "services",
    "SUBJECT": "subjects",
    "HANDLE": "handles",
    "TABLE": "tables",
    "CODE": "codes",
    "PAGE": "pages",
    "SHELL": "shells",
    "FILE": "files",
    "DIR": "files",
}
# (command, placeholder) -> what it stands for.
NAMED = {
    ("snapshot", "NAME"): "snapshots",
    ("snapshot diff", "A"): "snapshots",
    ("snapshot diff", "B"): "snapshots",
    ("patterns", "NAME"): "patterns",
    ("parts", "NAME"): "parts",
    ("doctor", "NAME"): "codes",
    ("up", "NAME"): "services",
    ("stop", "NAME"): "services",
    ("restart", "NAME"): "services",
    ("exec", "NAME"): "services",
    ("trace", "VALUE"): "values",
    ("ddb", "NAME=VALUE"): "keys",
}


def cache_place(environ: "os._Environ[str] | dict[str, str]") -> Path:
    """The folder for the words and names, private to this user."""
    if named := environ.get("DEVENV_CACHE"):
        return Path(named).expanduser() / "completion"
    if os.name == "nt":
        return Path(environ.get("LOCALAPPDATA", str(Path.home()))) / "devenv" / "completion"
    if os.geteuid() == 0:
        return Path("/var/cache/devenv/completion")
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "devenv" / "completion"


def words_file(cache: Path) -> Path:
    """The file with the commands' words; another one after any change of devenv's commands."""
    here = Path(__file__).parent
    stamps = sorted((entry.name, entry.stat().st_mtime_ns) for entry in os.scandir(here) if entry.name.endswith(".py"))
    return cache / f"words-{hashlib.sha256(repr((here, stamps)).encode()).hexdigest()[:16]}.json"


def names_file(cache: Path, root: Path) -> Path:
    """The file with the names out of one project's stores."""
    return cache / f"names-{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}.json"


def find_root(words: "list[str]") -> "Path | None":
    """The project's folder: as `--project` says, else the nearest with a devenv.toml."""
    for number, word in enumerate(words):
        if word == "--project" and number + 1 < len(words):
            return Path(words[number + 1]).expanduser().resolve()
        if word.startswith("--project="):
            return Path(word.partition("=")[2]).expanduser().resolve()
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "devenv.toml").is_file()), None)


def refresh(*what: str) -> None:
    """Have the words or the names written, in the background."""
    command = [sys.executable, "-P", "-m", "devenv.cli.completion", *what]
    quiet = subprocess.DEVNULL
    child = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    # Not waited for, and no warning about that.
    child.returncode = 0


def read_json(file: Path, wait_s: float) -> dict:  # type: ignore[type-arg]
    """The content of a file that somebody may be writing; empty if there is none in time."""
    end = time.monotonic() + wait_s
    while True:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(file.read_bytes())
            return found if isinstance(found, dict) else {}
        if time.monotonic() >= end:
            return {}
        time.sleep(0.01)


def read_words(cache: Path) -> dict:  # type: ignore[type-arg]
    """The commands' words."""
    file = words_file(cache)
    if not file.exists():
        refresh("words")
    return read_json(file, FIRST_S)


def read_names(cache: Path, root: Path) -> dict:  # type: ignore[type-arg]
    """The names out of the stores, at most some seconds old where somebody types."""
    file = names_file(cache, root)
    try:
        old = time.time() - file.stat().st_mtime > STALE_S
        wait = 0.0
    except OSError:
        old, wait = True, NAMES_S
    if old:
        refresh("names", str(root))
    return read_json(file, wait)


def read_settings(root: "Path | None") -> dict:  # type: ignore[type-arg]
    """devenv.toml as it is; empty if it cannot be read."""
    if root is None:
        return {}
    import tomllib

    with contextlib.suppress(OSError, ValueError):
        # A pipe in its place would keep the shell waiting for ever.
        place = os.open(root / "devenv.toml", os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(place, "rb") as file:
            content = file.read(MOST_BYTES + 1) if stat.S_ISREG(os.fstat(place).st_mode) else b""
        return tomllib.loads(content.decode("utf-8-sig")) if len(content) <= MOST_BYTES else {}
    return {}


class Completion:
    """One question: the words up to the cursor, and the word at it."""

    def __init__(self, words: "list[str]", current: str, environ: "dict[str, str]") -> None:
        self.words, self.current = words, current
        self.cache = cache_place(environ)
        self.root = find_root(words)
        self.settings = read_settings(self.root)

    def candidates(self) -> "list[tuple[str, str]] | None":
        """(word, description) of everything that fits here; None: names of files."""
        # In every project that somebody works in: so that the names are there at the next TAB.
        names = read_names(self.cache, self.root) if self.root else {}
        tree = read_words(self.cache)
        command, node, rest = descend(tree, self.words)
        if "--" in rest:
            return None
        options = {**tree.get("options", {}), **node.get("options", {})}
        last = self.words[-1] if self.words else ""
        if self.current.startswith("--") and "=" in self.current:
            option, _, typed = self.current.partition("=")
            found = self.placeholder(command, options.get(option, {}).get("value", ""), names, rest)
            return None if found is None else [(f"{option}={word}", text) for word, text in found if typed is not None]
        if options.get(last, {}).get("value"):
            return self.placeholder(command, options[last]["value"], names, rest)
        if self.current.startswith("-"):
            return [(name, each.get("help", "")) for name, each in options.items()]
        if node.get("commands"):
            return [(name, each.get("help", "")) for name, each in node["commands"].items()]
        arguments = node.get("arguments", [])
        given = positional(rest, options)
        if not arguments:
            return []
        place = arguments[min(len(given), len(arguments) - 1)]
        if len(given) >= len(arguments) and not place.endswith("…"):
            return []
        return self.placeholder(command, place, names, rest)

    def placeholder(self, command: str, place: str, names: dict, rest: "list[str]") -> "list[tuple[str, str]] | None":  # type: ignore[type-arg]
        """The candidates that a placeholder such as `[SERVICE]` or `text|json` stands for; None: names of files."""
        bare = place.strip("[]").rstrip("…")
        if "|" in bare:
            return [(word, "") for word in bare.split("|")]
        group = command.split()[0] if command else ""
        kind = NAMED.get((command, bare)) or NAMED.get((group, bare)) or KINDS.get(bare)
        if kind == "files":
            return None
        values = self.named(kind, names, rest) if kind else []
        return [pair for pair in values if pair[0]]

    def named(self, kind: str, names: dict, rest: "list[str]") -> "list[tuple[str, str]]":  # type: ignore[type-arg]
        """All names of a kind."""
        if kind == "steps":
            return [(step, "step") for step in STEPS]
        if kind == "services":
            own = self.settings.get("services", {})
            backend = ["backend"] if "backend" in self.settings else []
            return [(name, "service") for name in (*STORES, *backend, *own)]
        if kind == "subjects":
            return [(name, str(each.get("title", ""))) for name, each in self.settings.get("trace", {}).items()]
        if kind == "patterns":
            return [(name, str(each.get("purpose", ""))) for name, each in self.settings.get("patterns", {}).items()]
        if kind == "shells":
            return [(shell, "") for shell in SHELLS]
        if kind == "values":
            subject = next((word for word in rest if word in self.settings.get("trace", {})), "")
            return [tuple(pair) for pair in names.get("values", {}).get(subject, [])]
        if kind == "keys":
            keys = names.get("keys", {}).get(next((word for word in rest if word in names.get("keys", {})), ""), [])
            return [(f"{name}=", "key") for name in keys if not any(word.startswith(f"{name}=") for word in rest)]
        if kind in ("codes", "pages"):
            return [tuple(pair) for pair in read_words(self.cache).get(kind, [])]
        return [tuple(pair) for pair in names.get(kind, [])]


def descend(tree: dict, words: "list[str]") -> "tuple[str, dict, list[str]]":  # type: ignore[type-arg]
    """The command that the words name, its node, and the words behind it."""
    path: list[str] = []
    rest: list[str] = []
    skip = False
    for word in words:
        commands = tree.get("commands", {})
        if skip:
            skip = False
        elif word in VALUED:
            skip = True
        elif not rest and word in commands:
            path.append(word)
            tree = commands[word]
        elif path or not word.startswith("-"):
            rest.append(word)
    return " ".join(path), tree, rest


def positional(rest: "list[str]", options: dict) -> "list[str]":  # type: ignore[type-arg]
    """The words that are neither options nor the values of options."""
    found = []
    skip = False
    for word in rest:
        if skip:
            skip = False
        elif word.startswith("-") and word != "-":
            skip = bool(options.get(word, {}).get("value")) and "=" not in word
        else:
            found.append(word)
    return found


def printable(text: str) -> str:
    """Without what steers a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def quoted(word: str) -> str:
    """A word as bash reads it back."""
    return "".join(letter if letter.isalnum() or letter in "-_./=:@%+," else f"\\{letter}" for letter in word)


def lines_for(shell: str, found: "list[tuple[str, str]] | None", current: str) -> "list[str]":
    """The lines that a shell reads: `:files`, or a candidate in each, with its description behind a tab."""
    if found is None:
        return [":files"]
    fitting = [
        (word, printable(text)) for word, text in found if word.startswith(current) and word.isprintable() and word
    ]
    if shell == "bash":
        # Readline takes `:` and `=` for ends of words: it has the part before them already.
        cut = max(current.rfind(sign) for sign in ":=") + 1
        return [quoted(word)[len(quoted(word[:cut])) :] for word, _ in fitting]
    return [f"{word}\t{text}" for word, text in fitting]


def joined(words: "list[str]", index: int) -> "tuple[list[str], str]":
    """The words before the cursor and the one at it. bash gives `pk=a` as three words: they are one again."""
    found: list[str] = []
    glue = False
    for word in words[1 : index + 1]:
        if found and (word in ("=", ":") or glue) and not (glue and word in ("=", ":") and found[-1] == ""):
            found[-1] += word
            glue = word in ("=", ":")
        else:
            found.append(word)
            glue = False
    return (found[:-1], found[-1]) if found else ([], "")


def main(arguments: "list[str]") -> None:
    """Print the candidates; nothing for whatever cannot be answered."""
    # A pipe that the shell closed, a folder that is gone, a file of another version: no candidate.
    with contextlib.suppress(Exception):
        shell, index, *words = arguments
        before, current = joined(words, int(index)) if shell == "bash" else (words[1 : int(index)], "")
        if shell != "bash":
            current = words[int(index)] if int(index) < len(words) else ""
        found = Completion(before, current, dict(os.environ)).candidates()
        sys.stdout.write("".join(f"{line}\n" for line in lines_for(shell, found, current)))
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
