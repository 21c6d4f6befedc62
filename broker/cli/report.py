"""``accredit report``: what administrators should look at from time to time."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from broker.iam.credential_states import CredentialState, credential_states
from broker.settings import load_settings
from broker.store.accounts import list_accounts
from broker.store.engine import Database

_Row = tuple[CredentialState, str]
"""A user's credentials, and what should be said about them."""


@click.group()
def report() -> None:
    """What to look at from time to time."""


@report.command()
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--account", help="This account alone.")
@click.option("--json", "form", flag_value="json", help="One JSON list.")
@click.option("--csv", "form", flag_value="csv", help="The columns of AWS's credential report, and the warnings.")
def credentials(directory: Path, account: str | None, form: str | None) -> None:
    """Show the credentials of all users of DIRECTORY, and warn of access keys that should be replaced."""
    settings = load_settings(directory)
    database = Database(settings.store.url, directory)
    now, days = datetime.now(UTC), settings.iam.access_key_reminder_days
    try:
        with database.read() as connection:
            known = list_accounts(connection)
            if account is not None and account not in known:
                raise click.UsageError(f"there is no account {account}")
            states = [state for one in known if account in (None, one) for state in credential_states(connection, one)]
    finally:
        database.close()
    rows = [(state, "; ".join(state.old_keys(now, days))) for state in states]
    {"json": _print_json, "csv": _print_csv, None: _print_lines}[form](rows)


def _print_json(rows: list[_Row]) -> None:
    click.echo(json.dumps([{**asdict(state), "warnings": warnings} for state, warnings in rows]))


def _print_csv(rows: list[_Row]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*CredentialState.__dataclass_fields__, "warnings"])
    writer.writerows([*asdict(state).values(), warnings] for state, warnings in rows)


def _print_lines(rows: list[_Row]) -> None:
    for state, warnings in rows:
        active = (state.access_key_1_active, state.access_key_2_active).count("true")
        has = f"password: {state.password_enabled}, MFA: {state.mfa_active}, active access keys: {active}"
        click.echo(f"{state.arn}: {has}" + (f"; WARNING: {warnings}" if warnings else ""))
