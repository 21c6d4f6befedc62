"""Roles that a person marked, and used last."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from broker.store.tables import favourite_roles

_C = favourite_roles.c


@dataclass(frozen=True, slots=True)
class Mark:
    """``used_at``: when credentials of the role were last issued, in seconds since the epoch."""

    favourite: bool
    used_at: int | None


def find_marks(connection: Connection, person: str) -> dict[str, Mark]:
    """A person's, by the role's ARN."""
    rows = connection.execute(select(_C.role_arn, _C.favourite, _C.used_at).where(_C.person == person))
    return {arn: Mark(favourite, used_at) for arn, favourite, used_at in rows}


def put_favourite(connection: Connection, person: str, role_arn: str, favourite: bool) -> None:
    _put(connection, person, role_arn, favourite=favourite)


def note_use(connection: Connection, person: str, role_arn: str, now: int) -> None:
    _put(connection, person, role_arn, used_at=now)


def _put(connection: Connection, person: str, role_arn: str, **values: object) -> None:
    same = (_C.person == person) & (_C.role_arn == role_arn)
    if not connection.execute(update(favourite_roles).where(same).values(**values)).rowcount:
        connection.execute(
            insert(favourite_roles).values(person=person, role_arn=role_arn, **{"favourite": False, **values})
        )
