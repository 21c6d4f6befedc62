"""The audit record: one event per call, on disk in time, and never a secret in it or in the log."""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import Any
from urllib.parse import quote

import pytest
from realm import wire
from realm.server import ACCOUNT, BrokerServer, Keys, request_id
from realm.site import SUBJECT, role_arn, user_arn
from realm.token_issuer import TokenIssuer

SECONDS_FOR_READS = 0.1
CONFIGURED_SECRETS = {"accredit.toml", "master.key", "ci.secret", "nobody.secret", "tagless.secret"}
"""Files of the data directory that the administrator wrote, or that hold the master key by their purpose."""


def _settled(broker: BrokerServer) -> int:
    """How many events there are, once those of earlier calls are on disk."""
    time.sleep(2 * SECONDS_FOR_READS)
    return len(broker.events())


def _garbage(broker: BrokerServer, ci: Keys, token: str) -> list[wire.Answer]:
    """Calls of every kind that fail, each in another place."""
    body = wire.form("GetCallerIdentity")
    signed = wire.signed_headers(broker, ci, body)
    length = {"Host": broker.host, "Content-Type": wire.FORM, "Content-Length": "99999999"}
    web = {"RoleArn": role_arn("web"), "RoleSessionName": "audit"}
    return [
        wire.post(broker, b"Action=Nonsense"),
        wire.post(broker, b""),
        wire.post(broker, b"\xff\x00&&&==%zz"),
        wire.post(broker, body),
        wire.post(broker, body, {"Authorization": "AWS4-HMAC-SHA256 nonsense"}),
        wire.post(broker, body, signed | {"Authorization": signed["Authorization"][:-1] + "g"}),
        wire.post(broker, body + b"&X=1", signed),
        wire.send(broker, wire.head("POST", "/", length)),
        wire.ask(broker, "GET", "/?Action=GetCallerIdentity"),
        wire.ask(broker, "GET", "/?X-Amz-Signature=1"),
        wire.call(broker, Keys("AKIAIOSFODNN7EXAMPLE", "x" * 40)),
        wire.call(broker, Keys(ci.access_key_id, "x" * 40)),
        wire.call(broker, ci, "AssumeRole"),
        wire.call(broker, ci, "AssumeRole", RoleArn=role_arn("absent"), RoleSessionName="audit"),
        wire.call(broker, ci, "AssumeRole", RoleArn=role_arn("auditor"), RoleSessionName="audit", Policy="{"),
        wire.call(broker, ci, "AssumeRoot"),
        wire.call(broker, broker.root, "AssumeRole", RoleArn=role_arn("auditor"), RoleSessionName="audit"),
        wire.post(broker, wire.form("AssumeRoleWithWebIdentity", WebIdentityToken="a.b.c", **web)),
        wire.post(broker, wire.form("AssumeRoleWithWebIdentity", WebIdentityToken=token[:-8], **web)),
        wire.post(broker, wire.form("AssumeRoleWithWebIdentity", WebIdentityToken=token, RoleArn=role_arn("closed"),
                                    RoleSessionName="audit")),
    ]  # fmt: skip


def test_every_call_leaves_exactly_one_event(broker: BrokerServer, ci: Keys, issuer: TokenIssuer) -> None:
    before = _settled(broker)
    answers = _garbage(broker, ci, issuer.token(SUBJECT))
    good = [
        wire.call(broker, ci),
        wire.call(broker, ci, "GetAccessKeyInfo", AccessKeyId=ci.access_key_id),
        wire.call(broker, ci, "AssumeRole", RoleArn=role_arn("auditor"), RoleSessionName="audit"),
    ]
    assert all(answer.status >= 400 for answer in answers), [(answer.status, answer.body) for answer in answers]
    assert all(answer.status == 200 for answer in good)
    for answer in (*answers, *good):
        event = broker.event(answer.request_id)
        assert event.get("errorCode", "") == answer.code
        assert event["sourceIPAddress"] == "127.0.0.1"
    assert len({answer.request_id for answer in (*answers, *good)}) == len(answers) + len(good)
    assert _settled(broker) == before + len(answers) + len(good)


def test_pages_leave_no_event(broker: BrokerServer) -> None:
    before = _settled(broker)
    for path in ("/", "/healthz", "/readyz", "/version", "/absent"):
        wire.ask(broker, "GET", path)
    assert _settled(broker) == before


def test_the_event_of_issued_credentials_is_on_disk_with_the_answer(
    broker: BrokerServer, ci: Keys, issuer: TokenIssuer
) -> None:
    user, nobody = broker.client(ci), broker.client()
    for _ in range(20):
        answers = [
            user.assume_role(RoleArn=role_arn("auditor"), RoleSessionName="durable"),
            nobody.assume_role_with_web_identity(
                RoleArn=role_arn("web"), RoleSessionName="durable", WebIdentityToken=issuer.token(SUBJECT)
            ),
        ]
        for answer in answers[:1]:
            assert len(broker.events(request_id(answer))) == 1
        found = broker.events(request_id(answers[1]))
        assert len(found) == 1
        issued = found[0]["responseElements"]["credentials"]
        assert issued["accessKeyId"] == answers[1]["Credentials"]["AccessKeyId"]


def test_the_event_of_a_read_is_on_disk_within_100_ms(broker: BrokerServer, ci: Keys) -> None:
    client = broker.client(ci)
    client.get_caller_identity()
    waited = []
    for _ in range(5):
        answer = client.get_caller_identity()
        started = time.monotonic()
        broker.event(request_id(answer))
        waited.append(time.monotonic() - started)
    assert min(waited) < SECONDS_FOR_READS, waited


def test_an_event_tells_who_did_what_to_what(broker: BrokerServer, ci: Keys, issuer: TokenIssuer) -> None:
    """CloudTrail's record: identity, session context, parameters, response, resources."""
    web = broker.client().assume_role_with_web_identity(
        RoleArn=role_arn("web"), RoleSessionName="who", WebIdentityToken=issuer.token(SUBJECT), DurationSeconds=900
    )
    event = broker.event(request_id(web))
    assert event["eventVersion"].startswith("1.")
    assert (event["eventSource"], event["eventName"]) == ("sts.amazonaws.com", "AssumeRoleWithWebIdentity")
    assert event["userIdentity"]["type"] == "WebIdentityUser"
    assert event["userIdentity"]["userName"] == SUBJECT
    assert event["requestParameters"] == {
        "roleArn": role_arn("web"),
        "roleSessionName": "who",
        "durationSeconds": 900,
    }
    assert set(event["responseElements"]["credentials"]) == {"accessKeyId", "expiration"}
    assert event["responseElements"]["assumedRoleUser"]["arn"] == web["AssumedRoleUser"]["Arn"]
    assert [found["ARN"] for found in event["resources"]] == [role_arn("web")]
    assert event["recipientAccountId"] == ACCOUNT

    chained = broker.client(Keys.of(web)).assume_role(RoleArn=role_arn("auditor"), RoleSessionName="who")
    identity = broker.event(request_id(chained))["userIdentity"]
    assert identity["type"] == "AssumedRole"
    assert identity["arn"] == web["AssumedRoleUser"]["Arn"]
    assert identity["accessKeyId"] == web["Credentials"]["AccessKeyId"]
    assert identity["sessionContext"]["sessionIssuer"]["arn"] == role_arn("web")
    assert issuer.host in identity["sessionContext"]["webIdFederationData"]["federatedProvider"]

    plain = broker.event(request_id(broker.client(ci).get_caller_identity()))
    assert plain["userIdentity"]["type"] == "IAMUser"
    assert plain["userIdentity"]["arn"] == user_arn("ci")
    assert plain["readOnly"] is True
    root = broker.event(request_id(broker.client(broker.root).get_caller_identity()))
    assert root["userIdentity"]["type"] == "Root"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "somebody else"}, "audience"),
        ({"exp": 1_700_000_000}, "exp"),
        ({"sub": "job:else"}, ""),
    ],
)
def test_a_refused_token_says_why_in_the_record(
    broker: BrokerServer, issuer: TokenIssuer, claims: dict[str, Any], reason: str
) -> None:
    answer = wire.post(
        broker,
        wire.form(
            "AssumeRoleWithWebIdentity",
            RoleArn=role_arn("web-main"),
            RoleSessionName="why",
            WebIdentityToken=issuer.token(SUBJECT, **claims),
        ),
    )
    event = broker.event(answer.request_id)
    assert event["errorCode"] == answer.code
    told = event["errorMessage"] + event.get("additionalEventData", {}).get("reason", "")
    assert reason in told.lower()
    assert event.get("additionalEventData", {}).get("reason"), event


def test_no_secret_is_in_any_event_file_or_log(
    broker: BrokerServer, ci: Keys, users: dict[str, Keys], issuer: TokenIssuer
) -> None:
    """Canaries: every secret that a call carries or gives, looked for in all that the broker leaves behind."""
    canary = f"canary{uuid.uuid4().hex}"
    bad_jwt = ".".join(base64.urlsafe_b64encode(f'{{"{canary}":1}}'.encode()).decode().rstrip("=") for _ in range(3))
    tokens = [issuer.token(SUBJECT, canary=canary), issuer.token("somebody", "ES256", canary=canary), bad_jwt]
    tokens += [f"{canary}x", f"a.{canary}.c", canary * 700]
    answers = []
    for token in tokens:
        for name in ("web", "web-main", "absent"):
            web = {"RoleArn": role_arn(name), "RoleSessionName": "canary", "WebIdentityToken": token}
            answers.append(wire.post(broker, wire.form("AssumeRoleWithWebIdentity", **web)))
        query = f"Action=AssumeRoleWithWebIdentity&WebIdentityToken={quote(token)}"
        if len(query) < 8_000:
            answers.append(wire.ask(broker, "GET", f"/?{query}"))
    issued = Keys.of(broker.client(ci).assume_role(RoleArn=role_arn("auditor"), RoleSessionName="canary"))
    url = broker.client(issued).generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    answers.append(wire.ask(broker, "GET", url.removeprefix(broker.url)))
    assert answers[-1].status == 200
    answers.append(wire.ask(broker, "GET", url.removeprefix(broker.url) + "&X=1"))
    answers.append(wire.call(broker, issued))
    for answer in answers:
        broker.event(answer.request_id)

    secrets = [canary, issued.secret_access_key, str(issued.session_token), broker.root.secret_access_key]
    secrets += [keys.secret_access_key for keys in users.values()]
    secrets += [part for token in tokens[:2] for part in token.split(".")[1:]]
    secrets += [quote(secret, safe="") for secret in secrets]
    master_key = (broker.directory / "master.key").read_text().strip()
    places = {path.name: path.read_bytes() for path in broker.directory.rglob("*") if path.is_file()}
    places = {name: content for name, content in places.items() if name not in CONFIGURED_SECRETS}
    if broker.store_url:
        places["the record"] = repr(broker.query("SELECT record FROM audit_events")).encode()
    else:
        assert {"accredit.db", "accredit.db-wal"} <= places.keys()
    places |= {"the log": broker.log().encode(), "the answers": b"".join(a.body for a in answers if a.status >= 400)}
    found = {
        (name, secret[:24]) for secret in [*secrets, master_key] for name, content in places.items()
        if secret.encode() in content
    }  # fmt: skip
    assert not found


def test_files_are_readable_by_their_owner_alone(broker: BrokerServer) -> None:
    assert broker.directory.stat().st_mode & 0o077 == 0
    assert (broker.directory / "master.key").stat().st_mode & 0o177 == 0


def test_every_line_of_the_log_is_json(broker: BrokerServer, ci: Keys) -> None:
    answer = wire.call(broker, ci)
    wire.post(broker, b"Action=Nonsense\n%0a\xff")
    lines = [json.loads(line) for line in broker.log().splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert any(line.get("request_id") == answer.request_id and line["action"] == "GetCallerIdentity" for line in lines)
