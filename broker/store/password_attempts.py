"""How many passwords were tried lately, for a user and from an address: buckets that run empty again.

An attempt is counted before the password is looked at, so that of many at once none slips through, and is given back
if the password was right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from broker.store.tables import password_attempts

_KNOWN = "known:"
_WORTHLESS_SECONDS = 3_600
_KNOWN_SECONDS = 90 * 86_400


@dataclass(frozen=True, slots=True)
class Bucket:
    """``size`` attempts at once, and then one each ``seconds``."""

    size: int
    seconds: int

    def level(self, failures: int, failed_at: int, now: int) -> int:
        """How full it is now, after ``failures`` at ``failed_at``."""
        return max(0, failures - max(0, now - failed_at) // self.seconds)


def take_attempt(connection: Connection, buckets: Mapping[str, Bucket], now: int) -> bool:
    """Count an attempt in each bucket, by its subject; False, and nothing is counted, if one of them is full."""
    table = password_attempts.c
    connection.execute(
        delete(password_attempts).where(
            (table.failed_at < now - _WORTHLESS_SECONDS) & table.subject.not_like(f"{_KNOWN}%")
            | (table.failed_at < now - _KNOWN_SECONDS)
        )
    )
    levels = {}
    for subject in sorted(buckets):  # one order for all, or two that attempt at once would wait for each other
        failures, failed_at = _locked(connection, subject, now)
        levels[subject] = buckets[subject].level(failures, failed_at, now)
    if any(levels[subject] >= bucket.size for subject, bucket in buckets.items()):
        return False
    for subject, level in levels.items():
        values = {"failures": level + 1, "failed_at": now}
        connection.execute(update(password_attempts).where(table.subject == subject).values(**values))
    return True


def give_back_attempt(connection: Connection, subjects: Iterable[str]) -> None:
    table = password_attempts.c
    counted = table.subject.in_(list(subjects)) & (table.failures > 0)
    connection.execute(update(password_attempts).where(counted).values(failures=table.failures - 1))


def remember_address(connection: Connection, subject: str, now: int) -> None:
    """Remember that ``subject`` (a user at an address) had the right password."""
    _locked(connection, _KNOWN + subject, now)
    same = password_attempts.c.subject == _KNOWN + subject
    connection.execute(update(password_attempts).where(same).values(failed_at=now))


def is_known_address(connection: Connection, subject: str) -> bool:
    same = password_attempts.c.subject == _KNOWN + subject
    return connection.execute(select(password_attempts.c.subject).where(same)).first() is not None


def _locked(connection: Connection, subject: str, now: int) -> tuple[int, int]:
    """Failures and their time; the row is made if need be, and is ours until the transaction ends."""
    table = password_attempts.c
    wanted = select(table.failures, table.failed_at).where(table.subject == subject).with_for_update()
    row = connection.execute(wanted).first()
    if row is None:
        try:
            with connection.begin_nested():
                connection.execute(insert(password_attempts).values(subject=subject, failures=0, failed_at=now))
        except IntegrityError:
            pass  # somebody else made it meanwhile
        row = connection.execute(wanted).one()
    return row[0], row[1]
