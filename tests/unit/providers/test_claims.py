"""Claims become attributes: names, texts, collisions and limits; what an identity carries besides."""

from __future__ import annotations

from datetime import UTC, datetime

import forge
import pytest

from providers.errors import ClaimRejected, Expired, MalformedEvidence
from providers.oidc.claims import MAX_ATTRIBUTES, MAX_NAME, MAX_VALUES, flatten
from providers.registry import FACTORIES

GOOGLE = "https://accounts.google.com"


@pytest.mark.parametrize(
    ("claims", "attributes"),
    [
        ({}, {}),
        ({"a": "x"}, {"a": ("x",)}),
        ({"a": ""}, {"a": ("",)}),
        ({"a": None}, {}),
        ({"a": True, "b": False}, {"a": ("true",), "b": ("false",)}),
        ({"a": 0, "b": -1, "c": 9_007_199_254_740_993}, {"a": ("0",), "b": ("-1",), "c": ("9007199254740993",)}),
        ({"a": 10**100}, {"a": ("1" + "0" * 100,)}),
        ({"a": 1.5, "b": 1.0}, {"a": ("1.5",), "b": ("1.0",)}),
        ({"a": ["x", "y", "x"]}, {"a": ("x", "y", "x")}),
        ({"a": ["x", 1, True, None]}, {"a": ("x", "1", "true")}),
        ({"a": []}, {"a": ()}),
        ({"a": [{"b": 1}, ["c"], "d"]}, {"a": ("d",)}),
        ({"a": {"b": {"c": "x"}, "d": ["y"]}}, {"a.b.c": ("x",), "a.d": ("y",)}),
        ({"a": {}}, {}),
        ({"a.b": "x", "a:b": "y"}, {"a.b": ("x",), "a:b": ("y",)}),
        ({"https://e.example/c": {"k": "x"}}, {"https://e.example/c.k": ("x",)}),
        ({"": {"": "x"}}, {".": ("x",)}),
        ({"ключ": "значение"}, {"ключ": ("значение",)}),
    ],
)
def test_attributes(claims, attributes):
    assert flatten(claims) == attributes


@pytest.mark.parametrize(
    "claims",
    [
        {"a": {"b": 1}, "a.b": 2},
        {"a.b": 1, "a": {"b": 1}},
        {"a": {"b.c": 1, "b": {"c": 1}}},
        {"a": {"b": []}, "a.b": []},
        {"a" * (MAX_NAME + 1): 1},
        {"a" * MAX_NAME: {"b": 1}},
        {str(number): 1 for number in range(MAX_ATTRIBUTES + 1)},
        {"a": ["x"] * (MAX_VALUES + 1)},
        {"a": float("inf")},
        {"a": {"b": [float("-inf")]}},
        {"a": "\ud800"},
        {"\ud800": "a"},
        {"a": {"é\udfff": "a"}},
    ],
)
def test_claims_that_have_no_clear_meaning_are_refused(claims):
    with pytest.raises(MalformedEvidence):
        flatten(claims)


def test_the_limits_themselves_are_allowed():
    assert len(flatten({str(number): 1 for number in range(MAX_ATTRIBUTES)})) == MAX_ATTRIBUTES
    assert len(flatten({"a": ["x"] * MAX_VALUES})["a"]) == MAX_VALUES
    assert flatten({"a" * MAX_NAME: 1})


def google(**claims):
    rules = {"issuer": GOOGLE, "client_ids": ("app", "party")}
    return forge.authenticate(forge.good_token(iss=GOOGLE, **claims), **rules)


def test_googles_aud_key_is_the_authorized_party():
    identity = google(aud="app", azp="party")
    assert identity.audience == ("app",)
    assert (identity.attributes["aud"], identity.attributes["oaud"]) == (("party",), ("app",))


def test_googles_aud_key_without_a_party():
    attributes = google(aud="app").attributes
    assert attributes["aud"] == ("app",)
    assert "oaud" not in attributes


def test_googles_oaud_claim_cannot_be_chosen():
    assert google(aud="app", azp="party", oaud="forged").attributes["oaud"] == ("app",)


def test_a_party_that_is_not_registered_is_refused_of_google_too():
    with pytest.raises(ClaimRejected):
        google(aud="app", azp="evil")


def test_other_issuers_keep_their_aud():
    attributes = forge.authenticate(forge.good_token(azp="second")).attributes
    assert attributes["aud"] == (forge.CLIENT,)
    assert "oaud" not in attributes


@pytest.mark.parametrize(
    ("auth_time", "seconds"),
    [
        (forge.NOW - 100, forge.NOW - 100),
        (forge.NOW - 100.5, forge.NOW - 100.5),
        (None, forge.NOW - 5),
        (forge.NOW + 100, forge.NOW - 5),
        (0, forge.NOW - 5),
        (-1, forge.NOW - 5),
        (True, forge.NOW - 5),
        (str(forge.NOW), forge.NOW - 5),
        ([forge.NOW], forge.NOW - 5),
    ],
)
def test_when_the_subject_authenticated(auth_time, seconds):
    identity = forge.authenticate(forge.good_token(auth_time=auth_time))
    assert identity.authenticated_at == datetime.fromtimestamp(seconds, UTC)
    assert identity.expires_at == datetime.fromtimestamp(forge.NOW + 300, UTC)
    assert identity.authenticated_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("jti", "assertion_id"),
    [("x", "x"), ("x" * 256, "x" * 256), ("x" * 257, None), ("", None), (None, None), (1, None), (["x"], None)],
)
def test_the_tokens_id(jti, assertion_id):
    assert forge.authenticate(forge.good_token(jti=jti)).assertion_id == assertion_id


def test_jwt_18_the_subject_is_a_literal():
    for subject in ("User-1", "user-1 ", "user", "user-11", "*", "user-?"):
        assert forge.authenticate(forge.good_token(sub=subject)).subject == subject != "user-1"


def test_the_clock_decides():
    token = forge.good_token()
    for seconds, accepted in ((-64, True), (-66, False), (359, True), (360, False)):
        now = datetime.fromtimestamp(forge.NOW + seconds, UTC)
        try:
            forge.authenticate(token, now=now)
        except (MalformedEvidence, ClaimRejected, Expired):
            assert not accepted
        else:
            assert accepted


def test_the_registry_has_every_kind():
    assert set(FACTORIES) == {"oidc", "saml", "ldap"}
