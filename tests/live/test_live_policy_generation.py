"""Access Analyzer's policy generation: what a user did becomes the smallest policy, on the wire of unmodified boto3."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from realm import wire
from realm.server import ACCOUNT, BrokerServer, Keys, refused, serving

ALL = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
ROLE = "arn:aws:iam::123456789012:role/analyzer"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"


@pytest.fixture(scope="module")
def worked(make_broker):
    made = make_broker(settings={"audit.seal_seconds": 0.1, "server.workers": 1})
    with serving(made):
        root = made.client(made.root, service="iam")
        root.create_user(UserName="alice")
        root.put_user_policy(UserName="alice", PolicyName="all", PolicyDocument=ALL)
        made.keys = _keys(root, "alice")
        alice = made.client(made.keys, service="iam")
        for number in range(7):
            alice.create_user(UserName=f"u{number}", Path="/team/")
        alice.create_group(GroupName="staff")
        alice.list_users()
        made.client(made.keys).get_caller_identity()
        with refused("NoSuchEntity"):
            alice.delete_group(GroupName="absent")
        _settle(made)
        yield made


def _keys(iam, name: str) -> Keys:
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Keys(key["AccessKeyId"], key["SecretAccessKey"])


def _settle(broker: BrokerServer) -> None:
    deadline = time.monotonic() + 10
    time.sleep(0.3)
    while broker.query("SELECT count(*) FROM audit_events") != broker.query("SELECT max(size) FROM audit_heads"):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def generated(client, job: str) -> dict:
    answer = client.get_generated_policy(jobId=job)
    assert answer["jobDetails"]["status"] == "SUCCEEDED"
    assert answer["generatedPolicyResult"]["properties"]["principalArn"] == ALICE
    return json.loads(answer["generatedPolicyResult"]["generatedPolicies"][0]["policy"])


def test_what_was_done_becomes_a_policy_that_suffices(worked: BrokerServer) -> None:
    client = worked.client(worked.root, service="accessanalyzer")
    job = client.start_policy_generation(policyGenerationDetails={"principalArn": ALICE})["jobId"]
    policy = generated(client, job)
    allowed = {action: one["Resource"] for one in policy["Statement"] for action in one["Action"]}
    assert allowed == {
        "iam:CreateUser": [f"arn:aws:iam::{ACCOUNT}:user/team/*"],
        "iam:CreateGroup": [f"arn:aws:iam::{ACCOUNT}:group/staff"],
        "iam:ListUsers": allowed["iam:ListUsers"],
    }
    root = worked.client(worked.root, service="iam")
    root.put_user_policy(UserName="alice", PolicyName="all", PolicyDocument=json.dumps(policy))
    alice = worked.client(worked.keys, service="iam")
    alice.create_user(UserName="u100", Path="/team/")
    alice.list_users()
    with refused("AccessDenied"):
        alice.create_user(UserName="u101", Path="/other/")
    with refused("AccessDenied"):
        alice.delete_group(GroupName="staff")
    root.put_user_policy(UserName="alice", PolicyName="all", PolicyDocument=ALL)
    assert [one["jobId"] for one in client.list_policy_generations(principalArn=ALICE)["policyGenerations"]] == [job]
    client.cancel_policy_generation(jobId=job)


def test_a_time_without_calls_makes_no_policy(worked: BrokerServer) -> None:
    client = worked.client(worked.root, service="accessanalyzer")
    trail = {"cloudTrailArn": f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/accredit", "allRegions": True}
    long_ago = datetime.now(UTC) - timedelta(days=50)
    details = {"trails": [trail], "accessRole": ROLE, "startTime": long_ago, "endTime": long_ago + timedelta(days=1)}
    started = {"policyGenerationDetails": {"principalArn": ALICE}, "cloudTrailDetails": details, "clientToken": "once"}
    job = client.start_policy_generation(**started)["jobId"]
    assert client.start_policy_generation(**started)["jobId"] == job, "the token makes it the same job"
    assert client.get_generated_policy(jobId=job)["generatedPolicyResult"]["generatedPolicies"] == []


@pytest.mark.parametrize(
    "details",
    [
        {"principalArn": f"arn:aws:iam::{ACCOUNT}:user/nobody"},
        {"principalArn": "arn:aws:iam::999999999999:user/alice"},
        {"principalArn": "alice"},
    ],
)
def test_whom_it_refuses(worked: BrokerServer, details: dict[str, str]) -> None:
    with refused("ValidationException"):
        worked.client(worked.root, service="accessanalyzer").start_policy_generation(policyGenerationDetails=details)


def test_jobs_that_are_not_there_and_callers_without_permission(worked: BrokerServer) -> None:
    client = worked.client(worked.root, service="accessanalyzer")
    for name in ("get_generated_policy", "cancel_policy_generation"):
        with refused("ValidationException"):
            getattr(client, name)(jobId="absent")
    root = worked.client(worked.root, service="iam")
    root.create_user(UserName="bob")
    bob = worked.client(_keys(root, "bob"), service="accessanalyzer")
    with refused("AccessDeniedException"):
        bob.start_policy_generation(policyGenerationDetails={"principalArn": ALICE})
    with refused("AccessDeniedException"):
        bob.get_generated_policy(jobId="absent")
    with refused("AccessDeniedException"):
        bob.list_policy_generations()
    with refused("AccessDeniedException"):
        bob.cancel_policy_generation(jobId="absent")


def test_other_methods_and_paths_are_no_calls(worked: BrokerServer) -> None:
    assert wire.ask(worked, "DELETE", "/policy/generation/x").status == 404
    assert wire.ask(worked, "GET", "/policy/generation/x/y").status == 404
    answer = wire.ask(worked, "GET", "/policy/generation/x")
    assert answer.status == 403
    assert worked.event(answer.request_id)["eventName"] == "GetGeneratedPolicy"
