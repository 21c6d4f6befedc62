"""Redeemed assertions' rows."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from broker.store.tables import assertion_claims


def claim(connection: Connection, claim_id: str, *, now: int, expires_at: int) -> int | None:
    """Note that it was redeemed; when it was before, if it was (seconds since the epoch). Of two who claim at the same
    time one is told about the other."""
    connection.execute(delete(assertion_claims).where(assertion_claims.c.expires_at < now))
    try:
        with connection.begin_nested():
            connection.execute(insert(assertion_claims).values(id=claim_id, claimed_at=now, expires_at=expires_at))
    except IntegrityError:
        found = connection.execute(
            select(assertion_claims.c.claimed_at).where(assertion_claims.c.id == claim_id)
        ).scalar()
        return now if found is None else int(found)
    return None
