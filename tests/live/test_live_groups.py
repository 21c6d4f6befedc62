"""Groups and their members, with boto3: what they are, what they let their users do, and what is refused."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from realm.components import BIN
from realm.server import ACCOUNT, REGION, BrokerServer, Keys, clean_environment, refused, request_id
from realm.site import OTHER_ACCOUNT, allow
from realm.store import drop_keys, give_key, give_policies

GROUP = f"arn:aws:iam::{ACCOUNT}:group/Readers"


@pytest.fixture(scope="module")
def iam(broker: BrokerServer) -> Any:
    return broker.client(broker.root, service="iam")


@pytest.fixture
def group(iam: Any, broker: BrokerServer) -> Iterator[dict[str, Any]]:
    made = iam.create_group(GroupName="Readers")["Group"]
    yield made
    for name in ("Readers", "Writers"):
        try:
            for user in iam.get_group(GroupName=name)["Users"]:
                iam.remove_user_from_group(GroupName=name, UserName=user["UserName"])
        except iam.exceptions.NoSuchEntityException:
            continue
        give_policies(broker, made["GroupId"])
        iam.delete_group(GroupName=name)


@pytest.fixture
def member(iam: Any, group: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A user in the group."""
    made = iam.create_user(UserName="Mira")["User"]
    iam.add_user_to_group(GroupName="Readers", UserName="Mira")
    yield made
    try:
        for found in iam.list_groups_for_user(UserName="Mira")["Groups"]:
            iam.remove_user_from_group(GroupName=found["GroupName"], UserName="Mira")
        iam.delete_user(UserName="Mira")
    except iam.exceptions.NoSuchEntityException:
        pass


@pytest.fixture
def admin(iam: Any, broker: BrokerServer) -> Iterator[tuple[str, Any]]:
    """A user who may do what a test gives it: its unique id, and its client."""
    made = iam.create_user(UserName="group-admin")["User"]
    keys = give_key(broker, made["UserId"])
    yield made["UserId"], broker.client(keys, service="iam")
    drop_keys(broker, keys)
    give_policies(broker, made["UserId"])
    iam.delete_user(UserName="group-admin")


def test_a_group_comes_and_goes(iam: Any, broker: BrokerServer) -> None:
    made = iam.create_group(GroupName="Brief", Path="/some/")
    assert made["Group"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:group/some/Brief"
    assert made["Group"]["GroupId"].startswith("AGPA")
    event = broker.event(request_id(made))
    assert event["responseElements"]["group"]["groupId"] == made["Group"]["GroupId"]
    found = iam.get_group(GroupName="brief")
    assert (found["Group"], found["Users"], found["IsTruncated"]) == (made["Group"], [], False)
    iam.delete_group(GroupName="BRIEF")
    for ask in (iam.get_group, iam.delete_group, iam.update_group):
        with refused("NoSuchEntity", status=404, message="The group with name Brief cannot be found."):
            ask(GroupName="Brief")


def test_names_are_unique_without_regard_to_case(iam: Any, group: dict[str, Any]) -> None:
    with refused("EntityAlreadyExists", status=409, message="Group with name READERS already exists."):
        iam.create_group(GroupName="READERS", Path="/elsewhere/")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"GroupName": "no blanks"}, "ValidationError"),
        ({"GroupName": "n" * 129}, "ValidationError"),
        ({"GroupName": "a", "Path": "relative/"}, "ValidationError"),
        ({"GroupName": "a", "Path": "/open"}, "ValidationError"),
    ],
)
def test_names_and_paths_follow_the_model(iam: Any, arguments: dict[str, str], code: str) -> None:
    with refused(code, status=400):
        iam.create_group(**arguments)


def test_a_renamed_group_keeps_its_id_and_its_users(iam: Any, member: dict[str, Any], group: dict[str, Any]) -> None:
    iam.update_group(GroupName="Readers", NewGroupName="Writers", NewPath="/moved/")
    found = iam.get_group(GroupName="Writers")
    assert found["Group"]["GroupId"] == group["GroupId"]
    assert found["Group"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:group/moved/Writers"
    assert [user["UserName"] for user in found["Users"]] == ["Mira"]
    with refused("NoSuchEntity"):
        iam.get_group(GroupName="Readers")


def test_a_group_is_not_renamed_to_another(iam: Any, group: dict[str, Any]) -> None:
    iam.create_group(GroupName="Writers")
    with refused("EntityAlreadyExists", status=409):
        iam.update_group(GroupName="Readers", NewGroupName="writers")
    iam.update_group(GroupName="Readers", NewGroupName="readers")  # its own name, in another case
    assert iam.get_group(GroupName="Readers")["Group"]["GroupName"] == "readers"


def test_groups_come_in_pages(iam: Any) -> None:
    names = [f"page-{number:02}" for number in range(5)]
    for name in reversed(names):
        iam.create_group(GroupName=name, Path="/pages/")
    pages = list(iam.get_paginator("list_groups").paginate(PathPrefix="/pages/", PaginationConfig={"PageSize": 2}))
    assert [[one["GroupName"] for one in page["Groups"]] for page in pages] == [names[:2], names[2:4], names[4:]]
    assert iam.list_groups(PathPrefix="/page/")["Groups"] == []
    with refused("ValidationError", message="Invalid Marker."):
        iam.list_groups(Marker="no marker of ours")
    for name in names:
        iam.delete_group(GroupName=name)


def test_members_come_in_pages(iam: Any, group: dict[str, Any]) -> None:
    names = [f"Member-{number}" for number in range(5)]
    for name in reversed(names):
        iam.create_user(UserName=name)
        iam.add_user_to_group(GroupName="Readers", UserName=name.lower())
    pages = list(iam.get_paginator("get_group").paginate(GroupName="Readers", PaginationConfig={"PageSize": 2}))
    assert [[one["UserName"] for one in page["Users"]] for page in pages] == [names[:2], names[2:4], names[4:]]
    for name in names:
        iam.remove_user_from_group(GroupName="Readers", UserName=name)
        iam.delete_user(UserName=name)


def test_membership_is_a_fact_not_an_event(iam: Any, member: dict[str, Any]) -> None:
    iam.add_user_to_group(GroupName="Readers", UserName="Mira")
    assert len(iam.get_group(GroupName="Readers")["Users"]) == 1
    for _ in range(2):
        iam.remove_user_from_group(GroupName="Readers", UserName="Mira")
    assert iam.list_groups_for_user(UserName="Mira")["Groups"] == []


def test_both_sides_of_a_membership_must_exist(iam: Any, member: dict[str, Any]) -> None:
    for change in (iam.add_user_to_group, iam.remove_user_from_group):
        with refused("NoSuchEntity", status=404, message="The user with name Nobody-here cannot be found."):
            change(GroupName="Readers", UserName="Nobody-here")
        with refused("NoSuchEntity", status=404, message="The group with name None-such cannot be found."):
            change(GroupName="None-such", UserName="Mira")
    with refused("NoSuchEntity", message="The user with name Nobody-here cannot be found."):
        iam.list_groups_for_user(UserName="Nobody-here")


def test_ten_groups_are_the_most(iam: Any, member: dict[str, Any]) -> None:
    names = [f"many-{number:02}" for number in range(10)]
    for name in names:
        iam.create_group(GroupName=name)
    for name in names[:9]:
        iam.add_user_to_group(GroupName=name, UserName="Mira")
    with refused("LimitExceeded", status=409, message="Cannot exceed quota for GroupsPerUser: 10"):
        iam.add_user_to_group(GroupName=names[9], UserName="Mira")
    iam.add_user_to_group(GroupName=names[0], UserName="Mira")  # where it is already
    pages = iam.get_paginator("list_groups_for_user").paginate(UserName="Mira", PaginationConfig={"PageSize": 4})
    assert [len(page["Groups"]) for page in pages] == [4, 4, 2]
    for name in names:
        iam.remove_user_from_group(GroupName=name, UserName="Mira")
        iam.delete_group(GroupName=name)


def test_what_has_members_or_policies_stays(
    iam: Any, broker: BrokerServer, member: dict[str, Any], group: dict[str, Any]
) -> None:
    first = "Cannot delete entity, must remove users from group first."
    with refused("DeleteConflict", status=409, message=first):
        iam.delete_group(GroupName="Readers")
    with refused("DeleteConflict", status=409, message=first):
        iam.delete_user(UserName="Mira")
    iam.remove_user_from_group(GroupName="Readers", UserName="Mira")
    give_policies(broker, group["GroupId"], allow("iam:GetUser"))
    with refused("DeleteConflict", status=409, message="must delete policies first."):
        iam.delete_group(GroupName="Readers")
    give_policies(broker, group["GroupId"], attached=f"arn:aws:iam::{ACCOUNT}:policy/assume-all")
    with refused("DeleteConflict", status=409, message="must detach all policies first."):
        iam.delete_group(GroupName="Readers")


def test_members_may_what_the_group_may(
    iam: Any, broker: BrokerServer, member: dict[str, Any], group: dict[str, Any]
) -> None:
    """At once: with the change of a membership, and with that of the group's policies."""
    keys = give_key(broker, member["UserId"])
    mine = broker.client(keys, service="iam")
    with refused("AccessDenied", status=403):
        mine.get_user()
    give_policies(broker, group["GroupId"], allow("iam:GetUser", member["Arn"]))
    assert mine.get_user()["User"]["UserName"] == "Mira"
    session = broker.client(keys).get_session_token()
    assert session["Credentials"]["SessionToken"]
    give_policies(broker, group["GroupId"], {"Effect": "Deny", "Action": "iam:GetUser", "Resource": "*"})
    give_policies(broker, member["UserId"], allow("iam:GetUser"))
    with refused("AccessDenied", message="with an explicit deny in an identity-based policy") as refusal:
        mine.get_user()
    reason = broker.event(refusal.request_id)["additionalEventData"]["reason"]
    assert "group/Readers inline policy own" in reason
    iam.remove_user_from_group(GroupName="Readers", UserName="Mira")
    assert mine.get_user()["User"]["UserName"] == "Mira"
    drop_keys(broker, keys)
    give_policies(broker, member["UserId"])


def test_a_user_made_anew_is_in_no_group(iam: Any, member: dict[str, Any]) -> None:
    with refused("DeleteConflict"):
        iam.delete_user(UserName="Mira")
    iam.remove_user_from_group(GroupName="Readers", UserName="Mira")
    iam.delete_user(UserName="Mira")
    iam.create_user(UserName="Mira")
    assert iam.list_groups_for_user(UserName="Mira")["Groups"] == []
    assert iam.get_group(GroupName="Readers")["Users"] == []


def test_a_simulation_knows_groups(
    iam: Any, broker: BrokerServer, member: dict[str, Any], group: dict[str, Any]
) -> None:
    give_policies(broker, group["GroupId"], allow("iam:GetUser", "arn:aws:iam::*:user/${aws:username}"))
    asked = {"ActionNames": ["iam:GetUser"], "ResourceArns": [member["Arn"]]}
    found = iam.simulate_principal_policy(PolicySourceArn=member["Arn"], **asked)["EvaluationResults"][0]
    assert found["EvalDecision"] == "allowed"
    assert found["MatchedStatements"][0]["SourcePolicyId"] == "group/Readers inline policy own"
    found = iam.simulate_principal_policy(PolicySourceArn=GROUP, **asked)["EvaluationResults"][0]
    assert found["EvalDecision"] == "implicitDeny"
    assert found["MissingContextValues"] == ["aws:username"]
    found = iam.simulate_principal_policy(PolicySourceArn=GROUP, CallerArn=member["Arn"], **asked)
    assert found["EvaluationResults"][0]["EvalDecision"] == "allowed"
    keys = iam.get_context_keys_for_principal_policy(PolicySourceArn=GROUP)
    assert keys["ContextKeyNames"] == ["aws:username"]
    with refused("NoSuchEntity", status=404):
        iam.simulate_principal_policy(PolicySourceArn=f"{GROUP}-not", **asked)


def test_each_operation_is_asked_for_on_its_own_resource(
    broker: BrokerServer, member: dict[str, Any], admin: tuple[str, Any]
) -> None:
    admin_id, client = admin
    other = f"arn:aws:iam::{ACCOUNT}:group/none"
    calls: list[tuple[str, str, str, dict[str, str]]] = [
        ("GetGroup", GROUP, "get_group", {"GroupName": "readers"}),
        ("GetGroup", other, "get_group", {"GroupName": "none"}),
        ("CreateGroup", f"arn:aws:iam::{ACCOUNT}:group/p/new", "create_group", {"GroupName": "new", "Path": "/p/"}),
        ("DeleteGroup", GROUP, "delete_group", {"GroupName": "Readers"}),
        ("DeleteGroup", other, "delete_group", {"GroupName": "none"}),
        ("UpdateGroup", GROUP, "update_group", {"GroupName": "Readers", "NewGroupName": "x"}),
        ("AddUserToGroup", GROUP, "add_user_to_group", {"GroupName": "Readers", "UserName": "nobody"}),
        ("RemoveUserFromGroup", GROUP, "remove_user_from_group", {"GroupName": "Readers", "UserName": "Mira"}),
        ("ListGroupsForUser", member["Arn"], "list_groups_for_user", {"UserName": "Mira"}),
        ("ListGroups", f"arn:aws:iam::{ACCOUNT}:group/x/", "list_groups", {"PathPrefix": "/x/"}),
    ]
    for action, resource, method, arguments in calls:
        give_policies(broker, admin_id, {"Effect": "Allow", "Action": f"iam:{action}", "NotResource": resource})
        with refused("AccessDenied", status=403, message=f"perform: iam:{action} on resource: {resource} "):
            getattr(client, method)(**arguments)
    give_policies(broker, admin_id, allow("iam:UpdateGroup", GROUP))
    with refused("AccessDenied", message=f"iam:UpdateGroup on resource: arn:aws:iam::{ACCOUNT}:group/x "):
        client.update_group(GroupName="Readers", NewGroupName="x")


def test_another_account_has_groups_of_its_own(iam: Any, broker: BrokerServer, group: dict[str, Any]) -> None:
    with refused("NoSuchEntity"):
        iam.simulate_principal_policy(
            PolicySourceArn=GROUP.replace(ACCOUNT, OTHER_ACCOUNT), ActionNames=["iam:GetUser"]
        )


def test_strangers_learn_nothing(broker: BrokerServer, ci: Keys, group: dict[str, Any]) -> None:
    stranger = broker.client(ci, service="iam")
    messages = []
    for name in ("Readers", "Raiders"):
        with refused("AccessDenied", status=403) as refusal:
            stranger.get_group(GroupName=name)
        messages.append(refusal.message.partition(" Encoded")[0].replace(name, ""))
    assert messages[0] == messages[1]


def test_the_cli(broker: BrokerServer, member: dict[str, Any]) -> None:
    done = subprocess.run(
        [
            *(BIN / "aws", "iam", "get-group", "--group-name", "Readers", "--endpoint-url", broker.url),
            *("--region", REGION, "--query", "Users[].UserName", "--output", "text"),
        ],
        env=clean_environment() | broker.root.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout.strip(), done.returncode) == ("Mira", 0), done.stderr
