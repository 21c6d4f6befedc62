"""The end of every way to sign in: somebody is known, a session begins, and the browser goes to the role list.

``start_session_for`` is for those whom an identity provider vouched for, ``start_user_session`` for users of ours. A
sign-in that failed is told by ``refuse_sign_in``. Each leaves one ``ConsoleLogin`` event.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from flask import Response

from broker.audit.event import CallRecord, render
from broker.callers import user_principal
from broker.domain.principal import Principal
from broker.domain.role import User
from broker.errors import BrokerError
from broker.store.audit_events import append_records
from broker.store.identity_providers import ProviderRecord
from broker.sts.external import external_principal
from broker.web import cookies
from broker.web.calls import record_refusal, sign_in_record
from broker.web.sessions import External, Person
from broker.web.site import SIGN_IN, Site, own_path
from providers.base import ExternalIdentity
from providers.errors import ProviderError

_LOGIN = "ConsoleLogin"


def start_session_for(
    site: Site,
    provider: ProviderRecord,
    identity: ExternalIdentity,
    *,
    amr: tuple[str, ...] = ("fed",),
    session_index: str | None = None,
    logout: Mapping[str, str] | None = None,
    next_path: str | None = None,
) -> Response:
    """Sign in the person of a verified identity: a redirect to the role list, or to ``next_path`` if it is ours.

    Called while the request is served that brought the evidence, which is not checked here again: a replayed assertion
    or a response that nobody asked for has to be refused before. ``session_index`` and ``logout`` are what single
    logout needs (``broker.web.sessions.External``). Raises AccessDenied, Unavailable; nothing has happened then.
    """
    principal = external_principal(provider, identity)
    external = External(provider.kind, provider.arn, identity, session_index, logout or {})
    person = Person(provider.account, amr, identity.authenticated_at, external=external)
    record = sign_in_record(site.visit(), _LOGIN)
    record.identity_provider = provider.arn
    record.warnings += identity.warnings
    return _start(site, record, principal, person, next_path)


def start_user_session(site: Site, user: User, person: Person, next_path: str | None = None) -> Response:
    """Sign in a user of ours. Raises Unavailable."""
    return _start(site, sign_in_record(site.visit(), _LOGIN), user_principal(user), person, next_path)


def refuse_sign_in(
    site: Site,
    account: str,
    error: BrokerError | ProviderError,
    *,
    principal: Principal | None = None,
    next_path: str | None = None,
) -> Response:
    """Say on the sign-in page why not, and write it down."""
    record = sign_in_record(site.visit(), _LOGIN)
    record.recipient = account
    if principal is not None:
        record.identify(principal)
    record_refusal(site.services, record, error)
    address = site.href(f"{SIGN_IN}/{account}?next={quote(own_path(next_path), safe='')}")
    return site.render("problem.html", status=403, title="Sign-in failed", message=error.message, again=address)


def _start(site: Site, record: CallRecord, principal: Principal, person: Person, next_path: str | None) -> Response:
    visit = site.visit()
    record.identify(principal)
    record.response = {"ConsoleLogin": "Success"}
    record.additional = {"MFAUsed": "No" if person.mfa_at is None else "Yes", "amr": " ".join(person.amr)}
    with site.services.database.write() as connection:
        if visit.session is not None:
            site.sessions.end(connection, visit.session)
        cookie = site.sessions.begin(connection, person, visit.origin, visit.now)
        append_records(connection, [render(record)])
    response = site.redirect(own_path(next_path))
    cookies.set_cookie(response, cookies.SESSION, cookie)
    cookies.drop_cookie(response, cookies.VISITOR)
    return response
