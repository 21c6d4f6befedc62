"""Which policies give somebody access to a service (IAM User Guide, "Refining permissions with access information").

What counts is what identity policies allow: denials, boundaries and conditions are not looked at, for the question is
which policy to change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from broker.authorization import authorize
from broker.domain.arn import Arn
from broker.errors import InvalidInput, NotFound, ValidationFailed
from broker.iam.named import account_of_caller, entity_context
from broker.iam.pages import page_within
from broker.policy.document import Effect, PolicyKind, Statement, parse_policy
from broker.services import Caller, Services
from broker.store.entities import Entity, find_entity
from broker.store.group_members import list_groups_of
from broker.store.inline_policies import inline_policies_of
from broker.store.policies import find_policy
from broker.store.policy_usage import attached_policies

_KINDS = ("user", "group", "role")


@dataclass(frozen=True, slots=True)
class GrantingPolicy:
    """IAM ``PolicyGrantingServiceAccess``. An inline policy has no ARN, but an entity that it belongs to."""

    policy_name: str
    policy_type: str
    policy_arn: str | None = None
    entity_type: str | None = None
    entity_name: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceAccess:
    """IAM ``ListPoliciesGrantingServiceAccessEntry``."""

    service_namespace: str
    policies: Sequence[GrantingPolicy]


@dataclass(frozen=True, slots=True)
class ServiceAccessList:
    """IAM ``ListPoliciesGrantingServiceAccessResponse``."""

    policies_granting_service_access: Sequence[ServiceAccess]
    is_truncated: bool
    marker: str | None


def list_policies_granting_service_access(
    services: Services, caller: Caller, *, arn: str, service_namespaces: Sequence[str], marker: str | None = None
) -> ServiceAccessList:
    """Of each service the policies that allow something of it (AWS IAM ListPoliciesGrantingServiceAccess).

    A user has those of its groups too.
    """
    _check_arn(arn)
    with services.database.read() as connection:
        found = find_entity(connection, arn)
    if found is not None and found.account != account_of_caller(caller):
        found = None
    more = None if found is None else entity_context(found)
    authorize(services, caller, "iam:ListPoliciesGrantingServiceAccess", arn, more)
    if found is None:
        raise NotFound(f"ARN {arn} cannot be found.")
    with services.database.read() as connection:
        policies = list(_policies(connection, found))
    page = page_within(sorted(set(service_namespaces)), str, marker, None)
    return ServiceAccessList(
        [
            ServiceAccess(service, [policy for policy, document in policies if grants(document, service)])
            for service in page.items
        ],
        page.is_truncated,
        page.marker,
    )


def grants(document: str, service: str) -> bool:
    """Whether the policy allows any action of the service."""
    statements = parse_policy(document, PolicyKind.IDENTITY).statements
    return any(statement.effect is Effect.ALLOW and _reaches(statement, service.lower()) for statement in statements)


def _reaches(statement: Statement, service: str) -> bool:
    """``NotAction`` reaches every service of which it does not leave out all."""
    actions = {action.lower() for action in statement.actions}
    whole = {"*", "*:*", f"{service}:*"}
    if statement.not_action:
        return not actions & whole
    return bool(actions & whole) or any(action.partition(":")[0] == service for action in actions)


def _policies(connection: Connection, entity: Entity) -> Iterator[tuple[GrantingPolicy, str]]:
    """The identity policies of the entity, with their documents."""
    holders = [entity]
    if entity.kind == "user":
        holders += list_groups_of(connection, entity.id)
    ids = [holder.id for holder in holders]
    inline, attached = inline_policies_of(connection, ids), attached_policies(connection, ids)
    arns = {policy.policy_arn: policy.policy_name for holder in ids for policy in attached.get(holder, ())}
    for arn, name in arns.items():
        if (document := find_policy(connection, arn)) is not None:
            yield GrantingPolicy(name, "MANAGED", policy_arn=arn), document
    for holder in holders:
        for policy in inline.get(holder.id, ()):
            owner = GrantingPolicy(
                policy.policy_name, "INLINE", entity_type=holder.kind.upper(), entity_name=holder.name
            )
            yield owner, policy.policy_document


def _check_arn(arn: str) -> None:
    try:
        parsed = Arn.parse(arn)
    except ValidationFailed:
        parsed = None
    if parsed is None or parsed.service != "iam" or parsed.kind not in _KINDS:
        raise InvalidInput(f"ARN {arn} is not valid.")
