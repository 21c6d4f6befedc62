"""Long-term access keys; their secrets arrive and leave sealed (``credentials.long_term``)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, select, update

from broker.store.tables import access_keys

_BY_ID = select(access_keys.c.account, access_keys.c.user_id, access_keys.c.status, access_keys.c.sealed_secret).where(
    access_keys.c.id == bindparam("id")
)


@dataclass(frozen=True, slots=True)
class AccessKeyRow:
    """A long-term key as stored; ``user_id`` is None for the account's root key."""

    id: str
    account: str
    user_id: str | None
    active: bool
    sealed_secret: bytes


@dataclass(frozen=True, slots=True)
class AccessKeyState:
    """What may be told of a key. ``created_at`` is in seconds since the epoch; ``declared``: accredit.toml made it."""

    id: str
    user_id: str | None
    status: str
    declared: bool
    created_at: int


def put_access_key(connection: Connection, row: AccessKeyRow, *, declared: bool, now: int) -> None:
    """Make the key, or replace the one of this id."""
    connection.execute(delete(access_keys).where(access_keys.c.id == row.id))
    connection.execute(
        insert(access_keys).values(
            id=row.id,
            account=row.account,
            user_id=row.user_id,
            status="Active" if row.active else "Inactive",
            sealed_secret=row.sealed_secret,
            declared=declared,
            created_at=now,
        )
    )


def delete_declared_access_keys(connection: Connection, *, keep: Iterable[str]) -> list[str]:
    """Delete what was declared once and is not among the ids ``keep``; the ids of what went."""
    gone = access_keys.c.declared & access_keys.c.id.not_in(list(keep))
    ids = list(connection.execute(select(access_keys.c.id).where(gone).order_by(access_keys.c.id)).scalars())
    connection.execute(delete(access_keys).where(gone))
    return ids


def find_access_key(connection: Connection, key_id: str) -> AccessKeyRow | None:
    row = connection.execute(_BY_ID, {"id": key_id}).first()
    return None if row is None else AccessKeyRow(key_id, row[0], row[1], row[2] == "Active", row[3])


def find_access_key_state(connection: Connection, account: str, key_id: str) -> AccessKeyState | None:
    """The key of this id, if it is one of ``account``."""
    table = access_keys.c
    found = _states(connection, (table.account == account) & (table.id == key_id))
    return found[0] if found else None


def list_access_keys(connection: Connection, account: str, user_id: str | None) -> list[AccessKeyState]:
    """A user's keys, or (for None) the account's root keys, by id."""
    table = access_keys.c
    return _states(connection, (table.account == account) & _of(user_id))


def list_account_access_keys(connection: Connection, account: str) -> list[AccessKeyState]:
    """All keys of the account, the oldest first."""
    found = _states(connection, access_keys.c.account == account)
    return sorted(found, key=lambda key: (key.created_at, key.id))


def count_access_keys(connection: Connection, account: str, user_id: str | None) -> int:
    where = (access_keys.c.account == account) & _of(user_id)
    return int(connection.execute(select(func.count()).where(where)).scalar_one())


def set_access_key_status(connection: Connection, key_id: str, status: str) -> None:
    connection.execute(update(access_keys).where(access_keys.c.id == key_id).values(status=status))


def delete_access_key(connection: Connection, key_id: str) -> None:
    connection.execute(delete(access_keys).where(access_keys.c.id == key_id))


def _of(user_id: str | None) -> ColumnElement[bool]:
    return access_keys.c.user_id.is_(None) if user_id is None else access_keys.c.user_id == user_id


def _states(connection: Connection, where: ColumnElement[bool]) -> list[AccessKeyState]:
    table = access_keys.c
    columns = (table.id, table.user_id, table.status, table.declared, table.created_at)
    return [AccessKeyState(*row) for row in connection.execute(select(*columns).where(where).order_by(table.id))]
