"""When roles were last used, which is noted in the background."""

from __future__ import annotations

from sqlalchemy import Connection, select

from broker.store.tables import usages


def find_role_usage(connection: Connection, role_id: str) -> tuple[int, str] | None:
    """The last use of the role's credentials: seconds since the epoch, and the region; None if there was none."""
    table = usages.c
    last = select(table.used_at, table.region).where(table.subject == role_id).order_by(table.used_at.desc()).limit(1)
    row = connection.execute(last).first()
    return None if row is None else (int(row[0]), str(row[1]))
