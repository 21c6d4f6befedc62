"""Managed policies."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, insert, select, update

from broker.errors import ConfigurationError
from broker.store.tables import entities, managed_policies, policy_attachments


def put_policy(
    connection: Connection,
    *,
    new_id: str,
    account: str,
    name: str,
    path: str,
    arn: str,
    document: str,
    declared: bool,
    now: int,
) -> None:
    """Make the policy, or bring the one of that name to this state.

    With its path its ARN changes; it stays attached to what it was attached to, and stays the boundary it was.
    """
    key = name.lower()
    same = (managed_policies.c.account == account) & (managed_policies.c.name_key == key)
    known = connection.execute(select(managed_policies.c.arn).where(same)).scalar()
    values = {"name": name, "path": path, "arn": arn, "document": document, "declared": declared, "updated_at": now}
    if known is None:
        fresh = {"id": new_id, "account": account, "name_key": key, "tags": {}, "created_at": now}
        connection.execute(insert(managed_policies).values(**fresh, **values))
        return
    attached = policy_attachments.c.policy_arn == known  # detached meanwhile: the database holds on to the old ARN
    holders = list(connection.execute(select(policy_attachments.c.entity_id).where(attached)).scalars())
    connection.execute(delete(policy_attachments).where(attached))
    connection.execute(update(managed_policies).where(same).values(**values))
    for holder in holders:
        connection.execute(insert(policy_attachments).values(entity_id=holder, policy_arn=arn))
    bounded = entities.c.permissions_boundary == known
    connection.execute(update(entities).where(bounded).values(permissions_boundary=arn))


def delete_declared_policies(connection: Connection, *, keep: Iterable[str]) -> list[str]:
    """Delete what was declared once and is not among the ARNs ``keep``; the ARNs of what went.

    Raises ConfigurationError if one is still attached to something: it would lose a policy that may be a denial.
    """
    table = managed_policies.c
    gone = table.declared & table.arn.not_in(list(keep))
    arns = list(connection.execute(select(table.arn).where(gone).order_by(table.arn)).scalars())
    holder = connection.execute(
        select(entities.c.arn, policy_attachments.c.policy_arn)
        .join_from(policy_attachments, entities)
        .where(policy_attachments.c.policy_arn.in_(arns))
    ).first()
    if holder:
        raise ConfigurationError(f"policy {holder[1]} cannot be removed: it is attached to {holder[0]}")
    connection.execute(delete(managed_policies).where(gone))
    return arns


def find_policy(connection: Connection, arn: str) -> str | None:
    """The document of the managed policy of this ARN."""
    return connection.execute(select(managed_policies.c.document).where(managed_policies.c.arn == arn)).scalar()


def find_policy_owner(connection: Connection, arn: str) -> str | None:
    """The account of the managed policy of this ARN; empty for those that the product brings along."""
    row = connection.execute(select(managed_policies.c.account).where(managed_policies.c.arn == arn)).first()
    return None if row is None else row[0] or ""
