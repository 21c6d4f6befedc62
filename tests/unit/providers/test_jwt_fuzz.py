"""The whole path of a token, fuzzed: only ProviderError is ever raised, and what is accepted says what was signed."""

from __future__ import annotations

import json
import time

import forge
import joserfc.jwt
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from joserfc.jwk import import_key

from providers.base import ExternalIdentity
from providers.errors import ProviderError
from providers.oidc.token import parse_id_token

TOKENS = {algorithm: forge.good_token(algorithm) for algorithm in ("RS256", "PS256", "ES256", "EdDSA")}
PROVIDER = forge.make_provider()
IDENTITY = forge.authenticate(TOKENS["RS256"])
CHARACTERS = st.sampled_from("AZaz09-_.=+/ \n\0é\ud800") | st.characters()
BUDGET_SECONDS = 0.25
"""attacks.md, goal G5: the slowest hostile request; on a machine that others use too."""

texts = st.text(st.characters(), max_size=12)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**30), 10**30)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
claim_names = st.sampled_from(
    ("iss", "aud", "azp", "exp", "iat", "nbf", "sub", "jti", "auth_time", "cnf", "events", "a.b", "a")
)
header_names = st.sampled_from(("alg", "kid", "typ", "cty", "crit", "b64", "jwk", "jku", "x5c", "x"))


def attempt(token):
    """The identity, or None if it was refused as it should be."""
    try:
        identity = PROVIDER.authenticate(parse_id_token(token), now=forge.MOMENT)
    except ProviderError as refusal:
        json.dumps([refusal.message.encode().decode(), refusal.detail])  # both can be sent and recorded
        return None
    assert isinstance(identity, ExternalIdentity)
    return identity


@given(st.text(max_size=300) | st.lists(st.text("AZaz09-_", max_size=40), max_size=6).map(".".join))
def test_any_text(text):
    assert attempt(text) is None


@given(st.lists(st.binary(max_size=80), min_size=3, max_size=3))
def test_any_three_parts(parts):
    assert attempt(".".join(map(forge.b64, parts))) is None


@settings(max_examples=300)
@given(st.sampled_from(sorted(TOKENS)), st.data())
def test_a_mutated_token_is_refused_or_means_the_same(algorithm, data):
    token = TOKENS[algorithm]
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(token)))
        match data.draw(st.sampled_from(("replace", "insert", "delete", "cut", "repeat", "swap"))):
            case "replace":
                token = token[:at] + data.draw(CHARACTERS) + token[at + 1 :]
            case "insert":
                token = token[:at] + data.draw(CHARACTERS) + token[at:]
            case "delete":
                token = token[:at] + token[at + 1 :]
            case "cut":
                token = token[:at]
            case "repeat":
                token = token[:at] + token[at : at + 10] + token[at:]
            case "swap":
                token = token[at:] + token[:at]
    identity = attempt(token)
    if identity is not None:
        assert token.strip(" \t\r\n") == TOKENS[algorithm]
        assert identity == IDENTITY


@settings(max_examples=200)
@given(st.sampled_from(sorted(TOKENS)), st.integers(0, 2), st.integers(0), st.integers(0, 7))
def test_a_flipped_bit_is_refused(algorithm, part, byte, bit):
    parts = [bytearray(forge.unb64(text)) for text in TOKENS[algorithm].split(".")]
    parts[part][byte % len(parts[part])] ^= 1 << bit
    assert attempt(".".join(forge.b64(bytes(raw)) for raw in parts)) is None


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(claim_names | texts, json_values, max_size=4))
@example({"iss": "\ud800"})
@example({"x": {"\udfff": 1}})
@example({"a": {"b": 1}, "a.b": 2})
def test_signed_claims_of_any_kind(changes):
    """A genuine signature is no reason to crash; accepted claims become clean text, and the checked ones are theirs."""
    claims = forge.base_claims() | changes
    identity = attempt(forge.make_token({"alg": "EdDSA", "kid": "EdDSA"}, claims, "EdDSA"))
    if identity is None:
        return
    assert identity.subject == claims["sub"]
    assert claims["iss"] == identity.issuer == forge.ISSUER
    assert identity.audience[0] in (forge.CLIENT, "second")
    assert identity.expires_at > identity.authenticated_at
    assert "cnf" not in claims
    assert "events" not in claims
    for name, values in identity.attributes.items():
        name.encode()
        for value in values:
            value.encode()


@settings(max_examples=200)
@given(st.dictionaries(header_names | texts, json_values, max_size=4))
def test_signed_headers_of_any_kind(changes):
    header = {"alg": "EdDSA", "kid": "EdDSA"} | changes
    identity = attempt(forge.make_token(header, forge.base_claims(), "EdDSA"))
    if identity is not None:
        assert header["alg"] == "EdDSA"
        assert not {"crit", "b64", "cty"} & set(header)


@given(st.binary(max_size=200) | st.text('{}[]",:0123456789.eE+-ntfu\\ "aN', max_size=60).map(str.encode))
def test_signed_payloads_that_may_be_no_json(payload):
    assert attempt(forge.make_token({"alg": "EdDSA", "kid": "EdDSA"}, payload, "EdDSA")) is None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("." * 3_000_000, id="dots"),
        pytest.param("a" * 3_000_000, id="letters"),
        pytest.param(" " * 3_000_000 + "a", id="spaces"),
        pytest.param("\n" * 3_000_000, id="newlines"),
        pytest.param(forge.make_token(b"[" * 8_000, b"{}"), id="deep-header"),
        pytest.param(forge.make_token(b'{"alg": "RS256"}', b'{"a":' * 2_000 + b"1" + b"}" * 2_000), id="deep-payload"),
        pytest.param(forge.make_token(b'{"alg": "RS256"}', b"[" + b"1," * 5_000 + b"1]"), id="long-list"),
        pytest.param(forge.make_token(b'{"alg": "RS256"}', b'{"a": ' + b"9" * 4_300 + b"}"), id="longest-number"),
        pytest.param(
            forge.good_token(**{"n" * 500: {str(number): number for number in range(900)}}), id="long-names-many-leaves"
        ),
    ],
)
def test_hostile_texts_are_answered_quickly(text):
    began = time.process_time()
    attempt(text)
    assert time.process_time() - began < BUDGET_SECONDS


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # RFC 9864 has a second name for it
@pytest.mark.parametrize("algorithm", forge.ALGORITHMS)
def test_tokens_of_another_library_are_accepted(algorithm):
    """joserfc and PyJWT read the same RFCs."""
    key_type = {"R": "RSA", "P": "RSA"}.get(algorithm[0], "OKP" if algorithm == "EdDSA" else "EC")
    pem = forge.private_key(forge.key_name(algorithm)).private_bytes(
        forge.serialization.Encoding.PEM,
        forge.serialization.PrivateFormat.PKCS8,
        forge.serialization.NoEncryption(),
    )
    key = import_key(pem, key_type)
    header = {"alg": algorithm, "kid": algorithm, "typ": "JWT"}
    token = joserfc.jwt.encode(header, forge.base_claims(), key, algorithms=[algorithm])
    assert attempt(token) == IDENTITY
