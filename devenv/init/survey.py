"""Surveys a folder for what devenv.toml could describe. Files are read, bounded, and never run or imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Final, Literal

from devenv.host.files import read_text
from devenv.init import golang_code, javascript_code, php_code, ruby, text_code, unused
from devenv.init.class_constants import with_class_constants
from devenv.init.class_tables import class_tables
from devenv.init.code import Code, read_code
from devenv.init.code_names import CodeNames
from devenv.init.combined import mounted, with_answers, with_results
from devenv.init.compose import ComposeFile, read_composes, read_dockerfile
from devenv.init.container_scripts import container_scripts
from devenv.init.copied_rows import copied_rows, csv_tables, loaded_files
from devenv.init.data_classes import data_classes
from devenv.init.databases import find_databases
from devenv.init.dict_functions import dict_functions
from devenv.init.django_code import django_routes, django_tables, settings_module, with_django_settings
from devenv.init.documents import ServedModule, commands_in, read_documents, served_module
from devenv.init.dotnet import DotnetProject, find_dotnet, read_dotnet
from devenv.init.dynamoid import dynamoid_tables
from devenv.init.env_files import PRIVATE, SHARED, is_env_file, known_variables, merged, named_elsewhere
from devenv.init.extensions import lacking_extensions
from devenv.init.frameworks import application_in
from devenv.init.functions import FoundFunction, find_functions, unread_functions
from devenv.init.gateways import gateway_functions
from devenv.init.images import NAMES as DOCKERFILES
from devenv.init.images import FoundImage, read_image
from devenv.init.instances import instances_in
from devenv.init.java_code import read_beans, read_java, unasked_routes
from devenv.init.javascript_fields import with_fields
from devenv.init.javascript_rows import prisma_tables
from devenv.init.javascript_seeds import seeded_rows
from devenv.init.javascript_variables import prisma_code
from devenv.init.json_settings import missing_settings, with_json_settings
from devenv.init.jwt_claims import token_uses
from devenv.init.jwt_code import JwtUse, header_reader, token_use
from devenv.init.liquibase import is_changelog, of_liquibase
from devenv.init.listing import SCRIPTS, is_script, list_widely
from devenv.init.made_at_start import library_tables, said_of_start
from devenv.init.manifests import LANGUAGES, PackageFile, read_manifest
from devenv.init.migrations import FoundMigrations, find_migrations, other_migrations
from devenv.init.names import default_names, names_sent, settle_names, table_variables
from devenv.init.packed import ENDINGS, read_packed
from devenv.init.ports import FoundPort, read_ports
from devenv.init.program_sql import done_by_programs, program_tables
from devenv.init.program_tables import read_program_tables
from devenv.init.pynamodb import pynamo_items, pynamo_models, pynamo_tables, with_pynamo_queries
from devenv.init.query_helpers import with_queries
from devenv.init.read_files import item_loaders, requests_read
from devenv.init.real_values import SeedValues, find_values
from devenv.init.request_tables import request_tables
from devenv.init.route_rows import RowLookup, row_lookups
from devenv.init.ruby_code import read_rails_routes, read_ruby_code
from devenv.init.script_configs import SEQUELIZE
from devenv.init.seeds import FoundSeeds, find_seeds, plain_item
from devenv.init.settings_class import with_variables
from devenv.init.shell_items import with_shell_items
from devenv.init.source import PYTHON_BYTES, assignments, parse_python, read_variable, text_functions
from devenv.init.spring import SpringProject, find_spring
from devenv.init.sql_choice import STRUCTURE, choose_sql, up_tables
from devenv.init.sql_code import LANGUAGES as LANGUAGES_WITH_SQL
from devenv.init.sql_code import find_seed, read_sql_texts, unmade_tables, unread_loaders
from devenv.init.sql_tables import DeclaredTable, SqlFile
from devenv.init.stages import one_stage
from devenv.init.started import StartedServer, find_servers
from devenv.init.step_commands import StepCommand, loading_files, row_seed
from devenv.init.step_files import data_files
from devenv.init.table_files import python_creators, read_tables
from devenv.init.tables import Found
from devenv.init.terraform_modules import is_values
from devenv.init.token_lookups import TokenLookup, token_lookups
from devenv.init.used_keys import derived_tables
from devenv.init.variable_readers import with_read_variables, with_script_variables
from devenv.init.variable_schemas import with_schemas
from devenv.init.variables import driver_addresses, settings_fields
from devenv.init.workbench import with_model_items
from devenv.init.written_items import Item, python_items

MOST_FILES: Final = 5_000
MOST_BYTES: Final = 1_000_000
MOST_IN_ALL: Final = 50_000_000
COMPOSE: Final = re.compile(r"(docker-)?compose([.-][\w.-]+)?\.ya?ml")
# A script without a suffix, by its first line.
SHEBANG: Final = re.compile(r"#!.*\bpython[\d.]*\b")
# What a Python file must mention to be of interest: parsing all of a large project takes a while.
TELLING: Final = re.compile(
    r"dynamo|boto3|psycopg|asyncpg|create_table|KeyCondition|put_item|getenv|environ|@\w+\.(route|get)\(|__tablename__|\bSQLModel\b"
    r"|\burlpatterns\b|\bdef \w+\((?:self, )?request\b|\bmodels\.Model\b"
    r"|\bjwt\b|\bBaseSettings\b|\b(Flask|FastAPI)\(|include_router|register_blueprint|\bDepends\("
    # Data classes: items become objects of them.
    r"|@(?:\w+\.)?(?:dataclass|define|frozen)\b|\bBaseModel\b|\bNamedTuple\b"
    # What puts keys together: f"USER#{…}", "USER#%s".
    r"|[\"'][A-Za-z_]+#"
)
MADE: Final = re.compile(
    r"\bCREATE\s+(?:OR\s+REPLACE\s+)?(?:(?:GLOBAL|LOCAL|TEMP|TEMPORARY|UNLOGGED|FOREIGN|MATERIALIZED|RECURSIVE)\s+)*"
    r"(?:TABLE|VIEW)\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:\"?\w+\"?\.)?\"?(\w+)",
    re.IGNORECASE,
)
INTERPRETERS: Final = (".venv/bin/python", "venv/bin/python", "backend/.venv/bin/python", "backend/venv/bin/python")
BARE: Final = re.compile(r"\..*|(README|LICENSE|LICENCE|COPYING|NOTICE|CHANGELOG)(\..*)?", re.IGNORECASE)
WANTED: Final = frozenset(
    [
        *(".sql", ".json", ".jsonl", ".ndjson", ".csv", ".yml", ".yaml", ".template", ".tf", ".py", ".sh", ".bash"),
        *(".ini", ".properties", ".tfvars", ".csproj", ".ru", ".go", ".prisma", *SCRIPTS, *unused.SUFFIXES),
    ]
)
# A program or data of this kind is named when it is too large.
NAMED_IF_LARGE: Final = (".sql", ".json", ".jsonl", ".ndjson", ".csv", ".tf", ".py", *SCRIPTS)
SHEBANG_CHARS: Final = 200
UNWANTED: Final = ("package-lock.json", "tsconfig.json", "composer.lock")


@dataclass(frozen=True)
class Survey:
    """Everything that was found.

    `variables` are those of .env files and of the application's service; `shared` those of them that stand in files
    that people share, so that they may be written into another. `commands` are the CMDs of Dockerfiles, `images` their
    folders; `servers` are programs that serve and that no framework's module shows. `databases` are those that scripts
    make or connect to, the most frequent first. `rows` are tables of Postgres, however they are made. `written` are
    items that programs write, as far as their values are constants. `instances`: class -> (file, path) of an object of
    it. `creators` are scripts that make a table whose definition is not read. `tokens`: lookups of a user by an opaque
    token. `jwt`: calls that sign and check tokens; `header`: what reads the header Authorization; `token_use`: the kind
    of Cognito's tokens. `requests`: calls that make a table, with the file that has the request. `names` are all files.
    `seed_data` are the data files that the seed script reads; `row_seed` is the command that inserts rows. `ports`:
    file -> the port that it listens on. `gateways`: sentences about functions behind an API gateway. `lookups`: (file,
    line) of a route -> the row that it looks up. `unused` says why not of everything else. `is_empty`: there is
    nothing.
    """

    root: Path
    compose: ComposeFile | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    shared: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sql: tuple[SqlFile, ...] = ()
    tables: tuple[Found, ...] = ()
    code: tuple[Code, ...] = ()
    databases: tuple[str, ...] = ()
    python: str | None = None
    left_out: tuple[str, ...] = ()
    rows: tuple[DeclaredTable, ...] = ()
    migrations: FoundMigrations | None = None
    manifests: tuple[PackageFile, ...] = ()
    seeds: FoundSeeds = field(default_factory=FoundSeeds)
    values: SeedValues = field(default_factory=SeedValues)
    unused: tuple[str, ...] = ()
    applications: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    functions: tuple[FoundFunction, ...] = ()
    written: tuple[Item, ...] = ()
    instances: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    creators: tuple[str, ...] = ()
    go: Mapping[str, golang_code.GoFile] = field(default_factory=dict)
    tokens: tuple[TokenLookup, ...] = ()
    jwt: tuple[JwtUse, ...] = ()
    header: str | None = None
    token_use: Literal["access", "id"] | None = None
    names: tuple[str, ...] = ()
    seed_data: tuple[str, ...] = ()
    spring: SpringProject | None = None
    dotnet: DotnetProject | None = None
    documents: Mapping[str, str] = field(default_factory=dict)
    extensions: Mapping[str, str] = field(default_factory=dict)
    module: ServedModule | None = None
    row_seed: StepCommand | None = None
    ports: Mapping[str, FoundPort] = field(default_factory=dict)
    images: Mapping[str, FoundImage] = field(default_factory=dict)
    servers: tuple[StartedServer, ...] = ()
    requests: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    lookups: Mapping[tuple[str, int], RowLookup] = field(default_factory=dict)
    is_empty: bool = True

    @property
    def go_modules(self) -> list[str]:
        """The folders that have a go.mod."""
        return [each.folder for each in self.manifests if each.file.endswith("go.mod")]

    @property
    def is_known(self) -> bool:
        """True if there is something that devenv.toml can be about."""
        return bool(self.compose or self.sql or self.tables or self.migrations)


def survey(root: Path) -> Survey:
    """Look through a folder."""
    names, texts, left_out = read_texts(root)
    documents = read_documents(root, names)
    shared = merged(texts, SHARED)
    given = {**shared, **named_elsewhere(texts), **merged(texts, PRIVATE)}
    composes = compose_names(texts)
    compose = read_composes(texts, composes, given)
    open_ = read_composes(texts, composes, shared)
    spring = find_spring(texts, names)
    dotnet = find_dotnet(texts)
    defaults = {**(spring.variables if spring else {}), **(dotnet.variables if dotnet else {})}
    variables = {**defaults, **given, **known_variables(compose)}
    # Functions that a trace calls by themselves need it.
    django = {"DJANGO_SETTINGS_MODULE": own_module} if (own_module := settings_module(names, texts)) else {}
    read = {name: tree for name, text in texts.items() if is_python(name, text) and (tree := parse_python(text))}
    models_read = pynamo_models(read, variables)
    read = dict(with_class_constants(with_variables(with_read_variables(read))))
    trees = with_queries(with_django_settings(with_pynamo_queries(read, models_read)))
    tables, notes = read_tables({**commands_in(documents), **texts}, trees, variables)
    declared_by = class_tables(texts, variables, spelt := CodeNames(texts, variables))
    requested, unclear = request_tables(texts, spelt)
    for made_by in (*requested, *declared_by.tables, *pynamo_tables(models_read), *dynamoid_tables(texts, variables)):
        tables.setdefault(made_by.table, made_by)
    scripts = with_json_settings({name: text for name, text in texts.items() if is_script(name)}, texts)
    scripts = with_fields(with_script_variables(with_schemas(scripts)))
    keys = keys_of(tables)
    made, _ = javascript_code.read_scripts(scripts, variables, keys)
    go = golang_code.read_go(texts, variables, keys)
    # The table that a model implies counts where no definition is found.
    scripts_read = sorted(made.values(), key=lambda each: bool(each.models))
    files: list[javascript_code.JsFile | golang_code.GoFile] = [*scripts_read, *go.values()]
    for each in (table for read in files for table in read.tables):
        tables.setdefault(each.table, each)
    asked_names = [name for read in files for name in read.code.variables]
    uses = [use for read in files for use in read.uses]
    # A definition that is there and not read counts more than what requests tell.
    hidden = any(read.unclear for read in files) or any(unused.REQUEST in each for each in notes)
    if not hidden and not unused.unread_tables(texts):
        tables |= {each.table: each for each in derived_tables(uses, tables, variables, asked_names)}
    named = settle_names(tables.values(), variables, default_names(texts), names_sent(texts, variables))
    settled, other_stages = one_stage(named, variables, default_names(texts), texts)
    notes += other_stages
    variables |= {name: text for name, text in driver_addresses(trees.values()).items() if not variables.get(name)}
    asked = {given_[0] for tree in trees.values() for node in ast.walk(tree) if (given_ := read_variable(node))}
    asked |= {name for read in files for name in read.code.variables}
    variables |= table_variables(sorted(asked), settled, variables)
    keys = keys_of({table.table: table for table in settled})
    owned = {table.table: [str(p["AttributeName"]) for p in table.request["KeySchema"]] for table in settled}
    made, parsed = javascript_code.read_scripts(scripts, variables, keys, owned)
    go = golang_code.read_go(texts, variables, keys)
    constants = {name: node for tree in trees.values() for name, node in assignments(tree)}
    made_texts, dicts = text_functions(trees.values()), dict_functions(trees.values())
    fields, classes = settings_fields(trees.values()), data_classes(trees.values())

    def coded(name: str, tree: ast.Module) -> Code:
        return read_code(name, tree, variables, keys, constants, made_texts, fields, dicts, classes)

    java = [*read_java(texts, settled, notes, spring.base if spring else "", declared_by.classes, spelt)]
    routes = django_routes(trees)
    python = [coded(name, tree) for name, tree in trees.items()]
    python = [replace(each, routes=(*each.routes, *routes.get(each.file, ()))) for each in python]
    code = (
        *mounted(with_answers(with_results(python), classes)),
        *(read.code for read in made.values()),
        *(read.code for read in go.values()),
        *ruby.read_ruby(texts),
        *read_ruby_code(texts, variables),
        *read_rails_routes(texts),
        *php_code.read_php(texts, notes),
        *java,
        *read_dotnet(texts, notes, declared_by.classes),
        *declared_by.code.values(),
        *pynamo_items(models_read),
        *(prisma_code(name, text) for name, text in texts.items() if name.endswith(".prisma")),
    )
    manifests = tuple(package for n, t in texts.items() if (package := read_manifest(n, t)))
    migrations = find_migrations(names, texts, manifests, documents)
    sql, reasons = choose_sql(texts, migrations, container_scripts(texts, names, compose))
    programs = [*(parse_python(texts[n]) for n in (migrations.files if migrations else ()) if n.endswith(".py"))]
    rows = [table for tree in [*programs, *trees.values()] if tree for table in read_program_tables(tree)]
    if migrations and migrations.tool == "django":
        own = {n: tree for n in (*migrations.files, *trees) if (tree := trees.get(n) or parse_python(texts[n]))}
        rows += [table for name, tree in own.items() for table in django_tables(name, tree)]
    rows += [table for read in made.values() for table in read.rows]
    rows += library_tables(texts)
    rows += [
        t.declared for n, text in texts.items() if n.endswith(".prisma") for _, t in prisma_tables(text) if t.declared
    ]
    in_programs = program_tables(texts)
    rows += [table for each in in_programs for table in each.tables]
    of_sql = [f for n in (migrations.files if migrations else ()) if n.endswith(".sql") for f in up_tables(texts[n])]
    if migrations and migrations.tool == "Rails":
        of_sql += [table for n, t in texts.items() if PurePath(n).name == STRUCTURE for table in up_tables(t)]
        rows += ruby.read_ruby_rows(texts)
    known = dict.fromkeys(table.name for file in sql for table in file.tables)
    loader = find_seed(code, loading_files(manifests))
    data = data_files(texts[loader.file], names) if loader else []
    seeds = find_seeds(texts, {table.table: table.request for table in settled}, data)
    seeds = with_shell_items(seeds, texts, {table.table for table in settled})
    seeds = with_model_items(seeds, texts, {table.table: table.file for table in settled})
    notes += [f for name, read in made.items() for f in unused.unclear_tables(name, read.unclear, "CreateTableCommand")]
    notes += [f for name, read in go.items() for f in unused.unclear_tables(name, read.unclear, "CreateTableInput")]
    notes += [sentence for read in go.values() for sentence in read.unread]
    notes, requests = requests_read([*notes, *too_long(texts), *missing_settings(scripts, texts)], texts, settled)
    models = {name for name, each in made.items() if each.models}
    defining = {*models, *(table.file for table in settled), *read_beans(texts, settled), *declared_by.code}
    defining = {file for file in {*defining, *(each.file for each in requested)} if file not in unclear}
    written = (
        *(item for tree in trees.values() for item in python_items(tree, owned, constants, made_texts, dicts)),
        *(item for each in made.values() for item in each.items),
    )
    unread = unused.unread_tables({n: text for n, text in texts.items() if n not in defining})
    everything = [*of_sql, *rows, *(table for file in sql for table in file.tables)]
    declared = {table.name: [column.name for column in table.columns] for table in everything}
    copied, lost = copied_rows(root, texts, names, sql, everything)
    copied = {**seeded_rows(parsed, texts), **ruby.read_ruby_seeds(texts, everything), **copied}
    suggesting = [each.file for each in manifests if "DynamoDB" in each.stores]
    suggesting += [compose.dynamodb.file] if compose and compose.dynamodb else []
    functions = find_functions(texts, [table.table for table in settled])
    in_code = read_sql_texts(texts)
    row_loader = row_seed(names, texts, manifests, loader.file if loader else None)
    of_changelogs = of_liquibase(texts)
    elsewhere = {
        *data,
        *(migrations.fixtures if migrations else ()),
        *of_changelogs,
        *loaded_files(texts, names, [file.name for file in sql]),
    }
    used = {
        *(migrations.files if migrations else ()),
        *([loader.file] if loader else []),
        *(row_loader.files if row_loader else ()),
        *item_loaders(texts, seeds.files),
    }
    return Survey(
        root=root,
        compose=compose,
        variables={**django, **variables},
        shared={**django, **defaults, **shared, **known_variables(open_)},
        commands={name: found for name, t in texts.items() if (found := read_dockerfile(name, t))},
        images={name: read_image(t) for name, t in texts.items() if DOCKERFILES.fullmatch(PurePath(name).name)},
        sql=tuple(sql),
        tables=settled,
        code=code,
        databases=(
            *ruby.rails_database(texts),
            *find_databases([*texts.values(), *documents.values(), *([spring.url] if spring and spring.url else [])]),
        ),
        python=next((each for each in INTERPRETERS if (root / each).exists()), None),
        left_out=tuple(left_out),
        requests=tuple(requests),
        rows=tuple({table.name: table for table in reversed([*of_sql, *rows]) if table.name not in known}.values()),
        migrations=migrations,
        manifests=manifests,
        seeds=seeds,
        values=find_values(
            texts,
            [plain_item(item) for _, item in seeds.items],
            [item for _, item in written],
            {table.name: [c.name for c in table.columns] for file in sql for table in file.tables},
            copied,
        ),
        unused=(
            *reasons,
            *notes,
            *done_by_programs(texts, in_programs, {*known, *(table.name for table in of_sql)}),
            *lost,
            *unread,
            *unused.tables_in_tests(texts, {table.file for table in settled}),
            *unasked_routes(java),
            *said_of_start(texts, boot=spring is not None, migrated=migrations is not None),
            *other_migrations(names, texts, migrations),
            *(
                f"{table.file}:{table.line}: {', '.join(table.dropped)} of table {table.table}: left out"
                for table in settled
                if table.dropped
            ),
            *(f"{name}: not loaded: {why}" for name, why in of_changelogs.items() if name.endswith(".csv")),
            *unloaded(seeds.unused, elsewhere, csv_tables(texts, declared)),
            *unread_loaders(texts, in_code, used, [file.name for file in sql]),
            *unmade_tables(in_code, {*known, *(t.name for t in (*of_sql, *rows)), *views_in(texts)}),
            *unread_functions(texts, functions),
            *(() if settled else unused.unknown_tables(code, suggesting, [*notes, *unread])),
        ),
        applications={name: app for name, tree in trees.items() if (app := application_in(tree))},
        functions=functions,
        creators=(
            *(name for name, each in made.items() if each.unclear and not each.tables),
            *python_creators(notes, texts),
        ),
        instances={
            kind: (name, path) for name, tree in reversed([*trees.items()]) for kind, path in instances_in(tree)
        },
        written=written,
        go=go,
        tokens=tuple(token_lookups(texts)),
        jwt=tuple(token_uses(trees, parsed, constants, fields, texts)),
        header=header_reader(texts),
        token_use=token_use(texts),
        names=tuple(names),
        spring=spring,
        dotnet=dotnet,
        documents=documents,
        extensions=lacking_extensions(texts, {*(f.name for f in sql), *(migrations.files if migrations else ())}),
        module=served_module(documents, texts),
        seed_data=tuple(data),
        row_seed=row_loader,
        ports=read_ports({**texts, **scripts}),
        servers=find_servers(texts, names),
        gateways=tuple(gateway_functions(texts)),
        lookups=row_lookups(code, texts),
        is_empty=all(BARE.fullmatch(name.split("/")[0]) for name in names) and not composes,
    )


def unloaded(said: Iterable[str], read: Collection[str], rows: Mapping[str, str]) -> Iterator[str]:
    """Sentences about data files that are not in `read`; `rows`: table of Postgres -> its CSV file."""
    tables = {file: table for table, file in rows.items()}
    for sentence in said:
        file = sentence.partition(":")[0]
        if file in tables and file not in read:
            yield (
                f"{file}: rows of table {tables[file]}, which no step loads: load them with \\copy in an SQL file of"
                " [steps.setup]"
            )
        elif file not in read:
            yield sentence


def views_in(texts: Mapping[str, str]) -> set[str]:
    """The names that SQL files, and programs that make tables, give to what can be asked like a table."""
    return {found[1].lower() for text in texts.values() for found in MADE.finditer(text)}


def keys_of(tables: Mapping[str, Found]) -> frozenset[str]:
    """The key attributes of the known tables."""
    return frozenset(part["AttributeName"] for each in tables.values() for part in each.request["KeySchema"])


def too_long(texts: Mapping[str, str]) -> list[str]:
    """Sentences about programs that are not read because of their length."""
    programs = [n for n, t in texts.items() if n.endswith(LANGUAGES_WITH_SQL) or SHEBANG.match(t[:SHEBANG_CHARS])]
    longest = {name: text_code.LARGEST if name.endswith(text_code.ENDINGS) else PYTHON_BYTES for name in programs}
    return [f"{name}: too long to be read as code" for name, most in longest.items() if len(texts[name]) > most]


def read_texts(root: Path) -> tuple[list[str], dict[str, str], list[str]]:
    """The names of all files, the text of every one that can be of interest, and what was left out."""
    listing = list_widely(root, MOST_FILES)
    left_out = list(listing.left_out)
    texts: dict[str, str] = {}
    room = MOST_IN_ALL
    for path in filter(is_wanted, listing.files):
        text = read(root / path, left_out, str(path))
        if text is None:
            continue
        room -= len(text)
        if room < 0:
            left_out.append(f"more than {MOST_IN_ALL // 1_000_000} MB of text: the rest was not read")
            break
        texts[path.as_posix()] = text
    return [path.as_posix() for path in listing.files], texts, left_out


def is_wanted(path: PurePath) -> bool:
    """Return True if a file can hold something of interest, by its name: scripts often have no suffix."""
    if path.name in (*LANGUAGES, SEQUELIZE) or is_env_file(path.name):
        return True
    if path.suffix in WANTED or is_changelog(path) or is_values(path.name) or path.name.endswith(ENDINGS):
        return path.name not in UNWANTED and not path.name.endswith((".d.ts", ".min.js"))
    return (not path.suffix and not path.name.startswith(".")) or bool(DOCKERFILES.fullmatch(path.name))


def is_python(name: str, text: str) -> bool:
    """Return True if a text is Python that may ask the stores, by its name or first line; tests are no part of it."""
    parts = PurePath(name).parts
    if "tests" in parts or parts[-1].startswith(("test_", "conftest")):
        return False
    python = name.endswith(".py") or bool(SHEBANG.match(text.partition("\n")[0]))
    return python and bool(TELLING.search(text) or ("seed" in parts[-1].lower() and "import" in text))


def read(path: Path, left_out: list[str], name: str) -> str | None:
    """The text of a file; None when it is binary, too large or unreadable, which is noted where it matters."""
    try:
        text = (read_packed if name.endswith(ENDINGS) else read_text)(path, MOST_BYTES)
        if text is None and path.name.endswith((*NAMED_IF_LARGE, *ENDINGS)):
            left_out.append(f"{name}: binary, or larger than {MOST_BYTES // 1000} kB")
        return text
    except OSError as error:
        left_out.append(f"{name}: {error.strerror}")
        return None


def compose_names(texts: Mapping[str, str]) -> list[str]:
    """The compose files, the uppermost first; tests' own are none."""
    names = [n for n in texts if COMPOSE.fullmatch(PurePath(n).name) and not {"test", "tests"} & set(PurePath(n).parts)]
    return sorted(names, key=lambda n: (n.count("/"), "override" in n, "test" in n, len(n), n))
