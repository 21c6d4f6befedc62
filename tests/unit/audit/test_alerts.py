"""Every rule: what it tells, and of what it says nothing."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sealed import ACCOUNT, SealedStore, event
from sqlalchemy import update

from broker.audit.alerts import AUDIT_GAP, RULES, Alert, AlertSink
from broker.audit.relay import Relay
from broker.audit.trust_changes import widened
from broker.settings import AuditAlertEntry
from broker.store.engine import Database
from broker.store.tables import audit_events


class Told:
    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []

    def send(self, first, records) -> None:
        self.alerts += map(json.loads, records)


def told(database: Database, rule: str, *events: dict[str, Any], **options: int) -> list[str]:
    output = Told()
    alert = Alert(rule, output, options.get("threshold", 20), options.get("seconds", 300))
    AlertSink(database, [alert]).send(0, [json.dumps(one) for one in events])
    assert {one["alert"] for one in output.alerts} <= {rule}
    return [one["summary"] for one in output.alerts]


ROOT = {"type": "Root", "principalId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root"}


def test_every_rule_can_be_configured() -> None:
    (names,) = [field for field in AuditAlertEntry.__annotations__.values() if "brute-force" in str(field)]
    assert all(f'"{rule}"' in names or f"'{rule}'" in names for rule in (*RULES, AUDIT_GAP))


def test_root(database: Database) -> None:
    assert told(database, "root-used", event(1)) == []
    assert told(database, "root-used", event(1, userIdentity=ROOT)) == [f"root of {ACCOUNT} called AssumeRole"]


@pytest.mark.parametrize("name", ["DeactivateMFADevice", "DeleteVirtualMFADevice"])
def test_mfa(database: Database, name: str) -> None:
    removed = event(1, eventName=name, requestParameters={"serialNumber": "arn:mfa"})
    assert told(database, "mfa-removed", removed) == ["MFA was removed: arn:mfa"]
    assert told(database, "mfa-removed", removed | {"errorCode": "AccessDenied"}) == []
    assert told(database, "mfa-removed", event(1, eventName="EnableMFADevice")) == []


def test_keys(database: Database) -> None:
    made = event(1, eventName="CreateAccessKey", requestParameters={"userName": "alice"})
    assert told(database, "key-export", made) == ["a long-term key was handed out: CreateAccessKey alice"]
    assert told(database, "key-export", made | {"errorCode": "LimitExceeded"}, event(2)) == []


def test_brute_force_is_told_once_for_each_batch_of_failures(database: Database) -> None:
    failures = [event(n, errorCode="SignatureDoesNotMatch", sourceIPAddress="192.0.2.1") for n in range(25)]
    others = [event(n, errorCode="SignatureDoesNotMatch", sourceIPAddress=f"192.0.2.{n}") for n in range(10, 29)]
    assert told(database, "brute-force", *failures, *others, threshold=20) == [
        "20 failures from 192.0.2.1 within 300 seconds"
    ]
    slow = [one | event(60 * n) | {"errorCode": "AccessDenied"} for n, one in enumerate(failures)]
    assert told(database, "brute-force", *slow, threshold=20) == []
    usual = [event(n, errorCode="NoSuchEntity", sourceIPAddress="192.0.2.1") for n in range(50)]
    assert told(database, "brute-force", *usual, threshold=20) == []


def test_a_summary_counts_as_all_that_it_stands_for(database: Database) -> None:
    summary = event(
        1, eventName="RepeatedFailures", errorCode="RepeatedFailures", sourceIPAddress="192.0.2.1",
        requestParameters={"count": 500},
    )  # fmt: skip
    assert told(database, "brute-force", summary) == ["500 failures from 192.0.2.1 within 300 seconds"]


def test_clocks(database: Database) -> None:
    assert told(database, "clock-jump", event(1_000), event(800), event(701)) == []
    assert "301 seconds before" in told(database, "clock-jump", event(1_000), event(699))[0]
    ahead = datetime.fromtimestamp(time.time() + 3_600, UTC).isoformat()[:19] + "Z"
    assert "ahead" in told(database, "clock-jump", event(1, eventTime=ahead))[0]


def policy(principal: Any, action: Any = "sts:AssumeRole", **more: Any) -> str:
    return json.dumps({"Statement": {"Effect": "Allow", "Principal": principal, "Action": action, **more}})


MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}


@pytest.mark.parametrize(
    ("before", "after", "added"),
    [
        (policy({"AWS": "a"}), policy({"AWS": "a"}), []),
        (policy({"AWS": ["a", "b"]}), policy({"AWS": "a"}), []),
        (policy({"AWS": "a"}), policy({"AWS": ["a", "b"]}), ["b (sts:assumerole)"]),
        (policy({"AWS": "a"}), policy("*"), ["* (sts:assumerole)"]),
        (policy("*"), policy({"AWS": "a"}), []),
        (policy({"AWS": "a"}, Condition=MFA), policy({"AWS": "a"}), ["a (sts:assumerole)"]),
        (policy({"AWS": "a"}), policy({"AWS": "a"}, Condition=MFA), []),
        (policy({"AWS": "a"}), policy({"AWS": "a"}, ["sts:AssumeRole", "sts:TagSession"]), ["a (sts:tagsession)"]),
        (policy({"AWS": "a"}, "sts:*"), policy({"AWS": "a"}), []),
        ("", policy({"Federated": "idp"}), ["idp (sts:assumerole)"]),
        (policy({"AWS": "a"}), policy({"AWS": "b"}).replace("Allow", "Deny"), []),
        (
            policy({"AWS": "a"}, Condition={"StringEquals": {"k": "1"}}),
            policy({"AWS": "a"}, Condition={"StringEquals": {"k": ["1", "2"]}}),
            ["a (sts:assumerole)"],
        ),
        (policy({"AWS": "a"}), json.dumps({"Statement": {"Effect": "Allow", "NotPrincipal": {"AWS": "b"}}}),
         ['all but {"AWS": "b"} (*)']),
        (policy({"AWS": "a"}), "no JSON", []),
        (policy({"AWS": "a"}), "[]", []),
    ],
)  # fmt: skip
def test_what_lets_in_more(before: str, after: str, added: list[str]) -> None:
    assert widened(before, after) == added


def test_a_trust_policy_is_compared_with_the_one_recorded_before(database: Database, tmp_path: Path) -> None:
    sealed = SealedStore.make(database, tmp_path)
    narrow, wide = policy({"AWS": "a"}), policy("*")

    def changed(document: str, **more: Any) -> dict[str, Any]:
        parameters = {"roleName": "deploy", "policyDocument": document}
        return {"eventName": "UpdateAssumeRolePolicy", "requestParameters": parameters, **more}

    made = {"roleName": "deploy", "assumeRolePolicyDocument": narrow}
    sealed.sealed(1, eventName="CreateRole", requestParameters=made)
    sealed.sealed(1, **changed(wide, errorCode="AccessDenied"))
    sealed.sealed(1, **changed(narrow))
    sealed.sealed(1, **changed(wide))
    sealed.sealed(1, **changed(wide))
    created = event(0, eventName="CreateRole", requestParameters=made)
    assert told(database, "trust-policy-widened", created) == [
        "the trust policy of deploy lets in more: a (sts:assumerole)"
    ]
    assert told(database, "trust-policy-widened", event(2, **changed(narrow))) == []
    assert told(database, "trust-policy-widened", event(3, **changed(wide))) == [
        "the trust policy of deploy lets in more: * (sts:assumerole)"
    ]
    assert told(database, "trust-policy-widened", event(4, **changed(wide))) == []
    assert told(database, "trust-policy-widened", event(3, **changed(wide, errorCode="X"))) == []


def test_a_gap_is_told_and_not_again_at_once(database: Database, tmp_path: Path) -> None:
    sealed = SealedStore.make(database, tmp_path).sealed(3)
    output = Told()
    sink = AlertSink(database, [Alert(AUDIT_GAP, output, 1, 60)])
    now = time.time()
    sink.watch(now + 3_600)
    assert output.alerts == [], "all is sealed"
    sealed.add(1)
    sink.watch(now)
    assert output.alerts == [], "it is too young"
    with database.write() as connection:
        connection.execute(update(audit_events).values(event_time=int(now) - 100))
    sink.watch(now)
    sink.watch(now + 1)
    assert ["not been sealed" in one["summary"] for one in output.alerts] == [True]
    sink.watch(now + 601)
    assert len(output.alerts) == 2


def test_alerts_read_on_where_they_were(database: Database, tmp_path: Path) -> None:
    sealed = SealedStore.make(database, tmp_path).sealed(1, userIdentity=ROOT)
    output = Told()
    relay = Relay(database, {" alerts": AlertSink(database, [Alert("root-used", output, 1, 1)])})
    relay.deliver()
    sealed.sealed(2, userIdentity=ROOT)
    relay.deliver()
    relay.deliver()
    assert len(output.alerts) == 2
    assert output.alerts[0]["event"]["eventID"] == event(1)["eventID"]
