"""Trust policies: who may assume a role. Checked, bound to unique ids when saved, shown with ARNs.

IAM User Guide, "How IAM roles work" and "AWS JSON policy elements: Principal" (see ``policy.binding``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection

from broker.domain.role import Role
from broker.errors import MalformedPolicy
from broker.iam.changes import record_change
from broker.iam.named import authorized_entity, changeable
from broker.policy.binding import bind_principals, bound_ids, shown_document
from broker.policy.document import PolicyKind, parse_policy
from broker.policy.quotas import check_trust_policy_size
from broker.services import Caller, Services
from broker.shared_issuers import careless_trust
from broker.store.accounts import list_accounts
from broker.store.entities import find_arn, find_arns, find_unique_id
from broker.store.roles import set_trust_policy


def update_assume_role_policy(services: Services, caller: Caller, *, role_name: str, policy_document: str) -> None:
    """Put another trust policy in place of a role's (AWS IAM UpdateAssumeRolePolicy).

    Raises MalformedPolicy, LimitExceeded.
    """
    role = authorized_entity(services, caller, "iam:UpdateAssumeRolePolicy", "role", role_name)
    check_trust_policy(policy_document, services.settings.quotas.trust_policy)
    with services.database.change() as connection:
        changeable(connection, role)
        set_trust_policy(connection, role.id, bind_trust_policy(connection, policy_document))
        record_change(connection, caller)


def check_trust_policy(document: str, limit: int) -> None:
    """Raises MalformedPolicy with the place of the mistake, LimitExceeded.

    As AWS does for some issuers, trust in all customers of a shared issuer is refused.
    """
    parse_policy(document, PolicyKind.TRUST)
    check_trust_policy_size(document, limit)
    problem = careless_trust(document)
    if problem:
        raise MalformedPolicy(f"The trust policy is too open: {problem}")


def bind_trust_policy(connection: Connection, document: str) -> str:
    """The document to store. Raises MalformedPolicy for users and roles that do not exist."""
    return bind_principals(
        document,
        accounts=list_accounts(connection),
        find_id=partial(find_unique_id, connection),
        find_arn=partial(find_arn, connection),
    )


def shown_roles(connection: Connection, roles: Sequence[Role]) -> list[Role]:
    """The roles with their trust policies as readers see them: one query, however many there are."""
    bound = [bound_ids(role.trust_policy) for role in roles]
    arns = find_arns(connection, set().union(*bound))
    return [
        replace(role, trust_policy=shown_document(role.trust_policy, arns.get)) if ids else role
        for role, ids in zip(roles, bound, strict=True)
    ]
