"""Users, as an administrator has them with boto3: the root key acts, and users with less."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from realm.server import ACCOUNT, BrokerServer, Keys, refused, request_id


@pytest.fixture(scope="module")
def iam(broker: BrokerServer) -> Any:
    return broker.client(broker.root, service="iam")


@pytest.fixture
def user(iam: Any) -> Iterator[dict[str, Any]]:
    made = iam.create_user(UserName="Ada", Path="/team/", Tags=[{"Key": "Team", "Value": "blue"}])["User"]
    yield made
    for name in ("Ada", "Grace"):
        try:
            iam.delete_user(UserName=name)
        except iam.exceptions.NoSuchEntityException:
            pass


def test_a_user_comes_and_goes(iam: Any, broker: BrokerServer) -> None:
    made = iam.create_user(UserName="Linus")
    assert made["User"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/Linus"
    assert made["User"]["UserId"].startswith("AIDA")
    assert "PasswordLastUsed" not in made["User"]
    event = broker.event(request_id(made))
    assert event["readOnly"] is False
    assert event["responseElements"]["user"]["userId"] == made["User"]["UserId"]
    assert iam.get_user(UserName="linus")["User"]["UserId"] == made["User"]["UserId"]
    iam.delete_user(UserName="LINUS")
    with refused("NoSuchEntity", status=404, message="The user with name Linus cannot be found."):
        iam.get_user(UserName="Linus")


def test_names_are_unique_without_regard_to_case(iam: Any, user: dict[str, Any]) -> None:
    with refused("EntityAlreadyExists", status=409, message="User with name aDA already exists."):
        iam.create_user(UserName="aDA")


def test_tags(iam: Any, user: dict[str, Any]) -> None:
    iam.tag_user(UserName="Ada", Tags=[{"Key": "team", "Value": "red"}, {"Key": "Cost", "Value": ""}])
    assert iam.list_user_tags(UserName="Ada")["Tags"] == [{"Key": "Cost", "Value": ""}, {"Key": "team", "Value": "red"}]
    iam.untag_user(UserName="Ada", TagKeys=["TEAM"])
    assert iam.get_user(UserName="Ada")["User"]["Tags"] == [{"Key": "Cost", "Value": ""}]
    with refused("LimitExceeded", status=409):
        iam.tag_user(UserName="Ada", Tags=[{"Key": f"k{number}", "Value": ""} for number in range(50)])
    with refused("InvalidInput", status=400, message="Duplicate tag keys"):
        iam.tag_user(UserName="Ada", Tags=[{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}])


def test_a_renamed_user_keeps_its_id(iam: Any, user: dict[str, Any]) -> None:
    iam.update_user(UserName="Ada", NewUserName="Grace", NewPath="/")
    found = iam.get_user(UserName="Grace")["User"]
    assert (found["UserId"], found["Arn"]) == (user["UserId"], f"arn:aws:iam::{ACCOUNT}:user/Grace")
    with refused("NoSuchEntity"):
        iam.get_user(UserName="Ada")


def test_a_boundary_is_a_policy_that_exists(iam: Any, user: dict[str, Any]) -> None:
    policy = f"arn:aws:iam::{ACCOUNT}:policy/assume-all"
    iam.put_user_permissions_boundary(UserName="Ada", PermissionsBoundary=policy)
    assert iam.get_user(UserName="Ada")["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == policy
    iam.delete_user_permissions_boundary(UserName="Ada")
    with refused("NoSuchEntity"):
        iam.delete_user_permissions_boundary(UserName="Ada")
    for arn in (f"arn:aws:iam::{ACCOUNT}:policy/none", "arn:aws:iam::210987654321:policy/foreign"):
        with refused("NoSuchEntity", message="does not exist or is not attachable."):
            iam.put_user_permissions_boundary(UserName="Ada", PermissionsBoundary=arn)


def test_lists_come_in_pages(iam: Any) -> None:
    names = [f"page-{number:02}" for number in range(7)]
    for name in reversed(names):
        iam.create_user(UserName=name, Path="/pages/")
    pages = list(iam.get_paginator("list_users").paginate(PathPrefix="/pages/", PaginationConfig={"PageSize": 3}))
    assert [[user["UserName"] for user in page["Users"]] for page in pages] == [names[:3], names[3:6], names[6:]]
    assert iam.list_users(PathPrefix="/PAGES/")["Users"] == []
    with refused("ValidationError", message="Invalid Marker."):
        iam.list_users(Marker="no marker of ours")
    for name in names:
        iam.delete_user(UserName=name)


def test_who_is_not_allowed_learns_nothing(broker: BrokerServer, ci: Keys) -> None:
    stranger = broker.client(ci, service="iam")
    for name in ("nobody", "does-not-exist"):
        with refused(
            "AccessDenied", status=403, message=f"iam:GetUser on resource: arn:aws:iam::{ACCOUNT}:user/{name}"
        ):
            stranger.get_user(UserName=name)


def test_what_the_configuration_declares_is_changed_there(iam: Any) -> None:
    with refused("UnmodifiableEntity", status=400, message="accredit.toml"):
        iam.delete_user(UserName="nobody")


def test_root_is_itself(iam: Any) -> None:
    assert iam.get_user()["User"]["UserId"] == ACCOUNT
