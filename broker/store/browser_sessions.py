"""Sessions of people who are signed in to the pages."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from broker.store.tables import browser_sessions

_C = browser_sessions.c


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session, its fields in the order of the columns. Times are in seconds since the epoch."""

    digest: str = field(repr=False)
    handle: str
    account: str
    user_id: str | None
    provider: str | None
    subject_digest: str | None
    index_digest: str | None
    sealed_identity: bytes | None = field(repr=False)
    amr: str
    authenticated_at: int
    mfa_at: int | None
    created_at: int
    seen_at: int
    expires_at: int
    source_ip: str
    user_agent: str


def insert_session(connection: Connection, row: SessionRow) -> None:
    values = {one.name: getattr(row, one.name) for one in fields(row)}
    connection.execute(insert(browser_sessions).values(**values))


def find_session(connection: Connection, digest: str) -> SessionRow | None:
    """The session whose cookie has this digest, over or not."""
    row = connection.execute(select(browser_sessions).where(_C.digest == digest)).first()
    return None if row is None else SessionRow(*row)


def list_user_sessions(connection: Connection, user_id: str) -> list[SessionRow]:
    """Those of a user of ours, the latest first."""
    return _list(connection, _C.user_id == user_id)


def list_subject_sessions(connection: Connection, provider: str, subject_digest: str) -> list[SessionRow]:
    """Those of a person whom a provider vouched for, the latest first."""
    return _list(connection, _of_subject(provider, subject_digest))


def list_account_sessions(connection: Connection, account: str, limit: int) -> list[SessionRow]:
    """Those of an account, the latest first."""
    return _list(connection, _C.account == account, limit)


def touch_session(connection: Connection, digest: str, now: int) -> None:
    """Note that the session was used."""
    connection.execute(update(browser_sessions).where(_C.digest == digest).values(seen_at=now))


def delete_session(connection: Connection, digest: str) -> bool:
    """False if it was gone already."""
    return bool(connection.execute(delete(browser_sessions).where(_C.digest == digest)).rowcount)


def find_session_by_handle(connection: Connection, handle: str) -> SessionRow | None:
    row = connection.execute(select(browser_sessions).where(_C.handle == handle)).first()
    return None if row is None else SessionRow(*row)


def delete_subject_sessions(
    connection: Connection, provider: str, subject_digest: str, index_digest: str | None = None
) -> int:
    """End a person's sessions, or the one of a session index; how many there were."""
    where = _of_subject(provider, subject_digest)
    if index_digest is not None:
        where &= _C.index_digest == index_digest
    return int(connection.execute(delete(browser_sessions).where(where)).rowcount)


def delete_user_sessions(connection: Connection, user_id: str, *, but: str = "") -> int:
    """End a user's sessions, but for the one of the digest ``but``; how many there were."""
    where = (_C.user_id == user_id) & (_C.digest != but)
    return int(connection.execute(delete(browser_sessions).where(where)).rowcount)


def delete_over_sessions(connection: Connection, now: int, seen_before: int) -> None:
    """Forget sessions past their end, or not used since ``seen_before``."""
    connection.execute(delete(browser_sessions).where((_C.expires_at <= now) | (_C.seen_at <= seen_before)))


def _of_subject(provider: str, subject_digest: str) -> ColumnElement[bool]:
    return (_C.provider == provider) & (_C.subject_digest == subject_digest)


def _list(connection: Connection, where: ColumnElement[bool], limit: int | None = None) -> list[SessionRow]:
    ordered = select(browser_sessions).where(where).order_by(_C.created_at.desc(), _C.handle).limit(limit)
    return [SessionRow(*row) for row in connection.execute(ordered)]
