"""Credentials in the segments of a path: masked; ids, slugs, dates and hashes: not."""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest

from devenv.capture.tap.masks import mask_path, mask_target
from devenv.config import masking

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
CREDENTIALS = [
    # Behind a word that says so.
    ("/reset/Zk3v9QpT7aLw2XyB8nRd/confirm", "/reset/…/confirm"),
    ("/reset-password/9f86d081884c2d659a2feaa0c55ad015", "/reset-password/…"),
    ("/reset/MQ/c2vd5e-6e1b1a6ddd2f0a2a0e1b8c4fd5ff3a6d/", "/reset/MQ/…/"),
    ("/users/verify/5d41402abc4b2a76b9719d911017c592", "/users/verify/…"),
    ("/invitations/Uakgb_J5m9g-0JDMbcJqLJ/accept", "/invitations/…/accept"),
    ("/magic-link/v0rXq81mTzKcP4dY", "/magic-link/…"),
    ("/account/activate/k3j9x2m4p8q1w7e5", "/account/activate/…"),
    ("/api_keys/Zk3v9QpT7aLw2XyB8nRd?page=2", "/api_keys/…?page=…"),
    ("/unsubscribe/anna/Zk3v9QpT7aLw2XyB8nRd", "/unsubscribe/anna/…"),
    ("/tokens/JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "/tokens/…"),
    # By a known beginning.
    ("/api/v1/keys/sk_live_4eC39HqLyjWDarjtT1zdp7dc", "/api/v1/keys/…"),
    ("/x/sk_live_4eC39HqLyjWDarjtT1zdp7dc/y", "/x/…/y"),
    ("/x/ghp_16C7e42F292c6912E7710c838347Ae178B4a", "/x/…"),
    ("/x/glpat-aBcDeFgHiJkLmNoPqRsT", "/x/…"),
    ("/x/xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy", "/x/…"),
    ("/x/AIzaSyDaGmWKa4JsXZ-HjGw7ISLn_3namBGewQe", "/x/…"),
    (f"/session/{JWT}", "/session/…"),
    (f"/x/{JWT}/y", "/x/…/y"),
    (f"/x/{JWT.partition('.')[0]}", "/x/…"),
    ("/blobs/eyJfcmFpbHMiOnsiZGF0YSI6MX19--9f86d081884c7d65/photo.png", "/blobs/…/photo.png"),
    # By its form alone.
    ("/s/Xk9-TqL2vR7_aZpW4mN8cJdY3hB6fGsE1uQoKtVyIx0", "/s/…"),
    ("/download/Xk9TqL2vR7aZpW4mN8cJdY3hB6fGsE.zip", "/download/…"),
    ("/x/wJalrXUtnFEMI%2FK7MDENG%2FbPxRfiCYzz9KEY3AMP", "/x/…"),
    ("/bot110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/getMe", "/…/getMe"),
    ("/x/WzEsMl0.ZxYw9A.Xk9TqL2vR7aZpW4mN8cJdY3hB6fGsE", "/x/…"),
    ("/x/JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "/x/…"),
    ("/x/k3j9x2m4p8q1w7e5r6t0y2u4i8o1a3s5", "/x/…"),
    # By its name.
    ("/x/access_token=hunter2hunter2/y", "/x/…/y"),
    ("/page;jsessionid=A1B2C3D4/edit", "/page;jsessionid=…/edit"),
    ("/x/token=abc", "/x/…"),
    ("http://anna:hunter2@example.test/x", "http://anna:****@example.test/x"),
    ("/proxy/https://anna:hunter2@example.test/x", "/proxy/https://anna:****@example.test/x"),
]
PLAIN = [
    "/",
    "",
    "*",
    "/api/conversations",
    "/api/users/5ae290ed-55d1-47a0-bc6d-fe2bc2700399/messages",
    "/api/users/%7B5ae290ed-55d1-47a0-bc6d-fe2bc2700399%7D",
    "/reset/5ae290ed-55d1-47a0-bc6d-fe2bc2700399",
    "/invitations/5ae290ed55d147a0bc6dfe2bc2700399",
    "/orders/1001",
    "/keys/1001",
    "/tweets/1879234567890123456",
    "/tokens/1879234567890123456",
    "/verify/order-1001",
    "/users/507f1f77bcf86cd799439011",
    "/keys/507f1f77bcf86cd799439011",
    "/users/01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "/invitations/01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "/users/ckopqwooh000001la8mbi2im9",
    "/users/tz4a98xxat96iws9zmbrgj3a",
    "/users/V1StGXR8_Z5jdHi6B-myT",
    "/users/0ujtsYcgvSTl8PAuAdqWYSMnLOv",
    "/users/xTq3kPz9VbRmLs7WcYd2NfHj5GeA",
    "/users/vytxeTZskVKR7C7WgdSP3d",
    "/payments/pi_3MtwBwLkdIwHu7ix28a3tqPa",
    "/users/user_2NNEqL2nrIRdJ194ndJqAHwEfxC",
    "/users/user_01h45ytscbebyvny4gc8cr8ma2",
    "/customers/cus_NffrFeUfNV2Hib",
    "/pools/us-east-1_AbCdEfGhI/users",
    "/nodes/VXNlcjoxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4",
    "/commits/9fceb02d0ae598e95dc970b74767f19372d61af8",
    "/blobs/sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "/avatars/9f86d081884c7d659a2feaa0c55ad015",
    "/posts/how-to-write-a-very-long-slug-with-many-words-in-2024",
    "/posts/My-Great-Post-About-AWS-S3-EC2-And-The-2024-Budget",
    "/posts/iphone15promax-vs-s24ultra-vs-pixel8pro-review",
    "/posts/some-words-of-a-title-3f2a1b9c8d7e",
    "/rpc/GetConversationMessagesV2ByUserHandle",
    "/rpc/com.example.orders.v2.OrderServiceHandlerFactory",
    "/reset/password-form-for-users2",
    "/auth/google-oauth2/callback",
    "/login/openid-connect-provider2",
    "/keys/primary-encryption-key",
    "/tokens/refresh",
    "/webhooks/order-created-v2",
    "/confirm/2024-01-02T03:04:05.678901Z",
    "/reports/2024-01-02/2024-01-02T03:04:05.678Z",
    "/reports/20240102T030405Z",
    "/assets/ContactForm-BxK3_9aZqWmT7vLpR2xY8nQ4.js",
    "/assets/main.3f2a1b9c.chunk.css",
    "/.well-known/openid-configuration",
    "/us-east-1_devenv/.well-known/jwks.json",
    "/users/anna.lindgren@example.test",
    "/map/lat=50.1,long=20.4",
    "/v1.2.3-beta.20240101+build.5/x",
    "/items/MSG%23GRP%235ae290ed-55d1-47a0-bc6d-fe2bc2700399",
    "/items/ORDER%231001%23LINE%232",
    "/@anna/with_dots.and_underscores",
]


@pytest.mark.parametrize(("path", "masked"), CREDENTIALS)
def test_a_credential_goes(path: str, masked: str) -> None:
    assert mask_path(path) == masked
    assert mask_path(masked) == masked


@pytest.mark.parametrize("path", PLAIN)
def test_what_is_none_stays(path: str) -> None:
    assert mask_path(path) == path


@contextmanager
def learned(secret: str) -> Iterator[str]:
    before = masking.LEARNED.forms, masking.LEARNED.pattern
    masking.LEARNED.forms, masking.LEARNED.pattern = dict(before[0]), before[1]
    masking.learn(secret)
    try:
        for kept in (mask_path, mask_target):
            kept.cache_clear()
        yield secret
    finally:
        masking.LEARNED.forms, masking.LEARNED.pattern = before
        for kept in (mask_path, mask_target):
            kept.cache_clear()


@pytest.fixture
def known() -> Iterator[str]:
    with learned("plain/words only") as secret:
        yield secret


@pytest.mark.parametrize(
    "written",
    [
        "plain/words only",
        "plain%2Fwords%20only",
        "plain/words%20only",
        # Any character may be encoded, and a slash may be one; a proxy encodes what was encoded before.
        "p%6Cain%2fwords%20only",
        "%70lain/words%20only",
        "plain%252Fwords%2520only",
        "p%256cain%252Fwords%2520only",
    ],
)
def test_a_known_secret_goes_however_it_is_written(known: str, written: str) -> None:
    assert mask_path(f"/x/{written}/y?z=1") == "/x/****/y?z=…"
    assert mask_path(f"/x/before{written}behind?{written}") == "/x/before****behind?…"
    assert mask_target(f"/x/{written}?z={written}&page=2") == "/x/****?z=****&page=2"


def test_what_stands_beside_a_known_secret_stays_as_it_was_written(known: str) -> None:
    kept = "/a%20b/%252F/****/%41%2f/****"
    assert mask_path("/a%20b/%252F/plain%2Fwords%20only/%41%2f/plain%252Fwords%2520only") == kept


def test_a_known_secret_in_other_letters_goes() -> None:
    with learned('née "Ågren" 9') as secret:
        for written in (
            quote(secret),
            quote(secret, safe="").replace("%C3%85", "%c3%85"),
            secret.encode().decode("latin-1"),
        ):
            assert mask_path(f"/x/{written}/y") == "/x/****/y"


@pytest.mark.parametrize(
    ("target", "masked"),
    [
        ("/x?page=2&q=two%20words", "/x?page=2&q=two%20words"),
        ("/x?access_token=hunter2&page=2", "/x?access_token=…&page=2"),
        ("/x?ghp_16C7e42F292c6912E7710c838347Ae178B4a", "/x?…"),
        ("/x?code=Xk9-TqL2vR7_aZpW4mN8cJdY3hB6fGsE1uQoKtVyIx0", "/x?code=…"),
        ("/reset/Zk3v9QpT7aLw2XyB8nRd?page=2", "/reset/…?page=2"),
    ],
)
def test_with_contents_values_stay_and_credentials_do_not(target: str, masked: str) -> None:
    assert mask_target(target) == masked


def test_of_random_tokens_few_stay() -> None:
    """Shares of a thousand of each kind; ids of the same alphabets are shorter."""
    rng = random.Random(17)

    def share(before: str, alphabet: str, length: int) -> float:
        made = ("".join(rng.choices(alphabet, k=length)) for _ in range(1000))
        return sum("…" in mask_path(f"{before}{token}") for token in made) / 1000

    url_safe = f"{string.ascii_letters}{string.digits}-_"
    assert share("/x/", url_safe, 43) > 0.97
    assert share("/x/", url_safe, 32) > 0.95
    assert share("/reset/", url_safe, 22) > 0.9
    assert share("/reset/", "0123456789abcdef", 40) > 0.99
    assert share("/x/", string.ascii_lowercase + string.digits, 40) > 0.95
    assert share("/x/", url_safe, 22) == 0
    assert share("/x/", "0123456789abcdef", 64) == 0


def test_a_readable_text_in_base64_is_an_id() -> None:
    words = base64.urlsafe_b64encode(b"Conversation:5ae290ed-55d1-47a0-bc6d-fe2bc2700399").decode()
    assert mask_path(f"/nodes/{words}") == f"/nodes/{words}"
