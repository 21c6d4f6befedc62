"""Bad input of every kind for every operation of the table: an error of the caller's, and nothing has changed.

Driven by the table and the models: an operation that is added is tried too. Where it needs something that exists, the
thing goes into ``KNOWN`` and, if another operation makes it, into ``MADE``.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
from bad_values import Case, cases
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel
from broker_in_process import ACCOUNT, Answer, BrokerInProcess
from realm.own_keys import rsa_pem, saml_metadata

from broker.aws.model import load_extensions
from broker.aws.operations import OPERATIONS, Effect

FORM = "application/x-www-form-urlencoded"
OPERATION_NAMES = [(service, name) for service, entries in OPERATIONS.items() for name in entries]


def arn(kind: str, name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:{kind}/{name}"


ALLOW = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}})
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"},
    }
)
METADATA = saml_metadata()
PASSWORD = "correct-Horse-7-battery"
SERVER, TEMPLATE = "ldaps://ldap.example.com", "uid={username},dc=example,dc=com"

JOB = "fuzz-job"

KNOWN: Mapping[str, Any] = {
    "accessRole": arn("role", "assumed"),
    "cloudTrailArn": f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/accredit",
    "principalArn": arn("role", "assumed"),
    "AccessKeyId": "ASIAY34FZKBOKMUTVV7A",
    "AccountId": ACCOUNT,
    "ActionNames": ["s3:GetObject"],
    "AssumeRolePolicyDocument": TRUST,
    "Audience": ["https://partner.example"],
    "AddPrivateKey": rsa_pem(),
    "GroupName": "fuzz",
    "InstanceProfileName": "fuzz",
    "LDAPProviderArn": arn("ldap-provider", "fuzz"),
    "OpenIDConnectProviderArn": arn("oidc-provider", "fuzz.example.com"),
    "Password": PASSWORD,
    "PermissionsBoundary": arn("policy", "limit"),
    "Policy": ALLOW,
    "PolicyArn": arn("policy", "fuzz"),
    "PolicyDocument": ALLOW,
    "PolicyInputList": [ALLOW],
    "PolicyName": "fuzz",
    "PolicySourceArn": arn("user", "fuzz"),
    "PrincipalArn": arn("user", "fuzz"),
    "ProviderArn": arn("oidc-provider", "fuzz.example.com"),
    "RoleArn": arn("role", "assumed"),
    "RoleName": "fuzz",
    "SAMLMetadataDocument": METADATA,
    "SAMLProviderArn": arn("saml-provider", "fuzz"),
    "Settings": {
        "Servers": [SERVER],
        "BindDN": "cn=broker,dc=example",
        "UserSearch": {"BaseDN": "dc=example", "Filter": "(uid={username})"},
        "GroupSearch": {
            "BaseDN": "dc=example",
            "Filter": "(member={dn})",
            "NameAttribute": "cn",
            "Nested": "Walk",
        },
        "Attributes": ["mail"],
        "SessionTags": [{"Key": "Mail", "Attribute": "mail"}],
        "SourceIdentityAttribute": "uid",
        "SessionNameAttribute": "uid",
    },
    "SerialNumber": arn("mfa", "fuzz"),
    "SigningAlgorithm": "ES384",
    "TrustPolicyDocument": TRUST,
    "Url": "https://made.example.com",
    "UserName": "fuzz",
    "VersionId": "v1",
    "policyDocument": ALLOW,
    "policyType": "IDENTITY_POLICY",
}
"""Member -> what exists, or is well formed in a way that the model does not say."""

KNOWN_TO: Mapping[str, Mapping[str, Any]] = {"UpdateAssumeRolePolicy": {"PolicyDocument": TRUST}}
"""Operation -> what means something else to it alone."""

NEEDED: Mapping[str, tuple[str, ...]] = {
    "CreateLDAPProvider": ("BindPassword",),
    "SimulateTrustPolicy": ("RoleArn", "PrincipalArn"),
    "UpdateLDAPProvider": ("BindPassword",),
}
"""Operation -> members without which it refuses everything, though its model does not say so."""

MADE: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("EnableOutboundWebIdentityFederation", {}),
    ("CreatePolicy", {"PolicyName": "fuzz", "PolicyDocument": ALLOW}),
    ("CreateUser", {"UserName": "fuzz"}),
    ("CreateGroup", {"GroupName": "fuzz"}),
    ("CreateRole", {"RoleName": "fuzz", "AssumeRolePolicyDocument": TRUST}),
    ("CreateInstanceProfile", {"InstanceProfileName": "fuzz"}),
    ("PutUserPermissionsBoundary", {"UserName": "fuzz", "PermissionsBoundary": arn("policy", "limit")}),
    ("PutRolePermissionsBoundary", {"RoleName": "fuzz", "PermissionsBoundary": arn("policy", "limit")}),
    ("UpdateAccountPasswordPolicy", {}),
    ("CreateLoginProfile", {"UserName": "fuzz", "Password": PASSWORD}),
    ("CreateVirtualMFADevice", {"VirtualMFADeviceName": "fuzz"}),
    ("PutUserPolicy", {"UserName": "fuzz", "PolicyName": "fuzz", "PolicyDocument": ALLOW}),
    ("PutGroupPolicy", {"GroupName": "fuzz", "PolicyName": "fuzz", "PolicyDocument": ALLOW}),
    ("PutRolePolicy", {"RoleName": "fuzz", "PolicyName": "fuzz", "PolicyDocument": ALLOW}),
    ("CreateOpenIDConnectProvider", {"Url": "https://fuzz.example.com", "ClientIDList.member.1": "app"}),
    ("CreateSAMLProvider", {"Name": "fuzz", "SAMLMetadataDocument": METADATA}),
    ("CreateLDAPProvider", {"Name": "fuzz", "Settings.Servers.member.1": SERVER, "Settings.UserDNTemplate": TEMPLATE}),
)
"""What is made before an operation is tried, as far as there are operations for it."""

UNMAKES = ("Deactivate", "Delete", "Detach", "Disable", "Remove", "UpdateGroup", "UpdateUser")
"""How the names of operations begin after which it has to be made again."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerInProcess]:
    made = BrokerInProcess(tmp_path_factory.mktemp("fuzz") / "data")
    yield made
    made.close()


def model(service: str) -> ServiceModel:
    data = Loader().load_service_model(service, "service-2")
    added = {part: {**data[part], **found} for part, found in load_extensions().get(service, {}).items()}
    return ServiceModel({**data, **added}, service)


MODELS = {service: model(service) for service in OPERATIONS}


def served_members(operation: OperationModel) -> list[str]:
    """The members of the input that the handler takes."""
    handler = OPERATIONS[operation.service_model.service_name][operation.name].handler
    members = [] if operation.input_shape is None else operation.input_shape.members
    return [name for name in members if xform_name(name) in inspect.signature(handler).parameters]


def make_what_there_should_be(broker: BrokerInProcess) -> None:
    for action, parameters in MADE:
        if action in OPERATIONS["iam"]:
            pairs = {"Action": action, "Version": MODELS["iam"].api_version, **parameters}
            answer = broker.ask("iam", urlencode(pairs).encode(), content_type=FORM)
            assert answer.status == 200 or answer.code in ("EntityAlreadyExists", "FeatureEnabled"), (action, answer)


def send(broker: BrokerInProcess, operation: OperationModel, case: Case) -> Answer:
    service = operation.service_model
    path = operation.http["requestUri"] if service.metadata["protocol"] != "query" else "/"
    signed, content_type, target = operation.auth_type != "none", case.content_type, ""
    if service.metadata["protocol"] == "json":
        content_type, target = "application/x-amz-json-1.1", f"{service.metadata['targetPrefix']}.{operation.name}"
    return broker.ask(
        service.signing_name,
        case.body,
        path=path.replace("{jobId}", JOB),
        content_type=content_type,
        signed=signed,
        target=target,
        method=operation.http["method"] if service.metadata["protocol"] != "query" else "POST",
    )


@pytest.mark.parametrize(("service", "name"), OPERATION_NAMES)
def test_bad_input_is_refused_and_changes_nothing(broker: BrokerInProcess, service: str, name: str) -> None:
    operation = MODELS[service].operation_model(name)
    make_what_there_should_be(broker)
    before = broker.state()
    wrong = []
    for case in cases(operation, served_members(operation), {**KNOWN, **KNOWN_TO.get(name, {})}, NEEDED.get(name, ())):
        answer = send(broker, operation, case)
        if answer.status == 200 and OPERATIONS[service][name].effect is Effect.CHANGE:
            if name.startswith(UNMAKES):
                make_what_there_should_be(broker)
            before = broker.state()
        elif answer.status != 200 and (not 400 <= answer.status < 500 or not answer.code):
            wrong.append(f"{case.what}: {answer.status} {answer.body[:300]!r} for {case.body[:300]!r}")
        elif broker.state() != before:
            wrong.append(f"{case.what}: {answer.status} {answer.code}, but something has changed")
            before = broker.state()
    assert not wrong, f"{len(wrong)} cases:\n" + "\n".join(wrong[:8])


def test_there_are_thousands_of_cases() -> None:
    counts = {}
    for service, name in OPERATION_NAMES:
        operation = MODELS[service].operation_model(name)
        counts[name] = sum(
            1
            for _ in cases(
                operation, served_members(operation), {**KNOWN, **KNOWN_TO.get(name, {})}, NEEDED.get(name, ())
            )
        )
    assert min(counts.values()) >= 10
    assert sum(counts.values()) > 3_000
