"""Makes a data directory: what ``accredit init`` does, once."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from broker.accounts import RootKey, insert_account
from broker.audit.event import CallRecord, render
from broker.config_files import read_config_file
from broker.credentials.audit_ring import ensure_audit_keys
from broker.credentials.keyring import add_key, list_states
from broker.credentials.masterkey import create_master_key, load_master_key
from broker.database import command_database
from broker.errors import AlreadyExists, BrokerError
from broker.iam.first_administrator import new_setup_link
from broker.identifiers import new_uuid
from broker.settings import CONFIG_FILE, MASTER_KEY_VARIABLE, KeySettings, Settings, load_settings
from broker.store.audit_events import append_records
from broker.store.engine import Database
from broker.store.schema import migrate

_ACCOUNT_MARK = "000000000000"


@dataclass(frozen=True, slots=True)
class Initialized:
    """``setup_link`` is where the account's first administrator is made."""

    root: RootKey
    setup_link: str = field(repr=False)


def initialize(directory: Path, account: str, store_url: str | None = None) -> Initialized:
    """Make ``directory`` for ``account`` (12 digits), and what it needs in the store.

    Raises AlreadyExists if there is something in the directory, or in a store that other nodes have too. Whatever is
    raised, the directory is left as it was.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise AlreadyExists(f"{directory} is not empty")
    directory.chmod(0o700)  # it may have been there already, open to others
    try:
        return _fill(directory, account, store_url)
    except BrokerError:
        for path in directory.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise


def _fill(directory: Path, account: str, store_url: str | None) -> Initialized:
    example = example_configuration().replace(_ACCOUNT_MARK, account)
    if store_url is not None:
        example = example.replace("[store]\n", f"[store]\nurl = {json.dumps(store_url)}\n", 1)
    configuration = directory / CONFIG_FILE
    configuration.touch(mode=0o600)  # there may be a password in the URL
    configuration.write_text(example, encoding="utf-8")
    master_key_path = directory / KeySettings().master_key_file
    if MASTER_KEY_VARIABLE not in os.environ:
        create_master_key(master_key_path)
    settings = load_settings(directory)
    master_key = load_master_key(master_key_path, os.environ)
    with command_database(settings) as database:
        migrate(database)
        first = _first_objects(database, settings, master_key, account)
        ensure_audit_keys(database, master_key, datetime.now(UTC))
    return first


def example_configuration() -> str:
    """The commented configuration file."""
    return read_config_file("accredit.example.toml")


def _first_objects(database: Database, settings: Settings, master_key: bytes, account: str) -> Initialized:
    now = datetime.now(UTC)
    with database.change() as connection:
        if list_states(connection, now):
            raise AlreadyExists(
                "the store was initialized before: give this node a copy of the other's accredit.toml and master.key"
            )
        root = insert_account(connection, master_key, account, now)
        add_key(connection, master_key, now=now, activation_seconds=0)
        record = CallRecord(new_uuid(), now, event_source="accredit", event_name="Initialize", read_only=False)
        record.recipient = account
        record.parameters = {"account_id": account, "access_key_id": root.access_key_id}
        append_records(connection, [render(record)])
        link = new_setup_link(connection, settings, master_key, account, now)
    return Initialized(root, link)
