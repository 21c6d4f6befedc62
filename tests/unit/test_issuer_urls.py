"""URLs of issuers: what tokens may say in ``iss``, and nothing that a policy could misunderstand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import ValidationFailed
from broker.issuer_urls import check_issuer


@pytest.mark.parametrize(
    "url",
    [
        "https://token.actions.githubusercontent.com",
        "https://accounts.google.com",
        "https://tenant.auth0.com/",
        "https://oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF",
        "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
        "https://keycloak.example.com:8443/realms/Team%20A",
        "https://[2001:db8::1]:8443/x",
        "https://awsome.example.com",
        "https://aws.example.com",
    ],
)
def test_issuers(url: str) -> None:
    check_issuer(url, allow_http_loopback=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "https://-a.example.com",
        "https://a.example.com-",
        "https://a b",
        "https://a.example.com?x",
        "https://a.example.com#x",
        "https://a@b.example.com",
        "https://a.example.com/*",
        "https://a.example.com/${x}",
        "https://a.example.com/\n",
        "https://a.example.com\n",
        "https://ä.example.com",
        "https://a.example.com\\x",
        "javascript://a",
        "https://aws",
        "https://IAM",
        "https://sts:443",
        "https://saml:1/x",
        "https://ldap",
        "http://a.example.com",
    ],
)
def test_what_is_none(url: str) -> None:
    with pytest.raises(ValidationFailed, match="Invalid Open ID Connect Provider URL"):
        check_issuer(url, allow_http_loopback=False)


@given(st.text(max_size=60))
def test_what_passes_can_stand_in_an_arn_and_before_a_condition_key(rest: str) -> None:
    url = f"https://{rest}"
    try:
        check_issuer(url, allow_http_loopback=True)
    except ValidationFailed:
        return
    assert not set(rest) & set('*?${}#\\"<> @') or "@" in rest.partition("/")[2]
    assert rest.isascii()
    assert rest.isprintable()
    assert rest.partition("/")[0].partition(":")[0].lower() not in {"aws", "sts", "iam", "saml", "ldap"}
