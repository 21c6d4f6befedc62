"""Every operation from the wrong account: nothing of the other account is shown, changed, or told to be there.

Driven by the table of operations and the models: an operation that is added is tried too. It is called by the root user
and by an administrator of a neighbouring account, with the names and ARNs of things that the first account has, and
again with those of things that it has not. Both must be answered alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from botocore.model import OperationModel
from realm.server import ACCOUNT, BrokerServer, refused, serving
from realm.site import allow, policy, trust
from realm.two_accounts import Alpha, Names, call, model
from realm.wire import Answer
from wire.wire_values import Values

from broker.aws.operations import OPERATIONS
from broker.store.tables import metadata

EVERY = [(service, operation) for service, table in OPERATIONS.items() for operation in table]

TRUST = policy(trust({"AWS": "*"}))
VALUES: Mapping[str, Any] = {
    "ActionNames": ["iam:GetUser"],
    "Attributes": [{"Key": "sub", "Values": ["x"]}],
    "Audience": ["audience"],
    "SigningAlgorithm": "ES384",
    "AssumeRolePolicyDocument": TRUST,
    "Path": "/",
    "PolicyDocument": policy(allow("*")),
    "PolicyInputList": [policy(allow("*"))],
    "policyDocument": policy(allow("*")),
    "policyType": "IDENTITY_POLICY",
    "Settings": {"Servers": ["ldaps://ldap.example"], "UserDNTemplate": "uid={username},dc=example"},
    "Tags": [{"Key": "a", "Value": "b"}],
    "TagKeys": ["a"],
    "TrustPolicyDocument": TRUST,
    "VersionId": "v1",
}
"""Members that need more than the model says: without sense they would be refused before anything is looked up."""

OF_OPERATION: Mapping[str, Mapping[str, Any]] = {
    "UpdateAssumeRolePolicy": {"PolicyDocument": TRUST},
    "CreateServiceLinkedRole": {"AWSServiceName": "ec2.amazonaws.com"},
    "CreateOpenIDConnectProvider": {"Url": "https://neighbour.example"},  # the mark would be in what is made
}

COMBINATIONS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "SimulateTrustPolicy": (
        ("RoleArn", "PrincipalArn"),
        ("RoleArn", "ProviderArn", "Attributes"),
        ("TrustPolicyDocument", "PrincipalArn"),
        ("TrustPolicyDocument", "AccountId", "ProviderArn", "Attributes"),
    )
}
"""Optional members that exclude each other: which to try together. Else: none, each, and all that name something."""

ONE_FOR_ALL = {"CreateAccountAlias"}
"""Names that are taken for all accounts (AWS too tells so): both answers may differ."""

LAST_OF_ALL = "EnableOutboundWebIdentityFederation"
"""What the first account called last."""

NOT_REACHED = {"ValidationError", "ValidationException", "InvalidParameterValue", "MalformedQueryString"}

SAYS_INVALID = {"CancelPolicyGeneration", "GetGeneratedPolicy", "StartPolicyGeneration"}
"""Access Analyzer has no other word for what is not there."""


@pytest.fixture(scope="module")
def alpha(make_broker: Callable[..., BrokerServer]) -> Iterator[Alpha]:
    server = make_broker(settings={"server.workers": 1})
    made = Alpha(server)
    with serving(server):
        made.fill()
        deadline = time.monotonic() + 10
        while LAST_OF_ALL not in str(made.rows()["usages"]):  # written in the background: not to look like a change
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield made


def arguments(operation: OperationModel, names: Names) -> Iterator[dict[str, Any]]:
    """What to try."""
    shape = operation.input_shape
    if shape is None:
        yield {}
        return
    named = {member: value for member, value in names.arguments().items() if member in shape.members}
    known = {**VALUES, **named, **OF_OPERATION.get(operation.name, {})}
    made = Values(0, likelihood=0)
    required = {
        member: known[member] if member in known else made.value(shape.members[member])
        for member in shape.required_members
    }
    optional = [member for member in named if member not in required]
    each = [(), *((member,) for member in optional), tuple(optional)]
    for members in dict.fromkeys(COMBINATIONS.get(operation.name, each)):
        yield {**required, **{member: known[member] for member in members}}


def outcome(answer: Answer) -> str:
    if answer.status == 200:
        return "answered"
    return answer.code or answer.headers.get("x-amzn-errortype", "").partition(":")[0]


@pytest.mark.parametrize(("service", "name"), EVERY, ids=lambda value: str(value))
def test_nothing_of_another_account(alpha: Alpha, service: str, name: str) -> None:
    operation = model(service).operation_model(name)
    before = alpha.rows()
    outcomes = set()
    aimed, blind = arguments(operation, alpha.names), arguments(operation, alpha.absent)
    for there, absent in zip(aimed, blind, strict=True):
        for keys in alpha.neighbour():
            found = call(alpha.server, keys, operation, there)
            text = found.body.decode()
            assert not [mark for mark in alpha.marks if mark in text and mark not in str(there)], text
            assert found.status < 500, text
            outcomes.add(outcome(found))
            if there != absent and name not in ONE_FOR_ALL:
                other = call(alpha.server, keys, operation, absent)
                assert outcome(other) == outcome(found), (there, text, other.body)
    assert alpha.rows() == before
    assert outcomes - NOT_REACHED or name in SAYS_INVALID, (
        f"only refusals of the form: give {name} a line in VALUES or COMBINATIONS"
    )


OF_THE_NODE = {name for name in metadata.tables if name.startswith("audit_")} | {"leases", "saml_metadata_checks"}
OF_PAGES = {"browser_sessions", "favourite_roles", "passkeys", "recovery_codes", "tickets"}
"""No operation of the wire reads these."""


def test_the_first_account_has_something_of_everything(alpha: Alpha) -> None:
    """Else the test above would prove nothing."""
    nobodys = {
        "assertion_claims",
        "directory_subjects",
        "directory_syncs",
        "keys",
        "revision",
        "policy_versions",
        "revocations",
        *OF_THE_NODE,
        *OF_PAGES,
    }
    empty = {name for name, rows in alpha.rows().items() if not rows}
    assert not empty - nobodys, sorted(empty - nobodys)
    assert {table.name for table in metadata.sorted_tables} > nobodys


def test_the_first_account_sees_its_own(alpha: Alpha) -> None:
    """The marks are really there to be seen."""
    answer = call(alpha.server, alpha.server.root, model("iam").operation_model("GetRole"), {"RoleName": "Victim"})
    assert [mark for mark in alpha.marks if mark in answer.body.decode()]


def test_arns_of_another_account_are_nobodys_to_give(alpha: Alpha) -> None:
    """An administrator's permission reaches as far as the account, whatever ARN a policy names."""
    root, _ = alpha.neighbour()
    iam = alpha.server.client(root, service="iam")
    with refused("NoSuchEntity", status=404):
        iam.put_user_permissions_boundary(
            UserName="Administrator", PermissionsBoundary=f"arn:aws:iam::{ACCOUNT}:policy/Victim"
        )
