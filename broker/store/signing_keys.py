"""The keys that sign an account's tokens for relying parties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, insert, select

from broker.store.tables import signing_keys


@dataclass(frozen=True, slots=True)
class SigningKeyRow:
    """A key as stored. Times are seconds since the epoch; ``public_jwk`` is what is published."""

    kid: str
    account: str
    algorithm: str
    sealed_private_key: bytes = field(repr=False)
    public_jwk: Mapping[str, str]
    created_at: int
    active_from: int


def list_signing_keys(connection: Connection, account: str) -> list[SigningKeyRow]:
    """All keys of ``account``, those that sign from the latest moment on first."""
    rows = connection.execute(
        select(signing_keys)
        .where(signing_keys.c.account == account)
        .order_by(signing_keys.c.active_from.desc(), signing_keys.c.kid)
    )
    return [SigningKeyRow(*row) for row in rows]


def list_signing_accounts(connection: Connection) -> list[str]:
    """The accounts that have keys."""
    column = signing_keys.c.account
    return list(connection.execute(select(column).distinct().order_by(column)).scalars())


def insert_signing_key(connection: Connection, row: SigningKeyRow) -> None:
    connection.execute(
        insert(signing_keys).values(
            kid=row.kid,
            account=row.account,
            algorithm=row.algorithm,
            sealed_private_key=row.sealed_private_key,
            public_jwk=dict(row.public_jwk),
            created_at=row.created_at,
            active_from=row.active_from,
        )
    )


def delete_signing_key(connection: Connection, kid: str) -> None:
    connection.execute(delete(signing_keys).where(signing_keys.c.kid == kid))
