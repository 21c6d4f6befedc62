"""Console passwords' rows."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from broker.store.tables import login_profiles


def passwords_last_used(connection: Connection, user_ids: Iterable[str]) -> dict[str, int]:
    """When each user last signed in with its password, in seconds since the epoch; those who never did are left out."""
    table = login_profiles.c
    wanted = table.user_id.in_(list(user_ids)) & table.last_used_at.is_not(None)
    return {
        user_id: int(moment)
        for user_id, moment in connection.execute(select(table.user_id, table.last_used_at).where(wanted))
    }
