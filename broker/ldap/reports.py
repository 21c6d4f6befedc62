"""What would become of somebody whom a directory knows: which roles, and why not others. Nothing is issued."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from broker.catalog import RoleView
from broker.errors import BrokerError
from broker.ldap.identity import ACTION, AskedSession, ldap_context, ldap_principal, read_asked_session
from broker.policy.context import principal_context, request_context
from broker.policy.evaluate import AccessRequest, PolicySet, evaluate
from broker.policy.explain import explain
from broker.services import Services
from broker.session_requests import SessionRequest, role_context
from broker.store.identity_providers import ProviderRecord
from providers.base import ExternalIdentity


@dataclass(frozen=True, slots=True)
class RoleReport:
    """A role whose trust policy names the provider; ``reason`` says why it does not let the identity in."""

    role_arn: str
    allowed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LoginReport:
    """The session that the attributes ask for (or why it is refused), and the roles."""

    asked: AskedSession | None
    problem: str
    roles: tuple[RoleReport, ...]


def report_login(services: Services, record: ProviderRecord, identity: ExternalIdentity, now: datetime) -> LoginReport:
    """Ask every role's trust policy as STS would; what only a real request has (address, TLS) is missing."""
    try:
        asked = read_asked_session(record, identity)
    except BrokerError as error:
        return LoginReport(None, error.detail or error.message, ())
    views = (services.catalog.role(arn) for arn in services.catalog.roles_naming(record.account, record.arn))
    roles = tuple(_ask(record, identity, asked, view, now) for view in views if view is not None)
    return LoginReport(asked, "", roles)


def _ask(
    record: ProviderRecord, identity: ExternalIdentity, asked: AskedSession, view: RoleView, now: datetime
) -> RoleReport:
    principal = ldap_principal(record, identity)
    request = SessionRequest(asked.session_name, asked.tags, source_identity=asked.source_identity)
    context = {
        **request_context(now, None, None, True),
        **principal_context(principal),
        **ldap_context(identity),
        **request.context(),
        **role_context(view, {}),
        "aws:FederatedProvider": (record.arn,),
    }
    policies = PolicySet(resource=view.trust, resource_is_trust=True)
    for action in (ACTION, *request.extra_actions()):
        access = AccessRequest(principal, action, view.role.arn, view.role.account, context)
        if not evaluate(access, policies).allowed:
            trace = explain(access, policies)
            miss = trace.nearest_miss
            sentence = trace.decision.sentence() if miss is None else miss.sentence()
            return RoleReport(view.role.arn, False, f"{action}: {sentence}")
    return RoleReport(view.role.arn, True)
