"""Somebody else's folder that names the running stores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.support import ProjectDir


@dataclass(frozen=True)
class Outside:
    """A folder of somebody else's, whose devenv.toml names the running stores as `external`. They are not marked."""

    stores: ProjectDir

    def folder(self, path: Path, text: str = "", *, login: str = "", password: str | None = None) -> ProjectDir:
        """The folder, with `text` behind `[external]`. Without a `login` it signs in as the stores' superuser."""
        env = self.stores.env()
        user = login or env["PGUSER"]
        secret = env["PGPASSWORD"] if password is None else password
        path.mkdir(parents=True, exist_ok=True)
        (path / "devenv.toml").write_text(
            f"""[project]
name = "outside"
engine = "external"
[postgres]
database = "{env["PGDATABASE"]}"
[external]
postgres = "postgresql://{user}@127.0.0.1:{env["PGPORT"]}"
dynamodb = "{env["AWS_ENDPOINT_URL_DYNAMODB"]}"
{f'password = "{secret}"' if secret else ""}
{text}
"""
        )
        return ProjectDir(path)
