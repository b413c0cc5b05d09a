"""`devenv init` reads PHP: groups of routes, attributes of Symfony, the migrations of Laravel and Doctrine."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.init.php_routes import in_place, php_routes
from tests.unit.init.test_init_kinds import made

SLIM = """\
<?php
$app->setBasePath('/club');
$app->group('/api', function (RouteCollectorProxy $group) {
    $group->group('/v1', function (RouteCollectorProxy $v1) {
        $v1->get('/players/{player}/rolls', RollController::class . ':list');
    });
    $group->get('/ready', function ($request, $response) { return $response; });
})->add(new Auth());
$app->get('/plain', [HomeController::class, 'home']);
"""
LARAVEL = """\
<?php
Route::prefix('v1')->middleware('auth:sanctum')->group(function () {
    Route::get('/players/{player}/rolls', [RollController::class, 'index']);
    Route::prefix('admin')->group(fn () => [Route::get('/rolls', [RollController::class, 'all'])]);
});
Route::group(['middleware' => ['x'], 'prefix' => 'v2'], function () {
    Route::get('players/{id?}', 'PlayerController@show');
});
Route::controller(RollController::class)->prefix('v3')->group(function () {
    Route::get('/rolls/{id}', 'show');
});
Route::apiResource('lanes', LaneController::class);
Route::get('/single', SingleAction::class);
"""
SYMFONY = """\
<?php
#[Route('/api/rolls', name: 'roll_')]
class RollController extends AbstractController {
    #[Route('/{player<\\d+>}', name: 'list', methods: ['GET'])]
    public function list(string $player): JsonResponse { return $this->json($this->rolls->of($player)); }
    #[Route('/{player}', methods: ['POST'])]
    public function add(string $player): JsonResponse { return $this->json([]); }
    #[Route(path: '/one/{id}', name: 'one')]
    public function one(string $id): JsonResponse { return $this->json([]); }
}
"""


def paths(file: str, text: str) -> list[str]:
    return [in_place(each.path) for each in php_routes(file, text)]


def test_groups_of_slim() -> None:
    assert paths("public/index.php", SLIM) == ["/club/api/v1/players/{player}/rolls", "/club/api/ready", "/club/plain"]


def test_groups_resources_and_controllers_of_laravel() -> None:
    routes = [*php_routes("routes/api.php", LARAVEL)]
    assert [(in_place(each.path), each.controller, each.method) for each in routes] == [
        ("/api/v1/players/{player}/rolls", "RollController", "index"),
        ("/api/v1/admin/rolls", "RollController", "all"),
        ("/api/v2/players/{id}", "PlayerController", "show"),
        ("/api/v3/rolls/{id}", "RollController", "show"),
        ("/api/single", "SingleAction", "__invoke"),
        ("/api/lanes", "LaneController", "index"),
        ("/api/lanes/{lane}", "LaneController", "show"),
    ]


def test_attributes_of_symfony_for_get_alone() -> None:
    assert paths("src/Controller/RollController.php", SYMFONY) == ["/api/rolls/{player}", "/api/rolls/one/{id}"]


MIGRATION = "<?php\nreturn new class extends Migration { public function up(): void {} };\n"
LARAVEL_FILES = {
    "artisan": "#!/usr/bin/env php\n",
    "database/migrations/2024_01_02_000000_create_players.php": MIGRATION,
}
DOCTRINE_FILES = {"bin/console": "#!/usr/bin/env php\n", "migrations/Version20240102000000.php": MIGRATION}


@pytest.mark.parametrize(
    ("files", "settings", "command"),
    [
        (LARAVEL_FILES, "DB_CONNECTION=pgsql\nDB_HOST=127.0.0.1\n", ["php", "artisan", "migrate", "--force"]),
        (LARAVEL_FILES, "DB_CONNECTION=mysql\nDB_HOST=127.0.0.1\n", None),
        (LARAVEL_FILES, "DB_CONNECTION=pgsql\n", None),
        (
            DOCTRINE_FILES,
            'DATABASE_URL="postgresql://app:pw@127.0.0.1:5432/app?serverVersion=16"\n',
            ["php", "bin/console", "doctrine:migrations:migrate", "--no-interaction"],
        ),
        (DOCTRINE_FILES, 'DATABASE_URL="mysql://app:pw@127.0.0.1:3306/app"\n', None),
    ],
)
def test_migrations_of_php_run_where_the_database_comes_from_the_environment(
    tmp_path: Path, files: dict[str, str], settings: str, command: list[str] | None
) -> None:
    found, body = made(tmp_path, {**files, ".env.example": settings, "db.sql": "CREATE TABLE t (id int PRIMARY KEY);"})
    migrations = found.steps.setup.migrations
    assert (None if migrations is None or isinstance(migrations, str) else migrations.command) == command
    assert bool([each for each in body["unused"] if "devenv does not know their command" in each]) == (command is None)
