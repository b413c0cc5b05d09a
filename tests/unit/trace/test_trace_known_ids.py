"""The id that a trace suggests for one that is not there: it can be traced."""

from __future__ import annotations

import uuid

from devenv.config.trace import Trace
from devenv.trace.layers.dynamodb import another_id
from devenv.trace.question import Application, Question, TraceContext
from tests.shapes import World
from tests.unit.doctor.test_doctor_remedies import facts

LETTERS = Trace(params={"user": "uuid"}, entity="letter", where={"user_uuid": "{user}"})


def test_an_id_without_a_row_is_not_suggested() -> None:
    world, nobody = World(), str(uuid.UUID(int=99))
    for item in world.items:
        if item["pk"].startswith("MSG#"):
            item["user_uuid"] = nobody
            item.pop("user_handle")
    good = dict(next(item for item in world.items if item["pk"].startswith("MSG#")), sk="2023-06-30T10:00:00+00:00")
    good |= {"user_uuid": world.id("bo"), "user_handle": "bo", "message_uuid": str(uuid.UUID(int=5))}
    world.items.append(good)
    inquiry = TraceContext(Question("letters", LETTERS, {"user": str(uuid.UUID(int=7))}), facts(world), Application())
    fix = another_id(inquiry)
    assert fix is not None
    assert fix.command == f"devenv trace letters {world.id('bo')}"
