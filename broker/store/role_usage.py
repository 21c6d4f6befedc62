"""When roles were last used, which is noted in the background."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, bindparam, select

from broker.store.tables import usages

_LAST = (
    select(usages.c.used_at, usages.c.region)
    .where(usages.c.subject == bindparam("role"))
    .order_by(usages.c.used_at.desc())
    .limit(1)
)


def find_role_usage(connection: Connection, role_id: str) -> tuple[int, str] | None:
    """The last use of the role's credentials: seconds since the epoch, and the region; None if there was none."""
    row = connection.execute(_LAST, {"role": role_id}).first()
    return None if row is None else (int(row[0]), str(row[1]))


def role_usages(connection: Connection, role_ids: Iterable[str]) -> Mapping[str, tuple[int, str]]:
    """The same of each role of a page; those that nobody used are left out."""
    table = usages.c
    rows = select(table.subject, table.used_at, table.region).where(table.subject.in_(list(role_ids)))
    return {subject: (used_at, region) for subject, used_at, region in connection.execute(rows.order_by(table.used_at))}
