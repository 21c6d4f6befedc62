"""What somebody does on a page, as a call: the same use cases, the same record, the same authorisation as on the wire.

Exactly one event for each, durable before the answer where something is issued or changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from broker.audit.event import CallRecord, render
from broker.aws.errors import wire_error
from broker.callers import user_principal
from broker.domain.secret import Secret
from broker.domain.session import Session, SessionKind
from broker.errors import AccessDenied, BrokerError
from broker.identifiers import new_uuid
from broker.services import Caller, Candidate, Services
from broker.sts.external import external_principal
from broker.web.sessions import BrowserSession
from broker.web.site import Site, Visit
from providers.errors import ProviderError

_T = TypeVar("_T")
SIGN_IN_EVENTS = "signin.amazonaws.com"
"""The event source of sign-in, sign-out and the like (AWS CloudTrail User Guide, "console sign-in events")."""


def new_record(visit: Visit, source: str, name: str) -> CallRecord:
    """The record of a page's call, of which nothing is known but where it comes from."""
    record = CallRecord(new_uuid(), visit.now, visit.origin.source_ip, visit.origin.user_agent)
    record.event_source, record.event_name = source, name
    return record


def sign_in_record(visit: Visit, name: str) -> CallRecord:
    """The record of a step of sign-in."""
    record = new_record(visit, SIGN_IN_EVENTS, name)
    record.event_type, record.read_only = "AwsConsoleSignIn", False
    return record


def caller_of(services: Services, visit: Visit, session: BrowserSession, record: CallRecord) -> Caller:
    """Who calls: a user of ours with its own policies, or somebody external, who has no permissions of its own.

    Raises AccessDenied if the user or the provider is gone.
    """
    person = session.person
    if person.external is not None:
        provider = services.catalog.provider(person.external.provider)
        if provider is None:
            raise AccessDenied("Your identity provider is not registered any more.", detail="the provider is gone")
        record.identify(external_principal(provider, person.external.identity))
        return Caller(visit.now, record, visit.secure)
    view = services.catalog.user(person.user_id or "")
    if view is None:
        raise AccessDenied("Your user does not exist any more.", detail="the user is gone")
    principal = user_principal(view.user)
    held = Session(
        account=principal.account,
        owner_arn=principal.arn,
        owner_id=principal.unique_id,
        session_name=view.user.name,
        issued_at=person.authenticated_at,
        expires_at=session.expires_at,
        mfa_authenticated_at=person.mfa_at,
        kind=SessionKind.USER,
    )
    record.identify(principal, session=held)
    return Caller(visit.now, record, visit.secure, Candidate(principal, Secret(""), session=held))


def issue(site: Site, record: CallRecord, work: Callable[[Caller], _T]) -> _T:
    """Have ``work`` issue something: its record is on disk before this returns."""
    record.read_only = True  # as STS's own events: nothing that is kept changes
    return _call(site, record, work, site.services.audit.record)


def look(site: Site, record: CallRecord, work: Callable[[Caller], _T]) -> _T:
    """Have ``work`` read something."""
    return _call(site, record, work, site.services.audit.record_soon)


def change(site: Site, record: CallRecord, work: Callable[[Caller], _T]) -> _T:
    """Have ``work`` change something; it writes its own record, within its transaction."""
    record.read_only = False

    def written(_text: str) -> None:
        if not record.written:
            raise RuntimeError(f"{record.event_name} left no record of what it changed")

    return _call(site, record, work, written)


def record_refusal(services: Services, record: CallRecord, error: BrokerError | ProviderError) -> None:
    """Write down why not; floods of nobody known are counted. Raises AuditUnavailable."""
    record.error_code, record.error_message = wire_error(error).code, error.message
    record.reason, record.response = error.detail, None
    if record.principal is None:
        services.audit.record_failure(record)
    else:
        services.audit.record_soon(render(record))


def _call(site: Site, record: CallRecord, work: Callable[[Caller], _T], written: Callable[[str], None]) -> _T:
    visit = site.visit()
    try:
        result = work(caller_of(site.services, visit, site.signed_in(), record))
    except (BrokerError, ProviderError) as error:
        record_refusal(site.services, record, error)
        raise
    if not record.written:
        record.response = record.response if record.response is not None else result
        written(render(record))
    return result
