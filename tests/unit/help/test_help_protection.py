"""`devenv help protection` names every demand, check and policy, and says of each item the same four things."""

from __future__ import annotations

import re
import tomllib

import msgspec

from devenv.aws.account import READS
from devenv.config.schema import Safety
from devenv.doctor.runner import CHECKS
from devenv.help.pages import read_page
from devenv.policy.registry import POLICIES

PAGE = read_page("protection")
ITEMS = dict(re.findall(r"^## (\d+\. .*?)\n(.*?)(?=^## )", PAGE, re.S | re.M))


def test_every_item_says_what_is_checked_written_not_known_and_paid() -> None:
    assert [int(name.partition(".")[0]) for name in ITEMS] == list(range(1, 11))
    for name, text in ITEMS.items():
        assert re.findall(r"\*\*(\w+ ?\w*)\*\*", text) == ["Checks", "Writes", "Cannot know", "Costs"], name


def test_every_demand_is_in_the_example() -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.S | re.M)
    assert set(tomllib.loads(block)["safety"]) == {field.name for field in msgspec.structs.fields(Safety)}


def test_every_check_of_the_two_groups_is_named() -> None:
    # SAF001 and SAF002 are about this machine, not about AWS.
    codes = {check.code for check in CHECKS if check.group in ("safety", "drift")} - {"SAF001", "SAF002"}
    assert codes - set(re.findall(r"\b[A-Z]{3}\d{3}\b", PAGE)) == set()


def test_every_policy_is_in_the_table() -> None:
    assert re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.M) == [maker.name for maker in POLICIES]


def test_the_permissions_only_read() -> None:
    named = re.findall(r"`(?:sts|dynamodb|cloudtrail|ec2|directconnect|iam):(\w+)", PAGE.partition("## 1.")[0])
    assert len(named) >= 13
    assert all(name.startswith(READS) for name in named)
