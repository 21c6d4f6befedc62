"""Leases: work that one process of all nodes does at a time, until it is done or its time is over."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, update

from broker.store.tables import leases

_C = leases.c


def take_lease(connection: Connection, name: str, holder: str, *, now: int, until: int) -> bool:
    """Whether ``holder`` has it now, until ``until`` (seconds since the epoch); whoever has it may take it again.

    Within a transaction of ``Database.write``, in which writers take turns.
    """
    free = (_C.name == name) & ((_C.holder == holder) | (_C.until <= now))
    if connection.execute(update(leases).where(free).values(holder=holder, until=until)).rowcount:
        return True
    if connection.execute(leases.select().where(_C.name == name)).first() is not None:
        return False
    connection.execute(insert(leases).values(name=name, holder=holder, until=until))
    return True


def release_lease(connection: Connection, name: str, holder: str) -> None:
    connection.execute(delete(leases).where((_C.name == name) & (_C.holder == holder)))
