"""Names of tables as Java, Kotlin, C# and PHP spell them: texts, constants, settings, variables. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from devenv.core.late import late
from devenv.init.spring import PLACE, SETTINGS, flat, settings_in

ENDINGS: Final = (".java", ".kt", ".cs", ".php")
TESTS: Final = late(r"(^|/)src/(?:test|androidTest|integrationTest)/|(^|/)[\w.]*tests?/", re.IGNORECASE)
APPSETTINGS: Final = late(r"appsettings(?:\.Development)?\.json")
CONSTANT: Final = late(r"\b(?:String|string|val|const)\s+(\w+)\s*(?::\s*String\s*)?=\s*\"([^\"]*)\"")
SETTING: Final = late(
    r"@Value\(\s*\"\\?\$\{([\w.-]+)(?::([^}]*))?\}\"\s*\)\s*(?:(?:private|final|val|var|String)\s+)*(\w+)"
)
READ: Final = late(r"(?:System\.)?getenv\(\s*\"(\w+)\"\s*\)|getenv\(\)\.getOrDefault\(\s*\"(\w+)\"\s*,\s*\"([^\"]*)\"")
# `options.Value.CustomerTableName`, `props.getDynamodb().getTableName()`, `config[\"Tables:Customers\"]`.
CHAIN: Final = late(r"(?:this\.)?\w+(?:[?!]?\.\w+(?:\(\))?)+")
INDEXED: Final = late(r"\w+(?:\.\w+)*(?:\[|\.GetValue<string>\(|\.getProperty\()\s*\"([\w:.-]+)\"\s*[\])]")
ASSIGNED: Final = r"\b{}\s*(?::\s*String\s*)?=\s*([^;\n]+)"
SILENT: Final = frozenset(("value", "currentvalue", "this", "settings", "options", "config", "props", "properties"))
DEPTH: Final = 4


class CodeNames:
    """The texts behind the expressions of a project: constants, settings of Spring and .NET, variables."""

    def __init__(self, texts: Mapping[str, str], variables: Mapping[str, str]) -> None:
        self.texts = texts
        self.variables = variables
        code = [text for file, text in texts.items() if file.endswith(ENDINGS) and not TESTS.search(file)]
        self.constants = {name: value for text in code for name, value in CONSTANT.findall(text)}
        self.settings: dict[str, str] = {}
        for file in sorted(texts):
            name = file.rpartition("/")[2]
            if SETTINGS.fullmatch(name) and not TESTS.search(file):
                self.settings = {**dict(settings_in(file, texts[file])), **self.settings}
            elif APPSETTINGS.fullmatch(name) and not TESTS.search(file):
                self.settings |= {key: str(value) for key, value in flat(as_json(texts[file]))}

    def text(self, file: str, expression: str, before: int | None = None, depth: int = 0) -> str | None:
        """The text of an expression, which stands at the place `before`; None where it is computed."""
        expression = expression.strip().rstrip("!")
        if literal := re.fullmatch(r"\"([^\"$]*)\"|'([^'$]*)'", expression):
            return literal[1] or literal[2] or None
        if read := READ.search(expression):
            return self.variables.get(read[1] or read[2]) or read[3] or None
        if key := INDEXED.fullmatch(expression):
            return self.filled(self.settings.get(key[1].replace(":", ".")))
        if CHAIN.fullmatch(expression) and (found := self.setting(expression)):
            return found
        name = expression.rpartition(".")[2].removesuffix("()")
        if not re.fullmatch(r"\$?\w+", name) or depth > DEPTH:
            return None
        settings = {field: (key, default) for key, default, field in SETTING.findall(self.texts.get(file, ""))}
        if name in settings:
            key, default = settings[name]
            return self.filled(self.settings.get(key, default))
        if "." not in expression:
            given = [*re.finditer(ASSIGNED.format(re.escape(name)), self.texts.get(file, "")[:before])]
            if given and (text := self.text(file, given[-1][1], given[-1].start(), depth + 1)):
                return text
        return self.constants.get(name)

    def setting(self, chain: str) -> str | None:
        """The value of the one setting whose key ends as a chain of properties does."""
        words = [
            bare(re.sub(r"^get(?=[A-Z])", "", part.removesuffix("()"))) for part in re.split(r"[?!]?\.", chain)[1:]
        ]
        words = [word for word in words if word not in SILENT]
        if not words:
            return None
        found = {
            value
            for key, value in self.settings.items()
            if [bare(part) for part in key.split(".")][-len(words) :] == words
        }
        return self.filled(found.pop()) if len(found) == 1 else None

    def filled(self, given: str | None) -> str | None:
        """A setting's value with its variables, or their defaults, in their places; None without all of them."""
        text = PLACE.sub(lambda match: self.variables.get(match[1]) or match[2] or "$", given or "")
        return text if text and "$" not in text else None


def bare(name: str) -> str:
    """A name as all spellings of it are compared."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def as_json(text: str) -> Any:
    """The value of a settings file, which may have comments; {} for any other text."""
    try:
        return json.loads(re.sub(r"(?m)^\s*//.*$", "", text.removeprefix("\ufeff")))
    except (ValueError, RecursionError):
        return {}
