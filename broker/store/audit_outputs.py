"""How far the sealed record was read by whoever reads it in order."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from broker.store.tables import audit_outputs


def find_position(connection: Connection, name: str) -> int | None:
    """The next leaf for the reader ``name``; None if it has never read."""
    query = select(audit_outputs.c.leaf).where(audit_outputs.c.name == name)
    return connection.execute(query).scalar_one_or_none()


def put_position(connection: Connection, name: str, leaf: int) -> None:
    moved = update(audit_outputs).where(audit_outputs.c.name == name).values(leaf=leaf)
    if not connection.execute(moved).rowcount:
        connection.execute(insert(audit_outputs).values(name=name, leaf=leaf))
