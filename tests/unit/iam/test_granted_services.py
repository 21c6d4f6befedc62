"""Which services and actions policies allow at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broker.iam.granted_services import Granted
from broker.policy.catalogue import ACTIONS

KNOWN = ["access-analyzer", "iam", "signin", "sts"]


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Resource": "*", **one} for one in statements]})


def allow(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), **more}


@pytest.mark.parametrize(
    ("statements", "services"),
    [
        ([allow("s3:GetObject", "SQS:*")], ["s3", "sqs"]),
        ([allow("*")], KNOWN),
        ([allow("sts:Nothing*")], ["sts"]),
        ([allow("iam:Get*", Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}})], ["iam"]),
        ([{"Effect": "Deny", "Action": "s3:*"}], []),
        ([{"Effect": "Allow", "NotAction": ["iam:*", "signin:*"]}], ["access-analyzer", "sts"]),
        ([allow("s3:*"), {"Effect": "Deny", "Action": "s3:*"}], ["s3"]),
        ([], []),
    ],
)
def test_services(statements: list[dict[str, Any]], services: list[str]) -> None:
    assert Granted([document(*statements)] if statements else []).services() == services


def test_services_of_several_policies() -> None:
    assert Granted([document(allow("s3:*")), document(allow("ec2:*"))]).services() == ["ec2", "s3"]


@pytest.mark.parametrize(
    ("actions", "found"),
    [
        (["iam:createaccesskey"], ["CreateAccessKey"]),
        (["iam:*AccessKeyLastUsed", "iam:CreateAccessKey"], ["CreateAccessKey", "GetAccessKeyLastUsed"]),
        (["iam:*"], sorted(ACTIONS["iam"])),
        (["sts:*"], []),
    ],
)
def test_actions(actions: list[str], found: list[str]) -> None:
    assert Granted([document(allow(*actions))]).actions("iam") == found
