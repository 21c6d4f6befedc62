"""Policies, as an administrator has them with boto3 and the AWS CLI: the root key acts, and users with less."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from realm.components import program
from realm.server import ACCOUNT, REGION, BrokerServer, Keys, clean_environment, refused, request_id
from realm.site import OTHER_ACCOUNT, allow, policy
from realm.store import drop_keys, give_key

ALLOW = {"Version": "2012-10-17", "Statement": [allow("sts:*")]}
SPACIOUS = json.dumps(ALLOW, indent=4) + "\n"
AUDIT = "arn:aws:iam::aws:policy/SecurityAudit"
READER = "arn:aws:iam::aws:policy/ReadOnlyAccess"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"},
    }
)


@pytest.fixture(scope="module")
def iam(broker: BrokerServer) -> Any:
    return broker.client(broker.root, service="iam")


@pytest.fixture
def user(iam: Any) -> Iterator[str]:
    iam.create_user(UserName="Polly", Path="/team/")
    yield "Polly"
    _delete_user(iam, "Polly")


@pytest.fixture
def made(iam: Any) -> Iterator[str]:
    """A managed policy; it goes with its versions and attachments."""
    arn = iam.create_policy(PolicyName="Made", PolicyDocument=SPACIOUS, Path="/team/")["Policy"]["Arn"]
    yield arn
    _delete_policy(iam, arn)


@pytest.fixture
def polly(broker: BrokerServer, iam: Any, user: str) -> Iterator[Keys]:
    """An access key of the user."""
    keys = give_key(broker, iam.get_user(UserName=user)["User"]["UserId"])
    yield keys
    drop_keys(broker, keys)


def _delete_user(iam: Any, name: str) -> None:
    for found in iam.list_user_policies(UserName=name)["PolicyNames"]:
        iam.delete_user_policy(UserName=name, PolicyName=found)
    for found in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]:
        iam.detach_user_policy(UserName=name, PolicyArn=found["PolicyArn"])
    iam.delete_user(UserName=name)


def _delete_policy(iam: Any, arn: str) -> None:
    try:
        versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    except iam.exceptions.NoSuchEntityException:
        return
    for found in iam.list_entities_for_policy(PolicyArn=arn)["PolicyUsers"]:
        iam.detach_user_policy(UserName=found["UserName"], PolicyArn=arn)
    for version in versions:
        if not version["IsDefaultVersion"]:
            iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
    iam.delete_policy(PolicyArn=arn)


def test_an_inline_policy_comes_back_as_it_was_put(iam: Any, broker: BrokerServer, user: str) -> None:
    answer = iam.put_user_policy(UserName=user, PolicyName="own", PolicyDocument=SPACIOUS)
    event = broker.event(request_id(answer))
    assert (event["readOnly"], event["requestParameters"]["policyName"]) == (False, "own")
    found = iam.get_user_policy(UserName="POLLY", PolicyName="own")
    assert (found["UserName"], found["PolicyName"], found["PolicyDocument"]) == ("Polly", "own", ALLOW)
    assert iam.list_user_policies(UserName=user)["PolicyNames"] == ["own"]
    with refused("DeleteConflict", status=409, message="must delete policies first"):
        iam.delete_user(UserName=user)
    iam.delete_user_policy(UserName=user, PolicyName="own")
    with refused("NoSuchEntity", status=404, message="The user policy with name own cannot be found."):
        iam.get_user_policy(UserName=user, PolicyName="own")


@pytest.mark.parametrize(
    ("document", "code", "message"),
    [
        ("{}", "MalformedPolicyDocument", "line 1, column 1"),
        (SPACIOUS.replace('"Allow"', '"Permit"'), "MalformedPolicyDocument", "line 5, column 23"),
        (policy({**allow("sts:*"), "Principal": "*"}), "MalformedPolicyDocument", "Principal"),
        (policy(*(allow(f"sts:{'a' * 60}{number}") for number in range(40))), "LimitExceeded", "2048 bytes exceeded"),
        ("{\u2028}", "ValidationError", "policyDocument"),
    ],
)
def test_documents_that_are_refused(iam: Any, user: str, document: str, code: str, message: str) -> None:
    with refused(code, message=message):
        iam.put_user_policy(UserName=user, PolicyName="own", PolicyDocument=document)
    assert iam.list_user_policies(UserName=user)["PolicyNames"] == []


def test_policies_of_a_group_and_a_role(iam: Any) -> None:
    iam.create_group(GroupName="Owls")
    iam.create_role(RoleName="owl", AssumeRolePolicyDocument=TRUST)
    for kind, name in (("group", "Owls"), ("role", "owl")):
        named = {f"{kind.capitalize()}Name": name}
        getattr(iam, f"put_{kind}_policy")(**named, PolicyName="own", PolicyDocument=SPACIOUS)
        found = getattr(iam, f"get_{kind}_policy")(**named, PolicyName="own")
        assert (found[f"{kind.capitalize()}Name"], found["PolicyDocument"]) == (name, ALLOW)
        assert getattr(iam, f"list_{kind}_policies")(**named)["PolicyNames"] == ["own"]
        getattr(iam, f"attach_{kind}_policy")(**named, PolicyArn=AUDIT)
        assert getattr(iam, f"list_attached_{kind}_policies")(**named)["AttachedPolicies"] == [
            {"PolicyName": "SecurityAudit", "PolicyArn": AUDIT}
        ]
        with refused("DeleteConflict"):
            getattr(iam, f"delete_{kind}")(**named)
        getattr(iam, f"detach_{kind}_policy")(**named, PolicyArn=AUDIT)
        with refused("NoSuchEntity"):
            getattr(iam, f"detach_{kind}_policy")(**named, PolicyArn=AUDIT)
        getattr(iam, f"delete_{kind}_policy")(**named, PolicyName="own")
        getattr(iam, f"delete_{kind}")(**named)


def test_a_managed_policy_and_its_life(iam: Any, broker: BrokerServer, user: str, made: str) -> None:
    assert made == f"arn:aws:iam::{ACCOUNT}:policy/team/Made"
    with refused("EntityAlreadyExists", status=409):
        iam.create_policy(PolicyName="MADE", PolicyDocument=SPACIOUS)
    answer = iam.attach_user_policy(UserName=user, PolicyArn=made)
    assert broker.event(request_id(answer))["requestParameters"]["policyArn"] == made
    found = iam.get_policy(PolicyArn=made)["Policy"]
    assert (found["AttachmentCount"], found["DefaultVersionId"], found["IsAttachable"]) == (1, "v1", True)
    with refused("DeleteConflict", status=409):
        iam.delete_policy(PolicyArn=made)
    added = iam.create_policy_version(PolicyArn=made, PolicyDocument=policy(allow("iam:GetUser")))["PolicyVersion"]
    assert (added["VersionId"], added["IsDefaultVersion"]) == ("v2", False)
    shown = iam.get_policy_version(PolicyArn=made, VersionId="v1")["PolicyVersion"]
    assert (shown["Document"], shown["IsDefaultVersion"]) == (ALLOW, True)
    iam.set_default_policy_version(PolicyArn=made, VersionId="v2")
    versions = iam.list_policy_versions(PolicyArn=made)["Versions"]
    assert [(one["VersionId"], one["IsDefaultVersion"]) for one in versions] == [("v2", True), ("v1", False)]
    with refused("DeleteConflict", status=409, message="Cannot delete the default version of a policy."):
        iam.delete_policy_version(PolicyArn=made, VersionId="v2")
    with refused("ValidationError", message="versionId"):
        iam.get_policy_version(PolicyArn=made, VersionId="2")
    for _ in range(3):
        iam.create_policy_version(PolicyArn=made, PolicyDocument=SPACIOUS)
    with refused("LimitExceeded", status=409, message="A managed policy can have up to 5 versions."):
        iam.create_policy_version(PolicyArn=made, PolicyDocument=SPACIOUS, SetAsDefault=True)


def test_a_new_default_version_decides_at_once(iam: Any, broker: BrokerServer, polly: Keys, made: str) -> None:
    own = broker.client(polly, service="iam")
    iam.attach_user_policy(UserName="Polly", PolicyArn=made)
    with refused("AccessDenied", message="because no identity-based policy allows the iam:GetUser action"):
        own.get_user()
    document = policy(allow("iam:GetUser", f"arn:aws:iam::{ACCOUNT}:user/team/${{aws:username}}"))
    iam.create_policy_version(PolicyArn=made, PolicyDocument=document, SetAsDefault=True)
    assert own.get_user()["User"]["UserName"] == "Polly"
    iam.set_default_policy_version(PolicyArn=made, VersionId="v1")
    with refused("AccessDenied"):
        own.get_user()


def test_the_products_policies_are_there_and_stay(iam: Any, broker: BrokerServer, user: str, polly: Keys) -> None:
    names = {found["PolicyName"] for found in iam.list_policies(Scope="AWS")["Policies"]}
    assert {"AdministratorAccess", "IAMFullAccess", "IAMUserChangePassword", "ReadOnlyAccess"} <= names
    for change in (
        lambda: iam.delete_policy(PolicyArn=AUDIT),
        lambda: iam.create_policy_version(PolicyArn=AUDIT, PolicyDocument=SPACIOUS),
        lambda: iam.tag_policy(PolicyArn=AUDIT, Tags=[{"Key": "a", "Value": "b"}]),
        lambda: iam.delete_policy(PolicyArn=f"arn:aws:iam::{OTHER_ACCOUNT}:policy/foreign"),
    ):
        with refused("AccessDenied", status=403, message="Policy is outside your own account."):
            change()
    iam.attach_user_policy(UserName=user, PolicyArn=READER)
    reader = broker.client(polly, service="iam")
    assert reader.get_account_summary()["SummaryMap"]["GroupsQuota"] == 300
    with refused("AccessDenied"):
        reader.create_user(UserName="more")
    iam.attach_user_policy(UserName=user, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    iam.put_user_permissions_boundary(UserName=user, PermissionsBoundary=READER)
    with refused("AccessDenied", message="no permissions boundary allows"):
        reader.create_user(UserName="more")
    iam.delete_user_permissions_boundary(UserName=user)
    reader.create_user(UserName="more")
    reader.delete_user(UserName="more")


def test_only_what_is_there_and_ones_own_is_attachable(iam: Any, user: str) -> None:
    for missing in (f"{AUDIT}s", f"arn:aws:iam::{OTHER_ACCOUNT}:policy/foreign", f"arn:aws:iam::{ACCOUNT}:policy/no"):
        with refused("NoSuchEntity", status=404, message=f"Policy {missing} does not exist or is not attachable."):
            iam.attach_user_policy(UserName=user, PolicyArn=missing)
    with refused("InvalidInput", status=400, message="is not valid."):
        iam.attach_user_policy(UserName=user, PolicyArn=f"arn:aws:iam::{ACCOUNT}:user/Polly")


def test_a_product_policy_narrows_a_session(broker: BrokerServer, ci: Keys) -> None:
    sts = broker.client(ci)
    role = f"arn:aws:iam::{ACCOUNT}:role/auditor"
    answer = sts.assume_role(RoleArn=role, RoleSessionName="narrow", PolicyArns=[{"arn": READER}])
    narrow = broker.client(Keys.of(answer))
    narrow.get_access_key_info(AccessKeyId=ci.access_key_id)
    with refused("AccessDenied"):
        narrow.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/second", RoleSessionName="wide")
    with refused("ValidationError", message="does not exist in the session's account"):
        sts.assume_role(RoleArn=role, RoleSessionName="narrow", PolicyArns=[{"arn": f"{READER}s"}])


def test_who_is_not_allowed_learns_nothing(broker: BrokerServer, ci: Keys, made: str) -> None:
    stranger = broker.client(ci, service="iam")
    for arn in (made, f"arn:aws:iam::{ACCOUNT}:policy/none", AUDIT):
        with refused("AccessDenied", status=403, message=f"iam:GetPolicy on resource: {arn} "):
            stranger.get_policy(PolicyArn=arn)
    for call in (stranger.list_policies, stranger.get_account_summary, stranger.get_account_authorization_details):
        with refused("AccessDenied", status=403):
            call()


def test_what_the_configuration_declares_is_changed_there(iam: Any) -> None:
    declared = f"arn:aws:iam::{ACCOUNT}:policy/assume-all"
    for change in (
        lambda: iam.create_policy_version(PolicyArn=declared, PolicyDocument=SPACIOUS),
        lambda: iam.delete_policy(PolicyArn=declared),
        lambda: iam.put_user_policy(UserName="nobody", PolicyName="own", PolicyDocument=SPACIOUS),
        lambda: iam.attach_role_policy(RoleName="auditor", PolicyArn=AUDIT),
    ):
        with refused("UnmodifiableEntity", status=400, message="accredit.toml"):
            change()
    assert iam.get_policy_version(PolicyArn=declared, VersionId="v1")["PolicyVersion"]["Document"] == ALLOW


def test_lists_come_in_pages(iam: Any, made: str) -> None:
    paginator = iam.get_paginator("list_policies")
    pages = list(paginator.paginate(PaginationConfig={"PageSize": 3}))
    found = [one["Arn"] for page in pages for one in page["Policies"]]
    assert found == [one["Arn"] for one in iam.list_policies()["Policies"]]
    assert made in found
    assert f"arn:aws:iam::{OTHER_ACCOUNT}:policy/foreign" not in found
    details = iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": 4})
    seen = [one["Arn"] for page in details for part in _PARTS for one in page[part]]
    assert len(seen) == len(set(seen))
    assert {made, f"arn:aws:iam::{ACCOUNT}:user/ci", f"arn:aws:iam::{ACCOUNT}:role/team/in-team"} <= set(seen)


_PARTS = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")


def test_the_account_as_a_whole(iam: Any, user: str, made: str) -> None:
    iam.put_user_policy(UserName=user, PolicyName="own", PolicyDocument=SPACIOUS)
    iam.attach_user_policy(UserName=user, PolicyArn=made)
    answer = iam.get_account_authorization_details(Filter=["User", "LocalManagedPolicy"])
    assert (answer["GroupDetailList"], answer["RoleDetailList"]) == ([], [])
    polly = next(one for one in answer["UserDetailList"] if one["UserName"] == user)
    assert polly["UserPolicyList"] == [{"PolicyName": "own", "PolicyDocument": ALLOW}]
    assert polly["AttachedManagedPolicies"] == [{"PolicyName": "Made", "PolicyArn": made}]
    found = next(one for one in answer["Policies"] if one["Arn"] == made)
    assert found["PolicyVersionList"][0]["Document"] == ALLOW
    with refused("ValidationError", message="filter"):
        iam.get_account_authorization_details(Filter=["Everything"])
    granting = iam.list_policies_granting_service_access(
        Arn=f"arn:aws:iam::{ACCOUNT}:user/team/{user}", ServiceNamespaces=["sts", "iam"]
    )["PoliciesGrantingServiceAccess"]
    assert [(entry["ServiceNamespace"], len(entry["Policies"])) for entry in granting] == [("iam", 0), ("sts", 2)]


def test_a_policy_has_tags(iam: Any, made: str) -> None:
    iam.tag_policy(PolicyArn=made, Tags=[{"Key": "Team", "Value": "blue"}])
    assert iam.list_policy_tags(PolicyArn=made)["Tags"] == [{"Key": "Team", "Value": "blue"}]
    iam.untag_policy(PolicyArn=made, TagKeys=["team"])
    assert "Tags" not in iam.get_policy(PolicyArn=made)["Policy"]


def _aws(broker: BrokerServer, *arguments: str) -> Any:
    done = subprocess.run(
        [program("aws"), "--endpoint-url", broker.url, "--region", REGION, "--output", "json", "iam", *arguments],
        env={**clean_environment(), **broker.root.environment(), "AWS_PAGER": "", "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout or "null")


def test_the_aws_cli_reads_documents_and_waits_for_policies(broker: BrokerServer, made: str) -> None:
    _aws(broker, "wait", "policy-exists", "--policy-arn", made)
    shown = _aws(broker, "get-policy-version", "--policy-arn", made, "--version-id", "v1")
    assert shown["PolicyVersion"]["Document"] == ALLOW
    listed = _aws(broker, "list-policies", "--scope", "Local", "--path-prefix", "/team/", "--page-size", "1")
    assert [one["PolicyName"] for one in listed["Policies"]] == ["Made"]
