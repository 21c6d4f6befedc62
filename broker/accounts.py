"""Accounts: made with a root access key, and deleted with all that is in them. Only whoever runs the broker may."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from broker.audit.event import CallRecord, render
from broker.credentials.keyids import LONG_TERM, new_access_key_id, new_secret_access_key
from broker.credentials.long_term import seal_secret
from broker.domain.secret import Secret
from broker.errors import AlreadyExists, DeleteConflict, NotFound
from broker.identifiers import new_uuid
from broker.store.access_keys import AccessKeyRow, put_access_key
from broker.store.accounts import account_contents, list_accounts, put_account
from broker.store.accounts import delete_account as delete_rows
from broker.store.audit_events import append_records
from broker.store.engine import Database


@dataclass(frozen=True, slots=True)
class RootKey:
    """An account's root access key."""

    access_key_id: str
    secret_access_key: Secret


def new_account_id() -> str:
    """12 random digits, of which the first is not 0: some tools lose it."""
    return f"{secrets.randbelow(9 * 10**11) + 10**11}"


def insert_account(connection: Connection, master_key: bytes, account: str, now: datetime) -> RootKey:
    """Make the account's rows; the secret of its root key is known to the caller alone."""
    moment = int(now.timestamp())
    root = RootKey(new_access_key_id(LONG_TERM, account), Secret(new_secret_access_key()))
    sealed = seal_secret(master_key, root.access_key_id, root.secret_access_key.reveal())
    put_account(connection, account, "", moment)
    put_access_key(
        connection, AccessKeyRow(root.access_key_id, account, None, True, sealed), declared=False, now=moment
    )
    return root


def create_account(database: Database, master_key: bytes, account: str) -> RootKey:
    """Make the account (12 digits) with a root access key. Raises AlreadyExists."""
    now = datetime.now(UTC)
    with database.change() as connection:
        if account in list_accounts(connection):
            raise AlreadyExists(f"Account {account} already exists.")
        root = insert_account(connection, master_key, account, now)
        _record(connection, now, "CreateAccount", account, {"access_key_id": root.access_key_id})
    return root


def delete_account(database: Database, account: str, *, force: bool) -> None:
    """Delete the account with its keys and settings; with ``force``, with all else that is in it.

    Its credentials of every kind end with it. Raises NotFound, DeleteConflict: the last account always stays.
    """
    with database.change() as connection:
        accounts = list_accounts(connection)
        if account not in accounts:
            raise NotFound(f"Account {account} does not exist.")
        if len(accounts) == 1:
            raise DeleteConflict(f"Account {account} is the last one and cannot be deleted.")
        contents = account_contents(connection, account)
        if contents and not force:
            found = ", ".join(f"{what} ({count})" for what, count in contents.items())
            raise DeleteConflict(f"Account {account} is not empty: it has {found}. --force deletes them too.")
        delete_rows(connection, account)
        _record(connection, datetime.now(UTC), "DeleteAccount", account, {"deleted": contents})


def _record(connection: Connection, now: datetime, name: str, account: str, more: dict[str, object]) -> None:
    record = CallRecord(new_uuid(), now, event_source="accredit", event_name=name, read_only=False)
    record.parameters, record.recipient = {"account_id": account, **more}, account
    append_records(connection, [render(record)])
