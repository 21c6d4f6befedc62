"""One flow for all federations: evidence -> identity -> trust policy -> credentials.

What an identity is made of differs (``web_identity``, ``saml``); from there on all go the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from broker.authorization import Context, decide, explained, unexplained
from broker.catalog import RoleView
from broker.domain.principal import Principal
from broker.errors import AccessDenied
from broker.policy.context import principal_context
from broker.policy.evaluate import AccessRequest, PolicySet
from broker.services import Caller, Services
from broker.session_requests import SessionRequest, role_context
from broker.sts.role_sessions import IssuedSession, issue_session


class Federated(msgspec.Struct, frozen=True):
    """A verified external identity on its way into a role.

    ``action`` is what the trust policy must allow, ``context`` the identity's condition keys, ``kept`` those that stay
    for the session's life. The session ends at ``ends_by`` at the latest.
    """

    action: str
    principal: Principal
    subject: str
    context: Context
    kept: Context = msgspec.field(default_factory=dict)
    ends_by: datetime | None = None


def federate(
    services: Services, caller: Caller, role_arn: str, federated: Federated, request: SessionRequest
) -> IssuedSession:
    """Ask the role's trust policy, and issue the session. Raises AccessDenied, and what issuing raises."""
    view = _ask_trust_policy(services, caller, role_arn, federated, request)
    provider = federated.principal.arn
    return issue_session(
        services,
        caller,
        view,
        request,
        provider=provider,
        federation=federated.kept,
        subject=(provider, federated.subject),
        ends_by=federated.ends_by,
    )


def not_authorized(services: Services, caller: Caller, action: str, account: str, detail: str) -> AccessDenied:
    """The refusal of whom no trust policy was asked about; to the caller it looks like any other."""
    return unexplained(services, caller, f"Not authorized to perform {action}", account, detail)


def _ask_trust_policy(
    services: Services, caller: Caller, arn: str, federated: Federated, request: SessionRequest
) -> RoleView:
    """The role, if its trust policy lets this identity in. Raises AccessDenied, the same if there is no such role."""
    caller.record.resources.append(arn)
    principal, action = federated.principal, federated.action
    view = services.catalog.role(arn)
    if view is None:
        raise not_authorized(services, caller, action, principal.account, "the role does not exist")
    caller.record.recipient = view.role.account
    policies = PolicySet(resource=view.trust, resource_is_trust=True)
    for access in _questions(caller, view, federated, request):
        if not decide(access, policies).allowed:
            raise explained(services, caller, f"Not authorized to perform {access.action}", access, policies)
    return view


def is_let_in(caller: Caller, view: RoleView, federated: Federated, request: SessionRequest) -> bool:
    """Whether the role's trust policy lets this identity in; nothing is recorded of it."""
    policies = PolicySet(resource=view.trust, resource_is_trust=True)
    return all(decide(access, policies).allowed for access in _questions(caller, view, federated, request))


def _questions(
    caller: Caller, view: RoleView, federated: Federated, request: SessionRequest
) -> Iterator[AccessRequest]:
    """What the trust policy has to allow: the action itself, and what the session is to have besides."""
    principal = federated.principal
    context: Context = {
        **caller.context(),
        **principal_context(principal),
        **federated.context,
        **request.context(),
        **role_context(view, {}),
    }
    context["aws:FederatedProvider"] = (principal.arn,)
    for needed in (federated.action, *request.extra_actions()):
        yield AccessRequest(principal, needed, view.role.arn, view.role.account, context)
