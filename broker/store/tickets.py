"""What was begun and can be finished once, until it is too old."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, insert, select

from broker.store.tables import tickets

_C = tickets.c


@dataclass(frozen=True, slots=True)
class TicketRow:
    """``expires_at`` in seconds since the epoch."""

    digest: str = field(repr=False)
    kind: str
    account: str
    sealed: bytes = field(repr=False)
    expires_at: int


def insert_ticket(connection: Connection, row: TicketRow, now: int) -> None:
    """Keep it; those that are too old by now go."""
    connection.execute(delete(tickets).where(_C.expires_at <= now))
    connection.execute(
        insert(tickets).values(
            digest=row.digest, kind=row.kind, account=row.account, sealed=row.sealed, expires_at=row.expires_at
        )
    )


def find_ticket(connection: Connection, digest: str) -> TicketRow | None:
    row = connection.execute(select(tickets).where(_C.digest == digest)).first()
    return None if row is None else TicketRow(*row)


def delete_ticket(connection: Connection, digest: str) -> bool:
    """False if it was gone: of many who use it at once, one does."""
    return bool(connection.execute(delete(tickets).where(_C.digest == digest)).rowcount)


def delete_tickets(connection: Connection, kind: str, account: str) -> None:
    """Forget all of a kind and account."""
    connection.execute(delete(tickets).where((_C.kind == kind) & (_C.account == account)))
