"""The JSON vectors of tests/vectors/jwt: each named after its row of the attack list, each citing its rule.

A case changes one good token: ``header``/``claims`` set members, ``…_without`` leaves some out, ``times`` sets claims
relative to the clock, ``splice_…`` adds JSON text to the object (``repeat`` a piece so many times, ``then`` the rest),
``raw_…`` replaces it; ``sign_as``/``key`` say how it is signed; ``forge`` names a function of ``forge.py`` instead.
"""

from __future__ import annotations

import json
from pathlib import Path

import forge
import pytest

from providers import errors
from providers.errors import ProviderError
from providers.oidc.token import parse_id_token

VECTORS = Path(__file__).parents[2] / "vectors" / "jwt"
REFUSED = ("algorithms", "signatures", "headers", "claims", "shape")
ROWS = {f"JWT-{number:02}" for number in range(1, 22)} - {"JWT-18"}


def load(*names):
    cases = [case for name in names for case in json.loads((VECTORS / f"{name}.json").read_text())["cases"]]
    assert all(case["rule"] for case in cases)
    return cases


def parameters(*names):
    return [pytest.param(case, id=case["name"]) for case in load(*names)]


def spliced(members, case, part):
    text = json.dumps(members)
    addition = case.get(f"splice_{part}")
    if addition is None:
        return text
    piece, times = case.get("repeat", ("", 0))
    return f"{text[:-1]}, {addition}{piece * times}{case.get('then', '')}}}"


def build(case):
    """The text of the case's token."""
    if "forge" in case:
        return forge.FORGERIES[case["forge"]]()
    header = {"alg": "RS256", "kid": "RS256", "typ": "JWT"} | case.get("header", {})
    if header.get("jwk") == "@evil-jwk":
        header["jwk"] = forge.jwk("RS256", key="evil-RSA")
    claims = forge.base_claims() | case.get("claims", {})
    claims |= {name: forge.NOW + offset for name, offset in case.get("times", {}).items()}
    for members, part in ((header, "header"), (claims, "claims")):
        for name in case.get(f"{part}_without", ()):
            members.pop(name)
    encoding = case.get("encoding", "utf-8")
    raw_header = case.get("raw_header")
    raw_payload = case.get("raw_payload")
    token = forge.make_token(
        spliced(header, case, "header").encode() if raw_header is None else raw_header.encode(encoding),
        spliced(claims, case, "payload").encode() if raw_payload is None else raw_payload.encode(encoding),
        case.get("sign_as", "RS256"),
        case.get("key"),
    )
    return token if "signature" not in case else f"{token.rpartition('.')[0]}.{case['signature']}"


@pytest.mark.parametrize("case", parameters(*REFUSED))
def test_refused(case):
    token = build(case)
    with pytest.raises(ProviderError) as refusal:
        forge.authenticate(token, **case.get("rules", {}))
    assert type(refusal.value) is getattr(errors, case["expect"]), refusal.value.detail
    assert case["detail"] in refusal.value.detail
    assert len(refusal.value.message) < 200
    assert len(refusal.value.detail) < 600


@pytest.mark.parametrize("case", parameters("accepted"))
def test_accepted(case):
    identity = forge.authenticate(build(case), **case.get("rules", {}))
    assert identity.issuer == forge.ISSUER
    assert identity.provider == forge.ARN
    assert identity.audience[0] in (forge.CLIENT, "second")
    expected = case.get("identity", {})
    assert identity.subject == expected.get("subject", identity.subject)
    assert list(identity.audience) == expected.get("audience", list(identity.audience))
    assert identity.authenticated_at.timestamp() == expected.get(
        "authenticated_at", identity.authenticated_at.timestamp()
    )
    for name, values in expected.get("attributes", {}).items():
        assert identity.attributes[name] == tuple(values)
    assert not set(expected.get("absent", ())) & set(identity.attributes)


def test_refusals_outnumber_acceptances_and_every_row_has_vectors():
    refused, accepted = load(*REFUSED), load("accepted")
    assert len(refused) > 4 * len(accepted)
    assert {case["name"].partition("/")[0] for case in refused} == ROWS
    names = [case["name"] for case in (*refused, *accepted)]
    assert len(names) == len(set(names))


def test_every_forgery_has_its_vector():
    used = {case.get("forge") for case in load(*REFUSED, "accepted")}
    assert set(forge.FORGERIES) - used == {"good"}


def test_a_wrong_key_and_an_altered_token_get_the_same_message():
    messages = {}
    for case in load("algorithms", "signatures"):
        if case["expect"] == "SignatureInvalid":
            with pytest.raises(ProviderError) as refusal:
                forge.authenticate(build(case))
            messages.setdefault(refusal.value.message, case["name"])
    assert len(messages) == 1


def test_expired_tokens_get_awss_sentences():
    for offsets, sentence in (
        ({"exp": forge.NOW - 61}, "Token expired"),
        ({"iat": forge.NOW - 90_000}, "Token too old"),
    ):
        with pytest.raises(errors.Expired) as refusal:
            forge.authenticate(forge.good_token(**offsets))
        assert refusal.value.message.startswith(sentence)


def test_an_unknown_audience_gets_awss_sentence():
    with pytest.raises(errors.AudienceMismatch) as refusal:
        forge.authenticate(forge.good_token(aud="evil"))
    assert refusal.value.message == "Incorrect token audience"


def test_the_unverified_issuer_may_only_choose():
    token = parse_id_token(forge.good_token(iss="https://evil.example"))
    assert token.unverified_issuer == "https://evil.example"
    assert "evil" not in repr(token)
