"""Trust in an issuer that everybody can get tokens of must ask for more than the audience."""

import json
from typing import Any

import pytest

from broker.shared_issuers import NARROWING_CLAIMS, careless_trust

GITHUB = "token.actions.githubusercontent.com"


def _trust(issuer: str = GITHUB, **condition: Any) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::123456789012:oidc-provider/{issuer}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{issuer}:aud": "sts.amazonaws.com"}, "Bool": {"aws:SecureTransport": "true"}},
    }
    for operator, keys in condition.items():
        statement["Condition"].setdefault(operator, {}).update(keys)
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize("issuer", NARROWING_CLAIMS)
def test_the_audience_alone_is_not_enough(issuer: str) -> None:
    problem = careless_trust(_trust(issuer))
    assert problem is not None
    assert f"{issuer}:sub" in problem
    for claim in NARROWING_CLAIMS[issuer]:
        assert careless_trust(_trust(issuer, StringEquals={f"{issuer}:{claim}": "one"})) is None


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {f"{GITHUB}:sub": "repo:octo-org/octo-repo:ref:refs/heads/main"}},
        {"StringEquals": {f"{GITHUB}:SUB": "repo:octo-org/octo-repo:environment:live"}},
        {"StringEqualsIgnoreCase": {f"{GITHUB}:repository_owner": "Octo-Org"}},
        {"StringLike": {f"{GITHUB}:sub": ["repo:octo-org/*", "repo:other-org/*"]}},
        {"ForAnyValue:StringLike": {f"{GITHUB}:job_workflow_ref": "octo-org/*"}},
        {"NumericEquals": {f"{GITHUB}:repository_owner_id": "65"}},
        {"StringEquals": {f"{GITHUB}:sub": "repo:*"}},  # equality takes it literally: nobody
    ],
)
def test_a_condition_that_names_somebody_is_enough(condition: dict[str, Any]) -> None:
    assert careless_trust(_trust(**condition)) is None


@pytest.mark.parametrize(
    "condition",
    [
        {"StringLike": {f"{GITHUB}:sub": "*"}},
        {"StringLike": {f"{GITHUB}:sub": "repo:*"}},
        {"StringLike": {f"{GITHUB}:sub": "re??:*"}},
        {"StringLike": {f"{GITHUB}:sub": "*:ref:refs/heads/main"}},
        {"StringLike": {f"{GITHUB}:sub": ["repo:octo-org/*", "repo:*"]}},
        {"StringEquals": {f"{GITHUB}:sub": f"${{{GITHUB}:sub}}"}},
        {"StringNotEquals": {f"{GITHUB}:sub": "repo:evil/evil"}},
        {"StringEqualsIfExists": {f"{GITHUB}:repository": "octo-org/octo-repo"}},
        {"ForAllValues:StringEquals": {f"{GITHUB}:sub": "repo:octo-org/octo-repo"}},
        {"StringEquals": {f"{GITHUB}:ref": "refs/heads/main"}},
        {"StringEquals": {"gitlab.com:sub": "repo:octo-org/octo-repo"}},
        {"Null": {f"{GITHUB}:sub": "false"}},
    ],
)
def test_a_condition_that_lets_everybody_in_is_not(condition: dict[str, Any]) -> None:
    assert careless_trust(_trust(**condition)) is not None


def test_every_allowing_statement_is_looked_at_and_no_denying_one() -> None:
    good = json.loads(_trust(StringEquals={f"{GITHUB}:repository_id": "1"}))["Statement"][0]
    bad = json.loads(_trust())["Statement"][0]
    assert "statement 2" in str(careless_trust(json.dumps({"Version": "2012-10-17", "Statement": [good, bad]})))
    denied = bad | {"Effect": "Deny"}
    assert careless_trust(json.dumps({"Version": "2012-10-17", "Statement": [good, denied]})) is None
    several = bad | {"Principal": {"Federated": ["accounts.google.com", "id.example.com"]}}
    assert "accounts.google.com" in str(careless_trust(json.dumps({"Version": "2012-10-17", "Statement": several})))


@pytest.mark.parametrize("issuer", ["id.example.com/realm", f"{GITHUB}/octo-enterprise", "oidc.circleci.com/org/1"])
def test_an_issuer_of_one_customer_needs_no_more(issuer: str) -> None:
    assert careless_trust(_trust(issuer)) is None
