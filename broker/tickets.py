"""What was begun and can be finished once: its content is sealed in the store, its name is a random value.

A sign-in half-way through, a request to an identity provider, a WebAuthn challenge, a set-up link.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec
from sqlalchemy import Connection

from broker.credentials.sealing import seal, unseal
from broker.store.engine import Database
from broker.store.tickets import TicketRow, delete_ticket, find_ticket, insert_ticket

_T = TypeVar("_T", bound=msgspec.Struct)
_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")


class Tickets:
    """``kind`` keeps one purpose's tickets from being used for another."""

    def __init__(self, database: Database, master_key: bytes) -> None:
        self._database = database
        self._master_key = master_key

    def put(self, kind: str, account: str, content: msgspec.Struct, now: datetime, life: timedelta) -> str:
        """Begin something; the value that finishes it."""
        with self._database.write() as connection:
            return put_ticket(connection, self._master_key, kind, account, content, now, life)

    def look(self, kind: str, value: str | None, content: type[_T], now: datetime) -> _T | None:
        """What was begun, which stays as it is; None if there is nothing, or it is too old."""
        if value is None or not _VALUE.fullmatch(value):
            return None
        digest = _digest(value)
        with self._database.read() as connection:
            row = find_ticket(connection, digest)
        if row is None or row.kind != kind or row.expires_at <= now.timestamp():
            return None
        plain = unseal(self._master_key, row.sealed, purpose=_purpose(kind, digest))
        return msgspec.json.decode(plain, type=content)

    def use(self, connection: Connection, value: str) -> bool:
        """Finish it, within the caller's transaction; False if somebody has done so already."""
        return delete_ticket(connection, _digest(value))

    def take(self, kind: str, value: str | None, content: type[_T], now: datetime) -> _T | None:
        """``look`` and ``use`` at once."""
        found = self.look(kind, value, content, now)
        if found is None or value is None:
            return None
        with self._database.write() as connection:
            return found if self.use(connection, value) else None


def put_ticket(
    connection: Connection,
    master_key: bytes,
    kind: str,
    account: str,
    content: msgspec.Struct,
    now: datetime,
    life: timedelta,
) -> str:
    """As ``Tickets.put``, within the caller's transaction."""
    value = base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode("ascii")
    digest, moment = _digest(value), int(now.timestamp())
    sealed = seal(master_key, msgspec.json.encode(content), purpose=_purpose(kind, digest))
    row = TicketRow(digest, kind, account, sealed, moment + int(life.total_seconds()))
    insert_ticket(connection, row, moment)
    return value


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("ascii")).hexdigest()


def _purpose(kind: str, digest: str) -> bytes:
    return f"ticket\x00{kind}\x00{digest}".encode("ascii")
