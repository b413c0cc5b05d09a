"""Settings as a class (pydantic-settings): `settings.loans_table` read as the variable that it stands for. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Final

BASE: Final = "BaseSettings"
ALIASES: Final = ("validation_alias", "alias")


def with_variables(trees: Mapping[str, ast.Module]) -> Mapping[str, ast.Module]:
    """The same files; each `settings.name` of such a class is `os.environ.get("NAME", default)` there."""
    classes = {found.name: dict(fields_of(found)) for tree in trees.values() for found in classes_of(tree)}
    if not classes:
        return trees
    makers = {name: classes[kind] for tree in trees.values() for name, kind in instances_of(tree, classes)}
    made = {file: FieldReader(makers, classes).visit(tree) for file, tree in trees.items()}
    for tree in made.values():
        # Every field is read when the object is made, wherever it is used.
        tree.body += [each for found in classes_of(tree) for each in reads_of(found)]
    return made


def reads_of(settings: ast.ClassDef) -> Iterator[ast.Expr]:
    """A statement for each field that reads its variable."""
    fields = (node for node in settings.body if isinstance(node, ast.AnnAssign))
    lines = {node.target.id: node.lineno for node in fields if isinstance(node.target, ast.Name)}
    for name, value in fields_of(settings):
        read = ast.Expr(deepcopy(value), lineno=lines[name])
        for node in ast.walk(read):
            if isinstance(node, ast.expr):
                node.lineno = lines[name]
        yield read


def classes_of(tree: ast.Module) -> Iterator[ast.ClassDef]:
    """The classes whose base is called BaseSettings."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and any(last_name(base) == BASE for base in node.bases):
            yield node


def fields_of(settings: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    """Field -> the expression that reads its variable: prefix and name in capitals, or its alias."""
    prefix = next((w.value for w in keywords_of(settings) if w.arg == "env_prefix"), None)
    start = prefix.value if isinstance(prefix, ast.Constant) and isinstance(prefix.value, str) else ""
    for node in settings.body:
        if (
            not isinstance(node, ast.AnnAssign)
            or not isinstance(node.target, ast.Name)
            or node.target.id == "model_config"
        ):
            continue
        name, value = f"{start}{node.target.id}".upper(), node.value
        if isinstance(value, ast.Call):
            alias = next((w.value for w in value.keywords if w.arg in ALIASES), None)
            if isinstance(alias, ast.Constant) and isinstance(alias.value, str):
                name = alias.value.upper()
            given = next((w.value for w in value.keywords if w.arg == "default"), None)
            value = value.args[0] if value.args else given
        text = value.value if isinstance(value, ast.Constant) else None
        default = [ast.Constant(text)] if isinstance(text, str) else []
        environ = ast.Attribute(ast.Name("os", ast.Load()), "environ", ast.Load())
        if value is None or (isinstance(value, ast.Constant) and value.value is ...):
            yield node.target.id, ast.Subscript(environ, ast.Constant(name), ast.Load())
            continue
        call = ast.Call(ast.Attribute(environ, "get", ast.Load()), [ast.Constant(name), *default], [])
        yield node.target.id, call


def keywords_of(settings: ast.ClassDef) -> Iterator[ast.keyword]:
    """The options of `model_config = SettingsConfigDict(…)`, and of `class Config`, as keywords."""
    for node in ast.walk(settings):
        if isinstance(node, ast.keyword):
            yield node
        elif isinstance(node, ast.ClassDef) and node.name == "Config":
            for each in node.body:
                if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
                    yield ast.keyword(each.targets[0].id, each.value)


def instances_of(tree: ast.Module, classes: Iterable[str]) -> Iterator[tuple[str, str]]:
    """name -> class of `settings = Settings()` and `def get_settings() -> Settings`."""
    known = set(classes)
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=made)) if last_name(made) in known:
                yield name, last_name(made)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(func=made)) if last_name(made) in known:
                yield name, last_name(made)
            case ast.FunctionDef(name=name, returns=ast.Name(id=kind)) if kind in known:
                yield name, kind


def last_name(node: ast.AST) -> str:
    """The last name of `a.b.C`."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


class FieldReader(ast.NodeTransformer):
    """Puts the variable in the place of `settings.field` and `get_settings().field`."""

    def __init__(
        self, makers: Mapping[str, Mapping[str, ast.expr]], classes: Mapping[str, Mapping[str, ast.expr]]
    ) -> None:
        self.makers = makers
        self.classes = classes

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """A function, with the parameters and names of its own that are settings."""
        return self.within(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        """The same."""
        return self.within(node)

    def within(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        """`settings: Settings` (also `Annotated[Settings, …]`) and `s = get_settings()` count inside."""
        given = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        own = {
            each.arg: self.classes[kind]
            for each in given
            for kind in map(last_name, ast.walk(each.annotation) if each.annotation else ())
            if kind in self.classes
        }
        for each in ast.walk(node):
            if isinstance(each, ast.Assign) and isinstance(each.value, ast.Call) and not each.value.args:
                made = last_name(each.value.func)
                fields = self.classes.get(made) or self.makers.get(made)
                own |= {name.id: fields for name in each.targets if fields and isinstance(name, ast.Name)}
        before = self.makers
        self.makers = {**before, **own}
        self.generic_visit(node)
        self.makers = before
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """A field, or any other attribute as it is."""
        self.generic_visit(node)
        owner = node.value.func if isinstance(node.value, ast.Call) and not node.value.args else node.value
        found = self.makers.get(last_name(owner), {}).get(node.attr)
        if found is None or not isinstance(node.ctx, ast.Load):
            return node
        return ast.fix_missing_locations(ast.copy_location(deepcopy(found), node))
