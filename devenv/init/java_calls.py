"""The functions that a method of Java or Kotlin reaches: controller, service, its interface, repository. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from devenv.core.late import late
from devenv.init.code import Function

Spans = Sequence[tuple[int, int, Function]]
TYPE: Final = late(
    r"\b(?P<kind>class|interface|record|object)\s+(?P<name>[A-Z]\w*)(?P<head>(?:[^{;()]|\((?:[^()]|\([^()]*\))*\))*)"
)
PARENT: Final = late(r"(?:\bimplements\b|\bextends\b|:|,)\s*([A-Z]\w*)")
# `private final ScanService scans;`, `ScanService scans` among parameters, `private val scans: ScanService`.
TYPED: Final = late(r"\b([A-Z]\w*)(?:<[^<>;(){}]{0,80}>)?\s+([a-z]\w*)\s*[;,)=]|\b([a-z]\w*)\s*:\s*([A-Z]\w*)")
CALL: Final = late(r"\b(?:this\s*\.\s*)?([a-z]\w*)\s*[?!]{0,2}\s*(?:\.|::)\s*([a-z]\w*)\b")
DEPTH: Final = 5


class JavaCalls:
    """The classes of a project, their parents, the types of their fields and the calls of their methods."""

    def __init__(self, texts: Mapping[str, str], functions: Mapping[str, Spans]) -> None:
        self.texts = texts
        self.functions = functions
        self.files: dict[str, list[str]] = {}
        self.children: dict[str, set[str]] = {}
        self.fields: dict[str, dict[str, str]] = {}
        for file, text in texts.items():
            self.fields[file] = {name or other: kind or last for kind, name, other, last in TYPED.findall(text)}
            for found in TYPE.finditer(text):
                self.files.setdefault(found["name"], []).append(file)
                # The types of a constructor's parameters are no parents.
                head = re.sub(r"\((?:[^()]|\([^()]*\))*\)", "", found["head"])
                for parent in PARENT.findall(head):
                    self.children.setdefault(parent, set()).add(found["name"])

    def reached(self, file: str, begin: int, end: int) -> frozenset[str]:
        """The names of functions of other classes that the text between two places calls, and those that these call."""
        seen: set[tuple[str, int]] = set()
        found: set[str] = set()
        pending = [(file, begin, end)]
        for _ in range(DEPTH):
            following = []
            for place in pending:
                for other, span in self.called(*place):
                    if (other, span[0]) not in seen:
                        seen.add((other, span[0]))
                        found.add(span[2].short)
                        following.append((other, span[0], span[1]))
            pending = following
        return frozenset(found)

    def called(self, file: str, begin: int, end: int) -> Iterator[tuple[str, tuple[int, int, Function]]]:
        """(file, function) of each call on a field whose class is one of the project's."""
        for owner, name in CALL.findall(self.texts[file][begin:end]):
            kind = self.fields[file].get(owner)
            for other in self.files_of(kind) if kind else ():
                for span in self.functions.get(other, ()):
                    if span[2].name == name:
                        yield other, span

    def files_of(self, kind: str) -> list[str]:
        """The files of a class or an interface, and of what implements it."""
        kinds = {kind, *self.children.get(kind, ())}
        return sorted({file for each in kinds for file in self.files.get(each, ())})
