"""Makes a data directory: what ``accredit init`` does, once."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from broker.accounts import RootKey, insert_account
from broker.audit.event import CallRecord, render
from broker.config_files import read_config_file
from broker.credentials.keyring import add_key
from broker.credentials.masterkey import create_master_key, load_master_key
from broker.errors import AlreadyExists
from broker.identifiers import new_uuid
from broker.settings import CONFIG_FILE, KeySettings, load_settings
from broker.store.audit_events import append_records
from broker.store.engine import Database
from broker.store.schema import migrate

_ACCOUNT_MARK = "000000000000"


def initialize(directory: Path, account: str) -> RootKey:
    """Make ``directory`` for ``account`` (12 digits). Raises AlreadyExists if there is something in it."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise AlreadyExists(f"{directory} is not empty")
    directory.chmod(0o700)  # it may have been there already, open to others
    example = example_configuration().replace(_ACCOUNT_MARK, account)
    (directory / CONFIG_FILE).write_text(example, encoding="utf-8")
    master_key_path = directory / KeySettings().master_key_file
    create_master_key(master_key_path)
    settings = load_settings(directory)
    database = Database(settings.store.url, directory)
    try:
        migrate(database)
        return _first_objects(database, load_master_key(master_key_path, os.environ), account)
    finally:
        database.close()


def example_configuration() -> str:
    """The commented configuration file."""
    return read_config_file("accredit.example.toml")


def _first_objects(database: Database, master_key: bytes, account: str) -> RootKey:
    now = datetime.now(UTC)
    with database.change() as connection:
        root = insert_account(connection, master_key, account, now)
        add_key(connection, master_key, now=now, activation_seconds=0)
        record = CallRecord(new_uuid(), now, event_source="accredit", event_name="Initialize", read_only=False)
        record.recipient = account
        record.parameters = {"account_id": account, "access_key_id": root.access_key_id}
        append_records(connection, [render(record)])
    return root
