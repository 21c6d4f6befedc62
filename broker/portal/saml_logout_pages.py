"""Single logout (SAML Profiles 4.4): the provider ends a person's sessions here, or we have it end its own.

Ours is over first, whatever the provider answers. A message counts only if the provider signed it, and once.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from flask import Blueprint, Response, request

from broker.audit.event import CallRecord, render
from broker.errors import BrokerError
from broker.portal.saml_pages import PATH, find_saml_provider, redeem_all, send
from broker.portal.saml_pending import LIFETIME, Pending, forget, new_relay_state, recall, remember
from broker.saml.keys import subject_principal
from broker.saml.service import live_provider, logout_url, service_provider
from broker.store.assertion_claims import Claim
from broker.store.audit_events import append_records
from broker.store.identity_providers import ProviderRecord
from broker.web.calls import record_refusal, sign_in_record
from broker.web.sessions import BrowserSession
from broker.web.site import SIGN_IN, Site
from providers.errors import MalformedEvidence, ProviderError
from providers.saml.bindings import POST, REDIRECT
from providers.saml.document import MESSAGE
from providers.saml.logout import LogoutMessage, LogoutRequest, LogoutResponse

_EVENT = "Logout"
_REMEMBERED = timedelta(minutes=10)
"""Longer than a message may be under way."""


def saml_logout_pages(site: Site) -> Blueprint:
    pages = site.pages("saml_logout", PATH, check_forms=False)

    @pages.route("/slo", methods=["GET", "POST"])
    def logout(account: str, name: str) -> Response:
        record, call = find_saml_provider(site, account, name), sign_in_record(site.visit(), _EVENT)
        call.recipient, call.identity_provider = record.account, record.arn
        try:
            message = _read(site, record)
            if isinstance(message, LogoutRequest):
                return _end_sessions(site, record, message, call)
            return _finish(site, record, message, call)
        except (BrokerError, ProviderError) as error:
            record_refusal(site.services, call, error)
            return site.refuse(error, reference=call.request_id)

    return pages


def leave_provider(site: Site, session: BrowserSession) -> Response | None:
    """The page that has the provider end its session too, after ours has ended; None if there is nothing to do."""
    services, external, now = site.services, session.person.external, site.visit().now
    record = services.catalog.provider(external.provider) if external and external.kind == "saml" else None
    if record is None or external is None:
        return None
    relay_state = new_relay_state()
    try:
        message = service_provider(services, record, now).ask_for_logout(
            live_provider(services, record).metadata,
            external.identity.subject,
            external.logout,
            external.session_index,
            relay_state,
        )
    except ProviderError:
        return None  # its metadata has no place for it
    sentence = "You are signed out here. Your identity provider signs you out everywhere else."
    response = send(site, message, sentence, by_link=True)
    expires_at = int((now + LIFETIME).timestamp())
    remember(response, services.master_key, Pending(message.id, record.arn, relay_state, SIGN_IN, expires_at))
    return response


def _read(site: Site, record: ProviderRecord) -> LogoutMessage:
    """Raises ProviderError."""
    query = request.environ["QUERY_STRING"] if request.method == "GET" else None
    if any(len(request.form.getlist(name)) > 1 for name in request.form):
        raise MalformedEvidence(MESSAGE, detail="wire: a parameter twice")
    here = logout_url(site.services, record)
    provider = live_provider(site.services, record)
    return provider.read_logout(query, request.form.to_dict(), here, now=site.visit().now)


def _end_sessions(site: Site, record: ProviderRecord, message: LogoutRequest, call: CallRecord) -> Response:
    """The provider's wish: the sessions of its indexes, or all of the subject's."""
    services, now = site.services, site.visit().now
    call.identify(subject_principal(record, message.subject))
    with services.database.write() as connection:
        redeem_all(connection, _claim(record, message, now))
        ended = sum(
            site.sessions.end_subject(connection, record.arn, message.subject, index)
            for index in message.session_indexes or (None,)
        )
        call.response = {"Logout": "Success", "SessionsEnded": ended}
        append_records(connection, [render(call)])
    binding = REDIRECT if request.method == "GET" else POST
    answer = service_provider(services, record, now).answer_logout(
        live_provider(services, record).metadata, message.id, binding, message.relay_state, done=True
    )
    return send(site, answer, "You are signed out here.")


def _finish(site: Site, record: ProviderRecord, message: LogoutResponse, call: CallRecord) -> Response:
    """What became of our own request. Raises AccessDenied if this browser has none."""
    services, now = site.services, site.visit().now
    pending = recall(request, services.master_key, record.arn, message.in_response_to, message.relay_state, now)
    call.response = {"Logout": "Success" if message.success else "Partial"}
    with services.database.write() as connection:
        redeem_all(connection, pending.claim(now))
        append_records(connection, [render(call)])
    response = site.redirect(pending.next_path)
    forget(response, pending)
    return response


def _claim(record: ProviderRecord, message: LogoutRequest, now: datetime) -> Claim:
    digest = hashlib.sha256(f"saml-logout\x00{record.arn}\x00{message.id}".encode()).hexdigest()
    return Claim(digest, digest, int(now.timestamp()), int((now + _REMEMBERED).timestamp()))
