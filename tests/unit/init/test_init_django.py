"""`devenv init` on Django: settings, routes of urls.py, tables of models, fixtures and management commands."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from devenv.config.schema import Settings
from devenv.init.django_code import django_routes, django_tables
from tests.unit.init.test_init_kinds import made

MIGRATION = """\
from django.db import migrations, models
class Migration(migrations.Migration):
    operations = [
        migrations.CreateModel(name="Cook", fields=[
            ("id", models.BigAutoField(auto_created=True, primary_key=True)),
            ("nickname", models.CharField(max_length=40, unique=True))]),
        migrations.CreateModel(name="Recipe", fields=[
            ("slug", models.SlugField(unique=True)),
            ("author", models.ForeignKey(on_delete=None, to="recipes.cook"))], options={"db_table": "recipe"}),
    ]
"""
MODELS = """\
from django.db import models
class Cook(models.Model):
    nickname = models.CharField(max_length=40, unique=True)
class Recipe(models.Model):
    slug = models.SlugField(unique=True)
    author = models.ForeignKey("recipes.Cook", on_delete=models.CASCADE)
    class Meta:
        db_table = "recipe"
class Timed(models.Model):
    at = models.DateTimeField()
    class Meta:
        abstract = True
"""
SETTINGS = """\
import os
FEED_TABLE = os.environ.get("FEED_TABLE", "feed")
DYNAMODB_URL = os.environ["DYNAMODB_URL"]
"""
CREATE = """\
import boto3
from django.conf import settings
from django.core.management.base import BaseCommand
class Command(BaseCommand):
    def handle(self, *args, **options):
        boto3.client("dynamodb", endpoint_url=settings.DYNAMODB_URL).create_table(
            TableName=settings.FEED_TABLE, BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "cook", "AttributeType": "N"},
                                  {"AttributeName": "cookedAt", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "cook", "KeyType": "HASH"}, {"AttributeName": "cookedAt", "KeyType": "RANGE"}])
"""
SEED = """\
from django.core.management.base import BaseCommand
from recipes import feed
ENTRIES = [{"cook": 1, "cookedAt": "2024-03-01T18:05:00Z", "recipe": "borscht", "stars": 5}]
class Command(BaseCommand):
    def handle(self, *args, **options):
        with feed.table().batch_writer() as batch:
            for entry in ENTRIES:
                batch.put_item(Item=entry)
"""
FEED = """\
import boto3
from boto3.dynamodb.conditions import Key
from django.conf import settings
def table():
    return boto3.resource("dynamodb", endpoint_url=settings.DYNAMODB_URL).Table(settings.FEED_TABLE)
def by_cook(cook_id):
    return table().query(KeyConditionExpression=Key("cook").eq(cook_id), ScanIndexForward=False)["Items"]
"""
VIEWS = """\
from django.http import JsonResponse
from . import feed
def cook_feed(request, cook_id):
    items = feed.by_cook(cook_id)
    return JsonResponse({"entries": [{"when": i["cookedAt"], "recipe": i["recipe"]} for i in items]})
"""
PROJECT = {
    "manage.py": 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "potluck.settings")\n',
    "potluck/settings.py": SETTINGS,
    "potluck/urls.py": "from django.http import JsonResponse\nfrom django.urls import include, path\nurlpatterns = [\n"
    '    path("ping/", lambda r: JsonResponse({})),\n    path("api/", include("recipes.urls")),\n]\n',
    "recipes/urls.py": "from django.urls import path\nfrom recipes import views\n"
    'urlpatterns = [path("cooks/<int:cook_id>/feed/", views.cook_feed)]\n',
    "recipes/views.py": VIEWS,
    "recipes/feed.py": FEED,
    "recipes/models.py": MODELS,
    "recipes/migrations/0001_initial.py": MIGRATION,
    "recipes/management/commands/make_feed.py": CREATE,
    "recipes/management/commands/seed_feed.py": SEED,
    "recipes/fixtures/demo.json": '[{"model": "recipes.cook", "pk": 1, "fields": {"nickname": "ada"}}]',
    "recipes/tests/feed_broken.json": '[{"cook": 7, "cookedAt": "yesterday"}]',
    "recipes/tests/settings.json": '[{"color": "red"}]',
    "recipes/tests/fixtures/broken.json": '[{"model": "recipes.cook", "pk": 9, "fields": {}}]',
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, dict[str, Any]]:
    return made(tmp_path_factory.mktemp("potluck"), PROJECT)


def test_djangos_server_is_the_backend(project: tuple[Settings, dict[str, Any]]) -> None:
    backend = project[0].backend
    assert backend is not None
    assert backend.command == ["{python}", "manage.py", "runserver", "--noreload", "127.0.0.1:{port}"]
    assert backend.health == "/ping/"


def test_settings_stand_for_their_variables(project: tuple[Settings, dict[str, Any]]) -> None:
    assert project[0].env == {
        "FEED_TABLE": "feed",
        "DYNAMODB_URL": "{dynamodb_url}",
        "DJANGO_SETTINGS_MODULE": "potluck.settings",
    }


def test_fixtures_are_loaded_and_commands_are_those_of_manage_py(project: tuple[Settings, dict[str, Any]]) -> None:
    steps = project[0].steps
    line = '"{python}" manage.py migrate --noinput && "{python}" manage.py loaddata demo'
    assert getattr(steps.setup.migrations, "command", None) == ["sh", "-c", line]
    assert steps.seed.command == ["{python}", "manage.py", "seed_feed"]
    assert not [each for each in project[1]["unused"] if "demo.json" in each or "settings.json" in each]
    assert (
        "recipes/tests/feed_broken.json: has items, but is not loaded: the file is in a folder of tests"
        in project[1]["unused"]
    )


def test_items_are_linked_to_the_tables_of_models(project: tuple[Settings, dict[str, Any]]) -> None:
    links = {link.source: link.to for link in project[0].links}
    assert links == {
        "dynamodb:feed.cook": "postgres:recipes_cook.id",
        "dynamodb:feed.recipe": "postgres:recipe.slug",
    }


def test_a_route_below_an_include_is_traced_with_a_number(project: tuple[Settings, dict[str, Any]]) -> None:
    trace = project[0].trace["by_cook"]
    assert trace.params == {"cook_id": "number"}
    assert trace.request is not None
    assert (trace.request.path, trace.request.items) == ("/api/cooks/{cook_id}/feed/", "entries")
    assert trace.ids["http"] == "when"


@pytest.mark.parametrize(("file", "text"), [("recipes/migrations/0001_x.py", MIGRATION), ("recipes/models.py", MODELS)])
def test_tables_are_called_after_their_application_or_as_they_say(file: str, text: str) -> None:
    cook, recipe = django_tables(file, ast.parse(text))
    assert (cook.name, [c.name for c in cook.columns if c.primary]) == ("recipes_cook", ["id"])
    assert (recipe.name, recipe.foreign) == ("recipe", (("author_id", "recipes_cook"),))
    assert [c.name for c in recipe.columns if c.unique and not c.primary] == ["slug"]


def paths_of(urls: str, views: str) -> list[str]:
    trees = {"shop/urls.py": ast.parse(urls), "shop/views.py": ast.parse(views)}
    return sorted(route.path for routes in django_routes(trees).values() for route in routes)


def test_classes_and_regular_expressions_are_routes() -> None:
    urls = """\
from django.urls import path, re_path
from . import views
urlpatterns = [
    path("notes/<uuid:note_id>/", views.NoteView.as_view()),
    re_path(r"^years/(?P<year>[0-9]{4})/$", views.year),
    path("save/", views.SaveView.as_view()),
]
"""
    views = """\
class NoteView(View):
    def get(self, request, note_id): ...
class SaveView(View):
    def post(self, request): ...
def year(request, year): ...
"""
    assert paths_of(urls, views) == ["/notes/{note_id}/", "/years/{year}/"]


def test_routers_of_the_rest_framework_are_routes() -> None:
    urls = """\
router = DefaultRouter()
router.register("notes", views.NoteViewSet, basename="note")
urlpatterns = [path("api/v1/", include(router.urls))]
"""
    views = """\
class NoteViewSet(viewsets.ViewSet):
    def list(self, request): ...
    def retrieve(self, request, pk=None): ...
"""
    assert paths_of(urls, views) == ["/api/v1/notes/", "/api/v1/notes/{pk}/"]
