"""Somebody external who has signed in, on the way into a role: one row for each kind of identity provider.

The evidence was verified at sign-in, so there is none here; from the trust policy on all is as it is on the wire.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from broker.domain.arn import Arn
from broker.domain.principal import Principal
from broker.errors import AccessDenied, BrokerError
from broker.ldap.identity import ldap_principal
from broker.saml.attributes import read_asked_session, read_role_pairs
from broker.saml.keys import describe_subject, saml_principal
from broker.services import Caller, Services
from broker.session_requests import SessionRequest
from broker.store.identity_providers import ProviderRecord
from broker.sts.federation import Federated, federate, not_authorized
from broker.sts.ldap_identity import federated_ldap, ldap_session
from broker.sts.role_sessions import IssuedSession, parse_role_arn
from broker.sts.saml import federated_saml, saml_session
from broker.sts.web_identity import asked_session, federated_web_identity, web_identity_principal
from providers.base import ExternalIdentity

_NAMES = ("email", "preferred_username", "upn", "unique_name", "name", "sub")
"""The claims that may name a person's sessions, the best first."""
_FOREIGN = re.compile(r"[^\w+=,.@-]+", re.ASCII)
_LONGEST_NAME = 64

Asked = tuple[Federated, SessionRequest]


@dataclass(frozen=True, slots=True)
class _Kind:
    """``operation``: what the call is on the wire. ``lets``: the roles that the identity itself is good for; None if
    the trust policies alone say that."""

    operation: str
    principal: Callable[[ProviderRecord, ExternalIdentity], Principal]
    asked: Callable[[ProviderRecord, ExternalIdentity, datetime], Asked]
    lets: Callable[[ProviderRecord, ExternalIdentity], frozenset[str]] | None = None


def external_principal(record: ProviderRecord, identity: ExternalIdentity) -> Principal:
    """Who it is, as the audit record and trust policies see it."""
    return _kind(record).principal(record, identity)


def external_operation(record: ProviderRecord) -> str:
    """The STS operation that a choice of role stands for."""
    return _kind(record).operation


def asked_of(record: ProviderRecord, identity: ExternalIdentity, now: datetime) -> Asked:
    """The identity with its condition keys, and the session that it asks for. Raises BrokerError."""
    return _kind(record).asked(record, identity, now)


def lets_choose(record: ProviderRecord, identity: ExternalIdentity) -> frozenset[str] | None:
    """The ARNs of the roles that the provider lets this person choose; None if it leaves that to trust policies."""
    lets = _kind(record).lets
    return None if lets is None else lets(record, identity)


def providers_of(services: Services, record: ProviderRecord, accounts: list[str]) -> list[ProviderRecord]:
    """The registrations under which this person is known: of an OpenID Connect issuer one in each account may be."""
    if record.kind != "oidc":
        return [record]
    found = (services.catalog.identity_provider(account, record.issuer) for account in accounts)
    return [one for one in found if one is not None]


def registration_for(
    services: Services, record: ProviderRecord, identity: ExternalIdentity, account: str
) -> ProviderRecord:
    """The registration that counts for a role of ``account``. Raises AccessDenied.

    That of an OpenID Connect issuer is the role's own account's, which takes tokens of its client ids alone.
    """
    if record.kind != "oidc" or account == record.account:
        return record
    found = services.catalog.identity_provider(account, record.issuer)
    if found is None or identity.audience[0] not in found.settings["client_ids"]:
        raise AccessDenied(
            f"Not authorized to perform {_KINDS['oidc'].operation}",
            detail="the role's account does not have this issuer for this client",
        )
    return found


def assume_role_as(
    services: Services,
    caller: Caller,
    record: ProviderRecord,
    identity: ExternalIdentity,
    *,
    role_arn: str,
    duration_seconds: int | None = None,
) -> IssuedSession:
    """Credentials of a role for somebody who has signed in through ``record``.

    1. the registration that counts in the role's account; 2. the provider lets its subject choose the role; 3. the
    trust policy, and the session made. Raises AccessDenied and what the federation raises.
    """
    arn = parse_role_arn(role_arn)
    record = registration_for(services, record, identity, arn.account)  # 1
    federated, request = asked_of(record, identity, caller.now)
    caller.record.identify(federated.principal)
    allowed = lets_choose(record, identity)
    if allowed is not None and str(arn) not in allowed:  # 2
        detail = "the assertion does not name this role and provider"
        raise not_authorized(services, caller, federated.action, record.account, detail)
    request = msgspec.structs.replace(request, duration_seconds=duration_seconds)
    issued = federate(services, caller, str(arn), federated, request)  # 3
    if record.kind == "ldap":  # a directory is asked regularly whether its people are still there
        services.subjects.note(record, identity, caller.now)
    return issued


def session_name(identity: ExternalIdentity) -> str:
    """What a person's role sessions are called: 2 to 64 of the characters that AWS allows."""
    for name in _NAMES:
        for text in identity.attributes.get(name, ()):
            if len(found := _FOREIGN.sub("-", text).strip("-")[:_LONGEST_NAME]) > 1:
                return found
    return (_FOREIGN.sub("-", identity.subject).strip("-") or "person").ljust(2, "-")[:_LONGEST_NAME]


def _web_identity(record: ProviderRecord, identity: ExternalIdentity, now: datetime) -> Asked:
    return federated_web_identity(record, identity), asked_session(identity, session_name(identity))


def _saml_principal(record: ProviderRecord, identity: ExternalIdentity) -> Principal:
    return saml_principal(record, describe_subject(identity, record.account, Arn.parse(record.arn).name))


def _saml(record: ProviderRecord, identity: ExternalIdentity, now: datetime) -> Asked:
    asked = read_asked_session(identity.attributes)
    return federated_saml(record, identity, asked, now), saml_session(asked, None)


def _saml_lets(record: ProviderRecord, identity: ExternalIdentity) -> frozenset[str]:
    return frozenset(pair.role_arn for pair in read_role_pairs(identity.attributes) if pair.provider_arn == record.arn)


def _ldap(record: ProviderRecord, identity: ExternalIdentity, now: datetime) -> Asked:
    return federated_ldap(record, identity), ldap_session(record, identity)


_KINDS: Mapping[str, _Kind] = {
    "oidc": _Kind("AssumeRoleWithWebIdentity", web_identity_principal, _web_identity),
    "saml": _Kind("AssumeRoleWithSAML", _saml_principal, _saml, _saml_lets),
    "ldap": _Kind("AssumeRoleWithLDAPIdentity", ldap_principal, _ldap),
}


def _kind(record: ProviderRecord) -> _Kind:
    """Raises BrokerError for a kind that signs nobody in."""
    kind = _KINDS.get(record.kind)
    if kind is None:
        raise BrokerError(f"Identity providers of the kind {record.kind} do not sign people in.")
    return kind
