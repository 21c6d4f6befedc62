"""MFA devices' rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, insert, select, update

from broker.store.tables import mfa_devices


@dataclass(frozen=True, slots=True)
class MfaDevice:
    """A TOTP device; without a user it is the root user's. ``failures`` are wrong codes since the last right one."""

    serial_number: str
    account: str
    user_id: str | None
    sealed_seed: bytes = field(repr=False)
    last_step: int = -1
    failures: int = 0
    failed_at: int = 0


def find_mfa_device(connection: Connection, serial_number: str) -> MfaDevice | None:
    table = mfa_devices.c
    columns = (
        table.serial_number,
        table.account,
        table.user_id,
        table.sealed_seed,
        table.last_step,
        table.failures,
        table.failed_at,
    )
    row = connection.execute(select(*columns).where(table.serial_number == serial_number)).first()
    return None if row is None else MfaDevice(*row)


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


def accept_step(connection: Connection, serial_number: str, step: int) -> bool:
    """Note that the code of ``step`` was used; False if it, or a later one, was used before."""
    unused = (mfa_devices.c.serial_number == serial_number) & (mfa_devices.c.last_step < step)
    done = connection.execute(update(mfa_devices).where(unused).values(last_step=step, failures=0))
    return bool(done.rowcount)


def count_failure(connection: Connection, serial_number: str, now: int) -> None:
    same = mfa_devices.c.serial_number == serial_number
    connection.execute(update(mfa_devices).where(same).values(failures=mfa_devices.c.failures + 1, failed_at=now))
