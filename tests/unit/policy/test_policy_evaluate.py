"""Sentences, context helpers, caching, and errors that become denials."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from broker.domain.principal import Principal, PrincipalKind
from broker.errors import MalformedPolicy
from broker.policy.compile import compile_policy
from broker.policy.context import Context, principal_context, request_context
from broker.policy.document import PolicyKind
from broker.policy.evaluate import AccessRequest, PolicySet, PolicySource, evaluate

ACCOUNT = "111122223333"
USER = Principal(PrincipalKind.USER, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/bob", "AIDAEXAMPLEEXAMPLE01", "bob")
ALLOW = {"Effect": "Allow", "Action": "*", "Resource": "*"}
DENY = {"Sid": "No", "Effect": "Deny", "Action": "s3:*", "Resource": "*"}
REQUEST = AccessRequest(USER, "s3:GetObject", "arn:aws:s3:::b/k", ACCOUNT, {})


def source(*statements, kind=PolicyKind.IDENTITY):
    return PolicySource("P", compile_policy(json.dumps({"Version": "2012-10-17", "Statement": statements}), kind))


NOTHING = source({**ALLOW, "Action": "sqs:*"})
NAMED = {"Principal": {"AWS": USER.arn}}


@pytest.mark.parametrize(
    ("policies", "sentence"),
    [
        (PolicySet(), "because no identity-based policy allows the s3:GetObject action"),
        (PolicySet(resource_is_trust=True), "because no resource-based policy allows the s3:GetObject action"),
        (
            PolicySet(identity=(source(ALLOW),), boundary=NOTHING),
            "because no permissions boundary allows the s3:GetObject action",
        ),
        (
            PolicySet(identity=(source(ALLOW),), session=(NOTHING,)),
            "because no session policy allows the s3:GetObject action",
        ),
        (PolicySet(identity=(source(DENY),)), "with an explicit deny in an identity-based policy"),
        (PolicySet(boundary=source(DENY)), "with an explicit deny in a permissions boundary"),
        (PolicySet(session=(source(DENY),)), "with an explicit deny in a session policy"),
        (
            PolicySet(resource=source({**DENY, **NAMED}, kind=PolicyKind.RESOURCE)),
            "with an explicit deny in a resource-based policy",
        ),
        (PolicySet(identity=(source(ALLOW),)), "because an identity-based policy allows the s3:GetObject action"),
    ],
)
def test_sentence(policies, sentence):
    assert evaluate(REQUEST, policies).sentence() == sentence


def test_an_explicit_deny_names_policy_and_statement():
    decision = evaluate(REQUEST, PolicySet(identity=(source(ALLOW, DENY),)))
    assert (decision.source, decision.sid, decision.statement_index) == ("P", "No", 1)


def test_an_implicit_deny_names_no_statement():
    decision = evaluate(REQUEST, PolicySet())
    assert (decision.source, decision.sid, decision.statement_index) == (None, None, None)


def test_the_root_user_needs_no_policy_and_gets_no_sentence():
    root = Principal(PrincipalKind.ROOT, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT)
    decision = evaluate(AccessRequest(root, "s3:GetObject", "arn:aws:s3:::b", ACCOUNT, {}), PolicySet())
    assert decision.allowed
    assert decision.sentence() == ""


@pytest.mark.parametrize(
    "context",
    [
        None,
        {"a:b": None, "A:B": ("x",)},
        {"a:b": 5},
        {5: ("x",)},
    ],
)
def test_an_error_is_a_denial_with_its_reason(context):
    statement = {**ALLOW, "Condition": {"StringEquals": {"a:b": "x"}}}
    request = AccessRequest(USER, "s3:GetObject", "arn:aws:s3:::b", ACCOUNT, context)
    decision = evaluate(request, PolicySet(identity=(source(statement),)))
    assert not decision.allowed
    assert not decision.explicit_deny
    assert decision.error
    assert decision.sentence() == "because the policies could not be evaluated"


def test_a_context_made_once_serves_several_requests():
    context = Context({"AWS:Username": ("bob",)})
    assert context["aws:userName"] == ("bob",)
    assert "AWS:USERNAME" in context
    assert dict(context) == {"aws:username": ("bob",)}
    assert len(context) == 1
    statement = {**ALLOW, "Condition": {"StringEquals": {"aws:username": "bob"}}}
    for action in ("sts:AssumeRole", "sts:TagSession"):
        request = AccessRequest(USER, action, "arn:aws:s3:::b", ACCOUNT, context)
        assert evaluate(request, PolicySet(identity=(source(statement),))).allowed


def test_keys_that_differ_in_case_alone_are_refused():
    with pytest.raises(ValueError, match="differ in case"):
        Context({"a:b": ("x",), "A:b": ("y",)})


def test_policies_are_compiled_once_by_content():
    text = json.dumps({"Version": "2012-10-17", "Statement": ALLOW})
    assert compile_policy(text, PolicyKind.IDENTITY) is compile_policy(text[:1] + text[1:], PolicyKind.IDENTITY)
    with pytest.raises(MalformedPolicy):
        compile_policy(text, PolicyKind.TRUST)


def test_context_of_a_user():
    assert principal_context(USER) == {
        "aws:PrincipalArn": (USER.arn,),
        "aws:PrincipalAccount": (ACCOUNT,),
        "aws:PrincipalType": ("User",),
        "aws:userid": ("AIDAEXAMPLEEXAMPLE01",),
        "aws:username": ("bob",),
    }


def test_context_of_a_session_names_the_role_and_no_user():
    session = Principal(
        PrincipalKind.ROLE_SESSION,
        ACCOUNT,
        f"arn:aws:sts::{ACCOUNT}:assumed-role/R/s",
        "AROA1:s",
        role_arn=f"arn:aws:iam::{ACCOUNT}:role/p/R",
        role_id="AROA1",
    )
    keys = principal_context(session)
    assert keys["aws:PrincipalArn"] == (f"arn:aws:iam::{ACCOUNT}:role/p/R",)
    assert keys["aws:userid"] == ("AROA1:s",)
    assert keys["aws:PrincipalType"] == ("AssumedRole",)
    assert "aws:username" not in keys


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (PrincipalKind.ROOT, "Account"),
        (PrincipalKind.FEDERATED_USER, "FederatedUser"),
        (PrincipalKind.ANONYMOUS, "Anonymous"),
    ],
)
def test_principal_type(kind, expected):
    keys = principal_context(Principal(kind, ACCOUNT, "arn", "id"))
    assert keys["aws:PrincipalType"] == (expected,)
    assert "aws:username" not in keys


@pytest.mark.parametrize("kind", [PrincipalKind.WEB_IDENTITY, PrincipalKind.SAML_IDENTITY])
def test_an_external_identity_has_no_principal_keys(kind):
    assert principal_context(Principal(kind, ACCOUNT, "arn", "id")) == {}


def test_context_of_a_request():
    now = datetime(2026, 11, 24, 2, 7, 46, 999999, tzinfo=UTC)
    assert request_context(now, "10.0.0.1", "aws-cli", True) == {
        "aws:CurrentTime": ("2026-11-24T02:07:46Z",),
        "aws:EpochTime": ("1795486066",),
        "aws:SecureTransport": ("true",),
        "aws:SourceIp": ("10.0.0.1",),
        "aws:UserAgent": ("aws-cli",),
        "aws:ViaAWSService": ("false",),
        "aws:PrincipalIsAWSService": ("false",),
    }
    assert not {"aws:SourceIp", "aws:UserAgent"} & set(request_context(now, None, None, False))
