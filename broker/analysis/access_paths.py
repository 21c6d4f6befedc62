"""Who can become whom: the ways from users, roles and identity providers to roles, one role session after the other.

An edge is a decision of the policy engine: may this principal assume this role, by its own policies and the role's
trust policy? Conditions on things that are not known here (tags, addresses) count as they would without them; MFA
counts as present, so that no way is overlooked for that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from broker.catalog import Catalog, RoleView, UserView
from broker.domain.arn import assumed_role_arn
from broker.domain.principal import Principal, PrincipalKind
from broker.policy.context import principal_context, request_context
from broker.policy.evaluate import AccessRequest, PolicySet, evaluate
from broker.store.entities import Kind, list_entities
from broker.store.identity_providers import list_registered_arns

ADMINISTRATIVE = (
    "iam:AddUserToGroup",
    "iam:AttachGroupPolicy",
    "iam:AttachRolePolicy",
    "iam:AttachUserPolicy",
    "iam:CreatePolicyVersion",
    "iam:PutGroupPolicy",
    "iam:PutRolePolicy",
    "iam:PutUserPolicy",
    "iam:SetDefaultPolicyVersion",
    "iam:UpdateAssumeRolePolicy",
)
"""Whoever may do one of these to anything can give itself every permission."""

_EXTERNAL: Mapping[str, tuple[PrincipalKind, str]] = {
    "oidc-provider": (PrincipalKind.WEB_IDENTITY, "sts:AssumeRoleWithWebIdentity"),
    "saml-provider": (PrincipalKind.SAML_IDENTITY, "sts:AssumeRoleWithSAML"),
}
_ALL = 1_000_000
_SESSION = "path"


@dataclass(frozen=True, slots=True)
class Node:
    """A user, a role or an identity provider, as it asks. ``administrative``: see ``ADMINISTRATIVE``."""

    arn: str
    principal: Principal
    view: UserView | RoleView | None
    action: str = "sts:AssumeRole"
    administrative: bool = False


@dataclass(frozen=True, slots=True)
class AccessGraph:
    """Everybody of an account; ``edges`` leads from an ARN to those of the roles that it can assume."""

    nodes: Mapping[str, Node]
    edges: Mapping[str, Sequence[str]]

    def reachable(self, start: str) -> dict[str, list[str]]:
        """Each role that ``start`` can become, with the shortest way to it."""
        ways = {start: [start]}
        waiting = deque([start])
        while waiting:
            arn = waiting.popleft()
            for role in self.edges.get(arn, ()):
                if role not in ways:
                    ways[role] = [*ways[arn], role]
                    waiting.append(role)
        del ways[start]
        return ways

    def reaching(self, role: str) -> dict[str, list[str]]:
        """Everybody that can become ``role``, with the shortest way."""
        found = ((arn, self.reachable(arn).get(role)) for arn in self.nodes if arn != role)
        return {arn: way for arn, way in found if way is not None}

    def to_administrator(self, start: str) -> list[str] | None:
        """The shortest way of ``start`` to somebody who can do everything; itself alone, if it can."""
        if start in self.nodes and self.nodes[start].administrative:
            return [start]
        ways = [way for role, way in self.reachable(start).items() if self.nodes[role].administrative]
        return min(ways, key=len, default=None)


def access_graph(connection: Connection, catalog: Catalog, account: str, now: datetime | None = None) -> AccessGraph:
    """All of ``account``: as many decisions as it has principals times roles."""
    moment = now or datetime.now(UTC)
    nodes = {node.arn: node for node in _nodes(connection, catalog, account)}
    nodes = {arn: _judged(node, moment) for arn, node in nodes.items()}
    roles = [node.view for node in nodes.values() if isinstance(node.view, RoleView)]
    edges = {arn: [role.role.arn for role in roles if _may_assume(node, role, moment)] for arn, node in nodes.items()}
    return AccessGraph(nodes, edges)


def _nodes(connection: Connection, catalog: Catalog, account: str) -> Iterable[Node]:
    kinds: tuple[Kind, ...] = ("user", "role")
    for kind in kinds:
        for entity in list_entities(connection, account, kind, limit=_ALL):
            if kind == "user" and (user := catalog.user(entity.id)) is not None:
                principal = Principal(PrincipalKind.USER, account, entity.arn, entity.id, user_name=entity.name)
                yield Node(entity.arn, principal, user)
            elif (role := catalog.role(entity.arn)) is not None:
                session = assumed_role_arn(account, entity.name, _SESSION)
                unique_id = f"{entity.id}:{_SESSION}"
                kind_of = PrincipalKind.ROLE_SESSION
                principal = Principal(kind_of, account, session, unique_id, role_arn=entity.arn, role_id=entity.id)
                yield Node(entity.arn, principal, role)
    for arn in list_registered_arns(connection, account):
        if (external := _EXTERNAL.get(arn.split(":", 5)[5].partition("/")[0])) is not None:
            yield Node(arn, Principal(external[0], account, arn, "*"), None, external[1])


def _may_assume(node: Node, role: RoleView, now: datetime) -> bool:
    if node.arn == role.role.arn:
        return False
    policies = PolicySet(
        identity=node.view.identity if node.view else (),
        boundary=node.view.boundary if node.view else None,
        resource=role.trust,
        resource_is_trust=True,
    )
    return _allowed(node, node.action, role.role.arn, policies, now)


def _judged(node: Node, now: datetime) -> Node:
    """The node, and whether it can give itself every permission."""
    if node.view is None:
        return node
    policies = PolicySet(identity=node.view.identity, boundary=node.view.boundary)
    able = any(_allowed(node, action, "*", policies, now) for action in ADMINISTRATIVE)
    return Node(node.arn, node.principal, node.view, node.action, able)


def _allowed(node: Node, action: str, resource: str, policies: PolicySet, now: datetime) -> bool:
    context = request_context(now, None, None, True) | principal_context(node.principal)
    context["aws:MultiFactorAuthPresent"] = ("true",)
    request = AccessRequest(node.principal, action, resource, node.principal.account, context)
    return evaluate(request, policies).allowed
