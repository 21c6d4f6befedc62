"""Sign-in through an OpenID Connect provider: away to it, and back with a code.

1. A ticket remembers the request: provider, nonce, PKCE verifier, browser, and where to go afterwards. Its name is the
``state``. 2. The answer comes to an address of the provider's own, with the state of this browser, once. 3. It is this
provider's (``iss``). 4. The code is redeemed with the verifier. 5. The ID token is verified as on the wire, and was
made for us and for this request. RFC 9700, 2.1 and 4; OpenID Connect Core 1.0, 3.1.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import msgspec
from flask import Blueprint, Response, request

from broker.credentials.provider_secrets import unseal_client_secret
from broker.domain.arn import oidc_provider_arn
from broker.errors import AccessDenied, BrokerError, NotFound
from broker.store.identity_providers import ProviderRecord
from broker.tickets import Tickets
from broker.web import cookies
from broker.web.sign_in import refuse_sign_in, start_session_for
from broker.web.site import SIGN_IN, Site, new_value, own_path
from providers.errors import AudienceMismatch, ProviderError
from providers.fetch import Trust
from providers.oidc.client import (
    Asked,
    Client,
    Endpoints,
    authorization_url,
    check_answer,
    check_nonce,
    discover,
    redeem,
)
from providers.oidc.token import parse_id_token

_KIND = "oidc"
_LIFE = timedelta(minutes=10)
_ENDPOINTS_SECONDS = 300.0
_LONGEST_HINT = 256


class Pending(msgspec.Struct, frozen=True):
    """An authorization request. ``browser`` is a digest of the cookie that the answer has to come with."""

    provider: str
    nonce: str
    verifier: str
    browser: str
    next_path: str


@dataclass(frozen=True, slots=True)
class _Known:
    record: ProviderRecord
    endpoints: Endpoints
    until: float


def oidc_path(record: ProviderRecord) -> str:
    """Where the provider's sign-in begins; ``/callback`` below the same path is what it sends people back to."""
    return f"{SIGN_IN}/{record.account}/oidc/{record.issuer.partition('://')[2].rstrip('/')}"


def oidc_pages(site: Site) -> Blueprint:
    pages = site.pages("oidc")
    services = site.services
    tickets = Tickets(services.database, services.master_key)
    known: dict[str, _Known] = {}

    def endpoints_of(record: ProviderRecord) -> Endpoints:
        """Those of the discovery document, read again after some minutes or another registration."""
        found = known.get(record.arn)
        if found is None or found.record != record or found.until < monotonic():
            endpoints = discover(services.providers.fetcher, record.issuer, _trust(record))
            found = known[record.arn] = _Known(record, endpoints, monotonic() + _ENDPOINTS_SECONDS)
        return found.endpoints

    @pages.get(f"{SIGN_IN}/<account>/oidc/<path:issuer>/login")
    def login(account: str, issuer: str) -> Response:
        record, visit = _provider(site, account, issuer), site.visit()
        next_path = own_path(request.args.get("next"))
        try:
            endpoints = endpoints_of(record)
        except ProviderError as error:
            return refuse_sign_in(site, record.account, error, next_path=next_path)
        browser = visit.cookie or new_value()
        nonce, verifier = new_value(), new_value()
        pending = Pending(record.arn, nonce, verifier, _digest(browser), next_path)
        state = tickets.put(_KIND, record.account, pending, visit.now, _LIFE)
        hint = request.args.get("login_hint", "")[:_LONGEST_HINT]
        asked = Asked(state, nonce, verifier)
        response = site.leave(authorization_url(endpoints, _client(site, record), asked, login_hint=hint))
        if visit.cookie is None:
            cookies.set_cookie(response, cookies.VISITOR, browser)
        return response

    @pages.get(f"{SIGN_IN}/<account>/oidc/<path:issuer>/callback")
    def callback(account: str, issuer: str) -> Response:
        record, visit = _provider(site, account, issuer), site.visit()
        answer = request.args.to_dict()
        state = answer.get("state", "")
        pending = tickets.take(_KIND, state, Pending, visit.now)  # 1, 2: whatever is wrong with it, it is used up
        next_path = None if pending is None else pending.next_path
        try:
            fits = pending is not None and pending.provider == record.arn
            if pending is None or not fits or not _same_browser(pending, visit.cookie):
                raise AccessDenied(
                    "This sign-in was not begun in this browser, or took too long. Please try again.",
                    detail="no pending request of this state, provider and browser",
                )
            asked, endpoints, client = (
                Asked(state, pending.nonce, pending.verifier),
                endpoints_of(record),
                _client(site, record),
            )
            code = check_answer(endpoints, answer)  # 3
            text = redeem(services.providers.fetcher, endpoints, client, asked, code, _trust(record))  # 4
            token = parse_id_token(text)
            identity = services.providers.get(record).authenticate(token, now=visit.now)  # 5
            check_nonce(token.unverified_claims, asked)
            if identity.audience[0] != client.client_id:
                raise AudienceMismatch("The ID token was made for another client.", detail="aud is another client id")
            claims = identity.attributes
            index = next(iter(claims.get("sid", ())), None)
            return start_session_for(
                site, record, identity, amr=_methods(claims), session_index=index, next_path=next_path
            )
        except (BrokerError, ProviderError) as error:
            return refuse_sign_in(site, record.account, error, next_path=next_path)

    return pages


def _provider(site: Site, account: str, issuer: str) -> ProviderRecord:
    """The provider that people can sign in through. Raises NotFound."""
    for spelled in (issuer, f"{issuer}/"):
        record = site.services.catalog.provider(oidc_provider_arn(account, spelled))
        if record is not None and record.kind == "oidc" and record.settings.get("sign_in"):
            return record
    raise NotFound("There is no such identity provider to sign in through.")


def _client(site: Site, record: ProviderRecord) -> Client:
    settings: Any = record.settings["sign_in"]
    sealed = settings["sealed_secret"]
    secret = None if sealed is None else unseal_client_secret(site.services.master_key, record.arn, sealed).reveal()
    address = f"{site.services.settings.pages_url()}{oidc_path(record)}/callback"
    return Client(settings["client_id"], secret, tuple(settings["scopes"]), address)


def _trust(record: ProviderRecord) -> Trust:
    return Trust(record.settings["ca"], tuple(record.settings["thumbprints"]))


def _same_browser(pending: Pending, cookie: str | None) -> bool:
    return cookie is not None and hmac.compare_digest(pending.browser, _digest(cookie))


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("ascii")).hexdigest()


def _methods(claims: Any) -> tuple[str, ...]:
    """How the provider says that it was (``amr``, RFC 8176)."""
    return (
        "fed",
        *(word for word in claims.get("amr", ())[:8] if word.isascii() and word.isalnum() and len(word) < 16),
    )


def oidc_title(record: ProviderRecord) -> str:
    """What the provider's button says."""
    title: str = record.settings["sign_in"].get("title", "")
    return title or urlsplit(record.issuer).hostname or record.issuer
