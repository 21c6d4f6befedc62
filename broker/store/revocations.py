"""Revoked sessions' rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, delete, insert, select

from broker.store.tables import revocations


class RevocationKind(StrEnum):
    """What ``value`` names: an access key id, a source identity, or an external subject of ``provider``."""

    SESSION = "session"
    SOURCE_IDENTITY = "source-identity"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class Revocation:
    """Sessions issued until ``revoked_at`` (seconds since the epoch) are over; ``provider`` is an ARN or empty."""

    kind: RevocationKind
    account: str
    provider: str
    value: str
    revoked_at: int


def list_revocations(connection: Connection) -> list[Revocation]:
    rows = connection.execute(select(revocations))
    return [Revocation(RevocationKind(kind), *rest) for kind, *rest in rows]


def put_revocation(connection: Connection, row: Revocation) -> None:
    """Add the revocation; of the same sessions, the later one counts."""
    table = revocations.c
    same = (table.kind == row.kind) & (table.account == row.account)
    same &= (table.provider == row.provider) & (table.value == row.value)
    connection.execute(delete(revocations).where(same))
    connection.execute(
        insert(revocations).values(
            kind=row.kind.value,
            account=row.account,
            provider=row.provider,
            value=row.value,
            revoked_at=row.revoked_at,
        )
    )


def delete_revocations(connection: Connection, *, before: int) -> None:
    """Forget those whose sessions have all expired by themselves."""
    connection.execute(delete(revocations).where(revocations.c.revoked_at < before))
