"""Roles and their trust policies, with boto3: what is made, who gets in, and what is refused."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from realm.components import BIN
from realm.server import ACCOUNT, REGION, BrokerServer, Keys, clean_environment, refused, request_id
from realm.site import OTHER_ACCOUNT, allow, policy, role_arn, trust
from realm.store import drop_keys, give_key, give_policies, store

ARN = role_arn("Worker", path="/jobs/")
TRUST = policy(trust({"AWS": ACCOUNT}))


@pytest.fixture(scope="module")
def iam(broker: BrokerServer) -> Any:
    return broker.client(broker.root, service="iam")


@pytest.fixture
def role(iam: Any, broker: BrokerServer) -> Iterator[dict[str, Any]]:
    made = iam.create_role(
        RoleName="Worker",
        Path="/jobs/",
        AssumeRolePolicyDocument=TRUST,
        Description="Does it.",
        MaxSessionDuration=7200,
        Tags=[{"Key": "Team", "Value": "blue"}],
    )["Role"]
    yield made
    try:
        give_policies(broker, made["RoleId"])
        iam.delete_role(RoleName="Worker")
    except iam.exceptions.NoSuchEntityException:
        pass


@pytest.fixture
def person(iam: Any, broker: BrokerServer) -> Iterator[tuple[dict[str, Any], Keys]]:
    """A user and its key, without any policy."""
    made = iam.create_user(UserName="Rita", Path="/people/")["User"]
    keys = give_key(broker, made["UserId"])
    yield made, keys
    drop_keys(broker, keys)
    try:
        give_policies(broker, made["UserId"])
        iam.delete_user(UserName="Rita")
    except iam.exceptions.NoSuchEntityException:
        pass


def test_a_role_comes_and_goes(iam: Any, broker: BrokerServer) -> None:
    made = iam.create_role(RoleName="Brief", AssumeRolePolicyDocument=TRUST)
    found = made["Role"]
    assert found["RoleId"].startswith("AROA")
    assert found["Arn"] == role_arn("Brief")
    assert found["AssumeRolePolicyDocument"] == json.loads(TRUST)
    assert found["MaxSessionDuration"] == 3600
    assert "Description" not in found
    assert broker.event(request_id(made))["responseElements"]["role"]["roleId"] == found["RoleId"]
    assert iam.get_role(RoleName="bRIEF")["Role"] == found
    iam.delete_role(RoleName="BRIEF")
    for ask in (iam.get_role, iam.delete_role, iam.list_role_tags):
        with refused("NoSuchEntity", status=404, message="The role with name Brief cannot be found."):
            ask(RoleName="Brief")


def test_what_a_role_shows(iam: Any, role: dict[str, Any]) -> None:
    found = iam.get_role(RoleName="Worker")["Role"]
    assert (found["Description"], found["MaxSessionDuration"]) == ("Does it.", 7200)
    assert found["Tags"] == [{"Key": "Team", "Value": "blue"}]
    assert found["RoleLastUsed"] == {}
    listed = iam.list_roles(PathPrefix="/jobs/")["Roles"]
    assert [one["RoleName"] for one in listed] == ["Worker"]
    assert listed[0]["AssumeRolePolicyDocument"] == json.loads(TRUST)
    assert not {"Tags", "RoleLastUsed", "PermissionsBoundary"} & listed[0].keys()


def test_the_last_use_is_shown(iam: Any, broker: BrokerServer, role: dict[str, Any]) -> None:
    from sqlalchemy import delete, insert

    from broker.store.tables import usages

    moment = int(time.time()) - 100
    with store(broker) as database, database.change() as connection:
        for action, used_at in (("GetUser", moment - 1000), ("ListUsers", moment)):
            row = {"subject": role["RoleId"], "service": "iam", "action": action, "region": REGION, "used_at": used_at}
            connection.execute(insert(usages).values(**row))
    used = iam.get_role(RoleName="Worker")["Role"]["RoleLastUsed"]
    assert (int(used["LastUsedDate"].timestamp()), used["Region"]) == (moment, REGION)
    with store(broker) as database, database.change() as connection:
        connection.execute(delete(usages).where(usages.c.subject == role["RoleId"]))


def test_names_are_unique_without_regard_to_case(iam: Any, role: dict[str, Any]) -> None:
    with refused("EntityAlreadyExists", status=409, message="Role with name WORKER already exists."):
        iam.create_role(RoleName="WORKER", AssumeRolePolicyDocument=TRUST)


@pytest.mark.parametrize(
    "changes",
    [
        {"RoleName": "n" * 65},
        {"RoleName": "no blanks"},
        {"Path": "jobs/"},
        {"Description": "d" * 1001},
        {"Description": "not\u2028this"},
        {"MaxSessionDuration": 3599},
        {"MaxSessionDuration": 43201},
        {"AssumeRolePolicyDocument": "\u20ac"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_breaks_the_model_is_refused(broker: BrokerServer, iam: Any, changes: dict[str, Any]) -> None:
    unchecked = broker.client(broker.root, service="iam", parameter_validation=False)
    with refused("ValidationError", status=400):
        unchecked.create_role(**{"RoleName": "Refused", "AssumeRolePolicyDocument": TRUST, **changes})
    with refused("NoSuchEntity"):
        iam.get_role(RoleName="Refused")


STRANGE = {
    "no JSON": ("{", "line 1"),
    "no statement": ('{"Version": "2012-10-17"}', "Statement is missing"),
    "with a resource": (policy({**trust({"AWS": ACCOUNT}), "Resource": "*"}), "Resource is not allowed"),
    "without principal": (policy({"Effect": "Allow", "Action": "sts:AssumeRole"}), "Principal is missing"),
    "for all but one": (
        policy({"Effect": "Allow", "NotPrincipal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}),
        "NotPrincipal is not allowed",
    ),
    "for others than STS": (policy(trust({"AWS": ACCOUNT}, "iam:GetUser")), "may only specify STS actions"),
    "for half a name": (policy(trust({"AWS": f"arn:aws:iam::{ACCOUNT}:user/*"})), "wildcard cannot match part"),
    "for a group": (policy(trust({"AWS": f"arn:aws:iam::{ACCOUNT}:group/g"})), "AWS principal is not valid"),
    "for nobody yet": (policy(trust({"AWS": f"arn:aws:iam::{ACCOUNT}:user/later"})), "Invalid principal in policy"),
    "for nobody elsewhere": (policy(trust({"AWS": role_arn("none", OTHER_ACCOUNT)})), "Invalid principal in policy"),
    "for an id of nobody": (policy(trust({"AWS": "AIDAAAAAAAAAAAAAAAAAA"})), "Invalid principal in policy"),
    "for everybody at GitHub": (
        policy(
            trust(
                {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"},
                "sts:AssumeRoleWithWebIdentity",
                StringEquals={"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"},
            )
        ),
        "trusts every customer of token.actions.githubusercontent.com",
    ),
}


@pytest.mark.parametrize("case", STRANGE)
def test_a_trust_policy_that_nobody_means(iam: Any, role: dict[str, Any], case: str) -> None:
    document, sentence = STRANGE[case]
    with refused("MalformedPolicyDocument", status=400, message=sentence):
        iam.create_role(RoleName="Refused", AssumeRolePolicyDocument=document)
    with refused("MalformedPolicyDocument", status=400, message=sentence):
        iam.update_assume_role_policy(RoleName="Worker", PolicyDocument=document)
    assert iam.get_role(RoleName="Worker")["Role"]["AssumeRolePolicyDocument"] == json.loads(TRUST)


def test_the_place_of_a_mistake_is_told(iam: Any) -> None:
    document = '{\n "Version": "2012-10-17",\n "Statement": [{"Effect": "Alow"}]\n}'
    with refused("MalformedPolicyDocument", message="line 3"):
        iam.create_role(RoleName="Refused", AssumeRolePolicyDocument=document)


def test_a_trust_policy_has_a_size(iam: Any, role: dict[str, Any]) -> None:
    """White space does not count."""
    document = policy(trust({"AWS": ACCOUNT}, StringEquals={"sts:ExternalId": "x" * 1_850}))
    iam.update_assume_role_policy(RoleName="Worker", PolicyDocument=document.replace(" ", " " * 100))
    document = document.replace("x" * 1_850, "x" * 2_000)
    with refused("LimitExceeded", status=409, message="Cannot exceed quota for ACLSizePerRole: 2048"):
        iam.update_assume_role_policy(RoleName="Worker", PolicyDocument=document)
    with refused("LimitExceeded", status=409, message="Cannot exceed quota for ACLSizePerRole: 2048"):
        iam.create_role(RoleName="Refused", AssumeRolePolicyDocument=document)


def test_updates_change_what_they_name(iam: Any, role: dict[str, Any]) -> None:
    iam.update_role(RoleName="Worker", MaxSessionDuration=3600)
    found = iam.get_role(RoleName="Worker")["Role"]
    assert (found["Description"], found["MaxSessionDuration"]) == ("Does it.", 3600)
    iam.update_role(RoleName="worker", Description="Does more.")
    answer = iam.update_role_description(RoleName="Worker", Description="Does less.")["Role"]
    assert (answer["Description"], answer["MaxSessionDuration"]) == ("Does less.", 3600)
    iam.update_role(RoleName="Worker", Description="")
    assert "Description" not in iam.get_role(RoleName="Worker")["Role"]
    with refused("ValidationError", message="'maxSessionDuration'"):
        iam.update_role(RoleName="Worker", MaxSessionDuration=43201)


def test_tags(iam: Any, role: dict[str, Any]) -> None:
    iam.tag_role(RoleName="Worker", Tags=[{"Key": "team", "Value": "red"}, {"Key": "Cost", "Value": ""}])
    assert iam.list_role_tags(RoleName="Worker")["Tags"] == [
        {"Key": "Cost", "Value": ""},
        {"Key": "team", "Value": "red"},
    ]
    iam.untag_role(RoleName="Worker", TagKeys=["TEAM"])
    assert iam.get_role(RoleName="Worker")["Role"]["Tags"] == [{"Key": "Cost", "Value": ""}]
    with refused("LimitExceeded", status=409):
        iam.tag_role(RoleName="Worker", Tags=[{"Key": f"k{number}", "Value": ""} for number in range(50)])


def test_boundaries(iam: Any, role: dict[str, Any]) -> None:
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/assume-nothing"
    iam.put_role_permissions_boundary(RoleName="Worker", PermissionsBoundary=boundary)
    assert iam.get_role(RoleName="Worker")["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    iam.delete_role_permissions_boundary(RoleName="Worker")
    with refused("NoSuchEntity", status=404):
        iam.delete_role_permissions_boundary(RoleName="Worker")
    foreign = f"arn:aws:iam::{OTHER_ACCOUNT}:policy/foreign"
    for arn in (foreign, f"arn:aws:iam::{ACCOUNT}:policy/none"):
        with refused("NoSuchEntity", status=404, message="does not exist or is not attachable."):
            iam.put_role_permissions_boundary(RoleName="Worker", PermissionsBoundary=arn)
        with refused("NoSuchEntity", status=404):
            iam.create_role(RoleName="Refused", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=arn)


def test_roles_come_in_pages(iam: Any) -> None:
    names = [f"page-{number}" for number in range(5)]
    for name in reversed(names):
        iam.create_role(RoleName=name, Path="/pages/", AssumeRolePolicyDocument=TRUST)
    pages = list(iam.get_paginator("list_roles").paginate(PathPrefix="/pages/", PaginationConfig={"PageSize": 2}))
    assert [[one["RoleName"] for one in page["Roles"]] for page in pages] == [names[:2], names[2:4], names[4:]]
    for name in names:
        iam.delete_role(RoleName=name)


def test_trust_is_in_persons_not_in_names(
    iam: Any, broker: BrokerServer, role: dict[str, Any], person: tuple[dict[str, Any], Keys]
) -> None:
    rita, keys = person
    iam.update_assume_role_policy(RoleName="Worker", PolicyDocument=policy(trust({"AWS": [rita["Arn"], ACCOUNT]})))
    broker.client(keys).assume_role(RoleArn=ARN, RoleSessionName="session")

    def trusted() -> list[str]:
        document = iam.get_role(RoleName="Worker")["Role"]["AssumeRolePolicyDocument"]
        assert document == iam.list_roles(PathPrefix="/jobs/")["Roles"][0]["AssumeRolePolicyDocument"]
        found: list[str] = document["Statement"][0]["Principal"]["AWS"]
        return found

    assert trusted() == [rita["Arn"], ACCOUNT]
    iam.update_user(UserName="Rita", NewUserName="Rosa")
    assert trusted() == [rita["Arn"].replace("Rita", "Rosa"), ACCOUNT]
    broker.client(keys).assume_role(RoleArn=ARN, RoleSessionName="session")
    iam.update_user(UserName="Rosa", NewUserName="Rita")
    drop_keys(broker, keys)
    iam.delete_user(UserName="Rita")
    assert trusted() == [rita["UserId"], ACCOUNT]

    again = iam.create_user(UserName="Rita", Path="/people/")["User"]
    assert again["Arn"] == rita["Arn"]
    assert trusted() == [rita["UserId"], ACCOUNT]
    keys = give_key(broker, again["UserId"])
    with refused("AccessDenied", status=403):
        broker.client(keys).assume_role(RoleArn=ARN, RoleSessionName="session")
    with refused("MalformedPolicyDocument", message="Invalid principal in policy"):  # it cannot be saved again
        iam.update_assume_role_policy(RoleName="Worker", PolicyDocument=policy(trust({"AWS": rita["UserId"]})))
    drop_keys(broker, keys)


def test_a_deleted_role_leaves_nothing_behind(
    iam: Any, broker: BrokerServer, role: dict[str, Any], person: tuple[dict[str, Any], Keys]
) -> None:
    """Its sessions may do nothing, also when there is a role of that name again."""
    rita, keys = person
    give_policies(broker, role["RoleId"], allow("*"))
    iam.update_assume_role_policy(RoleName="Worker", PolicyDocument=policy(trust({"AWS": rita["Arn"]})))
    session = Keys.of(broker.client(keys).assume_role(RoleArn=ARN, RoleSessionName="session"))
    inside, sts = broker.client(session, service="iam"), broker.client(session)
    assert inside.get_role(RoleName="Worker")["Role"]["RoleId"] == role["RoleId"]
    give_policies(broker, role["RoleId"])
    iam.delete_role(RoleName="Worker")

    def may_do_nothing() -> None:
        with refused("AccessDenied", status=403):
            inside.list_users()
        with refused("AccessDenied", status=403):
            sts.assume_role(RoleArn=role_arn("plain"), RoleSessionName="session")

    may_do_nothing()
    again = iam.create_role(RoleName="Worker", Path="/jobs/", AssumeRolePolicyDocument=TRUST)["Role"]
    assert again["RoleId"] != role["RoleId"]
    give_policies(broker, again["RoleId"], allow("*"))
    may_do_nothing()
    with refused("AccessDenied"):  # nor is the new one in anybody's trust
        broker.client(keys).assume_role(RoleArn=ARN, RoleSessionName="session")
    give_policies(broker, again["RoleId"])


def test_a_deleted_user_leaves_nothing_behind(
    iam: Any, broker: BrokerServer, person: tuple[dict[str, Any], Keys]
) -> None:
    rita, keys = person
    give_policies(broker, rita["UserId"], allow("*"))
    sts = broker.client(keys)
    session = broker.client(Keys.of(sts.get_session_token()))
    federated = Keys.of(sts.get_federation_token(Name="federated", Policy=policy(allow("*"))))
    assert session.assume_role(RoleArn=role_arn("plain"), RoleSessionName="session")
    with refused("DeleteConflict", message="must delete policies first."):
        iam.delete_user(UserName="Rita")
    give_policies(broker, rita["UserId"])
    with refused("DeleteConflict", message="must delete access keys first."):
        iam.delete_user(UserName="Rita")
    drop_keys(broker, keys)
    iam.delete_user(UserName="Rita")
    with refused("InvalidClientTokenId", status=403):
        sts.get_session_token()
    iam.create_user(UserName="Rita", Path="/people/")
    with refused("AccessDenied", status=403):
        session.assume_role(RoleArn=role_arn("plain"), RoleSessionName="session")
    with refused("InvalidClientTokenId"):  # IAM is closed to federated users, whoever they are
        broker.client(federated, service="iam").list_users()


def test_what_has_policies_stays(iam: Any, broker: BrokerServer, role: dict[str, Any]) -> None:
    give_policies(broker, role["RoleId"], allow("iam:GetUser"))
    with refused("DeleteConflict", status=409, message="Cannot delete entity, must delete policies first."):
        iam.delete_role(RoleName="Worker")
    give_policies(broker, role["RoleId"], attached=f"arn:aws:iam::{ACCOUNT}:policy/assume-all")
    with refused("DeleteConflict", status=409, message="Cannot delete entity, must detach all policies first."):
        iam.delete_role(RoleName="Worker")


def test_what_the_configuration_declares_is_changed_there(iam: Any) -> None:
    named = {"RoleName": "plain"}
    for change, more in (
        (iam.delete_role, {}),
        (iam.update_role, {"Description": "mine"}),
        (iam.update_role_description, {"Description": "mine"}),
        (iam.update_assume_role_policy, {"PolicyDocument": TRUST}),
        (iam.tag_role, {"Tags": [{"Key": "a", "Value": "b"}]}),
        (iam.untag_role, {"TagKeys": ["a"]}),
        (iam.put_role_permissions_boundary, {"PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/assume-all"}),
        (iam.delete_role_permissions_boundary, {}),
    ):
        with refused("UnmodifiableEntity", status=400, message="accredit.toml"):
            change(**named, **more)


ASKED: list[tuple[str, str, str, dict[str, Any]]] = [
    ("CreateRole", role_arn("New", path="/p/"), "create_role", {"RoleName": "New", "Path": "/p/"}),
    ("GetRole", ARN, "get_role", {}),
    ("UpdateRole", ARN, "update_role", {}),
    ("UpdateRoleDescription", ARN, "update_role_description", {"Description": ""}),
    ("DeleteRole", ARN, "delete_role", {}),
    ("UpdateAssumeRolePolicy", ARN, "update_assume_role_policy", {"PolicyDocument": "no policy"}),
    ("TagRole", ARN, "tag_role", {"Tags": [{"Key": "a", "Value": "b"}]}),
    ("UntagRole", ARN, "untag_role", {"TagKeys": ["a"]}),
    ("ListRoleTags", ARN, "list_role_tags", {}),
    ("PutRolePermissionsBoundary", ARN, "put_role_permissions_boundary", {"PermissionsBoundary": "a" * 20}),
    ("DeleteRolePermissionsBoundary", ARN, "delete_role_permissions_boundary", {}),
    ("DeleteServiceLinkedRole", ARN, "delete_service_linked_role", {}),
]


@pytest.mark.parametrize(("action", "resource", "method", "arguments"), ASKED, ids=lambda value: str(value)[:24])
def test_each_operation_is_asked_for_on_its_own_resource(
    broker: BrokerServer,
    role: dict[str, Any],
    person: tuple[dict[str, Any], Keys],
    action: str,
    resource: str,
    method: str,
    arguments: dict[str, Any],
) -> None:
    rita, keys = person
    client = broker.client(keys, service="iam")
    complete = {"RoleName": "wORKER", **arguments}
    if method == "create_role":
        complete["AssumeRolePolicyDocument"] = "no policy"
    give_policies(broker, rita["UserId"], {"Effect": "Allow", "Action": f"iam:{action}", "NotResource": resource})
    with refused("AccessDenied", status=403, message=f"perform: iam:{action} on resource: {resource} "):
        getattr(client, method)(**complete)
    if method != "create_role":
        missing = role_arn("Nobody")
        give_policies(broker, rita["UserId"], {"Effect": "Allow", "Action": f"iam:{action}", "NotResource": missing})
        with refused("AccessDenied", status=403, message=f"perform: iam:{action} on resource: {missing} "):
            getattr(client, method)(**{**complete, "RoleName": "Nobody"})


CONDITIONS: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("CreateRole", {"StringEquals": {"aws:RequestTag/Team": "blue"}}, "create_role", {"Tags": "blue"}),
    ("CreateRole", {"ForAllValues:StringEquals": {"aws:TagKeys": ["Team"]}}, "create_role", {"Tags": "blue"}),
    (
        "CreateRole",
        {"ArnLike": {"iam:PermissionsBoundary": "arn:aws:iam::*:policy/assume-all"}},
        "create_role",
        {"Boundary": "assume-all"},
    ),
    ("TagRole", {"StringEquals": {"aws:RequestTag/Team": "red"}}, "tag_role", {"Tags": "red"}),
    ("TagRole", {"StringEquals": {"aws:ResourceTag/Team": "blue"}}, "tag_role", {"Tags": "red"}),
    ("UntagRole", {"ForAllValues:StringEquals": {"aws:TagKeys": ["Team"]}}, "untag_role", {"TagKeys": ["Team"]}),
    ("GetRole", {"StringEquals": {"iam:ResourceTag/Team": "blue"}}, "get_role", {}),
    (
        "PutRolePermissionsBoundary",
        {"ArnLike": {"iam:PermissionsBoundary": "arn:aws:iam::*:policy/assume-all"}},
        "put_role_permissions_boundary",
        {"Boundary": "assume-all"},
    ),
]


@pytest.mark.parametrize(("action", "condition", "method", "arguments"), CONDITIONS, ids=lambda value: str(value)[:32])
def test_conditions_see_the_request_and_the_role(
    iam: Any,
    broker: BrokerServer,
    role: dict[str, Any],
    person: tuple[dict[str, Any], Keys],
    action: str,
    condition: dict[str, Any],
    method: str,
    arguments: dict[str, Any],
) -> None:
    """With the condition it is allowed; with another value of the key it is not."""
    rita, keys = person
    client = broker.client(keys, service="iam")
    given = dict(arguments)
    complete: dict[str, Any] = {"RoleName": "Conditional" if method == "create_role" else "Worker"}
    if method == "create_role":
        complete["AssumeRolePolicyDocument"] = TRUST
    if colour := given.pop("Tags", None):
        complete["Tags"] = [{"Key": "Team", "Value": colour}]
    if boundary := given.pop("Boundary", None):
        complete["PermissionsBoundary"] = f"arn:aws:iam::{ACCOUNT}:policy/{boundary}"
    complete |= given
    ((operator, keyed),) = condition.items()
    ((key, _),) = keyed.items()
    tagging = [allow("iam:TagRole")] if method == "create_role" else []
    wrong = {operator: {key: "arn:aws:iam::123456789012:policy/something-else"}}
    give_policies(broker, rita["UserId"], allow(f"iam:{action}", Condition=wrong), *tagging)
    with refused("AccessDenied", status=403):
        getattr(client, method)(**complete)
    give_policies(broker, rita["UserId"], allow(f"iam:{action}", Condition=condition), *tagging)
    getattr(client, method)(**complete)
    if method == "create_role":
        iam.delete_role(RoleName="Conditional")


def test_tags_at_birth_need_their_own_permission(broker: BrokerServer, person: tuple[dict[str, Any], Keys]) -> None:
    rita, keys = person
    give_policies(broker, rita["UserId"], allow("iam:CreateRole"))
    with refused("AccessDenied", message=f"iam:TagRole on resource: {role_arn('Tagged')} "):
        broker.client(keys, service="iam").create_role(
            RoleName="Tagged", AssumeRolePolicyDocument=TRUST, Tags=[{"Key": "a", "Value": "b"}]
        )


def test_who_is_bounded_may_be_kept_from_unbounded_roles(
    iam: Any, broker: BrokerServer, role: dict[str, Any], person: tuple[dict[str, Any], Keys]
) -> None:
    """The way out of a boundary: taking it from a role whose policies one may write."""
    rita, keys = person
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/assume-all"
    iam.put_role_permissions_boundary(RoleName="Worker", PermissionsBoundary=boundary)
    bounded = {"StringNotEquals": {"iam:PermissionsBoundary": boundary}}
    give_policies(
        broker,
        rita["UserId"],
        allow("iam:*"),
        {"Effect": "Deny", "Action": "iam:DeleteRolePermissionsBoundary", "Resource": "*"},
        {"Effect": "Deny", "Action": ["iam:*Boundary", "iam:CreateRole"], "Resource": "*", "Condition": bounded},
    )
    client = broker.client(keys, service="iam")
    with refused("AccessDenied"):
        client.delete_role_permissions_boundary(RoleName="Worker")
    with refused("AccessDenied"):
        client.put_role_permissions_boundary(
            RoleName="Worker", PermissionsBoundary=f"arn:aws:iam::{ACCOUNT}:policy/assume-nothing"
        )
    with refused("AccessDenied"):
        client.create_role(RoleName="Unbounded", AssumeRolePolicyDocument=TRUST)


def test_service_linked_roles_are_refused_in_words(iam: Any, role: dict[str, Any]) -> None:
    with refused("InvalidInput", status=400, message="ec2.amazonaws.com has no service-linked roles here"):
        iam.create_service_linked_role(AWSServiceName="ec2.amazonaws.com")
    with refused("InvalidInput", status=400, message="Worker is not a service-linked role"):
        iam.delete_service_linked_role(RoleName="worker")
    with refused("NoSuchEntity", status=404, message="The role with name none cannot be found."):
        iam.delete_service_linked_role(RoleName="none")
    with refused("NoSuchEntity", status=404):
        iam.get_service_linked_role_deletion_status(DeletionTaskId="task/none")


def test_strangers_learn_nothing(broker: BrokerServer, ci: Keys, role: dict[str, Any]) -> None:
    stranger = broker.client(ci, service="iam")
    with refused("AccessDenied", status=403, message="iam:CreateServiceLinkedRole"):
        stranger.create_service_linked_role(AWSServiceName="ec2.amazonaws.com")
    with refused("AccessDenied", status=403, message="iam:GetServiceLinkedRoleDeletionStatus"):
        stranger.get_service_linked_role_deletion_status(DeletionTaskId="task/none")
    with refused("AccessDenied", status=403, message=f"iam:ListRoles on resource: arn:aws:iam::{ACCOUNT}:role/ "):
        stranger.list_roles()


def test_the_cli(broker: BrokerServer, role: dict[str, Any]) -> None:
    """The document comes out of the URL encoding as it went in."""
    done = subprocess.run(
        [
            *(BIN / "aws", "iam", "get-role", "--role-name", "Worker", "--endpoint-url", broker.url),
            *("--region", REGION, "--query", "Role.AssumeRolePolicyDocument"),
        ],
        env=clean_environment() | broker.root.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(TRUST)
