"""`devenv init` reads tables of Postgres that JPA and Entity Framework make, and says who makes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devenv.init.entity_framework import framework_tables
from devenv.init.jpa import jpa_tables
from tests.unit.init.test_init_kinds import made

BOAT = """\
@Entity
@Table(name = "boats", schema = "fleet")
@Data
public class Boat {
    private static final long serialVersionUID = 1L;
    @Id @GeneratedValue(strategy = GenerationType.UUID) private UUID id;
    @Column(name = "sail_no", unique = true, nullable = false) private String sailNumber;
    @ManyToOne @JoinColumn(name = "owner") private Skipper owner;
    @OneToMany(mappedBy = "boat") private List<Trip> trips;
    @Transient private String shown;
}
"""
SKIPPER = """\
@Entity
class Skipper(
    @Id @GeneratedValue val id: Long? = null,
    @Column(unique = true) val email: String,
    val firstName: String = "",
)
"""
POM = "<parent><artifactId>spring-boot-starter-parent</artifactId></parent>"
MIGRATION = """\
public partial class Init : Migration {
    protected override void Up(MigrationBuilder migrationBuilder) {
        migrationBuilder.CreateTable(name: "Boats", schema: "fleet",
            columns: table => new {
                Id = table.Column<Guid>(type: "uuid", nullable: false),
                SailNo = table.Column<string>(type: "character varying(20)", maxLength: 20, nullable: false),
                OwnerId = table.Column<int>(type: "integer", nullable: false)
            },
            constraints: table => {
                table.PrimaryKey("PK_Boats", x => x.Id);
                table.ForeignKey(name: "FK", column: x => x.OwnerId, principalTable: "Skippers", principalColumn: "Id");
            });
        migrationBuilder.CreateIndex(name: "IX", table: "Boats", column: "SailNo", unique: true);
    }
    protected override void Down(MigrationBuilder migrationBuilder) { migrationBuilder.DropTable(name: "Boats"); }
}
"""
WEB = '<Project Sdk="Microsoft.NET.Sdk.Web"></Project>'
PLACE = "src/Fleet/Migrations/20240101120000_Init.cs"
SQL = {"db.sql": "CREATE TABLE t (id int PRIMARY KEY);"}


def test_the_tables_of_entities() -> None:
    boats, skippers = jpa_tables({"a/Boat.java": BOAT, "a/Skipper.kt": SKIPPER})
    assert (boats.schema, boats.name, boats.foreign) == ("fleet", "boats", (("owner", "skipper"),))
    assert [(c.name, c.type, c.unique, c.primary) for c in boats.columns] == [
        ("id", "uuid", True, True),
        ("sail_no", "varchar", True, False),
        ("owner", "", False, False),
    ]
    assert [(c.name, c.unique) for c in skippers.columns] == [("id", True), ("email", True), ("first_name", False)]


@pytest.mark.parametrize(("auto", "said"), [("create", "drops their rows"), ("update", "starts:"), ("validate", None)])
def test_tables_that_hibernate_makes_are_said(tmp_path: Path, auto: str, said: str | None) -> None:
    settings = f"spring:\n  jpa: {{hibernate: {{ddl-auto: {auto}}}}}\n"
    _, body = made(tmp_path, {**SQL, "pom.xml": POM, "src/main/resources/application.yml": settings})
    lines = [each for each in body["unused"] if "Hibernate" in each]
    assert len(lines) == (said is not None)
    assert all(str(said) in each for each in lines)


def test_one_address_of_all_services_leads_to_dynamodb_and_the_others_are_named(tmp_path: Path) -> None:
    files = {
        "pom.xml": POM,
        "src/main/resources/application.properties": "aws.endpoint=http://localhost:4566\nmail.url=http://localhost:4566\n",
        "src/main/java/a/C.java": "class C { S3Client s3; DynamoDbClient d; }\n",
    }
    settings, body = made(tmp_path, {**SQL, **files})
    assert settings.env == {"AWS_ENDPOINT": "{dynamodb_url}"}
    assert [each for each in body["unused"] if "`aws.endpoint` is also the address of S3" in each]


def test_the_tables_of_entity_framework() -> None:
    (boats,) = framework_tables({PLACE: MIGRATION})
    assert (boats.schema, boats.name, boats.foreign) == ("fleet", "Boats", (("OwnerId", "Skippers"),))
    assert [(c.name, c.type, c.unique, c.primary) for c in boats.columns] == [
        ("Id", "uuid", True, True),
        ("SailNo", "character varying(20)", True, False),
        ("OwnerId", "integer", False, False),
    ]


def test_entity_framework_runs_by_the_tool_of_the_projects_manifest(tmp_path: Path) -> None:
    tools = json.dumps({"version": 1, "tools": {"dotnet-ef": {"version": "8.0.0", "commands": ["dotnet-ef"]}}})
    files = {PLACE: MIGRATION, "src/Fleet/Fleet.csproj": WEB, ".config/dotnet-tools.json": tools}
    settings, body = made(tmp_path, files)
    migrations = settings.steps.setup.migrations
    assert not isinstance(migrations, str | None)
    assert migrations.command == [*("sh", "-c", "dotnet tool restore && dotnet ef database update --project src/Fleet")]
    assert not [each for each in body["unused"] if "Entity Framework" in each]


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (
            "await context.Database.MigrateAsync();",
            "the application runs these migrations of Entity Framework when it starts (src/Fleet/Program.cs:1)",
        ),
        ("// context.Database.Migrate();", '["dotnet", "ef", "database", "update", "--project", "src/Fleet"]'),
    ],
)
def test_entity_framework_without_the_tool_is_said(tmp_path: Path, program: str, said: str) -> None:
    files = {PLACE: MIGRATION, "src/Fleet/Fleet.csproj": WEB, "src/Fleet/Program.cs": program}
    settings, body = made(tmp_path, {**SQL, **files})
    assert settings.steps.setup.migrations is None
    assert [each for each in body["unused"] if said in each]
