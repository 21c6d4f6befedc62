"""Whether an account's principals may have tokens for relying parties."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from broker.store.tables import outbound_federation


@dataclass(frozen=True, slots=True)
class OutboundFederation:
    """An account that enabled the feature once; ``changed_at``, in seconds since the epoch, is the last change."""

    account: str
    enabled: bool
    changed_at: int


def find_outbound_federation(connection: Connection, account: str) -> OutboundFederation | None:
    found = connection.execute(
        select(outbound_federation).where(outbound_federation.c.account == account)
    ).one_or_none()
    return None if found is None else OutboundFederation(*found)


def put_outbound_federation(connection: Connection, row: OutboundFederation) -> None:
    connection.execute(delete(outbound_federation).where(outbound_federation.c.account == row.account))
    connection.execute(
        insert(outbound_federation).values(account=row.account, enabled=row.enabled, changed_at=row.changed_at)
    )
