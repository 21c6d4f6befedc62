"""Managed policies."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from broker.store.tables import managed_policies


def put_policy(
    connection: Connection, *, new_id: str, account: str, name: str, path: str, arn: str, document: str, now: int
) -> None:
    """Make the policy, or give it this document."""
    key = name.lower()
    same = (managed_policies.c.account == account) & (managed_policies.c.name_key == key)
    if connection.execute(select(managed_policies.c.id).where(same)).first() is None:
        connection.execute(
            insert(managed_policies).values(
                id=new_id,
                account=account,
                name=name,
                name_key=key,
                path=path,
                arn=arn,
                document=document,
                created_at=now,
            )
        )
    else:
        connection.execute(update(managed_policies).where(same).values(document=document))


def find_policy(connection: Connection, arn: str) -> str | None:
    """The document of the managed policy of this ARN."""
    return connection.execute(select(managed_policies.c.document).where(managed_policies.c.arn == arn)).scalar()
