"""``accredit init``: a new data directory."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import click

from broker.domain.arn import ACCOUNT_ID
from broker.initialize import initialize


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--account-id", help="12 digits; random if left out.")
@click.option("--store-url", help="postgresql+psycopg://USER@HOST/DATABASE instead of an SQLite file.")
@click.option("--json", "as_json", is_flag=True, help="Print the root access key as JSON.")
def init(directory: Path, account_id: str | None, store_url: str | None, as_json: bool) -> None:
    """Make the data directory DIRECTORY: configuration, keys, database and the root access key, shown once.

    The password of a PostgreSQL store comes from the variable ACCREDIT_STORE_PASSWORD, or as libpq finds it.
    """
    account = account_id or f"{secrets.randbelow(9 * 10**11) + 10**11}"
    if not ACCOUNT_ID.fullmatch(account):
        raise click.BadParameter("an account id has 12 digits", param_hint="--account-id")
    root = initialize(directory, account, store_url)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "account_id": account,
                    "access_key_id": root.access_key_id,
                    "secret_access_key": root.secret_access_key.reveal(),
                }
            )
        )
        return
    click.echo(f"Made {directory}: configuration, keys and database of account {account}.\n")
    click.echo("The root access key, shown only now:")
    click.echo(f"  access key id      {root.access_key_id}")
    click.echo(f"  secret access key  {root.secret_access_key.reveal()}\n")
    click.echo(f"Next: describe roles and identity providers in {directory / 'accredit.toml'}, then")
    click.echo(f"  accredit serve {directory}")
