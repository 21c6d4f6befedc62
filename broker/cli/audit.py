"""``accredit audit``: the audit record."""

from __future__ import annotations

import json
from pathlib import Path

import click

from broker.audit.query import tail as read_tail
from broker.database import command_database
from broker.settings import load_settings


@click.group()
def audit() -> None:
    """The audit record."""


@audit.command()
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("-n", "--count", default=10, type=click.IntRange(1, 10_000), help="How many events.")
def tail(directory: Path, count: int) -> None:
    """Print the last events of DIRECTORY, one JSON object a line."""
    with command_database(load_settings(directory)) as database, database.read() as connection:
        events = read_tail(connection, count)
    for event in events:
        click.echo(json.dumps(event))
