"""Redeemed assertions' rows: whoever claims first has it, on all nodes."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec
from sqlalchemy import Connection, delete, select

from broker.store.tables import assertion_claims

_REDEEM = (
    "INSERT INTO assertion_claims (id, claimed_at, expires_at)"
    " SELECT CAST(? AS VARCHAR), CAST(? AS BIGINT), CAST(? AS BIGINT)"
    " WHERE NOT EXISTS (SELECT 1 FROM assertion_claims WHERE id = ?) ON CONFLICT (id) DO NOTHING"
)
"""Written out for the driver: compiling would cost more than executing."""


class Claim(msgspec.Struct, frozen=True):
    """One use of an assertion. Times are in seconds since the epoch.

    ``id`` is a digest of whose it is, which, and what for; ``whole`` that of the use that uses it up for everything.
    Within ``again_seconds`` the same use may come again.
    """

    id: str
    whole: str
    claimed_at: int
    expires_at: int
    again_seconds: int = 0


class Redemption(Enum):
    """What became of a claim."""

    FIRST = 1
    AGAIN = 2
    REFUSED = 3


def redeem(connection: Connection, claims: Sequence[Claim]) -> list[Redemption]:
    """Note these uses within the connection's transaction; what became of each.

    In the order of their ids: two nodes that each wait for what the other one has just noted would wait for ever.
    """
    found: dict[int, Redemption] = {}
    for place in sorted(range(len(claims)), key=lambda place: claims[place].id):
        found[place] = _redeem(connection, claims[place])
    return [found[place] for place in range(len(claims))]


def _redeem(connection: Connection, claim: Claim) -> Redemption:
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    statement = _REDEEM.replace("?", mark)
    values = (claim.id, claim.claimed_at, claim.expires_at, claim.whole)
    if connection.exec_driver_sql(statement, values).rowcount:
        return Redemption.FIRST
    if claim.again_seconds:
        table = assertion_claims.c
        before = dict(
            connection.execute(select(table.id, table.claimed_at).where(table.id.in_((claim.id, claim.whole)))).all()
        )
        used_up = claim.whole in before and claim.whole != claim.id
        if not used_up and claim.claimed_at - before.get(claim.id, 0) < claim.again_seconds:
            return Redemption.AGAIN
    return Redemption.REFUSED


def delete_expired_claims(connection: Connection, now: int) -> None:
    connection.execute(delete(assertion_claims).where(assertion_claims.c.expires_at < now))
