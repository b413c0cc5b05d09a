"""`[trace.*.library]`: how devenv calls the application's own function, in whatever language. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from devenv.init.asked_routes import module_of, source_folder
from devenv.init.code import Function
from devenv.init.draft_data import DataDrafter
from devenv.init.golang_code import go_run
from devenv.init.instances import takes_arguments
from devenv.init.listing import COMPILED, SCRIPTS, UNCALLED
from devenv.init.propose import FoundPattern
from devenv.init.ruby_code import ruby_command
from devenv.init.step_commands import rails_folder

PLACED: Final = re.compile(r"\{(\d)\}")
# What prints the answer of a function of JavaScript, and ends although a pool of connections is open.
NODE: Final = (
    "import({file}).then(async (m) => {{ const f = m.{name} ?? m.default?.{name} ?? m.default;"
    " console.log(JSON.stringify((await f({arguments})) ?? null)); process.exit(0); }})"
)


class LibraryDrafter(DataDrafter):
    """Writes how a function of the application is called."""

    def library(self, pattern: FoundPattern, arguments: Mapping[str, Any]) -> None:
        """`[trace.*.library]`: the function itself, or a command that prints what a function in JavaScript gives."""
        function = pattern.query.function
        self.sheet.section("trace", pattern.name, "library")
        if function.file.endswith(SCRIPTS):
            folder = self.package_folder(function.file)
            self.sheet.key("command", self.node_command(function, arguments, folder))
            if folder:
                self.sheet.key("folder", folder)
        elif ruby := self.ruby_command(function):
            folder, words = ruby
            self.sheet.key("command", [*words, *map(str, arguments.values())])
            if folder:
                self.sheet.key("folder", folder)
        elif found := self.go_command(function):
            folder, words = found
            given = [str(value) for value in arguments.values()]
            self.sheet.key("command", [PLACED.sub(lambda place: given[int(place[1])], word) for word in words])
            if folder:
                self.sheet.key("folder", folder)
        else:
            folder = source_folder(function.file, self.survey) or ""
            self.sheet.key("function", self.callable_path(function))
            self.sheet.key("arguments", arguments)
            if folder:
                self.sheet.key("folder", folder)
        if function.reverses:
            self.sheet.key("order", "oldest first" if pattern.query.forward is False else "newest first")

    def callable_path(self, function: Function) -> str | None:
        """`app.repo:Repo().list` of a method of an object, `app.repo:list` of a function: what devenv.toml calls it.

        Of a class that needs arguments it is an object that the project makes itself; None where there is none.
        """
        file, name = function.file, function.name
        if function.bound:
            owner, _, method = name.partition(".")
            name = f"{owner}().{method}"
            if takes_arguments(function, self.survey.code):
                if owner not in self.survey.instances:
                    return None
                file, path = self.survey.instances[owner]
                name = f"{path}.{method}"
        return f"{module_of(file, source_folder(file, self.survey))}:{name}"

    def go_command(self, function: Function) -> tuple[str, list[str]] | None:
        """(folder, command) of the program that hands its words to a function of Go and prints the answer."""
        for file, read in self.survey.go.items():
            words = read.commands.get(function.short)
            if words and len([w for w in words if PLACED.fullmatch(w)]) == len(function.parameters):
                folder, command = go_run(file, self.survey.go_modules)
                return folder, [*command, *words]
        return None

    def ruby_command(self, function: Function) -> tuple[str, list[str]] | None:
        """(folder, command) that prints what a method of Ruby gives."""
        rails = rails_folder(self.survey.names)
        gems = [each.folder for each in self.survey.manifests if each.file.endswith("Gemfile")]
        folder = rails if rails is not None else next(iter(gems), "")
        words = ruby_command(function, folder, rails is not None) if function.file.endswith(".rb") else None
        return (folder, words) if words else None

    def package_folder(self, file: str) -> str:
        """The folder of the package that a file belongs to; "" for the project's own."""
        folders = [each.folder for each in self.survey.manifests if each.file.endswith("package.json")]
        inside = [folder for folder in folders if not folder or file.startswith(f"{folder}/")]
        return max(inside, key=len, default="")

    def node_command(self, function: Function, arguments: Mapping[str, Any], folder: str) -> list[str]:
        """The command that prints what a function of JavaScript gives."""
        names = list(arguments)
        given = [f"process.argv[{at}]" for at in range(1, len(names) + 1)]
        pairs = ", ".join(f"{name}: {value}" for name, value in zip(names, given, strict=True))
        text = NODE.format(
            file=f"'./{function.file.removeprefix(folder + '/') if folder else function.file}'",
            name=function.short,
            arguments=f"{{ {pairs} }}" if function.taken_apart else ", ".join(given),
        )
        packages = {each for manifest in self.survey.manifests for each in manifest.packages}
        program = ["npx", "--no-install", "tsx"] if function.file.endswith("ts") and "tsx" in packages else ["node"]
        return [*program, "-e", text, *(str(value) for value in arguments.values())]

    def maker(self, function: Function, parameter: str) -> Function | None:
        """A function without parameters that makes what `parameter` is called after: `client()`, beside it first."""
        owner = function.name.rpartition(".")[0]
        names = (parameter, f"get_{parameter}", f"make_{parameter}", f"create_{parameter}")
        every = [f for code in self.survey.code for f in code.functions if f.short in names and not f.parameters]
        beside = [f for f in every if f.file == function.file and f.name.rpartition(".")[0] == owner]
        elsewhere = [f for f in every if f.file.endswith(".py") and f.name == f.short]
        return next(iter(beside or elsewhere), None)

    def is_callable(self, function: Function) -> bool:
        """Return True if devenv can call a function, or run a command that does."""
        if function.file.endswith(COMPILED):
            return bool(function.name) and self.go_command(function) is not None
        if function.file.endswith(".rb"):
            return self.ruby_command(function) is not None
        if function.file.endswith(UNCALLED) or (function.file.endswith(SCRIPTS) and "." in function.name):
            return False  # A method: nothing tells how its object is made.
        return bool(function.name) and (function.file.endswith(SCRIPTS) or self.callable_path(function) is not None)
