"""Events: CloudTrail's shape, no secrets, bounded, one line."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.audit.event import CallRecord, render
from broker.domain.credentials import Credentials
from broker.domain.principal import Principal, PrincipalKind
from broker.domain.secret import Secret
from broker.domain.session import Session, SessionKind, Tag

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Result:
    credentials: Credentials
    packed_policy_size: int | None


def _record(**values: object) -> CallRecord:
    record = CallRecord("request", NOW, event_source="sts.amazonaws.com", event_name="AssumeRole")
    for name, value in values.items():
        setattr(record, name, value)
    return record


def test_the_fields_of_cloudtrail() -> None:
    session = Session("123456789012", "arn:aws:iam::123456789012:role/a/b", "AROA1", "s", NOW, NOW + timedelta(hours=1))
    principal = Principal(
        PrincipalKind.ROLE_SESSION, "123456789012", "arn:aws:sts::123456789012:assumed-role/b/s", "AROA1:s"
    )
    record = _record(access_key_id="ASIA1", region="eu-west-1", source_ip="192.0.2.1", user_agent="x")
    record.identify(principal, session=session)
    record.resources.append("arn:aws:iam::210987654321:role/c")
    record.recipient = "210987654321"
    event = json.loads(render(record))
    assert event["userIdentity"] == {
        "type": "AssumedRole",
        "principalId": "AROA1:s",
        "arn": "arn:aws:sts::123456789012:assumed-role/b/s",
        "accountId": "123456789012",
        "accessKeyId": "ASIA1",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROA1",
                "arn": "arn:aws:iam::123456789012:role/a/b",
                "accountId": "123456789012",
                "userName": "b",
            },
            "attributes": {"creationDate": "2026-01-02T03:04:05Z", "mfaAuthenticated": "false"},
        },
    }
    assert event["eventTime"] == "2026-01-02T03:04:05Z"
    assert event["resources"] == [{"ARN": "arn:aws:iam::210987654321:role/c", "accountId": "210987654321"}]
    assert event["recipientAccountId"] == "210987654321"
    assert event["eventType"] == "AwsApiCall"
    assert "errorCode" not in event


def test_secrets_are_left_out_of_parameters_and_answers() -> None:
    credentials = Credentials("ASIA1", Secret("the secret"), Secret("the token"), NOW)
    record = _record(
        parameters={
            "role_arn": "arn",
            "web_identity_token": Secret("the jwt"),
            "tags": (Tag("k", "v"),),
            "policy": None,
        },
        response=Result(credentials, None),
    )
    text = render(record)
    event = json.loads(text)
    assert event["requestParameters"] == {"roleArn": "arn", "tags": [{"key": "k", "value": "v"}]}
    assert event["responseElements"] == {"credentials": {"accessKeyId": "ASIA1", "expiration": "2026-01-02T03:04:05Z"}}
    assert not any(word in text for word in ("the secret", "the token", "the jwt"))


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_hostile_texts_stay_inside_one_line(text: str, parameters: dict[str, str]) -> None:
    line = render(_record(user_agent=text, event_name=text, parameters=parameters, error_code="X", error_message=text))
    assert "\n" not in line
    assert "\x1b" not in line
    assert json.loads(line)["userAgent"] == text[:2048].encode("utf-8", "replace").decode()


def test_texts_are_bounded() -> None:
    line = render(_record(user_agent="u" * 10**6, event_name="e" * 10**6, parameters={"p": "p" * 10**6}))
    assert len(line) < 10_000


def test_parameters_that_are_too_large_are_left_out_and_said_so() -> None:
    record = _record(parameters={"policy_arns": ['"' * 2_000] * 499})
    event = json.loads(render(record))
    assert event["requestParameters"]["omitted"] is True
    assert event["requestParameters"]["originalSize"] > 1_000_000
    assert len(render(record)) < 4_096


def test_a_lone_surrogate_does_not_lose_the_event() -> None:
    record = _record(reason="issuer \ud800", parameters={"name": "\udfff", "list": ["\ud800"]}, user_agent="\ud800")
    event = json.loads(render(record))
    assert event["additionalEventData"]["reason"] == "issuer ?"
    assert event["requestParameters"] == {"name": "?", "list": ["?"]}


@pytest.mark.parametrize(
    ("kind", "owner_id", "issuer"),
    [
        (SessionKind.ROLE, "AROA1", "Role"),
        (SessionKind.USER, "AIDA1", None),
        (SessionKind.FEDERATED_USER, "AIDA1", "IAMUser"),
        (SessionKind.FEDERATED_USER, "123456789012", "Root"),
    ],
)
def test_who_issued_a_session(kind: SessionKind, owner_id: str, issuer: str | None) -> None:
    account = "123456789012"
    session = Session(account, "arn", owner_id, "s", NOW, NOW + timedelta(hours=1), kind=kind)
    record = _record()
    record.identify(Principal(PrincipalKind.FEDERATED_USER, account, "arn", "id"), session=session)
    context = json.loads(render(record))["userIdentity"]["sessionContext"]
    assert context.get("sessionIssuer", {}).get("type") == issuer
    assert context["attributes"]["mfaAuthenticated"] == "false"
