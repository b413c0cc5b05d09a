"""The command that starts the application: from the compose file, Dockerfile, package.json, or the framework. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Final

from devenv.init.compose import ComposeService, split_words
from devenv.init.documents import documented_port
from devenv.init.dotnet import dotnet_words
from devenv.init.frameworks import FACTORIES
from devenv.init.golang_code import go_run
from devenv.init.images import before_program, folder_in_project, without_installs
from devenv.init.manifests import PackageFile
from devenv.init.settings_found import local_command
from devenv.init.survey import Survey

STARTERS: Final = ("start", "serve", "start:dev", "dev", "develop", "offline", "start:offline", "local")
# The port of API Gateway's stand-in, which is a server without a package of one.
OFFLINE: Final = "serverless-offline"
HTTP_PORT: Final = re.compile(r"(--httpPort[= ])(\d{2,5})")
SERVERS: Final = frozenset(
    [
        *(
            "express",
            "fastify",
            "koa",
            "@nestjs/core",
            "hapi",
            "@hapi/hapi",
            "hono",
            "next",
            "nuxt",
            "restify",
            "polka",
        ),
        *("@sveltejs/kit", "@remix-run/node", "elysia", "h3", "@feathersjs/feathers"),
    ]
)
PHP_SERVER: Final = re.compile(r"\bphp\s+-S\s+[\w.]*:(\d{2,5})([^|&;]*)")
# The port of a framework's own server.
USUAL: Final = {"next": 3000, "nuxt": 3000}
# Variables that hold a port, and those that hold an address with one.
PORTS: Final = ("PORT", "HTTP_PORT", "APP_PORT", "SERVER_PORT", "API_PORT")
PROGRAM: Final = re.compile(r"[\w@./-]+\.[cm]?[jt]s")
# What a package.json runs in development, and what it stands for without its watching.
RUNNERS: Final = frozenset(("nodemon", "node-dev"))


@dataclass(frozen=True)
class FoundApplication:
    """The application's command for this machine, its folder, port and own variables. `evidence` says where from.

    `paths` are routes of it that no code shows; `skipped` are commands that its container runs before it.
    """

    command: tuple[str, ...]
    folder: str
    port: int | None
    evidence: str
    environment: Mapping[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


def find_application(survey: Survey) -> FoundApplication | None:
    """The application; None when nothing says that there is one."""
    service = survey.compose.application if survey.compose else None
    if service is None:
        known = (
            from_packages,
            from_framework,
            from_django,
            from_go,
            from_spring,
            from_rails,
            from_composer,
            from_dotnet,
            from_module,
            from_server,
        )
        return next((found for read in known if (found := read(survey))), None)
    return from_service(service, survey)


def from_service(service: ComposeService, survey: Survey, *, alone: bool = True) -> FoundApplication:
    """The program of a service that is built from the project. Not `alone`: only programs in its folder are its own."""
    folder = service_folder(service, survey)
    written = service.command or survey.commands.get(service.dockerfile, ())
    port = service.ports[0][1] if service.ports else None
    words = local_command(without_installs([*written]), port)
    words = without_package_manager(words, folder, survey)
    below = None if alone else folder
    compiled = words[:1] in (["go"], ["java"]) or not words or words[0].startswith(("/", "./"))
    if compiled and (program := from_go(survey, below) or from_spring(survey, below)):
        # What an image starts was compiled in it.
        return replace(program, port=service.port(), evidence=f"service {service.name}, {program.evidence}")
    skipped = before_program([*written])
    found = FoundApplication(tuple(words), folder, service.port(), f"service {service.name}", skipped=skipped)
    if not words:
        other = from_packages(survey, below) or from_framework(survey, below)
        if other and other.folder == folder:
            found = FoundApplication(other.command, folder, service.port(), other.evidence, other.environment)
    return with_port(found, survey)


def service_folder(service: ComposeService, survey: Survey) -> str:
    """The folder that a service's program runs in, if it is one of the project's: else that of its image."""
    folder = (service.build or ".").removeprefix("./").rstrip("/") or "."
    image = survey.images.get(service.dockerfile)
    inner = folder_in_project(folder, image, service.volumes, service.working)
    if inner is not None and (survey.root / inner).is_dir():
        return inner
    inside = not folder.startswith(("/", "..")) and (survey.root / folder).is_dir()
    return folder if inside else "."


def without_package_manager(words: list[str], folder: str, survey: Survey) -> list[str]:
    """`npm start` as the command that it stands for."""
    if not words or words[0] not in ("npm", "yarn", "pnpm"):
        return words
    name = next((word for word in words[1:] if word not in ("run", "run-script")), "start")
    for manifest in survey.manifests:
        if (manifest.folder or ".") == folder and name in manifest.scripts:
            return script_words(manifest.scripts[name]) or words
    return words


def from_packages(survey: Survey, only: str | None = None) -> FoundApplication | None:
    """The start script of a package.json whose package is a server; `only` in this folder."""
    for manifest in survey.manifests:
        names = [each for each in STARTERS if each in manifest.scripts]
        if OFFLINE in manifest.packages:
            names = [each for each in names if "offline" in manifest.scripts[each]] or names
        if not names or not {*SERVERS, OFFLINE} & manifest.packages:
            continue
        folder = manifest.folder or "."
        if only not in (None, folder):
            continue
        # `node dist/server.js` needs a build; `tsx src/server.ts` does not.
        name = next(
            (each for each in names if is_there(script_words(manifest.scripts[each]), folder, survey)), names[0]
        )
        words = script_words(manifest.scripts[name]) or ["npm", "run", name]
        if OFFLINE in manifest.packages and "offline" in manifest.scripts[name]:
            return offline(manifest, name, folder)
        return with_port(FoundApplication(tuple(words), folder, None, f'{manifest.file}, script "{name}"'), survey)
    return None


def offline(manifest: PackageFile, name: str, folder: str) -> FoundApplication:
    """The script that runs serverless-offline, which takes its port as `--httpPort`."""
    script = manifest.scripts[name]
    named = HTTP_PORT.search(script)
    words = script_words(HTTP_PORT.sub("", script))
    runner = [] if words[:1] == ["npx"] else ["npx", "--no-install"]
    command = [*runner, *words] if words else ["npm", "run", name, "--"]
    # Of two, the last one counts.
    command += ["--httpPort", "{port}"]
    return FoundApplication(
        tuple(command), folder, int(named[2]) if named else 3000, f'{manifest.file}, script "{name}"'
    )


def is_there(words: list[str], folder: str, survey: Survey) -> bool:
    """Return True unless a command names a program that is not in the folder."""
    if words[2:4] in (["next", "start"], ["nuxt", "start"]):
        return False  # It serves what a build made.
    programs = [word for word in words if PROGRAM.fullmatch(word)]
    return all((survey.root / folder / word).is_file() for word in programs)


def script_words(script: str) -> list[str]:
    """The words of a script of package.json without a reloader; [] for one that needs a shell."""
    if re.search(r"[|&;<>$`]|^\w+=", script):
        return []
    words = [word for word in split_words(script) if word not in ("--watch", "--respawn", "--transpile-only")]
    if words[:1] and words[0] in RUNNERS:
        words[0] = "node"
    if words[:1] and words[0] in ("tsx", "ts-node", "ts-node-dev", "nest", "next", "nuxt", "remix", "vite"):
        words[:1] = ["npx", "--no-install", words[0]]
    if words[:4] == ["npx", "--no-install", "tsx", "watch"]:
        del words[3]
    return words


def from_framework(survey: Survey, only: str | None = None) -> FoundApplication | None:
    """A module that makes a Flask or FastAPI application, and has routes or mounts them; `only` from this folder."""
    for file, (kind, name) in survey.applications.items():
        folder, module = str(PurePosixPath(file).parent), PurePosixPath(file).stem
        while folder != "." and is_package(folder, survey):
            # A package: its modules import each other by the package's name.
            inner, package = module, folder.rpartition("/")[2]
            module = package if inner == "__init__" else f"{package}.{inner}"
            folder = folder.rpartition("/")[0] or "."
        if only not in (None, folder):
            continue
        if kind == "flask":
            words: tuple[str, ...] = ("{python}", "-m", "flask", "--app", f"{module}:{name}", "run", "--port", "{port}")
        else:
            words = ("{python}", "-m", "uvicorn", f"{module}:{name}", "--port", "{port}")
            words += ("--factory",) if name in FACTORIES else ()
        return FoundApplication(words, folder, documented_port(survey.documents, words[2]), file)
    return None


def from_module(survey: Survey) -> FoundApplication | None:
    """The package that the project's documents start with `python -m`."""
    found = survey.module
    if found is None:
        return None
    return with_port(FoundApplication(("{python}", "-m", found.name), ".", found.port, found.evidence), survey)


def from_server(survey: Survey) -> FoundApplication | None:
    """A server that no framework's module shows, such as that of a Procfile."""
    for each in survey.servers:
        words = tuple(local_command(each.command, None))
        found = FoundApplication(words, each.folder, each.port, each.evidence, each.environment, each.paths)
        return with_port(found, survey)
    return None


def from_dotnet(survey: Survey) -> FoundApplication | None:
    """The web project of .NET."""
    found = survey.dotnet
    if found is None:
        return None
    return FoundApplication(dotnet_words(found, survey.names), found.folder, found.port, found.file)


def from_composer(survey: Survey) -> FoundApplication | None:
    """PHP's own server: of composer.json's script, of Laravel, or for the folder `public`."""
    for manifest in (each for each in survey.manifests if each.language == "PHP"):
        folder = manifest.folder or "."
        place = f"{manifest.folder}/" if manifest.folder else ""
        for name, script in manifest.scripts.items():
            if served := PHP_SERVER.search(script):
                words = ("php", "-S", "127.0.0.1:{port}", *split_words(served[2]))
                return FoundApplication(words, folder, int(served[1]), f'{manifest.file}, script "{name}"')
        if f"{place}artisan" in survey.names:
            words = ("php", "artisan", "serve", "--host", "127.0.0.1", "--port", "{port}")
            return FoundApplication(words, folder, None, f"{place}artisan")
        if f"{place}public/index.php" in survey.names:
            words = ("php", "-S", "127.0.0.1:{port}", "-t", "public")
            return FoundApplication(words, folder, documented_port(survey.documents, "php"), f"{place}public/index.php")
    return None


def from_django(survey: Survey) -> FoundApplication | None:
    """Django's own server, where there is a manage.py."""
    manage = next((n for n in survey.names if n.rpartition("/")[2] == "manage.py"), None)
    if manage is None or not any(n.rpartition("/")[2] == "urls.py" for n in survey.names):
        return None
    words = ("{python}", "manage.py", "runserver", "--noreload", "127.0.0.1:{port}")
    port = documented_port(survey.documents, "runserver")
    return FoundApplication(words, manage.rpartition("/")[0] or ".", port, manage)


def is_package(folder: str, survey: Survey) -> bool:
    """Return True if modules import those of a folder by its name, or each other as those of one package."""
    if (survey.root / folder / "__init__.py").is_file():
        return True
    name = folder.rpartition("/")[2]
    inside = [code for code in survey.code if code.file.rpartition("/")[0] == folder]
    return any(code.relative or name in code.packages for code in inside)


def from_go(survey: Survey, only: str | None = None) -> FoundApplication | None:
    """The uppermost program of Go that serves HTTP; `only` below this folder."""
    mains = sorted((file for file, read in survey.go.items() if read.main), key=lambda file: (file.count("/"), file))
    for file in (each for each in mains if only in (None, ".") or each.startswith(f"{only}/")):
        folder, words = go_run(file, survey.go_modules)
        return with_port(FoundApplication(tuple(words), folder or ".", None, file), survey)
    return None


def from_spring(survey: Survey, only: str | None = None) -> FoundApplication | None:
    """The Spring Boot application; `only` in this folder."""
    spring = survey.spring
    if spring is None or only not in (None, spring.folder):
        return None
    return FoundApplication(spring.command, spring.folder, spring.port, spring.file, {"SERVER_PORT": "{port}"})


def from_rails(survey: Survey) -> FoundApplication | None:
    """The server of Rails, where a Gemfile stands beside the routes."""
    for manifest in survey.manifests:
        place = f"{manifest.folder}/" if manifest.folder else ""
        routes = f"{place}config/routes.rb"
        if manifest.language == "Ruby" and routes in survey.names:
            program = ["bin/rails"] if f"{place}bin/rails" in survey.names else ["bundle", "exec", "rails"]
            words = (*program, "server", "--port", "{port}")
            return FoundApplication(words, manifest.folder or ".", 3000, routes)
    return None


def python_files(command: tuple[str, ...], prefix: str) -> tuple[str, ...]:
    """The file that Python runs: `app.py`, or the module behind `-m`."""
    if command[:2] == ("{python}", "-m") and len(command) > 2:
        module = prefix + command[2].replace(".", "/")
        return f"{module}.py", f"{module}/__main__.py"
    return tuple(prefix + word for word in command[1:2] if command[0] == "{python}" and word.endswith(".py"))


def with_port(found: FoundApplication, survey: Survey) -> FoundApplication:
    """The application with its port: of its command, of a variable that its code reads, or the fixed one."""
    if any("{port}" in word for word in found.command) or not found.command:
        return found
    text = " ".join(found.command)
    named = re.search(r"(?:--port|-p)[= ](\d{2,5})(?= |$)", text)
    if named:
        words = tuple(re.sub(rf"(?<!\d){named[1]}(?!\d)", "{port}", word) for word in found.command)
        return replace(found, command=words, port=found.port or int(named[1]))
    prefix = "" if found.folder == "." else f"{found.folder}/"
    programs = {posixpath.normpath(prefix + word) for word in found.command if PROGRAM.fullmatch(word)}
    programs |= {file for file in survey.ports if found.command[:2] == ("go", "run") and file == found.evidence}
    inside = sorted(
        (f for f in survey.ports if f.startswith(prefix)),
        key=lambda f: (f not in programs, f.endswith(".json"), f.count("/"), f),
    )
    programs |= {found.evidence, *python_files(found.command, prefix)} & {*survey.ports}
    ports = [survey.ports[file] for file in inside if not file.endswith(".go") or file in programs or not programs]
    # A flag of another program is unknown to this one.
    ports = [each for each in ports if not each.flag or each in [survey.ports[file] for file in programs & {*inside}]]
    read = {name for code in survey.code if code.file.startswith(prefix) for name in code.variables}
    # `port: Number(process.env.BASE_PORT || 5432)` that a driver gets is the store's.
    stores = {name for code in survey.code for name, place in code.uses.items() if place}
    flagged = next((each for each in ports if each.flag), None)
    known = flagged or next((each for each in ports if each.variable and each.variable not in stores), None)
    name = known.variable if known else next((each for each in PORTS if each in read), None)
    given = survey.variables.get(name or "", "")
    number = int(given) if given.isdigit() else known.number if known else None
    if known and known.flag:
        place = "127.0.0.1:{port}" if known.address else "{port}"
        return replace(found, command=(*found.command, known.flag, place), port=found.port or known.number)
    if name is not None:
        place = "127.0.0.1:{port}" if known and known.address else "{port}"
        return replace(found, port=found.port or number, environment={**found.environment, name: place})
    usual = next((port for word, port in USUAL.items() if word in found.command), None)
    if usual is not None:
        return replace(found, command=(*found.command, "--port", "{port}"), port=found.port or usual)
    fixed = next((each.number for each in ports), None)
    return replace(found, port=found.port or fixed)
