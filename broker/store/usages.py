"""When access keys, users and roles were last used, and for what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from broker.store.tables import access_keys, usages

Used = tuple[str, str, str]
"""Subject (an access key id, or the unique id of a user or role), service and action."""
_IN_ONE_QUESTION = 500
_LAST = select(usages).where(usages.c.subject == bindparam("subject")).order_by(usages.c.used_at.desc()).limit(1)


@dataclass(frozen=True, slots=True)
class Usage:
    """The last call of ``action`` by ``subject``, in the order of the columns; ``used_at`` is in seconds since the
    epoch."""

    subject: str
    service: str
    action: str
    region: str
    used_at: int


def put_usages(connection: Connection, found: Mapping[Used, tuple[int, str]]) -> None:
    """Note when (and in which region) each was used; what is known to be later stays."""
    table = usages.c
    subjects = {subject for subject, _, _ in found}
    known = {
        tuple(row)
        for row in connection.execute(
            select(table.subject, table.service, table.action).where(table.subject.in_(subjects))
        )
    }
    rows = [
        {"of": subject, "by": service, "what": action, "moment": moment, "where": region}
        for (subject, service, action), (moment, region) in sorted(
            found.items()
        )  # two writers take their turns in one order
    ]
    new = [row for row in rows if (row["of"], row["by"], row["what"]) not in known]
    old = [row for row in rows if (row["of"], row["by"], row["what"]) in known]
    if new:
        columns = ("subject", "service", "action", "used_at", "region")
        connection.execute(insert(usages), [dict(zip(columns, row.values(), strict=True)) for row in new])
    if old:
        same = (table.subject == bindparam("of")) & (table.service == bindparam("by"))
        same &= (table.action == bindparam("what")) & (table.used_at < bindparam("moment"))
        connection.execute(
            update(usages).where(same).values(used_at=bindparam("moment"), region=bindparam("where")), old
        )


def list_usages(connection: Connection, subjects: Iterable[str], *, since: int = 0) -> list[Usage]:
    """All that these were used for since then."""
    wanted = sorted(subjects)
    found: list[Usage] = []
    for start in range(0, len(wanted), _IN_ONE_QUESTION):
        some = usages.c.subject.in_(wanted[start : start + _IN_ONE_QUESTION])
        rows = connection.execute(select(usages).where(some & (usages.c.used_at >= since)))
        found += [Usage(*row) for row in rows]
    return found


def find_last_usage(connection: Connection, subject: str) -> Usage | None:
    """The last of all."""
    row = connection.execute(_LAST, {"subject": subject}).first()
    return None if row is None else Usage(*row)


def last_usages_of_access_keys(connection: Connection, account: str) -> dict[str, Usage]:
    """The last of each access key of the account that was ever used."""
    table = usages.c
    rank = func.row_number().over(partition_by=table.subject, order_by=table.used_at.desc()).label("rank")
    ranked = (
        select(usages, rank)
        .join(access_keys, access_keys.c.id == table.subject)
        .where(access_keys.c.account == account)
        .subquery()
    )
    last = select(*(ranked.c[column.name] for column in usages.columns)).where(ranked.c.rank == 1)
    return {row[0]: Usage(*row) for row in connection.execute(last)}


def delete_usages(connection: Connection, subject: str) -> None:
    connection.execute(delete(usages).where(usages.c.subject == subject))
