"""The HTTP side: routes and what they accept. `uvicorn devenv.example.app:app` serves it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

import jwt
import psycopg
from botocore.exceptions import BotoCoreError, ClientError
from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AfterValidator, BaseModel, Field, model_validator
from starlette.middleware.cors import CORSMiddleware

from devenv.example import activities, cache, messages, stores, users
from devenv.example.auth import read_token
from devenv.example.settings import read_hosts, read_origins, settings
from devenv.example.web import AccessLog, Api, OwnHost, answers, problem

PAGE = 50


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Fail at the start, not at the first request, when a variable is missing. The stores need not be up yet."""
    settings()
    stores.dynamodb()  # made here because boto3 cannot make clients in several threads at once
    yield


api = Api(title="cruddur", version="1", lifespan=lifespan)
# Around the whole application, so that a crash has its CORS headers and its log line too.
app = AccessLog(
    OwnHost(
        CORSMiddleware(
            api,
            allow_origins=read_origins(os.environ),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Link"],
        ),
        read_hosts(os.environ),
    )
)


def read_me(
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
) -> users.User:
    """The person whose bearer token came with the request, else 401."""
    reason = "there is no bearer token"
    if credentials is not None:
        try:
            me = users.find_by_sign_in(cognito_user_id=read_token(credentials.credentials))
        except jwt.InvalidTokenError as error:
            reason = f"the token is not valid: {error}"
        else:
            if me is not None:
                return me
            reason = "the token's sub is not the sign-in id of exactly one person"
    raise HTTPException(401, reason, {"WWW-Authenticate": "Bearer"})


def check_text(text: str) -> str:
    """`text`, unless it is blank or a store could not hold it. ValueError says why."""
    text.encode()  # JSON can spell half of a surrogate pair, UTF-8 cannot
    if not text.strip():
        raise ValueError("must not be blank")
    if "\x00" in text:
        raise ValueError("must not contain a null character")
    return text


Me = Annotated[users.User, Depends(read_me)]
GroupUuid = Annotated[UUID, Path(description="the conversation")]
Limit = Annotated[int, Query(ge=1, le=100, description="how many at most")]
Before = Annotated[str | None, Query(min_length=1, max_length=64, description="only what is older: a `created_at`")]
Text = Annotated[
    str, Field(max_length=1024, json_schema_extra={"pattern": r"^[^\0]*\S[^\0]*$"}), AfterValidator(check_text)
]


class NewMessage(BaseModel):
    """A message to a conversation, or to a person with whom there may be none yet."""

    model_config = {
        "json_schema_extra": {
            "oneOf": [
                {"required": [name], "properties": {name: {"type": "string"}}}
                for name in ("message_group_uuid", "handle")
            ]
        }
    }

    message: Text
    message_group_uuid: UUID | None = None
    handle: Annotated[str, AfterValidator(check_text)] | None = None

    @model_validator(mode="after")
    def check_addressee(self) -> NewMessage:
        """Exactly one of the two."""
        if (self.message_group_uuid is None) == (self.handle is None):
            raise ValueError("give either message_group_uuid or handle")
        return self


class Health(BaseModel):
    """Both stores answer."""

    postgres: Literal["ok"] = "ok"
    dynamodb: Literal["ok"] = "ok"


def link_older(request: Request, response: Response, before: str, limit: int) -> None:
    """Say in a Link header (RFC 8288) where the next older page is."""
    query = urlencode({"before": before, "limit": limit})
    response.headers["Link"] = f'<{request.scope["path"]}?{query}>; rel="next"'


@api.get("/api/message_groups", responses=answers(400, 401, 503))
def get_message_groups(
    request: Request, response: Response, me: Me, before: Before = None, limit: Limit = PAGE
) -> list[messages.Message]:
    """My conversations, newest first, each with the other person. A Link header names the next older page."""
    list_ = partial(messages.list_conversations, user_uuid=me["uuid"], before=before, limit=limit + 1)
    first = before is None and limit == PAGE
    found = cache.cached(me["uuid"], list_) if first else list_()
    page = found[:limit]
    if len(found) > limit:
        link_older(request, response, page[-1]["created_at"], limit)
    return page


@api.get("/api/messages/{message_group_uuid}", responses=answers(400, 401, 403, 404, 503))
def get_messages(
    request: Request,
    response: Response,
    message_group_uuid: GroupUuid,
    me: Me,
    before: Before = None,
    limit: Limit = PAGE,
) -> list[messages.Message]:
    """The newest messages of a conversation, oldest first. A Link header names the next older page."""
    group = str(message_group_uuid)
    messages.require_member(message_group_uuid=group, user_uuid=me["uuid"])
    found = messages.list_messages(message_group_uuid=group, before=before, limit=limit + 1)
    page = found[-limit:]
    if len(found) > limit:
        link_older(request, response, page[0]["created_at"], limit)
    return page


@api.post("/api/messages", responses=answers(400, 401, 403, 404, 422, 503))
def post_message(body: NewMessage, me: Me) -> messages.SentMessage:
    """Send a message to a conversation, or by handle to a person."""
    sent = deliver(body, me)
    cache.forget(partial(messages.group_rows, sent["message_group_uuid"]))
    return sent


def deliver(body: NewMessage, me: users.User) -> messages.SentMessage:
    """Store the message. HTTPException for an addressee who cannot be one."""
    if body.message_group_uuid is not None:
        return messages.send_message(message_group_uuid=str(body.message_group_uuid), sender=me, message=body.message)
    other = users.find_by_handle(handle=body.handle or "")
    if other is None:
        raise HTTPException(422, "no user has this handle")
    if other["uuid"] == me["uuid"]:
        raise HTTPException(422, "this handle is your own")
    return messages.start_conversation(sender=me, other=other, message=body.message)


@api.get("/api/users/@{handle}/short", responses=answers(404, 503))
def get_user(handle: str) -> users.User:
    """A person by handle."""
    user = users.find_by_handle(handle=handle)
    if user is None:
        raise HTTPException(404, "no user has this handle")
    return user


@api.get("/api/activities/home", responses=answers(400, 503))
def get_home(
    request: Request,
    response: Response,
    before: Annotated[UUID | None, Query(description="only what is older than this activity")] = None,
    limit: Limit = PAGE,
) -> list[activities.Activity]:
    """Public activities that have not expired, newest first. A Link header names the next older page."""
    found = activities.list_activities(before=str(before) if before else None, limit=limit + 1)
    page = found[:limit]
    if len(found) > limit:
        link_older(request, response, page[-1]["uuid"], limit)
    return page


@api.get("/api/health-check", response_model=Health, responses=answers(503))
def get_health() -> Any:
    """200 when both stores answer and have our tables, else 503 with the driver's words for each that does not."""
    found = []
    for name, check in (("postgres", stores.check_postgres), ("dynamodb", stores.check_dynamodb)):
        try:
            check()
        except (psycopg.Error, BotoCoreError, ClientError, ConnectionError) as error:
            found.append(f"{name}: {' '.join(str(error).split())}")
    return problem(503, "not every store answers", found) if found else Health()
