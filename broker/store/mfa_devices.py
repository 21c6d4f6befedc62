"""MFA devices' rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from broker.store.entities import Entity, entities_where
from broker.store.tables import entities, mfa_devices


@dataclass(frozen=True, slots=True)
class MfaDevice:
    """A TOTP device. ``failures`` are wrong codes since the last right one; times are in seconds since the epoch.

    Without ``enabled_at`` it is nobody's yet; with it and without a user it is the root user's.
    """

    serial_number: str
    account: str
    user_id: str | None
    sealed_seed: bytes = field(repr=False)
    last_step: int = -1
    failures: int = 0
    failed_at: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    enabled_at: int | None = None
    declared: bool = False
    created_at: int = 0


def find_mfa_device(connection: Connection, serial_number: str) -> MfaDevice | None:
    found = _devices(connection, mfa_devices.c.serial_number == serial_number)
    return found[0] if found else None


def is_mfa_device(connection: Connection, serial_number: str) -> bool:
    """Whether there is one of this serial number, whatever its case."""
    same = func.lower(mfa_devices.c.serial_number) == serial_number.lower()
    return connection.execute(select(mfa_devices.c.serial_number).where(same)).first() is not None


def list_mfa_devices(
    connection: Connection, account: str, *, assigned: bool | None = None, after: str = "", limit: int
) -> list[MfaDevice]:
    """At most ``limit`` of the account, by serial number from behind ``after``: somebody's, nobody's, or all."""
    table = mfa_devices.c
    where = (table.account == account) & (table.serial_number > after)
    if assigned is not None:
        where &= table.enabled_at.is_not(None) if assigned else table.enabled_at.is_(None)
    return _devices(connection, where, limit)


def list_enabled_mfa_devices(connection: Connection, account: str, user_id: str | None) -> list[MfaDevice]:
    """A user's devices, or (for None) the root user's, by serial number."""
    table = mfa_devices.c
    whose = table.user_id.is_(None) if user_id is None else table.user_id == user_id
    return _devices(connection, (table.account == account) & table.enabled_at.is_not(None) & whose)


def count_mfa_devices(connection: Connection, account: str) -> int:
    return int(connection.execute(select(func.count()).where(mfa_devices.c.account == account)).scalar_one())


def list_mfa_owners(connection: Connection, account: str) -> set[str | None]:
    """The unique ids of the users that have a device; None stands for the root user."""
    table = mfa_devices.c
    enabled = (table.account == account) & table.enabled_at.is_not(None)
    return set(connection.execute(select(table.user_id).where(enabled).distinct()).scalars())


def users_of(connection: Connection, devices: Iterable[MfaDevice]) -> dict[str, Entity]:
    """The users that have these devices, by unique id."""
    ids = {device.user_id for device in devices if device.user_id is not None}
    return {user.id: user for user in entities_where(connection, entities.c.id.in_(ids))}


def insert_mfa_device(connection: Connection, device: MfaDevice) -> None:
    """Add a device that nobody has yet. The caller has looked that its serial number is free."""
    connection.execute(
        insert(mfa_devices).values(
            serial_number=device.serial_number,
            account=device.account,
            sealed_seed=device.sealed_seed,
            last_step=device.last_step,
            failures=0,
            failed_at=0,
            tags=dict(device.tags),
            declared=False,
            created_at=device.created_at,
        )
    )


def assign_mfa_device(connection: Connection, serial_number: str, user_id: str | None, enabled_at: int | None) -> None:
    """Give the device to a user, to root (without a user), or to nobody (without a time)."""
    same = mfa_devices.c.serial_number == serial_number
    connection.execute(update(mfa_devices).where(same).values(user_id=user_id, enabled_at=enabled_at))


def set_mfa_device_tags(connection: Connection, serial_number: str, tags: Mapping[str, str]) -> None:
    same = mfa_devices.c.serial_number == serial_number
    connection.execute(update(mfa_devices).where(same).values(tags=dict(tags)))


def delete_mfa_device(connection: Connection, serial_number: str) -> None:
    connection.execute(delete(mfa_devices).where(mfa_devices.c.serial_number == serial_number))


def put_mfa_device(connection: Connection, device: MfaDevice, *, declared: bool, now: int) -> None:
    """Make the device, or give the one of that serial number this owner and seed; what was used stays used."""
    values = {
        "account": device.account,
        "user_id": device.user_id,
        "sealed_seed": device.sealed_seed,
        "declared": declared,
        "enabled_at": now,
    }
    same = mfa_devices.c.serial_number == device.serial_number
    if connection.execute(update(mfa_devices).where(same).values(**values)).rowcount:
        return
    fresh = {"last_step": device.last_step, "failures": 0, "failed_at": 0, "tags": {}, "created_at": now}
    connection.execute(insert(mfa_devices).values(serial_number=device.serial_number, **values, **fresh))


def delete_declared_mfa_devices(connection: Connection, *, keep: Iterable[str]) -> list[str]:
    """Delete what was declared once and is not among the serial numbers ``keep``; what went."""
    gone = mfa_devices.c.declared & mfa_devices.c.serial_number.not_in(list(keep))
    numbers = list(connection.execute(select(mfa_devices.c.serial_number).where(gone)).scalars())
    connection.execute(delete(mfa_devices).where(gone))
    return numbers


def accept_step(connection: Connection, serial_number: str, step: int, *, since: int | None = None) -> bool:
    """Note that the codes from ``since`` (or the one of ``step`` alone) to ``step`` were used.

    False if the first of them, or a later one, was used before.
    """
    first = step if since is None else since
    unused = (mfa_devices.c.serial_number == serial_number) & (mfa_devices.c.last_step < first)
    done = connection.execute(update(mfa_devices).where(unused).values(last_step=step, failures=0))
    return bool(done.rowcount)


def count_failure(connection: Connection, serial_number: str, now: int) -> None:
    same = mfa_devices.c.serial_number == serial_number
    connection.execute(update(mfa_devices).where(same).values(failures=mfa_devices.c.failures + 1, failed_at=now))


def _devices(connection: Connection, where: ColumnElement[bool], limit: int | None = None) -> list[MfaDevice]:
    table = mfa_devices.c
    columns = (
        table.serial_number,
        table.account,
        table.user_id,
        table.sealed_seed,
        table.last_step,
        table.failures,
        table.failed_at,
        table.tags,
        table.enabled_at,
        table.declared,
        table.created_at,
    )
    wanted = select(*columns).where(where).order_by(table.serial_number).limit(limit)
    return [MfaDevice(*row) for row in connection.execute(wanted)]
