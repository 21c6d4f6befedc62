"""Sign-in at a SAML provider (SAML Profiles 4.1): our metadata, the way there, and the way back.

Whoever arrives: 1. one response; 2. verified (``providers/saml/provider.py``); 3. it answers a request of this very
browser, once, or the provider may send people unasked; 4. the assertion is used up; 5. a session begins. 4 and 5 are
one transaction with the one audit event.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, request
from sqlalchemy import Connection

from broker.assertion_claims import whole_claim
from broker.domain.arn import ACCOUNT_ID, saml_provider_arn
from broker.domain.principal import Principal
from broker.errors import AccessDenied, AssertionReplayed, BrokerError
from broker.portal.saml_pending import LIFETIME, Pending, forget, new_relay_state, recall, remember
from broker.saml.service import live_provider, service_provider
from broker.settings import SAML_PATH
from broker.store.assertion_claims import Claim, Redemption, redeem
from broker.store.identity_providers import ProviderRecord
from broker.sts.external import external_principal
from broker.web.headers import protect
from broker.web.sign_in import refuse_sign_in, start_session_for
from broker.web.site import Site, own_path
from providers.base import SamlResponse
from providers.errors import MalformedEvidence, ProviderError
from providers.saml.bindings import OutgoingMessage
from providers.saml.document import MESSAGE
from providers.saml.provider import SignIn
from providers.saml.response import parse_saml_response

PATH = f"{SAML_PATH}/<account>/<name>"
_NAME = re.compile(r"[\w.-]{1,128}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]")


def saml_pages(site: Site) -> Blueprint:
    """Other sites' pages send forms here: what protects them is the signature, and the cookie of the request."""
    pages = site.pages("saml", PATH, check_forms=False)
    services = site.services

    @pages.get("/metadata")
    def metadata(account: str, name: str) -> Response:
        """What the provider's administrator registers."""
        service = service_provider(services, find_saml_provider(site, account, name), site.visit().now)
        response = Response(service.metadata(), content_type="application/samlmetadata+xml")
        return protect(response, secure=site.visit_is_secure())

    @pages.get("/login")
    def login(account: str, name: str) -> Response:
        """To the provider, with a request that this browser has to bring back."""
        record, now = find_saml_provider(site, account, name), site.visit().now
        relay_state = new_relay_state()
        message = service_provider(services, record, now).ask_for_sign_in(
            live_provider(services, record).metadata, relay_state
        )
        response = send(site, message, "Sign-in continues at your identity provider.")
        next_path = own_path(request.args.get("next"))
        expires_at = int((now + LIFETIME).timestamp())
        remember(response, services.master_key, Pending(message.id, record.arn, relay_state, next_path, expires_at))
        return response

    @pages.post("/acs")
    def arrive(account: str, name: str) -> Response:
        """From the provider, with its response."""
        record = find_saml_provider(site, account, name)
        principal: Principal | None = None
        try:
            found = live_provider(services, record).sign_in(_response(), now=site.visit().now)  # 2
            principal = external_principal(record, found.identity)
            return _begin(site, record, found)
        except (BrokerError, ProviderError) as error:
            return refuse_sign_in(site, record.account, error, principal=principal)

    return pages


def find_saml_provider(site: Site, account: str, name: str) -> ProviderRecord:
    """The provider that a path names; 404 if there is none."""
    if not ACCOUNT_ID.fullmatch(account) or not _NAME.fullmatch(name):
        abort(404)
    record = site.services.catalog.provider(saml_provider_arn(account, name))
    if record is None or record.kind != "saml":
        abort(404)
    return record


def send(site: Site, message: OutgoingMessage, sentence: str, *, by_link: bool = False) -> Response:
    """Let the browser carry a message to the provider. ``by_link``: from a page of ours, because a form led here, and
    browsers do not let a form be redirected to elsewhere (CSP, ``form-action``)."""
    if message.fields:
        return site.render(
            "portal/saml_send.html",
            form_action=_form_action(message.address),
            address=message.address,
            fields=message.fields,
            sentence=sentence,
        )
    if by_link:
        return site.render("portal/saml_send.html", address=message.address, fields={}, sentence=sentence)
    return site.leave(message.address)


def redeem_all(connection: Connection, *claims: Claim) -> None:
    """Use up what may be used once, within the transaction of what comes of it. Raises AssertionReplayed."""
    if Redemption.REFUSED in redeem(connection, claims):
        raise AssertionReplayed("This answer has been used already.", detail="the message was used before")


def _response() -> SamlResponse:
    """1. The form's one response."""
    given = request.form.getlist("SAMLResponse")
    if len(given) != 1:
        raise MalformedEvidence(MESSAGE, detail=f"wire: {len(given)} responses")
    return parse_saml_response(given[0])


def _begin(site: Site, record: ProviderRecord, found: SignIn) -> Response:
    now = site.visit().now
    pending = _asked(site, record, found)  # 3
    claims = [whole_claim(record, found.identity, now)]  # 4
    if pending is not None:
        claims.append(pending.claim(now))
    response = start_session_for(  # 5
        site,
        record,
        found.identity,
        session_index=found.session_index,
        logout=found.known_as,
        next_path=own_path(request.form.get("RelayState")) if pending is None else pending.next_path,
        within=lambda connection: redeem_all(connection, *claims),
    )
    if pending is not None:
        forget(response, pending)
    return response


def _asked(site: Site, record: ProviderRecord, found: SignIn) -> Pending | None:
    """The request that is answered; None for a provider that may send people unasked. Raises AccessDenied."""
    if found.in_response_to is not None:
        relay_state = request.form.get("RelayState", "")
        key, now = site.services.master_key, site.visit().now
        return recall(request, key, record.arn, found.in_response_to, relay_state, now)
    if not record.settings["idp_initiated"]:
        raise AccessDenied(
            "Please begin the sign-in here, not at your identity provider.",
            detail="InResponseTo: none, and the provider's registration does not allow IdP-initiated sign-in",
        )
    return None


def _form_action(address: str) -> tuple[str, ...]:
    """Where the page's form may go: to the provider, and on to wherever that sends it by https."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
    if not _HOST.fullmatch(host):
        return ("https:",)
    return (f"{parts.scheme}://{parts.netloc}", "https:")
