"""Who came from a directory and may have sessions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from broker.store.tables import directory_subjects, directory_syncs

_IN_ONE_QUESTION = 500


@dataclass(frozen=True, slots=True)
class DirectorySubject:
    """Somebody of a provider (its ARN). Times are in seconds since the epoch."""

    provider: str
    subject: str
    username: str
    dn: str
    seen_at: int
    checked_at: int


def put_subject(connection: Connection, row: DirectorySubject) -> None:
    """Note that somebody logged in."""
    values = {"username": row.username, "dn": row.dn, "seen_at": row.seen_at, "checked_at": row.checked_at}
    same = _same(row.provider, [row.subject])
    if connection.execute(update(directory_subjects).where(same).values(**values)).rowcount:
        return
    try:
        with connection.begin_nested():
            connection.execute(insert(directory_subjects).values(provider=row.provider, subject=row.subject, **values))
    except IntegrityError:
        pass  # another worker noted the same login's sibling, or the provider is gone


def list_subjects(connection: Connection, provider: str) -> list[DirectorySubject]:
    """Those of a provider, by subject."""
    table = directory_subjects.c
    rows = connection.execute(select(directory_subjects).where(table.provider == provider).order_by(table.subject))
    return [DirectorySubject(*row) for row in rows]


def find_subject(connection: Connection, provider: str, username: str) -> str | None:
    """The subject whom a directory calls so, if there is exactly one."""
    table = directory_subjects.c
    same = (table.provider == provider) & (table.username == username)
    found = connection.execute(select(table.subject).where(same).limit(2)).scalars().all()
    return found[0] if len(found) == 1 else None


def find_due(connection: Connection, provider: str, subjects: Iterable[str], *, before: int) -> list[str]:
    """Of these, those that nobody has checked since ``before``."""
    table, wanted = directory_subjects.c, list(subjects)
    found: list[str] = []
    for start in range(0, len(wanted), _IN_ONE_QUESTION):
        due = _same(provider, wanted[start : start + _IN_ONE_QUESTION]) & (table.checked_at <= before)
        found += connection.execute(select(table.subject).where(due)).scalars()
    return found


def claim_checks(connection: Connection, provider: str, subjects: Iterable[str], *, before: int, now: int) -> list[str]:
    """Those of ``find_due``; they count as checked from now on."""
    table, wanted = directory_subjects.c, list(subjects)
    claimed: list[str] = []
    for start in range(0, len(wanted), _IN_ONE_QUESTION):
        due = _same(provider, wanted[start : start + _IN_ONE_QUESTION]) & (table.checked_at <= before)
        checked = update(directory_subjects).where(due).values(checked_at=now).returning(table.subject)
        claimed += connection.execute(checked).scalars()
    return claimed


def note_checked(connection: Connection, provider: str, now: int) -> None:
    """All of a provider were looked up."""
    mine = directory_subjects.c.provider == provider
    connection.execute(update(directory_subjects).where(mine).values(checked_at=now))


def delete_subjects(connection: Connection, provider: str, subjects: Iterable[str]) -> None:
    wanted = list(subjects)
    for start in range(0, len(wanted), _IN_ONE_QUESTION):
        some = _same(provider, wanted[start : start + _IN_ONE_QUESTION])
        connection.execute(delete(directory_subjects).where(some))


def delete_old_subjects(connection: Connection, *, before: int) -> None:
    """Forget those whose sessions have all expired."""
    connection.execute(delete(directory_subjects).where(directory_subjects.c.seen_at < before))


def claim_sync(connection: Connection, provider: str, *, before: int, now: int) -> bool:
    """Whether it is our turn to look all up: nobody began to since ``before``."""
    table = directory_syncs.c
    due = (table.provider == provider) & (table.started_at <= before)
    if connection.execute(update(directory_syncs).where(due).values(started_at=now)).rowcount:
        return True
    if connection.execute(select(table.provider).where(table.provider == provider)).first() is not None:
        return False
    try:
        with connection.begin_nested():
            connection.execute(insert(directory_syncs).values(provider=provider, started_at=now))
    except IntegrityError:
        return False
    return True


def find_sync(connection: Connection, provider: str) -> int | None:
    """When all of a provider were last looked up."""
    table = directory_syncs.c
    return connection.execute(select(table.started_at).where(table.provider == provider)).scalar()


def _same(provider: str, subjects: Iterable[str]) -> ColumnElement[bool]:
    table = directory_subjects.c
    return (table.provider == provider) & table.subject.in_(list(subjects))
