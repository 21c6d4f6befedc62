"""Session tokens: opaque, bound to their access key id, broken by any change."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from broker.credentials.session_token import (
    MAX_TOKEN_CHARACTERS,
    SessionTooLarge,
    TokenInvalid,
    TokenKey,
    open_token,
    parse_token,
    seal_session,
)
from broker.domain.session import Session, SessionKind

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY = TokenKey(7, b"k" * 32)
AKID = "ASIAY34FZKBOKMUTVV7A"
SESSION = Session(
    account="123456789012",
    owner_arn="arn:aws:iam::123456789012:role/x/app",
    owner_id="AROAEXAMPLEEXAMPLE123",
    session_name="name",
    issued_at=NOW,
    expires_at=NOW + timedelta(hours=1),
)
texts = st.text(max_size=40)
tags = st.dictionaries(texts, texts, max_size=8)
sessions = st.builds(
    replace,
    st.just(SESSION),
    chained=st.booleans(),
    tags=tags,
    transitive_tag_keys=st.lists(texts, max_size=3).map(tuple),
    source_identity=st.none() | texts,
    session_policy=st.none() | st.text(max_size=2048),
    session_policy_arns=st.lists(texts, max_size=3).map(tuple),
    provider=st.none() | texts,
    federation=st.dictionaries(texts, st.lists(texts, max_size=3).map(tuple), max_size=4),
    mfa_authenticated_at=st.none() | st.just(NOW),
    kind=st.sampled_from(SessionKind),
    ancestors=st.lists(texts, max_size=3).map(tuple),
    subject=st.none() | st.tuples(texts, texts),
)


@given(sessions)
def test_what_is_sealed_comes_back(session: Session) -> None:
    token, secret = seal_session(KEY, AKID, session)
    parsed = parse_token(token)
    assert parsed.unverified_key_id == KEY.key_id
    assert open_token(KEY, AKID, parsed) == (session, secret)
    assert len(secret) == 40


@given(st.data())
def test_any_change_breaks_it(data: st.DataObject) -> None:
    raw = bytearray(base64.b64decode(seal_session(KEY, AKID, SESSION)[0]))
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(TokenInvalid):
        open_token(KEY, AKID, parse_token(base64.b64encode(raw).decode()))


@given(st.integers(0, 600))
def test_a_cut_token_is_refused(length: int) -> None:
    token = seal_session(KEY, AKID, SESSION)[0]
    with pytest.raises(TokenInvalid):
        open_token(KEY, AKID, parse_token(token[: min(length, len(token) - 1)]))


@given(st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode()))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(TokenInvalid):
        open_token(KEY, AKID, parse_token(text))


def test_it_opens_only_beside_its_own_access_key_id() -> None:
    token = parse_token(seal_session(KEY, AKID, SESSION)[0])
    for other in ("ASIAY34FZKBOKMUTVV7B", "", "ASIAé", AKID.lower()):
        with pytest.raises(TokenInvalid):
            open_token(KEY, other, token)


def test_another_key_does_not_open_it() -> None:
    token = parse_token(seal_session(KEY, AKID, SESSION)[0])
    with pytest.raises(TokenInvalid):
        open_token(TokenKey(7, b"x" * 32), AKID, token)


def test_two_tokens_of_one_session_share_nothing() -> None:
    (one, first), (two, second) = seal_session(KEY, AKID, SESSION), seal_session(KEY, AKID, SESSION)
    assert first != second
    assert one[8:] != two[8:]


def test_a_token_that_is_too_long_is_refused_unread() -> None:
    with pytest.raises(TokenInvalid, match="too long"):
        parse_token("A" * (MAX_TOKEN_CHARACTERS + 1))


def test_base64_that_is_not_canonical_is_refused() -> None:
    """The last character's unused bits would otherwise give one session several tokens."""
    session = SESSION
    for extra in range(4):
        token = seal_session(KEY, AKID, replace(session, session_name="n" * (2 + extra)))[0]
        if token.endswith("=") and not token.endswith("=="):
            alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
            last = alphabet[alphabet.index(token[-2]) ^ 1]
            with pytest.raises(TokenInvalid):
                parse_token(f"{token[:-2]}{last}=")
            return
    pytest.fail("no token had one padding character")


def test_a_session_that_would_not_open_again_is_not_sealed() -> None:
    huge = replace(SESSION, tags={f"{n}": "\U0001f511" * 5_000 for n in range(5)})
    with pytest.raises(SessionTooLarge):
        seal_session(KEY, AKID, huge)
    with pytest.raises(SessionTooLarge):  # compressible: it is what it unfolds to that counts
        seal_session(KEY, AKID, replace(SESSION, session_policy=" " * 100_000))


def test_salts_never_come_again_even_with_the_same_random_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A restored copy of memory repeats its stock of random bytes, but not the time."""
    from broker import identifiers

    monkeypatch.setattr(identifiers._pool, "take", lambda count: bytes(count))
    assert len({identifiers.unique_salt() for _ in range(1_000)}) == 1_000
