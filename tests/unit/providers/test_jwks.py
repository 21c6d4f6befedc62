"""Row JWT-30, its second half: which keys count, for how long, and who waits for them."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import forge
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.errors import ProviderUnreachable, SignatureInvalid
from providers.oidc.jwks import FetchedKeys, FetchGate, StaticKeys, parse_jwks

HOUR = 3_600.0
AT_ONCE = 0.2
RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


def key_set(*entries):
    return parse_jwks(json.dumps({"keys": entries}).encode())


@pytest.mark.parametrize("algorithm", forge.ALGORITHMS)
def test_a_stated_algorithm_is_the_only_one(algorithm):
    assert set(key_set(forge.jwk(algorithm))[algorithm].by_algorithm) == {algorithm}


@pytest.mark.parametrize(
    ("algorithm", "allowed"),
    [("RS256", RSA), ("ES256", ("ES256",)), ("ES384", ("ES384",)), ("ES512", ("ES512",)), ("EdDSA", ("EdDSA",))],
)
def test_without_one_the_type_decides(algorithm, allowed):
    assert set(key_set(forge.jwk(algorithm, alg=None))[algorithm].by_algorithm) == set(allowed)


@pytest.mark.parametrize(
    "members", [{"use": None}, {"key_ops": ["verify"]}, {"key_ops": ["sign", "verify"]}, {"x5c": ["AAAA"], "n2": 1}]
)
def test_members_that_may_be_there(members):
    assert set(key_set(forge.jwk("RS256", **members))) == {"RS256"}


IGNORED = {
    "encryption": forge.jwk("RS256", use="enc"),
    "use-null": forge.jwk("RS256") | {"use": None},
    "use-number": forge.jwk("RS256", use=1),
    "key-ops-sign": forge.jwk("RS256", key_ops=["sign"]),
    "key-ops-empty": forge.jwk("RS256", key_ops=[]),
    "key-ops-text": forge.jwk("RS256", key_ops="verify"),
    "key-ops-number": forge.jwk("RS256", key_ops=5),
    "key-ops-null": forge.jwk("RS256") | {"key_ops": None},
    "weak-rsa": forge.jwk("RS256", key="weak"),
    "weak-rsa-without-alg": forge.jwk("RS256", key="weak", alg=None),
    "exponent-one": forge.jwk("RS256", e="AQ"),
    "exponent-even": forge.jwk("RS256", e="Ag"),
    "rsa-without-n": forge.jwk("RS256", n=None),
    "rsa-n-empty": forge.jwk("RS256", n=""),
    "rsa-n-number": forge.jwk("RS256", n=5),
    "rsa-n-list": forge.jwk("RS256", n=[]),
    "rsa-alg-of-ec": forge.jwk("RS256", alg="ES256"),
    "rsa-alg-symmetric": forge.jwk("RS256", alg="HS256"),
    "rsa-alg-encryption": forge.jwk("RS256", alg="RSA-OAEP"),
    "rsa-alg-none": forge.jwk("RS256", alg="none"),
    "rsa-alg-list": forge.jwk("RS256", alg=["RS256"]),
    "rsa-alg-empty": forge.jwk("RS256", alg=""),
    "ec-alg-of-other-curve": forge.jwk("ES256", alg="ES384"),
    "ec-alg-of-rsa": forge.jwk("ES256", alg="RS256"),
    "ec-curve-of-other-size": forge.jwk("ES256", alg=None, crv="P-384"),
    "ec-not-on-the-curve": forge.jwk("ES256", y=forge.b64(bytes(32))),
    "ec-x-empty": forge.jwk("ES256", x=""),
    "ec-without-y": forge.jwk("ES256", y=None),
    "ec-curve-list": forge.jwk("ES256", crv=["P-256"]),
    "ec-curve-unknown": forge.jwk("ES256", crv="P-257"),
    "ec-curve-secp256k1": forge.jwk("ES256", crv="secp256k1", alg="ES256K"),
    "okp-x25519": forge.jwk("EdDSA", crv="X25519"),
    "okp-ed448": forge.jwk("EdDSA", crv="Ed448"),
    "okp-short": forge.jwk("EdDSA", x="AAAA"),
    "symmetric": {"kty": "oct", "k": "AAAA", "kid": "x", "alg": "HS256"},
    "symmetric-called-rs256": {"kty": "oct", "k": "AAAA", "kid": "x", "alg": "RS256"},
    "type-unknown": forge.jwk("RS256", kty="AKP"),
    "type-missing": forge.jwk("RS256", kty=None),
    "type-list": forge.jwk("RS256", kty=["RSA"]),
    "type-lower-case": forge.jwk("RS256", kty="rsa"),
    "kid-number": forge.jwk("RS256", kid=1),
    "kid-list": forge.jwk("RS256", kid=["x"]),
    "no-object": "x",
    "null": None,
    "list": [],
    "empty": {},
}


@pytest.mark.parametrize("entry", [pytest.param(entry, id=name) for name, entry in IGNORED.items()])
def test_an_unusable_key_is_ignored_and_its_neighbours_are_not(entry):
    assert set(key_set(entry, forge.jwk("ES256"))) == {"ES256"}


def test_an_id_given_twice_names_neither():
    first, second = forge.jwk("RS256", kid="x"), forge.jwk("ES256", kid="x")
    assert set(key_set(first, second, forge.jwk("ES384"))) == {"ES384"}
    assert set(key_set(first, first, first)) == set()
    assert set(key_set(forge.jwk("RS256", kid=None), forge.jwk("ES256", kid=None))) == set()


def test_an_unusable_key_makes_no_id_ambiguous():
    assert set(key_set(forge.jwk("RS256", kid="x", use="enc"), forge.jwk("RS256", kid="x"))) == {"x"}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": null}',
        b'{"keys": [], "keys": []}',
        b'{"keys": [{"kid": "a", "kid": "b"}]}',
        b'{"keys": [NaN]}',
        b'{"keys": [' + b"{}," * 100 + b"{}]}",
        b'{"keys": ' + b"[" * 5_000,
        b"\xff",
        b"<html>",
    ],
)
def test_what_is_no_key_set_is_refused(text):
    with pytest.raises(ProviderUnreachable):
        parse_jwks(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.sampled_from(("RS256", "ES256", "EdDSA")),
    st.dictionaries(
        st.sampled_from(("kty", "crv", "x", "y", "n", "e", "alg", "use", "kid", "key_ops", "d", "k")),
        json_values,
        max_size=3,
    ),
)
def test_fuzz_keys(algorithm, changes):
    """Any member may be anything: the key is usable or ignored, and never for an algorithm of another type."""
    original = forge.jwk(algorithm)
    for key in key_set(original | changes).values():
        assert set(key.by_algorithm) <= set(RSA if algorithm == "RS256" else (algorithm,))


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps({"keys": value}).encode()))
def test_fuzz_key_sets(text):
    try:
        parse_jwks(text)
    except ProviderUnreachable:
        pass


def test_a_token_without_kid_may_use_the_only_key_that_fits():
    keys = StaticKeys(key_set(forge.jwk("RS256"), forge.jwk("ES256"), forge.jwk("RS256", kid="bare", alg=None)))
    assert keys.find(None, "ES256")
    assert keys.find(None, "PS256")
    for algorithm in ("RS256", "ES384"):
        with pytest.raises(SignatureInvalid):
            keys.find(None, algorithm)
    keys.prefetch()


class Issuer:
    """Publishes ``names`` as key ids; fails while ``down``; is silent while ``answering`` is cleared."""

    def __init__(self, *names, max_age=None):
        self.names, self.max_age, self.down, self.loads, self.now = names, max_age, False, 0, 1_000.0
        self.answering = threading.Event()
        self.answering.set()

    def load(self):
        self.loads += 1
        assert self.answering.wait(10)
        if self.down:
            raise ProviderUnreachable("unreachable", detail="the issuer is down")
        return key_set(*(forge.jwk("EdDSA", kid=name) for name in self.names)), self.max_age

    def keys(self, *, gate=4, fresh=HOUR, wait=5.0):
        gate = gate if isinstance(gate, FetchGate) else FetchGate(gate)
        return FetchedKeys(self.load, gate, fresh_seconds=fresh, wait_seconds=wait, clock=lambda: self.now)

    def settled(self, loads):
        """Wait for a fetch in the background."""
        self.answering.set()
        until = time.monotonic() + 5
        while self.loads < loads or any(thread.name == "key-fetch" for thread in threading.enumerate()):
            assert time.monotonic() < until
            time.sleep(0.002)
        assert self.loads == loads


@pytest.fixture(autouse=True)
def no_fetch_is_left():
    yield
    for thread in threading.enumerate():
        if thread.name == "key-fetch":
            thread.join(5)


def has(keys, name):
    """Whether the key set has a key, as far as it knows."""
    try:
        return bool(keys.find(name, "EdDSA"))
    except SignatureInvalid:
        return False


def unreachable(keys, name="a"):
    """The detail of a refusal that came at once."""
    began = time.monotonic()
    with pytest.raises(ProviderUnreachable) as refusal:
        keys.find(name, "EdDSA")
    assert time.monotonic() - began < AT_ONCE
    return refusal.value.detail


def test_keys_are_fetched_once():
    issuer = Issuer("a")
    keys = issuer.keys()
    assert all(has(keys, "a") for _ in range(10))
    assert issuer.loads == 1


@pytest.mark.parametrize(
    ("setting", "max_age", "fresh"),
    [
        (HOUR, None, HOUR),
        (HOUR, 600, 600),
        (HOUR, 0, 60),
        (HOUR, 59, 60),
        (HOUR, 10**9, HOUR),
        (10, None, 60),
        (10**6, None, 86_400),
        (10**6, 10**9, 86_400),
    ],
)
def test_freshness_is_bounded(setting, max_age, fresh):
    issuer = Issuer("a", max_age=max_age)
    keys = issuer.keys(fresh=setting)
    assert has(keys, "a")
    issuer.now += fresh * 0.8 - 1
    assert has(keys, "a")
    issuer.settled(1)
    issuer.now += 2
    assert has(keys, "a")
    issuer.settled(2)


def test_the_refresh_ahead_of_time_keeps_nobody_waiting():
    issuer = Issuer("a")
    keys = issuer.keys(gate=1)
    assert has(keys, "a")
    issuer.now += HOUR * 0.9
    issuer.answering.clear()
    began = time.monotonic()
    assert all(has(keys, "a") for _ in range(10))
    assert time.monotonic() - began < AT_ONCE
    issuer.settled(2)


def test_jwt_30_a_removed_key_is_refused_once_the_set_is_not_fresh():
    issuer = Issuer("a", "b")
    keys = issuer.keys()
    assert has(keys, "a")
    issuer.names = ("b",)
    issuer.now += HOUR * 20
    issuer.answering.clear()
    threading.Timer(0.05, issuer.answering.set).start()
    assert not has(keys, "a")
    assert has(keys, "b")
    assert issuer.loads == 2


def test_jwt_30_a_removed_key_is_refused_after_a_refresh_ahead_of_time():
    issuer = Issuer("a", "b")
    keys = issuer.keys()
    assert has(keys, "a")
    issuer.names = ("b",)
    issuer.now += HOUR * 0.9
    has(keys, "b")
    issuer.settled(2)
    assert not has(keys, "a")


def test_jwt_30_rotation_is_noticed_by_an_unknown_kid():
    issuer = Issuer("a")
    keys = issuer.keys()
    assert has(keys, "a")
    issuer.names = ("a", "b")
    issuer.now += 30
    assert has(keys, "b")
    assert issuer.loads == 2


def test_jwt_30_an_unknown_kid_fetches_at_most_once_in_30_seconds():
    issuer = Issuer("a")
    keys = issuer.keys()
    assert has(keys, "a")
    issuer.now += 29
    assert not has(keys, "x")
    assert issuer.loads == 1
    issuer.now += 1
    with ThreadPoolExecutor(4) as pool:
        assert not any(pool.map(lambda number: has(keys, f"x{number}"), range(400)))
    assert issuer.loads == 2
    assert has(keys, "a")


def test_jwt_30_stale_keys_serve_for_a_day_while_the_issuer_is_down():
    issuer = Issuer("a")
    keys = issuer.keys()
    assert has(keys, "a")
    issuer.down = True
    for hours in (2, 12, 24):
        issuer.now = 1_000 + HOUR * hours
        assert has(keys, "a")
    issuer.now += 1
    issuer.settled(issuer.loads)
    assert unreachable(keys) == "the issuer is down"
    issuer.down = False
    issuer.now += 5
    assert has(keys, "a")


def test_an_issuer_that_is_down_is_asked_every_five_seconds():
    issuer = Issuer("a")
    issuer.down = True
    keys = issuer.keys()
    for second in range(11):
        assert unreachable(keys) == "the issuer is down"
        assert issuer.loads == second // 5 + 1
        issuer.now += 1


def test_an_unknown_kid_of_an_issuer_that_is_down_is_not_known_to_be_wrong():
    issuer = Issuer("a")
    keys = issuer.keys()
    assert has(keys, "a")
    issuer.down = True
    issuer.now += 60
    assert unreachable(keys, "b") == "the issuer is down"
    assert has(keys, "a")


def test_stale_keys_of_an_issuer_that_hangs_serve_without_waiting_again():
    issuer = Issuer("a")
    keys = issuer.keys(wait=0.05)
    assert has(keys, "a")
    issuer.now += HOUR * 2
    issuer.answering.clear()
    assert has(keys, "a")
    issuer.down = True
    issuer.settled(2)
    issuer.now += 5
    issuer.answering.clear()
    began = time.monotonic()
    assert has(keys, "a")
    assert time.monotonic() - began < 0.04
    issuer.settled(3)


def test_a_cold_key_set_is_fetched_once_for_all():
    issuer = Issuer("a")
    issuer.answering.clear()
    keys = issuer.keys(gate=8)
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(has, keys, "a") for _ in range(8)]
        issuer.answering.set()
        assert all(one.result() for one in waiting)
    assert issuer.loads == 1


def test_jwt_30_with_no_places_nobody_waits():
    issuer = Issuer("a")
    issuer.answering.clear()
    keys = issuer.keys(gate=0)
    for _ in range(5):
        assert unreachable(keys) == "its keys are still being fetched"
    issuer.settled(1)
    assert has(keys, "a")


def test_jwt_30_a_hanging_issuer_takes_no_more_than_its_places():
    gate, hanging, other = FetchGate(1), Issuer("a"), Issuer("b")
    others = other.keys(gate=gate)
    assert has(others, "b")
    hanging.answering.clear()
    keys = hanging.keys(gate=gate)
    with ThreadPoolExecutor(1) as pool:
        waiter = pool.submit(has, keys, "a")
        while gate._free._value:  # until the place is taken
            time.sleep(0.002)
        assert unreachable(keys)
        assert has(others, "b")
        other.now += HOUR * 2
        began = time.monotonic()
        assert has(others, "b")  # nobody may wait: yesterday's keys serve while the fetch is under way
        assert time.monotonic() - began < AT_ONCE
        hanging.answering.set()
        assert waiter.result()
    assert has(keys, "a")


def test_jwt_30_nobody_waits_longer_than_allowed():
    issuer = Issuer("a")
    issuer.answering.clear()
    keys = issuer.keys(wait=0.05)
    began = time.monotonic()
    assert unreachable(keys)
    assert time.monotonic() - began >= 0.05
    issuer.settled(1)
    assert has(keys, "a")


def test_prefetch_warms_and_does_nothing_while_fresh():
    issuer = Issuer("a")
    keys = issuer.keys(gate=0)
    keys.prefetch()
    issuer.settled(1)
    assert has(keys, "a")
    keys.prefetch()
    issuer.settled(1)
    issuer.now += HOUR * 0.9
    keys.prefetch()
    issuer.settled(2)


def test_a_fetch_that_cannot_start_is_tried_again(monkeypatch):
    issuer = Issuer("a")
    keys = issuer.keys()

    def start(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError):
            keys.find("a", "EdDSA")
    issuer.now += 5
    assert has(keys, "a")
