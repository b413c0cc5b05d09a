"""Django: settings as the variables that they come from, routes of urls.py, tables of its models. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Final

from devenv.init.routes import Route, called_name, route_of
from devenv.init.source import assignments
from devenv.init.sql_tables import DeclaredColumn, DeclaredTable

DEEPEST: Final = 5
NAMED_GROUP: Final = re.compile(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)")
# How a model's field is stored; a reference is the type of the row's key.
TYPES: Final = {"UUIDField": "uuid", "CharField": "varchar", "SlugField": "varchar", "TextField": "text"}
REFERENCES: Final = ("ForeignKey", "OneToOneField")


def with_django_settings(trees: Mapping[str, ast.Module]) -> Mapping[str, ast.Module]:
    """The same files; each `settings.NAME` of django.conf is the expression that a settings module gives it."""
    users = {file for file, tree in trees.items() if "settings" in imports_of(tree).get("django.conf", ())}
    if not users:
        return trees
    given = {
        name: value
        for file, tree in trees.items()
        if re.search(r"(^|/)settings(/\w+)?\.py$", file)
        for name, value in assignments(tree)
        if name.isupper()
    }
    reader = SettingReader(given)
    return {file: reader.visit(tree) if file in users else tree for file, tree in trees.items()}


class SettingReader(ast.NodeTransformer):
    """Puts a setting's expression in its place."""

    def __init__(self, given: Mapping[str, ast.expr]) -> None:
        self.given = given

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """`settings.NAME`, or any other attribute as it is."""
        self.generic_visit(node)
        found = self.given.get(node.attr)
        if found is None or not isinstance(node.value, ast.Name) or node.value.id != "settings":
            return node
        made = ast.fix_missing_locations(ast.copy_location(deepcopy(found), node))
        for each in ast.walk(made):
            if isinstance(each, ast.expr):
                each.lineno = node.lineno
        return made


def imports_of(tree: ast.Module) -> dict[str, list[str]]:
    """module -> names that are imported from it."""
    found: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found.setdefault(node.module or "", []).extend(alias.name for alias in node.names)
    return found


@dataclass(frozen=True)
class FoundView:
    """A function that answers a route, and its file."""

    file: str
    node: ast.FunctionDef | ast.AsyncFunctionDef


def django_routes(trees: Mapping[str, ast.Module]) -> dict[str, list[Route]]:
    """file of a view -> routes, from the urls.py that no other includes on; a plain answer stands in urls.py itself."""
    urls = {file: tree for file, tree in trees.items() if file.rpartition("/")[2] == "urls.py"}
    inner = {module for tree in urls.values() for _, module in included(tree)}
    tops = [file for file in urls if module_name(file) not in inner and "migrations" not in file]
    routes: dict[str, list[Route]] = {}
    for top in tops:
        for file, route in routes_below(top, urls, trees, "/", 0):
            routes.setdefault(file, []).append(route)
    return routes


def module_name(file: str) -> str:
    """`recipes.urls` of `src/recipes/urls.py`: the last two names, which tell modules apart."""
    return ".".join(file.removesuffix(".py").split("/")[-2:])


def included(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(prefix, module) of `path("api/", include("recipes.urls"))`."""
    for path, target in patterns_of(tree):
        if isinstance(target, ast.Call) and called_name(target) == "include" and target.args:
            first = target.args[0]
            first = first.elts[0] if isinstance(first, ast.Tuple) and first.elts else first
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield path, ".".join(first.value.split(".")[-2:])


def patterns_of(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """(path, what answers) of the calls of `path` and `re_path`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called_name(node) in ("path", "re_path", "url") and len(node.args) > 1:
            first, target = node.args[:2]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                path = first.value
                if called_name(node) != "path":
                    path = NAMED_GROUP.sub(r"<\1>", path.removeprefix("^").removesuffix("$"))
                yield path, target


def routes_below(
    file: str, urls: Mapping[str, ast.Module], trees: Mapping[str, ast.Module], prefix: str, depth: int
) -> Iterator[tuple[str, Route]]:
    """(file, route) of an urls.py and of those that it includes."""
    inner = dict[str, str]()
    for path, module in included(urls[file]):
        inner.setdefault(module, path)
    for module, path in inner.items():
        found = next((each for each in urls if module_name(each) == module), None)
        if found is not None and found != file and depth < DEEPEST:
            yield from routes_below(found, urls, trees, prefix + path, depth + 1)
    for path, target in patterns_of(urls[file]):
        if isinstance(target, ast.Lambda):
            yield file, Route(file, target.lineno, prefix + path, ())
        elif (view := view_of(target, file, trees)) is not None:
            yield view.file, route_of(view.file, view.node, prefix + path, {}, [view.node.args])
    yield from ((file, route) for route in router_routes(urls[file], file, trees, prefix))


def router_routes(tree: ast.Module, file: str, trees: Mapping[str, ast.Module], prefix: str) -> Iterator[Route]:
    """The lists and items of Django REST framework's `router.register("notes", NoteViewSet)`."""
    mounts = [path for path, target in patterns_of(tree) if "router" in ast.unparse(target)]
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="register"), args=[ast.Constant(value=str(name)), target, *_]):
                place = f"{prefix}{mounts[0] if mounts else ''}{name}/"
                for method, path in (("list", place), ("retrieve", f"{place}<pk>/")):
                    if (view := view_of(target, file, trees, (method,))) is not None:
                        yield route_of(view.file, view.node, path, {}, [view.node.args])


def view_of(
    target: ast.expr, file: str, trees: Mapping[str, ast.Module], methods: tuple[str, ...] = ("get",)
) -> FoundView | None:
    """The function that `views.cook_feed`, `CookView.as_view()` or a decorated one of these means."""
    if isinstance(target, ast.Call):
        if called_name(target) == "as_view" and isinstance(target.func, ast.Attribute):
            target = target.func.value
        elif target.args:
            return view_of(target.args[0], file, trees, methods)
    name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
    folder = file.rpartition("/")[0]
    module = target.value.id if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) else ""
    # The module of that name first, then the one beside.
    named = [n for n in trees if n.rpartition("/")[2] == f"{module}.py"]
    near = sorted(named or trees, key=lambda n: n.rpartition("/")[0] != folder)
    for each in near:
        for node in trees[each].body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
                return FoundView(each, node)
            if isinstance(node, ast.ClassDef) and node.name == name:
                own = (n for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
                return next((FoundView(each, n) for n in own if n.name in methods), None)
    return None


def django_tables(file: str, tree: ast.Module) -> list[DeclaredTable]:
    """The tables of a migration's CreateModel, or of the classes of a models.py."""
    parts = file.split("/")
    if "migrations" in parts[:-1]:
        return list(migrated(parts[parts.index("migrations") - 1], tree))
    if parts[-1] == "models.py" or "models" in parts[:-1]:
        app = parts[-2] if parts[-1] == "models.py" and len(parts) > 1 else parts[max(parts.index("models") - 1, 0)]
        return list(modelled(app, tree))
    return []


def migrated(app: str, tree: ast.Module) -> Iterator[DeclaredTable]:
    """`migrations.CreateModel(name="Cook", fields=[("id", models.BigAutoField(…)), …], options={"db_table": …})`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or called_name(node) != "CreateModel":
            continue
        words = {word.arg: word.value for word in node.keywords}
        name = text_of(words.get("name") or (node.args[0] if node.args else None))
        fields = words.get("fields") or (node.args[1] if len(node.args) > 1 else None)
        pairs: list[tuple[str, ast.Call]] = []
        for each in fields.elts if isinstance(fields, ast.List) else ():
            match each:
                case ast.Tuple(elts=[ast.Constant(value=str(field)), ast.Call() as call]):
                    pairs.append((field, call))
        options = words.get("options")
        given = None
        for key, value in zip(options.keys, options.values, strict=True) if isinstance(options, ast.Dict) else ():
            given = text_of(value) if text_of(key) == "db_table" else given
        if name:
            yield table_of(app, name, given, pairs)


def modelled(app: str, tree: ast.Module) -> Iterator[DeclaredTable]:
    """`class Cook(models.Model): …`, with a table's name from its Meta."""
    for node in (each for each in tree.body if isinstance(each, ast.ClassDef)):
        if not any(ast.unparse(base).endswith("models.Model") for base in node.bases):
            continue
        pairs = [(name, value) for name, value in class_fields(node) if isinstance(value, ast.Call)]
        meta = next((each for each in node.body if isinstance(each, ast.ClassDef) and each.name == "Meta"), None)
        options = dict(class_fields(meta)) if meta else {}
        if not (isinstance(options.get("abstract"), ast.Constant)):
            yield table_of(app, node.name, text_of(options.get("db_table")), pairs)


def class_fields(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    """name -> value of the assignments of a class."""
    for each in node.body:
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
            yield each.targets[0].id, each.value


def table_of(app: str, model: str, given: str | None, fields: list[tuple[str, ast.Call]]) -> DeclaredTable:
    """The table of a model: called after application and model, unless a name is given."""
    columns: list[DeclaredColumn] = []
    foreign: list[tuple[str, str]] = []
    for name, call in fields:
        kind = called_name(call)
        words = {word.arg: word.value for word in call.keywords}
        if kind == "ManyToManyField" or not kind.endswith(("Field", *REFERENCES)):
            continue
        primary = is_true(words.get("primary_key"))
        column = text_of(words.get("db_column")) or (f"{name}_id" if kind in REFERENCES else name)
        if kind in REFERENCES:
            target = text_of(words.get("to")) or (ast.unparse(call.args[0]) if call.args else "")
            foreign.append((column, target.strip("'").lower().replace(".", "_")))
        stored = "integer" if "Integer" in kind or "Auto" in kind else TYPES.get(kind, "")
        columns.append(DeclaredColumn(column, stored, primary or is_true(words.get("unique")), primary))
    if not any(column.primary for column in columns):
        columns.insert(0, DeclaredColumn("id", "bigint", True, True))
    return DeclaredTable("public", given or f"{app}_{model.lower()}", tuple(columns), foreign=tuple(foreign))


def management_command(file: str, names: Collection[str]) -> list[str] | None:
    """`manage.py seed_feed` for a command of the project; None for any other file."""
    parts = file.removesuffix(".py").split("/")
    manage = next((name for name in names if name.rpartition("/")[2] == "manage.py"), None)
    return [manage, parts[-1]] if manage and parts[-3:-1] == ["management", "commands"] else None


def settings_module(names: Iterable[str], texts: Mapping[str, str]) -> str | None:
    """The module that manage.py names for DJANGO_SETTINGS_MODULE."""
    text = next((texts[name] for name in names if name.rpartition("/")[2] == "manage.py" and name in texts), "")
    found = re.search(r"DJANGO_SETTINGS_MODULE[\"'],\s*[\"']([\w.]+)[\"']", text)
    return found[1] if found else None


def text_of(node: ast.expr | None) -> str | None:
    """The text of a constant."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def is_true(node: ast.expr | None) -> bool:
    """Return True for the constant True."""
    return isinstance(node, ast.Constant) and node.value is True
