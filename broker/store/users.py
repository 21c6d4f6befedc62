"""Users."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, select

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


def find_user(connection: Connection, user_id: str) -> User | None:
    """The user of this unique id."""
    row = connection.execute(select(*_COLUMNS).where(entities.c.id == user_id, entities.c.kind == "user")).first()
    if row is None:
        return None
    account, name, path, unique_id, arn, created, boundary, tags = row
    return User(account, name, path, unique_id, arn, datetime.fromtimestamp(created, UTC), boundary, tags)
