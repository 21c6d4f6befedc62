"""SIG-11: a session token that is cut, changed, swapped, forged or not signed opens nothing."""

from __future__ import annotations

import base64
import json
import pickle

import jwt
import pytest
from realm import wire
from realm.server import ACCOUNT, BrokerServer, Keys
from realm.site import role_arn

INVALID = (403, "InvalidClientTokenId")


def _session(broker: BrokerServer, ci: Keys, name: str) -> Keys:
    return Keys.of(broker.client(ci).assume_role(RoleArn=role_arn("auditor"), RoleSessionName=name))


@pytest.fixture(scope="module")
def session(broker: BrokerServer, ci: Keys) -> Keys:
    return _session(broker, ci, "first")


@pytest.fixture(scope="module")
def other(broker: BrokerServer, ci: Keys) -> Keys:
    return _session(broker, ci, "other")


def _with_token(keys: Keys, token: str | None) -> Keys:
    return Keys(keys.access_key_id, keys.secret_access_key, token)


def _ask(broker: BrokerServer, keys: Keys) -> tuple[int, str]:
    answer = wire.call(broker, keys)
    event = broker.event(answer.request_id)
    if answer.code == "InvalidClientTokenId":
        assert event["userIdentity"]["type"] == "Anonymous" or "arn" not in event["userIdentity"], event
        assert event["errorCode"] == "InvalidClientTokenId"
    return answer.status, answer.code


def test_the_token_as_it_was_issued_is_accepted(broker: BrokerServer, session: Keys, other: Keys) -> None:
    assert _ask(broker, session) == (200, "")
    assert _ask(broker, other) == (200, "")


def test_missing(broker: BrokerServer, session: Keys) -> None:
    assert _ask(broker, _with_token(session, None)) == INVALID


@pytest.mark.parametrize("kept", [1, 4, 8, 20, 28, 60, -100, -17, -4, -1])
def test_cut(broker: BrokerServer, session: Keys, kept: int) -> None:
    token = str(session.session_token)
    assert _ask(broker, _with_token(session, token[:kept])) == INVALID
    assert _ask(broker, _with_token(session, token[-kept:])) == INVALID


def test_flipped_in_every_byte(broker: BrokerServer, session: Keys) -> None:
    """Version, key id, salt, sealed session and seal: one bit of each byte in turn."""
    raw = base64.b64decode(str(session.session_token))
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1 << (position % 8)
        answer = wire.call(broker, _with_token(session, base64.b64encode(changed).decode()))
        assert (answer.status, answer.code) == INVALID, position


def test_swapped_between_sessions(broker: BrokerServer, session: Keys, other: Keys) -> None:
    assert _ask(broker, _with_token(session, other.session_token)) == INVALID
    assert _ask(broker, Keys(session.access_key_id, other.secret_access_key, other.session_token)) == INVALID
    mixed = Keys(session.access_key_id, other.secret_access_key, session.session_token)
    assert _ask(broker, mixed) == (403, "SignatureDoesNotMatch")


def test_on_a_long_term_key(broker: BrokerServer, session: Keys, ci: Keys) -> None:
    for keys in (ci, broker.root):
        assert _ask(broker, _with_token(keys, session.session_token)) == INVALID


def test_of_another_broker(broker: BrokerServer, make_broker, session: Keys) -> None:
    """Same account, same names, other keys: sealed by a key that we do not have."""
    from broker.credentials.session_token import TokenKey, open_token, parse_token, seal_session

    parsed = parse_token(str(session.session_token))
    foreign = TokenKey(parsed.unverified_key_id, b"k" * 32)
    with pytest.raises(Exception, match="not authentic"):
        open_token(foreign, session.access_key_id, parsed)
    made = _forged_session()
    for key_id in (parsed.unverified_key_id, 0, 2**31 - 1):
        token, secret = seal_session(TokenKey(key_id, b"k" * 32), session.access_key_id, made)
        assert _ask(broker, Keys(session.access_key_id, secret, token)) == INVALID


def _forged_session():
    from datetime import UTC, datetime, timedelta

    from broker.domain.session import Session

    now = datetime.now(UTC)
    return Session(
        account=ACCOUNT,
        owner_arn=role_arn("auditor"),
        owner_id="AROA" + "A" * 17,
        session_name="forged",
        issued_at=now,
        expires_at=now + timedelta(hours=1),
    )


def _forged() -> dict[str, str]:
    claims = {"sub": role_arn("auditor"), "exp": 4_000_000_000}
    return {
        "jwt without a signature": jwt.encode(claims, None, algorithm="none"),
        "jwt with a guessed key": jwt.encode(claims, "k" * 32, algorithm="HS256"),
        "pickle": base64.b64encode(pickle.dumps(claims)).decode(),
        "json": json.dumps(claims),
        "version byte alone": base64.b64encode(b"\x01").decode(),
        "zeros": base64.b64encode(bytes(200)).decode(),
        "version and zeros": base64.b64encode(b"\x01" + bytes(200)).decode(),
        "too long": "A" * 8_004,
        "not base64": "%%%%" * 20,
        "a star": "*",
    }


@pytest.mark.parametrize("kind", _forged())
def test_forged(broker: BrokerServer, session: Keys, kind: str) -> None:
    assert _ask(broker, _with_token(session, _forged()[kind])) == INVALID


@pytest.mark.parametrize("suffix", ["A", "AAAA", "=", "%0A", " x"])
def test_with_something_added(broker: BrokerServer, session: Keys, suffix: str) -> None:
    assert _ask(broker, _with_token(session, f"{session.session_token}{suffix}")) == INVALID


def test_unsigned(broker: BrokerServer, session: Keys) -> None:
    """The header is there, but the signature does not cover it."""
    body = wire.form("GetCallerIdentity")
    headers = wire.signed_headers(broker, _with_token(session, None), body)
    answer = wire.post(broker, body, {**headers, "X-Amz-Security-Token": str(session.session_token)})
    assert answer.status in (400, 403)
    assert answer.code in ("SignatureDoesNotMatch", "IncompleteSignature", "InvalidClientTokenId")


def test_twice(broker: BrokerServer, session: Keys, other: Keys) -> None:
    body = wire.form("GetCallerIdentity")
    headers = wire.signed_headers(broker, session, body)
    for second in (session, other):
        pairs = [
            *headers.items(),
            ("X-Amz-Security-Token", str(second.session_token)),
            ("Content-Length", str(len(body))),
        ]
        answer = wire.send(broker, wire.head("POST", "/", pairs), body)
        assert answer.status in (400, 403), answer


def test_in_the_query_of_a_header_signed_request(broker: BrokerServer, session: Keys) -> None:
    """A token that arrives by another way than the signature is none."""
    body = wire.form("GetCallerIdentity")
    keys = _with_token(session, None)
    headers = wire.signed_headers(broker, keys, body, query={"X-Amz-Security-Token": str(session.session_token)})
    from urllib.parse import quote

    answer = wire.post(broker, body, headers, f"/?X-Amz-Security-Token={quote(str(session.session_token), safe='')}")
    assert answer.status in (400, 403), answer
