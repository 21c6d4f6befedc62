"""Managed policies as the configuration and the product make them, and as decisions read them."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from broker.errors import ConfigurationError
from broker.store.managed_policies import (
    PolicyRecord,
    find_managed_policy,
    find_managed_policy_by_name,
    insert_managed_policy,
)
from broker.store.policy_versions import (
    Version,
    add_version,
    delete_version,
    list_versions,
    replace_default_version,
    set_default_version,
)
from broker.store.tables import entities, managed_policies, policy_attachments

_DOCUMENT = select(managed_policies.c.document).where(managed_policies.c.arn == bindparam("arn"))


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
    """Make the policy, or bring the one of that name to this state: its default version is replaced in place.

    With its path its ARN changes; it stays attached to what it was attached to, and stays the boundary it was.
    """
    known = find_managed_policy_by_name(connection, account, name)
    if known is None:
        made = PolicyRecord(new_id, account, name, path, arn, "", {}, 1, 1, declared, now, now)
        insert_managed_policy(connection, made, document)
        return
    if find_policy(connection, known.arn) != document:
        replace_default_version(connection, known.id, Version(known.default_version, document, now))
    attached = policy_attachments.c.policy_arn == known.arn  # detached meanwhile: the database holds on to the old ARN
    holders = list(connection.execute(select(policy_attachments.c.entity_id).where(attached)).scalars())
    connection.execute(delete(policy_attachments).where(attached))
    values = {"name": name, "path": path, "arn": arn, "declared": declared}
    connection.execute(update(managed_policies).where(managed_policies.c.id == known.id).values(**values))
    for holder in holders:
        connection.execute(insert(policy_attachments).values(entity_id=holder, policy_arn=arn))
    bounded = entities.c.permissions_boundary == known.arn
    connection.execute(update(entities).where(bounded).values(permissions_boundary=arn))


def put_product_policy(connection: Connection, policy: PolicyRecord, document: str, *, versions: int) -> bool:
    """Make a policy that the product brings along, or give it a new version; whether anything was to do.

    Of its versions the newest ``versions`` are kept.
    """
    known = find_managed_policy(connection, policy.arn)
    if known is None:
        insert_managed_policy(connection, policy, document)
        return True
    if find_policy(connection, policy.arn) == document:
        return False
    newest = Version(known.last_version + 1, document, policy.updated_at)
    add_version(connection, known.id, newest)
    set_default_version(connection, known.id, newest)
    for old in list_versions(connection, known.id)[versions:]:
        delete_version(connection, known.id, old.number)
    return True


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
    return connection.execute(_DOCUMENT, {"arn": arn}).scalar()


def find_policy_owner(connection: Connection, arn: str) -> str | None:
    """The account of the managed policy of this ARN; empty for those that the product brings along."""
    row = connection.execute(select(managed_policies.c.account).where(managed_policies.c.arn == arn)).first()
    return None if row is None else row[0] or ""
