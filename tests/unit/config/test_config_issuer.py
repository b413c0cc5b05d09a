"""`[token] issuer` in devenv.toml: its service, its placeholders, and what cannot be right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from devenv.config.environment import connection_environment
from devenv.config.load import load
from devenv.config.services import own_services
from devenv.core.errors import UsageError
from devenv.core.model import DynamoTarget, PostgresTarget, ProcessTarget, Targets

TOML = """\
[project]
name = "shop"

[dynamodb]
region = "eu-central-1"

[backend]
command = ["{python}", "-m", "shop", "{token_issuer}"]

[person]
table = "users"
id = "uuid"
name = "handle"
sign_in = "cognito_id"

[token]
issuer = "cognito"

[env]
ISSUER = "{token_issuer}"
JWKS = "{token_jwks_url}"
CLIENT = "{token_client_id}"
POOL = "{token_user_pool}"
"""


def test_the_application_needs_the_issuer_and_is_given_its_names(tmp_path: Path) -> None:
    (tmp_path / "devenv.toml").write_text(TOML)
    settings = load(tmp_path, {}).settings
    own = own_services(settings)
    assert list(own) == ["issuer", "backend"]
    assert own["backend"].depends_on == ("postgres", "dynamodb", "issuer")
    assert own["issuer"].runs
    address = own["issuer"].url.replace("{port}", "9")
    targets = Targets.of(
        PostgresTarget("127.0.0.1", 5432, "me", "x"),
        DynamoTarget("http://127.0.0.1:8000", "eu-central-1", "a", "b"),
        own={"issuer": ProcessTarget(address, 9)},
    )
    found = connection_environment(settings, targets)
    assert [found[name] for name in ("ISSUER", "JWKS", "CLIENT", "POOL")] == [
        "http://127.0.0.1:9/eu-central-1_devenv",
        "http://127.0.0.1:9/eu-central-1_devenv/.well-known/jwks.json",
        "devenv",
        "eu-central-1_devenv",
    ]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('issuer = "cognito"', 'issuer = "cognito"\nenv = "ISSUER"', "with `issuer` or with `env`, not with both"),
        ('issuer = "cognito"', 'issuer = "okta"', r"token\.issuer"),
        ('issuer = "cognito"', 'env = "ISSUER"\nuser_pool = "eu_1"', r'user_pool: needs issuer = "cognito"'),
        ('issuer = "cognito"', 'issuer = "cognito"\nuser_pool = "a/b"', "user_pool"),
        ('issuer = "cognito"', 'env = "ISSUER"', r"\{token_issuer\} is unknown"),
        ('sign_in = "cognito_id"\n', "", "`sign_in`, the column"),
        ('sign_in = "cognito_id"', 'sign_in_placeholder = "MOCK"', "needs `sign_in`, the column that contains"),
        ("[env]", '[services.issuer]\ncommand = ["x"]\n[env]', "`issuer` is reserved by devenv"),
    ],
)
def test_what_cannot_be_right_is_refused(tmp_path: Path, before: str, after: str, said: str) -> None:
    (tmp_path / "devenv.toml").write_text(TOML.replace(before, after, 1))
    with pytest.raises(UsageError) as found:
        load(tmp_path, {})
    assert re.search(said, f"{found.value.what} {found.value.detail}")


def test_without_an_issuer_the_name_is_free(tmp_path: Path) -> None:
    (tmp_path / "devenv.toml").write_text('[project]\nname = "x"\n\n[services.issuer]\ncommand = ["x"]\n')
    assert own_services(load(tmp_path, {}).settings)["issuer"].command == ["x"]
