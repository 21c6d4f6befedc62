"""Console passwords' rows; passwords are there as hashes alone (``credentials.passwords``)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from broker.store.tables import entities, login_profiles, old_passwords

REMEMBERED = 24
"""Former passwords that are kept: as many as a password policy can forbid to use again."""

_LAST_USED = select(login_profiles.c.last_used_at).where(login_profiles.c.user_id == bindparam("user"))


@dataclass(frozen=True, slots=True)
class LoginProfile:
    """A user's password, its fields in the order of the columns. Times are in seconds since the epoch."""

    user_id: str
    password_hash: str = field(repr=False)
    reset_required: bool
    created_at: int
    changed_at: int
    last_used_at: int | None = None


def find_login_profile(connection: Connection, user_id: str) -> LoginProfile | None:
    row = connection.execute(select(login_profiles).where(login_profiles.c.user_id == user_id)).first()
    return None if row is None else LoginProfile(*row)


def list_account_login_profiles(connection: Connection, account: str) -> dict[str, LoginProfile]:
    """Of all users of the account that have one, by the user's unique id."""
    rows = connection.execute(select(login_profiles).join(entities).where(entities.c.account == account))
    return {row[0]: LoginProfile(*row) for row in rows}


def insert_login_profile(connection: Connection, profile: LoginProfile) -> None:
    connection.execute(
        insert(login_profiles).values(
            user_id=profile.user_id,
            password_hash=profile.password_hash,
            reset_required=profile.reset_required,
            created_at=profile.created_at,
            changed_at=profile.changed_at,
        )
    )


def replace_password(connection: Connection, profile: LoginProfile, password_hash: str, now: int) -> None:
    """Give the user another password, and remember the one of ``profile``."""
    table = old_passwords.c
    last = connection.execute(select(func.max(table.replaced_at)).where(table.user_id == profile.user_id)).scalar()
    moment = max(now, (last or 0) + 1)  # the order is what counts, also of two in one second
    connection.execute(
        insert(old_passwords).values(user_id=profile.user_id, replaced_at=moment, password_hash=profile.password_hash)
    )
    for forgotten in former_passwords(connection, profile.user_id)[REMEMBERED:]:
        connection.execute(
            delete(old_passwords).where((table.user_id == profile.user_id) & (table.password_hash == forgotten))
        )
    _update(connection, profile.user_id, password_hash=password_hash, changed_at=now)


def former_passwords(connection: Connection, user_id: str) -> list[str]:
    """The hashes of the passwords that the user had before, the last one first."""
    table = old_passwords.c
    mine = select(table.password_hash).where(table.user_id == user_id)
    return list(connection.execute(mine.order_by(table.replaced_at.desc())).scalars())


def set_reset_required(connection: Connection, user_id: str, required: bool) -> None:
    _update(connection, user_id, reset_required=required)


def renew_hash(connection: Connection, profile: LoginProfile, password_hash: str) -> None:
    """Store the same password under today's parameters, unless it was replaced meanwhile."""
    table = login_profiles.c
    same = (table.user_id == profile.user_id) & (table.password_hash == profile.password_hash)
    connection.execute(update(login_profiles).where(same).values(password_hash=password_hash))


def note_sign_in(connection: Connection, user_id: str, now: int) -> None:
    _update(connection, user_id, last_used_at=now)


def delete_login_profile(connection: Connection, user_id: str) -> None:
    """And with it what is remembered of former passwords."""
    connection.execute(delete(login_profiles).where(login_profiles.c.user_id == user_id))


def password_last_used(connection: Connection, user_id: str) -> int | None:
    """When the user last signed in with its password, in seconds since the epoch; None if it never did."""
    moment = connection.execute(_LAST_USED, {"user": user_id}).scalar()
    return None if moment is None else int(moment)


def passwords_last_used(connection: Connection, user_ids: Iterable[str]) -> dict[str, int]:
    """When each user last signed in with its password, in seconds since the epoch; those who never did are left out."""
    table = login_profiles.c
    wanted = table.user_id.in_(list(user_ids)) & table.last_used_at.is_not(None)
    return {
        user_id: int(moment)
        for user_id, moment in connection.execute(select(table.user_id, table.last_used_at).where(wanted))
    }


def _update(connection: Connection, user_id: str, **values: object) -> None:
    connection.execute(update(login_profiles).where(login_profiles.c.user_id == user_id).values(**values))
