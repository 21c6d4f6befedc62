"""CloudTrail's wire: unmodified boto3 and aws find an account's events, its trail and its keys."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from realm import wire
from realm.components import BIN
from realm.server import ACCOUNT, REGION, BrokerServer, Keys, clean_environment, refused, serving

TRAIL = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/accredit"


@pytest.fixture(scope="module")
def trail(make_broker):
    made = make_broker(settings={"audit.seal_seconds": 0.1, "server.workers": 1})
    with serving(made):
        root = made.client(made.root, service="iam")
        root.create_user(UserName="alice")
        root.create_group(GroupName="staff")
        for _ in range(3):
            made.client(made.root).get_caller_identity()
        wire.call(made, Keys(made.root.access_key_id, "x" * 40))
        _settle(made)
        yield made


def _settle(broker: BrokerServer) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        time.sleep(0.2)
        ((last,),) = broker.query("SELECT count(*) FROM audit_events")
        ((size,),) = broker.query("SELECT coalesce(max(size), 0) FROM audit_heads")
        if last == size:
            return
    raise AssertionError("not sealed")


def found(broker: BrokerServer, key: str = "", value: str = "", **more: Any) -> list[dict[str, Any]]:
    client = broker.client(broker.root, service="cloudtrail")
    chosen = {"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]} if key else {}
    return [
        event for page in client.get_paginator("lookup_events").paginate(**chosen, **more) for event in page["Events"]
    ]


def test_every_attribute_finds_its_events(trail: BrokerServer) -> None:
    (created,) = found(trail, "EventName", "CreateUser")
    assert json.loads(created["CloudTrailEvent"])["requestParameters"]["userName"] == "alice"
    assert created["Username"] == "root"
    assert created["ReadOnly"] == "false"
    assert {"ResourceType": "AWS::IAM::User", "ResourceName": "alice"} in created["Resources"]
    assert abs((created["EventTime"] - datetime.now(UTC)).total_seconds()) < 100
    for key, value in {
        "EventId": created["EventId"],
        "ResourceName": "alice",
        "ResourceType": "AWS::IAM::User",
    }.items():
        assert found(trail, key, value) == [created]
    for key, value in {
        "EventSource": "iam.amazonaws.com",
        "Username": "root",
        "ReadOnly": "false",
        "AccessKeyId": trail.root.access_key_id,
    }.items():
        assert created in found(trail, key, value), key
    assert not [event for event in found(trail, "ReadOnly", "true") if event["ReadOnly"] != "true"]
    assert found(trail, "ResourceName", "bob") == []


def test_all_events_come_once_the_newest_first_whatever_the_page(trail: BrokerServer) -> None:
    everything = found(trail, EndTime=datetime.now(UTC))
    last = everything[0]["EventTime"]
    whole = found(trail, EndTime=last)
    assert [event["EventTime"] for event in whole] == sorted((event["EventTime"] for event in whole), reverse=True)
    for size in (1, 2, 3):
        paged = found(trail, EndTime=last, PaginationConfig={"PageSize": size})
        assert [one["EventId"] for one in paged if one in whole] == [one["EventId"] for one in whole]
    names = {event["EventName"] for event in whole}
    assert {"CreateUser", "CreateGroup", "GetCallerIdentity", "Initialize"} <= names


def test_times_are_limits(trail: BrokerServer) -> None:
    now = datetime.now(UTC)
    assert found(trail, StartTime=now + timedelta(hours=1)) == []
    assert found(trail, EndTime=now - timedelta(hours=1)) == []
    (created,) = found(trail, "EventName", "CreateUser")
    moment = created["EventTime"]
    assert created in found(trail, "EventName", "CreateUser", StartTime=moment, EndTime=moment)
    assert found(trail, "EventName", "CreateUser", StartTime=moment + timedelta(seconds=1)) == []


def test_a_failed_call_of_a_known_key_is_found(trail: BrokerServer) -> None:
    events = [json.loads(one["CloudTrailEvent"]) for one in found(trail, "EventName", "GetCallerIdentity")]
    assert [one for one in events if one.get("errorCode") == "SignatureDoesNotMatch"] or trail.events(
        errorCode="SignatureDoesNotMatch"
    )


@pytest.mark.parametrize(
    ("code", "parameters"),
    [
        ("InvalidTimeRangeException", {"StartTime": datetime(2026, 2, 1), "EndTime": datetime(2026, 1, 1)}),  # noqa: DTZ001
        ("InvalidNextTokenException", {"NextToken": "x"}),
        ("InvalidNextTokenException", {"NextToken": f"5-{'0' * 32}"}),
        ("InvalidEventCategoryException", {"EventCategory": "insight"}),
        (
            "InvalidLookupAttributesException",
            {"LookupAttributes": 2 * [{"AttributeKey": "EventName", "AttributeValue": "x"}]},
        ),
        ("ValidationException", {"LookupAttributes": [{"AttributeKey": "Other", "AttributeValue": "x"}]}),
        ("ValidationException", {"MaxResults": 51}),
    ],
)
def test_what_lookup_refuses(trail: BrokerServer, code: str, parameters: dict[str, Any]) -> None:
    with refused(code):
        trail.client(trail.root, service="cloudtrail").lookup_events(**parameters)


def test_a_token_is_of_its_request_alone(trail: BrokerServer) -> None:
    client = trail.client(trail.root, service="cloudtrail")
    token = client.lookup_events(MaxResults=1)["NextToken"]
    chosen = [{"AttributeKey": "EventName", "AttributeValue": "CreateUser"}]
    with refused("InvalidNextTokenException"):
        client.lookup_events(MaxResults=1, NextToken=token, LookupAttributes=chosen)


def test_the_trail(trail: BrokerServer) -> None:
    client = trail.client(trail.root, service="cloudtrail")
    (one,) = client.describe_trails()["trailList"]
    assert (one["Name"], one["TrailARN"], one["LogFileValidationEnabled"]) == ("accredit", TRAIL, True)
    assert client.describe_trails(trailNameList=[TRAIL])["trailList"] == [one]
    assert client.describe_trails(trailNameList=["other"])["trailList"] == []
    for name in ("accredit", TRAIL):
        status = client.get_trail_status(Name=name)
        assert status["IsLogging"] is True
        assert status["LatestDigestDeliveryTime"] > status["StartLoggingTime"] - timedelta(seconds=1)
    with refused("TrailNotFoundException"):
        client.get_trail_status(Name="other")
    with refused("InvalidTrailNameException"):
        client.get_trail_status(Name="x" * 129)


def test_the_keys_of_digests(trail: BrokerServer) -> None:
    client = trail.client(trail.root, service="cloudtrail")
    (key,) = client.list_public_keys()["PublicKeyList"]
    assert key["Fingerprint"] == hashlib.md5(key["Value"]).hexdigest()
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    assert client.list_public_keys(StartTime=long_ago, EndTime=long_ago)["PublicKeyList"] == []
    with refused("InvalidTimeRangeException"):
        client.list_public_keys(StartTime=datetime.now(UTC), EndTime=long_ago)


def test_an_account_finds_its_own_events_alone_and_needs_permission(trail: BrokerServer) -> None:
    iam = trail.client(trail.root, service="iam")
    key = iam.create_access_key(UserName="alice")["AccessKey"]
    alice = Keys(key["AccessKeyId"], key["SecretAccessKey"])
    for name, parameters in {
        "lookup_events": {},
        "describe_trails": {},
        "get_trail_status": {"Name": "accredit"},
        "list_public_keys": {},
    }.items():
        with refused("AccessDeniedException"):
            getattr(trail.client(alice, service="cloudtrail"), name)(**parameters)


def test_another_account_sees_nothing_of_it(make_broker) -> None:
    other = "210987654321"
    made = make_broker(f'[[account]]\nid = "{other}"\n', settings={"audit.seal_seconds": 0.1})
    with serving(made):
        root = json.loads(
            subprocess.run(
                [BIN / "accredit", "account", "create", made.directory, "--account-id", "310987654321", "--json"],
                capture_output=True,
                check=True,
                text=True,
            ).stdout
        )
        keys = Keys(root["access_key_id"], root["secret_access_key"])
        made.client(made.root, service="iam").create_user(UserName="hidden")
        made.client(keys, service="iam").create_user(UserName="own")
        _settle(made)
        client = made.client(keys, service="cloudtrail")
        events = client.lookup_events()["Events"]
        assert {event["EventName"] for event in events} >= {"CreateUser"}
        assert "hidden" not in json.dumps(events, default=str)
        assert {json.loads(event["CloudTrailEvent"])["recipientAccountId"] for event in events} == {"310987654321"}


def test_the_aws_command_looks_events_up(trail: BrokerServer) -> None:
    answer = subprocess.run(
        [
            *(BIN / "aws", "cloudtrail", "lookup-events", "--endpoint-url", trail.url, "--region", REGION),
            *("--lookup-attributes", "AttributeKey=EventName,AttributeValue=CreateUser", "--output", "json"),
        ],
        env=clean_environment() | trail.root.environment() | {"PATH": os.environ["PATH"]},
        capture_output=True,
        check=True,
        text=True,
    )
    (event,) = json.loads(answer.stdout)["Events"]
    assert event["EventName"] == "CreateUser"


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("", "InvalidAction"),
        ("Nonsense", "InvalidAction"),
        ("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.Nonsense", "InvalidAction"),
        ("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.CreateTrail", "UnsupportedOperation"),
        ("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents", "MissingAuthenticationTokenException"),
        ("Other.LookupEvents", "InvalidAction"),
    ],
)
def test_targets_that_are_refused(trail: BrokerServer, target: str, code: str) -> None:
    answer = wire.post(trail, b"{}", {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"})
    assert 400 <= answer.status < 500
    assert json.loads(answer.body)["__type"] == code
    assert trail.event(answer.request_id)["errorCode"] == code
