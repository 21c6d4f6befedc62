"""Security keys and passkeys, and recovery codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, func, insert, select, update

from broker.store.tables import passkeys, recovery_codes

_P = passkeys.c
_R = recovery_codes.c


@dataclass(frozen=True, slots=True)
class Passkey:
    """A WebAuthn credential, its fields in the order of the columns. Times are in seconds since the epoch.

    ``credential_id`` is in base64url. ``sign_count`` is the authenticator's counter when it was last used.
    """

    credential_id: str
    user_id: str
    name: str
    public_key: bytes = field(repr=False)
    sign_count: int
    transports: Sequence[str]
    created_at: int
    used_at: int | None = None


def insert_passkey(connection: Connection, key: Passkey) -> None:
    """Raises AlreadyExists if somebody has it."""
    connection.execute(
        insert(passkeys).values(
            credential_id=key.credential_id,
            user_id=key.user_id,
            name=key.name,
            public_key=key.public_key,
            sign_count=key.sign_count,
            transports=list(key.transports),
            created_at=key.created_at,
        )
    )


def list_passkeys(connection: Connection, user_id: str) -> list[Passkey]:
    """A user's, the oldest first."""
    mine = select(passkeys).where(_P.user_id == user_id).order_by(_P.created_at, _P.credential_id)
    return [Passkey(*row) for row in connection.execute(mine)]


def find_passkey(connection: Connection, user_id: str, credential_id: str) -> Passkey | None:
    """The user's own of this id."""
    same = (_P.user_id == user_id) & (_P.credential_id == credential_id)
    row = connection.execute(select(passkeys).where(same)).first()
    return None if row is None else Passkey(*row)


def use_passkey(connection: Connection, key: Passkey, sign_count: int, now: int) -> bool:
    """Note that it was used; False if its counter is another one by now."""
    same = (_P.credential_id == key.credential_id) & (_P.sign_count == key.sign_count)
    done = connection.execute(update(passkeys).where(same).values(sign_count=sign_count, used_at=now))
    return bool(done.rowcount)


def rename_passkey(connection: Connection, key: Passkey, name: str) -> None:
    connection.execute(update(passkeys).where(_P.credential_id == key.credential_id).values(name=name))


def delete_passkey(connection: Connection, key: Passkey) -> None:
    connection.execute(delete(passkeys).where(_P.credential_id == key.credential_id))


def replace_recovery_codes(connection: Connection, user_id: str, digests: Iterable[str], now: int) -> None:
    """The user's codes are these from now on."""
    connection.execute(delete(recovery_codes).where(_R.user_id == user_id))
    rows = [{"digest": digest, "user_id": user_id, "created_at": now} for digest in digests]
    if rows:
        connection.execute(insert(recovery_codes), rows)


def use_recovery_code(connection: Connection, user_id: str, digest: str) -> bool:
    """Use the code up; False if the user has no such code (any more)."""
    same = (_R.user_id == user_id) & (_R.digest == digest)
    return bool(connection.execute(delete(recovery_codes).where(same)).rowcount)


def count_recovery_codes(connection: Connection, user_id: str) -> int:
    return int(connection.execute(select(func.count()).where(_R.user_id == user_id)).scalar_one())
