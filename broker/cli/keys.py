"""``accredit keys``: the key ring."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from broker.audit.event import CallRecord, render
from broker.credentials.keyring import KeyState, add_key, check_master_key, list_states
from broker.credentials.masterkey import load_master_key
from broker.credentials.signing_ring import SigningKeyState, add_signing_keys, key_states, new_signing_keys
from broker.database import command_database
from broker.identifiers import new_uuid
from broker.settings import Settings, load_settings
from broker.store.audit_events import append_records
from broker.store.engine import Database
from broker.store.signing_keys import list_signing_accounts, list_signing_keys


@click.group()
def keys() -> None:
    """The keys behind session tokens, and those that sign tokens for relying parties (--signing)."""


_directory = click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
_signing = click.option("--signing", is_flag=True, help="The keys that sign tokens for relying parties.")


@keys.command("list")
@_directory
@_signing
@click.option("--json", "as_json", is_flag=True)
def list_keys(directory: Path, signing: bool, as_json: bool) -> None:
    """Show the keys: which one is in use, and until when older ones are good."""
    settings = load_settings(directory)
    now = datetime.now(UTC)
    states: list[KeyState] | list[SigningKeyState]
    with command_database(settings) as database, database.read() as connection:
        if signing:
            accounts = list_signing_accounts(connection)
            states = [key for account in accounts for key in key_states(list_signing_keys(connection, account), now)]
        else:
            states = list_states(connection, now)
    if as_json:
        click.echo(json.dumps([asdict(state) for state in states]))
        return
    for state in states:
        click.echo(_line(state))


@keys.command()
@_directory
@_signing
def rotate(directory: Path, signing: bool) -> None:
    """Add a key that is used from now on, after a delay in which everybody who needs it learns it."""
    settings = load_settings(directory)
    master_key = load_master_key(settings.file(settings.keys.master_key_file), os.environ)
    with command_database(settings) as database:
        check_master_key(database, master_key)
        (_rotate_signing if signing else _rotate_session)(database, settings, master_key)


def _rotate_session(database: Database, settings: Settings, master_key: bytes) -> None:
    now, seconds = datetime.now(UTC), settings.keys.activation_seconds
    with database.change() as connection:
        key_id = add_key(connection, master_key, now=now, activation_seconds=seconds)
        append_records(connection, [_event(now, "RotateKey", {"key_id": f"{key_id:08x}"})])
    click.echo(f"key {key_id:08x} seals from {seconds} seconds from now on")


def _rotate_signing(database: Database, settings: Settings, master_key: bytes) -> None:
    """One account at a time, so that nobody who wants to write waits for keys to be made."""
    seconds = settings.keys.publish_before_use_seconds
    with database.read() as connection:
        accounts = list_signing_accounts(connection)
    for account in accounts:
        made = new_signing_keys()
        now = datetime.now(UTC)
        with database.change() as connection:
            add_signing_keys(connection, master_key, account, made, now=now, publish_seconds=seconds)
            kids = [key.kid for key in made]
            append_records(connection, [_event(now, "RotateSigningKeys", {"key_ids": kids}, account)])
        for key in made:
            click.echo(f"key {key.kid} signs {key.algorithm} for {account} from {seconds} seconds from now on")
    if not accounts:
        click.echo("no account has signing keys: aws iam enable-outbound-web-identity-federation makes them")


def _event(now: datetime, name: str, parameters: dict[str, object], account: str | None = None) -> str:
    record = CallRecord(new_uuid(), now, event_source="accredit", event_name=name, read_only=False)
    record.parameters, record.recipient = parameters, account
    return render(record)


def _line(state: KeyState | SigningKeyState) -> str:
    created = datetime.fromtimestamp(state.created_at, UTC).isoformat()
    until = datetime.fromtimestamp(state.retires_at, UTC).isoformat() if state.retires_at else "-"
    if isinstance(state, SigningKeyState):
        name = f"{state.account}  {state.algorithm}  {state.kid}  {state.state:9}"
        return f"{name}  made {created}  published until {until}"
    return f"{state.key_id:08x}  {state.state:8}  made {created}  opens until {until}"
