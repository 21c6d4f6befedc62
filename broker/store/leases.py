"""Leases: one process of all nodes does a thing at a time, and another one goes on should it die."""

from __future__ import annotations

from sqlalchemy import Connection, insert, or_, select, update

from broker.store.engine import Database
from broker.store.tables import leases


def take_lease(database: Database, name: str, holder: str, *, now: float, seconds: float) -> bool:
    """Whether ``holder`` has the lease now, for ``seconds`` from ``now`` (since the epoch) on.

    Nodes' clocks may be apart; what depends on a lease must hold without it too, only more dearly.
    """
    moment, table = int(now * 1000), leases.c
    with database.read() as connection:
        held = connection.execute(select(table.holder, table.expires_at).where(table.name == name)).one_or_none()
    if held is not None and held.holder != holder and held.expires_at > moment:
        return False
    with database.write() as connection:
        return _claim(connection, name, holder, moment, moment + int(seconds * 1000))


def _claim(connection: Connection, name: str, holder: str, moment: int, until: int) -> bool:
    table = leases.c
    free = or_(table.holder == holder, table.expires_at <= moment)
    renewed = update(leases).where(table.name == name, free).values(holder=holder, expires_at=until)
    if connection.execute(renewed).rowcount:
        return True
    if connection.execute(select(table.name).where(table.name == name)).one_or_none() is not None:
        return False
    connection.execute(insert(leases).values(name=name, holder=holder, expires_at=until))
    return True
