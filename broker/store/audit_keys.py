"""The keys that sign tree heads and digest files of the audit record."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, insert, select

from broker.store.tables import audit_keys


@dataclass(frozen=True, slots=True)
class AuditKeyRow:
    """A key as stored. ``public_key`` is SubjectPublicKeyInfo in DER; times are seconds since the epoch."""

    id: str
    algorithm: str
    origin: str
    sealed_private_key: bytes = field(repr=False)
    public_key: bytes
    created_at: int
    active_from: int


def list_audit_keys(connection: Connection) -> list[AuditKeyRow]:
    """All keys, those that sign from the latest moment on first."""
    rows = connection.execute(select(audit_keys).order_by(audit_keys.c.active_from.desc(), audit_keys.c.id))
    return [AuditKeyRow(*row) for row in rows]


def insert_audit_key(connection: Connection, row: AuditKeyRow) -> None:
    connection.execute(
        insert(audit_keys).values(
            id=row.id,
            algorithm=row.algorithm,
            origin=row.origin,
            sealed_private_key=row.sealed_private_key,
            public_key=row.public_key,
            created_at=row.created_at,
            active_from=row.active_from,
        )
    )
