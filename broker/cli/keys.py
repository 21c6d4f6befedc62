"""``accredit keys``: the key ring."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from broker.audit.event import CallRecord, render
from broker.credentials.keyring import KeyState, add_key, list_states
from broker.credentials.masterkey import load_master_key
from broker.identifiers import new_uuid
from broker.settings import load_settings
from broker.store.audit_events import append_records
from broker.store.engine import Database


@click.group()
def keys() -> None:
    """The keys behind session tokens."""


_directory = click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))


@keys.command("list")
@_directory
@click.option("--json", "as_json", is_flag=True)
def list_keys(directory: Path, as_json: bool) -> None:
    """Show the keys: which one seals, and until when older ones open."""
    settings = load_settings(directory)
    database = Database(settings.store.url, directory)
    try:
        with database.read() as connection:
            states = list_states(connection, datetime.now(UTC))
    finally:
        database.close()
    if as_json:
        click.echo(json.dumps([asdict(state) for state in states]))
        return
    for state in states:
        click.echo(_line(state))


@keys.command()
@_directory
def rotate(directory: Path) -> None:
    """Add a key that seals from now on, after a few seconds in which every worker learns it."""
    settings = load_settings(directory)
    master_key = load_master_key(settings.file(settings.keys.master_key_file), os.environ)
    now = datetime.now(UTC)
    database = Database(settings.store.url, directory)
    try:
        with database.change() as connection:
            key_id = add_key(connection, master_key, now=now, activation_seconds=settings.keys.activation_seconds)
            record = CallRecord(new_uuid(), now, event_source="accredit", event_name="RotateKey", read_only=False)
            record.parameters = {"key_id": f"{key_id:08x}"}
            append_records(connection, [render(record)])
    finally:
        database.close()
    click.echo(f"key {key_id:08x} seals from {settings.keys.activation_seconds} seconds from now on")


def _line(state: KeyState) -> str:
    created = datetime.fromtimestamp(state.created_at, UTC).isoformat()
    until = datetime.fromtimestamp(state.retires_at, UTC).isoformat() if state.retires_at else "-"
    return f"{state.key_id:08x}  {state.state:8}  made {created}  opens until {until}"
