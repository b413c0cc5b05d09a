"""`devenv completion`: scripts for shells, and the data that complete.py reads: command words, names in the stores."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from devenv.cli.options import chosen, show, tell
from devenv.core.errors import DevenvError, Exit, UsageError
from devenv.core.model import Report

MONTH_S: Final = 30 * 86_400
# Names of one kind that are kept; a list that nobody reads helps nobody.
MOST: Final = 500
SCANNED: Final = 5000
MARK: Final = "# devenv completion"
ASK: Final = "{python} -P -m devenv.cli.complete"
SCRIPTS: Final[Mapping[str, str]] = {
    "bash": """\
# devenv completion for bash
_devenv() {
    local lines IFS=$'\\n'
    lines=$({ask} bash "$COMP_CWORD" "${COMP_WORDS[@]}" 2>/dev/null)
    COMPREPLY=()
    if [ "$lines" = ":files" ]; then
        compopt -o default 2>/dev/null
        return
    fi
    COMPREPLY=($lines)
    case "${COMPREPLY[0]-}" in *=) compopt -o nospace 2>/dev/null ;; esac
}
complete -F _devenv devenv
""",
    "zsh": """\
#compdef devenv
# devenv completion for zsh
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -u; }
_devenv() {
    local -a lines shown
    local line
    lines=("${(@f)$({ask} zsh $((CURRENT - 1)) "${(@Q)words}" 2>/dev/null)}")
    if [[ "$lines[1]" == ":files" ]]; then _files; return; fi
    for line in $lines; do
        [[ -n "$line" ]] && shown+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}")
    done
    (( $#shown )) && _describe -V 'devenv' shown
}
compdef _devenv devenv
""",
    "fish": """\
# devenv completion for fish
function __devenv_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l lines ({ask} fish (math (count $words) - 1) $words 2>/dev/null)
    if test "$lines[1]" = ":files"
        __fish_complete_path (commandline -ct)
        return
    end
    printf '%s\\n' $lines
end
complete -c devenv -f -a '(__devenv_complete)'
""",
    "powershell": """\
# devenv completion for PowerShell
Register-ArgumentCompleter -Native -CommandName devenv -ScriptBlock {
    param($word, $ast, $cursor)
    $words = @($ast.CommandElements | ForEach-Object { $_.ToString() })
    if ($word -eq '') { $words += '' }
    $lines = & {ask} powershell ($words.Count - 1) $words 2>$null
    foreach ($line in $lines) {
        if ($line -eq ':files') { return }
        $name, $text = $line -split "`t", 2
        if (-not $text) { $text = $name }
        [System.Management.Automation.CompletionResult]::new($name, $name, 'ParameterValue', $text)
    }
}
""",
}


def completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish", "powershell"],
        typer.Argument(metavar="SHELL", help="bash, zsh, fish or powershell."),
    ],
    install: Annotated[
        bool, typer.Option("--install", help="Write the script where the shell loads it at its next start.")
    ] = False,
) -> None:
    """Print the completion script of a shell: eval "$(devenv completion bash)"; --install makes it permanent."""
    write_words()
    text = script(shell)
    if not install:
        if chosen.json:
            show(Report("completion", None, Exit.DONE, {"shell": shell, "script": text}))
        typer.echo(text, nl=False)
        return
    written = install_script(shell, text, Path.home(), os.environ)
    if chosen.json:
        show(Report("completion", None, Exit.DONE, {"shell": shell, "written": [str(file) for file in written]}))
    for file in written:
        typer.echo(f"written: {file}")
    tell(f"open a new {shell} to use it")


def script(shell: str) -> str:
    """The script of a shell; it asks this Python, whatever `devenv` is first on PATH later."""
    python = f"& '{sys.executable}'" if shell == "powershell" else "'" + sys.executable.replace("'", "'\\''") + "'"
    return SCRIPTS[shell].replace("{ask}", ASK.format(python=python).removeprefix("& "))


def install_script(shell: str, text: str, home: Path, environ: Mapping[str, str]) -> list[Path]:
    """Write a shell's script, and the line that loads it, once. The files that were written."""
    from devenv.host.installation import completion_place
    from devenv.host.writing import open_append, write_private

    file, profile = completion_place(shell, home, environ)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_private(file, text.encode(), 0o644)
        written = [file]
        if profile is not None:
            # Many keep it as a link into a folder of their own.
            profile = profile.resolve()
            known = profile.read_text("utf-8") if profile.exists() else ""
            if MARK not in known:
                profile.parent.mkdir(parents=True, exist_ok=True)
                load = f"[ -r '{file}' ] && . '{file}'  {MARK}" if shell != "powershell" else f". '{file}'  {MARK}"
                with open_append(profile) as end:
                    end.write(f"{'' if known.endswith(chr(10)) or not known else chr(10)}{load}\n".encode())
                written.append(profile)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the completion of {shell} cannot be written", detail=str(error), hint=f"devenv completion {shell}"
        ) from None
    return written


def write_words() -> None:
    """Write the commands' words for complete.py, unless they are there."""
    from devenv.cli.complete import cache_place, words_file

    file = words_file(cache_place(os.environ))
    if not file.exists():
        keep(file, commands_tree())


def keep(file: Path, content: object) -> None:
    """Write a private file at once; files that nobody wrote for a month go: of other installations, other projects."""
    import json

    from devenv.config.masking import mask_tree
    from devenv.host.writing import replace_private

    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_private(file, json.dumps(mask_tree(content)).encode())
        for old in file.parent.glob("*.json"):
            # Another installation's words are as good as these: it would have to write them again at each TAB.
            if time.time() - old.stat().st_mtime > MONTH_S:
                old.unlink(missing_ok=True)
    except OSError:
        # Completion is without names then; no command fails for it.
        return


def commands_tree() -> dict[str, Any]:
    """Every command with its options, their placeholders and the placeholders of its arguments."""
    from typer.main import get_command

    from devenv.cli.app import whole
    from devenv.doctor.checks.registry import CHECKS
    from devenv.help.pages import TOPICS

    with whole() as app:
        tree = node_of(get_command(app))
    tree["codes"] = sorted((check.code, check.title) for check in CHECKS)
    tree["pages"] = [(name, "page") for name in TOPICS]
    return tree


def node_of(command: Any) -> dict[str, Any]:
    """One command or group as complete.py reads it."""
    options: dict[str, dict[str, str]] = {}
    arguments: list[str] = []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            arguments.append(parameter.metavar or parameter.name.upper())
            continue
        value = "" if parameter.is_flag or parameter.count else (parameter.metavar or parameter.name.upper())
        for name in (*parameter.opts, *parameter.secondary_opts):
            options[name] = {"help": parameter.help or "", **({"value": value} if value else {})}
    options["--help"] = {"help": "Show the help."}
    found: dict[str, Any] = {"help": first_line(command.help or ""), "options": options}
    if arguments:
        found["arguments"] = arguments
    if commands := getattr(command, "commands", None):
        found["commands"] = {name: node_of(each) for name, each in commands.items()}
    return found


def first_line(text: str) -> str:
    """The first line of a help text, without its period."""
    return text.strip().partition("\n")[0].rstrip(".")


def write_names(root: Path) -> None:
    """Gather the names out of a project's stores for complete.py. Only of stores that devenv started."""
    from filelock import FileLock, Timeout

    from devenv.cli.complete import cache_place, names_file
    from devenv.stack import open_stack

    cache = cache_place(os.environ)
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        # Several TABs in a row ask once.
        with FileLock(cache / "names.lock", timeout=0):
            keep(names_file(cache, root), gather(open_stack(root)))
    except (Timeout, DevenvError, OSError):
        return


def gather(stack: Any) -> dict[str, Any]:
    """Snapshots, parts, tables with their keys, handles, and the values that traces ask for."""
    from devenv.engines.embedded.part_list import read_parts
    from devenv.snapshots.manifest import read_all

    found: dict[str, Any] = {
        "snapshots": [(each.name, f"{each.created[:16]}Z, {each.reason}") for each in read_all(stack.engine.home)],
        "parts": [(part.name, part.what) for part in read_parts(stack.engine.cache)],
    }
    running = {service.name for service in stack.engine.look() if service.state == "running"}
    if not stack.engine.starts:
        return found
    if "postgres" in running:
        found["handles"] = read_handles(stack)
    if "dynamodb" in running:
        found |= read_tables(stack)
    return found


def read_handles(stack: Any) -> list[tuple[str, str]]:
    """The names that `--user` takes."""
    person = stack.settings.person
    if person is None:
        return []
    from psycopg import sql

    from devenv.stores.postgres.reader import reading

    table = sql.Identifier(*person.table.split("."))
    query = sql.SQL("SELECT {}::text FROM {} WHERE {} IS NOT NULL ORDER BY 1 LIMIT {}").format(
        sql.Identifier(person.name), table, sql.Identifier(person.name), sql.Literal(MOST)
    )
    try:
        with reading(stack.engine.targets().postgres, timeout_s=2) as connection:
            return [(row[0], "") for row in connection.execute(query)]
    except DevenvError:
        return []


def read_tables(stack: Any) -> dict[str, Any]:
    """Tables, their keys, and the values of the traces' parameters in their items."""
    from itertools import islice

    from devenv.stores.dynamodb.client import Dynamo, plain, read_only

    keys: dict[str, list[str]] = {}
    values: dict[str, list[tuple[str, str]]] = {}
    try:
        with Dynamo(read_only(stack.engine.targets().dynamodb), timeout=5) as dynamodb:
            for page in dynamodb.pages("ListTables", {}):
                for name in page["TableNames"]:
                    schema = dynamodb.call("DescribeTable", {"TableName": name})["Table"]["KeySchema"]
                    keys[name] = [key["AttributeName"] for key in schema]
            items: dict[str, list[Mapping[str, Any]]] = {}
            for subject, trace in stack.settings.trace.items():
                entity = stack.settings.entities.get(trace.entity or "")
                field = field_of(trace)
                if entity is None or field is None or entity.table not in keys:
                    continue
                if entity.table not in items:
                    items[entity.table] = list(map(plain, islice(dynamodb.scan(entity.table), SCANNED)))
                found = dict.fromkeys(value_of(item, entity.match, field) for item in items[entity.table])
                values[subject] = [(value, field) for value in found if value][:MOST]
    except DevenvError:
        return {"tables": [(name, "table") for name in keys], "keys": keys}
    return {"tables": [(name, "table") for name in keys], "keys": keys, "values": values}


def field_of(trace: Any) -> str | None:
    """The field of the items that a trace's first parameter is compared with."""
    first = next(iter(trace.params), None)
    return next((field for field, text in trace.where.items() if text == f"{{{first}}}"), None)


def value_of(item: Mapping[str, Any], match: Mapping[str, str], field: str) -> str | None:
    """The field's value in an item of the kind that `match` describes; None for other items. Pure."""
    found: dict[str, str] = {}
    for attribute, template in match.items():
        parts = re.split(r"\{(\w+)\}", template)
        pattern = "".join(f"(?P<{part}>.+)" if number % 2 else re.escape(part) for number, part in enumerate(parts))
        value = item.get(attribute)
        matched = re.fullmatch(pattern, value) if isinstance(value, str) else None
        if matched is None:
            return None
        found |= matched.groupdict()
    value = found.get(field, item.get(field))
    return value if isinstance(value, str) else None


if __name__ == "__main__":
    if sys.argv[1:2] == ["words"]:
        write_words()
    elif sys.argv[1:2] == ["names"]:
        write_names(Path(sys.argv[2]))
