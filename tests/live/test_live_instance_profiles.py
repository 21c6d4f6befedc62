"""Instance profiles, as Terraform asks for them: one role each, and in the way of deleting it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from realm.server import ACCOUNT, BrokerServer, Keys, refused, request_id, serving
from realm.site import allow, policy, role, role_arn, trust
from realm.store import drop_keys, give_key, give_policies

ARN = f"arn:aws:iam::{ACCOUNT}:instance-profile/web/Front"
TRUST = policy(trust({"AWS": ACCOUNT}))


@pytest.fixture(scope="module")
def iam(broker: BrokerServer) -> Any:
    return broker.client(broker.root, service="iam")


@pytest.fixture
def front(iam: Any) -> Iterator[dict[str, Any]]:
    """A profile, and besides it a role that is in none."""
    iam.create_role(RoleName="Server", AssumeRolePolicyDocument=TRUST)
    made = iam.create_instance_profile(
        InstanceProfileName="Front", Path="/web/", Tags=[{"Key": "Team", "Value": "blue"}]
    )["InstanceProfile"]
    yield made
    for found in iam.list_instance_profiles_for_role(RoleName="Server")["InstanceProfiles"]:
        iam.remove_role_from_instance_profile(InstanceProfileName=found["InstanceProfileName"], RoleName="Server")
    iam.delete_instance_profile(InstanceProfileName="Front")
    iam.delete_role(RoleName="Server")


@pytest.fixture
def person(iam: Any, broker: BrokerServer) -> Iterator[tuple[str, Any]]:
    """A user without any policy: its unique id and its client."""
    made = iam.create_user(UserName="profile-admin")["User"]
    keys = give_key(broker, made["UserId"])
    yield made["UserId"], broker.client(keys, service="iam")
    drop_keys(broker, keys)
    give_policies(broker, made["UserId"])
    iam.delete_user(UserName="profile-admin")


def test_a_profile_comes_and_goes(iam: Any, broker: BrokerServer) -> None:
    made = iam.create_instance_profile(InstanceProfileName="Brief")
    found = made["InstanceProfile"]
    assert found["InstanceProfileId"].startswith("AIPA")
    assert (found["Arn"], found["Roles"]) == (f"arn:aws:iam::{ACCOUNT}:instance-profile/Brief", [])
    event = broker.event(request_id(made))
    assert event["responseElements"]["instanceProfile"]["instanceProfileId"] == found["InstanceProfileId"]
    assert iam.get_instance_profile(InstanceProfileName="bRIEF")["InstanceProfile"] == found
    iam.delete_instance_profile(InstanceProfileName="BRIEF")
    for ask in (iam.get_instance_profile, iam.delete_instance_profile, iam.list_instance_profile_tags):
        with refused("NoSuchEntity", status=404, message="Instance Profile Brief cannot be found."):
            ask(InstanceProfileName="Brief")


def test_names_are_unique_without_regard_to_case(iam: Any, front: dict[str, Any]) -> None:
    with refused("EntityAlreadyExists", status=409, message="Instance Profile FRONT already exists."):
        iam.create_instance_profile(InstanceProfileName="FRONT")


def test_one_role_and_no_more(iam: Any, front: dict[str, Any]) -> None:
    named = {"InstanceProfileName": "front", "RoleName": "server"}
    assert iam.list_instance_profiles_for_role(RoleName="Server")["InstanceProfiles"] == []
    iam.add_role_to_instance_profile(**named)
    found = iam.get_instance_profile(InstanceProfileName="Front")["InstanceProfile"]
    assert [one["RoleName"] for one in found["Roles"]] == ["Server"]
    assert found["Roles"][0]["AssumeRolePolicyDocument"] == json.loads(TRUST)
    listed = iam.list_instance_profiles_for_role(RoleName="Server")["InstanceProfiles"]
    assert [(one["Arn"], one["Roles"][0]["Arn"]) for one in listed] == [(ARN, role_arn("Server"))]
    for name in ("Server", "plain"):
        with refused(
            "LimitExceeded", status=409, message="Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1"
        ):
            iam.add_role_to_instance_profile(InstanceProfileName="Front", RoleName=name)
    iam.remove_role_from_instance_profile(**named)
    with refused("NoSuchEntity", status=404, message="Role server is not in Instance Profile Front."):
        iam.remove_role_from_instance_profile(**named)


def test_neither_goes_while_they_are_together(iam: Any, front: dict[str, Any]) -> None:
    iam.add_role_to_instance_profile(InstanceProfileName="Front", RoleName="Server")
    first = "Cannot delete entity, must remove roles from instance profile first."
    with refused("DeleteConflict", status=409, message=first):
        iam.delete_role(RoleName="Server")
    with refused("DeleteConflict", status=409, message=first):
        iam.delete_instance_profile(InstanceProfileName="Front")


def test_both_must_exist(iam: Any, front: dict[str, Any]) -> None:
    for change in (iam.add_role_to_instance_profile, iam.remove_role_from_instance_profile):
        with refused("NoSuchEntity", message="Instance Profile None cannot be found."):
            change(InstanceProfileName="None", RoleName="Server")
        with refused("NoSuchEntity", message="The role with name None cannot be found."):
            change(InstanceProfileName="Front", RoleName="None")
    with refused("NoSuchEntity", message="The role with name None cannot be found."):
        iam.list_instance_profiles_for_role(RoleName="None")


def test_tags(iam: Any, front: dict[str, Any]) -> None:
    named = {"InstanceProfileName": "Front"}
    assert iam.get_instance_profile(**named)["InstanceProfile"]["Tags"] == [{"Key": "Team", "Value": "blue"}]
    iam.tag_instance_profile(**named, Tags=[{"Key": "TEAM", "Value": "red"}, {"Key": "Cost", "Value": ""}])
    assert iam.list_instance_profile_tags(**named, MaxItems=1)["Tags"] == [{"Key": "Cost", "Value": ""}]
    iam.untag_instance_profile(**named, TagKeys=["team", "not there"])
    assert iam.list_instance_profile_tags(**named)["Tags"] == [{"Key": "Cost", "Value": ""}]
    with refused("LimitExceeded", status=409):
        iam.tag_instance_profile(**named, Tags=[{"Key": f"k{number}", "Value": ""} for number in range(50)])
    with refused("InvalidInput", status=400):
        iam.tag_instance_profile(**named, Tags=[{"Key": "aws:mine", "Value": ""}])
    assert "Tags" not in iam.list_instance_profiles(PathPrefix="/web/")["InstanceProfiles"][0]


def test_they_come_in_pages(iam: Any) -> None:
    names = [f"Page-{number}" for number in range(5)]
    iam.create_role(RoleName="Paged", AssumeRolePolicyDocument=TRUST)
    for name in reversed(names):
        iam.create_instance_profile(InstanceProfileName=name, Path="/pages/")
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName="Paged")
    for operation, arguments in (
        ("list_instance_profiles", {"PathPrefix": "/pages/"}),
        ("list_instance_profiles_for_role", {"RoleName": "Paged"}),
    ):
        pages = iam.get_paginator(operation).paginate(**arguments, PaginationConfig={"PageSize": 2})
        found = [[one["InstanceProfileName"] for one in page["InstanceProfiles"]] for page in pages]
        assert found == [names[:2], names[2:4], names[4:]]
    for name in names:
        iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName="Paged")
        iam.delete_instance_profile(InstanceProfileName=name)
    iam.delete_role(RoleName="Paged")


def test_a_role_must_be_the_callers_to_pass(
    iam: Any, broker: BrokerServer, front: dict[str, Any], person: tuple[str, Any]
) -> None:
    """Without ``iam:PassRole`` a profile would be a way to any role of the account."""
    person_id, client = person
    named = {"InstanceProfileName": "Front", "RoleName": "Server"}
    adding = allow("iam:AddRoleToInstanceProfile", ARN)
    denial = f"perform: iam:PassRole on resource: {role_arn('Server')} "
    give_policies(broker, person_id, adding)
    with refused("AccessDenied", status=403, message=denial):
        client.add_role_to_instance_profile(**named)
    with refused("AccessDenied", status=403, message="iam:PassRole"):  # nor does it tell what roles there are
        client.add_role_to_instance_profile(InstanceProfileName="Front", RoleName="None")
    give_policies(broker, person_id, adding, allow("iam:PassRole", role_arn("Other")))
    with refused("AccessDenied", message=denial):
        client.add_role_to_instance_profile(**named)
    to_lambda = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    give_policies(broker, person_id, adding, allow("iam:PassRole", Condition=to_lambda))
    with refused("AccessDenied", message=denial):
        client.add_role_to_instance_profile(**named)
    give_policies(broker, person_id, allow("iam:PassRole"))
    with refused("AccessDenied", message=f"perform: iam:AddRoleToInstanceProfile on resource: {ARN} "):
        client.add_role_to_instance_profile(**named)
    to_machines = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    give_policies(broker, person_id, adding, allow("iam:PassRole", role_arn("Server"), Condition=to_machines))
    client.add_role_to_instance_profile(**named)


ASKED: list[tuple[str, str, str, dict[str, Any]]] = [
    ("GetInstanceProfile", ARN, "get_instance_profile", {}),
    ("DeleteInstanceProfile", ARN, "delete_instance_profile", {}),
    ("TagInstanceProfile", ARN, "tag_instance_profile", {"Tags": [{"Key": "a", "Value": "b"}]}),
    ("UntagInstanceProfile", ARN, "untag_instance_profile", {"TagKeys": ["a"]}),
    ("ListInstanceProfileTags", ARN, "list_instance_profile_tags", {}),
    ("RemoveRoleFromInstanceProfile", ARN, "remove_role_from_instance_profile", {"RoleName": "Server"}),
]


@pytest.mark.parametrize(("action", "resource", "method", "arguments"), ASKED, ids=lambda value: str(value)[:32])
def test_each_operation_is_asked_for_on_the_profile(
    broker: BrokerServer,
    front: dict[str, Any],
    person: tuple[str, Any],
    action: str,
    resource: str,
    method: str,
    arguments: dict[str, Any],
) -> None:
    person_id, client = person
    named = {"InstanceProfileName": "fRONT", **arguments}
    give_policies(broker, person_id, {"Effect": "Allow", "Action": f"iam:{action}", "NotResource": resource})
    with refused("AccessDenied", status=403, message=f"perform: iam:{action} on resource: {resource} "):
        getattr(client, method)(**named)
    red = {"StringEquals": {"aws:ResourceTag/Team": "red"}}
    give_policies(broker, person_id, allow(f"iam:{action}", Condition=red))
    with refused("AccessDenied", status=403):
        getattr(client, method)(**named)
    with refused("AccessDenied", status=403, message=f"resource: arn:aws:iam::{ACCOUNT}:instance-profile/None "):
        getattr(client, method)(**{**named, "InstanceProfileName": "None"})


def test_lists_and_births_are_asked_for_too(
    iam: Any, broker: BrokerServer, front: dict[str, Any], person: tuple[str, Any]
) -> None:
    person_id, client = person
    with refused("AccessDenied", message=f"resource: arn:aws:iam::{ACCOUNT}:instance-profile/web/ "):
        client.list_instance_profiles(PathPrefix="/web/")
    with refused("AccessDenied", message=f"iam:ListInstanceProfilesForRole on resource: {role_arn('Server')} "):
        client.list_instance_profiles_for_role(RoleName="Server")
    new = {"InstanceProfileName": "New", "Path": "/web/", "Tags": [{"Key": "Team", "Value": "blue"}]}
    arn = f"arn:aws:iam::{ACCOUNT}:instance-profile/web/New"
    with refused("AccessDenied", message=f"iam:CreateInstanceProfile on resource: {arn} "):
        client.create_instance_profile(**new)
    blue = {"StringEquals": {"aws:RequestTag/Team": "blue"}}
    give_policies(broker, person_id, allow("iam:CreateInstanceProfile", Condition=blue))
    with refused("AccessDenied", message=f"iam:TagInstanceProfile on resource: {arn} "):
        client.create_instance_profile(**new)
    with refused("AccessDenied", message="iam:CreateInstanceProfile"):
        client.create_instance_profile(**{**new, "Tags": []})
    give_policies(broker, person_id, allow(["iam:CreateInstanceProfile", "iam:TagInstanceProfile"], Condition=blue))
    client.create_instance_profile(**new)
    iam.delete_instance_profile(InstanceProfileName="New")


def test_strangers_learn_nothing(broker: BrokerServer, ci: Keys, front: dict[str, Any]) -> None:
    stranger = broker.client(ci, service="iam")
    for name in ("Front", "None"):
        with refused("AccessDenied", status=403):
            stranger.get_instance_profile(InstanceProfileName=name)


def test_a_declared_role_leaves_its_profile_when_the_file_forgets_it(
    make_broker: Callable[..., BrokerServer],
) -> None:
    declared = role("Forgotten", trust({"AWS": ACCOUNT}))
    made = make_broker(declared)
    with serving(made):
        iam = made.client(made.root, service="iam")
        iam.create_instance_profile(InstanceProfileName="Held")
        iam.add_role_to_instance_profile(InstanceProfileName="Held", RoleName="Forgotten")
        file = made.directory / "accredit.toml"
        file.write_text(file.read_text().replace(declared, ""))
        made.restart()
        iam = made.client(made.root, service="iam")
        assert iam.get_instance_profile(InstanceProfileName="Held")["InstanceProfile"]["Roles"] == []
        with refused("NoSuchEntity"):
            iam.get_role(RoleName="Forgotten")


def test_accounts_have_quotas(make_broker: Callable[..., BrokerServer]) -> None:
    small = make_broker(settings={"quotas.instance_profiles": 1, "quotas.roles": 1, "quotas.groups": 1})
    with serving(small):
        iam = small.client(small.root, service="iam")
        iam.create_instance_profile(InstanceProfileName="one")
        with refused("LimitExceeded", status=409, message="Cannot exceed quota for InstanceProfilesPerAccount: 1"):
            iam.create_instance_profile(InstanceProfileName="two")
        iam.create_role(RoleName="one", AssumeRolePolicyDocument=TRUST)
        with refused("LimitExceeded", status=409, message="Cannot exceed quota for RolesPerAccount: 1"):
            iam.create_role(RoleName="two", AssumeRolePolicyDocument=TRUST)
        iam.create_group(GroupName="one")
        with refused("LimitExceeded", status=409, message="Cannot exceed quota for GroupsPerAccount: 1"):
            iam.create_group(GroupName="two")
        for create, name in ((iam.create_role, "RoleName"), (iam.create_group, "GroupName")):
            more = {"AssumeRolePolicyDocument": TRUST} if name == "RoleName" else {}
            with refused("EntityAlreadyExists"):  # said before the quota is
                create(**{name: "ONE"}, **more)
