"""Access keys, as people rotate them: with boto3, the root key, and users that may care for their own alone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from realm import site
from realm.server import ACCOUNT, REGION, BrokerServer, Keys, refused, request_id, serving
from realm.site import allow

OWN = "arn:aws:iam::123456789012:user/${aws:username}"
USAGE_SECONDS = 8.0


def keys_of(answer: dict[str, Any]) -> Keys:
    made = answer["AccessKey"]
    return Keys(made["AccessKeyId"], made["SecretAccessKey"])


@pytest.fixture(scope="module")
def iam(broker: BrokerServer) -> Any:
    return broker.client(broker.root, service="iam")


@pytest.fixture
def user(iam: Any) -> Iterator[str]:
    iam.create_user(UserName="Kay", Tags=[{"Key": "Team", "Value": "blue"}])
    yield "Kay"
    for key in iam.list_access_keys(UserName="Kay")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="Kay", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="Kay")


@pytest.fixture(scope="module")
def caring(make_broker: Callable[..., BrokerServer]) -> Iterator[dict[str, Any]]:
    """A broker whose user ``own`` may manage its own keys, and ``blue`` those of users with the tag Team=blue."""
    keys = ["iam:CreateAccessKey", "iam:DeleteAccessKey", "iam:UpdateAccessKey", "iam:ListAccessKeys"]
    keys.append("iam:GetAccessKeyLastUsed")
    blue = allow(keys, Condition={"StringEquals": {"aws:ResourceTag/Team": "blue"}})
    made = make_broker(settings={"server.workers": 2, "quotas.access_keys_per_user": 3})
    for name, may in (("own", allow(keys, OWN)), ("blue", blue)):
        secret = made.directory / f"{name}.secret"
        secret.touch(mode=0o600)
        secret.write_text("s" * 40)
        made.add(site.user(name, may=[may], secret_file=secret.name))
    with serving(made):
        root = made.client(made.root, service="iam")
        declared = {
            name: root.list_access_keys(UserName=name)["AccessKeyMetadata"][0]["AccessKeyId"]
            for name in ("own", "blue")
        }
        yield {
            "broker": made,
            "root": root,
            "declared": declared,
            **{name: made.client(Keys(declared[name], "s" * 40), service="iam") for name in ("own", "blue")},
        }


def test_a_key_comes_works_stops_and_goes(iam: Any, user: str, broker: BrokerServer) -> None:
    answer = iam.create_access_key(UserName=user)
    made = answer["AccessKey"]
    assert (made["UserName"], made["Status"], made["AccessKeyId"][:4]) == ("Kay", "Active", "AKIA")
    kay = broker.client(keys_of(answer))
    assert kay.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/Kay"
    iam.update_access_key(UserName=user, AccessKeyId=made["AccessKeyId"], Status="Inactive")
    with refused("InvalidClientTokenId", status=403):
        kay.get_caller_identity()
    listed = iam.list_access_keys(UserName="kay")["AccessKeyMetadata"]
    assert [(key["UserName"], key["AccessKeyId"], key["Status"]) for key in listed] == [
        ("Kay", made["AccessKeyId"], "Inactive")
    ]
    iam.update_access_key(UserName=user, AccessKeyId=made["AccessKeyId"], Status="Active")
    kay.get_caller_identity()
    iam.delete_access_key(UserName=user, AccessKeyId=made["AccessKeyId"])
    with refused("InvalidClientTokenId", status=403):
        kay.get_caller_identity()


def test_the_secret_is_in_the_answer_alone(iam: Any, user: str, broker: BrokerServer) -> None:
    answer = iam.create_access_key(UserName=user)
    secret = answer["AccessKey"]["SecretAccessKey"]
    event = broker.event(request_id(answer))
    assert event["responseElements"]["accessKey"]["accessKeyId"] == answer["AccessKey"]["AccessKeyId"]
    assert secret not in json.dumps(event)
    assert secret not in broker.log()
    raw = broker.database.read_bytes() + broker.database.with_name(broker.database.name + "-wal").read_bytes()
    assert secret.encode() not in raw


def test_two_keys_and_no_third(iam: Any, user: str) -> None:
    for _ in range(2):
        iam.create_access_key(UserName=user)
    with refused("LimitExceeded", status=409, message="Cannot exceed quota for AccessKeysPerUser: 2"):
        iam.create_access_key(UserName=user)
    pages = iam.get_paginator("list_access_keys").paginate(UserName=user, PaginationConfig={"PageSize": 1})
    assert [len(page["AccessKeyMetadata"]) for page in pages] == [1, 1]


def test_a_user_with_keys_stays(iam: Any, user: str) -> None:
    iam.create_access_key(UserName=user)
    with refused("DeleteConflict", status=409, message="must delete access keys first"):
        iam.delete_user(UserName=user)


def test_a_key_is_looked_for_with_its_owner_alone(iam: Any, user: str, ci: Keys) -> None:
    made = iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]
    for name, key in (("ci", made), ("Kay", "AKIA" + "A" * 16), ("Kay", ci.access_key_id)):
        with refused("NoSuchEntity", status=404, message=f"The Access Key with id {key} cannot be found."):
            iam.delete_access_key(UserName=name, AccessKeyId=key)
        with refused("NoSuchEntity", status=404):
            iam.update_access_key(UserName=name, AccessKeyId=key, Status="Inactive")
    with refused("NoSuchEntity", message="The user with name Nobody-Here cannot be found."):
        iam.create_access_key(UserName="Nobody-Here")
    with refused("InvalidInput", status=400):
        iam.update_access_key(UserName=user, AccessKeyId=made, Status="Expired")
    with refused("ValidationError", status=400, message="enum value set"):
        iam.update_access_key(UserName=user, AccessKeyId=made, Status="Gone")


def test_declared_keys_are_changed_in_the_file(iam: Any, ci: Keys) -> None:
    with refused("UnmodifiableEntity", status=400, message="accredit.toml"):
        iam.delete_access_key(UserName="ci", AccessKeyId=ci.access_key_id)
    with refused("UnmodifiableEntity"):
        iam.update_access_key(UserName="ci", AccessKeyId=ci.access_key_id, Status="Inactive")


def test_who_may_nothing_learns_nothing(broker: BrokerServer, ci: Keys) -> None:
    stranger = broker.client(ci, service="iam")
    for name in ("nobody", "does-not-exist"):
        for call in ("create_access_key", "list_access_keys"):
            with refused("AccessDenied", status=403, message=f"user/{name} because no identity-based policy"):
                getattr(stranger, call)(UserName=name)
    for key in (ci.access_key_id, "AKIA" + "A" * 16, broker.root.access_key_id):
        with refused("AccessDenied", status=403):
            stranger.get_access_key_last_used(AccessKeyId=key)


def test_a_session_of_a_role_names_the_user(broker: BrokerServer, ci: Keys) -> None:
    answer = broker.client(ci).assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/auditor", RoleSessionName="session")
    with refused("ValidationError", status=400, message="Must specify userName when calling with non-User credentials"):
        broker.client(Keys.of(answer), service="iam").create_access_key()


def test_a_user_rotates_its_own(caring: dict[str, Any]) -> None:
    made = caring["own"].create_access_key()["AccessKey"]
    assert made["UserName"] == "own"
    broker: BrokerServer = caring["broker"]
    fresh = broker.client(Keys(made["AccessKeyId"], made["SecretAccessKey"]), service="iam")
    fresh.update_access_key(AccessKeyId=made["AccessKeyId"], Status="Inactive")
    for _ in range(20):  # both workers know at once
        with refused("InvalidClientTokenId"):
            fresh.list_access_keys()
    caring["own"].delete_access_key(UserName="own", AccessKeyId=made["AccessKeyId"])
    for call in (
        lambda: caring["own"].create_access_key(UserName="blue"),
        lambda: caring["own"].list_access_keys(UserName="blue"),
        lambda: caring["own"].get_access_key_last_used(AccessKeyId=caring["declared"]["blue"]),
    ):
        with refused("AccessDenied", status=403, message="user/blue"):
            call()


def test_the_tags_of_the_user_decide(caring: dict[str, Any]) -> None:
    root, blue = caring["root"], caring["blue"]
    root.create_user(UserName="bluish", Tags=[{"Key": "Team", "Value": "blue"}])
    root.create_user(UserName="reddish", Tags=[{"Key": "Team", "Value": "red"}])
    made = blue.create_access_key(UserName="bluish")["AccessKey"]["AccessKeyId"]
    assert blue.get_access_key_last_used(AccessKeyId=made)["AccessKeyLastUsed"]["ServiceName"] == "N/A"
    with refused("AccessDenied"):
        blue.create_access_key(UserName="reddish")


def test_roots_own_keys(caring: dict[str, Any]) -> None:
    root, broker = caring["root"], caring["broker"]
    made = root.create_access_key()["AccessKey"]
    assert "UserName" not in made
    second = broker.client(Keys(made["AccessKeyId"], made["SecretAccessKey"]), service="iam")
    assert {key["AccessKeyId"] for key in second.list_access_keys()["AccessKeyMetadata"]} == {
        broker.root.access_key_id,
        made["AccessKeyId"],
    }
    third = root.create_access_key()["AccessKey"]["AccessKeyId"]
    with refused("LimitExceeded", message="AccessKeysPerUser: 3"):
        root.create_access_key()
    for key in (made["AccessKeyId"], third):
        root.delete_access_key(AccessKeyId=key)


def test_last_used_is_known_some_seconds_later_and_after_a_restart(caring: dict[str, Any]) -> None:
    root, key = caring["root"], caring["declared"]["own"]
    caring["own"].list_access_keys()
    deadline = time.monotonic() + USAGE_SECONDS
    while root.get_access_key_last_used(AccessKeyId=key)["AccessKeyLastUsed"]["ServiceName"] == "N/A":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    found = root.get_access_key_last_used(AccessKeyId=key)
    assert (found["UserName"], found["AccessKeyLastUsed"]["ServiceName"]) == ("own", "iam")
    assert found["AccessKeyLastUsed"]["Region"] == REGION
    assert abs(found["AccessKeyLastUsed"]["LastUsedDate"].timestamp() - time.time()) < USAGE_SECONDS + 2
    with refused("NoSuchEntity"):
        root.get_access_key_last_used(AccessKeyId="AKIA" + "A" * 16)
    broker: BrokerServer = caring["broker"]
    sts = broker.client(Keys(caring["declared"]["own"], "s" * 40))
    time.sleep(1.1)  # of two uses in one second neither is the last
    sts.get_caller_identity()
    broker.restart()
    again = broker.client(broker.root, service="iam").get_access_key_last_used(AccessKeyId=key)
    assert again["AccessKeyLastUsed"]["ServiceName"] == "sts", "a worker that stops writes what it noted"
