"""Reading the audit record."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from broker.store.tables import audit_events


def tail(connection: Connection, count: int) -> list[dict[str, Any]]:
    """The last ``count`` events, the oldest of them first."""
    rows = connection.execute(
        select(audit_events.c.record).order_by(audit_events.c.sequence.desc()).limit(count)
    ).scalars()
    return [json.loads(record) for record in rows][::-1]


_SEARCHED = 5_000


def find_events_of(connection: Connection, principal_id: str, count: int) -> list[dict[str, Any]]:
    """The last events of a principal (by its unique id), the newest first, among the record's last 5,000."""
    newest = select(audit_events.c.sequence).order_by(audit_events.c.sequence.desc()).limit(_SEARCHED).subquery()
    mark = f'"principalId":{msgspec.json.encode(principal_id).decode()}'
    wanted = (
        select(audit_events.c.record)
        .where(audit_events.c.sequence.in_(select(newest.c.sequence)))
        .where(audit_events.c.record.contains(mark, autoescape=True))
        .order_by(audit_events.c.sequence.desc())
        .limit(count)
    )
    return [json.loads(record) for record in connection.execute(wanted).scalars()]


def find_events_in(connection: Connection, account: str, text: str, count: int) -> list[dict[str, Any]]:
    """The last events of an account that have this text in them, the newest first, among the record's last 5,000."""
    newest = select(audit_events.c.sequence).order_by(audit_events.c.sequence.desc()).limit(_SEARCHED).subquery()
    wanted = (
        select(audit_events.c.record)
        .where(audit_events.c.sequence.in_(select(newest.c.sequence)))
        .where(audit_events.c.record.contains(f'"recipientAccountId":"{account}"', autoescape=True))
        .order_by(audit_events.c.sequence.desc())
        .limit(count)
    )
    if text:
        wanted = wanted.where(audit_events.c.record.icontains(text, autoescape=True))
    return [json.loads(record) for record in connection.execute(wanted).scalars()]


def count(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(audit_events)).scalar_one())
