"""STS-08: the ways from some permissions to all of them. Each needs its own action, and the bounded stay bounded.

The table holds the ways that are known of AWS; it asks for those of them that are served.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from account import TRUST, Account, arn, policy
from simulated_account import allow, deny

from broker.aws.operations import OPERATIONS
from broker.domain.secret import Secret
from broker.errors import AccessDenied, BrokerError
from broker.iam.instance_profiles import create_instance_profile
from broker.iam.managed_policies import create_policy
from broker.iam.policy_versions import create_policy_version
from broker.services import Caller
from broker.store.entities import set_permissions_boundary
from broker.store.policy_usage import attach

ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
READER = "arn:aws:iam::aws:policy/ReadOnlyAccess"
MINE, LIMIT = arn("policy", "mine"), arn("policy", "boundary")
ALL = policy(allow("*"))

WAYS: Mapping[str, Mapping[str, Any]] = {
    # into somebody who may more
    "UpdateAssumeRolePolicy": {"role_name": "admin", "policy_document": TRUST},
    "CreateAccessKey": {"user_name": "admin"},
    "CreateLoginProfile": {"user_name": "admin", "password": Secret("Correct-Horse-7-Battery")},
    "UpdateLoginProfile": {"user_name": "admin", "password": Secret("Correct-Horse-7-Battery")},
    "AddUserToGroup": {"group_name": "admins", "user_name": "mallory"},
    "AddRoleToInstanceProfile": {"instance_profile_name": "machines", "role_name": "admin"},
    # more for oneself
    "AttachUserPolicy": {"user_name": "mallory", "policy_arn": ADMIN},
    "AttachGroupPolicy": {"group_name": "members", "policy_arn": ADMIN},
    "AttachRolePolicy": {"role_name": "plain", "policy_arn": ADMIN},
    "PutUserPolicy": {"user_name": "mallory", "policy_name": "more", "policy_document": ALL},
    "PutGroupPolicy": {"group_name": "members", "policy_name": "more", "policy_document": ALL},
    "PutRolePolicy": {"role_name": "plain", "policy_name": "more", "policy_document": ALL},
    "CreatePolicyVersion": {"policy_arn": MINE, "policy_document": ALL, "set_as_default": True},
    "SetDefaultPolicyVersion": {"policy_arn": MINE, "version_id": "v2"},
    # fewer limits
    "PutUserPermissionsBoundary": {"user_name": "mallory", "permissions_boundary": ADMIN},
    "PutRolePermissionsBoundary": {"role_name": "plain", "permissions_boundary": ADMIN},
    "DeleteUserPermissionsBoundary": {"user_name": "mallory"},
    "DeleteRolePermissionsBoundary": {"role_name": "plain"},
    "DetachUserPolicy": {"user_name": "mallory", "policy_arn": MINE},
    "DeleteUserPolicy": {"user_name": "mallory", "policy_name": "made"},
    "RemoveUserFromGroup": {"group_name": "members", "user_name": "mallory"},
}
SERVED = [name for name in WAYS if name in OPERATIONS["iam"]]
BESIDES = {"AddRoleToInstanceProfile": ("iam:PassRole",)}
"""What else a way needs."""

every_way = pytest.mark.parametrize("way", SERVED)


@pytest.fixture
def graph(account: Account) -> Account:
    """Admins, and what ``mallory`` is near to."""
    services, root = account.services, account.root
    account.make("user", "admin", allow("*"))
    account.make("role", "admin", allow("*"))
    account.make("role", "plain", allow("sts:*"))
    account.make("group", "admins", allow("*"))
    account.make("group", "members")
    create_policy(services, root, policy_name="mine", policy_document=policy(allow("sts:*")))
    create_policy_version(services, root, policy_arn=MINE, policy_document=ALL)
    create_instance_profile(services, root, instance_profile_name="machines")
    return account


def mallory(graph: Account, *statements: Mapping[str, Any], boundary: str | None = None) -> Caller:
    user = graph.make("user", "mallory", *statements, boundary=boundary)
    with graph.services.database.change() as connection:
        attach(connection, user.id, MINE)
    return graph.calling(user)


def go(graph: Account, caller: Caller, way: str) -> None:
    OPERATIONS["iam"][way].handler(graph.services, caller, **WAYS[way])


def actions(way: str) -> list[str]:
    return [f"iam:{way}", *BESIDES.get(way, ())]


def test_the_ways_of_policies_are_asked() -> None:
    assert {
        "AttachUserPolicy",
        "CreatePolicyVersion",
        "PutUserPolicy",
        "PutUserPermissionsBoundary",
        "SetDefaultPolicyVersion",
    } <= set(SERVED)


@every_way
def test_a_way_is_closed_without_its_own_action(graph: Account, way: str) -> None:
    for needed in actions(way):
        others = {action for other in WAYS for action in actions(other)} - {needed}
        caller = graph.who(allow(sorted(others)), allow(["iam:Get*", "iam:List*", "iam:Tag*", "sts:*"]))
        with pytest.raises(AccessDenied, match=f"perform: {needed} on resource"):
            go(graph, caller, way)


@every_way
def test_a_denial_of_its_action_closes_it_for_everybody(graph: Account, way: str) -> None:
    for needed in actions(way):
        caller = graph.who(allow("*"), deny(needed))
        with pytest.raises(AccessDenied, match=f"perform: {needed} on resource: .* with an explicit deny"):
            go(graph, caller, way)


@every_way
def test_its_action_on_something_else_does_not_open_it(graph: Account, way: str) -> None:
    elsewhere = [arn(kind, "elsewhere") for kind in ("user", "group", "role", "policy", "instance-profile")]
    caller = mallory(graph, allow(actions(way), elsewhere))
    with pytest.raises(AccessDenied):
        go(graph, caller, way)


@every_way
def test_with_its_action_it_is_open(graph: Account, way: str) -> None:
    """So that what closes it in the other tests is the action, and nothing else."""
    caller = mallory(graph, allow(actions(way)))
    try:
        go(graph, caller, way)
    except AccessDenied:
        raise
    except BrokerError:
        pass  # allowed, but there was nothing to take away


def test_what_is_passed_is_asked_for_by_its_own_name(graph: Account) -> None:
    caller = mallory(graph, allow("iam:AddRoleToInstanceProfile"), allow("iam:PassRole", arn("role", "plain")))
    with pytest.raises(AccessDenied, match=f"iam:PassRole on resource: {arn('role', 'admin')} "):
        go(graph, caller, "AddRoleToInstanceProfile")


CLOSED = policy(
    allow("*"),
    deny(
        ["iam:DeleteUserPermissionsBoundary", "iam:DeleteRolePermissionsBoundary"],
        Condition={"StringEquals": {"iam:PermissionsBoundary": LIMIT}},
    ),
    deny(
        ["iam:CreateUser", "iam:CreateRole", "iam:Put*PermissionsBoundary", "iam:Put*Policy", "iam:Attach*Policy"],
        Condition={"StringNotEquals": {"iam:PermissionsBoundary": LIMIT}},
    ),
    deny(
        ["iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion", "iam:Delete*", "iam:TagPolicy"],
        LIMIT,
    ),
    deny(["iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile", "iam:UpdateAssumeRolePolicy"]),
)
"""A boundary that lets its holders administer others, as the User Guide has it: those alone who have it too."""


@pytest.fixture
def bounded(graph: Account) -> Account:
    create_policy(graph.services, graph.root, policy_name="boundary", policy_document=CLOSED)
    return graph


ATTEMPTS: list[tuple[str, dict[str, Any]]] = [
    ("DeleteUserPermissionsBoundary", {"user_name": "mallory"}),
    ("PutUserPermissionsBoundary", {"user_name": "mallory", "permissions_boundary": ADMIN}),
    ("PutUserPermissionsBoundary", {"user_name": "mallory", "permissions_boundary": MINE}),
    ("PutRolePermissionsBoundary", {"role_name": "plain", "permissions_boundary": ADMIN}),
    ("CreatePolicyVersion", {"policy_arn": LIMIT, "policy_document": ALL, "set_as_default": True}),
    ("SetDefaultPolicyVersion", {"policy_arn": LIMIT, "version_id": "v1"}),
    ("DeletePolicyVersion", {"policy_arn": LIMIT, "version_id": "v1"}),
    ("DeletePolicy", {"policy_arn": LIMIT}),
    ("CreateUser", {"user_name": "accomplice"}),
    ("CreateUser", {"user_name": "accomplice", "permissions_boundary": ADMIN}),
    ("CreateRole", {"role_name": "accomplice", "assume_role_policy_document": TRUST}),
    ("PutUserPolicy", {**WAYS["PutUserPolicy"], "user_name": "admin"}),
    ("AttachUserPolicy", {"user_name": "admin", "policy_arn": ADMIN}),
    ("PutRolePolicy", dict(WAYS["PutRolePolicy"])),
    ("AttachRolePolicy", dict(WAYS["AttachRolePolicy"])),
    ("CreateAccessKey", dict(WAYS["CreateAccessKey"])),
    ("UpdateAssumeRolePolicy", dict(WAYS["UpdateAssumeRolePolicy"])),
]
"""Of the bounded to get rid of their boundary, or to have somebody without it do what they may not."""


@pytest.mark.parametrize(("operation", "arguments"), [one for one in ATTEMPTS if one[0] in OPERATIONS["iam"]])
def test_who_is_bounded_cannot_unbind(bounded: Account, operation: str, arguments: dict[str, Any]) -> None:
    caller = mallory(bounded, allow("*"), boundary=LIMIT)
    with pytest.raises(AccessDenied, match="with an explicit deny in a permissions boundary"):
        OPERATIONS["iam"][operation].handler(bounded.services, caller, **arguments)


def test_who_is_bounded_may_administer_those_who_are_too(bounded: Account) -> None:
    caller = mallory(bounded, allow("*"), boundary=LIMIT)
    call = OPERATIONS["iam"]
    call["CreateUser"].handler(bounded.services, caller, user_name="helper", permissions_boundary=LIMIT)
    call["PutUserPolicy"].handler(bounded.services, caller, user_name="helper", policy_name="own", policy_document=ALL)
    call["AttachUserPolicy"].handler(bounded.services, caller, user_name="helper", policy_arn=ADMIN)


@every_way
def test_more_permissions_do_not_reach_beyond_a_boundary(graph: Account, way: str) -> None:
    """Whoever is bounded by ReadOnlyAccess changes nothing, an administrator or not."""
    user = graph.make("user", "mallory", allow("*"), boundary=READER)
    with graph.services.database.change() as connection:
        attach(connection, user.id, ADMIN)
        attach(connection, user.id, MINE)
    with pytest.raises(AccessDenied, match="because no permissions boundary allows"):
        go(graph, graph.calling(user), way)
    with graph.services.database.change() as connection:
        set_permissions_boundary(connection, user.id, arn("policy", "gone"))
    with pytest.raises(AccessDenied, match="explicit deny in a permissions boundary"):
        go(graph, graph.calling(user), way)
