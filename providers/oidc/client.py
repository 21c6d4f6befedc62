"""Sign-in of people at an OpenID Connect provider: the two requests of the authorization code flow, by Authlib.

OpenID Connect Core 1.0, 3.1, with PKCE (RFC 7636) always. Where the provider's pages are comes from its discovery
document; everything is fetched by ``providers.fetch``. The ID token is judged elsewhere (``provider``).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from authlib.oauth2.client import OAuth2Client

from providers.errors import ClaimRejected, MalformedEvidence, ProviderUnreachable
from providers.fetch import Document, Fetcher, Trust
from providers.oidc.token import read_object

_BASIC, _POST = "client_secret_basic", "client_secret_post"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What a discovery document says. ``names_issuer``: answers carry ``iss`` (RFC 9207)."""

    issuer: str
    authorization: str
    token: str
    secret_in_form: bool
    names_issuer: bool


@dataclass(frozen=True, slots=True)
class Client:
    """Who we are at a provider; without a secret a public client."""

    client_id: str
    secret: str | None = field(repr=False)
    scopes: tuple[str, ...]
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What an authorization request asked with; the answer has to fit it."""

    state: str
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


def discover(fetcher: Fetcher, issuer: str, trust: Trust) -> Endpoints:
    """Where the provider's endpoints are (OpenID Connect Discovery 1.0, 4). Raises ProviderUnreachable."""
    document = fetcher.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration", trust)
    try:
        metadata = read_object(document.body, "discovery document")
    except MalformedEvidence as error:
        raise _unusable(error.detail) from None
    if metadata.get("issuer") != issuer:
        raise _unusable("the document is of another issuer")
    methods = metadata.get("token_endpoint_auth_methods_supported", [_BASIC])
    return Endpoints(
        issuer,
        _address(metadata, "authorization_endpoint", issuer),
        _address(metadata, "token_endpoint", issuer),
        isinstance(methods, list) and _BASIC not in methods and _POST in methods,
        metadata.get("authorization_response_iss_parameter_supported") is True,
    )


def authorization_url(endpoints: Endpoints, client: Client, asked: Asked, *, login_hint: str = "") -> str:
    """Where the browser goes."""
    more = {"login_hint": login_hint} if login_hint else {}
    url, _state = _oauth(endpoints, client, None).create_authorization_url(
        endpoints.authorization, state=asked.state, code_verifier=asked.verifier, nonce=asked.nonce, **more
    )
    return str(url)


def check_answer(endpoints: Endpoints, answer: Mapping[str, str]) -> str:
    """The code of an authorization response. Raises ClaimRejected: the provider refused, or it is another one's."""
    issuer = answer.get("iss")
    if (issuer is None and endpoints.names_issuer) or (issuer is not None and issuer != endpoints.issuer):
        raise ClaimRejected("The answer is not this identity provider's.", detail="iss is missing or another's")
    if "error" in answer:
        detail = f"{answer['error'][:128]}: {answer.get('error_description', '')[:512]}"
        raise ClaimRejected("The identity provider did not sign you in.", detail=detail)
    if not answer.get("code"):
        raise MalformedEvidence("The identity provider's answer has no code.", detail="code is missing")
    return answer["code"]


def redeem(fetcher: Fetcher, endpoints: Endpoints, client: Client, asked: Asked, code: str, trust: Trust) -> str:
    """The ID token for a code, as text. Raises ClaimRejected, MalformedEvidence, ProviderUnreachable."""
    session = _FetchSession(fetcher, trust)
    try:
        _oauth(endpoints, client, session).fetch_token(
            endpoints.token, grant_type="authorization_code", code=code, code_verifier=asked.verifier
        )
    except _Refused as refused:
        raise ClaimRejected("The identity provider did not sign you in.", detail=refused.detail) from None
    token = session.answer.get("id_token")
    if not isinstance(token, str):
        raise MalformedEvidence("The identity provider sent no ID token.", detail="id_token is missing")
    return token


def check_nonce(claims: Mapping[str, Any], asked: Asked) -> None:
    """The token was made for this very request (OpenID Connect Core 1.0, 3.1.3.7, 11). Raises ClaimRejected."""
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode("utf-8", "replace"), asked.nonce.encode()):
        raise ClaimRejected("The ID token was not made for this sign-in.", detail="nonce is missing or another")


class _Refused(Exception):
    """The token endpoint answered with an error."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


_ANSWERS = (200, 400, 401)
"""Of a token endpoint: credentials, or why there are none (RFC 6749, 5.2)."""


class _Auth(Protocol):
    def prepare(
        self, method: str, uri: str, headers: Mapping[str, str], body: str
    ) -> tuple[str, Mapping[str, str], str]: ...


class _FetchSession:
    """What Authlib takes for an HTTP session; ``answer`` is the last JSON object that came."""

    def __init__(self, fetcher: Fetcher, trust: Trust) -> None:
        self._fetcher = fetcher
        self._trust = trust
        self.answer: dict[str, Any] = {}

    def post(self, url: str, *, data: Mapping[str, str], headers: Mapping[str, str], auth: _Auth) -> _Answer:
        address, sent, body = auth.prepare("POST", url, dict(headers), urlencode(data))
        self.answer = _object(self._fetcher.post(address, body.encode("ascii"), sent, self._trust, taken=_ANSWERS))
        return _Answer(self.answer)


@dataclass(frozen=True, slots=True)
class _Answer:
    content: dict[str, Any]
    status_code: int = 200

    def json(self) -> dict[str, Any]:
        return self.content


def _object(document: Document) -> dict[str, Any]:
    answer = read_object(document.body, "token response")
    if document.status != 200:
        raise _Refused(f"{str(answer.get('error'))[:128]}: {str(answer.get('error_description', ''))[:512]}")
    return answer


def _oauth(endpoints: Endpoints, client: Client, session: _FetchSession | None) -> OAuth2Client:
    method = "none" if client.secret is None else (_POST if endpoints.secret_in_form else _BASIC)
    return OAuth2Client(
        session,
        client_id=client.client_id,
        client_secret=client.secret,
        token_endpoint_auth_method=method,
        scope=" ".join(client.scopes),
        redirect_uri=client.redirect_uri,
        code_challenge_method="S256",
    )


def _address(metadata: Mapping[str, Any], name: str, issuer: str) -> str:
    """Raises ProviderUnreachable unless it is an absolute URL, https where the issuer is."""
    found = metadata.get(name)
    if not isinstance(found, str) or not found.isascii() or len(found) > 2_048:
        raise _unusable(f"{name} is missing")
    parts = urlsplit(found)
    allowed = ("https",) if issuer.startswith("https://") else ("https", "http")
    if parts.scheme not in allowed or not parts.hostname or any(character <= " " for character in found):
        raise _unusable(f"{name} is no https URL")
    return found


def _unusable(detail: str) -> ProviderUnreachable:
    return ProviderUnreachable("The identity provider's configuration cannot be used.", detail=f"discovery: {detail}")
