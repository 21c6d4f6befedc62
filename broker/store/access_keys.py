"""Long-term access keys; their secrets arrive and leave sealed (``credentials.long_term``)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from broker.store.tables import access_keys


@dataclass(frozen=True, slots=True)
class AccessKeyRow:
    """A long-term key as stored; ``user_id`` is None for the account's root key."""

    id: str
    account: str
    user_id: str | None
    active: bool
    sealed_secret: bytes


def put_access_key(connection: Connection, row: AccessKeyRow, *, declared: bool, now: int) -> None:
    """Make the key, or replace the one of this id."""
    connection.execute(delete(access_keys).where(access_keys.c.id == row.id))
    connection.execute(
        insert(access_keys).values(
            id=row.id,
            account=row.account,
            user_id=row.user_id,
            status="Active" if row.active else "Inactive",
            sealed_secret=row.sealed_secret,
            declared=declared,
            created_at=now,
        )
    )


def delete_declared_access_keys(connection: Connection, *, keep: Iterable[str]) -> list[str]:
    """Delete what was declared once and is not among the ids ``keep``; the ids of what went."""
    gone = access_keys.c.declared & access_keys.c.id.not_in(list(keep))
    ids = list(connection.execute(select(access_keys.c.id).where(gone).order_by(access_keys.c.id)).scalars())
    connection.execute(delete(access_keys).where(gone))
    return ids


def find_access_key(connection: Connection, key_id: str) -> AccessKeyRow | None:
    row = connection.execute(
        select(access_keys.c.account, access_keys.c.user_id, access_keys.c.status, access_keys.c.sealed_secret).where(
            access_keys.c.id == key_id
        )
    ).first()
    return None if row is None else AccessKeyRow(key_id, row[0], row[1], row[2] == "Active", row[3])
