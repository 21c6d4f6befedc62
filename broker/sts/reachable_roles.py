"""Which roles may this person assume? The trust policies of all accounts say it.

What the answer shows is decided again, by the same policies, when a role is chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from broker.authorization import caller_context, decide
from broker.callers import load_identity
from broker.catalog import RoleView
from broker.errors import BrokerError
from broker.policy.context import Context, principal_context
from broker.policy.evaluate import AccessRequest, PolicySet
from broker.services import Caller, Services
from broker.session_requests import SessionRequest, role_context
from broker.store.identity_providers import ProviderRecord
from broker.sts.external import asked_of, lets_choose, registration_for
from providers.base import ExternalIdentity


@dataclass(frozen=True, slots=True)
class ReachableRole:
    """``needs_mfa``: a second factor would open it, and nothing else is missing."""

    account: str
    name: str
    arn: str
    description: str
    max_session_duration: int
    needs_mfa: bool = False


def roles_of_user(services: Services, caller: Caller, session_name: str) -> list[ReachableRole]:
    """The roles that a user of ours may assume, now or with a second factor."""
    identity = load_identity(services, caller.authenticated())
    request = SessionRequest(session_name=session_name, tags={})
    plain = {**caller_context(caller, identity), **request.context()}
    with_mfa = {**plain, "aws:MultiFactorAuthPresent": ("true",), "aws:MultiFactorAuthAge": ("0",)}
    contexts = ((_RoleContexts(plain), False), (_RoleContexts(with_mfa), True))
    found = []
    for view in services.catalog.all_roles():
        policies = identity.policy_set(view.trust)
        for known, needs_mfa in contexts:
            access = AccessRequest(
                identity.principal, "sts:AssumeRole", view.role.arn, view.role.account, known.of(view)
            )
            if decide(access, policies).allowed:
                found.append(_shown(view, needs_mfa=needs_mfa))
                break
    return found


def roles_of_external(
    services: Services, caller: Caller, record: ProviderRecord, identity: ExternalIdentity
) -> list[ReachableRole]:
    """The roles that somebody external may assume."""
    allowed = lets_choose(record, identity)
    by_account: dict[str, list[RoleView]] = {}
    for view in services.catalog.all_roles():
        if allowed is None or view.role.arn in allowed:
            by_account.setdefault(view.role.account, []).append(view)
    found: list[ReachableRole] = []
    for account, views in by_account.items():
        try:
            there = registration_for(services, record, identity, account)
            found += _let_in(caller, there, identity, views)
        except BrokerError:
            continue  # what it asks of a session is not acceptable: choosing a role says why
    return found


def _let_in(
    caller: Caller, record: ProviderRecord, identity: ExternalIdentity, views: Iterable[RoleView]
) -> list[ReachableRole]:
    federated, request = asked_of(record, identity, caller.now)
    contexts = _RoleContexts(
        {
            **caller.context(),
            **principal_context(federated.principal),
            **federated.context,
            **request.context(),
            "aws:FederatedProvider": (federated.principal.arn,),
        }
    )
    found = []
    for view in views:
        known = contexts.of(view)
        policies = PolicySet(resource=view.trust, resource_is_trust=True)
        if all(
            decide(
                AccessRequest(federated.principal, action, view.role.arn, view.role.account, known), policies
            ).allowed
            for action in (federated.action, *request.extra_actions())
        ):
            found.append(_shown(view))
    return found


class _RoleContexts:
    """A person's condition keys with those of a role: one context for all roles of an account that have no tags."""

    def __init__(self, context: Mapping[str, tuple[str, ...]]) -> None:
        self._context = context
        self._untagged: dict[str, Context] = {}

    def of(self, view: RoleView) -> Context:
        if view.role.tags:
            return Context({**self._context, **role_context(view, {})})
        found = self._untagged.get(view.role.account)
        if found is None:
            found = self._untagged[view.role.account] = Context({**self._context, **role_context(view, {})})
        return found


def _shown(view: RoleView, *, needs_mfa: bool = False) -> ReachableRole:
    role = view.role
    return ReachableRole(role.account, role.name, role.arn, role.description, role.max_session_duration, needs_mfa)
