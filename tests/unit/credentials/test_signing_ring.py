"""The signing keys: published before they sign, until nothing they signed can be valid; sealed; an account's own."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from joserfc.jwk import ECKey, RSAKey
from sqlalchemy import select, update

from broker.credentials.sealing import SealBroken
from broker.credentials.signer import NewSigningKey, SigningAlgorithm, generate_signing_key, load_signing_key
from broker.credentials.signing_ring import (
    LEEWAY_SECONDS,
    LONGEST_TOKEN_SECONDS,
    SigningRing,
    key_states,
)
from broker.store.accounts import put_account
from broker.store.engine import Database
from broker.store.outbound_federation import OutboundFederation, put_outbound_federation
from broker.store.signing_keys import list_signing_keys
from broker.store.tables import signing_keys

MASTER = b"m" * 32
ONE, TWO = "111111111111", "222222222222"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PUBLISH = 300
ES384, RS256 = SigningAlgorithm.ES384, SigningAlgorithm.RS256
VERIFIABLE = LONGEST_TOKEN_SECONDS + LEEWAY_SECONDS


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def database(open_store: Callable[..., Database]) -> Database:
    opened = open_store()
    with opened.change() as connection:
        put_account(connection, ONE, "", 0)
        put_account(connection, TWO, "", 0)
    return opened


@pytest.fixture
def ring(database: Database) -> SigningRing:
    return SigningRing(database, MASTER)


def switch(database: Database, account: str, enabled: bool, now: datetime = NOW) -> None:
    with database.change() as connection:
        put_outbound_federation(connection, OutboundFederation(account, enabled, int(now.timestamp())))


def add(
    ring: SigningRing, database: Database, now: datetime = NOW, account: str = ONE, algorithm: SigningAlgorithm = ES384
) -> str:
    key = generate_signing_key(algorithm)
    with database.change() as connection:
        ring.add(connection, account, [key], now=now, publish_seconds=PUBLISH)
    return key.kid


def signer(ring: SigningRing, now: datetime, account: str = ONE) -> str:
    return ring.signing_key(account, ES384, now).kid


def published(ring: SigningRing, now: datetime, account: str = ONE) -> set[str]:
    keys = ring.published_keys(account, now)
    assert keys is not None
    return {key["kid"] for key in keys}


# --- one key ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", SigningAlgorithm)
def test_a_key_is_named_by_its_thumbprint_and_verified_by_its_public_half(algorithm: SigningAlgorithm) -> None:
    made = generate_signing_key(algorithm)
    jwk = dict(made.public_jwk)
    kind = RSAKey if algorithm is RS256 else ECKey
    assert kind.import_key(jwk).thumbprint() == made.kid == jwk["kid"]
    assert (jwk["alg"], jwk["use"]) == (algorithm, "sig")
    assert not jwk.keys() & {"d", "p", "q", "dp", "dq", "qi"}
    token = load_signing_key(made.kid, algorithm, made.private_key).sign({"sub": "s"})
    assert jwt.get_unverified_header(token) == {"alg": algorithm, "kid": made.kid, "typ": "JWT"}
    assert jwt.decode(token, jwt.PyJWK(jwk), [algorithm]) == {"sub": "s"}
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, jwt.PyJWK(dict(generate_signing_key(algorithm).public_jwk)), [algorithm])


def test_a_private_key_is_never_shown() -> None:
    made: NewSigningKey = generate_signing_key(ES384)
    assert "private_key" not in repr(made)
    assert "private_key" not in repr(load_signing_key(made.kid, ES384, made.private_key))


def test_private_keys_are_sealed(ring: SigningRing, database: Database) -> None:
    key = generate_signing_key(ES384)
    with database.change() as connection:
        ring.add(connection, ONE, [key], now=NOW, publish_seconds=0)
        (row,) = list_signing_keys(connection, ONE)
    assert key.private_key not in row.sealed_private_key
    assert "sealed_private_key" not in repr(row)


def test_a_key_opens_under_its_own_name_and_account_alone(ring: SigningRing, database: Database) -> None:
    """Whoever can write rows cannot make one account sign with another's key."""
    switch(database, TWO, True)
    add(ring, database, account=ONE)
    with database.change() as connection:
        connection.execute(update(signing_keys).values(account=TWO))
    with pytest.raises(SealBroken):
        ring.signing_key(TWO, ES384, NOW)


def test_another_master_key_opens_nothing(ring: SigningRing, database: Database) -> None:
    switch(database, ONE, True)
    add(ring, database)
    with pytest.raises(SealBroken):
        SigningRing(database, b"n" * 32).signing_key(ONE, ES384, NOW)


# --- the ring --------------------------------------------------------------------------------------------------------


def test_an_account_without_keys_has_none(ring: SigningRing, database: Database) -> None:
    with pytest.raises(LookupError):
        signer(ring, NOW)
    assert ring.published_keys(ONE, NOW) is None
    assert not ring.is_enabled(ONE)
    switch(database, ONE, True)
    assert ring.published_keys(ONE, NOW) == []
    with pytest.raises(LookupError):
        signer(ring, NOW)


def test_the_first_key_signs_at_once_also_on_a_node_whose_clock_is_behind(
    ring: SigningRing, database: Database
) -> None:
    switch(database, ONE, True)
    kid = add(ring, database)
    assert signer(ring, NOW) == signer(ring, at(-LEEWAY_SECONDS)) == kid
    assert published(ring, NOW) == {kid}
    with pytest.raises(LookupError):
        ring.signing_key(ONE, RS256, NOW)


def test_a_new_key_is_published_at_once_and_signs_later(ring: SigningRing, database: Database) -> None:
    switch(database, ONE, True)
    old, new = add(ring, database), add(ring, database, at(1000.5))
    assert published(ring, at(1000.5)) == {old, new}
    assert signer(ring, at(1000.5 + PUBLISH - 0.1)) == old
    assert signer(ring, at(1001 + PUBLISH)) == new


def test_an_old_key_stays_until_its_last_token_has_expired(ring: SigningRing, database: Database) -> None:
    switch(database, ONE, True)
    old, new = add(ring, database), add(ring, database, at(1000))
    last_signed = 1000 + PUBLISH
    assert published(ring, at(last_signed + VERIFIABLE - 1)) == {old, new}
    assert published(ring, at(last_signed + VERIFIABLE)) == {new}
    assert signer(ring, at(last_signed + VERIFIABLE)) == new


def test_rotations_faster_than_publishing_take_their_turns(ring: SigningRing, database: Database) -> None:
    switch(database, ONE, True)
    kids = [add(ring, database), *(add(ring, database, at(10 * turn)) for turn in range(1, 6))]
    assert published(ring, at(60)) == set(kids)
    assert [signer(ring, at(10 * turn + PUBLISH)) for turn in range(6)] == kids


def test_a_pending_key_supersedes_nothing(ring: SigningRing, database: Database) -> None:
    switch(database, ONE, True)
    old, new = add(ring, database), add(ring, database, at(1000))
    with database.read() as connection:
        rows = list_signing_keys(connection, ONE)
    states = {state.kid: (state.state, state.retires_at) for state in key_states(rows, at(1000))}
    assert states == {old: ("signing", None), new: ("pending", None)}
    states = {state.kid: (state.state, state.retires_at) for state in key_states(rows, at(1000 + PUBLISH))}
    gone = int(at(1000 + PUBLISH + VERIFIABLE).timestamp())
    assert states == {old: ("verifying", gone), new: ("signing", None)}


def test_a_rotation_drops_keys_past_their_time_and_no_others(ring: SigningRing, database: Database) -> None:
    switch(database, ONE, True)
    first, second = add(ring, database), add(ring, database, at(1000))
    add(ring, database, at(1000 + PUBLISH + VERIFIABLE - 1))
    with database.read() as connection:
        assert first in {row.kid for row in list_signing_keys(connection, ONE)}
    add(ring, database, at(1000 + PUBLISH + VERIFIABLE))
    with database.read() as connection:
        kids = {row.kid for row in list_signing_keys(connection, ONE)}
    assert first not in kids
    assert second in kids


def test_algorithms_do_not_supersede_each_other(ring: SigningRing, database: Database) -> None:
    switch(database, ONE, True)
    ec, rsa = add(ring, database), add(ring, database, at(10), algorithm=RS256)
    late = at(10 * VERIFIABLE)
    assert published(ring, late) == {ec, rsa}
    assert (signer(ring, late), ring.signing_key(ONE, RS256, late).kid) == (ec, rsa)


def test_accounts_share_no_key(ring: SigningRing, database: Database) -> None:
    for account in (ONE, TWO):
        switch(database, account, True)
    one, two = add(ring, database, account=ONE), add(ring, database, account=TWO)
    assert (published(ring, NOW, ONE), published(ring, NOW, TWO)) == ({one}, {two})
    assert (signer(ring, NOW, ONE), signer(ring, NOW, TWO)) == (one, two)


def test_a_disabled_accounts_keys_stay_for_as_long_as_its_tokens(ring: SigningRing, database: Database) -> None:
    switch(database, ONE, True)
    kid = add(ring, database)
    switch(database, ONE, False, at(10_000))
    assert not ring.is_enabled(ONE)
    assert published(ring, at(10_000 + VERIFIABLE - 1)) == {kid}
    assert ring.published_keys(ONE, at(10_000 + VERIFIABLE)) is None
    switch(database, ONE, True, at(50_000))
    assert published(ring, at(50_000)) == {kid}
    assert signer(ring, at(50_000)) == kid


def test_another_workers_change_is_seen_at_once(
    ring: SigningRing, database: Database, open_store: Callable[..., Database]
) -> None:
    """Another process of the same node: an engine of its own over the same store."""
    switch(database, ONE, True)
    old = add(ring, database)
    assert signer(ring, NOW) == old
    other = open_store()
    new = add(SigningRing(other, MASTER), other, at(1000))
    assert published(ring, at(1000)) == {old, new}
    switch(other, ONE, False, at(1001))
    assert not ring.is_enabled(ONE)


def test_unknown_accounts_are_not_remembered(ring: SigningRing) -> None:
    """Names without end could be asked for."""
    for number in range(100):
        assert ring.published_keys(f"{number:012d}", NOW) is None
    assert not ring._cache[1]


def test_the_stores_rows_hold_public_halves_as_published(ring: SigningRing, database: Database) -> None:
    switch(database, ONE, True)
    add(ring, database)
    with database.read() as connection:
        stored = connection.execute(select(signing_keys.c.public_jwk)).scalar_one()
    assert ring.published_keys(ONE, NOW) == [stored]
