"""The key ring's rows."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from broker.store.tables import keys


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as stored. Times are seconds since the epoch."""

    id: int
    purpose: str
    sealed_material: bytes
    created_at: int
    active_from: int


def list_keys(connection: Connection, purpose: str) -> list[KeyRow]:
    """All keys of ``purpose``, the newest first."""
    rows = connection.execute(
        select(keys).where(keys.c.purpose == purpose).order_by(keys.c.active_from.desc(), keys.c.id)
    )
    return [KeyRow(*row) for row in rows]


def insert_key(connection: Connection, row: KeyRow) -> None:
    connection.execute(
        insert(keys).values(
            id=row.id,
            purpose=row.purpose,
            sealed_material=row.sealed_material,
            created_at=row.created_at,
            active_from=row.active_from,
        )
    )


def delete_key(connection: Connection, key_id: int) -> None:
    connection.execute(delete(keys).where(keys.c.id == key_id))
