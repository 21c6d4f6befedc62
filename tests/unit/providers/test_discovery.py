"""Discovery, and one issuer from end to end: registration, discovery, keys, token, over real loopback HTTP."""

from __future__ import annotations

import json

import forge
import pytest
from loopback import as_json, hang, http, serving

from providers.base import IdentityProvider
from providers.errors import ProviderUnreachable, SignatureInvalid
from providers.fetch import Document, Fetcher, Trust
from providers.oidc.discovery import fetch_keys
from providers.oidc.jwks import FetchGate
from providers.oidc.token import parse_id_token
from providers.registry import FACTORIES, Surroundings

DISCOVERY = "/.well-known/openid-configuration"
TRUST = Trust("pem", ("0" * 40,))


class Documents:
    """A fetcher of documents that lie ready."""

    def __init__(self, **documents):
        self.documents, self.asked = {name.replace("_", "/"): value for name, value in documents.items()}, []

    def get(self, url, trust):
        assert trust == TRUST
        self.asked.append(url)
        value = self.documents["discovery" if url.endswith(DISCOVERY) else "jwks"]
        return Document(value if isinstance(value, bytes) else json.dumps(value).encode(), 77)


def metadata(**members):
    found = {"issuer": forge.ISSUER, "jwks_uri": "https://keys.example/jwks"} | members
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize(
    ("issuer", "address"),
    [
        ("https://idp.example", "https://idp.example" + DISCOVERY),
        ("https://idp.example/", "https://idp.example" + DISCOVERY),
        ("https://idp.example/realms/a", "https://idp.example/realms/a" + DISCOVERY),
    ],
)
def test_the_keys_are_where_the_document_says(issuer, address):
    documents = Documents(discovery=metadata(issuer=issuer), jwks=forge.issuer_jwks())
    keys, max_age = fetch_keys(documents, issuer, TRUST)
    assert documents.asked == [address, "https://keys.example/jwks"]
    assert set(keys) == {*forge.ALGORITHMS, "bare"}
    assert max_age == 77


@pytest.mark.parametrize(
    "document",
    [
        metadata(issuer="https://evil.example"),
        metadata(issuer="https://idp.example/"),
        metadata(issuer="https://IDP.example"),
        metadata(issuer=["https://idp.example"]),
        metadata(issuer=None),
        metadata(jwks_uri=None),
        metadata(jwks_uri=["https://keys.example/jwks"]),
        metadata(jwks_uri="http://keys.example/jwks"),
        metadata(jwks_uri="http://127.0.0.1/jwks"),
        metadata(jwks_uri="file:///etc/passwd"),
        metadata(jwks_uri="HTTPS://keys.example/jwks"),
        metadata(jwks_uri=""),
        [metadata()],
        b"",
        b"<html>",
        b"null",
        b'{"issuer": "https://idp.example", "issuer": "https://idp.example", "jwks_uri": "https://keys.example/"}',
        b"\xef\xbb\xbf{}",
    ],
)
def test_another_document_is_refused_and_no_key_fetched(document):
    documents = Documents(discovery=document, jwks=forge.issuer_jwks())
    with pytest.raises(ProviderUnreachable) as refusal:
        fetch_keys(documents, forge.ISSUER, TRUST)
    assert len(documents.asked) == 1
    assert refusal.value.detail.startswith("discovery: ")
    assert "example" not in refusal.value.message


def test_a_key_set_that_is_none_is_refused():
    with pytest.raises(ProviderUnreachable):
        fetch_keys(Documents(discovery=metadata(), jwks=b"{}"), forge.ISSUER, TRUST)


def settings(issuer, **members):
    return {
        "issuer": issuer,
        "client_ids": [forge.CLIENT],
        "leeway_seconds": 60,
        "max_lifetime_seconds": 86_400,
        "allow_several_audiences": False,
        "jwks": None,
        "ca": None,
        "thumbprints": [],
    } | members


def make(issuer, **members) -> IdentityProvider:
    fetcher = Fetcher(allow_http_loopback=True, timeout_seconds=0.25)
    return FACTORIES["oidc"](
        forge.ARN,
        settings(issuer, **members),
        Surroundings(fetcher, FetchGate(4), 3_600, 5, lambda name, sealed: sealed),
    )


def use(provider, token):
    return provider.authenticate(parse_id_token(token), now=forge.MOMENT)


def publish(server, jwks=None):
    base = server.url("")
    server.answers |= {
        DISCOVERY: as_json({"issuer": base, "jwks_uri": f"{base}/jwks"}),
        "/jwks": http(jwks or forge.issuer_jwks()),
    }
    return base


def test_a_token_of_a_registered_issuer():
    with serving({None: http(status="404 Not Found")}) as server:
        issuer = publish(server)
        provider = make(issuer)
        for _ in range(3):
            identity = use(provider, forge.good_token(iss=issuer))
        assert (identity.provider, identity.issuer, identity.subject) == (forge.ARN, issuer, "user-1")
        assert server.paths() == [DISCOVERY, "/jwks"]


def test_jwt_07_nothing_that_a_header_names_is_fetched():
    with serving({None: http()}) as server, serving({None: http(forge.issuer_jwks())}) as evil:
        issuer = publish(server)
        provider = make(issuer)
        for member in ("jku", "x5u"):
            header = {"alg": "RS256", "kid": "RS256", member: evil.url("/jwks")}
            token = forge.make_token(header, forge.base_claims() | {"iss": issuer}, key="evil-RSA")
            with pytest.raises(SignatureInvalid):
                use(provider, token)
        assert evil.connections == 0


def test_uploaded_keys_are_never_fetched():
    with serving({None: http(status="404 Not Found")}) as server:
        issuer = publish(server)
        provider = make(issuer, jwks=forge.issuer_jwks().decode())
        provider.prefetch()
        assert use(provider, forge.good_token(iss=issuer)).subject == "user-1"
        with pytest.raises(SignatureInvalid):
            use(provider, forge.make_token({"alg": "RS256", "kid": "x"}, {"iss": issuer}))
        assert server.connections == 0


@pytest.mark.parametrize(
    "answer", [http(status="500 Error"), http(b"", "Location: /jwks", status="302 Found"), http(b"a" * 70_000), hang]
)
@pytest.mark.parametrize("path", [DISCOVERY, "/jwks"])
def test_jwt_30_an_issuer_that_does_not_answer_properly(path, answer):
    with serving({}) as server:
        issuer = publish(server)
        server.answers[path] = answer
        with pytest.raises(ProviderUnreachable) as refusal:
            use(make(issuer), forge.good_token(iss=issuer))
        assert issuer not in refusal.value.message
        assert refusal.value.detail


def test_jwt_30_an_issuers_document_leads_nowhere_inside():
    with serving({}) as server:
        issuer = publish(server)
        for inside in ("http://169.254.169.254/latest", "https://10.0.0.1/jwks", "https://[::ffff:7f00:1]/jwks"):
            server.answers[DISCOVERY] = as_json({"issuer": issuer, "jwks_uri": inside})
            with pytest.raises(ProviderUnreachable) as refusal:
                use(make(issuer), forge.good_token(iss=issuer))
            assert "no address that may be reached" in refusal.value.detail


def test_prefetch_has_the_keys_before_the_first_token():
    with serving({}) as server:
        provider = make(publish(server))
        provider.prefetch()
        use(provider, forge.good_token(iss=server.url("")))
        assert server.paths() == [DISCOVERY, "/jwks"]
