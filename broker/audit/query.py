"""Reading the audit record."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, func, select

from broker.store.tables import audit_events


def tail(connection: Connection, count: int) -> list[dict[str, Any]]:
    """The last ``count`` events, the oldest of them first."""
    rows = connection.execute(
        select(audit_events.c.record).order_by(audit_events.c.sequence.desc()).limit(count)
    ).scalars()
    return [json.loads(record) for record in rows][::-1]


def count(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(audit_events)).scalar_one())
