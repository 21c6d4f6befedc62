"""The decision: which policies apply to a request, in which order, and who may say yes.

IAM User Guide, "Policy evaluation logic". The steps of ``evaluate``:

1. An explicit deny in any applicable policy ends the evaluation.
2. An external identity (SAML, web identity) is let in by the trust policy alone, and only in the account that
   registered its provider; an anonymous requester by any other resource-based policy.
3. The resource-based policy: a trust policy, or one between accounts, has to allow the requester.
4. In the same account, naming the user or the session itself is enough (table of ``Grant``).
5. The identity side: identity-based policies (or, in the same account, a grant to the role's own name), then
   permissions boundary, then session policy; each has to allow.

Where several policies refuse, the sentence names the first in the order of the steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from broker.domain.principal import Principal, PrincipalKind
from broker.policy import principals
from broker.policy.compile import CompiledPolicy, CompiledStatement
from broker.policy.context import Context, Metered, fold_keys
from broker.policy.decision import Decision, PolicyType
from broker.policy.index import StatementIndex
from broker.policy.principals import Grant

__all__ = ["AccessRequest", "Decision", "PolicySet", "PolicySource", "PolicyType", "evaluate"]


class AccessRequest(msgspec.Struct, frozen=True):
    """One principal asks for one action on one resource. Pass a ``Context`` to use it for several requests."""

    principal: Principal
    action: str
    resource: str
    resource_account: str
    context: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class PolicySource:
    """A policy and the name under which a decision refers to it (an ARN, or ``role/NAME inline POLICY``)."""

    name: str
    policy: CompiledPolicy


class PolicySet(msgspec.Struct, frozen=True):
    """Everything that applies to the request.

    ``resource_is_trust``: the resource policy is a trust policy (or a key policy): without its allow nothing else
    counts. ``session`` is None if no session policy was passed, which leaves a role session unlimited and a federated
    user session (GetFederationToken) without any permission. ``federated_by``: the user or root behind a federated
    user session, whose policies ``identity`` holds.
    """

    identity: tuple[PolicySource, ...] = ()
    resource: PolicySource | None = None
    resource_is_trust: bool = False
    boundary: PolicySource | None = None
    session: tuple[PolicySource, ...] | None = None
    federated_by: Principal | None = None


Found = tuple[PolicySource, CompiledStatement]


def evaluate(request: AccessRequest, policies: PolicySet) -> Decision:
    """The decision on ``request``. An error while evaluating is a denial with the error as its reason."""
    try:
        return _Evaluation(request, policies).decide()
    except Exception as error:  # noqa: BLE001 (whatever goes wrong in here, the answer is no)
        return Decision(False, False, None, request.action, error=f"{type(error).__name__}: {error}")


class _Evaluation:
    """One request with its parts made ready: action and service in lower case, context with folded keys."""

    __slots__ = ("action", "context", "policies", "request", "resource", "service")

    def __init__(self, request: AccessRequest, policies: PolicySet) -> None:
        self.request = request
        self.policies = policies
        self.action = request.action.lower()
        self.service = self.action.partition(":")[0]
        self.resource = request.resource
        context = request.context
        self.context = Metered(context.folded if type(context) is Context else fold_keys(context))

    def decide(self) -> Decision:
        principal, policies = self.request.principal, self.policies
        same_account = principal.account == self.request.resource_account
        # 1. explicit deny
        if denial := self.denial():
            return denial
        granted, grant = self.resource_grant(policies.resource) if policies.resource else (None, Grant.NONE)
        # 2. external identities, and nobody at all
        if principals.is_external(principal):
            return self.by_resource(granted if same_account else None)
        if principal.kind is PrincipalKind.ANONYMOUS:
            return self.by_resource(None if policies.resource_is_trust else granted)
        # 3. the resource's side
        if granted is None and (policies.resource_is_trust or not same_account):
            return self.by_resource(None)
        # 4. named in person
        if same_account and grant is Grant.DIRECT:
            return self.by_resource(granted)
        # 5. the identity's side
        return self.identity_side(granted if same_account and grant is Grant.BOUNDED else None)

    def denial(self) -> Decision | None:
        """The first explicit deny: resource-based, identity-based, boundary, session policy."""
        policies = self.policies
        if policies.resource is not None:
            principal, federated_by = self.request.principal, policies.federated_by
            for statement in self.candidates(policies.resource.policy.denies):
                if statement.binds(principal, federated_by) and self.applies(statement):
                    return self.deny(PolicyType.RESOURCE, (policies.resource, statement))
        if found := self.first_deny(policies.identity):
            return self.deny(PolicyType.IDENTITY, found)
        if policies.boundary is not None and (found := self.first_deny((policies.boundary,))):
            return self.deny(PolicyType.BOUNDARY, found)
        if policies.session and (found := self.first_deny(policies.session)):
            return self.deny(PolicyType.SESSION, found)
        return None

    def resource_grant(self, resource: PolicySource) -> tuple[Found | None, Grant]:
        """The resource-based statement that grants most to the requester."""
        principal, federated_by = self.request.principal, self.policies.federated_by
        best, found = Grant.NONE, None
        for statement in self.candidates(resource.policy.allows):
            worth = statement.grant(principal, federated_by)
            if worth > best and self.applies(statement):
                best, found = worth, (resource, statement)
        return found, best

    def by_resource(self, granted: Found | None) -> Decision:
        return self.allow(PolicyType.RESOURCE, granted) if granted else self.refuse(PolicyType.RESOURCE)

    def identity_side(self, bounded: Found | None) -> Decision:
        """Step 5; ``bounded`` is a grant to the requester's role in the same account's resource-based policy."""
        policies = self.policies
        allowing = bounded
        if allowing is None and not self.is_root():
            allowing = self.first_allow(policies.identity)
            if allowing is None:
                return self.refuse(PolicyType.IDENTITY)
        if policies.boundary is not None and self.first_allow((policies.boundary,)) is None:
            return self.refuse(PolicyType.BOUNDARY)
        session = policies.session
        if session is None and self.request.principal.kind is PrincipalKind.FEDERATED_USER:
            return self.refuse(PolicyType.SESSION)
        if session is not None and self.first_allow(session) is None:
            return self.refuse(PolicyType.SESSION)
        return self.allow(PolicyType.RESOURCE if bounded else PolicyType.IDENTITY, allowing)

    def is_root(self) -> bool:
        """The root user, or a federated user session that the root user made: its own account allows it everything."""
        owner = self.policies.federated_by or self.request.principal
        return owner.kind is PrincipalKind.ROOT

    def first_allow(self, sources: tuple[PolicySource, ...]) -> Found | None:
        for source in sources:
            for statement in self.candidates(source.policy.allows):
                if self.applies(statement):
                    return source, statement
        return None

    def first_deny(self, sources: tuple[PolicySource, ...]) -> Found | None:
        for source in sources:
            for statement in self.candidates(source.policy.denies):
                if self.applies(statement):
                    return source, statement
        return None

    def candidates(self, index: StatementIndex[CompiledStatement]) -> Sequence[CompiledStatement]:
        return index.candidates(self.service, self.action, self.resource)

    def applies(self, statement: CompiledStatement) -> bool:
        return statement.applies(self.action, self.resource, self.context)

    def allow(self, policy_type: PolicyType, found: Found | None) -> Decision:
        """Allowed by ``found``, or by no policy at all: the root user."""
        if found is None:
            return Decision(True, False, None, self.request.action)
        return Decision(True, False, policy_type, self.request.action, found[0].name, found[1].statement)

    def deny(self, policy_type: PolicyType, found: Found) -> Decision:
        return Decision(False, True, policy_type, self.request.action, found[0].name, found[1].statement)

    def refuse(self, policy_type: PolicyType) -> Decision:
        return Decision(False, False, policy_type, self.request.action)
