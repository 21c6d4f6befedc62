"""GetContextKeysForCustomPolicy and GetContextKeysForPrincipalPolicy."""

from __future__ import annotations

import pytest
from simulated_account import ACCOUNT, OTHER, allow, arn, caller, deny, policy

from broker.errors import AccessDenied, MalformedPolicy, NotFound
from broker.iam.context_keys import get_context_keys_for_custom_policy, get_context_keys_for_principal_policy
from broker.services import Caller, Services

BUCKET = "arn:aws:s3:::"


def condition(operator: str, key: str, *values: str) -> dict[str, dict[str, dict[str, list[str]]]]:
    return {"Condition": {operator: {key: list(values)}}}


@pytest.mark.parametrize(
    ("documents", "keys"),
    [
        ([], ()),
        ([policy(allow("*"))], ()),
        ([policy(allow("*", **condition("StringEquals", "aws:Beta", "x")))], ("aws:Beta",)),
        ([policy(deny("*", **condition("Null", "saml:aud", "true")))], ("saml:aud",)),
        ([policy(allow("*", f"{BUCKET}${{aws:username}}/*"))], ("aws:username",)),
        ([policy(allow("*", f"{BUCKET}${{aws:PrincipalTag/Cost Center, 'none'}}"))], ("aws:PrincipalTag/Cost Center",)),
        ([policy(allow("*", f"{BUCKET}${{b:x}}-${{a:y}}"))], ("a:y", "b:x")),
        ([policy(allow("*", f"{BUCKET}${{*}}${{?}}${{$}}"))], ()),
        ([policy(allow("*", f"{BUCKET}${{$}}{{aws:none}}"))], ()),
        ([policy(allow("*", f"{BUCKET}${{aws:username}}"), version="2008-10-17")], ()),
        ([policy(allow("*", **condition("StringLike", "a:one", "${b:two}*", "${b:two}")))], ("a:one", "b:two")),
        ([policy({**allow("*"), "NotResource": f"{BUCKET}${{a:one}}"} | {"Resource": None})], None),
        (
            [
                policy(allow("*", **condition("StringEquals", "AWS:Zeta", "x"))),
                policy(allow("*", **condition("ForAllValues:StringEqualsIfExists", "aws:zeta", "${aws:Alpha}"))),
            ],
            ("aws:Alpha", "AWS:Zeta"),
        ),
    ],
)
def test_keys_as_written_sorted_and_once_each(
    services: Services, asking: Caller, documents: list[str], keys: tuple[str, ...] | None
) -> None:
    if keys is None:
        with pytest.raises(MalformedPolicy):
            get_context_keys_for_custom_policy(services, asking, policy_input_list=documents)
        return
    answer = get_context_keys_for_custom_policy(services, asking, policy_input_list=documents)
    assert answer.context_key_names == keys


def test_a_principals_policies_and_those_passed(services: Services, asking: Caller) -> None:
    alice = arn("user", "alice")
    answer = get_context_keys_for_principal_policy(services, asking, policy_source_arn=alice)
    assert answer.context_key_names == ("aws:PrincipalTag/Team", "aws:username")
    added = [policy(allow("*", **condition("Bool", "aws:MultiFactorAuthPresent", "true")))]
    answer = get_context_keys_for_principal_policy(
        services, asking, policy_source_arn=arn("role", "team/app"), policy_input_list=added
    )
    assert answer.context_key_names == ("aws:MultiFactorAuthPresent", "aws:SecureTransport")


@pytest.mark.parametrize("document", ["", "null", '{"Version": "2012-10-17"}', "{" * 1_000])
def test_malformed_documents(services: Services, asking: Caller, document: str) -> None:
    with pytest.raises(MalformedPolicy, match=r"PolicyInputList\.1: .* line 1, column"):
        get_context_keys_for_custom_policy(services, asking, policy_input_list=[document])


@pytest.mark.parametrize(
    "source", [arn("user", "nobody"), arn("role", "theirs", OTHER), f"arn:aws:iam::{ACCOUNT}:root"]
)
def test_principals_that_are_not_there(services: Services, asking: Caller, source: str) -> None:
    with pytest.raises(NotFound):
        get_context_keys_for_principal_policy(services, asking, policy_source_arn=source)


def test_permission_is_needed(services: Services) -> None:
    bob = caller(services, "bob")
    with pytest.raises(AccessDenied, match="iam:GetContextKeysForCustomPolicy"):
        get_context_keys_for_custom_policy(services, bob, policy_input_list=[])
    with pytest.raises(AccessDenied, match="iam:GetContextKeysForPrincipalPolicy"):
        get_context_keys_for_principal_policy(services, bob, policy_source_arn=arn("user", "alice"))
