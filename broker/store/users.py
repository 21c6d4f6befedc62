"""Users."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, bindparam, select

from broker.domain.role import User
from broker.store.tables import entities

_COLUMNS = (
    entities.c.account,
    entities.c.name,
    entities.c.path,
    entities.c.id,
    entities.c.arn,
    entities.c.created_at,
    entities.c.permissions_boundary,
    entities.c.tags,
)
_BY_ID = select(*_COLUMNS).where(entities.c.id == bindparam("id"), entities.c.kind == "user")


def find_user(connection: Connection, user_id: str) -> User | None:
    """The user of this unique id."""
    row = connection.execute(_BY_ID, {"id": user_id}).first()
    if row is None:
        return None
    account, name, path, unique_id, arn, created, boundary, tags = row
    return User(account, name, path, unique_id, arn, datetime.fromtimestamp(created, UTC), boundary, tags)
