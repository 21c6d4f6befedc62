"""Why a role does not let this person in, in words that give nothing away: what the person has, not what is wanted."""

from __future__ import annotations

from broker.authorization import caller_context
from broker.callers import load_identity
from broker.errors import BrokerError
from broker.policy.context import principal_context
from broker.policy.evaluate import AccessRequest, PolicySet
from broker.policy.explain import explain
from broker.policy.miss import Failure, Miss, MissKind, quote
from broker.services import Caller, Services
from broker.session_requests import SessionRequest, role_context
from broker.store.identity_providers import ProviderRecord
from broker.sts.external import asked_of, lets_choose
from providers.base import ExternalIdentity

_NOT_NAMED = "Its trust policy does not name you, or there is no such role."
_NOT_IN_ASSERTION = "Your identity provider's answer did not name this role. Whoever looks after it can add it."
_MFA = "aws:multifactorauth"


def why_not_user(services: Services, caller: Caller, role_arn: str) -> str:
    """For a user of ours."""
    view = services.catalog.role(role_arn)
    identity = load_identity(services, caller.authenticated())
    principal = identity.principal
    if view is None or view.role.account != principal.account:
        return _NOT_NAMED
    request = SessionRequest(session_name=principal.user_name or "", tags={})
    context = {**caller_context(caller, identity), **request.context(), **role_context(view, {})}
    access = AccessRequest(principal, "sts:AssumeRole", role_arn, view.role.account, context)
    return _told(explain(access, identity.policy_set(view.trust)).nearest_miss)


def why_not_external(
    services: Services, caller: Caller, record: ProviderRecord, identity: ExternalIdentity, role_arn: str
) -> str:
    """For somebody external."""
    allowed = lets_choose(record, identity)
    if allowed is not None and role_arn not in allowed:
        return _NOT_IN_ASSERTION
    view = services.catalog.role(role_arn)
    if view is None or view.role.account != record.account:
        return _NOT_NAMED
    try:
        federated, request = asked_of(record, identity, caller.now)
    except BrokerError as error:
        return error.message
    context = {
        **caller.context(),
        **principal_context(federated.principal),
        **federated.context,
        **request.context(),
        **role_context(view, {}),
        "aws:FederatedProvider": (federated.principal.arn,),
    }
    policies = PolicySet(resource=view.trust, resource_is_trust=True)
    for action in (federated.action, *request.extra_actions()):
        trace = explain(AccessRequest(federated.principal, action, role_arn, view.role.account, context), policies)
        if not trace.decision.allowed:
            return _told(trace.nearest_miss)
    return "It lets you in now. Please try again."


def _told(miss: Miss | None) -> str:
    """The nearest miss without what the policy wants, which may be a secret between others (an external id)."""
    if miss is None or any(failure.element == "principal" for failure in miss.failures):
        return _NOT_NAMED
    if miss.kind is MissKind.EXPLICIT_DENY:
        return "A policy denies it explicitly."
    if miss.kind is MissKind.IDENTITY_SIDE:
        return "The role trusts your account, but none of your own policies allows sts:AssumeRole on it."
    if miss.kind in (MissKind.BOUNDARY, MissKind.SESSION_POLICY):
        return f"Your {miss.policy_type.noun} does not allow it."
    return " ".join(dict.fromkeys(map(_clause, miss.failures))) or _NOT_NAMED


def _clause(failure: Failure) -> str:
    if failure.element.lower().startswith(_MFA):
        return "It asks for a second factor, given lately."
    if failure.element == "action":
        return "Its trust policy names you, but for another way in."
    if not failure.actual:
        return f"It asks for {quote(failure.element)}, of which your sign-in says nothing."
    shown = ", ".join(quote(value) for value in failure.actual[:3])
    return f"Your {quote(failure.element)} is {shown}; the role's trust policy asks for something else."
